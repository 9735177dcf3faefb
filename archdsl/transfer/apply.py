"""Execution of a transfer plan on tensors. Needs torch."""

from __future__ import annotations

from functools import singledispatch
from math import log
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate, softplus

from archdsl.layers.axes import ONE_MORE, SOFTPLUS
from archdsl.transfer.steps import (
    AVERAGE,
    NEAREST,
    Average,
    Centre,
    Convert,
    Inflate,
    Lengthen,
    Resample,
    Select,
    Step,
    Stretch,
    Sum,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.transfer.branches import Parts
    from archdsl.transfer.plan import Entry, TransferPlan


def transfer(
    plan: TransferPlan, base: Mapping[str, torch.Tensor], initial: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the state dict of the variant.

    Args:
        plan: the origin of each tensor.
        base: the tensors of the base, by our names.
        initial: the tensors of a new module of the variant, for those without an origin.

    Steps are computed in float32 or wider; every tensor has the dtype of the base's tensors.
    """
    kind = next((t.dtype for t in base.values() if t.is_floating_point()), torch.float32)
    return {entry.name: _make_tensor(entry, base, initial[entry.name], kind) for entry in plan.entries}


def initial_state_dict(build: Callable[[], torch.nn.Module], seed: int) -> dict[str, torch.Tensor]:
    """Return the state dict of a new module, deterministic for a seed; the global generator's state is preserved."""
    with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]  # untyped in torch
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]  # untyped in torch
        return build().state_dict()


def _make_tensor(
    entry: Entry, base: Mapping[str, torch.Tensor], initial: torch.Tensor, kind: torch.dtype
) -> torch.Tensor:
    if not entry.base or entry.base not in base:  # `num_batches_tracked` may be missing
        tensor = initial.detach().clone()
        return tensor.to(kind) if tensor.is_floating_point() else tensor
    origin = _joined(entry.parts, base) if entry.parts else base[entry.base].detach()
    if not entry.steps:
        return origin.clone(memory_format=torch.contiguous_format)
    exact = torch.promote_types(origin.dtype, torch.float32)
    tensor = origin.to(exact)
    for step in entry.steps:
        tensor = _apply_step(step, tensor)
    tensor = _copy_new_rows(entry, initial.detach().to(exact), tensor)
    return tensor.to(origin.dtype).contiguous()


def _joined(parts: Parts, base: Mapping[str, torch.Tensor]) -> torch.Tensor:
    rows = [part and base[part.base].detach().chunk(part.of)[part.number] for part in parts]
    known = next(tensor for tensor in rows if tensor is not None)
    return torch.cat([torch.zeros_like(known) if tensor is None else tensor for tensor in rows])


def _copy_new_rows(entry: Entry, initial: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """Replace the rows without an origin by those of a new module's tensor."""
    for step in entry.steps:
        if step.new:
            rows = torch.tensor(step.new)
            tensor = tensor.index_copy(step.axis, rows, initial.index_select(step.axis, rows))
    return tensor


@singledispatch
def _apply_step(step: Step, tensor: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError(type(step))


@_apply_step.register
def _(step: Select, tensor: torch.Tensor) -> torch.Tensor:
    selected = tensor.index_select(step.axis, torch.tensor([max(s, 0) for s in step.sources]))
    if not step.share:
        return selected
    counts = torch.tensor([step.counts[s] or 1 for s in step.sources], dtype=tensor.dtype)
    return selected / counts.view([-1 if a == step.axis else 1 for a in range(tensor.dim())])


@_apply_step.register
def _(step: Inflate, tensor: torch.Tensor) -> torch.Tensor:
    if step.rule == AVERAGE:
        return tensor.repeat_interleave(step.size, step.axis) / step.size
    return _padded(tensor, step.axis, step.size)


@_apply_step.register
def _(step: Sum, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.sum(step.axis, keepdim=True)


@_apply_step.register
def _(step: Centre, tensor: torch.Tensor) -> torch.Tensor:
    if step.size > step.of:
        return _padded(tensor, step.axis, step.size)
    return tensor.narrow(step.axis, step.of // 2 - step.size // 2, step.size)


def _padded(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """Pad a tensor with zeros along one axis, so that its middle `n // 2` is at the new middle."""
    before = size // 2 - tensor.shape[axis] // 2
    shape = list(tensor.shape)
    shape[axis] = size
    padded = tensor.new_zeros(shape)
    padded.narrow(axis, before, tensor.shape[axis]).copy_(tensor)
    return padded


@_apply_step.register
def _(step: Stretch, tensor: torch.Tensor) -> torch.Tensor:
    return _linear(tensor, step.axis, step.size) * (step.of / step.size)


@_apply_step.register
def _(step: Average, tensor: torch.Tensor) -> torch.Tensor:
    before, behind = tensor.shape[: step.axis], tensor.shape[step.axis + 1 :]
    grouped = tensor.reshape(*before, step.parts * step.heads, step.of // step.heads, -1, *behind)
    return grouped.mean(step.axis + 1).reshape(*before, -1, *behind)


@_apply_step.register
def _(step: Convert, tensor: torch.Tensor) -> torch.Tensor:
    if step.of == SOFTPLUS:
        tensor = softplus(tensor) / log(2)
    return tensor + int(step.of == ONE_MORE) - int(step.form == ONE_MORE)


@_apply_step.register
def _(step: Lengthen, tensor: torch.Tensor) -> torch.Tensor:
    return _linear(tensor, step.axis, step.size)


@_apply_step.register
def _(step: Resample, tensor: torch.Tensor) -> torch.Tensor:
    (t, h, w), common = step.of, min(step.tokens, step.tokens_of)
    channels = tensor.shape[1]
    grid = tensor[step.tokens_of :].reshape(t, h, w, channels)
    if step.grid[1:] != step.of[1:]:
        corners = None if step.method == NEAREST else False
        grid = interpolate(grid.permute(0, 3, 1, 2), step.grid[1:], mode=step.method, align_corners=corners)
        grid = grid.permute(0, 2, 3, 1)
    if step.grid[0] != step.of[0]:
        grid = _linear(grid, 0, step.grid[0], NEAREST if step.method == NEAREST else "linear")
    new = tensor.new_zeros(step.tokens - common, channels)
    return torch.cat([tensor[:common], new, grid.reshape(-1, channels)])


def _linear(tensor: torch.Tensor, axis: int, size: int, method: str = "linear") -> torch.Tensor:
    """Interpolate along one axis, linearly unless said otherwise, with `align_corners=False`."""
    last, corners = tensor.movedim(axis, -1), None if method == NEAREST else False
    resized = interpolate(last.reshape(1, -1, last.shape[-1]), size, mode=method, align_corners=corners)
    return resized.view(*last.shape[:-1], size).movedim(-1, axis)
