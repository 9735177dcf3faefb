"""Attention in lines, opened at the level of layers: its boxes and arrows, their figures, places and marks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from geometry import faults, read_picture
from pictures import text_of

from archdsl.analysis.compare import compare
from archdsl.analysis.cost import node_cost
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse
from archdsl.targets.dot.diff import difference_diagram
from archdsl.targets.dot.opened import stacks_of
from archdsl.targets.dot.writer import diagram

if TYPE_CHECKING:
    from archdsl.ir.network import Network
    from archdsl.layers.interior import Interior

pygraphviz: Any = pytest.importorskip("pygraphviz")

POOL = "block pool(step: list) { conv(in.channels, 3, stride = step, groups = in.channels, init = xavier) }"
POOLED = """
    qkv: linear(32, init = xavier)
    q: each_head { pool([1, 1, 1]) -> layernorm as norm }
    kv: each_head { pool([1, 2, 2]) -> layernorm as norm }
    bias: decomposed
    proj: add { in, q } -> linear(32)
"""
LINES = {
    "pooled": ("2", POOLED),
    "windows": ("2, window = [2, 4, 4], shift = [0, 2, 2]", "qkv: linear(32) bias: table proj: linear(32)"),
    "keys": (
        "score = dot_product",
        "kv: maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid) qkv: linear(16) proj: linear(32)",
    ),
    "plain keys": ("scale = off", "qk: in v: linear(16) proj: linear(32)"),
    "halves": ("4, over = [time, space]", "qkv: linear(32) proj: linear(32)"),
    "rotary": ("2", "qkv: linear(32) qk: each_head { rotary } proj: linear(32)"),
    "few keys": ("4, over = time, causal = on, kv_heads = 1", "q: linear(32) kv: linear(8) proj: linear(32)"),
    "adapted": (
        "2",
        "qv: add { linear(32), linear(4, bias = off) -> gelu -> linear(32) } k: linear(32) proj: linear(32)",
    ),
    "tokens": (
        "4, over = time, band = 2",
        "qkv: linear(32) token_q: linear(32) token_kv: linear(32) proj: linear(32)",
    ),
}


def network_of(arguments: str, lines: str, after: str = "") -> Network:
    """A network with one attention; behind a class token, over frames, if its lines have some of their own."""
    frames = "-> avgpool([1, all, all]) -> class_token" if "token_" in lines else ""
    separate = re.sub(r" (?=(\w+): )", "\n", lines)
    text = f"""
