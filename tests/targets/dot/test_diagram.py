"""Diagrams: their boxes, edges and labels, escaping, equal bytes from run to run, and every format."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from pictures import text_of
from repository import ROOT

from archdsl.analysis.cost import total_cost
from archdsl.commands.pictures import draw
from archdsl.core.source import Source
from archdsl.files import EnvironmentFault, FileLibrary, UsageError, read_source
from archdsl.pipeline import analyse
from archdsl.targets.dot.look import LEVELS
from archdsl.targets.dot.render import RenderError, render
from archdsl.targets.dot.style import figures, layer_text, multiply_adds, parameters, value_text, wrapped
from archdsl.targets.dot.writer import diagram

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.ir.network import Network

SLOWFAST = ROOT / "specs" / "slowfast_r50.arch"
pygraphviz: Any = pytest.importorskip("pygraphviz")

ONE = """
arch one
block unit(width, kernel = 3) { conv(width, kernel) -> bn -> relu }
input clip: video[3, 16, 112, 112]
stage stem { conv(16, 3, stride = [1,2,2]) -> bn -> relu -> maxpool(2, stride = 2) }
stage body { unit(16) * 5 -> unit(32, kernel = 1) }
stage turns { unit(32) -> unit(32, kernel = 1) -> unit(32) -> unit(32, kernel = 1) }
head: avgpool -> dropout(0.5) -> linear(10)
"""

TWO = """
arch two
block shrink(width) {
    residual { conv(width, 3) -> bn } shortcut if in.channels != width { conv(width, 1) -> bn } -> relu
}
block outer(width) { shrink(width) -> shrink(width) }
input rgb: video[3, 16, 56, 56]
input flow: video[2, 16, 56, 56]
path appearance = rgb
path motion = flow
stage stem {
    appearance: conv(8, 3) -> relu
    motion: conv(4, 3) -> relu
    lateral motion => appearance: conv(8, 1)
    lateral appearance => motion by sum: conv(4, 1) -> conv(4, 1)
}
stage deep {
    appearance: outer(8) * 2
    motion: shrink(4) * 3
    lateral motion => appearance: conv(2, 1)
    appearance: shrink(8)
}
head: concat { appearance -> avgpool, motion -> avgpool } -> linear(7)
"""


def network_of(text: str) -> Network:
    return analyse(Source("test.arch", text), FileLibrary()).network


@pytest.fixture(scope="module")
def slowfast() -> Network:
    return analyse(read_source(SLOWFAST), FileLibrary()).network


def parsed(network: Network, level: str = "stage") -> Any:
    return pygraphviz.AGraph(string=diagram(network, level).source)


def texts(graph: Any) -> dict[str, str]:
    return {n: text_of(graph.get_node(n).attr["label"] or "") for n in graph.nodes()}


def shapes(graph: Any) -> dict[tuple[str, str], str]:
    return {(e[0], e[1]): text_of(e.attr["label"] or "") for e in graph.edges() if e.attr["style"] != "invis"}


# --- what SlowFast R50 shows ---

STAGES = {
    "slow.conv1": ("conv1", "64×8×56×56"),
    "slow.res2": ("res2|bottleneck ×3", "256×8×56×56"),
    "slow.res3": ("res3|bottleneck ×4", "512×8×28×28"),
    "slow.res4": ("res4|bottleneck ×6", "1024×8×14×14"),
    "slow.res5": ("res5|bottleneck ×3", "2048×8×7×7"),
    "fast.conv1": ("conv1", "8×32×56×56"),
    "fast.res2": ("res2|bottleneck ×3", "32×32×56×56"),
    "fast.res3": ("res3|bottleneck ×4", "64×32×28×28"),
    "fast.res4": ("res4|bottleneck ×6", "128×32×14×14"),
    "fast.res5": ("res5|bottleneck ×3", "256×32×7×7"),
    "head": ("head", "400"),
}


def test_each_stage_is_a_row_with_its_shape(slowfast: Network) -> None:
    graph = parsed(slowfast)
    seen, edges = texts(graph), shapes(graph)
    for name, (start, shape) in STAGES.items():
        assert seen[name].startswith(start)
        assert shape in {label for (source, _), label in edges.items() if source == name}


def test_the_figures_are_those_of_the_architecture(slowfast: Network) -> None:
    graph = parsed(slowfast)
    seen = texts(graph)
    assert total_cost(slowfast).params == 34_566_488
    assert "34.6 M parameters" in seen[".title1"]
    assert seen["slow.conv1"].endswith("9.54 k · 0.944 G")  # 3·64·49 + 2·64, and 9408 at each of 8·112·112
    assert seen["head"].endswith("922 k · 922 k")  # 2304·400 + 400


@pytest.mark.parametrize("level", LEVELS)
def test_laterals_lead_from_the_fast_to_the_slow_path(slowfast: Network, level: str) -> None:
    graph = parsed(slowfast, level)
    edges = shapes(graph)
    for stage, joined in zip(("conv1", "res2", "res3", "res4"), (80, 320, 640, 1280), strict=True):
        branch, fusion = f"fast.{stage}.branch", f"slow.{stage}.concat"
        lateral = next(b for a, b in edges if a == branch and b.startswith("fast_to_slow"))
        assert (lateral, fusion) in edges
        assert edges[next(e for e in edges if e[0] == fusion)].startswith(f"{joined}×8×")
    assert not any(a.startswith("slow.") and b.startswith("fast") for a, b in edges)


def places(graph: Any) -> dict[str, tuple[float, float]]:
    return {str(n): tuple(map(float, n.attr["pos"].split(","))) for n in graph.nodes()}


def test_paths_are_lanes_and_stages_lie_on_one_level(slowfast: Network) -> None:
    graph = parsed(slowfast)
    lanes = [set(s.nodes()) for s in graph.subgraphs() if s.graph_attr["class"] == "lane"]
    assert [{n.split(".")[0] for n in lane} for lane in lanes] == [{"slow"}, {"fast"}]
    place, box = places(graph), {str(n): n for n in graph.nodes()}
    for stage in ("conv1", "res2", "res3", "res4", "res5"):
        tops = [place[n][1] + 36 * float(box[n].attr["height"]) for n in (f"slow.{stage}", f"fast.{stage}")]
        assert tops[0] == pytest.approx(tops[1], abs=0.1)


def test_the_lanes_are_straight_and_the_laterals_level_and_between(slowfast: Network) -> None:
    graph = parsed(slowfast)
    place = places(graph)
    for path in ("slow", "fast"):
        assert len({place[f"{path}.{s}"][0] for s in ("conv1", "res2", "res3", "res4", "res5")}) == 1
    for stage in ("conv1", "res2", "res3", "res4"):
        row = [place[f"slow.{stage}.concat"], place[f"fast_to_slow.{stage}"], place[f"fast.{stage}.branch"]]
        assert max(y for _, y in row) == pytest.approx(min(y for _, y in row), abs=0.02)
        assert row == sorted(row)


def test_repeated_blocks_are_folded(slowfast: Network) -> None:
    seen = texts(parsed(slowfast, "block"))
    assert seen["slow.res4"] == "res4  10.2 M · 18.3 G|width 256, t 3"  # which both rows share
    assert seen["slow.res4.0"].startswith("bottleneck|stride 2|")
    assert seen["slow.res4.1"].startswith("bottleneck ×5|8.21 M")
    assert not any(n.startswith("slow.res4.2") for n in seen)
    layers = texts(parsed(slowfast, "layer"))
    assert layers["slow.res4.1"].startswith("bottleneck ×5")
    assert not any(n.startswith("slow.res4.2") for n in layers)


def test_every_layer_is_there_once_for_each_fold(slowfast: Network) -> None:
    graph = parsed(slowfast, "layer")
    cells = sum((n.attr["label"] or "").count("<tr>") for n in graph.nodes())
    drawn = sum(len(list(u.nodes())) for u in slowfast.regions)
    hidden = 2 * 10 * ((3 - 2) + (4 - 2) + (6 - 2) + (3 - 2))  # the folded copies of bottlenecks of 10 layers
    titles = 4  # of the laterals, whose single stack carries the name
    assert cells == drawn - hidden - 4 + titles  # the four fusions are ellipses
    assert shapes(graph)["slow.res2.0", "slow.res2.0.shortcut.conv"] == ""


def test_a_shortcut_ends_at_the_addition(slowfast: Network) -> None:
    edges = shapes(parsed(slowfast, "layer"))
    assert edges["slow.res2.0.shortcut.conv", "slow.res2.0.add"] == "256×8×56×56"
    assert ("slow.res2.1", "slow.res2.1.add") in edges  # an identity, from the block's title


# --- other networks ---


def test_one_path_without_a_name() -> None:
    network = network_of(ONE)
    seen = texts(parsed(network))
    assert list(seen)[:5] == ["clip", "stem", "body", "turns", "head"]
    assert "unit ×6" in seen["body"]
    assert "cluster_lane" not in diagram(network).source
    blocks = texts(parsed(network, "block"))
    assert any(t.startswith("unit ×5") for t in blocks.values())
    assert any(t.startswith("×2") and t.endswith("each") for t in blocks.values())  # two blocks that take turns


STARTS = """
arch starts
block unit(last: symbol) {
    residual {
        attention(2) {
            qkv: linear(8)
            proj: linear(8, init = last)
        }
    } -> linear(8, init = last)
}
input clip: video[3, 4, 8, 8]
stage embed { conv(8, [1, 4, 4], stride = [1, 4, 4]) }
stage blocks { unit(depth_scaled(0.02, index + 1)) * 4 }
head: unit(zeros) -> unit(normal(0.1)) -> avgpool -> linear(10)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_how_weights_begin_sets_no_blocks_apart(level: str) -> None:
    seen = texts(parsed(network_of(STARTS), level))
    assert any("unit ×4" in text for text in seen.values())
    assert level == "stage" or any("unit ×2" in text for text in seen.values())
    assert not re.search("depth_scaled|zeros|normal", " ".join(seen.values()))


