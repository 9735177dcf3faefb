from __future__ import annotations

from archdsl.layers.base import GRID, Layer, Saved, Use, layer


@layer("channels_last", category="layout")
class ChannelsLast(Layer):
    """Puts the channels of a clip last in memory; its shape stays. The pass of the same name puts it in."""

    internal = True
    layouts = (GRID,)

    def saved(self, use: Use) -> Saved:
        return Saved()