arch one
{POOL if " pool(" in lines else ""}
input clip: video[3, 8, 32, 32]
stage embed {{ conv(32, [2, 4, 4], stride = [2, 4, 4], padding = valid) {frames} }}
stage attend {{ residual {{ layernorm -> attention({arguments}) {{
{separate}
}} {after} }} }}
head: {"select(token)" if frames else "avgpool"} -> linear(5)
"""
    return analyse(Source("one.arch", text), FileLibrary()).network


def drawn(network: Network, level: str = "layer", **choices: Any) -> Any:
    return pygraphviz.AGraph(string=diagram(network, level, **choices).source)


def arrows(graph: Any) -> set[tuple[str, str]]:
    """Arrows between what is inside of the attention, without its name."""
    ends = ((str(e[0]), str(e[1])) for e in graph.edges())
    return {(a.split("attention.")[-1], b.split("attention.")[-1]) for a, b in ends if "attention" in b}


def boxes(graph: Any) -> dict[str, str]:
    texts = {str(n): text_of(n.attr["label"] or "") for n in graph.nodes()}
    return {n.split("attention.")[-1]: text for n, text in texts.items() if "attention" in n}


def interior_of(network: Network) -> tuple[int, Interior]:
    opened = [(n, inside) for [n, *_], inside in stacks_of(network, network.order, opens=True) if inside is not None]
    (found,) = opened
    return found


# --- content ---


def test_multiscale_attention_is_drawn_as_in_its_paper() -> None:
    """MViTv2, figure 2: Linear, Pool_Q, Pool_K, Pool_V, softmax(q·k/√d + E)·v, + q, Linear."""
    graph = drawn(network_of(*LINES["pooled"]))
    found = boxes(graph)
    q, k, v = (name for name in found if found[name].startswith("each head|conv 3×3×3, 16"))
    assert all("layernorm" in found[name] for name in (q, k, v))
    assert found["scores"].startswith("softmax(q·k / √16 + decomposed) · v")
    assert found["scores"].endswith("decomposed")
    assert {("qkv", q), ("qkv", k), ("qkv", v), (q, "q"), (k, "k"), (v, "v")} <= arrows(graph)
    assert {("q", "scores"), ("k", "scores"), ("v", "scores")} <= arrows(graph)
    (add,) = [name for name in found if found[name] == "add"]
    assert {("scores", add), ("q", add), (add, "proj")} <= arrows(graph)


def test_shapes_stand_where_they_change() -> None:
    graph = drawn(network_of(*LINES["pooled"]))
    labels = {e[0].split("attention.")[-1]: e.attr["label"] for e in graph.edges() if "attention" in e[0]}
    assert {name: label for name, label in labels.items() if label} == {
        "kv_pool.conv.0": "32×4×4×4", "kv_pool.conv.1": "32×4×4×4",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("windows", "softmax(q·k / √16 + table) · v"),
        ("keys", "(q·k / N) · v"),
        ("plain keys", "softmax(q·k) · v"),
        ("halves", "softmax(q·k / √8) · v"),
        ("tokens", "softmax(q·k / √8) · v"),
    ],
)
def test_formulas(name: str, scores: str) -> None:
    assert boxes(drawn(network_of(*LINES[name])))["scores"].startswith(scores)


def test_parts_of_the_heads_and_lines_of_class_tokens_are_named() -> None:
    halves = drawn(network_of(*LINES["halves"]))
    assert "heads 1–2 over time|heads 3–4 over space" in boxes(halves)["scores"]
    assert any("over=[time, space]" in text_of(n.attr["label"] or "") for n in halves.nodes())
    tokens = drawn(network_of(*LINES["tokens"]))
    assert {("token_kv", "token_k"), ("token_k", "scores"), ("token_v", "scores")} <= arrows(tokens)
    assert "class token:softmax(token_q·token_k / √8) ·token_v" in boxes(tokens)["scores"]


def test_lines_that_share_weights_say_so() -> None:
    lines = "q: layernorm as norm -> linear(32) kv: share norm -> linear(32) proj: linear(32)"
    graph = drawn(network_of("2", lines))
    found = [text for text in boxes(graph).values() if "layernorm" in text]
    assert len(found) == 2
    assert found[0].startswith("q_norm: layernorm")
    assert re.search("layernorm.*shares weights with.*q_norm", found[1].replace("|", ""))
    assert faults(read_picture(graph)) == []


@pytest.mark.parametrize("name", ["pooled", "keys", "halves"])
def test_queries_keys_and_values_stand_in_this_order(name: str) -> None:
    """Also where the lines begin with keys."""
    picture = read_picture(drawn(network_of(*LINES[name])))
    places = {n.split("attention.")[-1]: box.x0 for n, box in picture.boxes.items()}
    assert places["q"] < places["k"] < places["v"]


def test_projections_alone_are_one_box() -> None:
    plain, pooled = network_of("4", "qkv: linear(32) proj: linear(32)"), network_of(*LINES["pooled"])
    assert not any(inside for _, inside in stacks_of(plain, plain.order, opens=True))
    assert any(inside for _, inside in stacks_of(pooled, pooled.order, opens=True))
    assert "scores" not in boxes(drawn(pooled, "block"))


@pytest.mark.parametrize("name", LINES)
def test_figures_add_up(name: str) -> None:
    network = network_of(*LINES[name])
    number, interior = interior_of(network)
    cells = [cell for part in interior.parts for cell in part.cells]
    cost = node_cost(network.node(number))
    assert (sum(c.params for c in cells), sum(c.macs for c in cells)) == (cost.params, cost.macs)
    assert all(c.params >= 0 and c.macs >= 0 for c in cells)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("windows", 2 * 256 * 32 * 32),  # 256 queries, each with the 2·4·4 keys of its window, two products of 32
        ("keys", 2 * 256 * 64 * 16),
        ("plain keys", 256 * 256 * (32 + 16)),
        ("halves", 256 * (4 + 64) * 32),  # half of the heads with 4 keys, the others with 64
    ],
)
def test_the_formula_has_the_products_of_queries_and_keys(name: str, macs: int) -> None:
    _, interior = interior_of(network_of(*LINES[name]))
    (scores,) = [c for part in interior.parts for c in part.cells if c.name == "scores"]
    assert scores.macs == macs


OTHER = """
arch other
input clip: video[3, 4, 32, 32]
path a = clip
path b = clip
stage embed {
    a: conv(32, 4, stride = 4, padding = valid)
    b: conv(16, 8, stride = [4, 8, 8]) as memory
}
stage attend {
    a: attention(2) {
        q: layernorm -> linear(32)
        kv: memory -> layernorm -> linear(32)
        proj: linear(32)
    }
    a: attention(2) {
        q: latents(1) as query -> linear(32)
        kv: linear(32)
        proj: add { in, query }
    }
}
head: concat { a -> avgpool, b -> avgpool } -> linear(5)
"""


@pytest.mark.parametrize("choices", [{}, {"direction": "lr"}, {"width": 400}], ids=str)
def test_another_value_enters_at_its_column(choices: dict[str, Any]) -> None:
    graph = drawn(analyse(Source("other.arch", OTHER), FileLibrary()).network, **choices)
    assert faults(read_picture(graph)) == []
    edges = {(str(e[0]), str(e[1])) for e in graph.edges()}
    into = {target: source for source, target in edges if "attention" not in source and "layernorm" in target}
    assert sorted(into.values()) == ["a.embed.conv", "b.embed.memory"]
    assert ("a.attend.attention2.q_query", "a.attend.attention2.proj_add") in edges


def test_attentions_that_share_other_tensors_are_not_folded() -> None:
    """Also if their layers are the same."""
    text = """
