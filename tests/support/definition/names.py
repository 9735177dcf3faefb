"""Names of modules and tensors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.core.grid import Grid
    from archdsl.layers.base import Layer


@dataclass(eq=False)
class Applied:
    """A layer at its place."""

    layer: Layer
    inputs: tuple[int, ...]
    shape: Grid
    label: str = ""  # that `as` gave it
    name: str = ""  # the prefix of its tensors
    is_frozen: bool = False
    source: Applied | None = None  # the layer whose weights it has, if that is another one

    @property
    def kind(self) -> str:
        return self.layer.kind


@dataclass(eq=False)
class Part:
    """A part with a name: a stage's lines on one path, a lateral, the head, a block or a shortcut in these."""

    kind: str  # the name of a block, else `shortcut` or `line`
    entry: int | None = None  # the value that enters, and the one that comes out
    exit: int | None = None
    label: str = ""  # that `as` gave it
    repeat: int = 0  # the `*` that made it, counted from 1
    is_block: bool = False
    holds: bool | None = None  # of a shortcut: its condition, where it has one
    members: list[Applied | Part] = field(default_factory=list["Applied | Part"])
    named: dict[str, tuple[Any, Any, Applied | Part]] = field(default_factory=dict[str, Any])  # link, place and layer

    def applied(self) -> Iterator[Applied]:
        for member in self.members:
            yield from member.applied() if isinstance(member, Part) else [member]


def name_members(part: Part, prefix: str, *, is_line: bool = False) -> None:
    """Give all layers in a part their names, by what stands beside each other."""
    blocks = [m for m in part.members if isinstance(m, Part) and m.is_block and not m.label]
    if is_line and blocks and len(blocks) == len(part.members) and _is_row(blocks, part.exit):
        _name_row(blocks, prefix)
        return
    rows = groupby(part.members, key=lambda m: m.repeat if isinstance(m, Part) and not m.label else 0)
    beside: list[tuple[str, str, list[Any]]] = []  # kind, label, and the blocks of a row or the one member
    for repeat, members in rows:
        if repeat:
            beside.append(("blocks", "", list(members)))
        else:
            beside += [(m.kind, m.label, [m]) for m in members]
    total = Counter(kind for kind, label, _ in beside if not label)
    seen = Counter[str]()
    for kind, label, members in beside:
        seen[kind] += not label
        own = label or (kind if total[kind] == 1 else f"{kind}{seen[kind]}")
        if kind == "blocks" and isinstance(members[0], Part) and members[0].repeat and not label:
            _name_row(members, f"{prefix}.{own}")
        elif isinstance(members[0], Part):
            name_members(members[0], f"{prefix}.{own}")
        else:
            members[0].name = f"{prefix}.{own}"


def _is_row(blocks: Sequence[Part], end: int | None) -> bool:
    """Tell whether each block goes on from the one before it, and the line ends with the last."""
    return [b.entry for b in blocks[1:]] + [end] == [b.exit for b in blocks]


def _name_row(blocks: Sequence[Part], prefix: str) -> None:
    """Number blocks from 0; a single one that is not repeated needs no number."""
    is_single = len(blocks) == 1 and not blocks[0].repeat
    for k, block in enumerate(blocks):
        name_members(block, prefix if is_single else f"{prefix}.{k}")
