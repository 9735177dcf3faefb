"""The operations of an attention with lines, one by one: layers, changes of layout, and what happens between positions.

Code and activation memory are both read off this list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.attention_lines import OUTSIDE, RESULT, RESULT_LINE, Origin, X
from archdsl.layers.attention_token_lines import after_positions, has_token_lines, of_tokens_alone
from archdsl.targets.torch.ops.attention_bands import InBand, TokenApart
from archdsl.targets.torch.ops.attention_between import Attending, InWindows
from archdsl.targets.torch.ops.attention_ends import Ends
from archdsl.targets.torch.ops.attention_layouts import (
    ALONE,
    BY_HEAD,
    CHANNELS_FIRST,
    EACH,
    EACH_ALONE,
    FIRST,
    FRAMES,
    HEADS,
    IN_ROWS,
    LAST,
    OF_FRAMES,
    ROW_FIRST,
    ROW_LAST,
    ROWS,
    Layout,
    form_of,
    order_of,
)  # fmt: skip
from archdsl.targets.torch.ops.attention_parts import Parts
from archdsl.targets.torch.ops.attention_token_lines import OwnLines
from archdsl.targets.torch.ops.attention_values import Values
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid, Tokens
    from archdsl.layers.attention import Attention
    from archdsl.layers.attention_lines import Application, Lines
    from archdsl.targets.torch.ops.base import Op


class Operations(Values):
    """The list of operations of one attention, with the layout of each value.

    Values are numbered: what enters is 0, the values from outside follow.
    """

    def __init__(
        self, layer: Attention, inputs: Sequence[Grid], ops: Sequence[Op[Any]], *, widens: bool = False
    ) -> None:
        super().__init__(form_of(layer, inputs))
        self.layer, self.lines, self.inputs, self.ops = layer, layer.lines, inputs, ops
        self.widens = widens  # the bias becomes further channels of queries and keys
        self.values: dict[Origin, int] = {}
        self.joined: dict[tuple[Origin, ...], int] = {}  # parts of a product that stay together
        self.beside: dict[str, list[int]] = {}  # tokens that go by each part of a layer, where they are not alike
        self.products: dict[int, int] = {}  # products whose parts are queries, keys and values as they are
        self.uses = _uses(self.lines)
        self.residual = layer.residual()
        self.flat = self.form.flat or self.form.cut_first  # layers see positions in one row
        self._enter()
        self.rows = of_tokens_alone(self.lines)  # layers that see the rows of tokens alone
        self.later = after_positions(self.lines)
        for number, application in enumerate(self.lines.applications):
            if application.letters != RESULT_LINE and number not in self.later:
                self.apply(number)
        self._leave(self._between())

    def _between(self) -> int:
        """Add the operations between positions; return the result."""
        kind, layer = self.form.kind, self.layer
        if kind == "parts":
            return Parts(self).run()
        way = InBand if layer.is_banded else InWindows if kind == "windows" else Attending
        is_apart = kind == "band" or (kind == "whole" and has_token_lines(self.lines))
        ends = Ends(self).run()
        if is_apart and self.form.of("q"):
            return TokenApart(self, way(self)).run(*ends)
        return self._added(ends[0], way(self).run(*ends))

    # --- before the lines ---

    def _enter(self) -> None:
        lines = self.lines
        origins = [Origin(X), *(Origin(OUTSIDE - n) for n in lines.externals)]
        self.layouts += [Layout(order_of(x)) for x in self.inputs]
        self.values = {origin: i for i, origin in enumerate(origins)}
        self.frames = -1
        if self.form.of_frames and int(lines.x.t) == int(lines.shapes["q"].t):
            self.count_frames(0)
        if self.form.fills:
            for (origin, value), x in zip(list(self.values.items()), self.inputs, strict=True):
                self.values[origin] = self._fill(value, x)
        self.measured: list[int] = []
        root = self._root(lines.branches["q"])
        if self.form.kind != "windows" and not self.form.of("q") and root is not None:
            self.measure(self.values[root])
        if self.form.cut_first:
            for origin, value in list(self.values.items()):
                self.values[origin] = self.add("cut", [value], Layout(ROWS), copies=True, way="windows.split")[0]

    def _fill(self, value: int, x: Grid) -> int:
        """Return a value filled up with zeros behind its positions, to whole windows."""
        if not self.lines.fills(x):
            return value
        behind = [int(m) - int(n) for n, m in zip(x.size, self.lines.x.size, strict=True)]
        return self.on_grid("filled", value, x, x.tokens, copies=True, behind=behind)

    def _root(self, origin: Origin) -> Origin | None:
        """Return what enters at the beginning of a branch, if nothing changes its grid on the way."""
        while origin.application >= 0:
            application = self.lines.applications[origin.application]
            if application.shapes[0].size != application.shape.size:
                return None
            origin = application.inputs[min(origin.part, len(application.inputs) - 1)][0]
        return origin if self.layouts[self.values[origin]].order == LAST else None

    def measure(self, value: int) -> None:
        """Add the sizes of a grid."""
        none = Layout("")
        first = 2 if self.layouts[value].order == FIRST else 1
        self.measured = self.add("sizes", [value], none, none, none, names="thw", first=first)

    def count_frames(self, value: int) -> None:
        """Add the number of frames, which are clips to attention."""
        self.frames = self.add("frames", [value], Layout(""), names=("frames",))[0]

    # --- layers ---

    def apply(self, number: int) -> None:
        """Add the operations of a layer."""
        application, op = self.lines.applications[number], self.ops[number]
        if application.layer.training_only and not self.layer.trains:
            self.values |= {Origin(number): self.values[application.inputs[0][0]]}
            return
        values, beside = self._given(application, op), bool(application.tokens) and not op.for_heads
        has_tokens = [bool(x.tokens) for x in application.shapes]
        first = max(application.carrier, 0) if beside else has_tokens.index(any(has_tokens))
        layout = self.layouts[values[first]]
        if beside and application.carrier < 0:
            layout = layout._replace(token=-1)
        result = layout._replace(stack=application.stack, order=self._order_of_result(application, op, layout))
        [value] = self.add("", values, result, application=number)
        if result.order in (ALONE, EACH_ALONE):
            value = self.turn(value, EACH[0] if result.order == EACH_ALONE else LAST, apart=layout.apart, beside=beside)
        if application.stack > 1:
            self._part(number, value)
        else:
            self.values[Origin(number)] = value

    def _given(self, application: Application, op: Op[Any]) -> list[int]:
        """Return the inputs of a layer in the layouts that it takes."""
        beside = bool(application.tokens) and not op.for_heads
        operands = [self._operand(application, i, beside=beside) for i in range(len(application.shapes))]
        if self.lines.applications.index(application) in self.rows[:1]:
            value = self.turn(operands[0], ROWS, apart=self.layouts[operands[0]].apart)
            operands = self.add("rows_of_token", [value], self.layouts[value])
        if op.for_heads:
            return [self.turn(v, ROWS if application.tokens else LAST) for v in operands]
        if not beside:
            operands = [self.join_token(v) for v in operands]
        tokens = [bool(x.tokens) for x in application.shapes]  # a grid is added to the positions beside a class token
        main = [value for value, has_tokens in zip(operands, tokens, strict=True) if has_tokens == any(tokens)]
        order, apart = self._order(application, op, main)
        other = EACH[0] if order in EACH else LAST
        orders = [order if any(tokens) == one or beside else other for one in tokens]
        few = application.by_head and application.heads != int(self.layer.heads)
        few = few or any(self.layouts[value].few for value in main)
        return [self.turn(v, o, apart=apart, few=few, beside=beside) for v, o in zip(operands, orders, strict=True)]

    def _order(self, application: Application, op: Op[Any], operands: list[int]) -> tuple[str, bool]:
        """Return the layout that a layer works in: that of its first input, if it and the other inputs can."""
        order, apart = self.layouts[operands[0]].order, self.layouts[operands[0]].apart
        in_rows = any(self.layouts[value].order in IN_ROWS for value in operands)
        if application.layer.elementwise:
            return self._common_order(operands), apart
        rows = FRAMES if any(self.layouts[value].order in OF_FRAMES for value in operands) else ROWS
        by_head = _sees_heads(application)
        takes_heads = by_head and (TOKENS if in_rows else CHANNELS_LAST) in op.accepted_layouts
        if takes_heads and (order in EACH or not application.is_by_position()):
            return BY_HEAD[rows if in_rows else LAST], True
        if (self.flat or in_rows) and TOKENS in op.accepted_layouts and not application.tokens:
            return rows, by_head
        orders = (ROW_LAST, ROW_FIRST) if in_rows else (LAST, FIRST)
        return orders[CHANNELS_LAST not in op.accepted_layouts], by_head

    def _common_order(self, values: list[int]) -> str:
        """Return the order of the first of several values, or a row if another one is a row."""
        orders = [self.layouts[value].order for value in values]
        if orders[0] not in IN_ROWS and any(order in IN_ROWS for order in orders):
            return EACH[1] if orders[0] in EACH else ROWS
        return orders[0]

    def _order_of_result(self, application: Application, op: Op[Any], layout: Layout) -> str:
        rows = FRAMES if application.shape.token == FRAME else ROWS
        is_row = layout.order in (ROW_LAST, ROW_FIRST)
        orders = {CHANNELS_LAST: (LAST, ROW_LAST)[is_row], GRID: (FIRST, ROW_FIRST)[is_row], TOKENS: rows}
        found = {**orders, VECTOR: ALONE}[op.output_layout(layout.taken_as)]
        return BY_HEAD[found] if layout.order in EACH else found

    def _operand(self, application: Application, index: int, *, beside: bool) -> int:
        """Return an input of a layer, in one tensor; `beside` lets tokens go by."""
        origins, x = tuple(part[index] for part in application.inputs), application.shapes[index]
        tokens = [self._tokens(o) for o in origins] if beside else []
        if len(set(tokens)) > 1:  # go by in parts
            values = [self.part_token(self.values[o], x, t) for o, t in zip(origins, tokens, strict=True)]
            grids = [self.turn(v, LAST, beside=True) for v in values]
            self.beside[application.name] = [self.layouts[v].token for v in grids]
            return self.add("stacked", grids, Layout(LAST, stack=len(grids)), copies=True)[0]
        if len(origins) > 1 and origins not in self.joined:
            values = [self.join_token(self.values[o]) for o in origins]
            order = self._common_order(values)
            order = {FIRST: LAST, ROW_FIRST: ROWS, ROW_LAST: ROWS}.get(order, order)
            few = any(self.layouts[v].few for v in values)
            values = [self.turn(v, order, apart=order in EACH, few=few) for v in values]
            stacked = self.layouts[values[0]]._replace(stack=len(values))
            self.joined[origins] = self.add("stacked", values, stacked, copies=True)[0]
        value = self.values[origins[0]] if len(origins) == 1 else self.joined[origins]
        return self.part_token(value, x, tokens[0]) if tokens else value

    def _tokens(self, origin: Origin) -> Tokens:
        """Return the tokens of a value, also those that pass."""
        if origin.application < 0:
            outside = [X, *(OUTSIDE - n for n in self.lines.externals)]
            known = zip(outside, (x.tokens for x in self.inputs), strict=True)
            return {RESULT: self.form.of("q"), **dict(known)}[origin.application]
        application = self.lines.applications[origin.application]
        if not application.tokens:
            return application.shape.tokens
        return application.tokens[min(origin.part, len(application.tokens) - 1)]

    def _part(self, number: int, value: int) -> None:
        """Part the branches in a product."""
        application = self.lines.applications[number]
        letters = application.parts
        origins = [Origin(number, i) for i in range(application.stack)]
        layout = self.layouts[value]
        beside = self.beside.get(application.name, [layout.token] * len(origins))
        if max(beside) >= 0 and (layout.token < 0 or self.layouts[layout.token].stack < layout.stack):
            self._part_beside(origins, value, letters, beside)
            return
        value = self.join_token(value)
        layout = self.layouts[value]
        if layout.order in (*CHANNELS_FIRST, ROW_LAST):
            value = self.turn(value, ROWS if layout.order in IN_ROWS else LAST, apart=layout.apart)
            layout = self.layouts[value]
        if not any(self.uses.get(o, ()) for o in origins):
            self.products[number] = value
            return
        groups = self._groups(number, origins)
        if len(groups) > 1 and not self._is_split(application, layout, groups):
            groups = [[o] for o in origins]
        if len(groups) == 1:
            self.joined[tuple(origins)] = value
            return
        users = {n for o in origins for n in self.uses.get(o, ()) if not self.ops[n].for_heads}
        heads = {self.lines.heads(n) for n in letters}
        is_apart = not layout.apart and len(heads) == 1 and any(_sees_heads(self.lines.applications[n]) for n in users)
        few = layout.few or (is_apart and max(heads) != int(self.layer.heads))
        layouts = [layout._replace(stack=len(g), apart=layout.apart or is_apart, few=few) for g in groups]
        names = ["".join(letters[o.part] for o in group) for group in groups]
        if len(groups) < len(origins):
            layouts = [layout._replace(stack=len(group)) for group in groups]
            made = self.add("split", [value], *layouts, names=names, counts=[len(g) for g in groups])
        else:
            macro = "parted_heads" if is_apart else "parted"
            made = self.add(macro, [value], *layouts, names=names, count=len(origins), n=layouts[0].heads)
        for group, part in zip(groups, made, strict=True):
            self.joined[tuple(group)] = part
            if len(group) == 1:
                self.values[group[0]] = part

    def _part_beside(self, origins: list[Origin], value: int, letters: str, tokens: Sequence[int]) -> None:
        """Part the branches in a product of positions, each with its own tokens beside it."""
        layout = self.layouts[value]
        order = EACH[0] if layout.order in EACH else LAST
        value = self.turn(value, order, apart=layout.apart, few=layout.few, beside=True)
        layouts = [self.layouts[value]._replace(stack=1, token=token) for token in tokens]
        self.values |= zip(
            origins, self.add("parted", [value], *layouts, names=letters, count=len(origins)), strict=True
        )

    def _is_split(self, application: Application, layout: Layout, groups: list[list[Origin]]) -> bool:
        """Return True if parts have the widths that the class keeps: those of queries, and one list of them."""
        counts = [len(g) for g in groups]
        kept = [operation.options["counts"] for operation in self.list if operation.macro == "split"]
        width = application.shape.channels * (self.layer.heads if application.by_head else 1)
        is_whole = not layout.apart and layout.order not in EACH
        return is_whole and width == self.lines.shapes["q"].channels and kept in ([], [counts])

    def _groups(self, number: int, origins: Sequence[Origin]) -> list[list[Origin]]:
        """Return the parts of a product, those together that one layer takes further and nothing else reads."""
        for application in self.lines.applications[number + 1 :]:
            taken = [part[0] for part in application.inputs]
            ends = self.lines.branches.values()  # of other branches, which such a layer does not change
            alone = all(o in origins and len(self.uses.get(o, ())) == 1 and o not in ends for o in taken)
            if len(taken) > 1 and alone and taken == [o for o in origins if o in taken]:
                first = taken[0].part
                if [o.part for o in taken] == list(range(first, first + len(taken))) and len(taken) < len(origins):
                    return [[o] for o in origins[:first]] + [taken] + [[o] for o in origins[first + len(taken) :]]
                if len(taken) == len(origins):
                    return [taken]
        return [[o] for o in origins]

    # --- behind the result ---

    def _added(self, q: int, y: int) -> int:
        """Return the result, in the layout `HEADS`, with the queries, where `proj` begins with their sum.

        The queries come first: no kernel chooses their order in memory, which the sum takes.
        """
        found = self.residual
        if found is None:
            return y
        beside = 0 if found.with_token else self.form.of("q").number
        return self.add("added", [q, y], Layout(HEADS), copies=True, beside=beside)[0]

    def _leave(self, y: int) -> None:
        lines, form = self.lines, self.form
        done = self.residual.replaced if self.residual is not None else frozenset[int]()
        own = [n for n, a in enumerate(lines.applications) if a.letters == RESULT_LINE and n not in done]
        reads_others = self.layer.result_reads_others()
        in_row = form.flat and reads_others  # as the other values are
        if self.layouts[y].order == LAST:  # parts of heads
            pass
        elif form.of("q") or form.kind == "windows" or in_row:
            y = self._rows(y)
        else:
            axes = "".join(a for a in "thw" if form.kind != "band" or a != self.layer.axes)
            sizes = [self.measured["thw".index(a)] for a in axes]
            pattern = f"{form.batch} n {form.group} d -> b {form.grid} (n d)"
            [y] = self.add("gridded", [y, *sizes], Layout(LAST), pattern=pattern, axes=axes)
        cut = form.kind == "windows" and not form.of("q")
        if cut and not form.cut_first and (reads_others or not self.layer.is_by_position(RESULT_LINE)):
            y = self._join_windows(y)
            cut = False
        self.values |= {Origin(n): y for n in (RESULT, *done)}
        self.flat = self.layouts[y].order == ROWS and not form.of("q")
        for number in own:
            self.apply(number)
        order = ROWS if cut or in_row else order_of(lines.shapes[RESULT_LINE])
        y = self.turn(self.values[lines.branches["proj"]], order)
        if cut:
            y = self._join_windows(y)
        if in_row:
            [y] = self.add("spread", [y, *self.measured], Layout(LAST))
        if form.fills:
            x = lines.shapes[RESULT_LINE]
            y = self.on_grid("trimmed", y, x, x.tokens, size=[int(n) for n in lines.entering.size])
        self.result = y

    def _rows(self, y: int) -> int:
        """Return the result of all groups, heads together."""
        form = self.form
        of_frames = form.of("q").scope == FRAME
        if of_frames and not form.copies("q"):
            pattern = "(b t) n m d -> b t m (n d)"
            return self.add("of_frames", [y, self.frames], Layout(FRAMES), pattern=pattern)[0]
        [y] = self.add("rearranged", [y], Layout(ROWS), pattern="b n m d -> b m (n d)", stack=None)
        if form.copies("q"):
            [y] = self.add("joined", [y], Layout(ROWS), copies=True)
            if has_token_lines(self.lines):
                y = OwnLines(self).replace(y)
        return self.add("unmerged", [y, self.frames], Layout(FRAMES))[0] if of_frames else y

    def _join_windows(self, y: int) -> int:
        [y] = self.add("windows_joined", [y], Layout(LAST), copies=True)
        if self.frames >= 0:  # each of which is a clip to the windows
            [y] = self.add("of_frames", [y, self.frames], Layout(LAST), pattern="(b t) 1 h w c -> b t h w c")
        return y


def _sees_heads(application: Application) -> bool:
    """Return True if it makes a difference to a layer where the channels of a head end."""
    layer = application.layer
    return application.by_head and not layer.elementwise and not layer.pools_channels


def _uses(lines: Lines) -> dict[Origin, list[int]]:
    """Return the applications that read each value."""
    found: dict[Origin, list[int]] = {}
    for number, application in enumerate(lines.applications):
        for origins in application.inputs:
            for origin in origins:
                found.setdefault(origin, []).append(number)
    return found
