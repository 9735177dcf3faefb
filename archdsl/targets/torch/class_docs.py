"""Docstrings of generated classes: what a block's own says, or the role of a part of the network and its shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.flow import externals
from archdsl.ir.outputs import output_axes
from archdsl.ir.regions import Block, Head, Lateral, PathStart, Shortcut
from archdsl.targets.torch.text import docstring, in_words, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.regions import InputPlace, Part
    from archdsl.targets.torch.classes import Group
    from archdsl.targets.torch.select import OpNetwork


def class_doc(network: OpNetwork, group: Group) -> list[str]:
    """Return the lines of the docstring of a class."""
    region = group.example
    if isinstance(region, Block):
        signature = region.signature
        if signature.doc is None:
            return docstring(f"Block `{signature.name}`.")
        return docstring(" ".join([sentence(signature.doc), *(q.note for q in group.qualifiers if q.note)]))
    if isinstance(region, Shortcut):
        return docstring("Projection on a shortcut, to the shape of the output that it is added to.")
    roles = list(dict.fromkeys(_role(u.top) for u in group.regions))
    if len(group.regions) > 1:
        return docstring(_together(roles))
    entering = [node for node in map(network.node, externals(network, region)) if not node.layer.by_name]
    is_vector = output_axes(network, region.exit)[-1] == "C"
    made = "logits" if isinstance(region, Head) and is_vector else str(network.node(region.exit).shape)
    return docstring(f"{_one(*roles[0])}: {in_words([str(node.shape) for node in entering])} → {made}")


def _role(part: Part | InputPlace) -> tuple[str, str, str]:
    """Return the words before the name of the stage, that name, and those behind it."""
    match part:
        case Head():
            return "Head", part.own, ""
        case Lateral():
            return "Lateral connection", part.stage, f" from {part.source} to {part.target}"
        case PathStart():
            return "Layers", "", f" of {part.path} before its stages" if part.path else " before the stages"
        case _:
            return "Stage", part.stage, f" of {part.path}" if part.path else ""


def _one(before: str, stage: str, behind: str) -> str:
    return f"{before} {stage}".rstrip() + behind


def _together(roles: Sequence[tuple[str, str, str]]) -> str:
    """Return several roles in words: `Stages res2 and res3 of slow`."""
    stages: dict[tuple[str, str], list[str]] = {}
    for before, stage, behind in roles:
        stages.setdefault((before, behind), []).append(stage)
    return in_words([_one(b if len(s) == 1 else f"{b}s", in_words(s), behind) for (b, behind), s in stages.items()])
