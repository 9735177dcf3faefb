"""Padding of a grid for a sliding window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.base import slide

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.layers.attributes import Size3

HALF, SAME, VALID = "half", "same", "valid"


def around(kind: str, kernel: Size3) -> Size3:
    """Return the padding on both sides of each axis; for `same`, it is valid unless `depends_on_grid`."""
    t, h, w = (0 if kind == VALID else k // 2 for k in kernel)
    return t, h, w


def half_of_odd(kernel: Size3) -> Size3:
    """Return half of the kernel on each axis, and 0 for an even one."""
    t, h, w = (k // 2 * (k % 2) for k in kernel)
    return t, h, w


def depends_on_grid(kind: str, kernel: Size3, stride: Size3) -> bool:
    """Return True if the amount of padding on each side depends on the size of the grid."""
    return kind == SAME and not (all(s == 1 for s in stride) and all(k % 2 for k in kernel))


def padded(x: Grid, kernel: Size3, stride: Size3) -> int:
    """Return the number of elements of a grid with `same` padding."""
    ends = zip(x.size, kernel, stride, strict=True)
    t, h, w = (max((n - 1) // s * s + k, n) for n, k, s in ends)
    return x.channels * t * h * w


def moved(size: Grid, kernel: Size3, stride: Size3, kind: str, padding: Size3) -> Any:
    """Return the output size (t, h, w) of a sliding window; with `same` padding, n / s rounded up.

    Raises:
        ShapeError: if the window is larger than the padded grid.
    """
    if kind == SAME:
        return tuple((n + s - 1) // s for n, s in zip(size.size, stride, strict=True))
    return slide(size, kernel, stride, padding)


def even_kernel(effect: str, same: Grid) -> str:
    """Return the remedy for an even kernel that changes the grid, which is `same` with that padding."""
    return f"an even kernel {effect}: use an odd one, or `padding = same`, which gives {same}"
