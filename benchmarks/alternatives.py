"""The forms of code that the compiler chooses between, each timed alone: why it chooses as it does.

    python benchmarks/alternatives.py [--device cpu --runs 15] [--csv FILE] [--write-docs]

All forms of a line compute the same, which is checked first. A figure is how much faster than the first form the others
are, forward alone and with the backward pass: the median over rounds in which all run in turn. Lines go to
benchmarks/results/alternatives.csv; `--write-docs` makes the table in docs/performance.md of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import goals
import table
import torch
from measure import Runner, full_precision, measured, where
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

RESULTS = Path(__file__).parent / "results" / "alternatives.csv"
Forms = dict[str, "Callable[..., Tensor]"]
Case = tuple[str, Forms, "Sequence[tuple[int, ...]]"]


class Constant:
    """A tensor that does not depend on the values, brought to a device and dtype once."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self.kept: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def like(self, other: Tensor) -> Tensor:
        """Return it on the device and in the dtype of another tensor."""
        key = other.device, other.dtype
        if key not in self.kept:
            with torch.inference_mode(mode=False):
                self.kept[key] = self.value.to(other)
        return self.kept[key]


def linear(n: int, channels: int, out: int) -> Case:
    """A product as `linear` and as a convolution of 1×1."""

    def convolved(x: Tensor, w: Tensor) -> Tensor:
        return F.conv2d(x.transpose(1, 2).unsqueeze(2), w[:, :, None, None]).squeeze(2).transpose(1, 2)

    forms: Forms = {"linear": F.linear, "conv2d of 1×1": convolved}
    return f"product of {n}×{channels} and {channels}×{out}", forms, [(1, n, channels), (out, channels)]


