"""What channels mean: a classifier of other features is new, and filters over frames are interpolated over time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from repository import ROOT

import archdsl

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
