"""RoIAlign by its definition: a loop over boxes, bins and points, as torchvision's kernels compute it."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor


def roi_align(layer: Any, x: Tensor, boxes: Tensor, clip: Tensor | None = None) -> Tensor:
    """Features of boxes (B, 4, N, 1, 1) on a grid (B, C, 1, H, W): (B, C, N, size, size)."""
    sizes = [1 / layer.stride] * 2 if clip is None else [x.shape[a] / clip.shape[a] for a in (3, 4)]
    made = x.new_zeros(*x.shape[:2], boxes.shape[2], layer.size, layer.size)
    for number, box in product(range(x.shape[0]), range(boxes.shape[2])):
        left, top, right, bottom = boxes[number, :, box, 0, 0].tolist()
        rows = Side(layer, top * sizes[0], bottom * sizes[0], x.shape[3])
        columns = Side(layer, left * sizes[1], right * sizes[1], x.shape[4])
        for i, j in product(range(layer.size), repeat=2):
            points = list(product(rows.points(i), columns.points(j)))
            total = sum((bilinear(x[number, :, 0], *point) for point in points), x.new_zeros(x.shape[1]))
            made[number, :, box, i, j] = total / max(rows.number * columns.number, 1)
    return made


class Side:
    """One axis of a box, in positions of the grid."""

    def __init__(self, layer: Any, low: float, high: float, positions: int) -> None:
        self.low = low - 0.5 if layer.aligned else low
        extent = high - low if layer.aligned else max(high - low, 1.0)
        self.bin, self.positions = extent / layer.size, positions
        self.number = layer.sampling_ratio or max(math.ceil(self.bin), 0)

    def points(self, index: int) -> list[float]:
        """The points of a bin that are on the grid, or at most one position outside."""
        at = [self.low + index * self.bin + (k + 0.5) * self.bin / self.number for k in range(self.number)]
        return [point for point in at if -1 <= point <= self.positions]


def bilinear(x: Tensor, row: float, column: float) -> Tensor:
    """The value of a grid (C, H, W) between positions; beyond the first and the last one that of these."""
    places: list[list[tuple[int, float]]] = []
    for at, size in ((row, x.shape[1]), (column, x.shape[2])):
        inside = min(max(at, 0.0), size - 1.0)
        low = int(inside)
        places.append([(low, 1 - (inside - low)), (min(low + 1, size - 1), inside - low)])
    return torch.stack([x[:, i, j] * one * other for (i, one), (j, other) in product(*places)]).sum(0)
