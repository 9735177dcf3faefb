"""Generated modules under `torch.fx`, which torchvision's feature extractor and quantisation work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from repository import ROOT
from small import EACH_OF_FEW, inputs, small

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", EACH_OF_FEW)
def test_a_traced_model_computes_the_same(path: Path) -> None:
    """In training, where dropout and drop path draw the same numbers, in evaluation, and for inference."""
    arch = small(path)
    clips = inputs(arch, 2)
    train, infer = (arch.build(target=target) for target in ("train", "infer"))
    for model, training in ((train, True), (train, False), (infer, False)):
        model.train(training)
        traced = torch.fx.symbolic_trace(model)
        outputs: list[torch.Tensor] = []
        for module in (model, traced):
            torch.manual_seed(0)
            outputs.append(module(*clips))
        torch.testing.assert_close(*outputs, rtol=0, atol=0)


def test_a_traced_model_takes_other_batches_and_refuses_wrong_clips() -> None:
    """The check of the clip is a call in the graph, which runs for each clip."""
    arch = small(ROOT / "specs" / "slowfast_r50.arch")
    model = arch.build().eval()
    traced: Any = torch.fx.symbolic_trace(model)
    assert next(node.name for node in traced.graph.nodes if node.op == "call_function") == "check_clip"
    clips = inputs(arch, 3)
    torch.testing.assert_close(traced(*clips), model(*clips))
    with pytest.raises(ValueError, match="multiple of 4 frames, found 6"):
        traced(torch.empty(1, 3, 6, 32, 32))


@pytest.mark.parametrize("path", EACH_OF_FEW)
def test_features_of_torchvision(path: Path) -> None:
    extraction = pytest.importorskip("torchvision.models.feature_extraction")
    arch = small(path)
    model: Any = arch.build().eval()
    clips = inputs(arch, 1)
    extracted = extraction.create_feature_extractor(model, {"head": "logits"})(*clips)
    torch.testing.assert_close(extracted["logits"], model(*clips))
