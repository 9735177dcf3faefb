"""Layers of one operation: refusals, exported files, and values that other libraries give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse
from archdsl.train.export import Argument, export

if TYPE_CHECKING:
    from pathlib import Path

SPEC = "arch small\ninput clip: video[3, 4, 6, 6]\nstage s {{ {} }}\nhead: avgpool -> linear(3)\n"


def load(chain: str) -> archdsl.Architecture:
    return archdsl.Architecture(analyse(Source("small.arch", SPEC.format(chain)), FileLibrary()))


REFUSED = {
    "multiply { conv(4), conv(5) }": ("E0501", "cannot be multiplied: 4 and 5 channels"),
    "multiply { conv(4), conv(4, stride = 2) }": ("E0502", "cannot be multiplied: 4 and 2 frames"),
    "conv(4, stride = [4, 1, 1]) -> avgpool(3, padding = half)": (
        "E0503",
        "a kernel of 3 over t is larger than the grid",
    ),
    "conv(5) -> rotary": ("E0508", "5 channels are too few for pairs over t, h, w"),
    "conv(8) -> shift(5)": ("E0501", "5 and 5 of 8 channels cannot be shifted"),
    "conv(8) -> shift(2, 1, distance = 5)": ("E0503", "no frame of 4 has another one at a distance of 5"),
    "conv(8) -> channels(3, 6)": ("E0501", "no channels 3 to 8 in a value of 8 channels, 0 to 7"),
    "conv(8) -> channels(8, 1)": ("E0501", "no channels 8 to 8 in a value of 8 channels, 0 to 7"),
    "conv(8) -> difference(4)": ("E0503", "no two of 4 frames have a distance of 4"),
    "conv(8) -> swap(space, rows = 3)": ("E0501", "8 channels are not the positions of 3 equal rows"),
    "temporal_filter(3)": ("E0405", "help: braces hold values: `temporal_filter { a, b }`"),
    "temporal_filter { in }": ("E0405", "takes a value and its kernels, found 1 value"),
    "temporal_filter { in, avgpool([1, all, all]) -> conv(2) }": ("E0501", "kernels of 2 channels cannot filter 3"),
    "temporal_filter { in, avgpool([1, all, all]) }": ("E0502", "kernels of 4 taps have no middle"),
    "temporal_filter { in, avgpool([2, all, 1]) }": ("E0502", "the kernels are a grid of 3×1×6, and not k×1×1"),
    "class_token -> shift(1) -> select(grid)": ("E0511", "token"),
    "latents(0)": ("E0305", "expected at least 1"),
    "class_token -> multiply { in, in, select(grid) } -> select(grid)": ("E0511", "differ in their tokens"),
}


@pytest.mark.parametrize("chain", REFUSED)
def test_refused(chain: str) -> None:
    code, message = REFUSED[chain]
    with pytest.raises(archdsl.SpecError) as caught:
        load(chain)
    [found] = caught.value.diagnostics
    assert found.code == code
    assert message in str(caught.value)


def test_layers_between_two_swaps_mix_the_positions_of_a_frame() -> None:
    """As the token MLP of MLP-Mixer does, here on grids of 3×5 in either layout."""
    text = "arch small\ninput clip: video[3, 4, 3, 5]\nstage s { %s }\nhead dense: linear(3)\n"
    mixed = "swap(space) -> {} -> swap(space, rows = 3)"
    for layer, weight in (("linear(15)", "s.linear.weight"), ("conv(15, bias = on)", "s.conv.weight")):
        arch = archdsl.Architecture(analyse(Source("small.arch", text % mixed.format(layer)), FileLibrary()))
        model = arch.build().eval()
        x = torch.randn(2, 3, 4, 3, 5)
        with torch.no_grad():
            found = model.forward_features(x)["s"]
            w, bias = model.state_dict()[weight].reshape(15, 15), model.state_dict()[weight.replace("weight", "bias")]
            expected = torch.einsum("pq,bctq->bctp", w, x.flatten(3)) + bias
        torch.testing.assert_close(found, expected.unflatten(3, (3, 5)))


MIXED = """arch small
param h = 3
input clip: video[3, 4, h, 5]
stage s { swap(space) -> linear(7) as first -> linear(h*5) as last -> swap(space, rows = h) }
head: avgpool -> linear(3)
"""


def test_weights_for_positions_of_another_grid_are_new() -> None:
    plan = archdsl.loads(MIXED, h=6).plan_transfer(archdsl.loads(MIXED))
    assert {entry.name: entry.how for entry in plan.entries}["s.first.weight"] == "new"


def test_tiled_frequencies_are_those_of_v_jepa_2() -> None:
    """Its code repeats the frequencies of half of the channels, and rotates neighbours."""
    clip = torch.randn(2, 21, 4, 6, 5)
    parts = list(clip.split(6, dim=1))
    for axis in range(3):
        positions = torch.arange(clip.shape[2 + axis])
        angles = (positions[:, None] * (1 / 10_000 ** (torch.arange(3) / 3.0))).repeat(1, 2).T
        angles = angles.view(6, *(len(positions) if axis == other else 1 for other in range(3)))
        x = parts[axis]
        y = torch.stack((-x[:, 1::2], x[:, ::2]), dim=2).flatten(1, 2)
        parts[axis] = x * angles.cos() + y * angles.sin()
    text = "arch small\ninput clip: video[21, 4, 6, 5]\nstage s { rotary(frequencies = tiled) }\n"
    model = archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())).build()
    torch.testing.assert_close(model(clip), torch.cat(parts, 1), rtol=1e-6, atol=1e-6)


def test_rotary_positions_of_a_grid_of_another_size_are_its_own() -> None:
    """The cosines and sines that a module keeps are those of the declared grid."""
    chain = "rotary(frequencies = tiled) -> rotary(over = space, base = 10)"
    one, other = made(chain, "19, 4, 6, 5"), made(chain, "19, 3, 7, 5")
    clip = torch.randn(2, 19, 3, 7, 5)
    torch.testing.assert_close(one(clip), other(clip), rtol=0, atol=0)
    assert not one.state_dict()


def test_rotary_products_depend_on_distances_alone() -> None:
    text = "arch small\ninput clip: video[12, 4, 6, 5]\nstage s { rotary(base = 20) }\n"
    torch.set_default_dtype(torch.float64)  # of the angles, which are computed as the module is made
    try:
        model = archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())).build()
    finally:
        torch.set_default_dtype(torch.float32)
    q, k = (model(torch.randn(1, 12, 1, 1, 1, dtype=torch.float64).expand(-1, -1, 4, 6, 5))[0] for _ in range(2))
    products = torch.einsum("cthw,cxyz->thwxyz", q, k)
    torch.testing.assert_close(products[1:, 2:, 1:, 1:, 2:, 1:], products[:-1, :-2, :-1, :-1, :-2, :-1])
    assert (products[0, 0, 0] - products[0, 0, 0, 0, 0, 0]).abs().max() > 0.1


def made(chain: str, clip: str = "12, 5, 4, 3") -> torch.nn.Module:
    text = f"arch small\ninput clip: video[{clip}]\nstage s {{ {chain} }}\n"
    return archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())).build()


@pytest.mark.parametrize("distance", [1, 2])
def test_a_shift_is_a_convolution_over_time(distance: int) -> None:
    """Of one tap: the last for channels that come from later frames, the first for those from earlier ones."""
    clip, taps = torch.randn(2, 12, 5, 4, 3), torch.zeros(12, 1, 2 * distance + 1, 1, 1)
    taps[:3, :, -1], taps[3:5, :, 0], taps[5:, :, distance] = 1, 1, 1
    expected = torch.conv3d(clip, taps, padding=(distance, 0, 0), groups=12)
    torch.testing.assert_close(made(f"shift(3, 2, distance = {distance})")(clip), expected, rtol=0, atol=0)
    clip = torch.cat([clip[:, :, :1]] * distance + [clip] + [clip[:, :, -1:]] * distance, dim=2)
    repeated = made(f"shift(3, 2, distance = {distance}, ends = repeat)")(clip[:, :, distance:-distance])
    torch.testing.assert_close(repeated, torch.conv3d(clip, taps, groups=12), rtol=0, atol=0)


@pytest.mark.parametrize(("frames", "taps"), [(5, 3), (2, 7), (1, 5)])
def test_a_temporal_filter_is_a_grouped_convolution(frames: int, taps: int) -> None:
    """As TANet's authors compute it, with a group for each channel of each clip; kernels may be longer than clips."""
    text = f"arch small\ninput clip: video[6, {frames}, 4, 3]\ninput kernels: video[6, {taps}, 1, 1]\n"
    text += "path a = clip\npath b = kernels\nhead: temporal_filter { a, b }\n"
    model = archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())).build()
    clip, kernels = torch.randn(2, 6, frames, 4, 3), torch.randn(2, 6, taps, 1, 1)
    rows, weights = clip.view(1, 12, frames, 12), kernels.view(12, 1, taps, 1)
    expected = torch.conv2d(rows, weights, padding=(taps // 2, 0), groups=12)
    torch.testing.assert_close(model(clip, kernels), expected.view(clip.shape))


def test_differences_and_means_over_time() -> None:
    clip = torch.randn(2, 12, 5, 4, 3)
    torch.testing.assert_close(made("difference(ends = valid)")(clip), clip.diff(dim=2))
    torch.testing.assert_close(made("difference")(clip), clip.diff(dim=2, append=clip[:, :, -1:]))
    means = made("cumulative_mean")(clip)
    torch.testing.assert_close(means[:, :, -1], clip.mean(2))
    torch.testing.assert_close(made("cumulative_mean")(clip[:, :, :3]), means[:, :, :3])


def test_one_frame_has_no_neighbours() -> None:
    """A clip of one frame, as of an image network: what comes from beyond its ends is 0, or the frame itself."""
    clip = torch.randn(2, 12, 1, 4, 3)
    assert made("shift(3)")(clip).count_nonzero() == clip[:, 6:].numel()
    torch.testing.assert_close(made("shift(3, ends = repeat)")(clip), clip, rtol=0, atol=0)


def test_blocks_of_several_widths_share_a_class_with_a_shift_and_parts() -> None:
    text = """
        block unit(width) { concat { channels(0, width // 4), shift(in.channels // 8) -> conv(width) } -> relu }
        stage s { unit(8) -> unit(16) -> unit(40) }
    """
    text = f"arch small\ninput clip: video[12, 5, 4, 3]\n{text}"
    source = archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())).source()
    assert source.count("class Unit") == source.count("class Shift") == source.count("class Channels") == 1


def test_an_even_kernel_is_not_padded() -> None:
    found = load("conv(4) -> avgpool([1, 2, 3], padding = half)")._analysis.warnings
    assert [(d.code, d.span.text) for d in found if d.span] == [("W0111", "avgpool([1, 2, 3], padding = half)")]


EXPORTED = """
    conv(8, 3) -> l2norm -> multiply { in, conv(8) -> sigmoid } -> rmsnorm -> avgpool([1, 3, 3], padding = half)
    -> rotary -> shift(1, ends = repeat) -> difference -> shift(2, distance = 2) -> cumulative_mean
    -> temporal_filter { in, avgpool([1, all, all]) -> swap -> linear(3) -> swap }
    -> concat { channels(4, 4), channels(0, 4) } -> multiply { avgpool -> linear(8), latents(1, init = normal(1)) }
"""


@pytest.mark.parametrize(("form", "suffix"), [("torch-export", ".pt2"), ("onnx", ".onnx")])
def test_exported_files_compute_the_same(form: str, suffix: str, tmp_path: Path) -> None:
    model = load(EXPORTED).build(target="infer")
    assert export(model, [Argument((3, 4, 6, 6))], form, tmp_path / f"small{suffix}") < 1e-5
