"""What diagrams say of weights that are frozen or shared, of masks, and of joins inside of a box."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from geometry import faults, read_picture
from pictures import luminance, text_of

from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse
from archdsl.targets.dot.look import LEVELS
from archdsl.targets.dot.style import COLOURS, FROZEN_INK, FROZEN_LINE, OTHER, SOFT, paler
from archdsl.targets.dot.writer import diagram

SVG = "{http://www.w3.org/2000/svg}"
pygraphviz: Any = pytest.importorskip("pygraphviz")

FROZEN = """
arch adapted
import transformer
input clip: video[3, 4, 8, 8]
block adapter() { linear(2) -> gelu -> linear(in.channels) }
block unit(heads) {
    residual {
        frozen { layernorm as norm -> self_attention(heads, time) as attn } -> adapter as up -> share norm
    } -> residual { frozen { share attn } -> share up }
}
stage embed frozen { conv(8, [1, 4, 4], stride = [1, 4, 4], padding = valid) -> relu }
stage units { unit(2) * 2 }
stage rows { (frozen { unit(2) * 2 }) -> unit(2) * 2 }
head: avgpool -> linear(5)
"""
MASKED = """
arch masked
input clip: video[3, 4, 8, 8]
input hidden: mask[4, 2, 2]
stage embed { conv(8, [1, 4, 4], stride = [1, 4, 4], padding = valid) }
stage visible { keep(hidden, 6) }
stage decode { linear(6) -> restore(hidden) -> conv(6, 1) }
head dense: keep(hidden, 10, hidden) -> layernorm -> linear(48)
"""


def graph_of(text: str, level: str, **choices: Any) -> Any:
    network = analyse(Source("one.arch", text), FileLibrary()).network
    return pygraphviz.AGraph(string=diagram(network, level, **choices).source)


def labels(graph: Any) -> dict[str, str]:
    return {str(n): text_of(n.attr["label"] or "") for n in graph.nodes()}


JOINS = """
arch joined
input clip: video[3, 4, 8, 8]
path a = clip
path b = clip
block gated() {
    conv(8, 1) -> multiply { in, avgpool -> conv(8, 1) -> sigmoid } -> residual { conv(8, 3) } * 2 -> concat { in, in }
}
block apart() { add { conv(8, [3, 1, 1]), maxpool(3) -> conv(8, 1) } }
block tangled() { conv(8, 1) as x -> conv(8, 3) as y -> add { x, y -> conv(8, 1) as z } -> add { y, in } }
stage one {
    a: gated
    b: apart -> tangled
}
head: concat { a -> avgpool, b -> avgpool } -> linear(5)
"""


# --- frozen ---


def fills(graph: Any) -> dict[str, tuple[str, str]]:
    return {str(n): (n.attr["fillcolor"], n.attr["color"]) for n in graph.nodes()}


def test_frozen_stages_and_what_is_trained_of_others() -> None:
    """Adapters of 2·8 + 2 and 8·2 + 8 parameters are trained, not norms of 16 and attentions of 4·(8·8 + 8)."""
    graph = graph_of(FROZEN, "stage")
    seen = labels(graph)
    assert seen["embed"].endswith("|frozen")
    assert (seen["units"].split("|")[-2:], seen["rows"].split("|")[-1]) == (
        ["692 · 22.5 k", "84 trained"],
        "84 trained",
    )
    assert seen["head"].endswith("|45 · 40")
    assert "2.50 k parameters · 213 trained" in seen[".title1"]  # two rows of 84 and the head's 45
    assert fills(graph)["embed"] == (paler(COLOURS["convolution"]), FROZEN_LINE)
    assert fills(graph)["units"][0] == COLOURS["attention"]
    assert seen[".key.frozen: not trained"]
    assert labels(graph_of(FROZEN, "stage", costs=False))["units"].endswith("|partly frozen")


def test_frozen_blocks_are_not_folded_with_others() -> None:
    graph = graph_of(FROZEN, "block")
    seen = labels(graph)
    rows = {name: text.split("|")[-1] for name, text in seen.items() if name.startswith("rows.")}
    assert rows == {"rows.0": "frozen", "rows.2": "84 trained"}
    assert fills(graph)["rows.0"][0] == paler(COLOURS["attention"])
    assert faults(read_picture(graph)) == []


def test_frozen_layers_say_so_where_their_frame_does_not() -> None:
    graph = graph_of(FROZEN, "layer")
    seen = labels(graph)
    assert seen["rows.0"].endswith("each|frozen")
    assert (seen["units.0.norm"], seen["rows.0.norm"]) == ("norm: layernorm  frozen|16 · 0", "norm: layernorm|16 · 0")
    for name in ("units.0.norm", "rows.0.norm"):
        assert paler(COLOURS["norm"]) in graph.get_node(name).attr["label"]
    assert COLOURS["linear"] in graph.get_node("units.0.up.linear1").attr["label"]
    assert faults(read_picture(graph)) == []


def test_frozen_lines_of_an_attention_are_marked() -> None:
    """Trained are the maps of 2·8 and 8·2 parameters, and one of the tables, for 15·15 distances and two heads."""
    text = (
        FROZEN.partition("block")[0]
        + """
