"""Names of the layers in a line of branches: `conv`, `pool.conv`, `norm1`; empty for the projection of a line.

Names of tensors are unique in an attention: those of layers begin with the branches, those of biases stand alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.elaborate.module_names import gather_rows
from archdsl.ir.network import Node
from archdsl.ir.regions import BlockRow
from archdsl.layers.attention_arguments import LINES, TAKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.core.source import Span
    from archdsl.elaborate.fault_reporter import FaultReporter
    from archdsl.ir.regions import Inner, Region
    from archdsl.layers.attention_lines import Application


class Names:
    """The names of tensors that lines have brought: the part before the first dot."""

    def __init__(self, faults: FaultReporter) -> None:
        self.faults = faults
        self.owners: dict[str, tuple[object, Span]] = {}  # the line that has it, and a layer there

    def take(self, name: str, owner: object, place: Span) -> None:
        """Give a name to a layer of a line, or to a bias; report one that another line has."""
        own = name.partition(".")[0]
        known, first = self.owners.setdefault(own, (owner, place))
        if known is not owner:
            hint = f"a name of its own: `{place.text} as …`" if "\n" not in place.text else "a name of its own, by `as`"
            label = f"an attention has `{own}` once, and a line above brings it"
            self.faults.report("E0203", place, label, hint, [Note("first here", first)])
        elif own in TAKEN and own not in LINES:
            self.faults.report("E0204", place, f"an attention has `{own}` already", "another name behind `as`")

    def take_layer(self, application: Application, place: Span) -> None:
        """Give its name to a layer of a line, if it has tensors of its own."""
        layer, shapes = application.layer, application.shapes
        if application.owner is None and (layer.weights(*shapes) or layer.buffers(*shapes)):
            self.take(application.name, application.region.top, place)


def line_labels(region: Region, node_of: Callable[[int], Node]) -> dict[int, str]:
    """Return the names of all nodes of a line, by their ids.

    A layer is called by its label or its kind, numbered where several of one region are called alike, behind the names
    of the blocks around it. A projection beside no other has no name of its own: its line has.
    """
    found: dict[int, str] = {}
    _label(region, "", node_of, found)
    return found


def _label(region: Region, prefix: str, node_of: Callable[[int], Node], found: dict[int, str]) -> None:
    is_row = isinstance(region, BlockRow)
    if not is_row:
        gather_rows(region)
    members = [node_of(i) if isinstance(i, int) else i for i in region.items]
    names = [str(number) if is_row else _own(m) for number, m in enumerate(members)]
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
