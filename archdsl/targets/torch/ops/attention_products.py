"""Products that give several branches of an attention, parted or kept together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.attention_lines import OUTSIDE, RESULT, Origin, X
from archdsl.layers.attention_token_lines import after_positions, of_tokens_alone
from archdsl.targets.torch.ops.attention_layouts import (
    CHANNELS_FIRST,
    EACH,
    IN_ROWS,
    LAST,
    ROW_LAST,
    ROWS,
    Layout,
    form_of,
)  # fmt: skip
from archdsl.targets.torch.ops.attention_values import Values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid, Tokens
    from archdsl.layers.attention import Attention
    from archdsl.layers.attention_lines import Application, Lines
    from archdsl.targets.torch.ops.base import Op


class ProductSteps(Values):
    """A list of operations in the making: products, whose parts are branches."""

    def __init__(self, layer: Attention, inputs: Sequence[Grid], ops: Sequence[Op[Any]]) -> None:
        super().__init__(form_of(layer, inputs))
        self.layer, self.lines, self.inputs, self.ops = layer, layer.lines, inputs, ops
        self.values: dict[Origin, int] = {}
        self.joined: dict[tuple[Origin, ...], int] = {}  # parts of a product that stay together
        self.channels_first: dict[str, bool] = {}  # whether layers take channels before positions, by name
        self.beside: dict[str, list[int]] = {}  # tokens that go by each part of a layer, where they are not alike
        self.products: dict[int, int] = {}  # products whose parts are queries, keys and values as they are
        self.uses = _uses(self.lines)
        self.flat = self.form.flat or self.form.cut_first  # layers see positions in one row
        self.rows = of_tokens_alone(self.lines)  # layers that see the rows of tokens alone
        self.later = after_positions(self.lines)
        self.widens = False  # the bias becomes further channels of queries and keys
        self.measured: list[int] = []
        self.frames = -1

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
        value = self._with_channels_last(self.join_token(value))
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
        is_apart = not layout.apart and len(heads) == 1 and any(sees_heads(self.lines.applications[n]) for n in users)
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

    def _with_channels_last(self, value: int) -> int:
        layout = self.layouts[value]
        if layout.order not in (*CHANNELS_FIRST, ROW_LAST):
            return value
        return self.turn(value, ROWS if layout.order in IN_ROWS else LAST, apart=layout.apart)

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


def sees_heads(application: Application) -> bool:
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