stage adapted { attention(2, over = space) {
    qkv: frozen { linear(8) }
    q: in -> add { q, linear(2, bias = off) -> linear(8, bias = off) }
    bias: frozen { table as one }
    bias: table as other
    proj: frozen { linear(8) }
} }
head: avgpool"""
    )
    text = text.replace("clip: video[3", "clip: video[8")
    graph = graph_of(text, "layer")
    seen = labels(graph)
    marked = {name.rpartition(".")[2] for name, label in seen.items() if "frozen" in label and "attention." in name}
    assert marked == {"qkv", "proj", "scores"}
    scores = graph.get_node("adapted.attention.scores").attr["label"]
    assert (seen["adapted.attention.scores"].count("frozen"), scores.count(paler(COLOURS["attention"]))) == (1, 1)
    assert seen["adapted.attention"].endswith("|482 trained")
    assert seen[".key.frozen: not trained"]
    assert faults(read_picture(graph)) == []
    assert labels(graph_of(text, "stage"))["adapted"].endswith("|482 trained")


@pytest.mark.parametrize("level", LEVELS)
def test_the_legend_is_there_only_where_something_is_frozen(level: str) -> None:
    trained = FROZEN.replace("frozen ", "").replace("{ layernorm", "(layernorm").replace("as attn }", "as attn)")
    graph = graph_of(trained.replace("{ share attn }", "share attn").replace("({ unit(2) * 2 })", "unit(2) * 2"), level)
    assert not any("frozen" in text or "trained" in text for text in labels(graph).values())
    assert not {FROZEN_LINE} & {line for _, line in fills(graph).values()}


def test_text_can_be_read_on_paler_boxes() -> None:
    for fill in map(paler, (*COLOURS.values(), OTHER)):
        for ink in (FROZEN_INK, SOFT):
            assert (luminance(fill) + 0.05) / (luminance(ink) + 0.05) >= 4.5, fill


def test_words_are_in_the_svg() -> None:
    """Where they are read aloud, searched and copied."""
    network = analyse(Source("one.arch", FROZEN), FileLibrary()).network
    svg = ElementTree.fromstring(diagram(network, "layer").picture("svg"))
    written = ["".join(text.itertext()).strip() for text in svg.iter(f"{SVG}text")]
    assert {"shares weights with attn", "frozen: not trained"} <= set(written)
    assert sum(text.endswith("frozen") for text in written) == 1 + 1 + 2 * 4  # embed, rows.0, and in two units each


# --- shared ---


def test_what_is_used_again_has_a_name_and_is_named() -> None:
    seen = labels(graph_of(FROZEN, "layer"))
    assert seen["units.0.attn"].startswith("attn: attention")
    assert "shares weights with attn" in seen["units.0.attn_again"]
    assert seen["units.0.up"].startswith("up: adapter")
    assert seen["units.0.up_again"] == "adapter  0 · 512|shares weights with up"
    for level in ("stage", "block"):
        graph = graph_of(FROZEN, level)
        text = labels(graph)["units" if level == "stage" else "units.0"].replace("|", " ")
        assert "weights used again: norm, attn, up" in text


def test_blocks_that_share_are_not_folded_with_the_first() -> None:
    text = """
arch shared
input clip: video[3, 4, 8, 8]
block unit() { linear(8) -> relu }
stage one { conv(8, 1) -> unit as twice -> share twice }
head: avgpool -> linear(5)
"""
    assert "→ twice: unit|→ unit (shares weights with|twice)|96 · " in labels(graph_of(text, "stage"))["one"]
    blocks = {text for name, text in labels(graph_of(text, "block")).items() if "twice" in name}
    assert blocks == {
        "twice: unit|linear 8 → relu|72 · 16.4 k",
        "unit|linear 8 → relu|shares weights with twice|0 · 16.4 k",
    }
    layers = {text for name, text in labels(graph_of(text, "layer")).items() if "twice" in name}
    assert {text.split("|")[0] for text in layers} == {"twice: unit", "unitshares weights with twice"}


# --- masks ---


def test_masks_and_what_they_leave_are_told_apart() -> None:
    graph = graph_of(MASKED, "stage")
    seen = labels(graph)
    assert (seen["clip"], seen["hidden"], seen["visible"]) == (
        "clip|input",
        "hidden|mask input",
        "visible|keep visible",
    )
    assert "→ restore" in seen["decode"]
    assert seen["head"].startswith("head|keep hidden → layernorm")
    dashed = {(e[0], e[1]) for e in graph.edges() if e.attr["style"] == "dashed"}
    assert dashed == {("hidden", "visible"), ("hidden", "decode"), ("hidden", "head")}
    layers = labels(graph_of(MASKED, "layer"))
    assert (layers["visible.keep"], layers["head.keep"].split("|")[0]) == ("visible|keep visible 6", "keep hidden 10")


# --- joins inside of a box ---


def test_joins_have_their_branches_in_brackets() -> None:
    seen = labels(graph_of(JOINS, "stage"))
    assert seen["head"].replace("|", " ").startswith("head concat(avgpool, avgpool) → linear 5")
    blocks = labels(graph_of(JOINS, "block"))
    gated, apart, tangled = (next(t for t in blocks.values() if word in t) for word in ("gated|", "apart|", "tangled|"))
    assert gated.replace("|", " ").startswith(
        "one gated conv → multiply(x, avgpool → conv → sigmoid) → residual(conv) ×2 → concat(x, x)"
    )
    assert apart.replace("|", " ").startswith("apart add(conv 3×1×1, 8; maxpool → conv 1×1×1, 8)")
    assert tangled.startswith("tangled|conv ×3, add ×2|")  # `y` is read in two places, so in no order