def test_two_inputs_laterals_both_ways_and_a_stage_that_goes_on_below_its_lateral() -> None:
    network = network_of(TWO)
    edges = shapes(parsed(network))
    assert edges["rgb", "appearance.path"] == "3×16×56×56"
    assert edges["flow", "motion.path"] == "2×16×56×56"
    assert {
        ("motion.stem.branch", "motion_to_appearance.stem"),
        ("motion_to_appearance.stem", "appearance.stem.concat"),
    } <= set(edges)
    assert {
        ("appearance.stem.branch", "appearance_to_motion.stem"),
        ("appearance_to_motion.stem", "motion.stem.add"),
    } <= set(edges)
    assert ("appearance.deep.concat", "appearance.deep_2") in edges
    assert edges["appearance.deep_2", "head"] == "8×16×56×56"


@pytest.mark.parametrize("text", [ONE, TWO])
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_of_every_network_can_be_drawn(text: str, level: str) -> None:
    ElementTree.fromstring(diagram(network_of(text), level).picture("svg"))


@pytest.mark.parametrize("level", LEVELS)
def test_edges_join_only_nodes_that_are_declared(level: str) -> None:
    for text in (ONE, TWO):
        source = diagram(network_of(text), level).source
        declared = {m[1].strip('"') for m in re.finditer(r'^\t+("[^"]+"|\w+) \[', source, re.MULTILINE)}
        assert set(pygraphviz.AGraph(string=source).nodes()) <= declared


