"""The operations of an attention with lines, one by one: layers, changes of layout, and what happens between positions.

Code and activation memory are both read off this list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.grid import FRAME
from archdsl.layers.attention_lines import OUTSIDE, RESULT, Origin, X
from archdsl.layers.attention_rules import DOT_PRODUCT
from archdsl.targets.torch.ops.attention_patterns import patterns
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.attention_lines import Application, Lines
    from archdsl.layers.attention_written import WrittenAttention
    from archdsl.layers.attributes import Size3
    from archdsl.targets.torch.ops.base import Op

# Orders of axes; with heads apart the channels are (n, d), in `FIRST` the batch is (b n).
LAST = "b t h w c"
ROWS = "b m c"
ALONE = "b c"  # of a grid of 1×1×1
FIRST = "b c t h w"
EACH = "(b n) t h w c", "(b n) m c"  # heads as if they were clips
HEADS = "b n m d"  # queries, keys and values as attention takes them


class Layout(NamedTuple):
    """The axes of a value: their order, whether heads are apart, and how many branches its channels hold.

    `token` is the number of the class token's value, if that goes by; otherwise -1.
    """

    order: str
    apart: bool = False
    stack: int = 1
    token: int = -1

    @property
    def pattern(self) -> str:
        """The axes as einops writes them."""
        channels = "(s d)" if self.stack > 1 else "d"
        if self.order in EACH:
            return self.order.replace("c", channels)
        if self.apart and self.order == FIRST:
            return f"(b n) {channels} t h w"
        if self.apart:
            return self.order.replace("c", f"n {channels}")
        return self.order.replace("c", "(s n d)" if self.stack > 1 else "(n d)")


@dataclass
class Operation:
    """An operation that a macro of `attention_moves.j2` prints, or that of a layer: `application` is its number."""

    macro: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    names: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    application: int = -1
    copies: bool = False  # its output is no view of its input


@dataclass(frozen=True)
class Form:
    """The groups of positions that look at each other, and the layout in which lines see them."""

    kind: str  # `whole`, `axes` or `windows`
    token: int  # number of tokens in each group
    frames: bool  # whether each frame has tokens
    batch: str
    group: str
    cut_first: bool  # windows are cut before the lines
    flat: bool  # lines work on positions in one row
    strided: bool  # queries or keys have grids of their own

    @property
    def is_split(self) -> bool:
        """True if class tokens are copied into groups."""
        return self.token > 0 and self.kind != "whole"


def form_of(layer: WrittenAttention, inputs: Sequence[Grid]) -> Form:
    """Return the form of an attention."""
    x = inputs[0]
    kind, token = layer.arrangement(x), x.tokens.number
    _, batch, group = patterns(layer.axes)
    alike = all(other.size == x.size and not other.token for other in inputs[1:])
    by_position = layer.is_by_position() and not token
    return Form(
        kind, token, x.token == FRAME, batch, group, kind == "windows" and by_position and alike,
        kind == "whole" and by_position, layer.pooled,
    )  # fmt: skip


class Operations:
    """The list of operations of one attention, with the layout of each value.

    Values are numbered: what enters is 0, the values from outside follow.
    """

    def __init__(self, layer: WrittenAttention, inputs: Sequence[Grid], ops: Sequence[Op[Any]]) -> None:
        self.layer, self.lines, self.inputs, self.ops = layer, layer.lines, inputs, ops
        self.form = form_of(layer, inputs)
        self.list: list[Operation] = []
        self.layouts: list[Layout] = []
        self.values: dict[Origin, int] = {}
        self.joined: dict[tuple[Origin, ...], int] = {}  # parts of a product that stay together
        self.products: dict[int, int] = {}  # products whose parts are queries, keys and values as they are
        self.turned: dict[tuple[int, Layout], int] = {}
        self.uses = _uses(self.lines)
        self.flat = self.form.flat or self.form.cut_first  # layers see positions in one row
        self._enter()
        before = [n for n, a in enumerate(self.lines.applications) if a.letters != "proj"]
        for number in before:
            self._apply(number)
        y = self._attend(*_Ends(self).run())
        self._leave(y)

    # --- values ---

    def add(
        self, macro: str, inputs: Sequence[int], *layouts: Layout, names: Sequence[str] = (), copies: bool = False,
        application: int = -1, **options: Any,
    ) -> list[int]:  # fmt: skip
        """Add an operation; return the numbers of the values that it gives."""
        outputs = tuple(range(len(self.layouts), len(self.layouts) + len(layouts)))
        self.layouts += layouts
        self.list.append(Operation(macro, tuple(inputs), outputs, tuple(names), options, application, copies))
        return list(outputs)

    def turn(self, value: int, order: str, *, apart: bool = False, beside: bool = False) -> int:
        """Return a value in another layout; `beside` lets the class token go by."""
        if not beside:
            value = self.join_token(value)
        layout = self.layouts[value]
        wanted = layout._replace(order=order, apart=apart)
        if layout == wanted:
            return value
        key = value, wanted
        if key not in self.turned:
            self.turned[key] = self._turn(value, layout, wanted)
        return self.turned[key]

    def _turn(self, value: int, layout: Layout, wanted: Layout) -> int:
        if not (layout.apart or wanted.apart) or (
            layout.apart == wanted.apart and not {FIRST, *EACH} & {layout.order, wanted.order}
        ):
            return self.add("ordered", [value], wanted, source=layout.order, target=wanted.order)[0]
        if {FIRST, *EACH} & {layout.order, wanted.order} or (layout.stack > 1 and layout.order == wanted.order):
            patterns = f"{layout.pattern} -> {wanted.pattern}"
            stack = layout.stack if layout.stack > 1 else None
            return self.add("rearranged", [value], wanted, copies=True, pattern=patterns, stack=stack)[0]
        value = self.turn(value, wanted.order, apart=layout.apart, beside=layout.token >= 0)
        return self.add("apart" if wanted.apart else "together", [value], wanted)[0]

    def part_token(self, value: int, size: Size3) -> int:
        """Return the grid of a value, whose class token goes by."""
        key = value, Layout("grid")
        if self.layouts[value].token < 0 and key not in self.turned:
            layout, (t, h, w) = self.layouts[value], map(int, size)
            token, grid = self.add(
                "parted_token", [value], layout, layout, names=("token", "grid"), size=t * h * w, token=self.form.token
            )
            place = layout._replace(order=LAST, token=token)
            self.turned[key] = self.add("unflattened", [grid], place, size=(t, h, w))[0]
        return self.turned.get(key, value)

    def join_token(self, value: int) -> int:
        """Return a value with the class token that went by, if there is one."""
        token = self.layouts[value].token
        if token < 0:
            return value
        value = self.turn(value, LAST, apart=self.layouts[token].apart, beside=True)
        layout = self.layouts[token]._replace(order=ROWS)
        return self.add("with_token", [token, value], layout, copies=True)[0]

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

    # --- between positions ---

    def _attend(self, q: int, k: int, v: int) -> int:
        layer, heads = self.layer, Layout(HEADS)
        bias = self._bias(q)
        if layer.cosine:
            [q] = self.add("scaled_cosine", [q], heads, names=("q",), copies=True)
            [k] = self.add("normalised", [k], heads, names=("k",), copies=True)
        if layer.kv_heads and self.form.kind == "windows":
            [k] = self.add("repeated", [k], heads, names=("k",), copies=True)
            [v] = self.add("repeated", [v], heads, names=("v",), copies=True)
        inputs = self._pad(q, k, v)
        inputs += bias
        if self.masks_frames:
            inputs += self._mask(inputs)
        [y] = self.add("attended", inputs, heads, names=("y",), copies=True)
        d, e = self.widths
        return self.add("narrowed", [y, v], heads)[0] if d > e else y

    def _bias(self, q: int) -> list[int]:
        """Return the sum of the biases, with zeros for a class token."""
        biases, heads, token = self.lines.biases, Layout(HEADS), self.form.token
        if not biases:
            return []
        if token and any(b.layer.takes_queries for b in biases):
            [q] = self.add("without_token", [q], heads)
        values: list[int] = []
        for number, bias in enumerate(biases):
            given = [q] if bias.layer.takes_queries else []
            names = ("bias",) if len(biases) == 1 and not token else ()
            values += self.add("bias", given, heads, names=names, number=number)
        if len(values) > 1:
            values = self.add("summed", values, heads, names=() if token else ("bias",))
        return self.add("beside_token", values, heads, names=("bias",)) if token else values

    @property
    def widths(self) -> tuple[int, int]:
        """Channels of a head of queries and of values; those of values twice where no fused kernel takes both."""
        d, e = self.layer.widths
        return (d, e) if self.layer.score != DOT_PRODUCT else (e, e)

    @property
    def masks_frames(self) -> bool:
        """True if a mask hides later frames; along time alone, without biases, the kernel itself does."""
        return self.layer.causal and (self.layer.axes != "t" or bool(self.lines.biases))

    def _pad(self, q: int, k: int, v: int) -> list[int]:
        """Return queries, keys and values of one width, which fused kernels need; products have any."""
        heads = Layout(HEADS)
        d, e = self.widths
        if d > e:
            return [q, k, *self.add("padded", [v, q], heads, names=("v",), copies=True)]
        if d < e:  # queries grow, too, as the kernel divides by √e
            [q] = self.add("padded_queries", [q, v], heads, names=("q",), copies=True)
            return [q, *self.add("padded", [k, v], heads, names=("k",), copies=True), v]
        return [q, k, v]

    def _mask(self, inputs: list[int]) -> list[int]:
        """Return the mask that hides later frames, in place of the bias if there is one."""
        frames = self.measured[0]
        rows = [self.add("frames_of", [x, frames], Layout(""))[0] for x in inputs[:2]]
        [seen] = self.add("not_later", rows, Layout(HEADS), names=("seen",))
        if len(inputs) == 3:
            return [seen]
        bias = inputs.pop()
        return self.add("hidden", [bias, seen], Layout(HEADS), names=("bias",))

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


class _Ends:
    """The last step before attention: queries, keys and values of each group, with their heads."""

    def __init__(self, steps: Operations) -> None:
        self.steps, self.form = steps, steps.form
        self.made: dict[str, int] = {}

    def run(self) -> tuple[int, int, int]:
        """Return queries, keys and values in the layout `HEADS`."""
        steps, branches = self.steps, self.steps.lines.branches
        for number, value in steps.products.items():
            self._product(number, value)
        singles: dict[str, int] = {}
        for letter in "qkv":
            same = next((n for n in singles if branches[n] == branches[letter]), "")
            if letter not in self.made and not same:
                singles[letter] = self._whole(steps.values[branches[letter]], letter)
        self.measure(singles)
        kinds: dict[tuple[Layout, str], list[str]] = {}
        for letter, value in singles.items():
            kinds.setdefault((steps.layouts[value], self._heads(letter)), []).append(letter)
        for (layout, heads), letters in kinds.items():
            self._single(layout, heads, letters, singles)
        tied = {branches[n]: value for n, value in self.made.items()}
        q, k, v = (tied[branches[n]] for n in "qkv")
        return q, k, v

    def _heads(self, letter: str) -> str:
        return "self.kv_heads" if letter != "q" and self.steps.layer.kv_heads else "self.heads"

    def _way(self, letter: str) -> str:
        """Return the method that divides a branch into groups; empty if that is a matter of patterns."""
        form = self.form
        keys = "_keys" if form.strided and letter != "q" else ""
        if form.is_split:
            return "split" + keys
        return "windows.split" + keys if form.kind == "windows" and not form.cut_first else ""

    def _cut(self, value: int, way: str) -> int:
        if not way:
            return value
        layout = self.steps.layouts[value]._replace(order=ROWS)
        return self.steps.add("cut", [value], layout, copies=True, way=way)[0]

    def _whole(self, value: int, letter: str) -> int:
        """Return a branch in one of the layouts from which a pattern makes heads."""
        steps, way = self.steps, self._way(letter)
        value = steps.join_token(value)
        layout = steps.layouts[value]
        order = layout.order
        if self.form.is_split or (self.form.token and order not in (ROWS, EACH[1])):
            order = ROWS
        elif way:
            order = LAST
        value = steps.turn(value, order, apart=layout.apart and not way)
        return self._cut(value, way)

    def _target(self, order: str) -> str:
        return "b n m d" if order in (ROWS, EACH[1]) else f"{self.form.batch} n {self.form.group} d"

    def _product(self, number: int, value: int) -> None:
        steps = self.steps
        letters = [n for n in "qkv" if steps.lines.branches[n].application == number]
        parts = [steps.lines.branches[n].part for n in letters]
        ways, heads = {self._way(n) for n in letters}, {self._heads(n) for n in letters}
        stack = steps.layouts[value].stack
        if len(ways) > 1 or len(heads) > 1 or sorted(parts) != list(range(stack)):
            layout = steps.layouts[value]._replace(stack=1)
            own = steps.lines.applications[number].letters
            made = steps.add("parted", [value], *[layout] * stack, names=tuple(own), count=stack)
            steps.values |= {Origin(number, i): part for i, part in enumerate(made)}
            return
        letters.sort(key=lambda n: steps.lines.branches[n].part)
        [way] = ways
        layout = steps.layouts[value]
        order = ROWS if self.form.is_split else LAST if way else layout.order
        value = steps.turn(value, order, apart=layout.apart and not way)
        if "q" in letters:
            self.measure({"q": value})
        value = self._cut(value, way)
        layout = steps.layouts[value]
        pattern = f"{layout.pattern} -> s {self._target(layout.order)}"
        [n] = heads
        outputs = [Layout(HEADS)] * stack
        made = steps.add("heads_of_parts", [value], *outputs, names=letters, pattern=pattern, stack=stack, n=n)
        self.made |= dict(zip(letters, made, strict=True))

    def measure(self, singles: dict[str, int]) -> None:
        """Add the sizes of the queries' grid, if they are not those of what enters."""
        form = self.form
        if not self.steps.measured and form.kind != "windows" and not form.token and "q" in singles:
            self.steps.measure(singles["q"])

    def _single(self, layout: Layout, heads: str, letters: list[str], values: dict[str, int]) -> None:
        """Make heads of some branches of one layout."""
        steps = self.steps
        if layout.apart and layout.order == ROWS:
            macro, pattern = "swapped", ""
        else:
            macro, pattern = "heads", f"{layout.pattern} -> {self._target(layout.order)}"
        given = [values[n] for n in letters]
        outputs = [Layout(HEADS)] * len(given)
        made = steps.add(macro, given, *outputs, names=letters, pattern=pattern, n=heads)
        self.made |= dict(zip(letters, made, strict=True))
        if len(letters) > 1:
            for letter, value in zip(letters, given, strict=True):
                self._name(value, letter)

    def _name(self, value: int, letter: str) -> None:
        for operation in self.steps.list:
            if operation.outputs == (value,) and not operation.names:
                operation.names = (letter,)


def _uses(lines: Lines) -> dict[Origin, list[int]]:
    """Return the applications that read each value."""
    found: dict[Origin, list[int]] = {}
    for number, application in enumerate(lines.applications):
        for origins in application.inputs:
            for origin in origins:
                found.setdefault(origin, []).append(number)
    return found
