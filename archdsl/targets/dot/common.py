"""Settings that several boxes share, which stand once: in the title of their frame, or above the diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.targets.dot.boxes import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from archdsl.targets.dot.boxes import Box


def share_settings(items: Sequence[Box | Frame], boxes: Iterable[Box]) -> list[str]:
    """Move settings that all boxes of a block have to the text that is returned, those of a frame to its title."""
    notes: list[str] = []
    by_title: dict[str, list[Box]] = {}
    for box in boxes:
        if box.settings:
            by_title.setdefault(box.title, []).append(box)
    for title, same in by_title.items():
        if len(same) > 1 and (common := _taken(same)):
            notes.append(f"every {title}: {', '.join(common)}")
    for item in items:
        inside = list(_boxes_in(item))
        if isinstance(item, Frame) and len(inside) > 1 and len({(b.title, bool(b.settings)) for b in inside}) == 1:
            item.parts = _taken(inside)
    return notes


def _boxes_in(item: Box | Frame) -> Iterator[Box]:
    """Yield the boxes of blocks in an item."""
    if isinstance(item, Frame):
        for inner in item.items:
            yield from _boxes_in(inner)
    elif item.settings:
        yield item


def _taken(boxes: Sequence[Box]) -> list[str]:
    """Take the settings that some boxes have in common from each of them."""
    first = boxes[0].settings
    common = {k: v for k, v in first.items() if all(b.settings.get(k) == v for b in boxes)}
    for box in boxes:
        box.settings = {k: v for k, v in box.settings.items() if k not in common}
        box.parts = list(box.settings.values())
    return list(common.values())
