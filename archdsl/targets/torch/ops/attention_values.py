"""The values of an attention with lines: operations that give them, and changes of their layout."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.targets.torch.ops.attention_layouts import (
    ALONE,
    CHANNELS_FIRST,
    EACH,
    EACH_ALONE,
    FIRST,
    IN_ROWS,
    LAST,
    OF_FRAMES,
    ROW_FIRST,
    ROW_LAST,
    ROWS,
    Layout,
    Operation,
    heads_in,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid, Tokens
    from archdsl.targets.torch.ops.attention_layouts import Form


class Values:
    """A list of operations in the making, with the layout of each value."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.list: list[Operation] = []
        self.layouts: list[Layout] = []
        self.turned: dict[tuple[int, Layout], int] = {}

    def add(
        self, macro: str, inputs: Sequence[int], *layouts: Layout, names: Sequence[str] = (), copies: bool = False,
        application: int = -1, **options: Any,
    ) -> list[int]:  # fmt: skip
        """Add an operation; return the numbers of the values that it gives."""
        outputs = tuple(range(len(self.layouts), len(self.layouts) + len(layouts)))
        self.layouts += layouts
        self.list.append(Operation(macro, tuple(inputs), outputs, tuple(names), options, application, copies))
        return list(outputs)

    def turn(self, value: int, order: str, *, apart: bool = False, few: bool = False, beside: bool = False) -> int:
        """Return a value in another layout; `beside` lets tokens go by, `few` is of heads that are taken apart."""
        if not beside:
            value = self.join_token(value)
        layout = self.layouts[value]
        wanted = layout._replace(order=order, apart=apart, few=apart and (layout.few if layout.apart else few))
        if layout == wanted:
            return value
        key = value, wanted
        if key not in self.turned:
            self.turned[key] = self._turn(value, layout, wanted)
        return self.turned[key]

    def _turn(self, value: int, layout: Layout, wanted: Layout) -> int:
        assert layout.order not in IN_ROWS or wanted.order in IN_ROWS, "a row of positions has no sizes"
        if wanted.order in (ROW_LAST, ROW_FIRST) and layout.order in (LAST, FIRST):  # a grid becomes a row first
            value = self.turn(value, ROWS, apart=layout.apart, few=layout.few, beside=True)
            return self.turn(value, wanted.order, apart=wanted.apart, few=wanted.few, beside=True)
        inside = {*CHANNELS_FIRST, *EACH} & {layout.order, wanted.order}  # the heads are not beside the channels
        heads = (layout if layout.apart else wanted).heads
        is_alone = layout.order in (ALONE, EACH_ALONE)
        if not (layout.apart or wanted.apart) or (layout.apart == wanted.apart and (is_alone or not inside)):
            return self.add("ordered", [value], wanted, source=layout.order, target=wanted.order)[0]
        if inside or (layout.stack > 1 and layout.order == wanted.order):
            positions = "m" if layout.order in IN_ROWS else "(t h w)"
            patterns = f"{layout.pattern} -> {wanted.pattern.replace('m', positions)}"
            stack = layout.stack if layout.stack > 1 else None
            copies = layout.is_copied_to(wanted)
            n = heads_in(patterns, f"self.{heads}")
            return self.add("rearranged", [value], wanted, copies=copies, pattern=patterns, stack=stack, n=n)[0]
        value = self.turn(value, wanted.order, apart=layout.apart, beside=layout.token >= 0)
        return self.add("apart" if wanted.apart else "together", [value], wanted, n=heads)[0]

    def part_token(self, value: int, x: Grid, tokens: Tokens) -> int:
        """Return the grid of a value, of size `x`, whose tokens go by."""
        key, layout = (value, Layout("grid")), self.layouts[value]
        if layout.token < 0 and layout.order in IN_ROWS and key not in self.turned:
            (t, h, w), dim = map(int, x.size), 1
            size = (t, h, w)
            if tokens.scope == FRAME:
                size, dim = (h, w), 2
            token, grid = self.add(
                "parted_token", [value], layout, layout, names=("token", "grid"), size=prod(size), token=tokens.number,
                dim=dim,
            )  # fmt: skip
            place = layout._replace(order=EACH[0] if layout.order in EACH else LAST, token=token)
            self.turned[key] = self.add("unflattened", [grid], place, size=size, dim=dim)[0]
        return self.turned.get(key, value)

    def on_grid(self, macro: str, value: int, x: Grid, tokens: Tokens, *, copies: bool = False, **options: Any) -> int:
        """Return a value of size `x` whose positions another operation has changed, beside the same tokens."""
        grid = self.part_token(value, x, tokens)
        return self.join_token(self.add(macro, [grid], self.layouts[grid], copies=copies, **options)[0])

    def join_token(self, value: int) -> int:
        """Return a value with the tokens that went by, if there are any."""
        token = self.layouts[value].token
        if token < 0:
            return value
        layout = self.layouts[token]
        order = EACH[0] if layout.order in EACH else LAST
        value = self.turn(value, order, apart=layout.apart, few=layout.few, beside=True)
        first = 2 if layout.order in OF_FRAMES else 1
        return self.add("with_token", [token, value], layout, copies=True, first=first)[0]
