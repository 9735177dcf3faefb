"""Consistency checks of attention's attributes with each other and with the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.core.grid import CLIP, FRAME, grid_text
from archdsl.layers.base import ShapeError, divisors

if TYPE_CHECKING:
    from archdsl.core.grid import Grid
    from archdsl.layers.attention import Attention
    from archdsl.layers.attributes import Size3

EMBEDDED_GAUSSIAN, GAUSSIAN, DOT_PRODUCT, CONCATENATION = (
    "embedded_gaussian", "gaussian", "dot_product", "concatenation",
)  # fmt: skip
NONE, TABLE, DECOMPOSED, SAME = "none", "table", "decomposed", "same"


@dataclass(frozen=True)
class Pooling:
    """Pooling of queries, or of keys and values."""

    attribute: str
    kernel: Size3
    stride: Size3  # 0: the size of the window

    @property
    def step(self) -> Size3:
        t, h, w = (s or k for k, s in zip(self.kernel, self.stride, strict=True))
        return t, h, w

    @property
    def is_there(self) -> bool:
        return any(k != 1 for k in self.kernel) or any(s != 1 for s in self.step)

    @property
    def padding(self) -> Size3:
        """Padding over (t, h, w): 0 for adjacent or even windows, otherwise half of an odd window."""
        ends = zip(self.kernel, self.step, strict=True)
        t, h, w = (0 if k == s else k // 2 * (k % 2) for k, s in ends)
        return t, h, w

    @property
    def keeps_frames(self) -> bool:
        """True if the number of frames is preserved, with windows centred on their frame."""
        return self.step[0] == 1 and self.kernel[0] % 2 == 1

    def of(self, x: Grid) -> Size3:
        """Return the size (t, h, w) of the pooled grid."""
        if not self.is_there:
            return x.size
        ends = zip(x.size, self.kernel, self.step, self.padding, strict=True)
        t, h, w = ((n + 2 * p - k) // s + 1 if (k, s) != (1, 1) else n for n, k, s, p in ends)
        return t, h, w

    def of_window(self, window: Size3, grid: Size3, left: Size3) -> Size3:
        """Return the pooled size of a window: the whole pooled axis (`left`) if the window covers the axis."""
        ends = zip(window, grid, left, self.step, strict=True)
        t, h, w = (m if k == n else k // s for k, n, m, s in ends)
        return int(t), int(h), int(w)

    def of_shift(self, shift: Size3) -> Size3:
        """Return the shift of windows on the pooled grid."""
        t, h, w = (n // s for n, s in zip(shift, self.step, strict=True))
        return t, h, w


def check(layer: Attention, x: Grid) -> None:
    """Check attributes against each other and the grid.

    Raises:
        ShapeError: for the first contradiction.
    """
    _check_heads(layer, x)
    _check_axes(layer)
    _check_pooling(layer, x)
    _check_position(layer)
    _check_windows(layer, x)
    _check_band(layer, x)
    _check_token(layer, x)
    _check_score(layer, x)
    _check_halves(layer)


def _fault(message: str, attribute: str, code: str, hint: str = "", index: int | None = None) -> ShapeError:
    error = ShapeError(message, attribute, code, hint)
    error.index = index
    return error


def _check_heads(layer: Attention, x: Grid) -> None:
    dim = layer.inner(x)
    for channels in (dim, x.channels) if layer.score == GAUSSIAN else (dim,):
        if channels % layer.heads:
            message = f"{int(channels)} channels cannot be split into {int(layer.heads)} heads"
            raise _fault(message, "heads", "E0508", divisors("heads", channels, nearest=layer.heads))
    if layer.half_over != SAME and layer.heads % 2:
        message = f"{int(layer.heads)} {'head' if layer.heads == 1 else 'heads'} cannot be halved"
        raise _fault(message, "heads", "E0508", "an even number of heads")


def _check_axes(layer: Attention) -> None:
    """Check that pooling, windows, shifts and dilations are on axes of `over` only."""
    hint = "on this axis, or look along it, too"
    for index, axis in enumerate("thw"):
        if axis in layer.axes:
            continue
        told = f"`{layer.over}` does not look along {axis}, so "
        if layer.kv_pool[index] != 1 or layer.kv_stride[index] > 1:
            name = "kv_pool" if layer.kv_pool[index] != 1 else "kv_stride"
            raise _fault(f"{told}keys cannot be pooled there", name, "E0509", _POOL_HINT, index)
        if layer.q_pool[index] != 1 or layer.q_stride[index] > 1:
            name = "q_pool" if layer.q_pool[index] != 1 else "q_stride"
            raise _fault(f"{told}queries cannot be pooled there", name, "E0509", _POOL_HINT, index)
        if layer.window[index] > 1:
            raise _fault(f"{told}it has no window there", "window", "E0509", f"`all` or 1 {hint}", index)
        if layer.shift[index]:
            raise _fault(f"{told}no window can be shifted there", "shift", "E0509", f"0 {hint}", index)
        if layer.dilation[index] != 1:
            raise _fault(f"{told}nothing is dilated there", "dilation", "E0509", f"1 {hint}", index)


_POOL_HINT = "pool by 1 on this axis, or look along it, too"


def _check_pooling(layer: Attention, x: Grid) -> None:
    for pooling in (layer.queries, layer.keys):
        for index, n in enumerate(pooling.of(x)):
            if n < 1:
                axis, k = "thw"[index], int(pooling.kernel[index])
                message = f"a window of {k} over {axis} is larger than the grid of {grid_text(x.size)}"
                raise _fault(message, pooling.attribute, "E0503", "use a smaller window or a larger clip", index)
        if layer.pool == "avg" and pooling.is_there:
            _check_mean(pooling, x)
    if layer.pool == "conv" and layer.kv_pool_first and layer.keys.is_there:
        message = "a pooling by convolution has a filter for each channel of a head, which only projections have"
        raise _fault(message, "kv_pool_first", "E0510", "`kv_pool_first = off`, or pool by `max` or `avg`")
    if x.token and layer.kv_pool_first and layer.keys.is_there:
        message = "what a class token does not take part in comes behind the projection"
        raise _fault(message, "kv_pool_first", "E0511", "`kv_pool_first = off`, or `select(grid)` in front")
    if layer.pool_norm and layer.kv_pool_first and layer.keys.is_there:
        message = "keys are normalised by heads, which only projections have"
        raise _fault(message, "kv_pool_first", "E0510", "`kv_pool_first = off`, or `pool_norm = off`")


def _check_windows(layer: Attention, x: Grid) -> None:
    for index, (axis, k, s) in enumerate(zip("thw", layer.window, layer.shift, strict=True)):
        if s and not k:
            message = f"a shift of {int(s)} over {axis}, where there is no window to shift"
            raise _fault(message, "shift", "E0510", "`window = [t, h, w]` says one", index)
        if s and s >= k:
            message = f"a window of {int(k)} over {axis} that is moved by {int(s)} would be another window"
            raise _fault(message, "shift", "E0510", f"shifts below the window: 0 to {int(k) - 1}", index)
    if not layer.names_windows or layer.band:
        return
    found = layer.groups(x)
    if layer.pooled:
        _check_pooled_windows(layer, x)
    if found.is_shifted and any(d != 1 for d in found.dilation):
        message = "windows whose positions lie apart cannot be shifted"
        raise _fault(message, "shift", "E0510", "leave out `shift` or `dilation`")


def _check_mean(pooling: Pooling, x: Grid) -> None:
    """Check that average pooling has windows no larger than the unpadded grid."""
    for index, (n, k) in enumerate(zip(x.size, pooling.kernel, strict=True)):
        if n < k:
            message = f"a mean of {int(k)} over {'thw'[index]} is larger than the grid of {grid_text(x.size)}"
            raise _fault(message, pooling.attribute, "E0503", "use a smaller window or a larger clip", index)


def _check_position(layer: Attention) -> None:
    if any(layer.position_grid) and layer.position != DECOMPOSED:
        message = "only `decomposed` tables can be those of another grid"
        raise _fault(message, "position_grid", "E0510", "`position = decomposed`, or leave it out")
    if layer.table_prefix and layer.position != TABLE:
        raise _fault("there is no table to be read", "table_prefix", "E0510", "`position = table`, or leave it out")
    if layer.table_prefix and (layer.pooled or layer.band):
        message = "the first rows of an index are those of a window of single positions"
        raise _fault(message, "table_prefix", "E0510", "leave out `table_prefix`, or the pooling or band")


def _check_pooled_windows(layer: Attention, x: Grid) -> None:
    """Check that windows, shifts and strides divide the pooled grid without remainder."""
    found = layer.groups(x)
    if any(d != 1 for d in found.dilation):
        raise _fault("pooled positions cannot lie apart", "dilation", "E0510", "leave out `dilation` or the pooling")
    for pooling in (layer.queries, layer.keys):
        rows = zip("thw", found.grid, found.window, found.shift, pooling.step, pooling.of(x), strict=True)
        for index, (axis, n, k, shift, step, left) in enumerate(rows):
            if k == n:
                continue
            if n % k:
                message = f"with pooled keys or queries windows must divide the grid: {int(k)} over {axis} of {int(n)}"
                raise _fault(message, "window", "E0512", divisors("windows", n), index)
            if k % step or left * step != n:
                message = f"a pooling by {int(step)} over {axis} does not divide a window of {int(k)}"
                raise _fault(message, pooling.attribute, "E0512", divisors("strides", k), index)
            if shift % step:
                message = f"a shift by {int(shift)} over {axis} does not go with a pooling by {int(step)}"
                raise _fault(message, "shift", "E0512", f"shifts that are multiples of {int(step)}", index)


def _check_band(layer: Attention, x: Grid) -> None:
    if not layer.band:
        if layer.token_projections:
            message = "the class token has projections of its own only in a band, where it sees all positions"
            raise _fault(message, "token_projections", "E0510", "`band` says how far the others see")
        return
    if len(layer.axes) != 1:
        message = f"`{layer.over}` looks along {len(layer.axes)} axes, a band lies along one"
        raise _fault(message, "band", "E0510", "`over = time`, `height` or `width`; of several axes take a `window`")
    at = "thw".index(layer.axes)
    if layer.window[at]:
        raise _fault("a band and a window both say what is seen", "band", "E0510", "leave out one of them")
    if layer.band % 2:
        message = f"{int(layer.band)} positions are not as many before as behind"
        raise _fault(message, "band", "E0510", "an even number, as in Longformer's attention window")
    if layer.pooled:
        raise _fault("a band sees single positions, which pooling does away with", "band", "E0510", "leave out one")
    if layer.add_query:
        raise _fault("queries are added where they are pooled", "add_query", "E0510", "leave out `add_query` or `band`")
    if layer.position == DECOMPOSED:
        message = "a band takes its distances from a table"
        raise _fault(message, "position", "E0510", "`position = table`: on one axis it says as much")
    if x.size[at] % layer.dilation[at]:
        message = f"a dilation of {int(layer.dilation[at])} does not divide {int(x.size[at])} positions"
        raise _fault(message, "dilation", "E0512", divisors("dilations", x.size[at]), at)


def _check_token(layer: Attention, x: Grid) -> None:
    if x.token == FRAME and "t" in layer.axes:
        message = f"a class token a frame cannot look along time, as `{layer.over}` does"
        hint = "`select(token)` makes a grid of the tokens, `select(grid)` leaves them out"
        raise _fault(message, "over", "E0511", hint)
    if layer.token_projections and x.token != CLIP:
        message = f"{x} has no class token that could have projections of its own"
        raise _fault(message, "token_projections", "E0511", "`class_token` in front brings one")
    if layer.band and x.token == FRAME:
        message = "a band is for a clip's class token, and here each frame has one"
        raise _fault(message, "band", "E0511", "`select(grid)` leaves the class tokens out")
    if layer.half_over != SAME and x.token:
        message = "halves of the heads would each have their own class token"
        raise _fault(message, "half_over", "E0511", "`select(grid)` leaves the class token out")
    if layer.band and x.token:
        at = "thw".index(layer.axes)
        if x.positions != x.size[at] or layer.dilation[at] != 1:
            message = "a class token sees all of one row of positions, and there are several"
            raise _fault(message, "band", "E0511", "`select(grid)` leaves the class token out")


def _check_score(layer: Attention, x: Grid) -> None:
    """Check that other pairwise functions than `embedded_gaussian`, those of non-local blocks, have whole axes."""
    asked: dict[str, Any] = {
        "position": layer.position != NONE,
        "band": layer.band,
        "window": any(layer.window[i] for i, a in enumerate("thw") if a in layer.axes),
        "dilation": any(d != 1 for d in layer.dilation),
        "half_over": layer.half_over != SAME,
        "q_pool": layer.queries.is_there,
        "pool": layer.pool != "max" and layer.keys.is_there,
        "pool_norm": layer.pool_norm,
        "add_query": layer.add_query,
        "dropout": layer.dropout,
    }
    if layer.score != EMBEDDED_GAUSSIAN:
        for attribute, is_asked in asked.items():
            if is_asked:
                message = f"`{attribute}` is for `embedded_gaussian`, and this is `{layer.score}`"
                raise _fault(message, attribute, "E0510", "leave out one of them")
        if x.token:
            message = f"`{layer.score}` is for grids without a class token"
            raise _fault(message, "score", "E0511", "`select(grid)` leaves it out; or take `embedded_gaussian`")


def _check_halves(layer: Attention) -> None:
    asked: dict[str, Any] = {
        "window": any(layer.window),
        "dilation": any(d != 1 for d in layer.dilation),
        "band": layer.band,
        "position": layer.position != NONE,
        "kv_pool": layer.keys.is_there,
        "q_pool": layer.queries.is_there,
        "add_query": layer.add_query,
    }
    if layer.half_over != SAME:
        for attribute, is_asked in asked.items():
            if is_asked:
                message = f"halves of the heads look along whole axes, so there is no `{attribute}`"
                raise _fault(message, attribute, "E0510", "leave it out, or `half_over`")
