"""Choices of how a diagram is drawn: one stage, no title, no costs, themes, colours in grey print, text as text."""

from __future__ import annotations

import io
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from pictures import luminance, text_of
from repository import ROOT

import archdsl
from archdsl.files import FileLibrary, read_source
from archdsl.lowering import without_identities
from archdsl.pipeline import analyse
from archdsl.targets.dot.look import points
from archdsl.targets.dot.style import COLOURS, DARK_PAGE, DASHED, INK, OTHER, SOFT
from archdsl.targets.dot.text import broken
from archdsl.targets.dot.writer import diagram

if TYPE_CHECKING:
    from archdsl.ir.network import Network

pygraphviz: Any = pytest.importorskip("pygraphviz")
pypdf: Any = pytest.importorskip("pypdf")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def slowfast() -> Network:
    return network_of("slowfast_r50")


def network_of(name: str) -> Network:
    return without_identities(analyse(read_source(ROOT / "specs" / f"{name}.arch"), FileLibrary()).network)


def labels(network: Network, level: str = "stage", **choices: Any) -> dict[str, str]:
    graph = pygraphviz.AGraph(string=diagram(network, level, **choices).source)
    return {str(n): text_of(n.attr["label"] or "") for n in graph.nodes()}


# --- what is drawn ---


def test_one_stage_of_all_paths(slowfast: Network) -> None:
    seen = labels(slowfast, "block", only="res3")
    assert {"slow.res3", "fast.res3", "fast_to_slow.res3", "slow.res3.concat"} <= set(seen)
    assert not any("res4" in name or "res2." in name for name in seen if not name.startswith(("from.", "to.")))
    assert [seen[n] for n in ("from.res2", "from.res2_2", "to.res4")] == ["res2", "res2", "res4"]
    assert seen[".title0"] == "slowfast_r50: res3"
    # 1,260,544 + 27,008 + 57,600 parameters of the two paths and the lateral, and 8.63 + 0.77 + 0.36 G
    assert seen[".title1"] == "1.35 M parameters · 9.76 G multiply-adds"
    graph = pygraphviz.AGraph(string=diagram(slowfast, only="res3").source)
    shapes = {(e[0], e[1]): e.attr["label"] for e in graph.edges()}
    assert shapes["from.res2", "slow.path"] == "320×8×56×56"
    assert shapes["slow.res3.concat", "to.res4"] == "640×8×28×28"


def test_the_head_alone_ends_in_the_output(slowfast: Network) -> None:
    seen = labels(slowfast, only="head")
    assert {"head", "output"} <= set(seen)
    assert not {"slow.res5", "fast.res5"} & set(seen)


def test_one_of_several_heads() -> None:
    """By the name that its tensors have; `head` is all of them."""
    text = "arch net\ninput clip: video[3, 2, 8, 8]\nstage one { conv(4) }\n"
    network = archdsl.loads(
        f"{text}head verb: avgpool -> linear(5)\nhead noun: avgpool -> linear(7)\n"
    )._analysis.network
    assert {"head.verb", "head.noun"} <= set(labels(network, only="head"))
    seen = labels(network, only=["one", "head.noun"])
    assert {"one", "head.noun", "logits.noun"} <= set(seen)
    assert not {"head.verb", "logits.verb"} & set(seen)
    with pytest.raises(ValueError, match=r"'head.adverb': not a stage .* one, head, head.verb, head.noun"):
        diagram(network, only="head.adverb")


def test_a_stage_that_is_not_there(slowfast: Network) -> None:
    with pytest.raises(ValueError, match=r"'res9': not a stage .* conv1, res2, res3, res4, res5, head"):
        diagram(slowfast, only="res9")
    with pytest.raises(ValueError, match="res3 between them is left out"):
        diagram(slowfast, only=["res4", "res2"])


def test_stages_that_follow_each_other(slowfast: Network) -> None:
    """They are one picture; what enters is the stage before them, and what leaves goes to the one behind."""
    seen = labels(slowfast, only=["res2", "res3"])
    assert {"slow.res2", "slow.res3", "fast.res2", "fast.res3"} <= set(seen)
    outside = {name.partition(".")[0]: text for name, text in seen.items() if name.startswith(("from.", "to."))}
    assert outside == {"from": "conv1", "to": "res4"}
    assert seen[".title0"] == "slowfast_r50: res2, res3"


def test_no_number_stands_alone_in_a_line() -> None:
    """Channels stay with the kernel in narrow boxes, where the kernel fills a line."""
    lines = ["".join(span.text for span in line) for line in broken("conv 7×1×1, 64, stride 4×1×1", 12, 9.0)]
    assert lines == ["conv", "7×1×1, 64,", "stride 4×1×1"]


def test_no_title(slowfast: Network) -> None:
    assert labels(slowfast)[".title0"] == "slowfast_r50"
    bare = labels(slowfast, title=False)
    assert not any(name.startswith((".title", ".notes")) for name in bare)
    assert ".key.convolution" not in bare


def test_no_costs(slowfast: Network) -> None:
    assert labels(slowfast)["slow.res2"] == "res2|bottleneck ×3|221 k · 5.47 G"
    seen = labels(slowfast, costs=False)
    assert seen["slow.res2"] == "res2|bottleneck ×3"
    assert not any(re.search(r"\d [kMG]\b|multiply-adds", text) for text in seen.values())


