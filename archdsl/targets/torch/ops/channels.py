from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Sym
from archdsl.layers.base import known_to_be
from archdsl.layers.channels import Channels
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import ANY_LAYOUT, CHANNELS_LAST, TOKENS

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite

MOST_PARTS = 4  # that a value is cut into for one of them


@op("channels")
class ChannelsOp(Op[Channels]):
    """A slice, where its numbers are constants, so that blocks of several widths share a class.

    Numbers that follow from those of a block make it one of few equal parts, or else a module.
    """

    layouts = ANY_LAYOUT

    @property
    def is_module(self) -> bool:
        return self._varies and self._part is None

    @property
    def _varies(self) -> bool:
        return any(isinstance(n, Sym) for n in (self.layer.start, self.layer.n))

    @property
    def _part(self) -> tuple[int, int] | None:
        """The number of equal parts of which it is one, and its own number; None if they are many or differ."""
        channels, start, n = (int(i) for i in (self.inputs[0].channels, self.layer.start, self.layer.n))
        is_one = self._varies and channels % n == start % n == 0 and channels // n <= MOST_PARTS
        return (channels // n, start // n) if is_one else None

    def class_signature(self) -> tuple[Any, ...]:
        return super().class_signature() if self._part is None else self._part

    @property
    def is_view(self) -> bool:
        return True

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer = self.layer
        stop = layer.n if known_to_be(layer.start, 0) else layer.start + layer.n
        last = site.layout in (CHANNELS_LAST, TOKENS)
        parts, part = self._part or (None, None)
        found = {"start": layer.start, "stop": stop, "last": last, "is_module": self.is_module}
        return {**found, "parts": parts, "part": part}
