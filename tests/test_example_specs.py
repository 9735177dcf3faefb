"""Networks that nobody has to have published: the specs of examples/variants, and two variants of docs/variants.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from error_documents import fences
from geometry import faults, read_picture
from repository import ROOT
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from archdsl import load
from archdsl.lowering import without_identities
from archdsl.targets.dot.look import LEVELS
from archdsl.targets.dot.writer import diagram

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl import Architecture

FOLDER = ROOT / "examples" / "variants"
TIMESFORMER = {"clip": (3, 4, 32, 32), "dim": 24, "depth": 2, "classes": 5}
SMALL: dict[str, dict[str, Any]] = {
    "perceiver_frames": {
        "clip": (3, 4, 32, 32), "dim": 16, "latents": 3, "heads": 2, "reads": 2, "depth": 1, "classes": 5,
    },
    "mtv_three_views": {
        "clip": (3, 16, 32, 32), "dims": [24, 16, 8], "heads": [2, 2, 1], "depth": 4, "every": 2, "global_dim": 16,
        "global_depth": 1, "classes": 5,
    },
    "swin3d_v2_t": {
        "clip": (3, 8, 64, 64), "width": 12, "depths": [2, 2], "heads": [1, 2], "window": [2, 4, 4], "classes": 5,
    },
    "grouped_timesformer": TIMESFORMER,
    "causal_timesformer": TIMESFORMER | {"heads": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("variants")
    for fence in fences((ROOT / "docs" / "variants.md").read_text("utf-8")):
        file = fence.options.get("file", "")
        if file.removesuffix(".arch") in SMALL:
            (folder / file).write_text(fence.text, "utf-8")
    found = {path.stem: path for path in (*FOLDER.glob("*.arch"), *folder.glob("*.arch"))}
    assert found.keys() == SMALL.keys()
    return found


def small(specs: dict[str, Path], name: str) -> Architecture:
    return load(specs[name], **SMALL[name])


@pytest.mark.parametrize("name", SMALL)
def test_modules_are_as_predicted_and_train(specs: dict[str, Path], name: str) -> None:
    """Every parameter has a gradient once those have moved that begin at 0, and the loss of one clip falls."""
    arch = small(specs, name)
    torch.manual_seed(0)
    model, clip = arch.build(), torch.randn(2, *SMALL[name]["clip"])
    assert sum(p.numel() for p in model.parameters()) == arch.params
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        assert list(model.eval()(clip[:1]).shape[1:]) == arch.cost()["output"]
    assert counter.get_total_flops() == 2 * arch.macs
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses: list[float] = []
    for _ in range(4):
        logits = model.train()(clip)
        loss = F.cross_entropy(logits, torch.tensor([1, 4])[:, *[None] * (logits.ndim - 2)].expand_as(logits[:, 0]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    without = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert without <= {n for n, _ in model.named_parameters() if n.endswith("k_bias")}


@pytest.mark.parametrize("name", SMALL)
def test_diagrams(specs: dict[str, Path], name: str) -> None:
    pygraphviz: Any = pytest.importorskip("pygraphviz")
    network = without_identities(load(specs[name])._analysis.network)
    for level in LEVELS:
        picture = read_picture(pygraphviz.AGraph(string=diagram(network, level).source))
        assert picture.lines
        assert faults(picture) == []


def test_no_frame_sees_a_later_one(specs: dict[str, Path]) -> None:
    model, clip = small(specs, "causal_timesformer").build().eval(), torch.randn(1, 3, 4, 32, 32, requires_grad=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "along.linear" in name:
                parameter.normal_()
    for frame in range(4):
        (gradient,) = torch.autograd.grad(model(clip)[0, :, frame].sum(), clip)
        seen = gradient.abs().sum((0, 1, 3, 4)) > 0
        assert seen.tolist() == [t <= frame for t in range(4)]


def test_longer_tubelets_ask_those_that_they_cover(specs: dict[str, Path]) -> None:
    """Windows of two frames of the shorter ones: the first tubelet of 8 frames sees nothing of the last 8."""
    model, clip = small(specs, "mtv_three_views").build().eval(), torch.randn(1, 3, 16, 32, 32, requires_grad=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    features = model.forward_features(clip)
    (gradient,) = torch.autograd.grad(features["long.views2"][:, :, 0].sum(), clip)
    seen = gradient.abs().sum((0, 1, 3, 4)) > 0
    assert seen.tolist() == [True] * 8 + [False] * 8


def test_queries_share_heads_of_keys_and_values(specs: dict[str, Path]) -> None:
    tensors = small(specs, "grouped_timesformer").tensors
    assert tensors["blocks.0.along.attention.q.weight"] == (24, 24)
    assert tensors["blocks.0.along.attention.kv.weight"] == (2 * 3 * 2, 24)  # 3 of 12 heads of 2 channels
