"""Maps of names: those that archdsl brings along, rules and axes, and which map a spec has."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from error_documents import fences, write_files
from hypothesis import given
from hypothesis import strategies as st
from mapped import FLAT, MAP, SOURCE
from repository import ROOT

import archdsl
from archdsl.core.report import Reporter
from archdsl.core.source import Source
from archdsl.elaborate.resolve import Resolver
from archdsl.files import FileLibrary, read_source
from archdsl.ir.tensors import tensors
from archdsl.pipeline import analyse, plan_weights
from archdsl.weights.fit import check_tensors
from archdsl.weights.parse import parse_map
from archdsl.weights.rules import Matcher, any_of, expression
from archdsl.weights.shapes import change
from archdsl.weights.sources import names_of

if TYPE_CHECKING:
    from command_line import Shell

    from archdsl import Architecture
    from archdsl.weights.plan import Plan
    from archdsl.weights.tree import Axes, WeightMap

SPECS = sorted([*(ROOT / "specs").glob("*.arch"), *(ROOT / "specs" / "images").glob("*.arch")])
MAPS = [p for p in sorted((ROOT / "specs" / "weights").glob("*.weights")) if not p.stem.startswith("transfer_")]
# What else rules are for than what the specs say.
ALSO: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "pyslowfast_resnet": [("i3d_r50_nl1", {"kv_pool": [1, 1, 1]})],
    "mmaction2_i3d": [("i3d_r50_nl1", {"pairwise": name}) for name in ("gaussian", "dot_product", "concatenation")],
    "mmaction2_slow": [("slow_r50_nl", {"pairwise": name}) for name in ("gaussian", "concatenation")],
    "mmaction2_tsm_nl": [("tsm_r50_nl", {"pairwise": "gaussian"})],
    "pyslowfast_mvit": [("mvit_b_16x4", {"positions": "joint"})],
    "pytorchvideo_mvit": [("mvit_b_16x4", {"positions": "joint"})],
    "huggingface_videomae_pretrain": [("videomae_b_pretrain", {"encoder_norm": True})],
    "mmaction2_mvit": [("mvitv2_s_16x4", values) for values in ({"positions": "joint"}, {"wide_attention": False})],
}


# --- the maps that archdsl brings along ------------------------------------------------------------------------------


def load(spec: str, **values: Any) -> Architecture:
    """One of the specs that archdsl brings along."""
    return archdsl.load(ROOT / "specs" / f"{spec}.arch", **values)


@cache
def lineages() -> dict[Path, list[str]]:
    """The names of each spec and of those that it extends."""
    return {path: names_of(Resolver(FileLibrary(), Reporter()).resolve(read_source(path))) for path in SPECS}


def planned(spec: Path, source: str) -> Plan:
    """The plan for a spec that is like the source, which covers all tensors of both sides."""
    analysis = analyse(read_source(spec), FileLibrary(), like=source)
    plan = plan_weights(analysis, FileLibrary(), source, "--from")
    assert plan.ours == tensors(analysis.network), spec
    assert len(plan.theirs) == sum(len(move.theirs) for move in plan.moves), spec
    return plan


@pytest.mark.parametrize("file", MAPS, ids=lambda p: p.stem)
def test_a_map_is_total_and_every_rule_and_name_of_it_is_used(file: Path) -> None:
    weights = parse_map(read_source(file))
    assert weights.doc
    names = {spec.stem for spec in SPECS}
    assert {w.text for w in (*weights.specs, *weights.excluded)} <= names
    assert {w.text for need in weights.needs for w in need.specs} <= names
    matcher = Matcher(weights)
    used: set[int] = set()
    named: set[str] = set()
    source, of, but = weights.source.text, {w.text for w in weights.specs}, {w.text for w in weights.excluded}
    plans = [planned(spec, source) for spec, line in lineages().items() if of & {*line} and not but & {*line}]
    plans = [p for p in plans if p.weights is not None and p.weights.text.name == str(file)]
    for spec, values in ALSO.get(file.stem, ()):
        plans.append(load(spec, like=source, **values).plan_weights(source))
    for plan in plans:
        used.update(m.rule.span.start for name in plan.ours for m in matcher.matches(name))
        named.update(plan.theirs, plan.aliases.name_of)
    assert [r.span.text for r in weights.rules if r.span.start not in used] == []
    assert unused(weights, matcher, named) == []


def unused(weights: WeightMap, matcher: Matcher, named: set[str]) -> list[str]:
    """Other names and patterns of numbers in a map that no tensor needs."""
    found = [a.span.text for a in weights.aliases if not any(map(any_of([a.of], weights).fullmatch, named))]
    for number in weights.numbers.values():
        for pattern in number.patterns:
            bare = re.compile(expression(pattern, replace(weights, numbers={}), 0, named=False))
            if not any(map(bare.fullmatch, matcher.numbers[number.name.text])):
                found.append(pattern.span.text)
    return found


def test_what_is_for_nothing_is_found() -> None:
    """The test of archdsl's own maps would find it."""
    lines = "or layers.{i}.x = blocks.{i}.x\nalso all.{t} = blocks.{t}.{i*}\n"
    weights = parse_map(Source("map", FLAT.replace("neck\n", "neck, neck{i}\n") + lines))
    matcher = Matcher(weights)
    for name in ("stage1.0.conv.weight", "stage2.blocks.0.conv.weight", "neck.conv.weight"):
        matcher.matches(name)
    named = {"blocks.0.conv.weight", "blocks.0.norm.weight", "blocks.0.attn.conv.weight", "fc.bias"}
    assert unused(weights, matcher, named) == ["or layers.{i}.x = blocks.{i}.x", "neck{i}"]


