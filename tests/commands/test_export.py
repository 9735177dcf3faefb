"""`archdsl export`: files that other programs run, with the outputs of the module."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from repository import ROOT
from safetensors.torch import save_file
from small import inputs, small

import archdsl
from archdsl.cli import main
from archdsl.files import UsageError
from archdsl.train import export as exporting
from archdsl.train.export import Argument, ExportError, export
from archdsl.train.formats import SUFFIXES

SPECS = ROOT / "specs"
TINY = """
arch tiny
param classes = 3
input clip: video[3, 4, 16, 16]
stage one { conv(8, 3, stride = [1, 2, 2]) -> bn -> relu }
head: avgpool -> dropout(0.5) -> linear(classes)
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY, "utf-8")
    return tmp_path / "tiny.arch"


def trained(spec: Path) -> torch.nn.Module:
    """A module whose batch norms have seen clips, in evaluation."""
    torch.manual_seed(3)
    model = archdsl.load(spec).build()
    for _ in range(3):
        model(2 + 3 * torch.randn(4, 3, 4, 16, 16))
    return model.eval()


def run(path: Path, clip: torch.Tensor) -> torch.Tensor:
    """Outputs of an exported file."""
    if path.suffix == ".pt2":
        return torch.export.load(str(path)).module()(clip)
    session = onnxruntime.InferenceSession(str(path))
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: clip.numpy()})[0])


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_file_computes_what_the_trained_module_does(
    suffix: str, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, path = trained(spec), Path(f"made{suffix}")
    save_file(model.state_dict(), "weights.safetensors")
    assert main(["export", str(spec), "--weights", "weights.safetensors", "-o", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "for any number of clips at once" in out
    assert not err
    for count in (1, 5):
        clip = torch.randn(count, 3, 4, 16, 16)
        with torch.no_grad():
            expected = model(clip)
        assert (run(path, clip) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_batch_of_one_size(spec: Path) -> None:
    assert main(["export", str(spec), "--batch", "2", "--clip", "3x2x8x8", "-o", "two.onnx"]) == 0
    (given,) = onnxruntime.InferenceSession("two.onnx").get_inputs()
    assert given.shape == [2, 3, 2, 8, 8]


@pytest.mark.parametrize("name", ["swin3d_t", "i3d_two_stream"])
def test_networks_of_the_specs(name: str, tmp_path: Path) -> None:
    arch = small(SPECS / f"{name}.arch")
    arguments = [Argument(tuple(clip.shape[1:])) for clip in inputs(arch, 1)]
    path = tmp_path / "made.pt2"
    assert export(arch.build(target="infer"), arguments, "torch-export", path) <= 1e-5
    assert path.exists()


@pytest.mark.parametrize("format", ["onnx", "torch-export"])
@pytest.mark.parametrize("wrong", [0.01, float("nan")])
def test_a_file_that_computes_something_else_is_not_left(
    format: str, wrong: float, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "_load_onnx" if format == "onnx" else "_load_program"
    load: Any = getattr(exporting, name)
    monkeypatch.setattr(
        exporting, name, lambda path: lambda clips: {n: x + wrong for n, x in load(path)(clips).items()}
    )
    path = Path("made" + SUFFIXES[format])
    path.write_text("what was there before")
    assert main(["export", str(spec), "-o", str(path)]) == 1
    assert "differ from the module's by" in capsys.readouterr().err
    assert path.read_text() == "what was there before"
    assert sorted(p.name for p in Path().iterdir()) == sorted([path.name, "tiny.arch"])


def test_a_module_that_torch_does_not_export(tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum().item() > 0 else -x

    with pytest.raises(ExportError, match=r"torch\.export cannot export the module"):
        export(Odd(), [(3, 2, 4, 4)], "onnx", tmp_path / "made.onnx")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_too_many_for_onnx(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = torch.nn.Linear(30_000, 30_000)
    with pytest.raises(UsageError, match=r"3.6 GB of weights exceed the limit of an ONNX file; use torch-export"):
        export(model, [Argument((30_000,))], "onnx", tmp_path / "made.onnx")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "made.bin"], 2, "made.bin: expected a name that ends in .onnx (onnx) or .pt2 (torch-export)"),
        (["-o", "made.pt2", "--format", "onnx"], 2, "made.pt2: --format onnx writes files such as made.onnx"),
        (["-o", "made.onnx", "--batch", "0"], 2, "--batch 0: expected `dynamic` or a number of clips"),
        (["-o", "made.onnx", "--from", "torchvision"], 2, "name them with --weights FILE"),
        (["-o", "made.onnx", "--weights", "none.safetensors"], 2, "none.safetensors: no such file"),
        (["-o", "made.onnx", "--weights", "other.safetensors"], 1, "the weights do not match the network"),
        (["-o", "made.onnx", "--weights", "other.safetensors", "--from", "x"], 1, "no weight map of `x`"),
    ],
)
def test_wrong_use(
    arguments: list[str], code: int, message: str, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"other": torch.zeros(1)}, "other.safetensors")
    assert main(["export", str(spec), *arguments]) == code
    assert message in capsys.readouterr().err
    assert not list(Path().glob("made*"))


def test_without_onnx(spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(spec), "-o", "made.onnx"]) == 1
    assert "ONNX is written by onnxscript: pip install 'archdsl[onnx]'" in capsys.readouterr().err


def test_the_weights_of_another_code_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names of torchvision, in a file as it writes them."""
    monkeypatch.chdir(tmp_path)
    options = {"depths": [1, 1, 1, 1], "classes": 5}
    arch = archdsl.load(SPECS / "r3d_18.arch", clip=(3, 4, 16, 16), like="torchvision", **options)
    torch.manual_seed(5)
    model = arch.build().eval()
    torch.save(archdsl.revert_weights(arch, model.state_dict(), "torchvision"), "theirs.pth")
    values = ["--set", "depths=[1,1,1,1]", "--set", "classes=5", "--clip", "3x4x16x16"]
    weights = ["--weights", "theirs.pth", "--from", "torchvision"]
    assert main(["export", str(SPECS / "r3d_18.arch"), *values, *weights, "-o", "made.pt2"]) == 0
    clip = torch.randn(2, 3, 4, 16, 16)
    with torch.no_grad():
        expected = model(clip)
    assert (run(Path("made.pt2"), clip) - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_boxes_are_those_of_the_first_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector may stand before it."""
    monkeypatch.chdir(tmp_path)
    text = "arch net\ninput text: vector[6]\ninput clip: video[3, 1, 16, 16]\ninput rois: boxes[3]\n"
    text += "path t = text\npath c = clip\nhead dense: add { c -> roi_align(rois, 2), t -> linear(3) }\n"
    (tmp_path / "net.arch").write_text(text, "utf-8")
    assert main(["export", "net.arch", "-o", "net.pt2"]) == 0
