"""Padding and dilation of sliding windows, held against torch's and TensorFlow's rules, and refusals."""

from __future__ import annotations

import re
from itertools import product

import pytest
import torch
from reference import assert_computes_the_graph
from torch import nn
from torch.nn import functional as F  # noqa: N812

import archdsl
from archdsl.core.grid import Grid
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.layers.base import ShapeError
from archdsl.layers.padding import pooling_window
from archdsl.pipeline import analyse

SPEC = "arch small\ninput clip: video[3, {}, {}, {}]\nstage s {{ {} }}\n"


def load(chain: str, size: tuple[int, int, int] = (7, 8, 9)) -> archdsl.Architecture:
    return archdsl.Architecture(analyse(Source("small.arch", SPEC.format(*size, chain)), FileLibrary()))


CLIP = torch.randn(2, 3, 7, 8, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("arguments", "torchs"),
    [
        ("[3, 4, 1], padding = [1, 2, 0]", {"kernel_size": (3, 4, 1), "padding": (1, 2, 0)}),
        ("3, dilation = 2", {"kernel_size": 3, "padding": 2, "dilation": 2}),
        (
            "[3, 3, 5], stride = [1, 2, 2], padding = [0, half, 1], dilation = [3, 2, 1]",
            {"kernel_size": (3, 3, 5), "stride": (1, 2, 2), "padding": (0, 2, 1), "dilation": (3, 2, 1)},
        ),
        ("[1, 3, 3], padding = [2, 0, 0]", {"kernel_size": (1, 3, 3), "padding": (2, 0, 0)}),
    ],
)
def test_a_convolution_is_that_of_torch(arguments: str, torchs: dict[str, tuple[int, int, int]]) -> None:
    model, other = load(f"conv(4, {arguments}, bias = on)").build(), nn.Conv3d(3, 4, **torchs)
    other.load_state_dict({k.removeprefix("s.conv."): v for k, v in model.state_dict().items()})
    torch.testing.assert_close(model(CLIP), other(CLIP))


def test_a_causal_convolution_sees_no_later_frame() -> None:
    model = load("conv(4, 3, padding = [causal, half, half], dilation = [2, 1, 1])").build()
    cut = CLIP.clone()
    cut[:, :, 5:] = 0
    whole, before = model(CLIP), model(cut)
    assert whole.shape == (2, 4, 7, 8, 9)
    torch.testing.assert_close(whole[:, :, :5], before[:, :, :5])
    assert (whole[:, :, 5:] - before[:, :, 5:]).abs().max() > 0.01
    first = torch.cat([torch.zeros(2, 3, 4, 8, 9), CLIP], 2)
    other = nn.Conv3d(3, 4, 3, padding=(0, 1, 1), dilation=(2, 1, 1), bias=False)
    other.load_state_dict({"weight": model.state_dict()["s.conv.weight"]})
    torch.testing.assert_close(whole, other(first))


