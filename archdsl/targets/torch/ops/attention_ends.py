"""The last operations before attention: queries, keys and values of each group, with their heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attention_arguments import LETTERS
from archdsl.layers.attention_lines import Origin
from archdsl.targets.torch.ops.attention_layouts import (
    FRAMES,
    HEADS,
    IN_ROWS,
    OF_FRAMES,
    ROWS,
    Layout,
    heads_in,
    order_of,
)  # fmt: skip

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.attention_layers import LayerSteps
    from archdsl.targets.torch.ops.attention_layouts import Form


class Ends:
    """The last step before attention: queries, keys and values of each group, with their heads.

    Args:
        steps: operations so far.
        form: of what follows.
        prefix: of the names of the branches, such as `token_`.
    """

    def __init__(self, steps: LayerSteps, form: Form | None = None, prefix: str = "") -> None:
        self.steps, self.form = steps, form or steps.form
        self.branches = {letter: steps.lines.branches[prefix + letter] for letter in LETTERS}
        self.made: dict[str, int] = {}

    def run(self) -> tuple[int, int, int]:
        """Return queries, keys and values in the layout `HEADS`."""
        steps, branches = self.steps, self.branches
        if self.form.of_frames and steps.frames < 0:
            steps.count_frames(steps.turn(steps.values[branches["q"]], order_of(steps.lines.shapes["q"])))
        for number, value in steps.products.items():
            if letters := [n for n in LETTERS if branches[n].application == number]:
                self._product(number, value, letters)
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

    def _cut(self, value: int, letter: str) -> int:
        """Return a branch in groups, if a method divides it."""
        steps, way = self.steps, self.form.way(letter)
        if not way:
            return value
        order = order_of(steps.lines.shapes[letter])
        value = steps.turn(value, order)
        layout = steps.layouts[value]._replace(order=ROWS)
        if order == FRAMES:
            [value] = steps.add("merged", [value], layout)
        return steps.add("cut", [value], layout, copies=True, way=way)[0]

    def _whole(self, value: int, letter: str) -> int:
        """Return a branch in one of the layouts from which a pattern makes heads."""
        steps = self.steps
        value = steps.join_token(value)
        return self._cut(value, letter)

    def _target(self, order: str) -> str:
        if order in OF_FRAMES:
            return "(b t) n m d"
        return "b n m d" if order in IN_ROWS else f"{self.form.batch} n {self.form.group} d"

    def _pattern(self, layout: Layout, stack: str = "") -> str:
        """Return the pattern that makes heads of a value."""
        return f"{layout.pattern.replace('t h w', self.form.grid)} -> {stack}{self._target(layout.order)}"

    def _product(self, number: int, value: int, letters: list[str]) -> None:
        steps = self.steps
        parts = [self.branches[n].part for n in letters]
        ways, heads = {self.form.way(n) for n in letters}, {self._heads(n) for n in letters}
        stack = steps.layouts[value].stack
        if len(ways) > 1 or len(heads) > 1 or sorted(parts) != list(range(stack)):
            layout = steps.layouts[value]._replace(stack=1)
            own = steps.lines.applications[number].parts
            made = steps.add("parted", [value], *[layout] * stack, names=tuple(own), count=stack)
            steps.values |= {Origin(number, i): part for i, part in enumerate(made)}
            return
        letters.sort(key=lambda n: self.branches[n].part)
        if "q" in letters:
            self.measure({"q": value})
        value = self._cut(value, letters[0])
        self._name(value, steps.lines.applications[number].letters)
        layout = steps.layouts[value]
        pattern = self._pattern(layout, "s ")
        [n] = heads
        outputs = [Layout(HEADS)] * stack
        n = heads_in(pattern, n)
        made = steps.add("heads_of_parts", [value], *outputs, names=letters, pattern=pattern, stack=stack, n=n)
        self.made |= dict(zip(letters, made, strict=True))

    def measure(self, singles: dict[str, int]) -> None:
        """Add the sizes of the queries' grid, if they are not those of what enters."""
        form = self.form
        if not self.steps.measured and form.kind != "windows" and not form.of("q") and "q" in singles:
            self.steps.measure(singles["q"])

    def _single(self, layout: Layout, heads: str, letters: list[str], values: dict[str, int]) -> None:
        """Make heads of some branches of one layout."""
        steps = self.steps
        if layout.apart and layout.order == ROWS:
            macro, pattern = "swapped", ""
        else:
            macro, pattern = "heads", self._pattern(layout)
        given = [values[n] for n in letters]
        outputs = [Layout(HEADS)] * len(given)
        made = steps.add(macro, given, *outputs, names=letters, pattern=pattern, n=heads_in(pattern, heads))
        self.made |= dict(zip(letters, made, strict=True))
        if len(letters) > 1:
            for letter, value in zip(letters, given, strict=True):
                self._name(value, letter)

    def _name(self, value: int, letter: str) -> None:
        for operation in self.steps.list:
            if operation.outputs == (value,) and not operation.names:
                operation.names = (letter,)
