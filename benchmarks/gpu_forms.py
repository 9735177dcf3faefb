"""Forms of code that a compiler could choose between on a GPU, beside those of `alternatives.py`.

All forms of a case compute the same; the first is what one would write by hand. FlexAttention is compiled on a GPU and
plain on a CPU, where it is only checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from alternatives import Case, Forms, distances, linear, masks, patches, pooling, spatial, temporal
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GRAPH = "CUDA graph"  # a form of whole models, which `gpu_steps` measures
CELL = 8  # numbers to a multiple of which fused attention wants the width of a head


def pools(channels: int, frames: int, size: int, stride: int) -> Case:
    """Pooling by a filter of 3×3×3 for each channel, in four forms."""
    what, forms, shapes = pooling(channels, frames, size, stride)
    steps = (1, stride, stride)

    def first_channels(x: Tensor, w: Tensor) -> Tensor:
        return F.conv3d(x.movedim(-1, 1).contiguous(), w, stride=steps, padding=1, groups=channels)

    def shifted(x: Tensor, w: Tensor) -> Tensor:
        wide = F.pad(x, (0, 0, 1, 1, 1, 1, 1, 1))
        out = [(n - 1) // s + 1 for n, s in zip(x.shape[1:4], steps, strict=True)]
        y = torch.zeros((), device=x.device, dtype=x.dtype)
        for place in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist():
            cuts = tuple(slice(p, p + s * (n - 1) + 1, s) for p, s, n in zip(place, steps, out, strict=True))
            y = y + wide[(slice(None), *cuts)] * w[(slice(None), 0, *place)]
        return y.movedim(-1, 1)

    more: Forms = {"conv3d, channels first": first_channels, "sum of shifted maps": shifted}
    return what, forms | more, shapes


def memory_format(channels: int, frames: int, size: int) -> Case:
    """Three convolutions of 3×3×3 in a row, with the channels first and last in memory."""

    def row(x: Tensor, w: Tensor) -> Tensor:
        for _ in range(3):
            x = F.relu(F.conv3d(x, w, padding=1))
        return x

    def last(x: Tensor, w: Tensor) -> Tensor:
        layout = torch.channels_last_3d
        return row(x.contiguous(memory_format=layout), w.contiguous(memory_format=layout))

    what = f"three of 3×3×3 of {channels} channels, {frames}×{size}×{size}"
    return (
        what,
        {"channels first": row, "channels last": last},
        [(2, channels, frames, size, size), (channels,) * 2 + (3,) * 3],
    )


def head_widths(heads: int, n: int, d: int) -> Case:
    """Attention with heads of an odd width, as they are and filled up with zeros."""

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    def padded(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        more = -d % CELL
        q, k, v = (F.pad(x, (0, more)) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, scale=d**-0.5)[..., :d]

    what = f"attention of {n} tokens, {heads} heads of {d}"
    return what, {"as it is": plain, f"padded to {d + -d % CELL}": padded}, [(2, heads, n, d)] * 3


def flexible(what: str, seen: Callable[[Any, Any, Any, Any], Tensor], shape: tuple[int, int, int, int]) -> Case:
    """Attention to some of the keys, by a mask and by FlexAttention, which skips what is masked in whole tiles.

    Args:
        what: the case in words.
        seen: (batch, head, query, key) → whether the query sees the key.
        shape: (B, heads, tokens, width) of queries, keys and values.
    """
    batch, _, n, _ = shape
    axes = (torch.arange(size) for size in (batch, 1, n, n))
    places = (a.view([-1 if i == axis else 1 for i in range(4)]) for axis, a in enumerate(axes))
    mask = seen(*places).expand(batch, 1, n, n)
    kept: dict[str, Any] = {}  # what does not depend on the values is worked out once, as generated modules do

    def masked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if "mask" not in kept:
            with torch.inference_mode(mode=False):
                kept["mask"] = mask.to(q.device)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=kept["mask"])

    def flex(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        if "blocks" not in kept:
            with torch.inference_mode(mode=False):
                kept["blocks"] = create_block_mask(seen, batch, None, n, n, device=q.device.type)
            kept["attend"] = torch.compile(flex_attention, dynamic=False) if q.is_cuda else flex_attention
        return kept["attend"](q, k, v, block_mask=kept["blocks"])

    return what, {"mask": masked, "FlexAttention": flex}, [shape] * 3


def windows(count: int, heads: int, n: int, d: int) -> Case:
    """Shifted windows, a quarter of which is cut in two by the border."""

    def seen(b: Any, h: Any, q: Any, k: Any) -> Tensor:
        del h
        return (b < count - count // 4) | ((q < n // 2) == (k < n // 2))

    return flexible(f"{count} shifted windows of {n}, heads: {heads}, no table", seen, (count, heads, n, d))


def bands(frames: int, places: int, reach: int, heads: int, d: int) -> Case:
    """Tokens of a clip that look at frames near their own."""

    def seen(b: Any, h: Any, q: Any, k: Any) -> Tensor:
        del b, h
        return (q // places - k // places).abs() <= reach

    what = f"band of {2 * reach + 1} of {frames} frames of {places} tokens, heads: {heads}"
    return flexible(what, seen, (2, heads, frames * places, d))


def cases(*, tiny: bool) -> Iterator[Case]:
    """Yield cases at the sizes of models, or one small one of each kind for a dry run."""
    if tiny:
        yield patches(3, 8, 2, 16, 4)
        yield pools(4, 2, 6, 2)
        yield memory_format(4, 2, 6)
        yield distances(1, (2, 4, 4), (2, 2, 2), 8)
        yield masks(4, 1, 8, 8)
        yield head_widths(1, 16, 5)
        yield windows(4, 1, 16, 16)
        yield bands(4, 8, 1, 1, 16)
        return
    yield patches(3, 768, 8, 224, 16)
    yield patches(3, 96, 8, 224, 4)
    yield pools(96, 8, 56, 1)
    yield pools(384, 8, 14, 1)
    yield pools(768, 8, 14, 2)
    yield memory_format(64, 8, 56)
    yield memory_format(256, 8, 14)
    yield masks(64, 3)
    yield masks(4, 12)
    yield distances(1, (8, 56, 56), (8, 7, 7))
    yield distances(4, (8, 14, 14), (8, 7, 7))
    yield head_widths(8, 1568, 33)
    yield head_widths(4, 1568, 117)
    yield spatial(64, 144, 16, 56, 3)
    yield temporal(144, 64, 16, 56)
    yield linear(6272, 192, 768)
    yield windows(64, 3, 392, 32)  # what is compiled comes last, as it takes longest
    yield bands(16, 196, 1, 12, 64)