def spatial(channels: int, out: int, frames: int, size: int, k: int) -> Case:
    """A convolution of single frames, its channels last in memory, in three and in two dimensions."""

    def three(x: Tensor, w: Tensor) -> Tensor:
        return F.conv3d(x.movedim(-1, 1), w, padding=(0, k // 2, k // 2))

    def two(x: Tensor, w: Tensor) -> Tensor:
        y = F.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), w.squeeze(2), padding=k // 2)
        return y.unflatten(0, (len(x), -1)).movedim(1, 2)

    what = f"1×{k}×{k} of {channels} to {out} channels, {frames}×{size}×{size}"
    return what, {"conv3d": three, "conv2d": two}, [(2, frames, size, size, channels), (out, channels, 1, k, k)]


def temporal(channels: int, out: int, frames: int, size: int) -> Case:
    """A convolution over time, its channels last in memory, as it is and with positions as columns of a picture."""

    def three(x: Tensor, w: Tensor) -> Tensor:
        return F.conv3d(x.movedim(-1, 1), w, padding=(1, 0, 0))

    def two(x: Tensor, w: Tensor) -> Tensor:
        y = F.conv2d(x.movedim(-1, 1).flatten(3), w.squeeze(-1), padding=(1, 0))
        return y.unflatten(3, x.shape[2:4])

    what = f"3×1×1 of {channels} to {out} channels, {frames}×{size}×{size}"
    return what, {"conv3d": three, "conv2d": two}, [(2, frames, size, size, channels), (out, channels, 3, 1, 1)]


def patches(channels: int, out: int, frames: int, size: int, k: int) -> Case:
    """An embedding of patches as a convolution and as a product."""

    def convolved(x: Tensor, w: Tensor) -> Tensor:
        return F.conv3d(x, w, stride=(1, k, k)).movedim(1, -1)

    def product(x: Tensor, w: Tensor) -> Tensor:
        x = x.unflatten(4, (-1, k)).unflatten(3, (-1, k)).permute(0, 2, 3, 5, 1, 4, 6)
        return F.linear(x.flatten(4), w.flatten(1))

    what = f"patches of 1×{k}×{k} to {out} channels, {frames}×{size}×{size}"
    return what, {"conv3d": convolved, "linear": product}, [(1, channels, frames, size, size), (out, channels, 1, k, k)]


def pooling(channels: int, frames: int, size: int, stride: int) -> Case:
    """MViT's pooling by a filter of 3×3×3 for each channel, in three dimensions and by taps in two."""
    steps = (1, stride, stride)

    def three(x: Tensor, w: Tensor) -> Tensor:
        return F.conv3d(x.movedim(-1, 1), w, stride=steps, padding=1, groups=channels)

    def taps(x: Tensor, w: Tensor) -> Tensor:
        pictures = x.flatten(0, 1).permute(0, 3, 1, 2)
        found = [F.conv2d(pictures, v, stride=stride, padding=1, groups=channels) for v in w.unbind(2)]
        first, y, last = (tap.unflatten(0, (len(x), -1)) for tap in found)
        y = y + F.pad(first, (0, 0, 0, 0, 0, 0, 1, -1)) + F.pad(last, (0, 0, 0, 0, 0, 0, -1, 1))
        return y.movedim(1, 2)

    what = f"pooling of {channels} channels, {frames}×{size}×{size}, stride {stride}"
    return what, {"conv3d": three, "taps of conv2d": taps}, [(1, frames, size, size, channels), (channels, 1, 3, 3, 3)]


def distances(heads: int, queries: tuple[int, int, int], keys: tuple[int, int, int], d: int = 96) -> Case:
    """Attention with decomposed distances, as a table of scores and as channels."""
    where_to = torch.cartesian_prod(*map(torch.arange, keys)).unbind(-1)
    places = Constant(torch.cat([F.one_hot(x, k) for x, k in zip(where_to, keys, strict=True)], dim=-1).float())

    def said(q: Tensor, *tables: Tensor) -> list[Tensor]:
        grid = q.unflatten(2, queries)
        return [torch.einsum(f"bnthwd,{a}kd->bnthwk", grid, x) for a, x in zip("thw", tables, strict=True)]

    def scores(q: Tensor, k: Tensor, v: Tensor, *tables: Tensor) -> Tensor:
        t, h, w = said(q, *tables)
        bias = t[..., None, None] + h[..., None, :, None] + w[..., None, None, :]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.flatten(5).flatten(2, 4))

    def channels(q: Tensor, k: Tensor, v: Tensor, *tables: Tensor) -> Tensor:
        more = torch.cat(said(q, *tables), dim=-1).flatten(2, 4) * d**0.5
        mark = places.like(k).expand(*k.shape[:2], -1, -1)
        q, k = torch.cat([q, more], dim=-1), torch.cat([k, mark], dim=-1)
        return F.scaled_dot_product_attention(q, k, F.pad(v, (0, more.shape[-1])), scale=d**-0.5)[..., :d]

    many, few = (torch.Size(x).numel() for x in (queries, keys))
    shapes = [
        (1, heads, many, d),
        (1, heads, few, d),
        (1, heads, few, d),
        *((q, k, d) for q, k in zip(queries, keys, strict=True)),
    ]
    what = f"decomposed distances of {many} queries to {few} keys, heads: {heads}"
    return what, {"table of scores": scores, "channels": channels}, shapes


