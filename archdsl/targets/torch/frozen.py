"""The modules that training leaves as they are: what the model's function `frozen` returns."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from archdsl.ir.flow import is_stateless, reads_of
from archdsl.ir.regions import Block, BlockRow
from archdsl.ir.rows import sole_block, stage_row
from archdsl.targets.python.printer import text
from archdsl.targets.python.tree import (
    Assign,
    Docstring,
    Items,
    Leaf,
    Name,
    Precedence,
    Return,
)  # fmt: skip
from archdsl.targets.torch.init import by_class, model_attribute, modules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archdsl.ir.regions import Part, Region
    from archdsl.targets.python.tree import Expr, Stmt
    from archdsl.targets.torch.classes import Grouping
    from archdsl.targets.torch.select import OpNetwork, OpNode


def frozen_body(network: OpNetwork, grouping: Grouping, place: Callable[[Part], Expr]) -> list[Stmt]:
    """Return the body of `frozen`; empty if everything is trained. `place` gives that of a part of the network."""
    found = list(dict.fromkeys(_Finder(network, grouping, place).find()))
    if not found:
        return []
    places: dict[str, list[Expr]] = {"": []}
    for group, p in found:
        places.setdefault(group, []).append(_leaf(p))
    alone = Items(places.pop(""), "[]")
    doc = Docstring(["Return the parts whose weights training leaves as they are."])
    if not places:
        return [doc, Return(alone)]
    rows = [(group, Assign([Name("found")], Items(inside, "[]"), "+=")) for group, inside in places.items()]
    return [
        doc,
        Assign([_leaf("found: list[nn.Module]")], alone),
        *by_class(rows, modules_of(Name("self"), has_inner=False)),
        Return(Name("found")),
    ]


def _leaf(code: str) -> Expr:
    return Leaf(code, Precedence.PRIMARY, frozenset())


class _Finder:
    """Search for modules that are frozen as a whole, as far outside as possible.

    Each is found as the class that it is in, with its place there; outside of all classes, as its place in the model.
    """

    def __init__(self, network: OpNetwork, grouping: Grouping, place: Callable[[Part], Expr]) -> None:
        self.network, self.grouping, self.place = network, grouping, place

    def find(self) -> Iterator[tuple[str, str]]:
        for part in self.network.regions:
            alone = sole_block(part)
            if part.frozen or (alone is not None and alone.frozen):
                if not is_stateless(self.network, part):
                    yield "", text(self.place(part))
            elif alone is not None:
                yield from self._inside(alone)
            elif (row := stage_row(part)) is not None:
                yield from self._row(row, "", text(self.place(part)))
            else:
                yield from self._inside(part)

    def _inside(self, region: Region) -> Iterator[tuple[str, str]]:
        for item in region.items:
            node = self.network.node(item) if isinstance(item, int) else None
            if node is not None and node.is_module and not node.shares:
                yield from self._of_layer(region, node)
            elif isinstance(item, BlockRow):
                yield from self._row(item.blocks, *self._member(region, item.label))
            elif not isinstance(item, int) and not (isinstance(item, Block) and item.shares):
                if not item.frozen:
                    yield from self._inside(item)
                elif not is_stateless(self.network, item):
                    yield self._member(region, item.label)

    def _of_layer(self, region: Region, node: OpNode) -> Iterator[tuple[str, str]]:
        """Yield a layer that is frozen, or those of its members that are."""
        group, place = self._member(region, node.label)
        if node.frozen:
            yield group, place
            return
        for name in node.frozen_members:
            inner = f"{place}.{name}" if name.isidentifier() else f'{place}.get_submodule("{name}")'
            yield group, f"nn.ParameterList([{inner}])" if name in node.frozen_weights else inner

    def _row(self, blocks: Sequence[Block], group: str, place: str) -> Iterator[tuple[str, str]]:
        """Yield a row of numbered blocks if all of them are frozen, else parts of it."""
        if all(block.frozen for block in blocks):
            yield group, place
            return
        for is_frozen, run in groupby(enumerate(blocks), lambda pair: pair[1].frozen):
            numbers = [number for number, _ in run]
            if not is_frozen:
                for number in numbers:
                    yield from self._inside(blocks[number])
            elif any(reads_of(self.network, blocks)) or "[" in place:  # no sequence that slices
                for number in numbers:
                    yield "", f'self.get_submodule("{blocks[number].name}")'
            else:
                start, end = numbers[0] or "", numbers[-1] + 1
                yield group, f"{place}[{start}:{end if end < len(blocks) else ''}]"

    def _member(self, region: Region, label: str) -> tuple[str, str]:
        group = self.grouping.of.get(id(region))
        if group is None:
            return "", f'self.get_submodule("{region.name}.{label}")'
        own = model_attribute(self.grouping, region) if len(group.regions) == 1 else None
        return ("", f"{text(own)}.{label}") if own is not None else (group.name, f"module.{label}")