@pytest.mark.parametrize(
    ("spec", "source", "changed"),
    [
        ("slowfast_r50", "pyslowfast", "sampling=stride"),
        ("slowfast_r50", "pytorchvideo", "fast_first=on"),
        ("slow_r50_nl", "pyslowfast", "kv_pool_first=off"),
        ("c2d_r50", "pyslowfast", "pool1_padding=valid"),
        ("c2d_r50", "mmaction2", "pool1_padding=half"),
        ("slowfast_r50", "mmaction2", "fast_first=off"),
        ("i3d_r50", "mmaction2", "pool1_padding=valid"),
        ("images/vit_b16", "torchvision", "tanh=on"),
        ("r3d_18", "torchvision", "eps=1e-3"),
        ("r2plus1d_18", "torchvision", "middle_eps=1e-3"),
        ("r2plus1d_18", "vmz", "eps=1e-5"),
        ("r2plus1d_34", "mmaction2", "stem_pool=off"),
    ],
)
def test_network_that_computes_something_else_is_refused(spec: str, source: str, changed: str) -> None:
    """Though its tensors have the same names and shapes."""
    name, _, value = changed.partition("=")
    like = load(spec, like=source)
    other = load(spec, like=source, **{name: value})
    if name != "kv_pool_first":
        assert like.tensors == other.tensors
    with pytest.raises(archdsl.SpecError, match="E0806"):
        other.plan_weights(source)


@pytest.mark.parametrize(
    ("spec", "source", "changed"),
    [
        ("c2d_r50", "pyslowfast", "pool2=off"),
        ("i3d_r50_nl1", "pyslowfast", "pairwise=dot_product"),
        ("i3d_r50_nl5", "pyslowfast", "kv_pool=[1, 1, 1]"),
        ("r3d_18", "torchvision", "middle_of_block=on"),
        ("r3d_18", "vmz", "stem_middle=83"),
        ("slowfast_r50", "pyslowfast", "alpha=8"),
        ("mvit_b_16x4", "pyslowfast", "pool=max"),
        ("mvitv2_s_16x4", "torchvision", "table_crop=312"),
    ],
)
def test_what_the_source_leaves_open_can_be_set(spec: str, source: str, changed: str) -> None:
    name, _, value = changed.partition("=")
    plan = load(spec, like=source, **{name: value}).plan_weights(source)
    assert plan.theirs
    assert plan.warnings == ()