def masks(windows: int, heads: int, n: int = 392, d: int = 32) -> Case:
    """Attention in windows of which some are cut by the border, by a mask for each and by channels."""
    side = torch.ones(windows, 1, n, 1)
    side[-windows // 4 :, :, n // 2 :] = -1
    sign = Constant(side)

    def masked(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        mask = bias - 50 + 50 * (sign.like(q) * sign.like(q).transpose(-2, -1))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def channels(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        sides = sign.like(q).expand(-1, heads, -1, -1)
        q, k = torch.cat([q, 50 * d**0.5 * sides], dim=-1), torch.cat([k, sides], dim=-1)
        return F.scaled_dot_product_attention(q, k, F.pad(v, (0, 1)), attn_mask=bias, scale=d**-0.5)[..., :d]

    shapes = [*[(windows, heads, n, d)] * 3, (1, heads, n, n)]
    return f"{windows} shifted windows of {n}, heads: {heads}", {"masks": masked, "channels": channels}, shapes


def cases() -> Iterator[Case]:
    """Sizes of the models that there are specs of."""
    yield linear(1569, 768, 3072)
    yield linear(6272, 192, 768)
    yield spatial(64, 64, 8, 56, 3)
    yield spatial(256, 64, 8, 56, 1)
    yield spatial(8, 8, 32, 56, 3)
    yield spatial(64, 144, 16, 56, 3)
    yield temporal(144, 64, 16, 56)
    yield temporal(1024, 256, 8, 14)
    yield patches(3, 768, 8, 224, 16)
    yield patches(3, 96, 8, 224, 4)
    yield pooling(96, 8, 56, 1)
    yield pooling(384, 8, 14, 1)
    yield pooling(768, 8, 14, 2)
    yield distances(1, (8, 56, 56), (8, 7, 7))
    yield distances(4, (8, 14, 14), (8, 7, 7))
    yield masks(64, 3)
    yield masks(4, 12)


def inputs(shapes: Sequence[tuple[int, ...]], device: str) -> list[Tensor]:
    """Return random tensors; the weights are scaled so that sums stay small."""
    torch.manual_seed(0)
    given = [torch.randn(shape, device=device) for shape in shapes]
    for tensor in given[1:]:
        tensor.div_(tensor[0].numel() ** 0.5)
    return given


def check(case: Case, device: str) -> None:
    """Hold all forms of a case against the first, in float32.

    Raises:
        ValueError: if one differs by more than 1e-4 of the largest number.
    """
    what, forms, shapes = case
    given = inputs(shapes, device)
    with torch.no_grad(), full_precision():
        expected = next(iter(forms.values()))(*given)
        for name, form in forms.items():
            difference = ((form(*given) - expected).abs().max() / expected.abs().max()).item()
            if not difference <= 1e-4:
                message = f"{what}: {name} differs by {difference:.1e}"
                raise ValueError(message)


WAYS = ("forward", "backward")


def gains(
    case: Case, device: str, runs: int, dtype: str = "f32", ways: Sequence[str] = WAYS
) -> dict[str, dict[str, float]]:
    """Return how much faster than the first form the others are, `forward` alone and `backward` with both passes."""
    _, forms, shapes = case
    first, *names = forms
    given = [x.bfloat16() if dtype == "bf16" else x for x in inputs(shapes, device)]
    with torch.no_grad():
        gradient = torch.randn_like(forms[first](*given))
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for way in ways:
        trains = way == "backward"
        ready: list[Runner] = []
        for name in forms:

            def run(form: Callable[..., Tensor] = forms[name], trains: bool = trains) -> None:
                with torch.inference_mode(not trains):
                    tensors = [x.detach().requires_grad_(trains) for x in given]
                    y = form(*tensors)
                if trains:
                    torch.autograd.grad(y, tensors, gradient)

            ready.append(Runner(name, run, run, run, lambda: 0))
        times = measured(ready, runs, device, warm=False)
        for name in names:
            found[name][way] = table.ratio(times[first], times[name])
    return found


def line(case: Case, device: str, runs: int) -> list[dict[str, Any]]:
    """How much faster than the first form the others are."""
    check(case, device)
    what, forms, _ = case
    first = next(iter(forms))
    return [
        {"what": what, "form": other, "beside": first} | ways | {"machine": where(device)}
        for other, ways in gains(case, device, runs).items()
    ]


def markdown(lines: Sequence[Mapping[str, object]]) -> str:
    """The lines as a table, one for each machine."""
    cells: list[tuple[str, list[str]]] = []
    for line in lines:
        gains = [f"{float(str(line[way])):.2f}" if line[way] else "–" for way in WAYS]
        dtype = table.WORDS[str(line.get("dtype", "f32"))]
        cells.append((f"{line['machine']}, {dtype}", [str(line[k]) for k in ("what", "beside", "form")] + gains))
    return table.by_machine(("what", "form", "other form", "forward", "and backward"), cells)


def main() -> None:
    """Measures, writes CSV and prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--csv", type=Path, default=RESULTS)
    parser.add_argument("--write-docs", action="store_true", help="write the table of the CSV file to the page")
    arguments = parser.parse_args()
    if arguments.write_docs:
        goals.write_page(alternatives=markdown(table.shown_lines(arguments.csv)))
        return
    lines = [found for case in cases() for found in line(case, arguments.device, arguments.runs)]
    table.write_lines(arguments.csv, lines)
    print(markdown(lines), end="")


if __name__ == "__main__":
    main()
