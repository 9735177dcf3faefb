"""RoIAlign: held against its definition, which is that of torchvision's kernels, and files for inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from given import given
from reference_boxes import roi_align
from saved_memory import measured

import archdsl
from archdsl.cli import main

NET = """
arch net
input clip: video[3, 2, 32, 24]
input people: boxes[11]
stage one { conv(4, [1, 3, 3], stride = [1, 4, 4]) -> avgpool([all, 1, 1]) }
head dense: roi_align(people, SETTINGS)
"""
SETTINGS = ["7", "3, aligned = off", "2, sampling_ratio = 2", "3, 3, off", "2, stride = 4", "1, 1, stride = 6"]
# x1, y1, x2, y2 in a clip of 24 × 32: at borders, far outside, of no extent, turned round, tiny, larger than the clip.
BOXES = [
    (0, 0, 24, 32), (4, 8, 12, 16), (-4, -4, 24, 32), (-6, -6, 8, 8), (100, 100, 180, 190), (5, 5, 5, 5), (9, 9, 3, 2),
    (3.1, 4.1, 3.2, 4.3), (-90, -80, 140, 200), (23, 31, 29, 39), (0, 31.5, 24, 33),
]  # fmt: skip


def head_of(settings: str, number: int = 11) -> tuple[Any, Any]:
    """The head of a network of one layer, and the layer."""
    arch = archdsl.loads(NET.replace("SETTINGS", settings).replace("11", str(number)))
    [layer] = (node.layer for node in arch._analysis.network.all_nodes() if node.layer.kind == "roi_align")
    return arch.build(), layer


def features(model: Any, clip: torch.Tensor) -> torch.Tensor:
    return model.forward_features(clip, boxes())["one"]


def boxes() -> torch.Tensor:
    return torch.tensor([BOXES, BOXES[::-1]], dtype=torch.float64)


def output(x: torch.Tensor) -> torch.Tensor:
    """Features of boxes (B, C, N, size, size) as a module returns them: (B, N, C, size, size), or (B, N, C)."""
    columns = x.transpose(1, 2)
    return columns[..., 0, 0] if columns.shape[3] == 1 else columns


@pytest.mark.parametrize("settings", SETTINGS)
def test_values_are_those_of_the_definition(settings: str) -> None:
    model, layer = head_of(settings)
    model = model.double()
    clip = torch.randn(2, 3, 2, 32, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = features(model, clip).detach()
    columns = boxes().transpose(1, 2)[..., None, None]
    size = None if layer.stride else clip
    expected = output(roi_align(layer, x, columns, size))
    found = model(clip, boxes())
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert (expected != 0).any()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_gradient_is_that_of_a_linear_map(settings: str) -> None:
    arch = archdsl.loads(NET.replace("SETTINGS", settings).replace("conv(4, [1, 3, 3], stride = [1, 4, 4]) -> ", ""))
    [layer] = (node.layer for node in arch._analysis.network.all_nodes() if node.layer.kind == "roi_align")
    clip = torch.randn(2, 3, 2, 32, 24, dtype=torch.float64, requires_grad=True)
    found = arch.build()(clip, boxes())
    back = torch.randn_like(found)
    [gradient] = torch.autograd.grad(found, clip, back)
    change = torch.randn_like(clip)
    columns = boxes().transpose(1, 2)[..., None, None]
    moved = roi_align(layer, change.mean(2, keepdim=True), columns, None if layer.stride else clip)
    torch.testing.assert_close((gradient * change).sum(), (back * output(moved)).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("declared", [11, 1])
@pytest.mark.parametrize("settings", ["2", "1"])
def test_a_module_takes_other_numbers_of_boxes_and_clips(settings: str, declared: int) -> None:
    model, layer = head_of(settings, declared)
    clip = torch.randn(1, 3, 2, 40, 28)
    few = boxes()[:1, :3].float()
    expected = roi_align(layer, model.forward_features(clip, few)["one"], few.transpose(1, 2)[..., None, None], clip)
    torch.testing.assert_close(model(clip, few), output(expected))
    with pytest.raises(ValueError, match=r"expected \(B, N, 4\), found \(1, 4, 3\)"):
        model(clip, few.transpose(1, 2))


@pytest.mark.parametrize("settings", SETTINGS[:3])
def test_the_backward_pass_keeps_what_is_predicted(settings: str) -> None:
    arch = archdsl.loads(NET.replace("SETTINGS", settings))
    clips = tuple(given(arch._analysis.network, 2, torch.float32).values())
    assert arch.memory(2) == measured(arch.build(), clips)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_files_for_inference_compute_the_same(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text(NET.replace("SETTINGS", "2"), "utf-8")
    assert main(["export", "net.arch", "-o", f"net{suffix}"]) == 0  # it compares the outputs
