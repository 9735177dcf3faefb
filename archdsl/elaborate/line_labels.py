"""Names of the layers in a line of branches: `conv`, `pool.conv`, `norm1`; empty for the projection of a line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.ir.network import Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.ir.regions import Inner, Region


def line_labels(region: Region, node_of: Callable[[int], Node]) -> dict[int, str]:
    """Return the names of all nodes of a line, by their ids.

    A layer is called by its label or its kind, numbered where several of one region are called alike, behind the names
    of the blocks around it. A projection beside no other has no name of its own: its line has.
    """
    found: dict[int, str] = {}
    _label(region, "", node_of, found)
    return found


def _label(region: Region, prefix: str, node_of: Callable[[int], Node], found: dict[int, str]) -> None:
    members = [node_of(i) if isinstance(i, int) else i for i in region.items]
    names = [_own(m) for m in members]
    total, seen = Counter(names), Counter[str]()
    for member, name in zip(members, names, strict=True):
        seen[name] += 1
        label = name if total[name] == 1 else f"{name}{seen[name]}"
        if not isinstance(member, Node):
            _label(member, f"{prefix}{label}.", node_of, found)
            continue
        is_alone = not prefix and not member.explicit and total[name] == 1
        found[member.id] = "" if is_alone and member.layer.projects else prefix + label


def _own(member: Node | Inner) -> str:
    return member.label or (member.layer.kind if isinstance(member, Node) else "")
