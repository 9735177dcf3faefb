"""Conversion of state dicts between sources by their plans. Needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.weights.checkpoint import without_prefix
from archdsl.weights.fit import fit, without_head
from archdsl.weights.plan import MAX_LISTED, own_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import torch

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.weights.plan import Plan
    from archdsl.weights.shapes import Change


def convert(
    tensors: Mapping[str, torch.Tensor],
    source: Plan,
    target: Plan,
    origin: str = "the state dict",
    absent: Collection[str] = (),
) -> dict[str, torch.Tensor]:
    """Convert a state dict from one source's names and layouts to another's.

    Both plans are for the same network. The result has contiguous copies of the same dtype. Tensors in `absent` can be
    missing from the input, and those made from them are missing from the result.

    Raises:
        SpecError: if the tensors are not those of the source's plan, or not real numbers.
    """
    named = without_prefix(tensors, source.theirs, source.aliases.meant)
    fit(source, shapes(named), origin, absent)
    found = ((name, source.aliases.found(name, named)) for name in source.theirs)
    theirs = {name: named[names[0]] for name, names in found if names}
    check_numbers(theirs, source.counters, origin)
    return _given(_taken(theirs, source), target)


def convert_all(
    tensors: Mapping[str, torch.Tensor],
    source: Plan,
    target: Plan,
    origin: str,
    initial: Callable[[], Mapping[str, torch.Tensor]],
) -> tuple[dict[str, torch.Tensor], list[Diagnostic]]:
    """Convert as `convert` does; a head that the checkpoint lacks is initialised anew, with a warning.

    `initial` returns the tensors of a new module by our names.

    Raises:
        SpecError: as `convert`.
    """
    absent = without_head(source, shapes(without_prefix(tensors, source.theirs, source.aliases.meant)))
    if not absent:
        return convert(tensors, source, target, origin), []
    own = own_plan(source.network, source.ours)
    found = convert(tensors, source, own, origin, absent)
    begin = initial()
    new = [name for name in own.theirs if name not in found and name not in own.counters]
    kind = next((t.dtype for t in found.values() if t.is_floating_point()), None)
    whole = found | {name: begin[name].to(kind) for name in new}
    reporter = Reporter()
    label = f"it has nothing for {', '.join(f'`{n}`' for n in new)}, which begin as in a new module"
    hint = "train them: before that the output of the network means nothing"
    reporter.report("W0804", Span(Source(origin, ""), 0, 0), label, hint=hint)
    return convert({n: whole[n] for n in own.theirs if n in whole}, own, target), reporter.diagnostics


def shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_numbers(tensors: Mapping[str, torch.Tensor], counters: Collection[str], origin: str) -> None:
    """Hold the element types of tensors against those that modules have.

    Raises:
        SpecError: if tensors but the counters of batches are no dense tensors of real numbers in floating point.
    """
    wrong = [
        f"`{name}` holds {kind}"
        for name, tensor in tensors.items()
        if (kind := _unusable(tensor, name in counters)) is not None
    ]
    if wrong:
        verb = "holds" if len(wrong) == 1 else "hold"
        label = f"{len(wrong)} of its {len(tensors)} tensors {verb} no numbers that a module computes with"
        hint = "integers are often quantised weights, which need their scales; save them as floating point"
        place = Span(Source(origin, ""), 0, 0)
        notes = [Note(text) for text in wrong[:MAX_LISTED]]
        raise Reporter().fatal("E0813", place, label, notes, hint)


def _unusable(tensor: torch.Tensor, counts: bool) -> str | None:
    """Return what a tensor holds in place of dense real numbers; None if it holds those."""
    import torch

    if tensor.is_meta:
        return "no values (it is on the device `meta`)"
    if tensor.is_quantized or tensor.layout != torch.strided:
        return f"{'quantised values' if tensor.is_quantized else 'values of a sparse layout'}"
    if counts or tensor.is_floating_point():
        return None
    return f"{'complex numbers' if tensor.is_complex() else 'no floating point'} ({str(tensor.dtype)[6:]})"


def not_finite(tensors: Mapping[str, torch.Tensor], origin: str) -> list[Diagnostic]:
    """Return a warning that names the tensors with NaN or infinity, if there are such."""
    found = [name for name, t in tensors.items() if t.is_floating_point() and not bool(t.float().isfinite().all())]
    reporter = Reporter()
    if found:
        label = f"NaN or infinity is in {len(found)} of {len(tensors)} tensors"
        hint = "training has most likely diverged; an older checkpoint may be whole"
        notes = [Note(f"`{name}`") for name in found[:MAX_LISTED]]
        reporter.report("W0803", Span(Source(origin, ""), 0, 0), label, notes, hint)
    return reporter.diagnostics


def _taken(theirs: Mapping[str, torch.Tensor], plan: Plan) -> dict[str, torch.Tensor]:
    """Convert a source's tensors to ours."""
    import torch

    ours: dict[str, torch.Tensor] = {}
    for move in plan.moves:
        if any(t.name not in theirs for t in move.theirs):
            continue  # `num_batches_tracked`, which may be missing
        back = move.change.back() if move.change is not None else None
        parts = [theirs[t.name] for t in move.theirs]
        if len(move.ours) > 1:
            sizes = [(move.change.end if move.change is not None else t.shape)[0] for t in move.ours]
            parts = list(torch.split(parts[0], sizes))
        parts = [_changed(part, back) for part in parts]
        ours.update(_stored([t.name for t in move.ours], parts))
    return ours


def _given(ours: Mapping[str, torch.Tensor], plan: Plan) -> dict[str, torch.Tensor]:
    """Convert our tensors to a source's."""
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
    """Return contiguous copies of the parts by name, concatenated if there is a single name."""
    import torch

    if len(names) == 1 and len(parts) > 1:
        parts = [torch.cat([p.detach() for p in parts])]
    copies = [p.detach().clone(memory_format=torch.contiguous_format) for p in parts]
    return dict(zip(names, copies, strict=True))