# Settings of the sources' own configurations, found in their code: what is published is one value of several.
CHOICES = [
    ("c2d_r50", "mmaction2", "pool2=off"),  # c2d_r50-in1k-pre-nopool, and tsn_imagenet-pretrained-r50
    ("c2d_r101", "mmaction2", "pool2=on"),  # C2D(depth=101)
    ("slowfast_r50", "mmaction2", "lateral_norm=on"),  # lateral_norm of ResNet3dPathway
    ("slowfast_r101", "mmaction2", "lateral_kernel=5"),  # fusion_kernel
    ("slow_r50_nl", "mmaction2", "pairwise=gaussian"),  # mode of NonLocal3d
    ("slow_r50_nl", "mmaction2", "pairwise=concatenation"),
    ("slow_r50_nl", "mmaction2", "kv_pool=[1, 1, 1]"),  # sub_sample
    ("slow_r50_nl", "mmaction2", "non_local=[[], [1, 3], [1, 3, 5], []]"),
    ("i3d_r50", "mmaction2", "stem_stride=1"),  # conv1_stride_t
    ("i3d_r50", "mmaction2", "pool1_stride=1"),  # pool1_stride_t
    ("i3d_r50", "mmaction2", "pool2=off"),  # with_pool2
    ("i3d_r50_nl5", "mmaction2", "scale=on"),  # use_scale
    ("i3d_r50_nl5", "mmaction2", "kv_pool=[1, 1, 1]"),
    ("r2plus1d_34", "mmaction2", "eps=1e-5"),  # norm_cfg
    ("i3d_r50", "pytorchvideo", "stem_stride=2"),  # stem_conv_stride of create_resnet
    ("slowfast_r50", "pytorchvideo", "lateral_norm=off"),  # norm=None of FastToSlowFusionBuilder
    ("vivit_b_joint", "huggingface", "tanh=off"),  # hidden_act
    ("images/vit_b16", "huggingface", "eps=1e-6"),  # layer_norm_eps
    ("images/vit_b16", "timm", "tanh=on"),  # act_layer
    ("i3d_r101_nl5", "pyslowfast", "non_local=[[], [0], [], []]"),  # NONLOCAL.LOCATION
]


@pytest.mark.parametrize(("spec", "source", "changed"), CHOICES)
def test_what_a_configuration_chooses_is_converted_with_a_warning(spec: str, source: str, changed: str) -> None:
    name, _, value = changed.partition("=")
    plan = load(spec, like=source, **{name: value}).plan_weights(source)
    assert {name for d in plan.warnings if f"have {name} =" in (d.label or "")} == {name}
    assert {d.code for d in plan.warnings} == {"W0801"}


def test_a_network_without_pooling_over_time_is_that_of_images() -> None:
    """TSN and C2D without pooling are torchvision's ResNet for each frame, whose first pooling pads by 1."""

    def layers(arch: Architecture) -> list[Any]:
        nodes = (n for n in arch._analysis.network.all_nodes() if n.layer.kind != "dropout")
        return [(n.name, n.layer.kind, n.layer.values(), n.shape) for n in nodes]

    tsn = load("c2d_r50", like="mmaction2", pool2=False, frames=1, classes=1000)
    assert layers(tsn) == layers(load("images/resnet50", like="torchvision"))


def test_values_of_the_spec_itself_are_kept(tmp_path: Path) -> None:
    (tmp_path / "tsn.arch").write_text("arch tsn extends c2d_r50\nparam pool2 = off\n")
    arch = archdsl.load(tmp_path / "tsn.arch", like="mmaction2")
    assert "pool2" not in arch.source()
    assert arch.plan_weights("mmaction2").warnings == ()
    (tmp_path / "mine.arch").write_text("arch mine extends slowfast_r50\nparam fast_first = off\n")
    mine = archdsl.load(tmp_path / "mine.arch")
    with pytest.raises(archdsl.SpecError, match="E0806"):
        mine.plan_weights("mmaction2")


