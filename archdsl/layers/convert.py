from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import ANY_LAYOUT, Layer, Saved, Use, layer

if TYPE_CHECKING:
    from archdsl.core.grid import Grid


@layer("convert", category="layout")
class Convert(Layer):
    """Brings a value from one layout in memory to another; the layout pass puts it in."""

    internal = True
    layouts = ANY_LAYOUT
    after: str

    def output_layout(self, layout: str, *inputs: Grid) -> str:
        return self.after

    def is_view(self, *inputs: Grid) -> bool:
        return True

    def saved(self, use: Use) -> Saved:
        return Saved()

    def plan(self, use: Use) -> dict[str, Any]:
        return {"before": use.layout, "after": self.after}
