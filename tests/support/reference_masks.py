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


def bicubic(table: Tensor, made_for: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Rows of a grid (T·h·w, C) at the places of another height and width, by Keys's cubics with a = -3/4."""
    frames = table.view(-1, *made_for, table.shape[1])
    down, across = (_cubics(n, m) for n, m in zip(made_for, size, strict=True))
    return torch.einsum("hi,wj,tijc->thwc", down, across, frames).flatten(0, 2)


def _cubics(n: int, m: int) -> Tensor:
    """How much each of n places counts at each of m; beyond the border are the outermost ones."""
    found = torch.zeros(m, n, dtype=torch.float64)
    for row in range(m):
        centre = (row + 0.5) * n / m - 0.5
        for place in range(math.floor(centre) - 1, math.floor(centre) + 3):
            d = abs(centre - place)
            near, far = 1.25 * d**3 - 2.25 * d**2 + 1, -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            found[row, min(max(place, 0), n - 1)] += near if d <= 1 else far if d < 2 else 0
    return found
