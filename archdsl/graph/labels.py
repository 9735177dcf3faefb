"""The names of modules, and so of tensors: what a spec labels, else the kind of layer or block.

In a stage, blocks are numbered from 0 in the order of data flow; a single block takes the stage's own name. Everything
else is called by its kind, numbered from 1 where a kind occurs more than once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.graph.model import Network, Node, Unit

if TYPE_CHECKING:
    from archdsl.core.report import Reporter
    from archdsl.core.source import Span


def assign_labels(network: Network, reporter: Reporter) -> None:
    """Labels every node and unit."""
    for unit in network.units:
        _label_unit(network, unit, reporter, is_top=True)
    for name, number in network.inputs.items():
        network.node(number).label = name
        network.node(number).unit.path = ""


def _label_unit(network: Network, unit: Unit, reporter: Reporter, *, is_top: bool) -> None:
    members = [item if isinstance(item, Unit) else network.node(item) for item in unit.items]
    blocks = [m for m in members if isinstance(m, Unit) and m.kind == "block"]
    alone = is_top and len(members) == 1 and len(blocks) == 1 and not blocks[0].repeated
    if is_top:
        for index, block in enumerate(b for b in blocks if not b.explicit):
            block.label = "" if alone else str(index)
    _number([m for m in members if not (m.explicit or (is_top and m in blocks))])
    _check(members, reporter)
    for member in members:
        if isinstance(member, Unit):
            _label_unit(network, member, reporter, is_top=False)


def _number(members: list[Node | Unit]) -> None:
    kinds = [m.label if isinstance(m, Unit) else m.layer.kind for m in members]
    total, seen = Counter(kinds), Counter[str]()
    for member, kind in zip(members, kinds, strict=True):
        seen[kind] += 1
        member.label = kind if total[kind] == 1 else f"{kind}{seen[kind]}"


def _check(members: list[Node | Unit], reporter: Reporter) -> None:
    taken: dict[str, Span] = {}
    for member in members:
        span = member.span if isinstance(member, Node) else None
        if member.label in taken and span is not None:
            note = Note("first here", taken[member.label])
            reporter.report("E0203", span, f"two layers of one block are called `{member.label}`", [note])
        if span is not None:
            taken[member.label] = span
