"""Networks for images: equal to those of libraries, with the tensor names of video networks that start from them."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from parity_weights import weights_of
from repository import ROOT

import archdsl

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = ROOT / "specs" / "images"
# Parameters in torchvision 0.28; of Swin-L and DeiT-B in timm 1.0.31.
PARAMS = {
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "mobilenet_v2": 3_504_872,
    "convnext_t": 28_589_128,
    "vit_b16": 86_567_656,
    "clip_vit_b16": 86_192_640,  # of OpenAI's code
    "hiera_b_image": 51_524_968,  # of timm's
    "rev_vit_b": 87_335_656,  # of PySlowFast's
    "rev_mvit_b_image": 39_689_320,  # of PySlowFast's
    "uniformer_s_image": 21_545_256,  # of its authors'
    "focalnet_t": 28_427_116,  # of its authors', as are S and B
    "focalnet_s": 49_891_216,
    "focalnet_b": 88_148_144,
    "deit_b": 86_567_656,
    "swin_t": 28_288_354,
    "swin_s": 49_606_258,
    "swin_b": 87_768_224,
    "swin_l": 196_532_476,
}
VIDEO = {
    "resnet50": "c2d_r50",
    "resnet101": "c2d_r101",
    "mobilenet_v2": "tsm_mobilenetv2",
    "convnext_t": "convnext3d_t",
    "vit_b16": "vivit_b_joint",
    "deit_b": "vivit_b_joint",
    "uniformer_s_image": "uniformer_s",
    "swin_t": "swin3d_t",
    "swin_s": "swin3d_s",
    "swin_b": "swin3d_b",
    "swin_l": "swin3d_l",
}


@cache
def image(name: str) -> archdsl.Architecture:
    return archdsl.load(IMAGES / f"{name}.arch")


def test_every_spec_is_listed() -> None:
    # Those whose video networks have other names, or none.
    others = {"clip_vit_b16", "hiera_b_image", "rev_mvit_b_image", "rev_vit_b"}
    others |= {"focalnet_t", "focalnet_s", "focalnet_b"}
    assert PARAMS.keys() == VIDEO.keys() | others == {p.stem for p in IMAGES.glob("*.arch")}


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_and_logits(name: str) -> None:
    arch = image(name)
    assert not arch.warnings
    assert arch.params == PARAMS[name]
    with torch.device("meta"):  # records have the values
        width = 512 if name == "clip_vit_b16" else 1000  # of the embedding
        assert arch.build().eval()(torch.empty(1, 3, 1, 224, 224)).shape == (1, width)


@pytest.mark.parametrize("name", PARAMS)
def test_published_figures(name: str) -> None:
    """To the digits that are published."""
    said = image(name)._analysis.network.published
    assert said is not None
    assert said.source
    assert image(name).params == pytest.approx(said.params, rel=0.01)
    assert said.macs is None or image(name).macs == pytest.approx(said.macs, rel=1e-3)


@pytest.mark.parametrize("name", VIDEO)
def test_tensors_are_called_as_in_the_network_for_video(name: str) -> None:
    assert image(name).tensors.keys() == archdsl.load(ROOT / "specs" / f"{VIDEO[name]}.arch").tensors.keys()


def test_a_spec_elsewhere_can_extend_one(tmp_path: Path) -> None:
    own = tmp_path / "flowers.arch"
    own.write_text('arch flowers extends resnet50\n"For 102 kinds of flowers."\nparam classes = 102\n', "utf-8")
    assert archdsl.load(own).plan_weights("torchvision").theirs["fc.weight"] == (102, 2048)


@pytest.mark.parametrize("name", sorted(PARAMS.keys() - {"rev_mvit_b_image", "rev_vit_b"}))  # of PySlowFast, for images
def test_sources_of_videos_are_none_of_images(name: str) -> None:
    """A map for a spec is for all that extend it, but nobody has published image networks under these names."""
    for source in ("pyslowfast", "pytorchvideo", "mmaction2", "video_swin"):
        with pytest.raises(archdsl.SpecError, match="E0801"):
            image(name).plan_weights(source)


def converted(name: str, source: str, checkpoint: dict[str, Any], **params: Any) -> dict[str, torch.Tensor]:
    """A checkpoint of a source as one of ours."""
    arch = archdsl.load(IMAGES / f"{name}.arch", like=source, **params)
    return archdsl.convert_weights(arch, checkpoint, source)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], t) for n, t in other.items())


def recorded(record: str) -> dict[str, Any]:
    return json.loads((ROOT / "tests" / "parity" / f"{record}.json").read_text("utf-8"))


def test_what_swin_has_computed_is_dropped() -> None:
    """Its authors' checkpoints hold the masks and the places in the table, which are no weights."""
    record = recorded("swin_t_images")
    plain = weights_of(record)
    buffers = {name: torch.zeros(shape) for name, shape in record["buffers"].items()}
    assert len(buffers) == 12 + 5
    assert same(converted("swin_t", "swin", {"model": {**plain, **buffers}}), converted("swin_t", "swin", plain))


def test_a_pooler_is_dropped() -> None:
    plain = weights_of(recorded("hf_vit_b_ckptkeys"))
    pooler = {"vit.pooler.dense.weight": torch.zeros(768, 768), "vit.pooler.dense.bias": torch.zeros(768)}
    assert same(converted("vit_b16", "huggingface", {**plain, **pooler}), converted("vit_b16", "huggingface", plain))


def test_linear_layers_as_torchvision_has_published_them() -> None:
    """Its module takes the names with `linear_1` and `linear_2` that its files have, and writes others."""
    plain = weights_of(recorded("tv_vit_b_16"))
    older = {n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): t for n, t in plain.items()}
    assert older.keys() != plain.keys()
    assert same(converted("vit_b16", "torchvision", older), converted("vit_b16", "torchvision", plain))


def test_videofocalnet_begins_as_in_its_authors_code() -> None:
    """It loads FocalNet's tensors by their names, all but those of the classifier."""
    record = recorded("msf_t_image_small")
    theirs, params = weights_of(record), {"width": 24, "depths": (1, 2, 2, 1)}
    base = archdsl.load(IMAGES / "focalnet_t.arch", clip=record["clip"][1:], **params)
    arch = archdsl.load("videofocalnet_t", clip=(3, 4, 64, 64), **params)
    made = archdsl.revert_weights(
        arch, archdsl.transfer_weights(base, theirs, arch, source="focalnet"), "videofocalnet"
    )
    assert made.keys() > theirs.keys()
    assert made.keys() <= recorded("vfn_t_small")["state_dict"].keys()
    assert {name for name in theirs if not torch.equal(made[name], theirs[name])} == {"head.weight", "head.bias"}


def test_swin_l_of_imagenet_22k() -> None:
    arch = archdsl.load(IMAGES / "swin_l.arch", classes=21841)
    assert arch.plan_weights("swin").theirs["head.weight"] == (21841, 1536)
