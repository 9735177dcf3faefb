"""Tensors along a plan. Needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.weights.checkpoint import without_prefix
from archdsl.weights.fit import fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from archdsl.weights.plan import Plan
    from archdsl.weights.shapes import Change


def convert(
    tensors: Mapping[str, torch.Tensor], source: Plan, target: Plan, origin: str = "the state dict"
) -> dict[str, torch.Tensor]:
    """A state dict with the names of one source, as one with the names of another.

    Both plans are for the same network. The tensors are copies, contiguous, and of the same type.

    Raises:
        SpecError: if the tensors are not those that the source's plan takes.
    """
    named = without_prefix(tensors, source.theirs, source.aliases.meant)
    fit(source, {name: tuple(t.shape) for name, t in named.items()}, origin)
    found = ((name, source.aliases.found(name, named)) for name in source.theirs)
    theirs = {name: named[names[0]] for name, names in found if names}
    return _given(_taken(theirs, source), target)


def _taken(theirs: Mapping[str, torch.Tensor], plan: Plan) -> dict[str, torch.Tensor]:
    """Theirs to ours."""
    import torch

    ours: dict[str, torch.Tensor] = {}
    for move in plan.moves:
        if any(t.name not in theirs for t in move.theirs):
            continue  # it counts batches, and `fit` lets it be missing
        back = move.change.back() if move.change is not None else None
        parts = [theirs[t.name] for t in move.theirs]
        if len(move.ours) > 1:
            sizes = [(move.change.end if move.change is not None else t.shape)[0] for t in move.ours]
            parts = list(torch.split(parts[0], sizes))
        parts = [_changed(part, back) for part in parts]
        ours.update(_stored([t.name for t in move.ours], parts))
    return ours


def _given(ours: Mapping[str, torch.Tensor], plan: Plan) -> dict[str, torch.Tensor]:
    """Ours to theirs."""
    theirs: dict[str, torch.Tensor] = {}
    for move in plan.moves:
        if any(t.name not in ours for t in move.ours):
            continue
        parts = [ours[t.name] for t in move.ours]
        if len(move.theirs) > 1:
            parts = list(parts[0].chunk(len(move.theirs)))
        parts = [_changed(part, move.change) for part in parts]
        theirs.update(_stored([t.name for t in move.theirs], parts))
        for name, _ in move.theirs:
            theirs.update((second, theirs[name].clone()) for second in plan.aliases.second.get(name, ()))
    return theirs


def _changed(tensor: torch.Tensor, step: Change | None) -> torch.Tensor:
    if step is None:
        return tensor
    return tensor.reshape(step.split).permute(step.order).reshape(step.end)


def _stored(names: Sequence[str], parts: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies of the parts under their names, joined if there is but one name."""
    import torch

    if len(names) == 1 and len(parts) > 1:
        parts = [torch.cat([p.detach() for p in parts])]
    copies = [p.detach().clone(memory_format=torch.contiguous_format) for p in parts]
    return dict(zip(names, copies, strict=True))
