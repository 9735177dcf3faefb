"""Classes of a generated module: equal regions share one, whose constructor has the numbers in which they differ.

Two regions are equal if they have the same operations under the same labels. A projection that only some of them have
on their shortcut does not make them differ, if its condition can be printed as Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.values import Symbol, is_list
from archdsl.ir.flow import externals, interleaved, is_stateless, reads_of
from archdsl.ir.regions import Block, BlockRow, Shortcut
from archdsl.ir.rows import sole_block, stage_row
from archdsl.layers.attributes import DEPTH_SCALED
from archdsl.targets.python.printer import text
from archdsl.targets.torch.conditions import condition_tree
from archdsl.targets.torch.formulas import formula_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.core.sym import Formula
    from archdsl.ir.regions import Inner, Item, Region
    from archdsl.targets.python.tree import Expr
    from archdsl.targets.torch.select import OpNetwork, OpNode


class Qualifier(NamedTuple):
    """The distinction of a class from others of its name: a prefix, a suffix, and a sentence for its docstring."""

    before: str = ""
    behind: str = ""
    note: str = ""


@dataclass(eq=False)
class Group:
    """Regions that share a class."""

    number: int
    regions: list[Region]
    name: str = ""
    qualifiers: tuple[Qualifier, ...] = ()
    optional: set[int] = field(default_factory=set[int])  # indices in `items` of shortcuts that some regions lack

    @property
    def example(self) -> Region:
        """Return the region that represents the structure of the class: one that has every optional shortcut."""
        return max(self.regions, key=lambda u: sum(bool(i.items) for i in u.inner))


def _is_present(item: Item) -> bool:
    return not isinstance(item, int) and bool(item.items)


class Grouping:
    """The groups of a network's regions, inner regions first."""

    def __init__(self, network: OpNetwork) -> None:
        self.network = network
        self.groups: list[Group] = []
        self.of: dict[int, Group] = {}
        self.opened = interleaved(network)
        for level in self._by_height():
            self._group(level)
        self._order()

    def _by_height(self) -> list[list[Region]]:
        levels: list[list[Region]] = []

        def visit(region: Region) -> int:
            height = max(map(visit, filter(_has_class, region.inner)), default=-1) + 1
            while len(levels) <= height:
                levels.append([])
            if self._needs_class(region):
                levels[height].append(region)
            return height

        for region in self.network.regions:
            if not is_stateless(self.network, region):
                visit(region)
        return levels

    def _order(self) -> None:
        """Sort the groups in the order of data flow, inner ones before those that use them."""
        met: dict[Group, None] = {}

        def visit(region: Region) -> None:
            for inner in region.inner:
                visit(inner)
            if id(region) in self.of:
                group = self.of[id(region)]
                for other in group.regions if group not in met else ():
                    for inner in other.inner:
                        visit(inner)
                met[group] = None

        for region in self.network.regions:
            visit(region)
        self.groups = list(met)

    def _needs_class(self, region: Region) -> bool:
        if isinstance(region, Block | Shortcut):
            return bool(region.items)
        if isinstance(region, BlockRow) or region in self.opened:
            return False
        return stage_row(region) is None and sole_block(region) is None

    def _group(self, regions: Iterable[Region]) -> None:
        alike: dict[Any, list[Region]] = {}
        for region in regions:
            alike.setdefault(self._signature(region, loose=True), []).append(region)
        for members in alike.values():
            for part in self._split(members):
                group = Group(len(self.groups), part)
                group.optional = self._optional(part) or set()
                self.groups.append(group)
                self.of.update((id(u), group) for u in part)

    def _split(self, members: list[Region]) -> Iterator[list[Region]]:
        """Yield all members as one group if their shortcuts allow it, or else groups with the same shortcuts."""
        if self._optional(members) is not None:
            yield members
            return
        parts: dict[Any, list[Region]] = {}
        for region in members:
            parts.setdefault(self._signature(region, loose=False), []).append(region)
        yield from parts.values()

    def _optional(self, members: list[Region]) -> set[int] | None:
        """Return the indices of shortcuts that only some members have; None if their condition cannot be printed."""
        optional: set[int] = set()
        for index, item in enumerate(members[0].items):
            if isinstance(item, int) or not self._may_be_absent(item):
                continue
            shortcuts = [s for u in members if isinstance(s := u.items[index], Shortcut)]
            present = [s for s in shortcuts if s.items]
            if len({self.of[id(s)].number for s in present}) > 1:
                return None
            if 0 < len(present) < len(shortcuts):
                trees = [condition_tree(s.condition, _bare) for s in shortcuts]
                codes = {tree and text(tree) for tree in trees}
                if len(codes) > 1 or None in codes:
                    return None
                optional.add(index)
        complete = any(all(_is_present(u.items[i]) for i in optional) for u in members)
        return optional if complete else None

    # --- signatures ---

    def _signature(self, region: Region, *, loose: bool) -> Any:
        """Return a key that is equal for regions of one class; with `loose`, conditional shortcuts may be absent."""
        local = {value: ("in", k) for k, value in enumerate(externals(self.network, region))}
        items: list[Any] = []
        for index, item in enumerate(region.items):
            if isinstance(item, int):
                items.append(self._node(self.network.node(item), local))
                local[item] = ("item", index)
            else:
                items.append(self._inner(item, local, loose=loose))
                open_ = loose and self._may_be_absent(item)
                local[item.exit] = ("item", index) if item.items or open_ else local[item.exit]
        signature = region.signature if isinstance(region, Block) else None
        output = None if loose and isinstance(region, Shortcut) else local[region.exit]
        return (signature, tuple(items), output)

    def _inner(self, region: Inner, local: dict[int, Any], *, loose: bool) -> Any:
        if loose and isinstance(region, Shortcut) and self._may_be_absent(region):
            # Without the projection, the output is the input; use the same name for both.
            return ("shortcut", region.label, local[region.entry])
        source = tuple(local[value] for value in externals(self.network, region))
        if not _has_class(region):
            return ("again", region.label, source)
        if isinstance(region, BlockRow):
            reads = tuple(reads_of(self.network, region.blocks))
            frozen = tuple(block.frozen for block in region.blocks)
            return ("row", region.label, source, tuple(map(self._number, region.inner)), reads, frozen)
        return ("unit", region.label, source, self._number(region), region.frozen)

    def _may_be_absent(self, region: Inner) -> bool:
        """Return True if the shortcut is conditional and reads the region's input alone."""
        if not isinstance(region, Shortcut) or region.condition is None:
            return False
        return externals(self.network, region) == [region.entry]

    def _number(self, region: Inner) -> int | None:
        """Return the number of a region's class; None for an empty region."""
        return self.of[id(region)].number if region.items else None

    @staticmethod
    def _node(node: OpNode, local: dict[int, Any]) -> Any:
        words = tuple((k, _words(v)) for k, v in node.op.class_values().items())
        sources = tuple(local[i] for i in node.inputs)
        form = node.op.class_signature()
        inits = tuple((k, _start(v)) for k, v in node.layer.inits(*node.input_shapes).items())
        chosen = node.layout, node.inplace, node.op.forms, node.op.turns, node.shares, node.frozen and node.is_module
        return (node.layer.kind, node.label, sources, chosen, words, form, inits)


def _has_class(region: Inner) -> bool:
    """Return False for a block that another one's module computes."""
    return not (isinstance(region, Block) and region.shares)


def _bare(formula: Formula) -> Expr:
    """Return the code of a formula with the variables' names in the spec."""
    return formula_tree(formula, {}, str)


def _words(value: Any) -> Any:
    """Return the value of an attribute with None for each number, so that only words, flags and lengths count."""
    if is_list(value):
        return tuple(_words(v) for v in value)
    if isinstance(value, Symbol):
        return _start(value)
    return "nothing" if value is None else value if isinstance(value, (bool, str)) else None


def _start(symbol: Symbol) -> Any:
    """Return what regions of one class share of a symbol: of one of an initialiser, not the number of the layer."""
    numbers = tuple(map(float, symbol.arguments))
    return symbol.name, numbers[:1] if symbol.name == DEPTH_SCALED else numbers
