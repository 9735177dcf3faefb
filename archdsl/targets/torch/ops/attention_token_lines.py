"""LayerSteps of a class token's own lines, with which it looks once at all positions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.layers.attention_arguments import TOKEN
from archdsl.layers.attention_facts import widths_of_token
from archdsl.layers.attention_token_lines import has_token_lines, of_tokens_alone
from archdsl.targets.torch.ops.attention_between import Attending
from archdsl.targets.torch.ops.attention_ends import Ends
from archdsl.targets.torch.ops.attention_layouts import HEADS, ROWS, Layout
from archdsl.targets.torch.ops.attention_patterns import patterns

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.attention_layers import LayerSteps


class OfToken(Attending):
    """Attention of a class token to all positions, which lie in one group."""

    name = "token"

    def __init__(self, steps: LayerSteps, key_heads: int) -> None:
        super().__init__(steps, "thw")
        self.key_heads = key_heads


class OwnLines:
    """The lines `token_q`, `token_k` and `token_v` of a class token."""

    def __init__(self, steps: LayerSteps) -> None:
        self.steps = steps
        self.are_there = has_token_lines(steps.lines)

    def run(self) -> int:
        """Return the result of the token, in the layout `HEADS`."""
        steps = self.steps
        for number in steps.later:
            steps.apply(number)
        _, batch, group = patterns("thw")
        form = replace(steps.form, kind="whole", strided=False, batch=batch, group=group)
        q, k, v = Ends(steps, form, TOKEN).run()
        if not of_tokens_alone(steps.lines):
            [q] = steps.add("token_alone", [q], Layout(HEADS))
        attending = OfToken(steps, steps.layer.kv_heads)
        attending.widths = widths_of_token(steps.layer)
        return attending.finish(attending.attend(attending.prepare(q, k, v)), v)

    def replace(self, y: int) -> int:
        """Return the result in rows with that of the token in place of the means of its groups."""
        steps = self.steps
        pattern = "b n m d -> b m (n d)"
        [token] = steps.add("rearranged", [self.run()], Layout(ROWS), pattern=pattern, stack=None, n="", copies=True)
        [rest] = steps.add("rows_without_token", [y], Layout(ROWS))
        return steps.add("rows_beside_token", [token, rest], Layout(ROWS), copies=True)[0]
