"""Layers of one operation: refusals, exported files, and values that other libraries give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse
from archdsl.train.export import export

if TYPE_CHECKING:
    from pathlib import Path

SPEC = "arch small\ninput clip: video[3, 4, 6, 6]\nstage s {{ {} }}\nhead: avgpool -> linear(3)\n"


def load(chain: str) -> archdsl.Architecture:
    return archdsl.Architecture(analyse(Source("small.arch", SPEC.format(chain)), FileLibrary()))


REFUSED = {
    "multiply { conv(4), conv(5) }": ("E0501", "cannot be multiplied: 4 and 5 channels"),
    "multiply { conv(4), conv(4, stride = 2) }": ("E0502", "cannot be multiplied: 4 and 2 frames"),
    "conv(4, stride = [4, 1, 1]) -> avgpool(3, padding = half)": (
        "E0503",
        "a kernel of 3 over t is larger than the grid",
    ),
    "class_token -> multiply { in, in, select(grid) } -> select(grid)": ("E0511", "differ in their class tokens"),
}


@pytest.mark.parametrize("chain", REFUSED)
def test_refused(chain: str) -> None:
    code, message = REFUSED[chain]
    with pytest.raises(archdsl.SpecError) as caught:
        load(chain)
    [found] = caught.value.diagnostics
    assert found.code == code
    assert message in str(caught.value)


def test_an_even_kernel_is_not_padded() -> None:
    found = load("conv(4) -> avgpool([1, 2, 3], padding = half)")._analysis.warnings
    assert [(d.code, d.span.text) for d in found if d.span] == [("W0111", "avgpool([1, 2, 3], padding = half)")]


EXPORTED = """
    conv(8, 3) -> l2norm -> multiply { in, conv(8) -> sigmoid } -> rmsnorm -> avgpool([1, 3, 3], padding = half)
"""


@pytest.mark.parametrize(("form", "suffix"), [("torch-export", ".pt2"), ("onnx", ".onnx")])
def test_exported_files_compute_the_same(form: str, suffix: str, tmp_path: Path) -> None:
    model = load(EXPORTED).build(target="infer")
    assert export(model, [(3, 4, 6, 6)], form, tmp_path / f"small{suffix}") < 1e-5
