"""Combinations of lines that nobody has published: computed as defined, or refused where they cannot work."""

from __future__ import annotations

import pytest
from programs import Program
from programs.attentions import check_attention

BLOCKS = "block pool(k: list, s: list) { grid { conv(in.channels, k, stride = s, groups = in.channels) } }\n"
TOKEN = "class_token -> "
SPREAD = "[1, 2, 2], stride = [1, 2, 2]"
# What stands before the attention of 8×4×4×4, its arguments, and its lines.
COMPUTED = [
    # layers that take no rows of positions, beside others that do
    ("", "2", "qk: in; v: conv(8, 1); qv: each_head { linear(in.channels, bias = off) }"),
    ("", "2, over = space, window = [all, 2, 4]", "q: conv(8, 1); k: add { in, linear(8) }; v: linear(10)"),
    ("", "2", "qkv: linear(8); k: conv(8, 1); v: add { in, k }"),
    ("", "2", "qkv: linear(8); k: conv(8, 1) -> each_head { linear(4) }; v: each_head { add { k -> layernorm, in } }"),
    # layers by head, then others of several branches together
    ("", "2", "qkv: linear(8); qkv: each_head { conv(4, 3, groups = 4) }; kv: conv(8, 3, groups = 8) as more"),
    ("", "8", "qkv: linear(8); qkv: each_head { conv(1, 3) }"),
    # a class token of keys and values that share one value, and by head
    (TOKEN, "2", "kv: each_head { grid { conv(4, 3) } }; q: linear(8); k: linear(8)"),
    (TOKEN, "2", "qkv: linear(8); k: each_head { rotary(over = time) }; kv: grid { conv(8, 3, groups = 8) }"),
    # no later frame in windows, and products by heads that share keys
    ("", "2, causal = on, over = time, window = [3, all, all]", "qkv: linear(8); bias: table"),
    ("", "2, causal = on, window = 2, shift = 1, scale = off", "qkv: linear(8)"),
    ("", "2, causal = on, window = [3, 3, 2], shift = 1, dropout = 0.1", "qkv: linear(8)"),
    ("", "2, causal = on, over = time, dilation = [2, 1, 1]", "qkv: linear(8)"),
    ("", "2, causal = on, window = [2, 4, 4]", f"qkv: linear(8); kv: maxpool({SPREAD}); kv: tokens(sinks, 2)"),
    ("", "4, score = dot_product, kv_heads = 2", "q: linear(8); kv: linear(4)"),
    ("", "2, kv_heads = 1", "kv: residual { each_head { linear(8) } }; q: linear(4); k: linear(2)"),
    (TOKEN, "2, kv_heads = 1", "kv: each_head { layernorm -> grid { conv(8) } }; q: linear(4); k: linear(2)"),
    # a grid added to a row of positions that a layer sees as a grid
    ("", "2", "q: residual { residual { layernorm } -> conv(8) }; qkv: dropout(0)"),
    ("", "2", "qkv: linear(8); kv: residual { residual { layernorm } -> conv(8) }"),
    # one filter for each channel of a head, of a single position
    ("", "2", "qkv: multiply { layernorm }; q: each_head { conv(in.channels, groups = in.channels) }"),
    (TOKEN, "2", "qkv: linear(8); kv: each_head { grid { conv(4, groups = 4) } }"),
    # branches that are one value, then parts of a product
    ("", "2", "qk: linear(8); v: q; qkv: each_head { conv(4, 3, groups = 4) }"),
    ("", "2", "qkv: linear(8); k: q; qkv: conv(8, 3, groups = 8); v: gelu"),
    # layers that treat positions on their own, in windows that are filled up
    (
        "",
        "2, window = [all, 3, 2]",
        "qkv: concat { linear(4), linear(4) -> gelu }; k: each_head { concat { in, q } }; q: linear(16)",
    ),
    # layers that look beyond a position behind the result
    ("", "2", "qkv: linear(8); proj: add { in, q } -> conv(8, 3)"),
    ("", "2, window = 2", "qkv: linear(8); proj: conv(8, 3, stride = [1, 2, 2])"),
    ("", "2, window = 2", "qkv: linear(8); proj: add { in, q } -> each_head { conv(4, 3) }"),
    # grids that become a vector
    ("", "2", "qkv: linear(8); kv: each_head { avgpool } -> layernorm as norm; k: add { in, linear(8) }"),
    ("", "2", "q: linear(8); kv: avgpool -> linear(8); k: add { in, linear(8) }"),
    ("", "2, window = 2", "qkv: linear(8); proj: avgpool"),
    # results without tokens
    (TOKEN, "2", "qkv: linear(8); proj: select(grid) -> conv(8, 3)"),
    (TOKEN, "2, over = time", "qkv: linear(8); proj: select(token) -> linear(8)"),
    # grids added to the positions beside tokens
    (TOKEN, "2", "qkv: linear(8); kv: add { grid { gelu } -> select(grid), in }; proj: add { q -> select(grid), in }"),
    (TOKEN, "2", "qkv: linear(8); k: grid { add { in, conv(8, 3) } }; v: grid { add { k -> gelu, linear(8) } }"),
    # layers for whose code a grid is channels-last or not, beside tokens
    (TOKEN, "2", "qkv: linear(8); qk: each_head { grid { blend { in, conv(4, 3, groups = 4) } -> scale } }"),
    ("", "2", "qkv: linear(8); q: blend { in, q }; k: each_head { blend { in, layernorm } }; proj: blend { in, q }"),
    # layers without tensors that are called alike, with arguments of their own
    (TOKEN, "2", f"qkv: linear(8); q: maxpool(3, stride = [1, 2, 2]); q: maxpool({SPREAD}, padding = valid)"),
    (TOKEN, "2", f"qkv: linear(8); kv: each_head {{ maxpool(3, stride = [1, 2, 2]) -> maxpool({SPREAD}) }}"),
]
REFUSED = [
    # channels that are not those of all branches of a line
    ("", "2", "k: linear(4); v: linear(8); qk: concat { in, linear(in.channels) as more }", "E0501"),
    ("", "2", "qkv: linear(8); q: layernorm; q: gelu; q: layernorm", "E0203"),
    ("", "2", "qkv: linear(8); bias: table as q_norm; q: layernorm as norm", "E0203"),
    ("", "2", "qkv: linear(8); q: layernorm as grid", "E0204"),
    ("", "2, kv_heads = 1", "q: linear(8); kv: layernorm as heads -> linear(4)", "E0204"),
    ("", "2", "qkv: linear(8); proj: q -> linear(8)", "E0510"),
    ("", "2, window = 3", "qkv: linear(8); proj: conv(8, 3)", "E0512"),
    (TOKEN, "2", "qkv: linear(8); k: grid { q -> gelu }", "E0511"),
    ("", "2", f"qkv: linear(8); q: maxpool({SPREAD}, padding = valid); qkv: add {{ in, q }}", "E0502"),
    (TOKEN, "2", "q: linear(16); kv: grid { conv(16, 3) }", "E0501"),
]


def outcome(before: str, arguments: str, lines: str) -> str:
    body = lines.replace("; ", "\n")
    stage = f"stage a {{ {before}attention({arguments}) {{\n{body}\n}} }}\n"
    text = f"arch net\ninput clip: video[8, 4, 4, 4]\n{BLOCKS}{stage}"
    return check_attention(Program("net", {"net": text}))


@pytest.mark.parametrize(("before", "arguments", "lines"), COMPUTED)
def test_combinations_compute_what_they_say(before: str, arguments: str, lines: str) -> None:
    assert outcome(before, arguments, lines) == "accepted"


@pytest.mark.parametrize(("before", "arguments", "lines", "code"), REFUSED)
def test_combinations_are_refused(before: str, arguments: str, lines: str, code: str) -> None:
    assert outcome(before, arguments, lines).startswith(f"refused: {code}")