def test_two_streams_have_the_names_of_both() -> None:
    both = load("i3d_two_stream", like="pytorch_i3d").plan_weights("pytorch_i3d").theirs
    streams = {"rgb": "i3d_inception_rgb", "flow": "i3d_inception_flow"}
    alone = {stream: load(spec).plan_weights("pytorch_i3d").theirs for stream, spec in streams.items()}
    assert both == {f"{stream}.{n}": shape for stream, tensors in alone.items() for n, shape in tensors.items()}


def test_one_checkpoint_for_a_network_of_several() -> None:
    plan = load("i3d_two_stream").plan_weights("pytorch_i3d")
    with pytest.raises(archdsl.SpecError, match="by its part of the network: rgb=FILE flow=FILE"):
        check_tensors(plan, load("i3d_inception_rgb").plan_weights("pytorch_i3d").theirs, "rgb.pt")


def test_a_source_with_the_same_names_is_not_suggested() -> None:
    """The names do not tell torchvision's from VMZ's."""
    plan = load("r3d_18", like="torchvision").plan_weights("torchvision")
    other = load("r3d_18", like="torchvision", classes=101).plan_weights("torchvision").theirs
    with pytest.raises(archdsl.SpecError, match="`--set classes=101` makes the network match the checkpoint"):
        check_tensors(plan, other, "r3d_18.pth")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.stem)
def test_maps_of_the_documentation(page: Path, tmp_path: Path) -> None:
    parts = fences(page.read_text("utf-8"))
    for spec, weights in pairwise(parts):
        if weights.kind == "weights" and weights.text.startswith("transfer"):
            assert parse_map(Source("map", weights.text)).transfers  # it is for published specs
        elif weights.kind == "weights":
            write_files([spec, weights], tmp_path)
            source = weights.text.split()[1]
            archdsl.load(tmp_path / "spec.arch", like=source).plan_weights(source)


# --- rules and axes --------------------------------------------------------------------------------------------------


