"""Attention in lines: the tensors that the pages promise, and the code of blocks and calls without braces."""

from __future__ import annotations

from math import prod

import pytest
from programs.check import Texts
from programs.mutations import corpus

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.pipeline import analyse, module_text

HEAD = """\
arch lines
input clip: video[3, 8, 32, 32]
stage embed {{ conv(32, 3, stride = [2, 4, 4]){token} }}
stage blocks {{
{body}
}}
head: {end}linear(5)
"""

MULTISCALE = """attention(4) {
    qkv: linear(32, init = zeros)
    q: each_head { pool([1, 2, 2]) -> layernorm(eps = 1e-6) as norm }
    kv: each_head { pool([1, 4, 4]) -> layernorm(eps = 1e-6) as norm }
    bias: decomposed as relative
    proj: add { in, q -> select(grid) } -> linear(32, init = zeros)
}"""
POOL = """
block pool(step) {
    grid { conv(in.channels, 3, step, groups = in.channels, init = zeros) }
}
"""


def code_of(text: str) -> str:
    source, library = Source("lines.arch", text), Texts(corpus())
    return module_text(analyse(source, library))


def module(body: str, token: str = "") -> str:
    """The code of a network, without what depends on the spelling: digests, and the constructors' own texts."""
    end = "select(token) -> " if token else "avgpool -> "
    text = HEAD.format(body=body, token=f" -> {token}" if token else "", end=end) + POOL * (" pool(" in body)
    return "\n".join(line for line in code_of(text).splitlines() if not line.startswith("# "))


@pytest.mark.parametrize(
    ("call", "lines"),
    [
        ("4, causal = on, over = time", "qkv: linear(32)\n proj: linear(32)"),
        ("4, over = [time, space]", "qkv: linear(32)\n proj: linear(32)"),
        ("4, score = cosine", "qkv: linear(32)\n proj: linear(32)"),
        ("heads = 4, kv_heads = 2", "q: linear(32)\n kv: linear(16)\n proj: linear(32)"),
        ("2, score = softmax, kv_heads = 1", "q: linear(32)\n kv: linear(16)\n proj: linear(32)"),
    ],
)
def test_arguments_of_lines_need_no_braces(call: str, lines: str) -> None:
    """A call with one of them stands for plain projections, in blocks that nothing calls, too."""
    assert module(f"attention({call})") == module(f"attention({call}) {{ {lines} }}")
    assert tensors("relu", f"block idle() {{ attention({call}) }}") == {}


def tensors(body: str, blocks: str = "") -> dict[str, tuple[int, ...]]:
    """The names and shapes of the tensors of the stage `blocks`."""
    text = HEAD.format(body=body, token="", end="avgpool -> ") + blocks
    network = analyse(Source("lines.arch", text), Texts(corpus())).network
    found: dict[str, tuple[int, ...]] = {}
    for node in network.all_nodes():
        if node.inputs and node.name.startswith("blocks"):
            for key, shape in node.layer.weights(*node.input_shapes).items():
                found[f"{node.name}.{key}"] = tuple(map(int, shape))
    return found


def test_tensors_are_called_by_the_branches_that_share_them() -> None:
    found = tensors(MULTISCALE, POOL)
    weights = {k.removeprefix("blocks.attention."): v for k, v in found.items() if not k.endswith("bias")}
    assert weights == {
        "qkv.weight": (96, 32), "q_pool.conv.weight": (8, 1, 3, 3, 3), "kv_pool.conv.weight": (16, 1, 3, 3, 3),
        "q_norm.weight": (8,), "k_norm.weight": (8,), "v_norm.weight": (8,), "relative.t": (7, 8),
        "relative.h": (7, 8), "relative.w": (7, 8), "proj.weight": (32, 32),
    }  # fmt: skip


def test_a_spelling_has_no_level_in_names_and_counts_as_its_layer() -> None:
    spelt = (
        "block spelt(heads) as attention { attention(heads) { qkv: linear(in.channels)\n proj: linear(in.channels) } }"
    )
    twice = "block twice(heads) as attention { spelt(heads) }\n"
    names = {n.rsplit(".", 2)[0] for n in tensors("twice(4) -> attention(2) -> spelt(8) as last", f"{spelt}\n{twice}")}
    assert names == {"blocks.attention1", "blocks.attention2", "blocks.last"}


