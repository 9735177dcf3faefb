"""Layers that make grids larger: values, costs and clips of other sizes, held against torch; refusals."""

from __future__ import annotations

import pytest
import torch
from reference import assert_computes_the_graph
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

CLIP = torch.randn(2, 4, 3, 5, 6, generator=torch.Generator().manual_seed(0))


def load(lines: str, size: tuple[int, int, int] = (3, 5, 6)) -> archdsl.Architecture:
    t, h, w = size
    text = f"arch small\ninput clip: video[4, {t}, {h}, {w}]\n{lines}\n"
    return archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary()))


@pytest.mark.parametrize(
    ("arguments", "torchs"),
    [
        ("", {"scale_factor": 2}),
        ("([1, 2, 3])", {"scale_factor": (1, 2, 3)}),
        ("(2, linear)", {"scale_factor": 2, "mode": "trilinear", "align_corners": False}),
        ("(size = [3, 4, 11], mode = linear)", {"size": (3, 4, 11), "mode": "trilinear", "align_corners": False}),
        ("(size = [7, 5, 4])", {"size": (7, 5, 4)}),
    ],
)
def test_upsampling_is_that_of_torch(arguments: str, torchs: dict[str, object]) -> None:
    arch = load(f"stage s {{ upsample{arguments} }}")
    torch.testing.assert_close(arch.build()(CLIP), F.interpolate(CLIP, **torchs))  # type: ignore[arg-type]
    assert_computes_the_graph(arch)


def test_a_factor_of_1_leaves_an_axis_as_it_is() -> None:
    found = load("stage s { upsample([1, 2, 1], linear) }").build()(CLIP)
    torch.testing.assert_close(found[:, :, :, 1], 0.75 * CLIP[:, :, :, 0] + 0.25 * CLIP[:, :, :, 1])
    torch.testing.assert_close(found[:, :, :, 0], CLIP[:, :, :, 0])


@pytest.mark.parametrize(
    ("arguments", "torchs"),
    [
        ("6", {"kernel_size": 2, "stride": 2}),
        ("6, 3, [1, 2, 3], [1, 0, 1], bias = on", {"kernel_size": 3, "stride": (1, 2, 3), "padding": (1, 0, 1)}),
        ("6, [1, 4, 2], stride = [1, 2, 1], groups = 2", {"kernel_size": (1, 4, 2), "stride": (1, 2, 1), "groups": 2}),
    ],
)
def test_a_transposed_convolution_is_that_of_torch(arguments: str, torchs: dict[str, int]) -> None:
    arch = load(f"stage s {{ conv_transpose({arguments}) }}")
    model, other = arch.build(), nn.ConvTranspose3d(4, 6, bias="bias" in arguments, **torchs)
    other.load_state_dict({k.removeprefix("s.conv_transpose."): v for k, v in model.state_dict().items()})
    counter = FlopCounterMode(display=False)
    with counter:
        expected = other(CLIP[:1])
    torch.testing.assert_close(model(CLIP[:1]), expected)
    assert arch.macs * 2 == counter.get_total_flops()
    assert_computes_the_graph(arch)


def test_msra_counts_the_outputs_of_each_input() -> None:
    """He et al. 2015, section 2.2: a variance of 2 over kernel size × output channels."""
    model = load("stage s { conv(64) -> conv_transpose(16, 4, stride = 4) }").build()
    std = model.state_dict()["s.conv_transpose.weight"].std().item()
    assert std == pytest.approx((2 / (4**3 * 16)) ** 0.5, rel=0.02)


def test_two_frames_join_eight() -> None:
    """A lateral of the slow path for the fast one, as for SlowFast both ways."""
    arch = load(
        """
path fast = clip
path slow = clip -> every(4)
stage s {
    slow: conv(6, [1, 3, 3])
    fast: conv(2, 3)
    lateral slow => fast by sum: upsample([4, 1, 1]) -> conv(2)
}
head: concat { slow -> avgpool, fast -> avgpool } -> linear(3)
""",
        (8, 5, 6),
    )
    assert_computes_the_graph(arch)


U = """
block down(width) { conv(width, 3, stride = [1, 2, 2]) -> bn -> relu }
block up(width, skip: value) { upsample([1, 2, 2]) -> concat { in, skip } -> conv(width, 3) }
stage one { conv(4, 3) as x1 }
stage two { down(8) as x2 }
stage three { down(8) }
stage four { up(8, x2) }
stage five { up(4, x1) }
"""


def test_clips_of_other_sizes_where_grids_fit() -> None:
    model = load(U, (3, 8, 4)).build().eval()
    for size in ((1, 4, 4), (5, 12, 8)):
        assert model(torch.randn(1, 4, *size)).shape == (1, 4, *size)
    with pytest.raises(ValueError, match="multiple of 4"):
        model(torch.randn(1, 4, 3, 10, 4))


REFUSED = {
    "upsample(0)": ("E0305", "expected at least 1"),
    "upsample(2, cubic)": ("E0301", "expected `nearest` or `linear`"),
    "upsample(size = [4, 0, 4])": ("E0305", "expected at least 1"),
    "conv_transpose(6, 3, padding = 8)": ("E0503", "padding of 8 over t leaves nothing of an output of 7"),
    "conv_transpose(6, 3, groups = 3)": ("E0504", "4 input channels cannot be split into 3 groups"),
    "class_token -> upsample": ("E0511", "cannot be applied to the class token"),
}


@pytest.mark.parametrize("chain", REFUSED)
def test_refused(chain: str) -> None:
    code, message = REFUSED[chain]
    with pytest.raises(archdsl.SpecError) as caught:
        load(f"stage s {{ {chain} }}")
    [found] = caught.value.diagnostics
    assert found.code == code
    assert message in f"{found!r} {found.help}"
