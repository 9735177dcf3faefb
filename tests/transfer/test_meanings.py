"""What channels mean: a classifier of other features is new, and filters over frames are interpolated over time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from repository import ROOT

import archdsl
from archdsl.cli import main
from archdsl.train.weights import Checkpoint, starting_weights

BASE = """arch base
import resnet
param classes = 5
input clip: video[3, 4, 32, 32]
stage conv1 { conv(8, [1, 3, 3], stride = [1, 2, 2]) -> bn -> relu }
stage res2 { bottleneck(4) }
stage res3 { bottleneck(8, stride = 2 if index == 0 else 1) * 2 }
head: avgpool -> linear(classes)
"""
# Some classify what the base does, or some of it; others do not.
VARIANTS = {
    "head: maxpool(all) -> dropout(0.5) -> linear(classes)": True,
    "stage res3 { bottleneck(8, stride = 2 if index == 0 else 1) * 4 }": True,
    "stage late after res3 { residual { conv(in.channels, 3) } }": True,
    "head: concat { res3 -> avgpool, res2 -> avgpool } -> linear(classes)": True,
    "head dense: upsample([1, 2, 2]) -> concat { in, res2 } -> conv(32, 3) -> linear(classes)": False,
    "stage late after res3 { conv(32, 3) -> bn -> relu }": False,
    "head: res2 -> avgpool -> linear(classes)": False,
    "head: avgpool -> linear(32) as hidden -> relu -> linear(classes)": False,
}


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> archdsl.Architecture:
    monkeypatch.chdir(tmp_path)
    Path("base.arch").write_text(BASE, "utf-8")
    return archdsl.load("base.arch")


@pytest.mark.parametrize(("line", "is_same"), VARIANTS.items())
def test_a_classifier_of_other_features_is_new(line: str, is_same: bool, base: archdsl.Architecture) -> None:
    Path("variant.arch").write_text(f"arch variant extends base\n{line}\n", "utf-8")
    plan = archdsl.load("variant.arch").plan_transfer(base)
    entries = {e.name: e for e in plan.entries}
    for name in ("head.linear.weight", "head.linear.bias"):
        assert (entries[name].how != "new") == is_same
        assert is_same or entries[name].why == "it reads other features than base's"


def test_a_pyramid_begins_with_the_stages_of_its_backbone() -> None:
    small = {"depths": [1, 1, 1, 1], "width": 16, "classes": 5}
    slow, pyramid = (archdsl.load(ROOT / "specs" / f"{n}.arch", **small) for n in ("slow_r50", "tpn_slow_r50"))
    plan = pyramid.plan_transfer(slow)
    new = {e.name.partition(".")[0] for e in plan.entries if e.how == "new"}
    assert new == {"pyramid", "head"}
    assert plan.unused.keys() == {"head.linear.weight", "head.linear.bias"}


FRAMES = """arch net
param frames = 4
input clip: video[3, frames, 8, 8]
stage one {
    avgpool([1, all, all]) -> swap -> linear(2*in.t) as hidden -> relu -> linear(5) as taps
}
head: avgpool -> linear(7)
"""


def test_filters_over_frames_see_in_a_longer_clip_what_they_saw() -> None:
    """Of a ramp, whose linear interpolation is a ramp, but at its ends; hidden features stay the same."""
    short, long = archdsl.loads(FRAMES), archdsl.loads(FRAMES, frames=8)
    model, other = short.build().eval(), long.build().eval()
    [_, hidden, *_] = model.state_dict().values()
    assert hidden.shape == (8,)
    made = archdsl.transfer_weights(short, model.state_dict(), long)
    other.load_state_dict(made)
    still = torch.randn(2, 3, 1, 8, 8)
    with torch.no_grad():
        outputs = model(still.expand(-1, -1, 4, -1, -1)), other(still.expand(-1, -1, 8, -1, -1))
    torch.testing.assert_close(*outputs)
    weight, longer = model.state_dict()["one.hidden.weight"], made["one.hidden.weight"]
    expected = torch.nn.functional.interpolate(weight[:, None], size=8, mode="linear")[:, 0] / 2
    torch.testing.assert_close(longer, torch.cat([expected, expected]))


EXCHANGED = """arch net
param width = 4, frames = 4, crop = 8
input clip: video[3, frames, crop, crop]
stage one {
    concat { conv(width, 1, stride = 2), conv(2*width, 1, stride = 2) }
    -> %s -> layernorm -> conv(3, 1)
}
head: avgpool -> linear(7)
"""
OVER_TIME, OVER_SPACE = (
    "swap -> {} -> linear(frames//2) -> swap",
    "swap(space) -> {} -> linear(16) -> swap(space, rows = 4)",
)


@pytest.mark.parametrize("line", [OVER_TIME, OVER_SPACE])
def test_channels_that_are_exchanged_twice_are_those_of_before(line: str) -> None:
    """Repeated, they compute the same."""
    base, wide = (archdsl.loads(EXCHANGED % line.format("relu"), width=width) for width in (4, 8))
    torch.manual_seed(0)
    model, other = base.build().eval(), wide.build().eval()
    other.load_state_dict(archdsl.transfer_weights(base, model.state_dict(), wide))
    clip = torch.randn(2, 3, 4, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(other(clip), model(clip))


BIAS = "attention(1, over = time) {{\nqkv: linear(in.channels)\nbias: {}\nproj: linear(in.channels)\n}}"


@pytest.mark.parametrize(
    ("line", "name", "width", "frames"),
    [
        (OVER_TIME.format("position"), "position.weight", "192 rows, here 384", "2 → 4 frames, linear"),
        (OVER_SPACE.format("position"), "position.weight", "24 rows, here 48", "linear over time"),
        (OVER_TIME.format(BIAS.format("table")), "attention.table", "23 rows, here 47", ""),
        (OVER_TIME.format(BIAS.format("decomposed")), "attention.decomposed.t", "23 rows, here 47", "copies"),
    ],
)
def test_a_table_of_channels_is_not_interpolated(line: str, name: str, width: str, frames: str) -> None:
    base, wide, long = (archdsl.loads(EXCHANGED % line, **values) for values in ({}, {"width": 8}, {"frames": 8}))
    wider, longer = ({e.name: e for e in arch.plan_transfer(base).entries}[f"one.{name}"] for arch in (wide, long))
    assert wider.how == "new"
    assert wider.why == f"{width}, along an axis of channels"
    assert longer.how != "new"
    assert longer.why.endswith(frames)


def test_a_transfer_of_nothing_is_refused(capsys: pytest.CaptureFixture[str], base: archdsl.Architecture) -> None:
    Path("other.arch").write_text(EXCHANGED.replace("net", "other") % "relu", "utf-8")
    other = archdsl.load("other.arch")
    assert base.plan_transfer(other).is_empty
    assert main(["weights", "plan", "base.arch", "other.arch"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("base → other: nothing is transferred; 7 tensors: 7 new; ")
    assert out.endswith("a map `transfer base for other` pairs other names (docs/variants.md).\n")
    torch.save(base.build().state_dict(), "base.pt")
    for options in (["other.arch"], ["--new", "*"]):
        assert main(["weights", "transfer", "base.arch", "base.pt", *options, "-o", "o.safetensors"]) == 1
        assert "would be new: none begins from one of `base`" in capsys.readouterr().err
        assert not Path("o.safetensors").exists()
    with pytest.raises(archdsl.SpecError, match="E0814"):
        archdsl.transfer_weights(base, torch.load("base.pt"), other)
    with pytest.raises(archdsl.SpecError, match="E0814"):
        starting_weights(other, Checkpoint("base.pt", spec="base.arch"), "other.arch")
