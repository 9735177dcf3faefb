"""ONNX: exported with a dynamic batch, the file gives the outputs of the module in onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime
import pytest
import torch
from repository import ROOT
from small import inputs, small

if TYPE_CHECKING:
    from pathlib import Path

SPECS = ROOT / "specs"
# One of each form of code that a family adds: benchmarks/onnx_export.py exports the networks in full, and
# test_generated.py exports specs with every kind of layer to torch's own format.
NAMES = """
    slowfast_r50 i3d_r50_nl5 mvitv2_s_16x4 swin3d_t_pooled_keys timesformer_ts_banded vivit_b_fe vivit_b_fdp vtn_vit_b
""".split()
# Of modules for inference, those that most passes change.
INFER = ["slowfast_r50", "mvit_b_16x4", "swin3d_t"]
# Without `make records`, which has them all.
FIRST = [("slowfast_r50", "train"), ("vivit_b_fe", "train"), ("mvit_b_16x4", "infer"), ("swin3d_t", "infer")]


def case(name: str, target: str) -> Any:
    return pytest.param(name, target, marks=() if (name, target) in FIRST else pytest.mark.records)


CASES = [*(case(name, "train") for name in NAMES), *(case(name, "infer") for name in INFER)]


@pytest.mark.parametrize(("name", "target"), CASES)
def test_onnxruntime_gives_the_same_logits(name: str, target: str, tmp_path: Path) -> None:
    arch = small(SPECS / f"{name}.arch", shallow=True)
    model, clips = arch.build(target=target).eval(), inputs(arch, 2)
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = tuple({0: batch} for _ in clips)
    program = torch.onnx.export(model, clips, dynamo=True, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    path = tmp_path / "model.onnx"
    program.save(str(path))
    session = onnxruntime.InferenceSession(str(path))
    for count in (1, 3):
        given = inputs(arch, count)
        feed = {i.name: clip.numpy() for i, clip in zip(session.get_inputs(), given, strict=True)}
        with torch.no_grad():
            expected = model(*given)
        found = torch.from_numpy(session.run(None, feed)[0])
        assert (found - expected).abs().max() <= 2e-5 * expected.abs().max()
