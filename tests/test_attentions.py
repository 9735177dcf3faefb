"""Random attentions in lines, held against their definition: values and gradients."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import torch
from definition import Definition
from programs import attention, odd_attention
from programs.attentions import check_attention
from reference import apply_layer
from reference_lines import attended
from reference_value import Value

from archdsl.core.grid import Grid, Tokens

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


# Attention in settings is computed by code of its own: what enters, settings, and arguments and lines of the same.
POOLED = "[1, 2, 2], stride = [1, 2, 2], padding = valid"
SETTINGS = [
    ("8, 3, 4, 5", "over = space", "over = space", "qkv: linear(8)"),
    ("8, 3, 4, 5, clip", "over = time, dim = 12", "over = time", "qkv: linear(12)"),
    ("8, 3, 4, 5, frame", "over = width, position = table", "over = width", "qkv: linear(8)\nbias: table"),
    (
        "8, 4, 7, 5", "window = [2, 4, 3], shift = [1, 2, 1], position = table",
        "window = [2, 4, 3], shift = [1, 2, 1]", "qkv: linear(8)\nbias: table",
    ),
    (
        "8, 4, 7, 5, clip", "window = [2, 4, 3], shift = [1, 2, 1], position = decomposed, position_grid = 3",
        "window = [2, 4, 3], shift = [1, 2, 1]", "qkv: linear(8)\nbias: decomposed(made_for = 3) as relative",
    ),
    (
        "8, 2, 3, 3, clip", "window = [8, 3, 2], position = table, table_prefix = on", "window = [8, 3, 2]",
        "qkv: linear(8)\nbias: table(on)",
    ),
    (
        "8, 4, 5, 4, clip",
        "pool = conv, q_pool = 3, q_stride = [1, 2, 2], kv_pool = 3, kv_stride = [1, 4, 4], pool_norm = on, "
        "add_query = on, position = decomposed",
        "",
        "qkv: linear(8)\nq: each_head { pool(2) -> layernorm as norm }\n"
        "kv: each_head { pool(4) -> layernorm as norm }\nbias: decomposed as relative\n"
        "proj: add { in, q -> select(grid) } -> linear(8)",
    ),
    ("8, 4, 4, 4", "dilation = 2, position = table", "dilation = 2", "qkv: linear(8)\nbias: table"),
    (
        "8, 4, 4, 4", "kv_pool = [1, 2, 2], score = concatenation", "score = concatenation",
        f"qkv: linear(8)\nkv: maxpool({POOLED})",
    ),
    (
        "8, 4, 4, 4", "kv_pool = [1, 2, 2], kv_pool_first = on, score = gaussian", "scale = off",
        f"qk: in\nkv: maxpool({POOLED})\nv: linear(8)",
    ),
    (
        "8, 6, 1, 1, clip", "over = time, band = 2, token_projections = on", "over = time, band = 2",
        "qkv: linear(8)\ntoken_q: linear(8)\ntoken_kv: linear(8)",
    ),
    ("8, 6, 2, 2", "over = time, band = 2, position = table", "over = time, band = 2", "qkv: linear(8)\nbias: table"),
    ("8, 4, 3, 2", "over = time, half_over = space", "over = [time, space]", "qkv: linear(8)"),
]  # fmt: skip


@pytest.mark.parametrize(("clip", "settings", "arguments", "lines"), SETTINGS)
def test_lines_are_the_settings_of_before(clip: str, settings: str, arguments: str, lines: str) -> None:
    channels, *size, token = [*clip.split(", "), ""] if clip[-1].isdigit() else clip.split(", ")
    begin = f"class_token({token}) -> " if token else ""
    kinds = (("token", 1),) if token else ()
    lines = lines if "proj" in lines else f"{lines}\nproj: linear(8)"
    arguments = f"2, {arguments}" if arguments else "2"
    texts = [f"attention(2, {settings})", f"attention({arguments}) {{\n{lines}\n}}"]
    head = f"arch net\ninput clip: video[{', '.join([channels, *size])}]\n{BLOCKS}"
    one, other = (Definition("net", {"net": f"{head}stage a {{ {begin}{t} }}\n"}).applied[-1].layer for t in texts)
    x = Grid(int(channels), *map(int, size), Tokens(token, kinds))
    shapes = other.weights(x)
    assert {n: tuple(map(int, s)) for n, s in one.weights(x).items()} == shapes
    generator = torch.Generator().manual_seed(0)
    w = {n: torch.randn(s, generator=generator, dtype=torch.float64) for n, s in shapes.items()}
    value = Value(torch.randn(2, *x.shape, generator=generator, dtype=torch.float64))
    if token:
        frames = () if token == "clip" else (x.t,)
        drawn = torch.randn(2, x.channels, *frames, 1, generator=generator, dtype=torch.float64)
        value = value._replace(token=drawn, kinds=kinds)
    expected, found = apply_layer(one, [value], w), attended(other, [value], w, apply_layer)
    torch.testing.assert_close(found.grid, expected.grid, rtol=1e-10, atol=1e-10)
    if token:
        torch.testing.assert_close(found.token, expected.token, rtol=1e-10, atol=1e-10)
