"""The operations of an attention with lines, one by one: layers, changes of layout, and what happens between positions.

Code and activation memory are both read off this list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.attention_lines import OUTSIDE, RESULT, Origin, X
from archdsl.targets.torch.ops.attention_between import Attending
from archdsl.targets.torch.ops.attention_ends import Ends
from archdsl.targets.torch.ops.attention_layouts import ALONE, EACH, FIRST, LAST, ROWS, Layout, form_of
from archdsl.targets.torch.ops.attention_values import Values
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.attention_lines import Application, Lines
    from archdsl.layers.attention_written import WrittenAttention
    from archdsl.targets.torch.ops.base import Op


class Operations(Values):
    """The list of operations of one attention, with the layout of each value.

    Values are numbered: what enters is 0, the values from outside follow.
    """

    def __init__(self, layer: WrittenAttention, inputs: Sequence[Grid], ops: Sequence[Op[Any]]) -> None:
        super().__init__(form_of(layer, inputs))
        self.layer, self.lines, self.inputs, self.ops = layer, layer.lines, inputs, ops
        self.values: dict[Origin, int] = {}
        self.joined: dict[tuple[Origin, ...], int] = {}  # parts of a product that stay together
        self.products: dict[int, int] = {}  # products whose parts are queries, keys and values as they are
        self.uses = _uses(self.lines)
        self.flat = self.form.flat or self.form.cut_first  # layers see positions in one row
        self._enter()
        before = [n for n, a in enumerate(self.lines.applications) if a.letters != "proj"]
        for number in before:
            self._apply(number)
        y = Attending(self).run(*Ends(self).run())
        self._leave(y)

    # --- before the lines ---

    def _enter(self) -> None:
        lines = self.lines
        origins = [Origin(X), *(Origin(OUTSIDE - n) for n in lines.externals)]
        self.layouts += [Layout(ROWS if x.token else LAST) for x in self.inputs]
        self.values = {origin: i for i, origin in enumerate(origins)}
        self.frames = -1
        if self.form.frames:
            self.frames = self.add("frames", [0], Layout(""), names=("frames",))[0]
            for origin, value in list(self.values.items()):
                self.values[origin] = self.add("merged", [value], self.layouts[value])[0]
        self.measured: list[int] = []
        root = self._root(lines.branches["q"])
        if self.form.kind != "windows" and not self.form.token and root is not None:
            self.measure(self.values[root])
        if self.form.cut_first:
            for origin, value in list(self.values.items()):
                self.values[origin] = self.add("cut", [value], Layout(ROWS), copies=True, way="windows.split")[0]

    def _root(self, origin: Origin) -> Origin | None:
        """Return what enters at the beginning of a branch, if nothing changes its grid on the way."""
        while origin.application >= 0:
            application = self.lines.applications[origin.application]
            if application.shapes[0].size != application.shape.size:
                return None
            origin = application.inputs[min(origin.part, len(application.inputs) - 1)][0]
        return origin

    def measure(self, value: int) -> None:
        """Add the sizes of a grid."""
        none = Layout("")
        first = 2 if self.layouts[value].order == FIRST else 1
        self.measured = self.add("sizes", [value], none, none, none, names="thw", first=first)

    # --- layers ---

    def _apply(self, number: int) -> None:
        application, op = self.lines.applications[number], self.ops[number]
        if application.layer.training_only and not self.layer.trains:
            self.values |= {Origin(number): self.values[application.inputs[0][0]]}
            return
        operands = [self._operand(application, i) for i in range(len(application.shapes))]
        if application.tokens:
            operands = [self.part_token(v, s.size) for v, s in zip(operands, application.shapes, strict=True)]
        else:
            operands = [self.join_token(v) for v in operands]
        beside = bool(application.tokens)
        order, apart = self._order(application, op, operands[0])
        tokens = [bool(x.tokens) for x in application.shapes]  # a grid is added to the positions beside a class token
        orders = [order if any(tokens) == one or beside else LAST for one in tokens]
        values = [self.turn(v, o, apart=apart, beside=beside) for v, o in zip(operands, orders, strict=True)]
        layout = self.layouts[values[0]]
        result = layout._replace(stack=application.stack, order=self._order_of_result(op, layout.order))
        [value] = self.add("", values, result, application=number)
        if application.stack > 1:
            self._part(number, value)
        else:
            self.values[Origin(number)] = value

    def _order(self, application: Application, op: Op[Any], first: int) -> tuple[str, bool]:
        """Return the layout that a layer works in: that of its first input, if it can."""
        order, apart = self.layouts[first].order, self.layouts[first].apart
        if application.layer.elementwise:
            return order, apart
        if application.by_head and CHANNELS_LAST in op.accepted_layouts:
            if order in EACH:
                return order, True
            if not application.is_by_position():
                return EACH[order == ROWS], True
        if (self.flat or order == ROWS) and TOKENS in op.accepted_layouts and not application.tokens:
            return ROWS, application.by_head
        return LAST if CHANNELS_LAST in op.accepted_layouts else FIRST, application.by_head

    def _order_of_result(self, op: Op[Any], order: str) -> str:
        if order in EACH:
            return order
        given = {LAST: CHANNELS_LAST, ROWS: TOKENS, FIRST: GRID, ALONE: VECTOR}[order]
        return {CHANNELS_LAST: LAST, TOKENS: ROWS, GRID: FIRST, VECTOR: ALONE}[op.output_layout(given)]

    def _operand(self, application: Application, index: int) -> int:
        origins = tuple(part[index] for part in application.inputs)
        if len(origins) == 1:
            return self.values[origins[0]]
        if origins not in self.joined:
            values = [self.values[o] for o in origins]
            order = LAST if self.layouts[values[0]].order == FIRST else self.layouts[values[0]].order
            values = [self.turn(v, order) for v in values]
            stacked = self.layouts[values[0]]._replace(stack=len(values))
            self.joined[origins] = self.add("stacked", values, stacked, copies=True)[0]
        return self.joined[origins]

    def _part(self, number: int, value: int) -> None:
        """Part the branches in a product."""
        application = self.lines.applications[number]
        letters = application.letters.removeprefix("token_")
        origins = [Origin(number, i) for i in range(application.stack)]
        value = self.join_token(value)
        layout = self.layouts[value]
        if layout.order == FIRST:
            value = self.turn(value, LAST, apart=layout.apart)
            layout = self.layouts[value]
        if not any(self.uses.get(o, ()) for o in origins):
            self.products[number] = value
            return
        groups = self._groups(number, origins)
        if len(groups) == 1:
            self.joined[tuple(origins)] = value
            return
        users = [self.lines.applications[n] for o in origins for n in self.uses.get(o, ())]
        is_apart = not layout.apart and any(a.by_head and not a.layer.elementwise for a in users)
        layouts = [layout._replace(stack=len(group), apart=layout.apart or is_apart) for group in groups]
        names = ["".join(letters[o.part] for o in group) for group in groups]
        if len(groups) < len(origins):
            layouts = [layout._replace(stack=len(group)) for group in groups]
            made = self.add("split", [value], *layouts, names=names, counts=[len(g) for g in groups])
        else:
            macro = "parted_heads" if is_apart else "parted"
            made = self.add(macro, [value], *layouts, names=names, count=len(origins))
        for group, part in zip(groups, made, strict=True):
            self.joined[tuple(group)] = part
            if len(group) == 1:
                self.values[group[0]] = part

    def _groups(self, number: int, origins: Sequence[Origin]) -> list[list[Origin]]:
        """Return the parts of a product, those together that one layer takes further and nothing else reads."""
        for application in self.lines.applications[number + 1 :]:
            taken = [part[0] for part in application.inputs]
            alone = all(o in origins and len(self.uses.get(o, ())) == 1 for o in taken)
            if len(taken) > 1 and alone and taken == [o for o in origins if o in taken]:
                first = taken[0].part
                if [o.part for o in taken] == list(range(first, first + len(taken))) and len(taken) < len(origins):
                    return [[o] for o in origins[:first]] + [taken] + [[o] for o in origins[first + len(taken) :]]
                if len(taken) == len(origins):
                    return [taken]
        return [[o] for o in origins]

    # --- behind the result ---

    def _leave(self, y: int) -> None:
        lines, form = self.lines, self.form
        own = [n for n, a in enumerate(lines.applications) if a.letters == "proj"]
        reads = {o.application for n in own for part in lines.applications[n].inputs for o in part}
        reads_others = bool(reads - {RESULT, *own})
        in_row = form.flat and reads_others  # as the other values are
        if form.token or form.kind == "windows" or in_row:
            [y] = self.add("rearranged", [y], Layout(ROWS), pattern="b n m d -> b m (n d)", stack=None)
        else:
            pattern = f"{form.batch} n {form.group} d -> b t h w (n d)"
            [y] = self.add("gridded", [y, *self.measured], Layout(LAST), pattern=pattern)
        if form.is_split:
            [y] = self.add("joined", [y], Layout(ROWS), copies=True)
        cut = form.kind == "windows" and not form.token
        if cut and not form.cut_first and reads_others:
            [y] = self.add("windows_joined", [y], Layout(LAST), copies=True)
            cut = False
        self.values[Origin(RESULT)], self.flat = y, self.layouts[y].order == ROWS
        for number in own:
            self._apply(number)
        order = ROWS if form.token or cut or in_row else LAST
        y = self.turn(self.values[lines.branches["proj"]], order)
        if cut:
            [y] = self.add("windows_joined", [y], Layout(LAST), copies=True)
        if in_row:
            [y] = self.add("spread", [y, *self.measured], Layout(LAST))
        if self.frames >= 0:
            [y] = self.add("unmerged", [y, self.frames], Layout(ROWS))
        self.result = y


def _uses(lines: Lines) -> dict[Origin, list[int]]:
    """Return the applications that read each value."""
    found: dict[Origin, list[int]] = {}
    for number, application in enumerate(lines.applications):
        for origins in application.inputs:
            for origin in origins:
                found.setdefault(origin, []).append(number)
    return found
