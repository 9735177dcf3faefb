"""`archdsl diff`: the exact text, the numbers, exit codes, and the marks in a picture."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import Shell
from hypothesis import given
from hypothesis import strategies as st
from pictures import text_of
from repository import ROOT

import archdsl
from archdsl.analysis.compare import Difference, compare, difference_json
from archdsl.cli import main
from archdsl.commands.diff_text import _folded, percentage
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import Analysis, analyse
from archdsl.targets.dot.diff import difference_diagram
from archdsl.targets.dot.edits import statuses_of

SPECS = ROOT / "specs"
pygraphviz: Any = pytest.importorskip("pygraphviz")

SMALL = """\
arch small
param width = 8
input clip: video[3, 8, 32, 32]
stage conv1 { conv(width, 3, stride = 2) -> bn -> relu }
stage res2 { conv(16, 3) -> bn -> relu as act }
head: avgpool -> linear(5)
"""
OTHER = """\
arch other
input clip: video[3, 8, 32, 32]
stage conv1 { conv(8, 3, stride = 2) -> bn -> relu }
stage res2 { conv(16, 3) -> bn -> gelu as act }
stage res3 { conv(16, 1) -> bn -> relu }
head: avgpool -> dropout(0.5) -> linear(5)
"""
PATHS = """\
arch paths
input a: video[3, 8, 16, 16]
input b: video[3, 8, 16, 16]
path one = a
path two = b
stage stem {
    one: conv(4, 3) -> relu
    two: conv(4, 3) -> relu
}
stage more frozen {
    one: conv(6, 3) -> bn
    two: conv(4, 3) -> bn
}
head: concat { one -> avgpool, two -> avgpool } -> linear(5)
"""
BLOCKS = """\
arch blocks
block unit(width) { residual { conv(width, 3) -> bn -> relu } }
input clip: video[3, 8, 16, 16]
stage one { conv(8, 1) -> unit(8) * 2 }
stage two { conv(8, 1) -> unit(8) * 2 }
head: avgpool -> linear(5)
"""
# Pairs of specs, with settings of the second.
PAIRS: dict[str, tuple[str, str, dict[str, str]]] = {
    "wider path": ("slowfast_r50", "slowfast_r50_wide_fast", {}),
    "inflated": ("c2d_r50", "i3d_r50", {}),
    "next version": ("mvit_b_16x4", "mvitv2_s_16x4", {}),
    "other family": ("slowfast_r50", "mvit_b_16x4", {}),
    "deeper": ("swin3d_t", "swin3d_t", {"depths": "[2, 2, 18, 2]"}),
    "path dropped": ("slowfast_r50", "slow_r50", {}),
}
pairs = pytest.mark.parametrize("pair", PAIRS)


def analysed(text: str) -> Analysis:
    return analyse(Source("test.arch", text), FileLibrary())


def difference_of(base: Analysis, arch: Analysis) -> Difference:
    return compare(base.network, arch.network, base.parameters, arch.parameters)


def data_of(base: str, arch: str) -> dict[str, Any]:
    return difference_json(difference_of(analysed(base), analysed(arch)))


def specs_of(pair: str) -> tuple[Path, Path, list[str]]:
    base, arch, settings = PAIRS[pair]
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return SPECS / f"{base}.arch", SPECS / f"{arch}.arch", options


def pair_of(pair: str) -> tuple[Analysis, Analysis]:
    base, arch, settings = PAIRS[pair]
    one = archdsl.load(SPECS / f"{base}.arch")
    other = archdsl.load(SPECS / f"{arch}.arch", **settings)
    return one._analysis, other._analysis


def statuses(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["name"]: row["status"] for row in rows if row["status"] != "same"}


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line, in a folder of small specs."""
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL, "utf-8")
    Path("other.arch").write_text(OTHER, "utf-8")
    Path("faulty.arch").write_text(SMALL.replace("relu }", "rellu }"), "utf-8")
    return Shell(capsys)


# --- text ------------------------------------------------------------------------------------------------------------

