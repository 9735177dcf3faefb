"""Rules of the axes that an attention looks along, of its windows and bands."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from archdsl.core.grid import grid_text
from archdsl.layers.attention_arguments import RESULT_LINE
from archdsl.layers.attention_between_rules import (
    BESIDE_POSITIONS,
)
from archdsl.layers.attention_line_faults import SIZES, TITLES, LineFault, axes_of, later
from archdsl.layers.base import divisors
from archdsl.layers.groups import AXES

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Lines


def check_axes(lines: Lines) -> None:
    """Check that windows, shifts, dilations and changes of the grid are on attended axes only."""
    between = lines.between
    hint = "on this axis, or look along it, too"
    q, k = lines.shapes["q"], lines.shapes["k"]
    for over, (index, axis) in product(between.over, enumerate("thw")):
        told = f"`{over}` does not look along"
        if axis in AXES[over]:
            continue
        if int(q.size[index]) != int(k.size[index]):
            last, first = later(lines, "q", "k")
            sizes = f"queries have {int(q.size[index])} {SIZES[index]}, keys {int(k.size[index])}"
            notes = [(f"the {TITLES[first]} come from here", first)]
            message = f"{told} {axis}, and {sizes}"
            raise LineFault(message, last, code="E0509", hint="a stride of 1 " + hint, notes=notes)
        if len(between.over) > 1:  # it takes none of what follows
            continue
        if between.window[index] > 1:
            message = f"{told} {axis}, so it has no window there"
            raise LineFault(message, "window", code="E0509", hint=f"`all` or 1 {hint}", index=index)
        if between.shift[index]:
            message = f"{told} {axis}, so no window can be shifted there"
            raise LineFault(message, "shift", code="E0509", hint=f"0 {hint}", index=index)
        if between.dilation[index] != 1:
            message = f"{told} {axis}, so nothing is dilated there"
            raise LineFault(message, "dilation", code="E0509", hint=f"1 {hint}", index=index)


def check_windows(lines: Lines) -> None:
    """Check windows, shifts and dilations."""
    between = lines.between
    for index, (axis, k, s) in enumerate(zip("thw", between.window, between.shift, strict=True)):
        if s and not k:
            message = f"a shift of {int(s)} over {axis}, where there is no window to shift"
            raise LineFault(message, "shift", hint="`window = [t, h, w]` says one", index=index)
        if s and s >= k:
            message = f"a window of {int(k)} over {axis} that is moved by {int(s)} would be another window"
            raise LineFault(message, "shift", hint=f"shifts below the window: 0 to {int(k) - 1}", index=index)
    found = lines.groups(between.over[0])
    if between.band or len(between.over) > 1:
        return
    if found.is_shifted and any(d != 1 for d in found.dilation):
        message = "windows whose positions lie apart cannot be shifted"
        raise LineFault(message, "shift", hint="leave out `shift` or `dilation`")
    for branch in "qk":
        _check_cut(lines, branch)


def _check_cut(lines: Lines, branch: str) -> None:
    """Check that a branch of another grid is cut into windows as the grid that enters is."""
    found, left = lines.groups(lines.between.over[0]), lines.shapes[branch].size
    if tuple(map(int, left)) == tuple(map(int, lines.x.size)):
        return
    if any(d != 1 for d in found.dilation):
        raise LineFault("pooled positions cannot lie apart", "dilation", hint="leave out `dilation` or the pooling")
    title, sizes = TITLES[branch], zip(*(lines.shapes[n].size for n in "qk"), strict=True)
    finest = [max(map(int, pair)) for pair in sizes]
    is_resized = any(a.shape.size != a.shapes[0].size for a in lines.applications if a.letters != RESULT_LINE)
    for index, (axis, n, k, s, m) in enumerate(zip("thw", found.padded, found.window, found.shift, left, strict=True)):
        is_finer = int(m) % n == 0 and finest[index] % int(m) == 0  # its windows are as much finer
        if k == n or axis not in found.over or is_finer:
            continue
        own = found.grid[index]
        if own % k and is_resized:
            message = f"windows must divide the grid where {title} have another one: {int(k)} over {axis} of {own}"
            raise LineFault(message, "window", code="E0512", hint=divisors("windows", own), index=index)
        if n % int(m) or k % (step := n // int(m)):
            message = f"{title} of {int(m)} {SIZES[index]} cannot be cut as {int(n)} into windows of {int(k)}"
            raise LineFault(message, branch, "window", code="E0512", hint=divisors("strides", k), index=index)
        if s % step:
            message = f"a shift by {int(s)} over {axis} does not go with {title} pooled by {int(step)}"
            raise LineFault(message, "shift", code="E0512", hint=f"shifts that are multiples of {step}", index=index)


def check_filling(lines: Lines) -> None:
    """Check that lines treat positions on their own where the grid is filled with zeros for its windows."""
    if not lines.is_filled:
        return
    between = lines.between
    window, dilation = ("×".join(str(int(n) or "all") for n in size) for size in (between.window, between.dilation))
    cut = f"windows of {window}" if any(between.window) else ""
    if any(d > 1 for d in between.dilation):
        cut = f"{cut} with a dilation of {dilation}" if cut else f"a dilation of {dilation}"
    verb = "do" if any(between.window) else "does"
    for application in lines.applications:
        if application.is_by_position() or application.layer.kind in BESIDE_POSITIONS:
            continue
        kind, grid = application.layer.kind, grid_text(lines.entering.size)
        message = f"`{kind}` looks beyond a position, and {cut} {verb} not divide {grid}"
        hint = "windows that divide the grid; else it is filled with zeros, in front of all lines"
        if application.letters == RESULT_LINE:
            hint = "behind the attention, which is cut back to the grid; or windows that divide it"
        fault = LineFault(message, code="E0512", hint=hint)
        fault.line = application.region.top.span
        raise fault


def check_band(lines: Lines) -> None:
    """Check that a band lies along one axis, whose positions are single ones."""
    band, axes = lines.between.band, axes_of(lines)
    if not band:
        return
    if len(axes) != 1:
        name = lines.between.over[0] if len(lines.between.over) == 1 else ", ".join(lines.between.over)
        message = f"`{name}` looks along {len(axes)} axes, a band lies along one"
        hint = "`over = time`, `height` or `width`; of several axes take a `window`"
        raise LineFault(message, "band", hint=hint)
    at = "thw".index(min(axes))
    dilation = lines.between.dilation[at]
    if lines.between.window[at]:
        raise LineFault("a band and a window both say what is seen", "band", hint="leave out one of them")
    if band % 2:
        message = f"{int(band)} positions are not as many before as behind"
        raise LineFault(message, "band", hint="an even number, as in Longformer's attention window")
    for branch in "qk":
        if tuple(map(int, lines.shapes[branch].size)) != tuple(map(int, lines.entering.size)):
            message = f"a band sees single positions, and {TITLES[branch]} have another grid"
            raise LineFault(message, branch, "band", hint="leave out `band`, or the layer that changes the grid")
    _check_biases_of_band(lines)
    if lines.entering.size[at] % dilation:
        message = f"a dilation of {int(dilation)} does not divide {int(lines.entering.size[at])} positions"
        hint = divisors("dilations", lines.entering.size[at])
        raise LineFault(message, "dilation", code="E0512", hint=hint, index=at)


def _check_biases_of_band(lines: Lines) -> None:
    smaller = next((b for b in lines.biases if b.layer.takes_first_rows), None)
    if smaller is not None:
        fault = LineFault("a band has no window that could become smaller", hint="leave out `prefix`")
        fault.line = smaller.span
        raise fault
    bias = next((b for b in lines.biases if not b.layer.takes_band), None)
    if bias is not None:
        fault = LineFault("a band takes its distances from a table", hint="`bias: table`: on one axis it says as much")
        fault.line = bias.span
        raise fault
