"""Random attentions in lines, held against their definition: values and gradients."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import torch
from definition import Definition
from programs import attention, odd_attention
from programs.attentions import check_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from programs import Program

CHUNKS = 12  # which processes share among them
ATTENTIONS = 20  # of each
ODD = 6  # chunks of odd ones, more of which are refused
NOT_PRINTED = "E0513"  # lines that have no code yet


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_attentions(chunk: int) -> None:
    """Few are wrong; each is refused with diagnostics, or computes what its definition does."""
    outcomes = _outcomes(attention, chunk)
    assert outcomes["refused"] <= 0.3 * ATTENTIONS, outcomes
    assert outcomes["accepted"] >= 0.5 * ATTENTIONS, outcomes


@pytest.mark.parametrize("chunk", range(ODD))
def test_odd_attentions(chunk: int) -> None:
    """Chains of all layers in all lines."""
    outcomes = _outcomes(odd_attention, chunk)
    assert outcomes["accepted"] >= 0.35 * ATTENTIONS, outcomes


def _outcomes(draw: Callable[[int], Program], chunk: int) -> Counter[str]:
    outcomes = Counter[str]()
    for seed in range(chunk * ATTENTIONS, (chunk + 1) * ATTENTIONS):
        case = draw(seed)
        try:
            outcome = check_attention(case)
        except Exception as error:
            error.add_note(f"seed {seed}\n{case.text}")
            raise
        outcomes["not printed" if NOT_PRINTED in outcome else outcome.partition(":")[0]] += 1
    return outcomes


# --- the definition itself ---


# Shapes by the design of the construct: letters that share a tensor, then its label.
LORA = {"q_lora.linear1": 2, "q_lora.linear2": 8, "v_lora.linear1": 2, "v_lora.linear2": 8}
NAMES = [
    ("qkv: linear(12)", {"qkv": 36}),
    ("q: linear(12)\nkv: linear(12)", {"q": 12, "kv": 24}),
    ("qk: in\nv: linear(8)", {"v": 8}),
    ("qkv: linear(12)\nkv: each_head { layernorm as norm }", {"qkv": 36, "k_norm": 6, "v_norm": 6}),
    ("qkv: layernorm -> linear(12)", {"qkv_layernorm": 8, "qkv": 36}),
    ("kv: layernorm\nqkv: linear(12)", {"kv_layernorm": 8, "q": 12, "kv": 24}),
    ("qkv: linear(12)\nkv: each_head { pool }", {"qkv": 36, "kv_pool.conv": 12}),
    ("qkv: linear(12)\nkv: conv(12, 3)", {"qkv": 36, "k_conv": 12, "v_conv": 12}),
    ("qkv: conv(12, 3)", {"qkv_conv": 36}),
    ("qkv: conv(8, 3, groups = 8)", {"qkv_conv": 8}),
    ("qkv: conv(8, 3, groups = 2)", {"qkv_conv": 8}),
    ("qv: add { linear(8), lora(2) }\nk: in", {"qv": 16} | LORA),
    ("qkv: linear(8)\nqv: lora(2)", {"qkv": 24} | LORA),
    ("qkv: normed", {"qkv_normed.layernorm": 8}),
    ("qkv: linear(8)\nk: q\nqk: layernorm", {"qkv": 24, "qk_layernorm": 8}),
    ("qkv: linear(8)\nk: q\nqkv: conv(8, 3, groups = 8)", {"qkv": 24, "qkv_conv": 16}),
    ("qkv: linear(8) -> gelu -> linear(8)", {"qkv_linear1": 24, "q_linear2": 8, "k_linear2": 8, "v_linear2": 8}),
    ("qkv: linear(8)\nproj: linear(8) -> gelu", {"qkv": 24, "proj": 8}),
]  # fmt: skip
BLOCKS = """\
block pool(s = 1) { grid { conv(in.channels, 3, stride = [1, s, s], groups = in.channels) } }
block lora(rank) { linear(rank, bias = off) -> linear(in.channels, bias = off) }
block normed() { layernorm -> gelu }
"""


@pytest.mark.parametrize(("lines", "rows"), NAMES)
def test_tensors_of_lines(lines: str, rows: dict[str, int]) -> None:
    text = f"arch net\ninput clip: video[8, 2, 3, 3]\n{BLOCKS}stage a {{ attention(2) {{\n{lines}\n}} }}\n"
    definition = Definition("net", {"net": text})
    found = definition.applied[-1].layer.weights()
    assert {name.removesuffix(".weight"): shape[0] for name, shape in found.items() if name.endswith(".weight")} == rows
