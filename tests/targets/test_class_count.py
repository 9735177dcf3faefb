"""The number of classes as an argument of generated modules."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from small import EACH_OF_FEW, inputs, small

import archdsl
from archdsl.ir.masks import reconstructs

if TYPE_CHECKING:
    from pathlib import Path

    import torch

NET = "arch net\ninput clip: video[3, 4, 16, 16]\nBLOCKstage one { conv(8, 3) as one }\nhead: HEAD\n"


def shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def classes_of(logits: torch.Tensor) -> int:
    """The classes of (B, classes, …), or of (B, N, classes) for N boxes."""
    return logits.shape[-1 if logits.ndim == 3 else 1]


@pytest.mark.parametrize("path", EACH_OF_FEW)
def test_only_the_last_layers_have_another_width(path: Path) -> None:
    arch = small(path)
    if reconstructs(arch._analysis.network):
        with pytest.raises(TypeError, match="num_classes"):  # what is predicted are patches
            arch.build(num_classes=11)
        return
    for target in ("train", "infer"):
        model, other = arch.build(target=target), arch.build(target=target, num_classes=11)
        assert classes_of(other(*inputs(arch, 2))) == 11
        changed = {name for name, shape in shapes(other).items() if shape != shapes(model)[name]}
        assert changed
        assert all(shapes(other)[name] == (11, *shapes(model)[name][1:]) for name in changed)
        assert {name.rpartition(".")[2] for name in changed} <= {"weight", "bias"}
        own = classes_of(model(*inputs(arch, 2)))
        assert shapes(model) == shapes(arch.build(target=target, num_classes=own))


@pytest.mark.parametrize(
    ("head", "block", "takes"),
    [
        ("avgpool -> dropout(0.5) -> linear(5) -> relu", "", True),
        ("conv(5) -> avgpool", "", True),
        ("mean { one -> avgpool -> linear(5), one -> maxpool(2) -> avgpool -> linear(5) }", "", True),
        ("avgpool -> last(8) -> last(5)", "block last(n) { linear(n) -> relu }\n", False),
        ("avgpool -> last(5)", "block last(num_classes) { linear(2 * num_classes) -> linear(num_classes) }\n", True),
        ("linear(5) -> layernorm -> avgpool", "", False),
        ("concat { one -> avgpool -> linear(2), one -> maxpool(2) -> avgpool -> linear(3) }", "", False),
        ("conv(8) -> conv(8, groups = 2) -> avgpool", "", False),
        ("avgpool", "", True),
    ],
)
def test_the_argument_is_there_where_the_width_is_free(tmp_path: Path, head: str, block: str, takes: bool) -> None:
    """The last layers have no weights behind them and share their class with no other layer."""
    (tmp_path / "net.arch").write_text(NET.replace("HEAD", head).replace("BLOCK", block), "utf-8")
    arch: Any = archdsl.load(tmp_path / "net.arch")
    assert ("num_classes" in inspect.signature(type(arch.build())).parameters) == takes
    if takes:
        assert arch.build(num_classes=3)(*inputs(arch, 2)).shape == (2, 3)
    else:
        with pytest.raises(TypeError):
            arch.build(num_classes=3)