def test_a_spelling_is_in_the_terms_of_its_caller() -> None:
    """One class for two widths: numbers of the spelling are those of the block around it."""
    text = """\
arch lines
input clip: video[3, 4, 8, 8]
block spelt(heads, out) as attention { attention(heads) { qkv: linear(in.channels)
 proj: linear(2 * out) } }
block around(width) { conv(2 * width) -> spelt(4, width) }
stage one { around(8) -> around(16) -> around(24) }
head: avgpool -> linear(5)
"""
    code = code_of(text)
    assert code.count("class Around(") == 1
    assert "Attention(2 * width, heads=4)" in code


def test_each_branch_has_the_lines_that_name_it() -> None:
    """The values of `let`, `if`, `index` and of the block's parameters in lines."""
    blocks = """
block part(heads, width, pooled: bool) {
    let twice = 2 * width
    attention(heads) {
        let wide = twice
        qkv: linear(wide)
        if pooled { kv: maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid) } else { kv: in }
        proj: linear(in.channels)
    }
}
"""
    found = tensors("part(4, 16 * (1 + index), on) * 2", blocks)
    assert [prod(v) for k, v in found.items() if k.endswith("qkv.weight")] == [3 * 32 * 32, 3 * 64 * 32]


def test_a_pooling_by_one_position_is_none_whatever_says_so() -> None:
    """One projection for all, although keys and values go through the pooling before."""
    lines = "kv: maxpool(size, stride = size)\n qkv: linear(32)\n proj: linear(32)"
    blocks = f"block part(size: list) {{ attention(4) {{ {lines} }} }}"
    assert {k.split(".")[-2] for k in tensors("part([1, 1, 1])", blocks)} == {"qkv", "proj"}
    assert {k.split(".")[-2] for k in tensors("part([1, 2, 2])", blocks)} == {"q", "kv", "proj"}


def test_channels_of_a_head_are_those_of_the_line_in_blocks_that_it_calls() -> None:
    """Both blocks have a name for the channels that enter."""
    blocks = f"""{POOL}
block part() {{ relu -> attention(4) {{
    qkv: linear(32, init = zeros)
    kv: each_head {{ pool(2) }}
    proj: linear(32)
}} }}
"""
    assert tensors("part", blocks)["blocks.attention.kv_pool.conv.weight"] == (16, 1, 3, 3, 3)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("attention(4) { qkv: linear(32)\n bias: relu\n proj: linear(32) }", "E0202"),
        ("attention(4) { qkv: linear(32) * 2\n bias: table * 2\n proj: linear(32) }", "E0202"),
        ("attention(4) { qkv: linear(32)\n q: each_head { relu, relu }\n proj: linear(32) }", "E0405"),
        ("attention(4) { qkv: linear(32)\n q: each_head(2) { relu }\n proj: linear(32) }", "E0403"),
        ("attention(4) { qkv: linear(32)\n token_q: linear(32)\n proj: linear(32) }", "E0511"),
        ("attention(4) { qkv: linear(32)\n token_qkv: linear(32)\n proj: linear(32) }", "E0511"),
        ("attention(4, over = [time, space, width]) { qkv: linear(32)\n proj: linear(32) }", "E0508"),
        ("attention(4, over = time, band = 2) { qkv: linear(32)\n bias: decomposed\n proj: linear(32) }", "E0510"),
        ("attention(4) { qkv: linear(32)\n let x = y\n proj: linear(32) }", "E0201"),
        ("attention(4) { qkv: linear(32)\n q: relu -> k\n proj: linear(32) }", "E0105"),
        ("attention(4, window = [4, 3, 3]) { qkv: conv(32, 3)\n proj: linear(32) }", "E0512"),
    ],
)
def test_faults_of_lines_are_reported(body: str, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        tensors(body)
    assert [d.code for d in caught.value.diagnostics if d.is_error] == [code]


def test_lines_of_blocks_that_nothing_calls_are_checked() -> None:
    body = "attention(4) { qkv: unknown(32)\n if width > 2 { w: linear(32) }\n q: each_head { relu }\n bias: tabel }"
    with pytest.raises(SpecError) as caught:
        tensors("relu", f"block idle(width) {{ {body} }}")
    assert [d.code for d in caught.value.diagnostics if d.is_error] == ["E0202"] * 3