def test_the_legend_explains_the_figures(slowfast: Network) -> None:
    notes = labels(slowfast)[".notes"]
    assert "in boxes: parameters · multiply-adds" in notes
    assert "at arrows: channels×frames×height×width" in notes


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"level": "atom"}, "'stage' or 'block' or 'layer'"),
        ({"direction": "up"}, "'tb' or 'lr'"),
        ({"theme": "pink"}, "'auto' or 'light' or 'dark'"),
        ({"width": "240px"}, "240pt"),
        ({"width": 0}, "240pt"),
        ({"width": "-3"}, "240pt"),
    ],
)
def test_wrong_choices(slowfast: Network, choice: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        diagram(slowfast, **choice)


def test_widths() -> None:
    assert [points(w) for w in (240, "240", "240pt", "1in", "2.54cm", "25.4 mm")] == [240, 240, 240, 72, 72, 72]


def test_in_python() -> None:
    arch = archdsl.load("slow_r50")
    drawn = arch.diagram("block", direction="lr", title=False, costs=False, only="res2", width="12cm", theme="dark")
    assert drawn.size[0] <= 12 * 72 / 2.54  # type: ignore[attr-defined]


# --- settings of blocks ---


def test_settings_stand_once() -> None:
    """What all blocks share stands above, what those of a stage share in its title, and rates are ranges."""
    seen = labels(network_of("mvitv2_s_16x4"), "block")
    assert "every multiscale: pool_queries, relative, residual_pooling" in seen[".notes"]
    assert seen["stage3"].endswith("|heads 4, width 384, kv 2")
    assert seen["stage3.1"].startswith("multiscale ×10|rate 0.0533–0.173|")
    assert not any("pool_queries" in text for name, text in seen.items() if name != ".notes")


def test_rates_of_alternating_blocks_are_ranges() -> None:
    seen = labels(network_of("swin3d_t"), "block")
    rates = [re.search(r"rate ([\d.]+–[\d.]+)", text) for name, text in seen.items() if name.startswith("stage3.")]
    assert [m[1] for m in rates if m] == ["0.0364–0.0727", "0.0455–0.0818"]  # 0.1·(4, 6, 8)/11 and 0.1·(5, 7, 9)/11


def test_inner_blocks_are_shown() -> None:
    """The modules of Inception are four branches of convolutions."""
    graph = pygraphviz.AGraph(string=diagram(network_of("i3d_inception_rgb"), "block").source)
    into = {e[0] for e in graph.edges() if e[1] == "mixed3.b.concat"}
    assert into == {"mixed3.b.b0", "mixed3.b.b1b", "mixed3.b.b2b", "mixed3.b.b3"}
    assert text_of(graph.get_node("mixed3.b.b1b").attr["label"]).startswith("unit|width 128, kernel 3|")


# --- colours ---


def test_categories_differ_in_grey_print() -> None:
    """Lightness (CIE L*) differs by 4 and more, except for those with dashed borders."""
    solid = [c for name, c in COLOURS.items() if name not in DASHED] + [OTHER]
    lightness = {c: 116 * luminance(c) ** (1 / 3) - 16 for c in solid}
    assert min(abs(lightness[a] - lightness[b]) for a, b in combinations(solid, 2)) >= 4
    dashed = [116 * luminance(COLOURS[name]) ** (1 / 3) - 16 for name in DASHED]
    assert abs(dashed[0] - dashed[1]) >= 4


def test_text_can_be_read_on_every_category() -> None:
    for colour in (*COLOURS.values(), OTHER):
        for ink in (INK, SOFT):
            assert (luminance(colour) + 0.05) / (luminance(ink) + 0.05) >= 4.5, colour


# --- formats ---


def test_text_is_text_in_svg_and_pdf(slowfast: Network) -> None:
    drawn = diagram(slowfast)
    svg = ElementTree.fromstring(drawn.picture("svg"))
    written = {"".join(text.itertext()).strip() for text in svg.iter(f"{SVG}text")}
    page = pypdf.PdfReader(io.BytesIO(drawn.picture("pdf"))).pages[0]
    extracted = page.extract_text()
    for text in ("slowfast_r50", "bottleneck ×3", "221 k · 5.47 G", "2048×8×7×7", "output"):
        assert text in written
        assert text in extracted
    size = float(page.mediabox.width), float(page.mediabox.height)
    assert size == pytest.approx(drawn.size, abs=2)


def test_text_is_centred_in_any_font(slowfast: Network) -> None:
    """Each line of a box is anchored at the middle of the box, not where it begins in Graphviz's own font."""
    svg = ElementTree.fromstring(diagram(slowfast).picture("svg"))
    groups = [g for g in svg.iter(f"{SVG}g") if g.attrib.get("class", "").startswith("node box")]
    boxes = [(box, path) for box in groups if (path := box.find(f"{SVG}path")) is not None]  # others are ellipses
    assert len(boxes) > 10
    for box, path in boxes:
        places = [float(x) for x in re.findall(r"(-?[\d.]+),", path.attrib["d"])]
        for text in box.iter(f"{SVG}text"):
            assert text.attrib["text-anchor"] == "middle"
            assert float(text.attrib["x"]) == pytest.approx((min(places) + max(places)) / 2, abs=1)


def test_themes(slowfast: Network) -> None:
    auto, light, dark = (diagram(slowfast, theme=theme) for theme in ("auto", "light", "dark"))
    assert "prefers-color-scheme" in auto.picture("svg").decode()
    assert "<style>" not in light.picture("svg").decode()
    svg = ElementTree.fromstring(dark.picture("svg"))
    free = [t for g in svg.iter(f"{SVG}g") if "edge" in g.attrib.get("class", "") for t in g.iter(f"{SVG}text")]
    page = luminance(DARK_PAGE)
    assert free
    assert all((luminance(t.attrib["fill"]) + 0.05) / (page + 0.05) > 7 for t in free)
    assert dark.picture("png") != light.picture("png")
