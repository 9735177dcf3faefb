"""Conversion of state dicts between sources, as their weight plans say. Needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.weights.checkpoint import without_prefix
from archdsl.weights.fit import check_tensors, without_head
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

    Both plans are for the same network. The result has contiguous copies of the same dtype. Tensors in `absent` may be
    missing from the input; tensors made from them are then missing from the result.

    Raises:
        SpecError: if names or shapes differ from the source's plan, or if a tensor is not dense floating point.
    """
    named = without_prefix(tensors, source.theirs, source.aliases.name_of)
    check_tensors(source, shapes(named), origin, absent)
    present = ((name, source.aliases.present(name, named)) for name in source.theirs)
    theirs = {name: named[names[0]] for name, names in present if names}
    check_dtypes(theirs, source.counters, origin)
    return _to_source(_from_source(theirs, source), target)


def convert_all(
    tensors: Mapping[str, torch.Tensor],
    source: Plan,
    target: Plan,
    origin: str,
    initial: Callable[[], Mapping[str, torch.Tensor]],
) -> tuple[dict[str, torch.Tensor], list[Diagnostic]]:
    """Convert as `convert` does; if the checkpoint has no head, initialise the head and warn.

    `initial` returns the state dict of a new module, by our names.

    Raises:
        SpecError: as in `convert`.
    """
    absent = without_head(source, shapes(without_prefix(tensors, source.theirs, source.aliases.name_of)))
    if not absent:
        return convert(tensors, source, target, origin), []
    own = own_plan(source.network, source.ours)
    converted = convert(tensors, source, own, origin, absent)
    module = initial()
    new = [name for name in own.theirs if name not in converted and name not in own.counters]
    kind = next((t.dtype for t in converted.values() if t.is_floating_point()), None)
    whole = converted | {name: module[name].to(kind) for name in new}
    reporter = Reporter()
    more = f" and {len(new) - MAX_LISTED} more" if len(new) > MAX_LISTED else ""
    names = ", ".join(f"`{name}`" for name in new[:MAX_LISTED])
    label = f"the checkpoint has no {names}{more}; initialised as in a new module"
    hint = "train the head: until then the network's output is meaningless"
    reporter.report("W0804", Span(Source(origin, ""), 0, 0), label, hint=hint)
    return convert({n: whole[n] for n in own.theirs if n in whole}, own, target), reporter.diagnostics


def shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_dtypes(tensors: Mapping[str, torch.Tensor], counters: Collection[str], origin: str) -> None:
    """Check that tensors, except the counters of batch norms, are dense and floating point.

    Raises:
        SpecError: if they are not.
    """
    wrong = [
        f"`{name}` holds {kind}"
        for name, tensor in tensors.items()
        if (kind := _unusable(tensor, name in counters)) is not None
    ]
    if wrong:
        verb = "is" if len(wrong) == 1 else "are"
        label = f"{len(wrong)} of {len(tensors)} tensors {verb} not dense floating point"
        hint = "if they are quantised weights, dequantise them with their scales, and save them as floating point"
        place = Span(Source(origin, ""), 0, 0)
        notes = [Note(text) for text in wrong[:MAX_LISTED]]
        raise Reporter().fatal("E0813", place, label, notes, hint)


def _unusable(tensor: torch.Tensor, counts: bool) -> str | None:
    """Return a description of a tensor that is not dense floating point; None if it is."""
    import torch

    if tensor.is_meta:
        return "no values (it is on the device `meta`)"
    if tensor.is_quantized or tensor.layout != torch.strided:
        return f"{'quantised values' if tensor.is_quantized else 'values in a sparse layout'}"
    if counts or tensor.is_floating_point():
        return None
    return f"{'complex numbers' if tensor.is_complex() else 'integers'} ({str(tensor.dtype)[6:]})"


def not_finite(tensors: Mapping[str, torch.Tensor], origin: str) -> list[Diagnostic]:
    """Return a warning that names the tensors with NaN or infinity, if any."""
    names = [name for name, tensor in tensors.items() if tensor.is_floating_point() and not _is_finite(tensor)]
    reporter = Reporter()
    if names:
        label = f"NaN or infinity in {len(names)} of {len(tensors)} tensors"
        hint = "training has most likely diverged: try an earlier checkpoint"
        notes = [Note(f"`{name}`") for name in names[:MAX_LISTED]]
        reporter.report("W0803", Span(Source(origin, ""), 0, 0), label, notes, hint)
    return reporter.diagnostics


def _is_finite(tensor: torch.Tensor) -> bool:
    """Return True if all numbers of a floating-point tensor are finite.

    A finite sum shows it in a sixth of the time; that of finite numbers can overflow.
    """
    numbers = tensor.detach().float()
    return bool(numbers.sum().isfinite()) or bool(numbers.isfinite().all())


def _from_source(theirs: Mapping[str, torch.Tensor], plan: Plan) -> dict[str, torch.Tensor]:
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
        parts = [_rearrange(part, back) for part in parts]
        ours.update(_copies([t.name for t in move.ours], parts))
    return ours


def _to_source(ours: Mapping[str, torch.Tensor], plan: Plan) -> dict[str, torch.Tensor]:
    """Convert our tensors to a source's."""
    theirs: dict[str, torch.Tensor] = {}
    for move in plan.moves:
        if any(t.name not in ours for t in move.ours):
            continue
        parts = [ours[t.name] for t in move.ours]
        if len(move.theirs) > 1:
            parts = list(parts[0].chunk(len(move.theirs)))
        parts = [_rearrange(part, move.change) for part in parts]
        theirs.update(_copies([t.name for t in move.theirs], parts))
        for name, _ in move.theirs:
            theirs.update((second, theirs[name].clone()) for second in plan.aliases.second.get(name, ()))
    return theirs


def _rearrange(tensor: torch.Tensor, change: Change | None) -> torch.Tensor:
    if change is None:
        return tensor
    return tensor.reshape(change.split).permute(change.order).reshape(change.end)


def _copies(names: Sequence[str], parts: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return contiguous copies of the parts by name, concatenated if there is a single name."""
    import torch

    if len(names) == 1 and len(parts) > 1:
        parts = [torch.cat([p.detach() for p in parts])]
    copies = [p.detach().clone(memory_format=torch.contiguous_format) for p in parts]
    return dict(zip(names, copies, strict=True))