NARROWER = """\
base  small  small.arch
spec  small  small.arch --set width=4

parameters of the spec
  ~  width  8 → 4

cost                base       spec
───────────────────────────────────────────
parameters         4,237      2,177  −48.6%
multiply-adds  4,202,576  2,101,328  −50.0%
activations       24,581     20,485  −16.7%

stages: 2 changed, 1 of the same output and cost
     stage  output                    parameters                  multiply-adds
  ~  conv1  8×4×16×16 → 4×4×16×16      664 → 332  −50.0%      663,552 → 331,776  −50.0%
  ~  res2   16×4×16×16             3,488 → 1,760  −49.5%  3,538,944 → 1,769,472  −50.0%

layers: 4 changed, 5 the same
  ~  conv1.conv       out 8 → 4
  ~  conv1.{bn,relu}  8×4×16×16 → 4×4×16×16
  ~  res2.conv        weight 16×8×3×3×3 → 16×4×3×3×3

tensors: 6 changed, 8 of the same shape
  ~  conv1.conv.weight                                8×3×3×3×3 → 4×3×3×3×3
  ~  conv1.bn.{weight,bias,running_mean,running_var}  8 → 4
  ~  res2.conv.weight                                 16×8×3×3×3 → 16×4×3×3×3
"""
LATER = """\
base  small  small.arch
spec  other  other.arch

parameters of the spec
  −  width  8

cost                base       spec
───────────────────────────────────────────
parameters         4,237      4,525   +6.8%
multiply-adds  4,202,576  4,464,720   +6.2%
activations       24,581     40,965  +66.7%

stages: 1 new, 3 of the same output and cost
     stage  output      parameters    multiply-adds
  +  res3   16×4×16×16         288          262,144

layers: 3 changed, 4 new, 6 the same
  ~  res2.act      relu → gelu
  ~  head.avgpool  input res2 → res3
  ~  head.linear   input head.avgpool → head.dropout
  +  res3.conv     conv(out 16)
  +  res3.bn       bn
  +  res3.relu     relu
  +  head.dropout  dropout(p 0.5)

tensors: 6 new, 14 of the same shape
  +  res3.conv.weight                                16×16×1×1×1
  +  res3.bn.{weight,bias,running_mean,running_var}  16
  +  res3.bn.num_batches_tracked                     1
"""


def test_text_of_one_spec_with_and_without_a_setting(shell: Shell) -> None:
    ran = shell("diff", "small.arch", "--set", "width=4")
    assert (ran.code, ran.out, ran.err) == (0, NARROWER, "")


def test_text_of_two_specs(shell: Shell) -> None:
    assert shell("diff", "small.arch", "other.arch").out == LATER


def test_the_other_way_round_what_was_new_is_gone(shell: Shell) -> None:
    lines = shell("diff", "other.arch", "small.arch").out.splitlines()
    assert "layers: 3 changed, 4 gone, 6 the same" in lines
    assert "  −  res3.conv     conv(out 16)" in lines
    assert "  +  width  8" in lines


def test_options_of_the_base(shell: Shell) -> None:
    ran = shell("diff", "small.arch", "--base-set", "width=4", "--base-clip", "3x8x64x64", "--clip", "3x8x64x64")
    assert ran.out.startswith("base  small  small.arch --set width=4 --clip 3x8x64x64\n")
    assert "\n  ~  width  4 → 8\n" in ran.out
    assert "\ninputs\n" not in ran.out


def test_one_of_a_kind_is_not_many(shell: Shell) -> None:
    Path("one.arch").write_text("arch one\ninput clip: video[3, 8, 8, 8]\nhead: avgpool -> linear(5)\n", "utf-8")
    out = shell("diff", "one.arch", "--clip", "3x8x16x16").out
    assert "\nstage: 1 of the same output and cost\n" in out
    assert "\ninputs\n  ~  clip  3×8×8×8 → 3×8×16×16\n" in out


