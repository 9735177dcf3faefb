"""Attention with lines in forms that nobody has published: other tokens, heads, windows and grids on each side.

Values and gradients are those of the definition, multiply-adds and memory those that are predicted.
"""

from __future__ import annotations

import pytest
import torch
from meta import assert_as_predicted
from programs import Program
from programs.attentions import check_attention
from saved_memory import measured

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import memory_of

BLOCKS = """
block pool(k, s: list) { grid { conv(in.channels, k, stride = s, groups = in.channels) } }
block deep() { residual { layernorm -> linear(in.channels) } }
block outer() { deep -> linear(in.channels) -> deep }
block later(i) { if i == 1 { linear(in.channels) } else { gelu } }
"""
FRAMES, CLIP = "class_token(frame)", "class_token"
STEP, SMALLER = "[2, 1, 1], stride = [2, 1, 1], padding = valid", "avgpool([1, 2, 2], stride = [1, 2, 2])"
# What stands before the attention of 12×4×4×4, its arguments, and its lines.
OF_FRAMES = [
    (
        "2, over = space",
        "qkv: linear(8); q: each_head { pool(3, [1, 2, 2]) -> layernorm as norm }; proj: linear(12)",
    ),
    (
        "2, over = space, window = [all, 2, 2], shift = [0, 0, 1]",
        "qkv: linear(8); kv: each_head { pool(3, [1, 2, 1]) }; bias: table; proj: linear(12)",
    ),
    ("2, over = width", "qkv: linear(12); qk: rotary; proj: add { in, q -> select(grid) } -> linear(12)"),
    ("2, over = height", "qkv: grid { linear(12) }; kv: grid { conv(12, 3, groups = 12) }; proj: grid { conv(12, 3) }"),
    (
        "2, over = space",
        "qkv: linear(12); qk: each_head { rotary -> grid { conv(6, 3, groups = 6) -> rotary } }; proj: gelu",
    ),
    ("2, over = space", "q: select(grid) -> linear(8); kv: linear(8); proj: linear(12)"),
    ("2, over = width", "q: select(grid) -> linear(8); kv: linear(8); proj: linear(12)"),
    ("2, over = space", "q: linear(8); kv: tokens(sinks, 3, scope = frame) -> linear(8); proj: linear(12)"),
    (
        "2, over = space",
        "q: linear(8); kv: beside(mean) { in, select(token) -> linear(12) } -> linear(8); proj: linear(12)",
    ),
    (
        "2, over = space, window = [all, 2, 4], shift = [0, 1, 0]",
        "q: select(grid) -> linear(8); kv: linear(8); bias: table; proj: linear(12)",
    ),
    (
        "2, over = width",
        "qkv: linear(8); qkv: select(grid) -> avgpool([2, 1, 1], stride = [2, 1, 1]) -> tokens(a, 1, scope = frame)"
        "; proj: linear(12)",
    ),
]  # fmt: skip
OF_ONE_SIDE = [
    (CLIP, "2", "q: without(token) -> linear(8); kv: linear(8); proj: linear(12)"),
    (CLIP, "2", "q: select(token) -> linear(8); kv: linear(8); proj: linear(12)"),
    (CLIP, "2", "q: linear(8); kv: beside(mean) { in, select(grid) -> avgpool } -> linear(8); proj: linear(12)"),
    ("", "2", "q: linear(8); kv: tokens(sinks, 2) -> linear(8); proj: linear(12)"),
    ("", "2, over = space", "q: linear(8); kv: tokens(sinks, 2) -> linear(8); bias: decomposed; proj: linear(12)"),
    ("", "2, over = space", "q: tokens(prompts, 2) -> linear(8); kv: linear(8); proj: linear(12)"),
    ("", "2, over = space", "q: linear(8); kv: tokens(sinks, 2, scope = frame) -> linear(8); proj: linear(12)"),
    (
        "", "2, window = [2, 2, 4], shift = [0, 1, 0]",
        "q: linear(8); kv: tokens(sinks, 2) -> linear(8); bias: table; proj: linear(12)",
    ),
    (
        CLIP, "2, window = [2, 2, 4], shift = [1, 1, 0]",
        "q: linear(8); kv: tokens(sinks, 2) -> linear(8); bias: table; proj: add { in, q } -> linear(12)",
    ),
    (
        "", "2, window = [2, 2, 4]",
        "q: linear(8); kv: maxpool([1, 2, 1], stride = [1, 2, 1], padding = valid) -> tokens(sinks, 2) -> linear(8)"
        "; bias: table; proj: linear(12)",
    ),
    (CLIP, "2, over = time", "q: linear(8); kv: select(grid) -> linear(8); proj: linear(12)"),
    (CLIP, "2, over = space", "q: linear(8); kv: select(grid) -> linear(8); bias: decomposed; proj: linear(12)"),
    (
        f"{CLIP} -> tokens(a, 2)", "2, over = height",
        "kv: tokens(sinks, 1); qkv: linear(8); qkv: grid { conv(8, 3, groups = 8) }; proj: linear(12)",
    ),
    ("", "2, score = concatenation", "q: linear(8); kv: tokens(sinks, 2) -> linear(8); proj: linear(12)"),
    ("", "2, causal = on", "q: linear(8); kv: tokens(sinks, 2) -> linear(8); proj: linear(12)"),
    ("", "2, over = time, causal = on", "q: linear(8); kv: tokens(sinks, 2) -> linear(8); proj: linear(12)"),
    ("", "2", "qkv: linear(8); kv: each_head { tokens(sinks, 2) -> linear(4) }; proj: linear(12)"),
    (f"{CLIP} -> tokens(a, 2)", "2", "qkv: linear(8); q: each_head { without(a) -> layernorm }; proj: linear(12)"),
    (CLIP, "2", "qkv: linear(8); kv: each_head { beside(m) { in, select(token) } -> linear(4) }; proj: linear(12)"),
]  # fmt: skip
OF_FEW_HEADS = [
    ("", "4, kv_heads = 2", "q: linear(8); kv: linear(4); kv: each_head { layernorm }; proj: linear(12)"),
    ("", "4, kv_heads = 2", "q: linear(8); kv: each_head { linear(2) }; k: each_head { l2norm }; proj: linear(12)"),
    ("", "4, kv_heads = 2", "q: linear(16); kv: linear(8); qk: each_head { layernorm as norm }; proj: linear(12)"),
    (
        CLIP, "4, kv_heads = 2",
        "q: linear(16); kv: linear(8); qkv: each_head { pool(3, [1, 2, 2]) -> layernorm as norm }; proj: linear(12)",
    ),
    ("", "4, kv_heads = 2", "qkv: each_head { linear(2) }; proj: linear(12)"),
    (CLIP, "2, kv_heads = 1, over = space", "q: linear(24); kv: linear(12); qk: each_head { rotary }; proj: gelu"),
    ("", "4, kv_heads = 2", "q: linear(8); kv: linear(4); proj: each_head { layernorm } -> linear(12)"),
]  # fmt: skip
CAUSAL = [
    ("", "2, over = time, window = [2, all, all], causal = on", "qkv: linear(8); proj: linear(12)"),
    ("", "2, window = [2, 2, 4], causal = on", "qkv: linear(8); bias: table; proj: linear(12)"),
    ("", "2, window = [2, 2, 3], shift = [1, 1, 1], causal = on", "qkv: linear(8); bias: decomposed; proj: linear(12)"),
    ("", "2, window = [3, 2, 3], shift = [1, 0, 1], causal = on, scale = off", "qkv: linear(8); proj: linear(12)"),
    ("", "2, window = [2, 2, 2], shift = [1, 1, 0], causal = on", "qkv: linear(8); proj: linear(12)"),
    (
        "", "2, window = [2, 2, 4], shift = [1, 0, 2], causal = on",
        "qkv: linear(8); kv: maxpool([1, 1, 2], stride = [1, 1, 2]); bias: table; proj: linear(12)",
    ),
    ("", "2, dilation = [2, 1, 1], causal = on", "qkv: linear(8); proj: linear(12)"),
    ("", "2, over = time, causal = on", "qkv: linear(8); bias: table; proj: linear(12)"),
    ("", "2, over = time, causal = on, dropout = 0.1", "qkv: linear(8); proj: linear(12)"),
    ("", "4, causal = on, kv_heads = 2, window = [2, 4, 4]", "q: linear(8); kv: linear(4); proj: linear(12)"),
    (CLIP, "2, causal = on", "q: select(grid) -> linear(8); kv: linear(8); bias: table; proj: linear(12)"),
    (
        "", "2, window = [2, 2, 4], shift = [1, 1, 0], causal = on",
        "q: linear(8); kv: tokens(sinks, 2) -> linear(8); proj: linear(12)",
    ),
]  # fmt: skip
FILLED = [
    (CLIP, "2, window = [3, 3, 3], shift = [1, 1, 0]", "qkv: linear(8); bias: table; proj: add { in, q } -> linear(8)"),
    (
        FRAMES,
        "2, over = space, window = [all, 3, 3], shift = [0, 1, 0]",
        "qkv: linear(8); bias: table; proj: linear(12)",
    ),
    (FRAMES, "2, over = space, dilation = [1, 3, 3]", "qkv: linear(8); proj: linear(8) -> select(grid)"),
    (
        "",
        "2, window = [3, 3, 3], shift = [0, 1, 1]",
        "q: linear(8); kv: tokens(sinks, 2) -> linear(8); proj: linear(12)",
    ),
    (CLIP, "2, window = [2, 3, 3]", "qkv: linear(8); q: select(grid); proj: add { in, q } -> linear(12)"),
    (CLIP, "2, dilation = 3", "qkv: linear(8); bias: table; proj: linear(12)"),
]
SHRUNK = [  # along an axis that is not looked along
    ("", "2, over = space, window = [all, 2, 2]", "qkv: avgpool(STEP) -> linear(8); proj: linear(12)"),
    (
        "", "2, over = space, window = [all, 2, 2], shift = [0, 1, 1]",
        "qkv: linear(8) -> avgpool(STEP); bias: table; proj: linear(12)",
    ),
    (CLIP, "2, over = space, window = [all, 2, 2]", "qkv: linear(8) -> maxpool(STEP); bias: table; proj: linear(12)"),
    (CLIP, "2, over = space", "qkv: linear(8) -> maxpool(STEP); bias: table; proj: linear(12)"),
    ("", "2, over = time", "qkv: linear(8) -> avgpool([1, 2, 1], stride = [1, 2, 1]); proj: linear(12)"),
]  # fmt: skip
REPEATED = [
    ("", "2", "q: deep * 2; kv: linear(12); proj: deep * 1"),
    ("", "2", "q: deep * 2 -> gelu -> deep * 2; kv: linear(12); proj: (deep * 2 -> deep) * 2"),
    ("", "2", "q: later(index) * 2 -> linear(12); kv: linear(12); proj: outer * 2 -> linear(12)"),
    ("", "2", "qkv: linear(8); kv: each_head { pool(3, [1, 1, 1]) * 2 -> layernorm as norm }; proj: linear(12)"),
]
OTHERS = [  # what becomes of 6×4×4×4 as the one value and as the other
    ("linear(12)", f"{SMALLER} -> linear(6)", "2, window = 2", "bias: table"),
    ("linear(12)", f"{SMALLER} -> linear(6)", "2, window = 2, shift = [1, 0, 0]", "bias: decomposed"),
    (f"linear(12) -> {CLIP}", f"{SMALLER} -> linear(6)", "2, window = 2", ""),
    (f"{SMALLER} -> linear(12)", "linear(6)", "2, window = [2, 1, 1], shift = [1, 0, 0]", "bias: table"),
    (f"{SMALLER} -> linear(12)", "linear(6) -> tokens(a, 2)", "2, window = [2, 1, 2], shift = 0", "bias: alibi"),
    (
        "linear(12)",
        "avgpool([2, 1, 1], stride = [2, 1, 1]) -> linear(6)",
        "2, window = [all, 2, 2]",
        "bias: decomposed",
    ),
    ("linear(12)", "conv(6, 3)", "2, window = [3, 3, 2], shift = [1, 1, 0]", "bias: table"),
    (f"linear(12) -> {CLIP}", "conv(6, 3)", "2, window = 3", ""),
]
CASES = [*((FRAMES, *rest) for rest in OF_FRAMES), *OF_ONE_SIDE, *OF_FEW_HEADS, *CAUSAL, *FILLED, *SHRUNK, *REPEATED]
REFUSED = [
    (
        CLIP,
        "2, over = space",
        "q: linear(8); kv: select(grid) -> tokens(sinks, 2, scope = frame) -> linear(8)",
        "E0511",
    ),
    ("", "2, over = time", "q: linear(8); kv: tokens(sinks, 2, scope = frame) -> linear(8)", "E0511"),
    (CLIP, "2", "qkv: grid { linear(8) }", "E0501"),
    (FRAMES, "2, over = space", "qkv: grid { avgpool([2, 1, 1], stride = [2, 1, 1]) }", "E0502"),
    ("", "4, kv_heads = 2", "q: linear(8); kv: linear(5) -> each_head { gelu }", "E0508"),
]