arch two
input clip: video[3, 4, 8, 8]
stage embed { conv(32, 1) }
stage attend {
    attention(2) {
        qv: linear(32)
        k: linear(32)
        proj: linear(32)
    }
    -> attention(2) {
        qk: linear(32)
        v: linear(32)
        proj: linear(32)
    }
}
head: avgpool -> linear(5)
"""
    graph = drawn(analyse(Source("two.arch", text), FileLibrary()).network)
    assert len([n for n in graph.nodes() if n.endswith(".scores")]) == 2


# --- places ---


@pytest.mark.parametrize("choices", [{}, {"direction": "lr"}, {"width": 300, "costs": False}], ids=str)
@pytest.mark.parametrize("name", LINES)
def test_lines_and_labels(name: str, choices: dict[str, Any]) -> None:
    assert faults(read_picture(drawn(network_of(*LINES[name], after="-> dropout(0.1)"), **choices))) == []


# --- comparisons ---


def test_changed_lines_are_marked() -> None:
    one = network_of(*LINES["pooled"])
    lines = POOLED.replace("[1, 2, 2]", "[1, 4, 4]").replace("    bias: decomposed\n", "")
    other = network_of("2", lines.replace("add { in, q } -> ", ""))
    graph = pygraphviz.AGraph(string=difference_diagram(compare(one, other, {}, {}), one, other, "layer").source)
    assert faults(read_picture(graph)) == []
    texts = {n: text_of(n.attr["label"] or "") for n in graph.nodes() if "attend.attention" in n}
    marks = {(str(n), mark) for n, text in texts.items() for mark in re.findall("changed|gone|new|follows", text)}
    names = {(name.replace("attend.attention", "").replace("..", "."), mark) for name, mark in marks}
    title = {("base.", "changed"), ("spec.", "changed")}
    changed = ("base.kv_pool.conv.0", "base.kv_pool.conv.1", "spec.kv_pool.conv.0", "spec.kv_pool.conv.1")
    formula = {("base.scores", "changed"), ("spec.scores", "changed"), ("base.scores", "gone")}  # its bias is gone
    assert names == {*title, *((name, "changed") for name in changed), *formula, ("base.proj_add", "gone")}