@pytest.mark.parametrize(
    ("base", "arch", "text"),
    [
        (100, 150, "+50.0%"),
        (100, 50, "−50.0%"),
        (100, 1400, "+1,300.0%"),
        (100, 100, ""),
        (0, 5, ""),
        (100_000, 100_001, "+<0.1%"),
        (100_000, 99_999, "−<0.1%"),
        (7, 0, "−100.0%"),
    ],
)
def test_percentage(base: int, arch: int, text: str) -> None:
    assert percentage(base, arch) == text


SUMMARY = """\
base  small  small.arch
spec  other  other.arch
parameters     4.24 k → 4.53 k (+6.8%)
multiply-adds  4.20 M → 4.46 M (+6.2%)
changed        {res2,head}
new            res3
"""


def test_a_summary_names_the_fusion_of_a_lateral_beside_its_stage(shell: Shell) -> None:
    lines = shell("diff", "slow_r50", "slowfast_r50", "--summary").out.splitlines()
    changed, new = (next(line for line in lines if line.startswith(word)) for word in ("changed ", "new "))
    assert "slow.conv1" not in changed
    assert "slow.{conv1,res2,res3,res4}.concat" in new


def test_advice_for_a_comparison_names_options_that_it_has(shell: Shell) -> None:
    ran = shell("diff", "slow_r50", "slowfast_r50", "--level", "layer", "--width", "200", "-o", "narrow.dot")
    assert ran.code == 2
    options = set(re.findall(r"`(--[a-z-]+)", ran.err))
    assert options
    assert options <= set(re.findall(r"--[a-z-]+", shell("diff", "--help").out))


def test_a_summary_has_a_few_lines(shell: Shell) -> None:
    """The activation of res2 is another, the head has a dropout, res3 is new."""
    assert shell("diff", "small.arch", "other.arch", "--summary").out == SUMMARY
    ran = shell("diff", "small.arch", "--set", "width=4", "--summary")
    assert ran.out.splitlines()[2:] == [
        "parameters of the spec  width 8 → 4",
        "parameters              4.24 k → 2.18 k (−48.6%)",
        "multiply-adds           4.20 M → 2.10 M (−50.0%)",
        "changed                 conv1",
        "follows                 res2",  # it reads fewer channels
    ]
    assert shell("diff", "small.arch", "--summary").out.endswith("small.arch\nthe two networks are the same\n")


def test_what_was_written_is_reported(shell: Shell) -> None:
    for command in (("draw", "small.arch"), ("diff", "small.arch", "other.arch", "--summary")):
        told = shell(*command, "-o", "a.svg", "--level", "block").err
        assert re.fullmatch(r"wrote a\.svg \(block level, \d+×\d+ pt\)\n", told)
        size = re.search(r'<svg width="(\d+)pt" height="(\d+)pt"', Path("a.svg").read_text("utf-8"))
        assert size is not None
        said = [int(n) for n in re.findall(r"(\d+)×(\d+)", told)[0]]
        assert said == pytest.approx([int(n) for n in size.groups()], abs=2)
        assert shell(*command, "-o", "a.svg", "-q").err == ""


# --- folding ---------------------------------------------------------------------------------------------------------


def unfolded(text: str) -> list[str]:
    """The names that `a.{0..2}.{x,y}` stands for."""
    choices: list[list[str]] = []
    for part in re.findall(r"\{[^}]*\}|[^{}]+", text):
        if not part.startswith("{"):
            choices.append([part])
            continue
        inner: list[str] = []
        for word in part[1:-1].split(","):
            first, dots, last = word.partition("..")
            inner += [str(n) for n in range(int(first), int(last) + 1)] if dots else [word]
        choices.append(inner)
    return ["".join(words) for words in itertools.product(*choices)]


def test_unfolding_is_understood() -> None:
    assert unfolded("a.{0..2}.{x,y9}") == ["a.0.x", "a.0.y9", "a.1.x", "a.1.y9", "a.2.x", "a.2.y9"]


NAME = st.lists(st.sampled_from(["a", "b2", "7", "8", "9", "10"]), min_size=1, max_size=4).map(".".join)


