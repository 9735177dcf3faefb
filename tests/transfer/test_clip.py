"""Video networks initialised from CLIP's image tower."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from repository import ROOT

import archdsl

TINY: dict[str, Any] = {"dim": 32, "depth": 3, "heads": 2}


@pytest.mark.parametrize(
    ("video", "new"),
    [
        ("uniformerv2_b", r"video\..*|head\.(blend|linear)\..*"),
        ("uniformerv2_b_lmhra", r"video\..*|head\.(blend|linear)\..*|.*\.local_relation\d\..*"),
        ("xclip_b16", r".*\.message.*|mit\..*"),
        ("aim_b", r".*_adapter\..*|embed\.position2\..*|head\.linear\..*"),
        ("st_adapter_b", r".*\.adapter\d\..*|head\.linear\..*"),
    ],
)
def test_what_is_new(video: str, new: str) -> None:
    """All of the tower is used, but the projection to the embedding where the network gives scores."""
    plan = archdsl.load(video).plan_transfer(archdsl.load(ROOT / "specs/images/clip_vit_b16.arch"))
    found = {entry.name for entry in plan.entries if entry.how == "new"}
    assert found == {entry.name for entry in plan.entries if re.fullmatch(new, entry.name)}
    assert set(plan.unused) <= {"head.linear.weight"}


@pytest.mark.parametrize("local", [False, True])
def test_each_frame_begins_as_an_image(local: bool) -> None:
    """Also with local blocks, whose last layers begin at zero."""
    base = archdsl.load(ROOT / "specs/images/clip_vit_b16.arch", clip=(3, 1, 32, 32), **TINY)
    arch = archdsl.load("uniformerv2_b", clip=(3, 3, 32, 32), layers=2, lmhra=local, **TINY)
    tower, model = base.build().eval(), arch.build().eval()
    model.load_state_dict(archdsl.transfer_weights(base, tower.state_dict(), arch))
    clip = torch.randn(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        frames = model.forward_features(clip)
        for t in range(3):
            image = tower.forward_features(clip[:, :, t : t + 1])
            for kind in ("", ".token"):
                found, expected = frames[f"frame.block2{kind}"], image[f"blocks{kind}"]
                torch.testing.assert_close(found[:, :, t], expected[:, :, 0], rtol=1e-4, atol=1e-5)
