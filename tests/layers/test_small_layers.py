"""Layers of one operation: refusals, exported files, and values that other libraries give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

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
    "conv(5) -> rotary": ("E0508", "5 channels are too few for pairs over t, h, w"),
    "latents(0)": ("E0305", "expected at least 1"),
    "class_token -> multiply { in, in, select(grid) } -> select(grid)": ("E0511", "differ in their tokens"),
}


@pytest.mark.parametrize("chain", REFUSED)
def test_refused(chain: str) -> None:
    code, message = REFUSED[chain]
    with pytest.raises(archdsl.SpecError) as caught:
        load(chain)
    [found] = caught.value.diagnostics
    assert found.code == code
    assert message in str(caught.value)


def test_tiled_frequencies_are_those_of_v_jepa_2() -> None:
    """Its code repeats the frequencies of half of the channels, and rotates neighbours."""
    clip = torch.randn(2, 21, 4, 6, 5)
    parts = list(clip.split(6, dim=1))
    for axis in range(3):
        positions = torch.arange(clip.shape[2 + axis])
        angles = (positions[:, None] * (1 / 10_000 ** (torch.arange(3) / 3.0))).repeat(1, 2).T
        angles = angles.view(6, *(len(positions) if axis == other else 1 for other in range(3)))
        x = parts[axis]
        y = torch.stack((-x[:, 1::2], x[:, ::2]), dim=2).flatten(1, 2)
        parts[axis] = x * angles.cos() + y * angles.sin()
    text = "arch small\ninput clip: video[21, 4, 6, 5]\nstage s { rotary(frequencies = tiled) }\n"
    model = archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())).build()
    torch.testing.assert_close(model(clip), torch.cat(parts, 1), rtol=1e-6, atol=1e-6)


def test_rotary_products_depend_on_distances_alone() -> None:
    text = "arch small\ninput clip: video[12, 4, 6, 5]\nstage s { rotary(base = 20) }\n"
    model = archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary())).build().double()
    q, k = (model(torch.randn(1, 12, 1, 1, 1, dtype=torch.float64).expand(-1, -1, 4, 6, 5))[0] for _ in range(2))
    products = torch.einsum("cthw,cxyz->thwxyz", q, k)
    torch.testing.assert_close(products[1:, 2:, 1:, 1:, 2:, 1:], products[:-1, :-2, :-1, :-1, :-2, :-1])
    assert (products[0, 0, 0] - products[0, 0, 0, 0, 0, 0]).abs().max() > 0.1


def test_an_even_kernel_is_not_padded() -> None:
    found = load("conv(4) -> avgpool([1, 2, 3], padding = half)")._analysis.warnings
    assert [(d.code, d.span.text) for d in found if d.span] == [("W0111", "avgpool([1, 2, 3], padding = half)")]


EXPORTED = """
    conv(8, 3) -> l2norm -> multiply { in, conv(8) -> sigmoid } -> rmsnorm -> avgpool([1, 3, 3], padding = half)
    -> rotary -> multiply { avgpool -> linear(8), latents(1, init = normal(1)) }
"""


@pytest.mark.parametrize(("form", "suffix"), [("torch-export", ".pt2"), ("onnx", ".onnx")])
def test_exported_files_compute_the_same(form: str, suffix: str, tmp_path: Path) -> None:
    model = load(EXPORTED).build(target="infer")
    assert export(model, [(3, 4, 6, 6)], form, tmp_path / f"small{suffix}") < 1e-5
