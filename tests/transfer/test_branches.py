"""Projections of queries, keys and values that are one tensor in one network and several in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from repository import ROOT

import archdsl
from archdsl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.transfer.plan import TransferPlan

TINY = {"dim": 32, "depth": 2, "heads": 2}


def filled(arch: archdsl.Architecture) -> torch.nn.Module:
    """A module of random weights, biases included."""
    model, generator = arch.build().eval(), torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.2)
    return model


def moved(base: archdsl.Architecture, model: torch.nn.Module, arch: archdsl.Architecture) -> torch.nn.Module:
    made = arch.build().eval()
    made.load_state_dict(archdsl.transfer_weights(base, model.state_dict(), arch))
    return made


def of_attention(plan: TransferPlan) -> dict[str, str]:
    """What becomes of the tensors of the first attention."""
    prefix = "blocks.0.attention."
    return {e.name.removeprefix(prefix): e.how for e in plan.entries if e.name.startswith(prefix)}


def test_videomae_begins_as_an_image_transformer_and_back() -> None:
    """The bias of the keys, which VideoMAE lacks, adds the same to all scores of a query."""
    image = archdsl.load(ROOT / "specs/images/vit_b16.arch", clip=(3, 1, 32, 32), **TINY)
    video = archdsl.load("videomae_b", clip=(3, 4, 32, 32), **TINY)
    found = of_attention(video.plan_transfer(image))
    own = {f"{n}.weight": "sliced" for n in "qkv"} | {f"{n}.bias": "sliced" for n in "qv"}
    assert found == own | {"proj.weight": "copied", "proj.bias": "copied"}
    joined = {"qkv.weight": "joined", "qkv.bias": "joined", "proj.weight": "copied", "proj.bias": "copied"}
    assert of_attention(image.plan_transfer(video)) == joined
    model = filled(image)
    made = moved(image, model, video)
    back = moved(video, made, image)
    patches = torch.randn(2, 1, 3, 3, 32)
    with torch.no_grad():
        expected = model.blocks(patches.flatten(1, 3))
        torch.testing.assert_close(made.blocks(patches).flatten(1, 3), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(back.blocks(patches.flatten(1, 3)), expected, rtol=1e-4, atol=1e-5)


GROUPED = """arch grouped
param kv_heads = 2
input clip: video[3, 4, 16, 16]
stage stem { conv(16, 4, stride = 4) }
stage blocks { residual { attention(4, kv_heads = kv_heads) } }
head: avgpool -> linear(5)
"""


def test_queries_that_share_keys_with_fewer_compute_the_same() -> None:
    base, arch = (archdsl.loads(GROUPED, kv_heads=n) for n in (1, 2))
    model, clip = filled(base), torch.randn(2, 3, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(moved(base, model, arch)(clip), model(clip))


def test_queries_that_share_keys_with_more_take_the_means() -> None:
    """Of heads that are the same nothing is lost, so the network is again what it was."""
    base, arch = archdsl.loads(GROUPED.replace(", kv_heads = kv_heads", "")), archdsl.loads(GROUPED)
    weight = "blocks.attention.{}.weight"
    state = filled(base).state_dict()
    made = archdsl.transfer_weights(base, state, arch)
    q, *kv = state[weight.format("qkv")].split(16)
    assert torch.equal(made[weight.format("q")], q)
    means = [(x[0:4] + x[4:8]) / 2 for x in kv] + [(x[8:12] + x[12:16]) / 2 for x in kv]
    expected = torch.cat([means[0], means[2], means[1], means[3]])
    torch.testing.assert_close(made[weight.format("kv")], expected)
    reasons = {e.name: e.why for e in base.plan_transfer(arch).entries if e.how == "new"}
    assert reasons[weight.format("qkv")] == "rows of the base are not joined: 16 of `q`, 8 of `k`, 8 of `v`"


@pytest.mark.parametrize(("kv_heads", "why"), [(3, "2 heads of keys and values, here 3")])
def test_heads_that_no_group_fits(kv_heads: int, why: str) -> None:
    text = GROUPED.replace("conv(16", "conv(24").replace("attention(4", "attention(6")
    base, arch = archdsl.loads(text), archdsl.loads(text, kv_heads=kv_heads)
    assert {e.why for e in arch.plan_transfer(base).entries if e.how == "new"} == {why}


def test_a_projection_of_the_image_checkpoint_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line reads the joint tensor of timm's names for the three here."""
    image = archdsl.load(ROOT / "specs/images/vit_b16.arch", **TINY)
    theirs = archdsl.revert_weights(image, filled(image).state_dict(), "timm")
    del theirs["head.weight"], theirs["head.bias"]  # as of a masked autoencoder
    torch.save(theirs, tmp_path / "mae.pth")
    small = [a for k, v in TINY.items() for a in ("--set", f"{k}={v}", "--base-set", f"{k}={v}")]
    command = ["weights", "transfer", "vit_b16", str(tmp_path / "mae.pth"), "videomae_b", "--from", "timm", *small]
    assert main([*command, "-o", str(tmp_path / "out.safetensors")]) == 0
    assert (
        main([*command, "--base-set", "dim=16", "--base-set", "depth=2", "-o", str(tmp_path / "none.safetensors")]) == 1
    )
    assert "as in `--base-set NAME=VALUE`" in capsys.readouterr().err
    del theirs["blocks.1.attn.qkv.weight"]
    torch.save(theirs, tmp_path / "mae.pth")
    assert main([*command, "-o", str(tmp_path / "none.safetensors")]) == 1
    assert not (tmp_path / "none.safetensors").exists()
