"""Attention in a band: positions see others within a distance, and a class token sees all and is seen by all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.torch.ops.attention_between import Attending
from archdsl.targets.torch.ops.attention_layouts import HEADS, Layout
from archdsl.targets.torch.ops.attention_token_lines import OfToken, OwnLines

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.attention_layers import LayerSteps


class InBand(Attending):
    """Attention of positions to those within a distance, by a shared module that attends in chunks."""

    way = "band"

    def attend(self, inputs: list[int]) -> int:
        return self.steps.add(
            "attended", inputs, Layout(HEADS), names=(self.name,), copies=True, way=self.way, along=self.axes,
            key_heads=0, widths=self.widths,
        )[0]  # fmt: skip


class TokenApart:
    """Attention of positions as in another form, and of a class token to all positions.

    Args:
        steps: operations so far.
        positions: attention of the positions, to others and to the token.
    """

    def __init__(self, steps: LayerSteps, positions: Attending) -> None:
        self.steps, self.positions = steps, positions
        positions.sees_token = False

    def run(self, q: int, k: int, v: int) -> int:
        """Return the result, in the layout `HEADS`: that of the token, then that of the positions."""
        heads, own = Layout(HEADS), OwnLines(self.steps)
        bias = self.positions.bias(q)
        all_queries, *others = self.positions.prepare(q, k, v)
        [queries] = self.steps.add("without_token", [all_queries], heads)
        y = self.positions.attend([queries, *others, *bias])
        if own.are_there:
            y = self.positions.finish(y, v)
            return self.steps.add("beside_positions", [own.run(), y], heads, names=("y",), copies=True)[0]
        [queries] = self.steps.add("token_alone", [all_queries], heads)
        token = OfToken(self.steps, self.positions.key_heads).attend([queries, *others])
        [y] = self.steps.add("beside_positions", [token, y], heads, names=("y",), copies=True)
        return self.positions.finish(y, v)
