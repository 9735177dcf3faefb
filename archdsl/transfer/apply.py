"""Tensors along a plan. Needs torch."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from archdsl.transfer.steps import AVERAGE, Centre, Inflate, Lengthen, Resample, Select, Step, Stretch, Sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from archdsl.transfer.plan import Entry, TransferPlan


def transfer(
    plan: TransferPlan, base: Mapping[str, torch.Tensor], initial: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The state dict of the variant.

    Args:
        plan: what becomes of each tensor.
        base: the tensors of the base, by our names.
        initial: those of a fresh module of the variant, for what is new.

    What is computed is computed in float32 at least; every tensor has the type that those of the base have.
    """
    kind = next((t.dtype for t in base.values() if t.is_floating_point()), torch.float32)
    return {entry.name: _made(entry, base, initial[entry.name], kind) for entry in plan.entries}


def fresh(build: Callable[[], torch.nn.Module], seed: int) -> dict[str, torch.Tensor]:
    """The tensors of a new module, always the same for a seed. The generator of the process stays as it is."""
    with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]  # nor have these
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]  # its argument has no type
        return build().state_dict()


def _made(entry: Entry, base: Mapping[str, torch.Tensor], initial: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    if not entry.base or entry.base not in base:  # a counter of batches may be missing
        fresh = initial.detach().clone()
        return fresh.to(kind) if fresh.is_floating_point() else fresh
    given = base[entry.base].detach()
    if not entry.steps:
        return given.clone(memory_format=torch.contiguous_format)
    exact = torch.promote_types(given.dtype, torch.float32)
    found = given.to(exact)
    fresh = initial.detach().to(exact)
    for step in entry.steps:
        found = _take(step, found)
    found = _with_new(entry, found, fresh)
    return found.to(given.dtype).contiguous()


def _with_new(entry: Entry, found: torch.Tensor, fresh: torch.Tensor) -> torch.Tensor:
    """Rows that have no origin begin as they do in a new module."""
    for step in entry.steps:
        if step.new:
            rows = torch.tensor(step.new)
            found = found.index_copy(step.axis, rows, fresh.index_select(step.axis, rows))
    return found


@singledispatch
def _take(step: Step, tensor: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError(type(step))


@_take.register
def _(step: Select, tensor: torch.Tensor) -> torch.Tensor:
    found = tensor.index_select(step.axis, torch.tensor([max(s, 0) for s in step.sources]))
    if not step.share:
        return found
    counts = torch.tensor([step.counts[s] or 1 for s in step.sources], dtype=tensor.dtype)
    return found / counts.view([-1 if a == step.axis else 1 for a in range(tensor.dim())])


@_take.register
def _(step: Inflate, tensor: torch.Tensor) -> torch.Tensor:
    if step.rule == AVERAGE:
        return tensor.repeat_interleave(step.size, step.axis) / step.size
    return _padded(tensor, step.axis, step.size)


@_take.register
def _(step: Sum, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.sum(step.axis, keepdim=True)


@_take.register
def _(step: Centre, tensor: torch.Tensor) -> torch.Tensor:
    if step.size > step.of:
        return _padded(tensor, step.axis, step.size)
    return tensor.narrow(step.axis, step.of // 2 - step.size // 2, step.size)


def _padded(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """Zeros around it, so that its middle `n // 2` lies on the new middle."""
    before = size // 2 - tensor.shape[axis] // 2
    shape = list(tensor.shape)
    shape[axis] = size
    found = tensor.new_zeros(shape)
    found.narrow(axis, before, tensor.shape[axis]).copy_(tensor)
    return found


@_take.register
def _(step: Stretch, tensor: torch.Tensor) -> torch.Tensor:
    return _linear(tensor, step.axis, step.size) * (step.of / step.size)


@_take.register
def _(step: Lengthen, tensor: torch.Tensor) -> torch.Tensor:
    return _linear(tensor, step.axis, step.size)


@_take.register
def _(step: Resample, tensor: torch.Tensor) -> torch.Tensor:
    (t, h, w), kept = step.of, min(step.tokens, step.tokens_of)
    channels = tensor.shape[1]
    grid = tensor[step.tokens_of :].reshape(t, h, w, channels)
    if step.grid[1:] != step.of[1:]:
        grid = interpolate(grid.permute(0, 3, 1, 2), step.grid[1:], mode="bicubic", align_corners=False)
        grid = grid.permute(0, 2, 3, 1)
    if step.grid[0] != step.of[0]:
        grid = _linear(grid, 0, step.grid[0])
    new = tensor.new_zeros(step.tokens - kept, channels)
    return torch.cat([tensor[:kept], new, grid.reshape(-1, channels)])


def _linear(tensor: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """Linear interpolation along one axis, as `interpolate` does without aligned corners."""
    last = tensor.movedim(axis, -1)
    found = interpolate(last.reshape(1, -1, last.shape[-1]), size, mode="linear", align_corners=False)
    return found.view(*last.shape[:-1], size).movedim(-1, axis)
