"""Positions that a mask leaves, and tables of sinusoids, by their definitions: position by position, in float64."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor


def keep(layer: Any, x: Tensor, mask: Tensor) -> Tensor:
    """The kept columns of a grid (B, C, T, H, W) by a mask (B, 1, T, H, W): (B, C, 1, 1, N)."""
    clips = [[x[b, :, *place] for place in _places(mask[b, 0], hidden=layer.which == "hidden")] for b in range(len(x))]
    return torch.stack([torch.stack(columns, 1) for columns in clips])[:, :, None, None]


def restore(x: Tensor, mask: Tensor, token: Tensor) -> Tensor:
    """A grid (B, C, T, H, W) of the token, but for the columns (B, C, 1, 1, N) at the places that are not hidden."""
    grid = torch.zeros(len(x), x.shape[1], *mask.shape[2:], dtype=x.dtype)
    for b in range(len(x)):
        for place in itertools.product(*map(range, mask.shape[2:])):
            grid[b, :, *place] = token
        for n, place in enumerate(_places(mask[b, 0], hidden=False)):
            grid[b, :, *place] = x[b, :, 0, 0, n]
    return grid


def _places(mask: Tensor, *, hidden: bool) -> list[tuple[int, ...]]:
    return [place for place in itertools.product(*map(range, mask.shape)) if bool(mask[place]) == hidden]


def axial(over: str, size: tuple[int, int, int], channels: int) -> Tensor:
    """The table (positions, channels) of InternVideo2's and MAE's first values: time, then columns, then rows."""
    t, h, w = (1, *size[1:]) if over == "space" else (size[0], 1, 1) if over == "time" else size
    time = {"space_time": channels // 4, "space": 0, "time": channels}[over]
    side = (channels - time) // 2
    rows: list[list[float]] = []
    for i, j, k in itertools.product(range(t), range(h), range(w)):
        rows.append([])
        for number, width in ((i, time), (k, side), (j, side)):
            angles = [number / 10_000 ** (m / (width / 2)) for m in range(width // 2)]
            rows[-1] += [*map(math.sin, angles), *map(math.cos, angles)]
    return torch.tensor(rows, dtype=torch.float64)
