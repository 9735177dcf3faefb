"""Built models as Python objects: pickled whole and loaded in a fresh process, with source lines to look at."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING

import pytest
import torch
from command_line import TINY
from repository import ROOT

import archdsl

if TYPE_CHECKING:
    from pathlib import Path

CLIP = (3, 8, 32, 32)


def fresh(code: str, folder: Path) -> str:
    """What some code prints in a process of its own, which has archdsl and no spec."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def arch(tmp_path: Path) -> archdsl.Architecture:
    (tmp_path / "tiny.arch").write_text(TINY, "utf-8")
    return archdsl.load(tmp_path / "tiny.arch")


def test_a_saved_model_computes_the_same_in_a_fresh_process(arch: archdsl.Architecture, tmp_path: Path) -> None:
    """Two models of one name are in the file: each gets its own code back."""
    torch.manual_seed(0)
    clip = torch.randn(2, *CLIP)
    models = {target: arch.build(target=target).eval() for target in ("train", "infer")}
    expected = {target: model(clip) for target, model in models.items()}
    torch.save({"models": models, "clip": clip, "expected": expected}, tmp_path / "models.pt")
    (tmp_path / "tiny.arch").unlink()
    code = """
import torch
found = torch.load("models.pt", weights_only=False)
for target, model in found["models"].items():
    assert not model.training
    print(torch.equal(model(found["clip"]), found["expected"][target]))
"""
    assert fresh(code, tmp_path) == "True\nTrue\n"
    classes = {type(model) for model in models.values()}
    assert len(classes) == 2


def test_a_loaded_model_shows_its_source(arch: archdsl.Architecture, tmp_path: Path) -> None:
    torch.save(arch.build(), tmp_path / "model.pt")
    code = """
import inspect, torch, traceback
model = torch.load("model.pt", weights_only=False)
print(inspect.getsource(type(model)))
try:
    model(torch.zeros(1, 5, 8, 32, 32))
except ValueError:
    print(traceback.format_exc())
"""
    printed = fresh(code, tmp_path)
    assert printed.startswith("class ")
    assert "self._stages(clip)" in printed.split("Traceback")[1]


def test_the_source_of_a_built_model(arch: archdsl.Architecture) -> None:
    model = arch.build()
    source = arch.source()
    for part in (type(model), type(model).forward):
        assert inspect.getsource(part) in source
    assert inspect.getsource(sys.modules[type(model).__module__]) == source
    with pytest.raises(ValueError, match=r"expected .B, 3, T, H, W.") as caught:
        model(torch.zeros(1, 5, 8, 32, 32))
    lines = [frame.line for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert all(lines)
    assert any(line in source and "self._stages" in line for line in lines if line)


def test_copies_have_the_same_class(arch: archdsl.Architecture) -> None:
    model = arch.build().eval()
    clip = torch.randn(1, *CLIP)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(other) is type(model)
        assert other.state_dict().keys() == model.state_dict().keys()
        torch.testing.assert_close(other(clip), model(clip), rtol=0, atol=0)
        for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
            assert ours is not theirs
    assert type(arch.build()) is type(model)


def test_a_part_of_a_model_is_saved_by_itself(tmp_path: Path) -> None:
    """The text is in the file of a block, too, whose class is not the model's."""
    model = archdsl.load("c2d_r50", clip=(3, 8, 32, 32), width=8).build()
    block = model.get_submodule("res2.0")
    torch.save(block, tmp_path / "block.pt")
    name = fresh("import torch\nprint(type(torch.load('block.pt', weights_only=False)).__name__)", tmp_path)
    assert name.strip() == type(block).__name__


def test_a_saved_model_needs_archdsl_and_says_so(arch: archdsl.Architecture, tmp_path: Path) -> None:
    torch.save(arch.build(), tmp_path / "model.pt")
    code = """
import sys, torch
sys.modules["archdsl"] = None
try:
    torch.load("model.pt", weights_only=False)
except ImportError as error:
    print("archdsl" in str(error))
"""
    assert fresh(code, tmp_path) == "True\n"
