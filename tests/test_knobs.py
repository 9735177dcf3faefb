"""Parameters of the specs that are settings of public zoos; their defaults are the published networks."""

from __future__ import annotations

from typing import Any

import pytest
from repository import ROOT

import archdsl


def load(name: str, **settings: Any) -> archdsl.Architecture:
    return archdsl.load(ROOT / "specs" / f"{name}.arch", **settings)


def dropouts(arch: archdsl.Architecture) -> list[str]:
    return [name for name, node in arch.graph.nodes.items() if node["kind"] == "dropout" and node["stage"] == "head"]


@pytest.mark.parametrize(
    "name",
    ["c2d_r50", "csn_ir_r50", "i3d_inception_rgb", "fast_r50", "r2plus1d_r50", "slow_r50", "mvit_b_16x4", "swin3d_t"],
)
def test_dropout_of_the_head(name: str) -> None:
    assert dropouts(load(name))
    assert "Dropout(0.25)" in load(name, dropout=0.25).source()
    assert "nn.Dropout" not in load(name, dropout=0).source()


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("c2d_r50", ["conv1", "res2"]),
        ("csn_ir_r50", ["conv1", "res2"]),
        ("r3d_18", ["conv1", "res2"]),
        ("tsm_r50", ["conv1", "res2"]),
        ("tsm_mobilenetv2", ["conv1", "stage1"]),
        ("tanet_r50", ["conv1", "res2"]),
        (
            "slowfast_r50",
            ["slow.conv1", "fast.conv1", "fast_to_slow.conv1", "slow.res2", "fast.res2", "fast_to_slow.res2"],
        ),
        ("mvit_b_16x4", ["embed", "stage1"]),
        ("swin3d_t", ["embed", "stage1"]),
    ],
)
def test_the_first_stages_are_frozen(name: str, stages: list[str]) -> None:
    model = load(name, freeze=2, clip=(3, 16, 64, 64)).build()
    trained = {n: p.requires_grad for n, p in model.named_parameters()}
    assert {n for n, is_trained in trained.items() if not is_trained} == {
        n for n in trained if n.startswith(tuple(f"{stage}." for stage in stages))
    }


def test_channels_of_laterals() -> None:
    """A convolution of 7 frames from c channels to 2 · c, its norm, and the c more that enter the slow path."""
    arch, narrow = load("slowfast_r50"), load("slowfast_r50", fusion_ratio=1)
    fast = [8, 32, 64, 128]
    outs = [
        64 + 256,
        128 + 512,
        3 * 256 + 1024,
        3 * 512 + 2048,
    ]  # of the first convolution of a stage and of its shortcut
    assert arch.params - narrow.params == sum(7 * c * c + 2 * c + c * out for c, out in zip(fast, outs, strict=True))


def test_grouped_convolutions_are_those_of_resnext() -> None:
    """ResNeXt-101 32×4d as timm counts it, with 400 classes."""
    arch = load("c2d_r101", groups=32, inner=2, pool2=False, frames=3)
    assert arch.params == 42_948_304


@pytest.mark.parametrize("name", ["c2d_r50", "slowfast_r50"])
def test_dilation_of_stages(name: str) -> None:
    """The last stage of detectors on AVA does not stride, and looks two positions away."""
    arch = load(name, strides=[1, 2, 2, 1], dilation=[1, 1, 1, 2])
    assert arch.tensors == load(name).tensors
    convs = [n for n in arch.graph.nodes.values() if n["kind"] == "conv" and n["stage"] == "res5"]
    assert {n["attributes"]["dilation"] for n in convs} == {(1, 1, 1), (1, 2, 2)}


@pytest.mark.parametrize(("depths", "params"), [([2, 2, 2, 2], 11_689_512), ([3, 4, 6, 3], 21_797_672)])
def test_blocks_of_two_convolutions(depths: list[int], params: int) -> None:
    """ResNet-18 and ResNet-34 as torchvision counts them."""
    assert load("c2d_r50", basic=True, depths=depths, pool2=False, classes=1000).params == params


@pytest.mark.parametrize("name", ["c2d_r50", "slow_r50"])
def test_strides_of_stages(name: str) -> None:
    nodes = load(name, strides=[1, 2, 2, 1]).graph.nodes.values()
    assert next(n["shape"] for n in reversed(list(nodes)) if n["stage"] == "res5")[-2:] == (14, 14)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("mvitv2_s_16x4", [96, *[192] * 2, *[384] * 11, *[768] * 2]),
        ("swin3d_t", [96] * 2 + [192] * 2 + [384] * 6 + [768] * 2),
    ],
)
def test_transformers_with_narrow_layers_and_without_biases(name: str, widths: list[int]) -> None:
    arch = load(name)
    assert arch.params - load(name, qkv_bias=False).params == sum(3 * c for c in widths)
    assert arch.params - load(name, mlp_ratio=3).params == sum(2 * c * c + c for c in widths)


def test_kernels_of_poolings_on_each_axis() -> None:
    """The filters of one frame have a third of the weights: of queries that are pooled, keys and values."""
    deep = load("mvit_b_16x4")
    assert load("mvit_b_16x4", pool_kernel=[3, 3, 3]).tensors == deep.tensors
    assert deep.params - load("mvit_b_16x4", pool_kernel=[1, 3, 3]).params == 18 * 96 * (2 * 16 + 3)


def test_masked_feature_prediction() -> None:
    """PySlowFast's k400_MVITv2_L_16x4_FT and k400_MVITv2_S_16x4_FT, as it counts them."""
    settings = {"wide_attention": False, "classifier": "mean_first", "clip": (3, 16, 224, 224)}
    assert load("mvitv2_l_40x3", table_crop=224, **settings).params == 217_578_064
    assert load("mvitv2_s_16x4", **settings).params == 36_475_120


def test_mean_of_the_positions() -> None:
    token, mean = load("mvit_b_16x4"), load("mvit_b_16x4", class_token=False)
    assert token.tensors.keys() - mean.tensors.keys() == {"embed.class_token.weight", "embed.position.token"}
    assert "mean" in mean.source()


@pytest.mark.parametrize(
    ("value", "found"), [("[1, 3]", "[1, 3]"), ("[1, 3, 1/2]", "[1, 3, 0.5]"), ("1.5", "1.5"), ("on", "`on`")]
)
def test_what_is_no_size(value: str, found: str) -> None:
    with pytest.raises(archdsl.SpecError, match="E0301") as caught:
        load("mvit_b_16x4", pool_kernel=value)
    assert f"must be a whole number, or a list of three for t, h and w, found {found}" in str(caught.value)
