"""Which classes a module needs: equal units share one, and what differs between their uses becomes its constructor.

Two units are equal if they do the same operations under the same labels. A projection that only some of them have on
their shortcut does not make them differ, if its condition can be written down in Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archdsl.core.sym import show
from archdsl.core.values import Symbol, is_list
from archdsl.graph.flow import externals, interleaved, is_stateless
from archdsl.graph.model import Network, Node, Unit
from archdsl.graph.rows import sole_block, stage_row
from archdsl.targets.torch.conditions import condition_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(eq=False)
class Group:
    """Units that share a class."""

    number: int
    units: list[Unit]
    name: str = ""
    beside: str = ""  # the blocks in it that the first class of its block lacks
    optional: set[int] = field(default_factory=set[int])  # places among the items of shortcuts that some units lack

    @property
    def example(self) -> Unit:
        """The unit to read the structure from: one in which every shortcut is there."""
        return max(self.units, key=lambda u: sum(bool(i.items) for i in u.items if isinstance(i, Unit)))


def _there(item: int | Unit) -> bool:
    return isinstance(item, Unit) and bool(item.items)


class Grouping:
    """Finds the groups of a network, inner units first."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.groups: list[Group] = []
        self.of: dict[int, Group] = {}
        self._opened = interleaved(network)
        for level in self._by_height():
            self._group(level)
        self._order()

    def _by_height(self) -> list[list[Unit]]:
        levels: list[list[Unit]] = []

        def visit(unit: Unit) -> int:
            height = max((visit(i) for i in unit.items if isinstance(i, Unit)), default=-1) + 1
            while len(levels) <= height:
                levels.append([])
            if self._needs_class(unit):
                levels[height].append(unit)
            return height

        for unit in self.network.units:
            if not is_stateless(self.network, unit):
                visit(unit)
        return levels

    def _order(self) -> None:
        """Puts the groups in the order in which data meets them, inner ones before those that use them."""
        met: dict[Group, None] = {}

        def visit(unit: Unit) -> None:
            for item in unit.items:
                if isinstance(item, Unit):
                    visit(item)
            if id(unit) in self.of:
                group = self.of[id(unit)]
                for other in group.units if group not in met else ():
                    for item in other.items:
                        if isinstance(item, Unit):
                            visit(item)
                met[group] = None

        for unit in self.network.units:
            visit(unit)
        self.groups = list(met)

    def _needs_class(self, unit: Unit) -> bool:
        if unit.kind in ("block", "shortcut"):
            return bool(unit.items)
        if unit.kind == "sequence" or unit in self._opened:
            return False
        return stage_row(unit) is None and sole_block(unit) is None

    def _group(self, units: Iterable[Unit]) -> None:
        alike: dict[Any, list[Unit]] = {}
        for unit in units:
            alike.setdefault(self._signature(unit, loose=True), []).append(unit)
        for members in alike.values():
            for part in self._split(members):
                group = Group(len(self.groups), part)
                group.optional = self._optional(part) or set()
                self.groups.append(group)
                self.of.update((id(u), group) for u in part)

    def _split(self, members: list[Unit]) -> Iterator[list[Unit]]:
        """All together, if their shortcuts allow; else those with the same shortcuts."""
        if self._optional(members) is not None:
            yield members
            return
        parts: dict[Any, list[Unit]] = {}
        for unit in members:
            parts.setdefault(self._signature(unit, loose=False), []).append(unit)
        yield from parts.values()

    def _optional(self, members: list[Unit]) -> set[int] | None:
        """The places of the shortcuts that some have and some have not; None if a condition cannot be written."""
        found: set[int] = set()
        for index, item in enumerate(members[0].items):
            if not (isinstance(item, Unit) and self._may_be_absent(item)):
                continue
            shortcuts = [u.items[index] for u in members]
            present = [s for s in shortcuts if isinstance(s, Unit) and s.items]
            if len({self.of[id(s)].number for s in present}) > 1:
                return None
            if 0 < len(present) < len(shortcuts):
                codes = {condition_code(s, lambda f: show(f, {})) for s in shortcuts if isinstance(s, Unit)}
                if len(codes) > 1 or None in codes:
                    return None
                found.add(index)
        complete = any(all(_there(u.items[i]) for i in found) for u in members)
        return found if complete else None

    # --- signatures ---

    def _signature(self, unit: Unit, *, loose: bool) -> Any:
        """What makes two units the same class. `loose` leaves open which shortcuts are there."""
        local = {value: ("in", k) for k, value in enumerate(externals(self.network, unit))}
        items: list[Any] = []
        for index, item in enumerate(unit.items):
            if isinstance(item, Unit):
                items.append(self._inner(item, local, loose=loose))
                open_ = loose and self._may_be_absent(item)
                local[item.exit] = ("item", index) if item.items or open_ else local[item.exit]
            else:
                items.append(self._node(self.network.node(item), local))
                local[item] = ("item", index)
        name = unit.block.name.id if unit.block is not None else ""
        output = None if loose and unit.kind == "shortcut" else local[unit.exit]
        return (unit.kind == "block", name, id(unit.block), tuple(items), output)

    def _inner(self, unit: Unit, local: dict[int, Any], *, loose: bool) -> Any:
        if loose and self._may_be_absent(unit):
            # Where the projection is missing, its output is the value that enters; name it alike in both.
            return ("shortcut", unit.label, local[unit.entry])
        source = tuple(local[value] for value in externals(self.network, unit))
        if unit.kind == "sequence":
            return ("row", unit.label, source, tuple(self._number(b) for b in unit.items if isinstance(b, Unit)))
        return ("unit", unit.label, source, self._number(unit))

    def _may_be_absent(self, unit: Unit) -> bool:
        """Tell whether units share a class though only some of them have this shortcut: it reads what enters alone."""
        if unit.kind != "shortcut" or unit.test is None:
            return False
        return externals(self.network, unit) == [unit.entry]

    def _number(self, unit: Unit) -> int | None:
        """The class of a unit; None if there is nothing in it."""
        return self.of[id(unit)].number if unit.items else None

    @staticmethod
    def _node(node: Node, local: dict[int, Any]) -> Any:
        words = tuple((k, _words(v)) for k, v in node.layer.values().items())
        extra = getattr(node.layer, "after", "")
        sources = tuple(local[i] for i in node.inputs)
        form = node.layer.form(*node.input_shapes)
        inits = tuple(
            (k, v.name, tuple(map(float, v.arguments))) for k, v in node.layer.inits(*node.input_shapes).items()
        )
        return (node.layer.kind, node.label, sources, node.layout, node.inplace, node.forms, words, form, inits, extra)


def _words(value: Any) -> Any:
    """Return what is no number in the value of an attribute, and how long its lists are; None for a number."""
    if is_list(value):
        return tuple(_words(v) for v in value)
    return "nothing" if value is None else value if isinstance(value, (bool, str, Symbol)) else None
