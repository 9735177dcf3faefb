"""Parameters of a block that are equal in all uses of a class: which are constants, and which stand for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Sym, variables
from archdsl.core.values import is_list
from archdsl.ir.regions import Block, Shortcut
from archdsl.ir.signature import IN_CHANNELS
from archdsl.targets.torch.variables import arguments_of, owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.core.sym import Formula
    from archdsl.ir.regions import Region
    from archdsl.targets.torch.classes import Group, Grouping
    from archdsl.targets.torch.select import OpNetwork


def stand_ins(network: OpNetwork, group: Group) -> dict[str, str]:
    """Return, for parameters that the code of a class reads, the parameter that stands for each.

    That is the one with the fewest words in its name among those that are equal in all uses: `stride` for `t_stride`.
    """
    block = owner(group.example)
    if block is None:
        return {}
    read = {name for formula in _formulas(network, group.example) for name in variables(formula)}
    equal: dict[tuple[Any, ...], list[str]] = {}
    given = [arguments_of(region).values for region in group.regions]
    common = read.intersection(*given)  # the blocks around projections of one class may be several
    for name in (p.name for p in block.signature.parameters if p.name in common):
        equal.setdefault(tuple(values[name] for values in given), []).append(name)
    plain = {name: min(names, key=_words) for names in equal.values() for name in names}
    return {name: stands for name, stands in plain.items() if stands != name}


def varying(grouping: Grouping, group: Group) -> frozenset[str]:
    """Return the parameters that differ between the uses of a class.

    For a class of shortcuts that some uses of a block lack, those are all uses of the block: its class lets callers
    choose them.
    """
    groups = [group]
    if isinstance(group.example, Shortcut):
        blocks = [owner(region) for region in group.regions]
        around = dict.fromkeys(grouping.of[id(b)] for b in blocks if b is not None and id(b) in grouping.of)
        groups += [other for other in around if other.optional]
    return frozenset(name for g in groups for name in _differing(g))


def _differing(group: Group) -> set[str]:
    """Return the parameters that differ, of those that all blocks around the regions have."""
    blocks = [b for b in map(owner, group.regions) if b is not None]
    uses = [b.arguments.values | {IN_CHANNELS: b.entering.channels} for b in blocks]
    common = set(uses[0]).intersection(*uses[1:]) if uses else set[str]()
    return {name for name in common if any(use[name] != uses[0][name] for use in uses)}


def _words(name: str) -> int:
    return name.count("_")


def _formulas(network: OpNetwork, region: Region) -> Iterator[Formula]:
    """Yield the formulas of a region's code: of the attributes of its layers and of the arguments of its blocks."""
    for item in region.items:
        if isinstance(item, int):
            yield from _of_values(network.node(item).layer.values().values())
        elif isinstance(item, Block):
            yield from _of_values(item.arguments.values.values())
        else:
            yield from _formulas(network, item)


def _of_values(values: Any) -> Iterator[Formula]:
    for value in values:
        if isinstance(value, Sym):
            yield value.formula
        elif is_list(value):
            yield from _of_values(value)
