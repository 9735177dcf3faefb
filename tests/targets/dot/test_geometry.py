"""Places in diagrams: lines stay in their frames, labels stand free, equal streams look equal, text fits its box."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from geometry import Line, Picture, Rect, faults, numbers, read_picture
from repository import ROOT
from small import FEW, OTHERS

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.files import FileLibrary, read_source
from archdsl.lowering import without_identities
from archdsl.pipeline import analyse
from archdsl.targets.dot.diff import difference_diagram
from archdsl.targets.dot.look import LEVELS, PAGE_HEIGHT
from archdsl.targets.dot.page import TooWide
from archdsl.targets.dot.writer import diagram

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.ir.network import Network

pygraphviz: Any = pytest.importorskip("pygraphviz")

SPECS = sorted(path.stem for path in (ROOT / "specs").glob("*.arch"))
CHOSEN = (
    "slowfast_r50", "vtn_r50", "mvitv2_s_16x4", "swin3d_t", "timesformer_ts", "vivit_b_fe", "i3d_inception_residual",
    "r2plus1d_18",
)  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"

# Values that are read by others than the next layer, across and inside of blocks.
TANGLED = """
arch tangled
block twice(width) {
    residual { conv(width, 3) -> residual { conv(width, 1) -> bn } -> relu } -> residual { conv(width, 1) }
}
input clip: video[3, 8, 16, 16]
path a = clip
path b = clip
stage one {
    a: conv(8, 3) as first -> twice(8) * 2
    b: conv(8, 3) -> concat { conv(4, 1), conv(4, 3) -> conv(4, 3), maxpool(3) } -> conv(8, 1)
    lateral b => a by sum: conv(8, 1) -> conv(8, 1)
    lateral a => b: conv(8, 1)
}
stage two {
    a: twice(8)
    b: conv(8, 1) -> twice(8)
}
head: concat { b -> avgpool, a -> avgpool } -> linear(5)
"""

# Laterals from a path to itself, beside a path whose input the head reads as well, and one with several lines.
RETURNING = """
arch returning
input clip: video[3, 4, 8, 8]
input flow: video[2, 4, 8, 8]
path p = clip
path q = flow
path r = clip
stage one {
    p: conv(6, 3) -> bn -> relu -> conv(6, 3) -> conv(6, 1)
    q: linear(6) -> conv(6, 1)
    r: conv(4, 1)
    lateral p => p: add { conv(7, 1), linear(7) } -> linear(8)
    lateral r => q by sum: dropout(0.5) -> linear(6)
}
stage two {
    q: conv(4, 3)
    lateral q => q by sum: maxpool(3) -> linear(4)
}
head: concat { p -> avgpool, q -> avgpool, clip -> conv(2, 1) -> avgpool, flow -> avgpool } -> linear(5)
"""
# A mask that two heads read.
MASKED = """
arch masked
input clip: video[3, 4, 32, 32]
input mask: mask[2, 2, 2]
stage embed { conv(16, [2, 16, 16], stride = [2, 16, 16], padding = valid) }
stage encode { keep(mask, 2) -> attention(2) }
stage decode { restore(mask) -> attention(2) }
head dense pixels: keep(mask, 6, hidden) -> layernorm -> linear(768)
head dense motion: keep(mask, 6, hidden) -> linear(2)
"""
TEXTS = {"tangled": TANGLED, "returning": RETURNING, "masked": MASKED}


def network_of(name: str) -> Network:
    source = Source(f"{name}.arch", TEXTS[name]) if name in TEXTS else read_source(ROOT / "specs" / f"{name}.arch")
    return without_identities(analyse(source, FileLibrary()).network)


def picture_of(network: Network, level: str, **choices: Any) -> Picture:
    return read_picture(pygraphviz.AGraph(string=diagram(network, level, **choices).source))


@pytest.mark.parametrize("name", ["tangled", *CHOSEN])
def test_lines_and_labels(name: str) -> None:
    network = network_of(name)
    for level in LEVELS:
        for direction in ("tb", "lr") if name in ("tangled", "slowfast_r50", "vtn_r50") else ("tb",):
            picture = picture_of(network, level, direction=direction)
            assert picture.lines
            assert picture.labels
            assert faults(picture) == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("choices", [{}, {"direction": "lr"}, {"width": 500}], ids=str)
def test_laterals_from_a_path_to_itself(level: str, choices: dict[str, Any]) -> None:
    picture = picture_of(network_of("returning"), level, **choices)
    assert any(name.startswith("p_to_p") for name in picture.boxes)
    assert faults(picture) == []


@pytest.mark.records
@pytest.mark.parametrize("name", SPECS)
def test_lines_and_labels_of_every_spec(name: str) -> None:
    """With all choices for one spec of each form, without any for those that differ in numbers alone.

    Single stages are drawn with their layers: the boxes of blocks alone are fewer.
    """
    network = network_of(name)
    if name not in {*FEW, *OTHERS}:
        assert faults(picture_of(network, "stage")) == []
        return
    stages = list(dict.fromkeys(part.stage for part in network.regions if any(part.nodes())))
    single: list[dict[str, Any]] = [{"only": stage} for stage in stages if stage != "input"]
    for level in LEVELS:
        further = [{"direction": "lr"}, *(single if level == "layer" else [])] if name in FEW else []
        for choices in ({}, *further):
            assert faults(picture_of(network, level, **choices)) == []
        for width in (600, 240) if name in FEW else (240,):
            try:
                narrow = diagram(network, level, width=width)
            except TooWide:
                assert level != "stage" or width == 240
            else:
                assert narrow.size[0] <= width
                assert faults(read_picture(pygraphviz.AGraph(string=narrow.source))) == []


@pytest.mark.records
@pytest.mark.parametrize("case", sorted((ROOT / "tests" / "cases").glob("*.arch")), ids=lambda path: path.stem)
def test_lines_and_labels_of_unusual_networks(case: Path) -> None:
    try:
        network = without_identities(analyse(read_source(case), FileLibrary()).network)
    except SpecError:
        pytest.skip("it is refused")
    for level in LEVELS:
        for direction in ("tb", "lr"):
            assert faults(picture_of(network, level, direction=direction)) == []


@pytest.mark.parametrize("level", LEVELS)
def test_lines_and_labels_of_a_comparison(level: str) -> None:
    from archdsl.analysis.compare import compare

    one, other = network_of("slowfast_r50"), network_of("vtn_r50")
    picture = difference_diagram(compare(one, other, {}, {}), one, other, level)
    assert faults(read_picture(pygraphviz.AGraph(string=picture.source))) == []


# --- what the check finds ---


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r'(slow\.res2"? -> [^\n]*pos=")[^"]*', r"\1e,9000,0 9000,1 9000,2 9000,3 9000,4", "leaves"),
        (r'(\t"?slow\.res2"? \[[^\n]*pos=")[^"]*', r"\g<1>0,0", "meet|crosses|sticks out"),
        (r'(256×8×56×56.* lp=")[^"]*', r"\g<1>0,0", "the label"),
    ],
)
def test_faults_are_found(old: str, new: str, fault: str) -> None:
    source = diagram(network_of("slowfast_r50")).source
    broken, count = re.subn(old, new, source)
    assert count
    found = faults(read_picture(pygraphviz.AGraph(string=broken)))
    assert any(re.search(fault, text) for text in found), found


def test_lines_that_look_like_one_are_found() -> None:
    lines = [Line("a", "b", [(0.0, 0.0), (0.0, 20.0)]), Line("c", "d", [(0.2, 5.0), (0.2, 30.0)])]
    found = faults(Picture(frames={"f": Rect(1.0, -9.0, 50.0, 50.0)}, lines=lines))
    assert found[0] == "a -> b runs on c -> d"
    assert "c -> d runs on the border of f" in found
    meeting = [lines[0], lines[1]._replace(target="b")]  # before one target
    assert faults(Picture(lines=meeting)) == []
    assert faults(Picture(lines=[meeting[0], meeting[1]._replace(is_dashed=True)])) == ["a -> b runs on c -> b"]


@pytest.mark.parametrize(
    ("name", "level", "width"), [("slowfast_r50_ava", "stage", 600), ("uniformerv2_b", "stage", None)]
)
def test_lines_behind_paths(name: str, level: str, width: float | None) -> None:
    """An input that no path begins with stands beside the paths; a line that turns to the head passes its own label."""
    assert faults(picture_of(network_of(name), level, width=width)) == []


@pytest.mark.parametrize("level", LEVELS)
def test_lines_of_a_mask(level: str) -> None:
    """Each layer that reads the mask has an arrow of its own from it, which no other line hides."""
    picture = picture_of(network_of("masked"), level)
    assert faults(picture) == []
    tips = [line.points[-1] for line in picture.lines if line.is_dashed]
    assert len(tips) == 4
    assert not {*tips} & {line.points[-1] for line in picture.lines if not line.is_dashed}


def test_values_enter_one_box_beside_each_other() -> None:
    """The skips of a U-Net, of which the outermost comes in last."""
    picture = picture_of(network_of("unet_r3d_18"), "stage")
    tips = {line.source: line.points[-1] for line in picture.lines if line.target == "head"}
    heights = [tips[name][1] for name in ("res4", "res3", "res2")]
    assert heights == sorted(set(heights), reverse=True)


def test_lines_to_a_head_do_not_cross() -> None:
    """The branches of a head stand in the order of the paths, not in that of the channels."""
    picture = picture_of(network_of("avslowfast_r50"), "block")
    entering = [line for line in picture.lines if "head" in line.target and "head" not in line.source]
    assert len(entering) == 3
    starts = [line.points[0][0] for line in sorted(entering, key=lambda line: line.points[-1][0])]
    assert starts == sorted(starts)


# --- single places ---


def test_a_line_enters_the_row_that_reads_it() -> None:
    """The position embedding of VTN, the first row of its stack, reads the frame numbers."""
    graph = pygraphviz.AGraph(string=diagram(network_of("vtn_r50"), "layer").source)
    picture = read_picture(graph)
    (line,) = [line for line in picture.lines if line.source == "frame_index"]
    box, label = picture.boxes[line.target], graph.get_node(line.target).attr["label"]
    heights = [int(h) for h in re.findall(r'<tr>.*?height="(\d+)"', label)]
    assert "position" in label.split("</tr>")[0]
    assert line.points[-1][0] == pytest.approx(box.x1, abs=0.5)
    assert box.y1 - heights[0] < line.points[-1][1] < box.y1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("direction", ["tb", "lr"])
def test_equal_streams_look_equal(level: str, direction: str) -> None:
    picture = picture_of(network_of("i3d_two_stream"), level, direction=direction)
    streams: dict[str, dict[str, Rect]] = {"appearance": {}, "motion": {}}
    for name, box in (picture.boxes | picture.frames).items():
        path, _, rest = name.partition(".")
        if path in streams and rest != "path":
            frame = picture.frames[f"{path}.path"]
            streams[path][rest] = Rect(box.x0 - frame.x0, box.y0 - frame.y1, box.x1 - frame.x0, box.y1 - frame.y1)
    one, other = streams.values()
    assert one.keys() == other.keys()
    assert len(one) > 4
    for name, box in one.items():
        if "conv1" not in name:  # which has another number of channels
            assert box == pytest.approx(other[name], abs=0.1), name


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["slowfast_r50", "mvitv2_s_16x4", "i3d_inception_rgb"])
def test_boxes_are_as_large_as_what_is_inside(name: str, level: str) -> None:
    """Graphviz draws tables at least as large as their text; no table is larger than its node."""
    drawn = diagram(network_of(name), level)
    picture = read_picture(pygraphviz.AGraph(string=drawn.source))
    svg = ElementTree.fromstring(drawn.picture("svg"))
    seen = 0
    for group in svg.iter(f"{SVG}g"):
        title = group.findtext(f"{SVG}title")
        if "box" not in group.attrib.get("class", "").split() or title not in picture.boxes:
            continue
        box = picture.boxes[title]
        shapes = [numbers(p.attrib["points"]) for p in group.iter(f"{SVG}polygon")]
        xs, ys = [x for s in shapes for x in s[::2]], [y for s in shapes for y in s[1::2]]
        if shapes:
            seen += 1
            assert max(xs) - min(xs) == pytest.approx(box.x1 - box.x0, abs=1.1), title  # 1 for the border
            assert max(ys) - min(ys) == pytest.approx(box.y1 - box.y0, abs=1.1), title
    assert seen or level == "stage"


# --- width ---


@pytest.mark.parametrize(
    ("name", "level"),
    [("slowfast_r50", "stage"), ("slowfast_r50", "block"), ("mvitv2_s_16x4", "block"), ("swin3d_t", "layer")],
)
def test_a_column_of_a_paper(name: str, level: str) -> None:
    """The picture fits into 240 pt in type of 6 pt or more."""
    drawn = diagram(network_of(name), level, width="240pt")
    svg = ElementTree.fromstring(drawn.picture("svg"))
    assert float(svg.attrib["width"].removesuffix("pt")) <= 240.5
    sizes = [float(text.attrib["font-size"]) for text in svg.iter(f"{SVG}text")]
    assert min(sizes) >= 6
    assert faults(read_picture(pygraphviz.AGraph(string=drawn.source))) == []


def test_a_column_is_not_taller_than_a_page_if_smaller_type_helps() -> None:
    """Without costs, it is no taller than with them."""
    network = network_of("slowfast_r50")
    choices: tuple[dict[str, Any], ...] = ({}, {"costs": False}, {"costs": False, "title": False})
    heights = [diagram(network, width=237, **choice).size[1] for choice in choices]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] <= PAGE_HEIGHT < heights[0]


def test_type_shrinks_with_the_width_and_no_further_than_needed() -> None:
    network = network_of("slowfast_r50")
    wide = diagram(network).size[0]
    sizes = [
        max(map(float, re.findall(r'fontsize="?([\d.]+)', diagram(network, width=w).source))) for w in (wide, 400, 240)
    ]
    assert all(a >= b for a, b in pairwise(sizes))
    assert diagram(network, width=2 * wide).size[0] <= wide + 1
    with pytest.raises(TooWide, match=r"too narrow.*--no-costs"):
        diagram(network, width=100)
