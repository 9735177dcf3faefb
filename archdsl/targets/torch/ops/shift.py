from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import known_to_be
from archdsl.layers.shift import REPEAT, Shift
from archdsl.targets.torch.ops.base import Op, op
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID

if TYPE_CHECKING:
    from archdsl.targets.torch.ops.sites import CallSite

LATER, EARLIER, REST = "later", "earlier", "rest"


@op("shift")
class ShiftOp(Op[Shift]):
    """A split, paddings and a concatenation: so are their gradients, where those of slices are full of zeros."""

    layouts = (GRID, CHANNELS_LAST)
    saves_inputs = False

    @property
    def _parts(self) -> tuple[str, ...]:
        """The parts of the channels: an empty one would cost the order in memory."""
        channels, layer = self.inputs[0].channels, self.layer
        counts = {LATER: layer.next, EARLIER: layer.earlier, REST: channels - layer.next - layer.earlier}
        return tuple(name for name, count in counts.items() if count)

    def class_signature(self) -> tuple[Any, ...]:
        return self._parts, known_to_be(self.layer.distance, 1)

    def output_is_free(self, *, trains: bool) -> bool:
        return True

    def variables(self, site: CallSite) -> dict[str, Any]:
        layer, parts = self.layer, self._parts
        return {
            "later": layer.next if LATER in parts else None,
            "earlier": layer.earlier if EARLIER in parts else None,
            "rest": REST in parts,
            "distance": None if known_to_be(layer.distance, 1) else layer.distance,
            "repeat": layer.ends == REPEAT,
            "last": site.layout == CHANNELS_LAST,
        }