@given(st.dictionaries(NAME, st.sampled_from(["3×3", "3×3 → 1×1"]), min_size=1, max_size=40))
def test_folded_rows_name_each_layer_once_with_its_text(texts: dict[str, str]) -> None:
    lines = [line.split(maxsplit=2) for line in _folded([("  ~", name, text) for name, text in texts.items()])]
    told = [(name, text) for _, names, text in lines for name in unfolded(names)]
    assert len(told) == len(texts)
    assert dict(told) == texts


def printed(text: str, section: str) -> list[tuple[str, str, str]]:
    """Sign, name and what is said, for each name that the rows of a section stand for."""
    (block,) = [b for b in text.split("\n\n") if b.startswith(section)]
    rows = [line.split(maxsplit=2) for line in block.splitlines()[1:]]
    return [(sign, name, said) for sign, names, said in rows for name in unfolded(names)]


@pairs
def test_text_has_every_name_of_the_json_once(pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    base, arch, options = specs_of(pair)
    assert main(["diff", str(base), str(arch), *options]) == 0
    text = capsys.readouterr().out
    assert main(["diff", str(base), str(arch), *options, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    signs = {"new": "+", "gone": "−", "changed": "~"}
    for section in ("layers", "tensors"):
        told = [(sign, name) for sign, name, _ in printed(text, section)]
        assert len(told) > 1
        assert sorted(told) == sorted((signs[status], name) for name, status in statuses(data[section]).items())
    shapes = {row["name"]: [row[side] for side in ("base", "arch") if row[side] is not None] for row in data["tensors"]}
    for _, name, said in printed(text, "tensors"):
        written = ["×".join(map(str, shape)) or "1" for shape in shapes[name]]
        assert said == " → ".join(written)


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_json_has_both_sides_of_everything(shell: Shell) -> None:
    ran = shell("diff", "small.arch", "other.arch", "--json")
    data = json.loads(ran.out)
    assert list(data) == ["differ", "base", "arch", "ratio", "parameters", "inputs", "stages", "layers", "tensors"]
    cost = {"params": 4_237, "macs": 4_202_576, "activations": 24_581}  # 8·3·27 + 16 + 16·8·27 + 32 + 16·5 + 5, …
    assert data["base"] == {"spec": "small.arch", "options": [], "name": "small", **cost, "output": "head.linear"}
    assert data["ratio"]["params"] == 4_525 / 4_237
    assert data["parameters"] == [{"name": "width", "status": "gone", "base": "8", "arch": None}]
    clip = {"kind": "input", "place": 0, "shape": [3, 8, 32, 32], "token": ""}
    assert data["inputs"] == [{"name": "clip", "status": "same", "base": clip, "arch": clip}]
    res3 = {"stage": "res3", "path": None, "shape": [16, 4, 16, 16], "params": 288, "macs": 262_144}
    assert data["stages"][2] == {"name": "res3", "status": "new", "base": None, "arch": res3 | {"activations": 16_384}}
    act = next(row for row in data["layers"] if row["name"] == "res2.act")
    nothing = {"tensors": {}, "params": 0, "macs": 0, "activations": 0}
    base = {"kind": "relu", "attributes": {}, "frozen": False, "frozen_members": [], "inputs": ["res2.bn"]}
    base |= {"shape": [16, 4, 16, 16], "token": "", "tokens": {}, **nothing}
    assert act == {
        "name": "res2.act",
        "status": "changed",
        "base": base,
        "arch": base | {"kind": "gelu", "attributes": {"tanh": False, "quick": False}},
    }
    weight = {"name": "res3.conv.weight", "status": "new", "base": None, "arch": [16, 16, 1, 1, 1]}
    assert weight in data["tensors"]


@pairs
def test_json_agrees_with_each_architecture(pair: str) -> None:
    base, arch, settings = PAIRS[pair]
    one = archdsl.load(SPECS / f"{base}.arch")
    other = archdsl.load(SPECS / f"{arch}.arch", **settings)
    data = difference_json(archdsl.diff(one, other))
    for side, network in (("base", one), ("arch", other)):
        cost = network.cost()
        assert [data[side][k] for k in ("params", "macs", "activations")] == [
            cost[k] for k in ("params", "macs", "activations")
        ]
        tensors = {row["name"]: tuple(row[side]) for row in data["tensors"] if row[side] is not None}
        assert tensors == network.tensors
        rows = [(row[side]["stage"], row[side]["path"], row[side]["macs"]) for row in data["stages"] if row[side]]
        assert rows == [(row["name"], row["path"], row["macs"]) for row in cost["stages"]]
        assert {row["name"] for row in data["layers"] if row[side]} == set(network.graph)
    for name in ("parameters", "inputs", "stages", "layers", "tensors"):
        for row in data[name]:
            there = (row["base"] is not None, row["arch"] is not None)
            same = "same" if row["base"] == row["arch"] else "changed"
            assert row["status"] == {(True, False): "gone", (False, True): "new", (True, True): same}[there]


def test_in_python() -> None:
    one, other = archdsl.load(SPECS / "c2d_r50.arch"), archdsl.load(SPECS / "i3d_r50.arch")
    found = archdsl.diff(one, other)
    inflated = {e.name: e for e in found.layers if e.status != "same"}
    assert len(inflated) == 10  # the stem, and every second bottleneck, of 3, 4, 6 and 3, but all of res2
    assert inflated["res3.2.conv1"].base.attributes["kernel"] == (1, 1, 1)
    assert inflated["res3.2.conv1"].arch.attributes["kernel"] == (3, 1, 1)
    assert found.differ
    assert not archdsl.diff(one, one).differ


# --- what makes two networks differ ----------------------------------------------------------------------------------


SAME = """\
# Told otherwise.
arch another_name
"The same network."
param width = 4, classes = 5
input clip: video[3, 8, 32, 32]   # a clip

stage conv1 { conv(2*width, [3, 3, 3], stride = [2, 2, 2]) -> bn -> relu }
stage res2 {
    conv(16, 3) -> bn
        -> relu as act
}
head: avgpool -> linear(classes)
"""


def test_the_same_network_however_it_is_written(shell: Shell) -> None:
    Path("same.arch").write_text(SAME, "utf-8")
    ran = shell("diff", "small.arch", "same.arch", "--check")
    assert ran.code == 0
    assert ran.out.endswith("\n  +  classes  5\n\nthe two networks are the same\n")
    assert json.loads(shell("diff", "small.arch", "same.arch", "--json").out)["differ"] is False


@pytest.mark.parametrize(
    ("old", "new", "layers"),
    [
        ("conv(4, 3) -> relu\n    two", "conv(4, 3, bias = on) -> relu\n    two", {"one.stem.conv": "changed"}),
        ("conv(6, 3)", "conv(6, 3, init = xavier)", {"one.more.conv": "changed"}),
        ("path one = a\npath two = b", "path one = b\npath two = a", {"one.stem.conv": "changed"}),
        ("more frozen", "more", {"one.more.conv": "changed", "two.more.bn": "changed"}),
        (
            "{ one -> avgpool, two -> avgpool }",
            "{ two -> avgpool, one -> avgpool }",
            {"head.avgpool1": "changed", "head.avgpool2": "changed"},
        ),
        ("frozen {", "frozen {\n    two: relu", {"two.more.relu": "new", "two.more.conv": "changed"}),
    ],
)
def test_each_edit_is_seen(old: str, new: str, layers: dict[str, str]) -> None:
    assert PATHS.count(old) == 1
    data = data_of(PATHS, PATHS.replace(old, new))
    assert data["differ"]
    assert layers.items() <= statuses(data["layers"]).items()


def test_the_order_of_the_inputs_counts() -> None:
    lines = PATHS.splitlines(keepends=True)
    data = data_of(PATHS, "".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert data["differ"]
    assert statuses(data["inputs"]) == {"a": "changed", "b": "changed"}
    assert [row["arch"]["place"] for row in data["inputs"]] == [1, 0]


def test_one_more_block_changes_nothing_behind_its_stage() -> None:
    data = data_of(BLOCKS, BLOCKS.replace("unit(8) * 2", "unit(8) * 3", 1))
    new = {f"one.blocks.2.{name}": "new" for name in ("conv", "bn", "relu", "add")}
    assert statuses(data["layers"]) == new
    names = [row["name"] for row in data["layers"]]
    assert names.index("one.blocks.2.conv") == names.index("one.blocks.1.add") + 1  # where it stands in the data flow


def test_a_parameter_that_only_looks_like_another() -> None:
    one, other = (SMALL.replace("width = 8", f"width = 8, extra = {value}") for value in ("on", "1"))
    assert statuses(data_of(one, other)["parameters"]) == {"extra": "changed"}
    one, other = (SMALL.replace("width = 8", f"width = 8, extra = {value}") for value in ("1/2", "0.5"))
    assert statuses(data_of(one, other)["parameters"]) == {}


def test_a_default_that_is_written_out_changes_nothing() -> None:
    assert not data_of(SMALL, SMALL.replace("linear(5)", "linear(5, init = normal(0.01))"))["differ"]
    assert data_of(SMALL, SMALL.replace("linear(5)", "linear(5, init = normal(0.02))"))["differ"]


def test_the_whole_of_an_axis_is_called_so(shell: Shell) -> None:
    for name, kernel in (("some", "[1, 2, 2]"), ("all", "[1, 2, all]")):
        Path(f"{name}.arch").write_text(SMALL.replace("-> relu }", f"-> avgpool({kernel}) }}"), "utf-8")
    assert " kernel 1×2×2 → 1×2×all\n" in shell("diff", "some.arch", "all.arch").out


# --- exit codes ------------------------------------------------------------------------------------------------------


def test_check(shell: Shell) -> None:
    assert shell("diff", "small.arch", "other.arch", "--check").code == 1
    assert shell("diff", "small.arch", "other.arch", "--check", "--json").code == 1
    assert shell("diff", "small.arch", "--check").code == 0
    ran = shell("diff", "small.arch", "--set", "width=4", "--check")
    assert (ran.code, ran.out) == (1, NARROWER)


@pytest.mark.parametrize("specs", [("small.arch", "faulty.arch"), ("faulty.arch", "small.arch"), ("faulty.arch",)])
def test_faults_of_either_spec_are_shown(shell: Shell, specs: tuple[str, ...]) -> None:
    ran = shell("diff", *specs, "-o", "both.svg")
    assert (ran.code, ran.out) == (1, "")
    assert "faulty.arch:4" in ran.err
    assert not Path("both.svg").exists()


def test_a_wrong_suffix_is_reported_first(shell: Shell) -> None:
    ran = shell("diff", "faulty.arch", "none.arch", "-o", "both.bmp")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "archdsl: both.bmp: a diagram's name ends in .svg, .png, .pdf, .dot or .gv\n"


def test_help(shell: Shell) -> None:
    ran = shell("diff", "--help")
    assert (ran.code, ran.out.split()[:3]) == (0, ["usage:", "archdsl", "diff"])


# --- the picture -----------------------------------------------------------------------------------------------------


def picture_of(base: Analysis, arch: Analysis, level: str) -> Any:
    source = difference_diagram(difference_of(base, arch), base.network, arch.network, level).source
    return pygraphviz.AGraph(string=source)


def marks_of(graph: Any) -> dict[str, str]:
    """The mark of each box, where its look, its class and its words agree that there is one."""
    looks = {
        "changed": ("2.2", "1", ""),
        "follows": ("1.4", "1", "dotted"),
        "new": ("3", "1", ""),
        "gone": ("2.2", "1", "dashed"),
    }
    found: dict[str, str] = {}
    for node in graph.nodes():
        classes, label = (node.attr["class"] or "").split(), text_of(node.attr["label"] or "")
        if "box" not in classes or node.attr["shape"] == "plaintext":
            continue
        found[str(node)] = mark = classes[-1] if classes[-1] in looks else ""
        assert (label.split("|")[-1].split()[-1] in looks) == bool(mark)
        if mark:
            assert label.endswith(mark)
            assert (node.attr["penwidth"], node.attr["peripheries"] or "1") == looks[mark][:2]
            assert looks[mark][2] in (node.attr["style"] or "")
    return found


def mark_of(statuses: set[str], *, alone: bool) -> str:
    """The mark of a box with layers of some statuses; `alone` if the other side has no box of its name."""
    if statuses <= {"same", "follows"}:
        return "follows" if "follows" in statuses else ""
    return min(statuses) if alone and len(statuses) == 1 else "changed"


@pairs
def test_marked_stages_are_those_whose_layers_differ(pair: str) -> None:
    base, arch = pair_of(pair)
    layers = statuses_of(difference_of(base, arch))
    marks = marks_of(picture_of(base, arch, "stage"))
    boxes = {side: {n.removeprefix(f"{side}.") for n in marks if n.startswith(f"{side}.")} for side in ("base", "spec")}
    every = boxes["base"] | boxes["spec"]
    for side, other, own in (("base", "spec", base), ("spec", "base", arch)):
        names = {n.name for n in own.network.all_nodes()}
        for box in boxes[side]:
            inside = {n for n in layers if n == box or (n.startswith(f"{box}.") and n not in every - {box})}
            seen = {layers[n] for n in inside & names}
            assert seen, box
            alone = box not in boxes[other]
            assert marks[f"{side}.{box}"] == mark_of(seen if alone else {layers[n] for n in inside}, alone=alone)
    assert any(marks.values())


def test_marked_layers_are_those_that_the_difference_names() -> None:
    """Without repeats each layer is drawn: in a cell of its own, with the word behind it, or in an ellipse."""
    base, arch = analysed(SMALL), analysed(OTHER)
    graph = picture_of(base, arch, "layer")
    found: dict[str, dict[str, int]] = {}
    for node in graph.nodes():
        label = node.attr["label"] or ""
        side = str(node).split(".")[0]
        for word in re.findall(r"<b>(changed|follows|new|gone)</b>", label):
            found.setdefault(side, {}).setdefault(word, 0)
            found[side][word] += 1
    assert found == {"base": {"changed": 1, "follows": 2}, "spec": {"changed": 1, "follows": 2, "new": 4}}
    cells = {t for n in graph.nodes() for t in re.findall(r"<td [^>]*>(.*?)</td>", n.attr["label"] or "")}
    assert {text_of(c).split()[0] for c in cells if "<b>new</b>" in c} == {"conv", "bn", "relu", "dropout"}
    assert {text_of(c).split()[0] for c in cells if "<b>changed</b>" in c} == {"relu", "gelu"}
    assert {text_of(c).split()[0] for c in cells if "<b>follows</b>" in c} == {"avgpool", "linear"}


def test_a_block_is_marked_by_its_own_layers_and_what_it_lacks() -> None:
    marks = marks_of(picture_of(*pair_of("inflated"), "block"))
    assert marks["base.res3.1"] == "changed"  # it stands for res3.2, too
    assert (marks["spec.res3.1"], marks["spec.res3.2"], marks["spec.res3.3"]) == ("", "changed", "")
    more = BLOCKS.replace("unit(8) * 2", "unit(8) * 3", 1)
    marks = marks_of(picture_of(analysed(BLOCKS), analysed(more), "block"))
    assert {name for name, mark in marks.items() if mark} == {"base.one.blocks.0", "spec.one.blocks.0"}


@pytest.mark.parametrize("rates", [("0", "0.5"), ("0.5", "0")])
def test_a_layer_that_is_not_drawn_marks_its_box(rates: tuple[str, str]) -> None:
    base, arch = (analysed(OTHER.replace("dropout(0.5)", f"dropout({rate})")) for rate in rates)
    marks = marks_of(picture_of(base, arch, "stage"))
    assert {name: mark for name, mark in marks.items() if mark} == {"base.head": "changed", "spec.head": "changed"}


def test_nothing_is_marked_where_nothing_differs() -> None:
    base = analysed(SMALL)
    assert set(marks_of(picture_of(base, base, "stage")).values()) == {""}


def test_the_base_stands_left_and_stages_of_one_name_are_level() -> None:
    graph = picture_of(*pair_of("path dropped"), "stage")
    place = {str(n): tuple(map(float, n.attr["pos"].split(","))) for n in graph.nodes() if n.attr["pos"]}
    assert max(x for n, (x, _) in place.items() if n.startswith("base.")) < min(
        x for n, (x, _) in place.items() if n.startswith("spec.")
    )
    for stage in ("conv1", "res2", "res3", "res4", "res5"):
        tops = [
            place[n][1] + 36 * float(graph.get_node(n).attr["height"])
            for n in (f"base.slow.{stage}", f"spec.slow.{stage}")
        ]
        assert tops[0] == pytest.approx(tops[1], abs=0.1)
    labels = {str(n): text_of(n.attr["label"] or "") for n in graph.nodes()}
    assert labels["base.title0"] == "base  slowfast_r50"
    assert labels["spec.title0"] == "spec  slow_r50"
    assert ".key.convolution" in labels
    used = {mark for mark in marks_of(graph).values() if mark}
    assert {word for word in ("changed", "follows", "new", "gone") if f".key.{word}" in labels} == used


def test_the_inputs_stand_above_what_takes_them() -> None:
    graph = picture_of(*pair_of("inflated"), "stage")
    for side in ("base", "spec"):
        clip, first = (graph.get_node(f"{side}.{n}").attr["pos"].split(",")[0] for n in ("clip", "conv1"))
        assert float(clip) == pytest.approx(float(first), abs=1)


@pytest.mark.parametrize("swapped", [False, True])
def test_stages_in_another_order_can_be_drawn(swapped: bool) -> None:
    stages = ["stage a { conv(4, 3) -> relu }\n", "stage b { conv(4, 3) -> bn }\n", "stage c { conv(4, 1) }\n"]
    text = "arch s\ninput clip: video[3, 8, 16, 16]\n{}head: avgpool -> linear(5)\n"
    order = reversed(stages) if swapped else stages
    base, arch = analysed(text.format("".join(stages))), analysed(text.format("".join(order)))
    picture = difference_diagram(difference_of(base, arch), base.network, arch.network)
    graph = pygraphviz.AGraph(string=picture.source)
    for side in ("base", "spec"):  # still from top to bottom in the order of data flow
        names = ["a", "b", "c"] if side == "base" or not swapped else ["c", "b", "a"]
        heights = [float(graph.get_node(f"{side}.{n}").attr["pos"].split(",")[1]) for n in names]
        assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("level", ["stage", "block", "layer"])
@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "dot"])
def test_every_level_and_format(shell: Shell, level: str, suffix: str) -> None:
    start = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph small_other {"}[suffix]
    ran = shell("diff", "small.arch", "other.arch", "-o", f"both.{suffix}", "--level", level)
    assert (ran.code, ran.out) == (0, LATER)
    assert Path(f"both.{suffix}").read_bytes().startswith(start)


def test_there_are_three_levels() -> None:
    base = analysed(SMALL)
    with pytest.raises(ValueError, match="level = 'atom': expected 'stage' or 'block' or 'layer'"):
        difference_diagram(difference_of(base, base), base.network, base.network, "atom")


def test_the_same_bytes_for_every_hash_seed(tmp_path: Path) -> None:
    base, arch, _ = specs_of("other family")
    found: set[tuple[str, bytes]] = set()
    for seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        output = tmp_path / f"{seed}.dot"
        command = [sys.executable, "-m", "archdsl", "diff", str(base), str(arch), "-o", str(output), "--level", "layer"]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
        found.add((done.stdout, output.read_bytes()))
    assert len(found) == 1
