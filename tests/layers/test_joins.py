"""Joins of values whose shapes differ in axes of 1, which are repeated."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from reference import assert_computes_the_graph
from torch import nn

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

SPEC = "arch small\ninput clip: video[3, 4, 6, 8]\n{}\n"


def load(stages: str, **arguments: Any) -> archdsl.Architecture:
    text = SPEC.format(stages if "stage " in stages or "path " in stages else f"stage s {{ {stages} }}")
    return archdsl.Architecture(analyse(Source("small.arch", text), FileLibrary(), **arguments))


# By layout: a grid, channels last, vectors, tokens; and axis by axis.
CHAINS = [
    "conv(4) -> multiply { in, avgpool -> conv(2, 1, bias = on) -> relu -> conv(4, 1, bias = on) -> sigmoid }",
    "conv(4) -> add { avgpool([1, all, all]), in } -> max { in, avgpool([all, 1, 1]), relu }",
    "conv(4) -> mean { in, conv(1), avgpool([1, 1, all]) } -> bn",
    "conv(4) -> add { avgpool([1, all, all]), avgpool([all, 1, 1]) }",
    "layernorm -> multiply { avgpool -> linear(3) -> sigmoid, in } -> add { in, linear(1) } -> max { avgpool, in }",
    "avgpool -> multiply { linear(5), linear(1) -> sigmoid } -> add { linear(1), in }",
    "linear(4) -> class_token -> multiply { in, select(grid) -> avgpool } -> add { in, linear(1) } -> select(grid)",
    "linear(4) -> class_token(frame) -> add { select(grid) -> avgpool([1, all, all]), in } -> select(grid)",
    "linear(4) -> class_token(frame) -> add { in, select(grid) -> avgpool([all, 1, 1]) -> linear(1) } -> select(grid)",
    "linear(4) -> class_token -> grid { multiply { in, avgpool([1, all, 1]) } } -> select(grid)",
    "conv(4) -> blend { in, conv(4) -> relu } -> blend { avgpool([1, all, all]), in } -> blend { in, conv(1) } -> bn",
    "avgpool -> blend { linear(5), linear(1) -> sigmoid } -> blend { linear(1), in }",
    "linear(4) -> class_token -> blend { in, layernorm } -> without(token) -> blend { linear(6), linear(6) }",
    "linear(4) -> class_token(frame) -> blend { gelu, in } -> select(grid) -> blend { in, linear(1) } as last",
    "linear(4) -> attention(2) { q: multiply { in, avgpool -> linear(4) } -> linear(4)\n kv: linear(4) }",
]


@pytest.mark.parametrize("chain", CHAINS)
def test_axes_of_one_are_repeated(chain: str) -> None:
    assert_computes_the_graph(load(chain))


def test_squeeze_and_excitation_is_that_of_torch() -> None:
    """With the names and shapes of its convolutions, as published checkpoints have them."""

    class Excitation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AdaptiveAvgPool3d(1)
            self.conv1, self.conv2 = nn.Conv3d(3, 2, 1), nn.Conv3d(2, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.sigmoid(self.conv2(torch.relu(self.conv1(self.pool(x)))))

    model = load(
        "multiply { in, avgpool -> conv(2, 1, bias = on) -> relu -> conv(3, 1, bias = on) -> sigmoid }"
    ).build()
    theirs = Excitation()
    theirs.load_state_dict({k.removeprefix("s."): v for k, v in model.state_dict().items()})
    clip = torch.randn(2, 3, 4, 6, 8)
    torch.testing.assert_close(model(clip), theirs(clip))
    torch.testing.assert_close(model(clip[..., :5, :7]), theirs(clip[..., :5, :7]))


REFUSED = {
    "multiply { conv(4), avgpool -> conv(5) }": ("E0501", "cannot be multiplied: 4 and 5 channels"),
    "add { avgpool, conv(3), conv(3, stride = [2, 1, 1]) }": ("E0502", "brings branch 3 to 4×6×8"),
    "max { conv(3, stride = [1, 2, 2]), in }": ("E0502", "cannot be compared: 3 and 6 rows"),
    "blend { conv(4) }": ("E0405", "`blend` takes two values, found 1 value"),
    "blend { conv(4), conv(4), conv(4) }": ("E0405", "`blend` takes two values, found 3 values"),
    "blend { conv(4), avgpool -> conv(5) }": ("E0501", "cannot be blended: 4 and 5 channels"),
    "residual { avgpool -> conv(3) }": ("E0507", "`add { in, … }` adds 3×1×1×1 to all of 3×4×6×8"),
    "residual { conv(1) }": ("E0507", "`add { in, … }` adds 1×4×6×8"),
    "class_token -> add { in, select(grid) -> avgpool([1, all, all]) } -> select(grid)": (
        "E0502",
        "`grid { add { in, … } }` repeats single axes",
    ),
    "class_token -> linear(1) -> add { in, select(grid) -> linear(4) } -> select(grid)": ("E0501", "1 and 4 channels"),
    "class_token -> max { in, select(grid) } -> select(grid)": ("E0511", "cannot be compared: they differ"),
    "path a = clip\npath b = clip -> avgpool\nstage s { a: conv(4)\n lateral a => b by sum: conv(3) }\nhead: b": (
        "E0502",
        "3×1×1×1 and 3×4×6×8 cannot be added",
    ),
}  # fmt: skip


@pytest.mark.parametrize("chain", REFUSED)
def test_refused(chain: str) -> None:
    code, text = REFUSED[chain]
    with pytest.raises(archdsl.SpecError) as caught:
        load(chain)
    [found] = caught.value.diagnostics
    assert found.code == code
    assert text in str(caught.value)


def test_a_lateral_connection_repeats_its_value() -> None:
    path = "path a = clip\npath b = clip\nstage s { a: conv(4)\n lateral b => a by sum: avgpool -> linear(4) }\nhead: a"
    assert_computes_the_graph(load(path))


def accepts(arch: archdsl.Architecture, *size: int) -> bool:
    try:
        arch.build()(torch.zeros(1, 3, *size))
    except ValueError:
        return False
    return True


def test_axes_that_are_one_in_some_clips_only() -> None:
    """Strides lead to one row and column for the declared clip; a mean over the grid is one for any clip."""
    by_chance = load("conv(4, 3, stride = 2) -> add { in, conv(4, 3, stride = [1, 4, 4]) }")
    always = load("conv(4, 3, stride = 2) -> add { in, avgpool([1, all, all]) }")
    assert accepts(by_chance, 4, 6, 8)
    assert accepts(by_chance, 8, 6, 8)
    assert not accepts(by_chance, 4, 16, 16)
    assert accepts(always, 4, 16, 16)


def test_a_grid_that_is_one_position_by_chance_is_no_vector() -> None:
    arch = load("conv(4, 3, stride = [4, 6, 8]) -> linear(5) -> add { in, linear(1) } -> conv(2) -> avgpool")
    assert_computes_the_graph(arch)
    assert arch.build()(torch.zeros(1, 3, 4, 24, 24)).shape == (1, 2)
    alone = load("conv(4, 3, stride = [4, 6, 8]) -> linear(5)")
    assert not accepts(alone, 4, 24, 24)  # (B, C) holds one position


def test_calls_of_a_block_that_repeat_other_axes() -> None:
    """Where the grid is one position, nothing is repeated; where the channels are one, they are."""
    block = "block gate(w) { multiply { linear(w), avgpool -> linear(4) -> sigmoid } -> linear(w) -> relu }"
    stages = "stage a { gate(4) -> gate(1) -> gate(4) }\nstage b { avgpool -> gate(4) -> gate(1) }\nhead: linear(2)"
    assert_computes_the_graph(load(f"{block}\n{stages}"))
