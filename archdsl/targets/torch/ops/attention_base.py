"""The parts of an attention: the ops of its layers and biases, and the operations of its code."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import CLIP, Grid
from archdsl.layers.attention import Attention
from archdsl.layers.attention_token_lines import applied
from archdsl.targets.torch.ops.attention_steps import Operations
from archdsl.targets.torch.ops.base import Op
from archdsl.targets.torch.ops.decomposed import DISTANCES
from archdsl.targets.torch.ops.head_conv import TAPS
from archdsl.targets.torch.ops.layouts import KEPT

if TYPE_CHECKING:
    from typing import Self

    from archdsl.layers.attention_lines import Application, BiasLine
    from archdsl.layers.base import Layer


class BaseAttention(Op[Attention]):
    """Base class of the op of attention: what its code is made of."""

    @cached_property
    def parts(self) -> list[tuple[Application, Op[Any]]]:
        """The ops of the lines' layers; a layer that heads share can be one for all heads."""
        found = [(a, _op_of(a)) for a in applied(self.layer.lines)]
        return [(a, op.with_form(TAPS) if TAPS in self.forms & op.other_forms() else op) for a, op in found]

    @cached_property
    def biases(self) -> list[tuple[BiasLine, Op[Any]]]:
        """The ops of the biases."""
        from archdsl.targets.torch.select import op_of

        found = [(b, op_of(b.layer, (), self.output)) for b in self.layer.lines.biases]
        return [(b, op.with_form(DISTANCES)) if DISTANCES in self.forms else (b, op) for b, op in found]

    @property
    def is_biased(self) -> bool:
        return bool(self.layer.lines.biases)

    @property
    def bias_takes_queries(self) -> bool:
        return any(b.layer.takes_queries for b in self.layer.lines.biases)

    @cached_property
    def operations(self) -> Operations:
        """The operations of its code."""
        return Operations(self.layer, self.inputs, [op for _, op in self.parts], widens=DISTANCES in self.forms)

    def of(self, layer: Layer) -> Self:
        return super().of(layer)._afresh()

    def with_form(self, name: str) -> Self:
        return super().with_form(name)._afresh()

    def _afresh(self) -> Self:
        for name in ("parts", "biases", "operations", "sizes"):  # which follow from the layer and the forms
            self.__dict__.pop(name, None)
        return self

    @property
    def others(self) -> list[str]:
        """The names of the values from outside."""
        return [f"other{i + 1}" if i else "other" for i in range(len(self.inputs) - 1)]


def _op_of(application: Application) -> Op[Any]:
    """Return the op of a layer of a line: for all heads and parts at once, where it has such code."""
    from archdsl.targets.torch.select import op_of

    a, parts, tokens = application, len(application.inputs), set(application.tokens)
    layer = a.layer.shared_by_heads(a.heads, parts) if a.by_head and a.layer.filters_channels(*a.shapes) else None
    of_clip = not tokens or (len(tokens) == 1 and a.tokens[0].scope == CLIP)
    if layer is None or a.stack != parts or not of_clip or a.is_by_position():
        own = op_of(a.layer, a.shapes, a.shape)
        return own.with_form(KEPT) if KEPT in own.other_forms() else own  # what follows reads a grid
    [x], y = a.shapes, a.shape
    beside = a.tokens[0] if a.tokens else x.tokens
    given, made = (Grid(g.channels * a.heads * parts, *g.size, beside) for g in (x, y))
    return op_of(layer, (given,), made)