def spec(before: str, arguments: str, lines: str) -> str:
    body, chain = (
        lines.replace("; ", "\n").replace("STEP", STEP),
        f"linear(12) -> {before} -> " if before else "linear(12) -> ",
    )
    stage = f"stage a {{ {chain}attention({arguments}) {{\n{body}\n}} }}\n"
    return f"arch net\ninput clip: video[6, 4, 4, 4]\n{BLOCKS}{stage}"


@pytest.mark.parametrize(("before", "arguments", "lines"), CASES)
def test_values_costs_and_memory(before: str, arguments: str, lines: str) -> None:
    text = spec(before, arguments, lines)
    assert check_attention(Program("net", {"net": text})) == "accepted"
    assert_as_predicted(memory_checked(text))


@pytest.mark.parametrize(("one", "other", "arguments", "bias"), OTHERS)
def test_values_and_memory_of_another_value(one: str, other: str, arguments: str, bias: str) -> None:
    paths = f"path main = clip -> {one}\npath other = clip -> {other}\n"
    lines = f"q: layernorm -> linear(8)\nkv: other -> layernorm -> linear(8)\n{bias}\nproj: linear(12)"
    stage = f"stage a {{ main: attention({arguments}) {{\n{lines}\n}} }}\n"
    text = f"arch net\ninput clip: video[6, 4, 4, 4]\n{paths}{stage}head: main -> linear(2)\n"
    assert check_attention(Program("net", {"net": text})) == "accepted"
    memory_checked(text)