def test_there_are_three_levels() -> None:
    with pytest.raises(ValueError, match="'stage' or 'block' or 'layer'"):
        diagram(network_of(ONE), "atom")


# --- text is data ---

HOSTILE = ['a"b', "<b>bold</b>", "x & y &lt;", r"\N\G\L\n\\", r"ends in \ ", "a -> b; } {", "<<i>x</i>>", "été ×6 日本"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("level", LEVELS)
def test_no_text_is_read_as_markup(text: str, level: str) -> None:
    network = network_of(ONE)
    network.name = text
    network.inputs = {text: 0}
    for part in network.regions:
        part.stage = text
    graph = parsed(network, level)
    assert texts(graph)[".title0"] == text.strip()
    assert sum(text in label for label in texts(graph).values()) >= 5
    drawn = ElementTree.fromstring(diagram(network, level).picture("svg"))
    written = ["".join(t.itertext()) for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text.strip() in t for t in written) >= 5


def test_control_characters_do_not_spoil_the_svg() -> None:
    network = network_of(ONE)
    network.name = "a\nb\x00c\x1bd\ud800"
    assert "a b\ufffdc\ufffdd\ufffd" in diagram(network).picture("svg").decode()


# --- formats ---


def test_svg_is_transparent_and_has_a_dark_style(slowfast: Network) -> None:
    svg = diagram(slowfast).picture("svg").decode()
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert "@media (prefers-color-scheme: dark)" in svg
    assert 'class="graph archdsl"' in svg
    assert 'fill="white"' not in svg


def test_png_and_pdf(slowfast: Network) -> None:
    png = diagram(slowfast).picture("png")
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert 900 < width < 2500
    assert 1 < height / width < 2
    assert width == pytest.approx(diagram(slowfast).size[0] * 150 / 72, abs=8)
    assert diagram(slowfast).picture("pdf").startswith(b"%PDF-")


def test_no_dot_is_needed(slowfast: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert b"<svg" in diagram(slowfast).picture("svg")


def test_without_graphviz_a_dot_file_can_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    draw(network_of(ONE), tmp_path / "one.gv")
    assert (tmp_path / "one.gv").read_text(encoding="utf-8").startswith("digraph one {")
    with pytest.raises(EnvironmentFault, match="pip install pygraphviz"):
        draw(network_of(ONE), tmp_path / "one.svg")
    assert not (tmp_path / "one.svg").exists()


def test_without_fonts_no_picture_is_made_that_has_no_letters(tmp_path: Path) -> None:
    (tmp_path / "fonts.conf").write_text("<?xml version='1.0'?><fontconfig><dir>/nowhere</dir></fontconfig>")
    code = "import sys; from archdsl.targets.dot.render import render; render('digraph {}', sys.argv[1])"
    environment = os.environ | {"FONTCONFIG_FILE": str(tmp_path / "fonts.conf"), "PYTHONPATH": str(ROOT)}
    for format_, fine in (("png", False), ("pdf", False), ("svg", True)):
        command = [sys.executable, "-c", code, format_]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is fine
        assert ("there are no fonts on this machine" in done.stderr) is not fine


def test_broken_dot_is_refused_with_what_graphviz_says(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RenderError, match="Graphviz cannot draw this"):
        render("digraph { a -> ", "svg")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot", "gv", "SVG"])
def test_the_suffix_picks_the_format(tmp_path: Path, suffix: str) -> None:
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "gv": b"digraph"}.get(suffix, b"<?xml")
    draw(network_of(ONE), tmp_path / f"one.{suffix}", level="block")
    assert (tmp_path / f"one.{suffix}").read_bytes().startswith(start)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.svg, \.png, \.pdf, \.dot or \.gv"):
        draw(network_of(ONE), tmp_path / "one.jpg")


def test_a_diagram_shows_itself_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    shown = diagram(network_of(ONE))._repr_mimebundle_()
    assert "<svg" in str(shown["image/svg+xml"])


def test_the_same_bytes_for_every_hash_seed() -> None:
    code = (
        "import hashlib, sys\nfrom archdsl.files import *\nfrom archdsl.pipeline import analyse\n"
        "from archdsl.targets.dot.writer import *\nfrom archdsl.targets.dot.look import LEVELS\n"
        "n = analyse(read_source(sys.argv[1]), FileLibrary()).network\n"
        "print(hashlib.sha256(''.join(diagram(n, l).source for l in LEVELS).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(SLOWFAST)]
    found: set[str] = set()
    for seed in ("0", "1", "4711"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    network = analyse(read_source(SLOWFAST), FileLibrary()).network
    source = "".join(diagram(network, level).source for level in LEVELS)
    assert found == {hashlib.sha256(source.encode()).hexdigest() + "\n"}


# --- small things ---


def test_numbers_have_three_digits() -> None:
    assert [parameters(n) for n in (0, 928, 9536, 221_184, 34_566_488, 1_230_000_000)] == [
        "0", "928", "9.54 k", "221 k", "34.6 M", "1.23 G",
    ]  # fmt: skip
    assert [multiply_adds(n) for n in (640, 921_600, 22_478_848, 944_111_616, 50_300_000_000)] == [
        "640", "922 k", "0.022 G", "0.944 G", "50.3 G",
    ]  # fmt: skip


def test_layers_are_written_with_what_is_unusual() -> None:
    network = network_of(ONE)
    written = [layer_text(n.layer) for n in network.all_nodes()]
    assert written[1:5] == ["conv 3×3×3, 16, stride 1×2×2", "bn", "relu", "maxpool 2×2×2, stride 2×2×2"]
    assert written[-3:] == ["avgpool", "dropout 0.5", "linear 10"]
    plain = network_of(ONE.replace("-> bn ->", "-> bn(eps = 0.001, momentum = 0.2) ->"))
    assert [layer_text(n.layer) for n in plain.all_nodes()] == written
    assert value_text(("causal", 1, "same")) == value_text(("causal", "1", "same")) == "[causal, 1, same]"
    assert figures(total_cost(network)).count("·") == 1


def test_extents_of_whole_axes_are_written_as_in_a_spec() -> None:
    network = network_of(ONE.replace("-> bn ->", "-> attention(window = [2, all, all]) ->"))
    written = [layer_text(n.layer) for n in network.all_nodes()]
    assert "attention window=2×all×all" in written


def test_long_chains_are_wrapped() -> None:
    assert wrapped(["conv 3×3×3, 64, stride 2", "bn", "relu"]) == ["conv 3×3×3, 64, stride 2", "→ bn → relu"]
    assert all(len(line) <= 32 for line in wrapped(["relu"] * 20))
