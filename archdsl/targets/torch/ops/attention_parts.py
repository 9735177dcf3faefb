"""Attention of parts of the heads, each along axes of its own (ViViT, model 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.layers.attention_arguments import LETTERS
from archdsl.layers.attention_lines import Origin
from archdsl.layers.groups import AXES
from archdsl.targets.torch.ops.attention_between import Attending
from archdsl.targets.torch.ops.attention_layouts import HEADS, LAST, Layout
from archdsl.targets.torch.ops.attention_patterns import patterns

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.attention_layers import LayerSteps

ORDINALS = ("first", "second", "third", "fourth")


class Parts:
    """Equal parts of the heads, which attend one after another; their results are joined."""

    def __init__(self, steps: LayerSteps) -> None:
        self.steps, self.layer, self.branches = steps, steps.layer, steps.lines.branches
        self.over = [AXES[name] for name in self.layer.lines.between.over]
        self.number = len(self.over)
        self.names = [*ORDINALS, *(f"part{i}" for i in range(5, self.number + 1))][: self.number]
        self.values: dict[str, list[int]] = {}  # of letters together: a value for each part
        self.patterns: dict[str, str] = {}  # the axes of these values

    def run(self) -> int:
        """Return the results of all heads, in the layout `LAST`."""
        for number, value in self.steps.products.items():
            self._divide_product(number, value)
        for letter in LETTERS:
            if self._holder(letter) == letter and letter not in "".join(self.values):
                self._divide(letter)
        results = [self._part(index, axes) for index, axes in enumerate(self.over)]
        return self.steps.add("stacked", results, Layout(LAST), copies=True)[0]

    def _holder(self, letter: str) -> str:
        """Return the first letter whose branch is the same value."""
        return next(n for n in LETTERS if self.branches[n] == self.branches[letter])

    def _heads(self, letter: str) -> tuple[str, int]:
        """Return the number of heads of a branch, and into how many parts they are divided: 1 if they cannot be."""
        is_shared = letter != "q" and self.layer.kv_heads > 0
        number = self.layer.kv_heads if is_shared else self.layer.heads
        return "self.kv_heads" if is_shared else "self.heads", 1 if number % self.number else self.number

    def _divide_product(self, number: int, value: int) -> None:
        steps = self.steps
        letters = [n for n in LETTERS if self.branches[n].application == number and self._holder(n) == n]
        letters.sort(key=lambda n: self.branches[n].part)
        stack, layout = steps.layouts[value].stack, steps.layouts[value]
        if [self.branches[n].part for n in letters] == list(range(stack)) and len({*map(self._heads, letters)}) == 1:
            self._chunk("".join(letters), value, self.names)
            return
        own = steps.lines.applications[number].parts
        made = steps.add("parted", [value], *[layout._replace(stack=1)] * stack, names=tuple(own), count=stack)
        steps.values |= {Origin(number, i): part for i, part in enumerate(made)}

    def _divide(self, letter: str) -> None:
        value = self.steps.values[self.branches[letter]]
        self._chunk(letter, value, [f"{letter}{i + 1}" for i in range(self.number)])

    def _chunk(self, letters: str, value: int, names: list[str]) -> None:
        """Divide the heads of a value."""
        steps, layout = self.steps, self.steps.layouts[value]
        value = steps.turn(value, LAST, apart=layout.apart or layout.is_by_head, few=layout.few)
        if letters[0] == "q" and not steps.measured:
            steps.measure(value)
        layout, (_, share) = steps.layouts[value], self._heads(letters[0])
        self.patterns[letters], made = layout.pattern, [value] * self.number
        outputs, names = [layout] * share, names[:share]
        if share > 1 and layout.stack > 1 and not layout.apart:
            self.patterns[letters] = layout.pattern.replace("(s n d)", "s (n d)")
            made = steps.add("apart_by_part", [value], *outputs, names=names, stack=layout.stack, count=share)
        elif share > 1:
            axis = -2 if layout.apart else -1
            made = steps.add("chunks", [value], *outputs, names=names, count=share, axis=axis)
        self.values[letters] = made

    def _part(self, index: int, axes: str) -> int:
        """Return the result of one part of the heads, in the layout `LAST`."""
        steps, layer, heads = self.steps, self.layer, Layout(HEADS)
        _, batch, group = patterns(axes)
        ends: dict[str, int] = {}
        for letters, values in self.values.items():
            name, share = self._heads(letters[0])
            n = f"{name} // {share}" if share > 1 else name
            stack = "s " if len(letters) > 1 else ""
            pattern = f"{self.patterns[letters]} -> {stack}{batch} n {group} d"
            made = steps.add(
                "heads_of_parts" if stack else "heads", [values[index]], *[heads] * len(letters), names=[*letters],
                pattern=pattern, stack=len(letters), n=n, along=axes,
            )  # fmt: skip
            ends |= dict(zip(letters, made, strict=True))
        attending = Attending(steps, axes)
        _, share_of_keys = self._heads("k")
        attending.scale = f".chunk({self.number})[{index}]"
        attending.key_heads = layer.kv_heads // share_of_keys
        if layer.kv_heads > 1 and share_of_keys == 1:
            self._share(ends, index, attending)
        q, k, v = (ends[self._holder(n)] for n in LETTERS)
        pattern = f"{batch} n {group} d -> b t h w (n d)"
        y = attending.run(q, k, v)
        return steps.add(
            "gridded", [y, *steps.measured], Layout(LAST), names=(self.names[index],), pattern=pattern, axes="thw",
            along=axes,
        )[0]  # fmt: skip

    def _share(self, ends: dict[str, int], index: int, attending: Attending) -> None:
        """Repeat keys and values for all heads, of which a part is taken."""
        attending.key_heads = 0
        for letter, value in ends.items():
            if letter != "q":
                [whole] = self.steps.add("repeated", [value], Layout(HEADS), names=(letter,), copies=True)
                [ends[letter]] = self.steps.add(
                    "part_of_heads", [whole], Layout(HEADS), names=(letter,), count=self.number, index=index
                )
