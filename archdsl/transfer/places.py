"""Places of tensors: the layer of each, and its name by the order of blocks.

The name of a block in the state dict depends on its neighbours: those of a row alone are numbered (`res4.0`), those of
a row beside other layers are below `blocks` (`res4.blocks.0`), a single one has no number. A variant that puts
something beside a row therefore renames the row. Where two networks differ in this, both get *names by order*: the
blocks of a region are numbered from 0 in the order of data flow, whatever stands beside and around them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from archdsl.analysis.export import plain_values
from archdsl.ir.regions import Block, BlockRow, Shortcut, around
from archdsl.ir.tensors import own_tensors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.ir.network import Network, Node
    from archdsl.ir.regions import Region
    from archdsl.layers.axes import Axis

Form = frozenset[tuple[str, str]]
INDEX = re.compile(r"(?<=\.)\d+(?=\.|$)")


class Place(NamedTuple):
    """The layer that a tensor belongs to, and the tensor's name in it."""

    node: Node
    name: str
    shape: tuple[int, ...]
    axes: tuple[Axis, ...] | None = None  # if they are others than its layer declares


def axes_of(place: Place) -> tuple[Axis, ...] | None:
    """Return the meaning of each axis of a tensor; None if its layer does not declare it."""
    if place.axes is not None:
        return place.axes
    axes = place.node.layer.tensor_axes(*place.node.input_shapes).get(place.name, () if not place.shape else None)
    return axes if axes is not None and len(axes) == len(place.shape) else None


def places(network: Network) -> dict[str, Place]:
    """Return every tensor of the state dict by name, in the order of data flow."""
    found = (Place(node, name, shape) for node in network.all_nodes() for name, shape in own_tensors(node).items())
    return {full_name(place): place for place in found}


def full_name(place: Place) -> str:
    """Return the name of a tensor in the state dict."""
    return f"{place.node.name}.{place.name}"


def form(place: Place) -> Form:
    """Return the features of a tensor that blocks are compared by: its shape, and the attributes of its layer."""
    values = plain_values(place.node.layer)
    return frozenset({("", str(place.shape)), *((k, repr(v)) for k, v in values.items())})


def names_by_order(base: Mapping[str, Place], ours: Mapping[str, Place]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names by order of the tensors of two networks, by name.

    A name stays where both networks name the blocks of a region in the same way, and where one only has more of them.
    """
    one, other = _BlockNames(base.values()), _BlockNames(ours.values())
    changed = {
        region
        for region in one.labels.keys() & other.labels.keys()
        if (mine := other.labels[region]) - one.labels[region] and one.labels[region] - mine
    }
    return (
        {name: one.name(place, changed) if changed else name for name, place in base.items()},
        {name: other.name(place, changed) if changed else name for name, place in ours.items()},
    )


class _BlockNames:
    """The numbers by order of a network's blocks, and the labels of the blocks of each region."""

    def __init__(self, tensors: Iterable[Place]) -> None:
        self.labels: dict[str, set[str]] = {}  # by the region's key
        self._numbers: dict[int, int] = {}  # by the block's id
        for place in tensors:
            for region in reversed([*around(place.node.region)]):
                if isinstance(region, Block) and not region.explicit and id(region) not in self._numbers:
                    self._number(_holder(region))

    def _number(self, region: Region) -> None:
        labels = self.labels.setdefault(self._key(region), set())
        members = [b for i in region.inner for b in (i.items if isinstance(i, BlockRow) else [i])]
        blocks = [b for b in members if isinstance(b, Block) and not b.explicit]
        for number, block in enumerate(blocks):
            self._numbers[id(block)] = number
            labels.add(_pattern(block.name[len(region.name) :]))

    def _key(self, region: Region) -> str:
        """Return a name that the regions of all blocks of a row share, whatever stands beside the row."""
        return _pattern(self._prefix(region, None))

    def _prefix(self, region: Region, changed: set[str] | None) -> str:
        """Return the name of a region, with blocks by order: everywhere, or in the regions with the keys `changed`."""
        if isinstance(region, BlockRow):
            inner = self._prefix(region.parent, changed)
            is_kept = changed is not None and self._key(region.parent) not in changed
            return f"{inner}.{region.label}" if is_kept else inner
        if not isinstance(region, Block | Shortcut):
            return region.name
        label, number = region.label, self._numbers.get(id(region))
        if number is not None and (changed is None or self._key(_holder(region)) in changed):
            label = str(number)
        return ".".join(part for part in (self._prefix(region.parent, changed), label) if part)

    def name(self, place: Place, changed: set[str]) -> str:
        """Return the name of a tensor, with blocks by order in the regions with the keys `changed`."""
        parts = (self._prefix(place.node.region, changed), place.node.label, place.name)
        return ".".join(part for part in parts if part)


def _holder(region: Block | Shortcut) -> Region:
    """Return the region that a block is in; for the blocks of a row, that of the row."""
    return region.parent.parent if isinstance(region.parent, BlockRow) else region.parent


def _pattern(name: str) -> str:
    """Return a name without the numbers of blocks."""
    return INDEX.sub("#", name)