def test_repeated_blocks_are_numbered() -> None:
    text = spec("", "2", "q: deep * 2; kv: linear(12); proj: linear(12) -> outer * 2")
    tensors = archdsl.Architecture(analyse(Source("net.arch", text), FileLibrary())).tensors
    for name in ("q_blocks.0.layernorm", "q_blocks.1.linear", "proj_blocks.1.linear", "proj_blocks.0.deep2.linear"):
        assert f"a.attention.{name}.weight" in tensors


def test_tensors_of_repeated_blocks_begin_as_written() -> None:
    text = """\
arch net
input clip: video[3, 4, 4, 4]
block turned() { linear(in.channels, init = normal(1e-6)) }
stage a { linear(12) -> attention(2) { q: turned * 2
 kv: linear(12) } }
head: linear(2)
"""
    model = archdsl.Architecture(analyse(Source("net.arch", text), FileLibrary())).build()
    weights = {name: value for name, value in model.named_parameters() if "q_blocks" in name}
    assert len(weights) == 4
    assert all(0 <= value.abs().max() < 1e-4 for value in weights.values())


def memory_checked(text: str) -> archdsl.Architecture:
    """The architecture of a spec, whose predicted memory is that which autograd keeps."""
    arch = archdsl.Architecture(analyse(Source("net.arch", text), FileLibrary()))
    kept = measured(arch.build(), (torch.randn(3, 6, 4, 4, 4),))
    assert memory_of(lower(arch._analysis.network), 3).total == pytest.approx(kept, rel=0.01)
    return arch


@pytest.mark.parametrize(("before", "arguments", "lines", "code"), REFUSED)
def test_refused(before: str, arguments: str, lines: str, code: str) -> None:
    outcome = check_attention(Program("net", {"net": spec(before, arguments, lines)}))
    assert outcome.startswith(f"refused: {code}")
