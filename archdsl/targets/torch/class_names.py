"""Names of the classes of a module: by block, or by stage and path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.names import why_refused
from archdsl.ir.network import Region
from archdsl.targets.torch.free_names import FreeNames

if TYPE_CHECKING:
    from archdsl.targets.torch.classes import Group


def name_classes(groups: list[Group], taken: set[str]) -> None:
    """Give each group a name that is none of those that are taken."""
    blocks = [g.example.block for g in groups]
    taken.update(p.name for b in blocks if b is not None for p in b.parameters)
    free = FreeNames(taken, lambda name: not why_refused(name))
    before: dict[str, set[str]] = {}  # the blocks inside the first class of each name
    for group in groups:
        region = group.example
        if region.block is not None:
            base = _camel(region.block.name)
        else:
            base = "Projection" if region.kind == "shortcut" else _row_name(group.regions)
        inner = {i.block.name: None for i in region.items if isinstance(i, Region) and i.block is not None}
        known = before.setdefault(base, set(inner))
        group.beside = ", ".join(f"`{name}`" for name in inner if name not in known)
        more = "".join(_camel(name) for name in inner if name not in known)
        group.name = free.take(base, base + more)


def _row_name(regions: list[Region]) -> str:
    """A name for parts of stages: what they have in common of stage and path."""
    stages, paths = {u.stage for u in regions}, {u.path for u in regions}
    parts = [*(paths if len(paths) == 1 else ()), *(stages if len(stages) == 1 else ())]
    return _camel("_".join(parts)) or _camel(regions[0].name.replace(".", "_"))


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
