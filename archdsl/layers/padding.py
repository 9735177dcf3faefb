"""Padding of a grid for a sliding window."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from archdsl.core.diagnostics import one_of
from archdsl.core.record import record
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Attribute, Size
from archdsl.layers.base import ShapeError, check_window, known_to_be

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.core.values import Value
    from archdsl.layers.attributes import Size3

HALF, SAME, VALID, CAUSAL = "half", "same", "valid", "causal"

Pad = str | int  # along one axis: a word, or the number of positions on both sides
Pads = str | tuple[Pad, Pad, Pad]  # one word for all axes, or t, h and w


_NUMBERS = Size(minimum=0)


class Padding(Attribute[Pads]):
    """A padding: a word, a number of positions on both sides, or a list [t, h, w] of these."""

    words = (HALF, SAME, VALID, CAUSAL)
    expects = f"{one_of(words)}, a number or a list [t, h, w] of these"

    def convert(self, value: Value) -> Pads:
        is_list = isinstance(value, tuple)
        items = cast("tuple[Value, ...]", value) if is_list else (value,)
        words = [item.name if self._is_word(item) else "" for item in items]
        if words[0] and len(items) in (1, 3) and len(set(words)) == 1:
            return words[0]
        if not is_list and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.wrong(value)
        if is_list and len(items) != 3:
            raise self.wrong(value)
        found = _NUMBERS.convert(
            tuple(0 if word else item for word, item in zip(words, items, strict=True)) if is_list else value
        )
        t, h, w = (word or number for word, number in zip(words if is_list else [""] * 3, found, strict=True))
        return t, h, w

    def _is_word(self, value: Value) -> bool:
        return isinstance(value, Symbol) and value.name in self.words and not value.arguments


def slides(kernel: Size3, stride: Size3) -> bool:
    """Return True if a window slides over some axis: of several positions, or by several; 0 is the whole axis."""
    sizes = zip(kernel, stride, strict=True)
    return not all(known_to_be(k, 0) or known_to_be((k, s), 1) for k, s in sizes)


@record
class SlidingWindow:
    """A window that slides over a padded grid; all sizes over t, h and w.

    On each axis, padding is fixed, equal on both sides or not, or depends on the size of the grid (`same`).
    """

    kernel: Size3
    stride: Size3
    padding: Pads
    dilation: Size3 = (1, 1, 1)
    pads_even: bool = True  # `half` is half of an even kernel, too, and otherwise nothing for such a kernel
    ceil: bool = False  # the number of its places is rounded up
    always_fits: bool = False  # `same` is found from the grid even where it is the same for all grids

    @property
    def paddings(self) -> tuple[Pad, Pad, Pad]:
        """The padding of each axis."""
        return (self.padding, self.padding, self.padding) if isinstance(self.padding, str) else self.padding

    @cached_property
    def extent(self) -> Size3:
        """The positions from the first to the last one under the window."""
        sizes = zip(self.kernel, self.dilation, strict=True)
        t, h, w = (k if known_to_be(d, 1) else d * (k - 1) + 1 for k, d in sizes)
        return t, h, w

    @cached_property
    def fits_grid(self) -> tuple[bool, bool, bool]:
        """True for the axes whose padding is found from the size of the grid: those with `same`, if they need it."""
        t, h, w = (p == SAME for p in self.paddings)
        axes = zip((t, h, w), self.extent, self.stride, strict=True)
        depends = any(same and not (s == 1 and k % 2) for same, k, s in axes)
        return (t, h, w) if depends or self.always_fits else (False, False, False)

    @cached_property
    def ends(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """The fixed padding before and behind each axis."""
        t, h, w = (self._ends(axis) for axis in range(3))
        return t, h, w

    def _ends(self, axis: int) -> tuple[int, int]:
        k, d, padding = self.kernel[axis], self.dilation[axis], self.paddings[axis]
        if isinstance(padding, int):
            return padding, padding
        if padding == VALID or self.fits_grid[axis]:
            return 0, 0
        if padding == CAUSAL:
            return self.extent[axis] - 1, 0
        if padding == SAME:
            return self.extent[axis] // 2, self.extent[axis] // 2
        half = k // 2 if self.pads_even else k // 2 * (k % 2)
        half = half if known_to_be(d, 1) else d * half
        return half, half

    @property
    def around(self) -> Size3:
        """The fixed padding of axes where it is equal on both sides; 0 on others."""
        t, h, w = (before if before == behind else 0 for before, behind in self.ends)
        return t, h, w

    @property
    def apart(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """The fixed padding before and behind of axes where it differs; 0 on others."""
        t, h, w = ((0, 0) if before == behind else (before, behind) for before, behind in self.ends)
        return t, h, w

    @property
    def is_even(self) -> bool:
        """True if padding is fixed, and equal on both sides of each axis."""
        return not any(self.fits_grid) and all(before == behind for before, behind in self.ends)

    def moved(self, x: Grid) -> Any:
        """Return the output size (t, h, w): (n + p + q - k) // s + 1 for padding of p before and q behind an axis.

        With `same`, n / s is rounded up. With `ceil`, the last window begins in the grid or before it, and may end
        beyond the padding.

        Raises:
            ShapeError: if the window is larger than the padded grid.
        """
        sizes = zip(x.size, self.extent, self.stride, self.ends, self.fits_grid, strict=True)
        out = tuple(self._moved(n, k, s, ends, fits=fits) for n, k, s, ends, fits in sizes)
        check_window(x, self.kernel, out, [before + behind for before, behind in self.ends], self.dilation)
        return out

    def _moved(self, n: int, k: int, s: int, ends: tuple[int, int], *, fits: bool) -> int:
        before, behind = ends
        if fits:
            return (n + s - 1) // s
        if self.ceil:
            return (n + (min(before + behind - k + s, before) + s - 1)) // s
        return (n + (before + behind) - k) // s + 1

    def padded(self, x: Grid) -> int:
        """Return the number of elements of a grid that is padded before the window slides over it."""
        size = [
            max((n - 1) // s * s + k, n) if fit else n + before + behind
            for n, s, k, fit, (before, behind) in zip(
                x.size, self.stride, self.extent, self.fits_grid, self.apart, strict=True
            )
        ]
        return x.channels * size[0] * size[1] * size[2]


def pooling_window(kernel: Size3, stride: Size3, padding: Pads, *, ceil: bool) -> SlidingWindow:
    """Return the window of a pooling, of one position along an axis that is pooled as a whole (a kernel of 0)."""
    t, h, w = (k or 1 for k in kernel)
    return SlidingWindow((t, h, w), stride, padding, pads_even=False, ceil=ceil)


def pooled(x: Grid, window: SlidingWindow, kernel: Size3) -> Any:
    """Return the output size (t, h, w) of a pooling: 1 along an axis that is pooled as a whole (a kernel of 0).

    Raises:
        ShapeError: if the window is larger than the padded grid, or padding is more than half of it.
    """
    for axis, (k, padding) in enumerate(zip(kernel, window.paddings, strict=True)):
        if isinstance(padding, int) and 2 * padding > k:
            raise _too_wide(int(padding), int(k), axis)
    return tuple(n if k else 1 for n, k in zip(window.moved(x), kernel, strict=True))


def _too_wide(padding: int, kernel: int, axis: int) -> ShapeError:
    """Return the error of a padding by more than half of the kernel, beyond which windows have padding alone."""
    message = f"padding of {padding} over {'thw'[axis]} is more than half of the kernel of {kernel}"
    if not kernel:
        message = f"{'thw'[axis]} is pooled as a whole, and cannot be padded by {padding}"
    hint = f"at most {kernel // 2} positions are padded there" if kernel else f"`padding = 0` for {'thw'[axis]}"
    error = ShapeError(message, "padding", "E0506", hint)
    error.index = axis
    return error


def even_kernel(effect: str, same: Grid) -> str:
    """Return the remedy for an even kernel that changes the grid, which is `same` with that padding."""
    return f"an even kernel {effect}: use an odd one, or `padding = same`, which gives {same}"
