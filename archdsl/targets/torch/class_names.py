"""Names of the classes of a module: by block, or by stage and path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.names import why_refused
from archdsl.ir.regions import Block, Shortcut
from archdsl.targets.torch.free_names import FreeNames

if TYPE_CHECKING:
    from archdsl.ir.regions import Region
    from archdsl.targets.torch.classes import Group


def name_classes(groups: list[Group], taken: set[str]) -> None:
    """Give each group a name that is none of those that are taken."""
    blocks = [region for g in groups if isinstance(region := g.example, Block)]
    taken.update(p.name for block in blocks for p in block.signature.parameters)
    free = FreeNames(taken, lambda name: not why_refused(name))
    before: dict[str, set[str]] = {}  # the blocks inside the first class of each name
    for group in groups:
        base = _base(group)
        inner = {i.signature.name: None for i in group.example.inner if isinstance(i, Block)}
        known = before.setdefault(base, set(inner))
        group.beside = ", ".join(f"`{name}`" for name in inner if name not in known)
        more = "".join(_camel(name) for name in inner if name not in known)
        group.name = free.take(base, base + more)


def _base(group: Group) -> str:
    """Return the name of a class before it is told apart from others."""
    if isinstance(group.example, Block):
        return _camel(group.example.signature.name)
    return "Projection" if isinstance(group.example, Shortcut) else _part_name(group.regions)


def _part_name(regions: list[Region]) -> str:
    """Return a name for parts of stages: what they have in common of stage and path."""
    stages, paths = {u.top.stage for u in regions}, {u.top.path for u in regions}
    parts = [*(paths if len(paths) == 1 else ()), *(stages if len(stages) == 1 else ())]
    return _camel("_".join(parts)) or _camel(regions[0].name.replace(".", "_"))


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