def axes(text: str) -> Axes:
    """The axes of a rule."""
    found = parse_map(Source("map", f"weights a for b\nx = y : {text}")).rules[0].axes
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        ("o i -> o i 1 1 1", (4, 6), (4, 6, 1, 1, 1)),
        ("o i 1 h w -> o i h w", (4, 6, 1, 3, 2), (4, 6, 3, 2)),
        ("a b c -> (c a) b", (4, 6, 5), (20, 6)),
        ("(a b) c -> b c a with a = 3", (12, 5), (4, 5, 3)),
        ("a -> 1 1 a", (7,), (1, 1, 7)),
        ("(a b) -> (b a) with a = 2, b = 3", (6,), (6,)),
    ],
)
def test_axes(text: str, ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    step = change(axes(text), ours)
    assert step.end == theirs
    back = step.back()
    assert back.end == ours
    value = torch.randn(ours)
    there = value.reshape(step.split).permute(step.order).reshape(step.end)
    assert there.shape == theirs
    assert torch.equal(there.reshape(back.split).permute(back.order).reshape(back.end), value)
    # einops has the same notation
    from einops import rearrange

    pattern, _, sizes = text.partition(" with ")
    given = {k.strip(): int(v) for k, v in (s.split("=") for s in sizes.split(",") if s)}
    assert torch.equal(rearrange(value, pattern, **given), there)


@given(
    st.text(max_size=60) | st.text("{}*|.,=:ab1 \n", max_size=60),
    st.sampled_from(["", *(f"weights a for b\n{s}" for s in ("", "x.{t} = ", "number t = ", "also ", "or "))]),
)
def test_no_text_breaks_the_parser(text: str, before: str) -> None:
    with suppress(archdsl.SpecError):
        parse_map(Source("map", before + text))


# --- which map, and what it needs ------------------------------------------------------------------------------------


def test_nearest_map_counts(folder: Path) -> None:
    (folder / "child.arch").write_text("arch child extends net\nparam classes = 6\n")
    (folder / "grandchild.arch").write_text("arch grandchild extends child\nparam classes = 6\n")
    (folder / "other.arch").write_text("arch other extends net\nparam classes = 6\n")
    (folder / "weights" / "b.weights").write_text(MAP.replace("for net", "for child").replace("blocks", "stages"))
    for name, first in [("net", "blocks"), ("child", "stages"), ("grandchild", "stages"), ("other", "blocks")]:
        plan = archdsl.load(folder / f"{name}.arch", like="theirs").plan_weights("theirs")
        assert next(iter(plan.theirs)).startswith(first)


def test_excluded_specs_have_no_map(folder: Path) -> None:
    (folder / "child.arch").write_text("arch child extends net\nparam classes = 6\n")
    (folder / "weights" / "theirs.weights").write_text(MAP.replace("for net", "for net except child"))
    archdsl.load(folder / "net.arch", like="theirs")
    with pytest.raises(archdsl.SpecError, match="E0801"):
        archdsl.load(folder / "child.arch", like="theirs")


def test_needs_of_the_nearest_spec_count(folder: Path) -> None:
    (folder / "child.arch").write_text("arch child extends net\nparam classes = 6\n")
    needs = "param eps = 1e-5\nparam for child: eps = 1e-6, classes = 4"
    (folder / "weights" / "theirs.weights").write_text(MAP.replace("param eps = 1e-5", needs))
    assert "eps=1e-06" in archdsl.load(folder / "child.arch", like="theirs").source()
    assert "eps=" not in archdsl.load(folder / "net.arch", like="theirs").source().partition("import torch")[2]


def test_what_the_user_sets_counts_more(folder: Path) -> None:
    arch = archdsl.load(folder / "net.arch", like="theirs", eps=0.01)
    assert "eps=0.01" in arch.source()
    with pytest.raises(archdsl.SpecError, match="do not set it") as caught:
        arch.plan_weights("theirs")
    assert [d.code for d in caught.value.diagnostics] == ["E0806"]


def test_a_parameter_that_changes_nothing_can_differ(folder: Path) -> None:
    """The network decides, not what it is made from."""
    (folder / "weights" / "theirs.weights").write_text(MAP.replace("param eps", "param rare = 1\nparam eps"))
    archdsl.load(folder / "net.arch", eps=1e-5, rare=2).plan_weights(SOURCE)
    with pytest.raises(archdsl.SpecError, match="rare = 1; this network has 3"):
        archdsl.load(folder / "net.arch", eps=1e-5, rare=3).plan_weights(SOURCE)


def test_command_in_the_module_makes_it_again(folder: Path, shell: Shell) -> None:
    arguments = ("compile", folder / "net.arch", "--like", "theirs", "--set", "classes=7")
    assert shell(*arguments, "-o", "net.py").code == 0
    text = Path("net.py").read_text("utf-8")
    assert f"#     archdsl compile {folder / 'net.arch'} --like theirs --set classes=7 -o net.py\n" in text
    assert shell(*arguments, "-o", "net.py", "--check").code == 0
    assert shell("compile", folder / "net.arch", "--set", "classes=7", "-o", "net.py", "--check").code == 1


def test_like_is_taken_by_all_commands_of_specs(folder: Path, shell: Shell) -> None:
    for command in (["check"], ["cost"], ["compile"], ["draw", "-o", "x.dot"]):
        assert shell(*command, folder / "net.arch", "--like", "theirs").code == 0
        ran = shell(*command, folder / "net.arch", "--like", "nobody")
        assert ran.code == 1
        assert "E0801" in ran.err