def test_rounding_up_is_that_of_torch() -> None:
    for n, k, s in product(range(1, 8), range(1, 5), range(1, 5)):
        for p in range(k // 2 + 1):
            window = pooling_window((k, 1, 1), (s, 1, 1), (p, 0, 0), ceil=True)
            try:
                expected = F.max_pool3d(torch.zeros(1, n, 1, 1), (k, 1, 1), (s, 1, 1), (p, 0, 0), ceil_mode=True)
            except RuntimeError:
                with pytest.raises(ShapeError, match="is larger than the grid"):
                    window.moved(Grid(1, n, 1, 1))
            else:
                assert window.moved(Grid(1, n, 1, 1)) == expected.shape[1:]


@pytest.mark.parametrize("counts", [True, False])
def test_averages_are_those_of_torch(counts: bool) -> None:
    flag = "on" if counts else "off"
    model = load(f"avgpool([3, 2, 4], stride = 2, padding = [1, 1, 2], ceil = on, count_padding = {flag})").build()
    expected = F.avg_pool3d(CLIP, (3, 2, 4), 2, (1, 1, 2), ceil_mode=True, count_include_pad=counts)
    torch.testing.assert_close(model(CLIP), expected)


def test_averages_with_same_padding_do_not_count_it() -> None:
    """TensorFlow pads 9 columns by 1 and 1 for a kernel of 3, and 8 rows by 0 and 1 for a stride of 2."""
    found = load("avgpool([1, 3, 3], stride = [1, 2, 2], padding = same)").build()(CLIP)
    assert found.shape == (2, 3, 7, 4, 5)
    torch.testing.assert_close(found[:, :, :, 3, 0], CLIP[:, :, :, 6:8, 0:2].mean((-1, -2)))
    torch.testing.assert_close(found[:, :, :, 1, 4], CLIP[:, :, :, 2:5, 7:9].mean((-1, -2)))
    small = load("avgpool([1, 3, 3], padding = same)", (7, 2, 1)).build()(CLIP[..., :2, :1])
    torch.testing.assert_close(small, CLIP[..., :2, :1].mean((-1, -2), True).expand(-1, -1, -1, 2, -1))


def test_the_maximum_of_whole_axes() -> None:
    torch.testing.assert_close(load("maxpool(all)").build()(CLIP), CLIP.amax((2, 3, 4)))
    found = load("maxpool([1, all, 3], stride = [2, 1, 1])").build()(CLIP)
    torch.testing.assert_close(found, F.max_pool3d(CLIP.amax(3, True)[:, :, ::2], (1, 1, 3), 1, (0, 0, 1)))


REFUSED = {
    "maxpool(3, padding = 2)": ("E0506", "2", "is more than half of the kernel of 3"),
    "avgpool([all, 3, 3], padding = 1)": ("E0506", "1", "t is pooled as a whole, and cannot be padded by 1"),
    "avgpool([1, 3, 3], padding = [0, 1, 2])": ("E0506", "2", "padding of 2 over w"),
    "conv(4, 3, padding = -1)": ("E0305", "-1", "expected at least 0"),
    "conv(4, 3, padding = [1, 0])": (
        "E0301",
        "[1, 0]",
        "`valid` or `causal`, a number or a list",
    ),
    "conv(4, 3, padding = 1/2)": ("E0301", "1/2", "expected `half`"),
    "conv(4, 3, padding = [1, 1/2, 0])": ("E0302", "1/2", "is not a whole number"),
    "conv(4, 3, padding = [casual, 0, 0])": ("E0201", "casual", "did you mean `causal`"),
    "conv(4, 3, padding = [on, 0, 0])": ("E0301", "on", "expected a whole number"),
    'conv(4, 3, padding = "causal")': ("E0301", '"causal"', "a word has no quotes: `padding = causal`"),
    "conv(4, 5, padding = valid, dilation = 2)": (
        "E0503",
        "5",
        "with a dilation of 2, is larger than the grid of 7×8×9",
    ),
    "conv(4, 3, dilation = 0)": ("E0305", "0", "expected at least 1"),
    "class_token -> maxpool(3, padding = causal)": ("E0511", "", "padding is equal on both sides"),
}


@pytest.mark.parametrize("chain", REFUSED)
def test_refused(chain: str) -> None:
    code, place, message = REFUSED[chain]
    with pytest.raises(archdsl.SpecError) as caught:
        load(chain)
    [found] = caught.value.diagnostics
    assert found.code == code
    assert found.span is not None
    assert found.span.text.removeprefix("padding = ").removeprefix("dilation = ") == place or not place
    assert message in f"{found!r} {found.help}"


def test_a_padded_convolution_of_one_position_changes_the_grid() -> None:
    """So it is no layer of a line that windows divide: those are the same at each position."""
    line = "conv(8) -> attention(2, window = [7, 3, 3]) {{ qkv: conv(8, 1, padding = {})\nproj: linear(8) }}"
    load(line.format(0))
    with pytest.raises(archdsl.SpecError, match="E0512"):
        load(line.format("[0, 1, 0]"))


POOLED = "[1, 3, 3], {}, groups = in.channels, dilation = [1, 2, 1]) as pool"
ATTENTIONS = [
    f"kv: each_head {{ conv(in.channels, {POOLED.format('[1, 2, 2]')} }}",
    f"kv: each_head {{ conv(in.channels, {POOLED.format('padding = [0, 2, 1]')} -> maxpool(all) }}",
    f"kv: each_head {{ conv(in.channels, {POOLED.format('padding = [causal, causal, same]')} }}",
]


@pytest.mark.parametrize("token", ["", "class_token -> "])
@pytest.mark.parametrize("line", ATTENTIONS)
def test_filters_that_heads_share(token: str, line: str) -> None:
    if token:
        line = line.replace("{ conv", "{ grid { conv").replace(" }", " } }")
    chain = f"conv(8) -> {token}attention(2) {{ qkv: linear(8)\n{line}\nproj: linear(8) }}"
    assert_computes_the_graph(load(chain + (" -> select(grid)" if token else ""), (4, 5, 6)))


def test_clips_of_other_sizes() -> None:
    """The grid of 5 frames, 9 rows and 7 columns goes through code that was written for another."""
    chain = "maxpool(3, stride = 2, padding = [causal, 1, same], ceil = on) -> avgpool(2, stride = 2, ceil = on)"
    chain += " -> conv(4, 3, padding = same, dilation = 2) -> avgpool([1, 3, 3], padding = same) -> maxpool(all)"
    for size in ((7, 8, 9), (5, 9, 7), (8, 12, 10)):
        model = load(chain).build()
        own = load(chain, size).build()
        own.load_state_dict(model.state_dict())
        clip = torch.randn(1, 3, *size)
        torch.testing.assert_close(model(clip), own(clip))


@pytest.mark.parametrize(
    ("padding", "stride"), [("same", 2), ("[half, same, same]", "[1, 2, 2]"), ("[causal, half, half]", 1)]
)
def test_calls_with_other_kernels_share_a_class(padding: str, stride: str | int) -> None:
    block = f"block unit(t, k = t) {{ conv(4, [t, k, k], stride = {stride}, padding = {padding}) -> relu }}\n"
    text = block + SPEC.format(9, 15, 20, "unit(3) -> unit(5, 3) -> unit(3, 5)").partition("\n")[2]
    arch = archdsl.Architecture(analyse(Source("small.arch", f"arch small\n{text}"), FileLibrary()))
    assert_computes_the_graph(arch)
    assert re.findall(r"^class (\w*Unit)\b", arch.source(), re.MULTILINE) in (["Unit"], ["DownsamplingUnit"])


def test_a_block_is_given_kernels_as_numbers_and_as_lists() -> None:
    block = "block unit(width, kernel = 1, stride = 1) { conv(width, kernel, stride = stride) -> relu }"
    chain = "unit(4, [3, 5, 5]) -> unit(8) -> unit(4, 3, [1, 2, 2])"
    text = SPEC.format(4, 5, 6, chain).replace("stage", f"{block}\nstage", 1)
    assert_computes_the_graph(archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())))
