"""Layers of the same form under another name: a variant that adds a layer changes the numbers of its neighbours.

A second `conv` beside a first one makes `conv` to `conv1`; one in front of `conv1` makes it to `conv2`. Layers are
matched by their form (kind, attributes, shapes of the tensors), in the order of data flow: within a block whose layers
have other names than before, and then, among those that are left on both sides, within a stage.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from archdsl.transfer.places import form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from archdsl.ir.network import Node
    from archdsl.transfer.places import Place

Key = TypeVar("Key", int, str)


class _Layer(NamedTuple):
    node: Node
    form: tuple[object, ...]
    tensors: dict[str, str]  # names in the state dict, by names in the layer


def moved(origins: Mapping[str, str], base: Mapping[str, Place], ours: Mapping[str, Place]) -> dict[str, str]:
    """Return the origins that tensors have by form and not by name; empty for those that lose the one of their name.

    Args:
        origins: the origin of each tensor by name, empty if there is none; without tensors that a map is for.
        base: the tensors of the base.
        ours: the tensors of the network.
    """
    mover = _Mover(origins, _layers(base), _layers({name: ours[name] for name in origins}))
    mover.within_blocks()
    mover.within_parts()
    return mover.instead


class _Mover:
    def __init__(self, origins: Mapping[str, str], base: Sequence[_Layer], ours: Sequence[_Layer]) -> None:
        self.instead: dict[str, str] = {}
        self._base, self._ours = base, ours
        owners = {name: layer for layer in base for name in layer.tensors.values()}
        self._origin: dict[int, _Layer | None] = {}  # by our node
        for layer in ours:
            named = [origins[name] for name in layer.tensors.values()]
            self._origin[layer.node.id] = owners[named[0]] if named[0] else None
        exact = {k: o for layer in ours if (o := self._origin[k := layer.node.id]) and o.form == layer.form}
        self._kept = set(exact)
        self._used = {layer.node.id for layer in exact.values()}

    def within_blocks(self) -> None:
        """Match the layers of blocks, and of stages, whose layers have other names than in the base."""
        theirs: dict[int, int] = {}  # regions of the base, by ours
        for layer in self._ours:
            if origin := self._origin[layer.node.id]:
                theirs.setdefault(id(layer.node.region), id(origin.node.region))
        before, after = _grouped(self._base, lambda n: id(n.region)), _grouped(self._ours, lambda n: id(n.region))
        for region, layers in after.items():
            others = before.get(theirs.get(region, 0), [])
            if {x.node.label for x in layers} != {x.node.label for x in others}:
                self._match([x for x in others if x.node.id not in self._used], self._open(layers))

    def within_parts(self) -> None:
        """Match the layers that are left in a stage, a lateral or the head."""
        before = _grouped(self._base, lambda n: n.region.top.name)
        named = {layer.node.id for layer in self._origin.values() if layer}
        for part, layers in _grouped(self._ours, lambda n: n.region.top.name).items():
            others = [x for x in before.get(part, ()) if x.node.id not in self._used | named]
            self._match(others, [x for x in self._open(layers) if not self._origin[x.node.id]])

    def _open(self, layers: Iterable[_Layer]) -> list[_Layer]:
        return [layer for layer in layers if layer.node.id not in self._kept]

    def _match(self, before: Sequence[_Layer], after: Sequence[_Layer]) -> None:
        for other, layer in _same_forms(before, after):
            self._kept.add(layer.node.id)
            self._used.add(other.node.id)
            for user in self._ours:
                if self._origin[user.node.id] is other and user is not layer and user.node.id not in self._kept:
                    self._origin[user.node.id] = None
                    self.instead.update(dict.fromkeys(user.tensors.values(), ""))
            self._origin[layer.node.id] = other
            self.instead.update({name: other.tensors[own] for own, name in layer.tensors.items()})


def _same_forms(before: Sequence[_Layer], after: Sequence[_Layer]) -> Iterator[tuple[_Layer, _Layer]]:
    if not before or not after:
        return
    matcher = SequenceMatcher(None, [x.form for x in before], [x.form for x in after], autojunk=False)
    for block in matcher.get_matching_blocks():
        yield from zip(before[block.a : block.a + block.size], after[block.b : block.b + block.size], strict=True)


def _layers(places: Mapping[str, Place]) -> list[_Layer]:
    found: dict[int, _Layer] = {}
    for name, place in places.items():
        layer = found.setdefault(place.node.id, _Layer(place.node, (), {}))
        layer.tensors[place.name] = name
        form_of = (*layer.form, place.name, form(place)) if layer.form else (place.node.layer.kind, form(place))
        found[place.node.id] = layer._replace(form=form_of)
    return [*found.values()]


def _grouped(layers: Iterable[_Layer], key: Callable[[Node], Key]) -> dict[Key, list[_Layer]]:
    groups: dict[Key, list[_Layer]] = {}
    for layer in layers:
        groups.setdefault(key(layer.node), []).append(layer)
    return groups
