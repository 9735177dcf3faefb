"""Maps of names and what is done with them: rules, plans, checkpoints of all kinds, and the commands."""

from __future__ import annotations

import json
import os
import pickle
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from command_line import Ran, Shell
from error_documents import fences, write_files
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import archdsl
from archdsl.core.report import Reporter
from archdsl.core.source import Source
from archdsl.elaborate.program import Resolver
from archdsl.files import FileLibrary, read_source
from archdsl.pipeline import analyse, plan_weights
from archdsl.weights.checkpoint import state_dict_of
from archdsl.weights.fit import fit
from archdsl.weights.parse import parse_map
from archdsl.weights.rules import Matcher, any_of, expression
from archdsl.weights.shapes import change
from archdsl.weights.sources import all_maps

if TYPE_CHECKING:
    from archdsl import Architecture
    from archdsl.weights.plan import Plan
    from archdsl.weights.tree import Axes, WeightMap

SPECS = sorted([*(ROOT / "specs").glob("*.arch"), *(ROOT / "specs" / "images").glob("*.arch")])
MAPS = [p for p in sorted((ROOT / "specs" / "weights").glob("*.weights")) if not p.stem.startswith("transfer_")]
NET = """\
arch net
param classes = 6, eps = 1e-3, rare = 1
input clip: video[3, 4, 8, 8]
stage conv1 { conv(8, 3) -> bn(eps = eps) -> relu }
stage res2 { conv(8, 1 if rare < 3 else 3) -> bn(eps = eps) -> relu }
head: avgpool -> linear(classes)
"""
MAP = """\
weights theirs for net
"The zoo of another project."
param eps = 1e-5
words n = conv1: 0, res2: 1
words moment = weight: scale, running_mean: mean, running_var: var, num_batches_tracked: seen
{n}.conv.{t} = blocks.{n}.conv3d.{t} : o i t h w -> t h w i o
{n}.bn.{moment} = blocks.{n}.norm.{moment}
{conv1|res2}.bn.bias = norms.bias : c -> 1 c
head.linear.weight = {first|second}.weight
    : o i -> i 1 o
head.linear.bias = fc.bias
drop aux.{any*}
"""
SOURCE = "theirs"
# What else rules are for than what the specs say.
ALSO: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "pyslowfast_resnet": [("i3d_r50_nl1", {"kv_pool": [1, 1, 1]})],
    "mmaction2_i3d": [("i3d_r50_nl1", {"pairwise": name}) for name in ("gaussian", "dot_product", "concatenation")],
    "mmaction2_slow": [("slow_r50_nl", {"pairwise": name}) for name in ("gaussian", "concatenation")],
    "pyslowfast_mvit": [("mvit_b_16x4", {"positions": "joint"})],
    "pytorchvideo_mvit": [("mvit_b_16x4", {"positions": "joint"})],
    "mmaction2_mvit": [("mvitv2_s_16x4", values) for values in ({"positions": "joint"}, {"wide_attention": False})],
}


# --- the maps that archdsl brings along ------------------------------------------------------------------------------


def load(spec: str, **values: Any) -> Architecture:
    """One of the specs that archdsl brings along."""
    return archdsl.load(ROOT / "specs" / f"{spec}.arch", **values)


@cache
def sources_of(spec: Path) -> list[str]:
    """The sources that a spec has maps of."""
    program = Resolver(FileLibrary(), Reporter()).resolve(read_source(spec))
    return [weights.source.text for weights in all_maps(program, FileLibrary())]


@cache
def planned(spec: Path, source: str) -> Plan:
    """The plan for a spec that is like the source."""
    analysis = analyse(read_source(spec), FileLibrary(), like=source)
    return plan_weights(analysis, FileLibrary(), source, "--from")


@pytest.mark.parametrize("spec", SPECS, ids=lambda p: p.stem)
def test_maps_are_total(spec: Path) -> None:
    for source in sources_of(spec):
        plan = planned(spec, source)
        assert plan.ours == archdsl.load(spec, like=source).tensors, source
        assert len(plan.theirs) == sum(len(move.theirs) for move in plan.moves), source


@pytest.mark.parametrize("file", MAPS, ids=lambda p: p.stem)
def test_every_rule_and_name_of_a_map_is_used(file: Path) -> None:
    weights = parse_map(read_source(file))
    assert weights.doc
    names = {spec.stem for spec in SPECS}
    assert {w.text for w in (*weights.specs, *weights.excluded)} <= names
    assert {w.text for need in weights.needs for w in need.specs} <= names
    matcher = Matcher(weights)
    used: set[int] = set()
    named: set[str] = set()
    source = weights.source.text
    plans = [planned(spec, source) for spec in SPECS if source in sources_of(spec)]
    plans = [p for p in plans if p.weights is not None and p.weights.text.name == str(file)]
    for spec, values in ALSO.get(file.stem, ()):
        plans.append(load(spec, like=source, **values).plan_weights(source))
    for plan in plans:
        used.update(m.rule.span.start for name in plan.ours for m in matcher.matches(name))
        named.update(plan.theirs, plan.aliases.meant)
    assert [r.span.text for r in weights.rules if r.span.start not in used] == []
    assert unused(weights, matcher, named) == []


def unused(weights: WeightMap, matcher: Matcher, named: set[str]) -> list[str]:
    """What a map says of other names and of numbers for nothing."""
    found = [a.span.text for a in weights.aliases if not any(map(any_of([a.of], weights).fullmatch, named))]
    for number in weights.numbers.values():
        for pattern in number.patterns:
            bare = re.compile(expression(pattern, replace(weights, numbers={}), 0, named=False))
            if not any(map(bare.fullmatch, matcher.numbers[number.name.text])):
                found.append(pattern.span.text)
    return found


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
    assert {name for d in plan.warnings if f"publishes checkpoints with {name} =" in (d.label or "")} == {name}
    assert {d.code for d in plan.warnings} == {"W0801"}


def test_a_network_without_pooling_over_time_is_that_of_images() -> None:
    """TSN and C2D without pooling are torchvision's ResNet for each frame, whose first pooling pads by 1."""

    def layers(arch: Architecture) -> list[Any]:
        nodes = (n for n in arch._analysis.network.all_nodes() if n.layer.kind != "dropout")
        return [(n.name, n.layer.kind, n.layer.values(), n.shape) for n in nodes]

    tsn = load("c2d_r50", like="mmaction2", pool2=False, frames=1, classes=1000)
    assert layers(tsn) == layers(load("images/resnet50", like="torchvision"))


def test_a_spec_that_says_otherwise_itself_keeps_it(tmp_path: Path) -> None:
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
    with pytest.raises(archdsl.SpecError, match="several checkpoints, as rgb=FILE flow=FILE"):
        fit(plan, load("i3d_inception_rgb").plan_weights("pytorch_i3d").theirs, "rgb.pt")


def test_a_source_with_the_same_names_is_not_suggested() -> None:
    """The names do not tell torchvision's from VMZ's."""
    plan = load("r3d_18", like="torchvision").plan_weights("torchvision")
    other = load("r3d_18", like="torchvision", classes=101).plan_weights("torchvision").theirs
    with pytest.raises(archdsl.SpecError, match="`--set classes=101` makes the network like it"):
        fit(plan, other, "r3d_18.pth")


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


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec with a map."""
    (tmp_path / "net.arch").write_text(NET)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "theirs.weights").write_text(MAP)
    return tmp_path


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
    assert "eps" not in archdsl.load(folder / "net.arch", like="theirs").source().partition("import torch")[2]


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
    with pytest.raises(archdsl.SpecError, match="rare = 1; in this network it is 3"):
        archdsl.load(folder / "net.arch", eps=1e-5, rare=3).plan_weights(SOURCE)


def test_command_in_the_module_makes_it_again(folder: Path, shell: Shell) -> None:
    arguments = ("compile", folder / "net.arch", "--like", "theirs", "--set", "classes=7")
    assert shell(*arguments, "-o", "net.py").code == 0
    text = Path("net.py").read_text("utf-8")
    assert "#     archdsl compile net.arch --like theirs --set classes=7\n" in text
    assert shell(*arguments, "-o", "net.py", "--check").code == 0
    assert shell("compile", folder / "net.arch", "--set", "classes=7", "-o", "net.py", "--check").code == 1


def test_like_is_taken_by_all_commands_of_specs(folder: Path, shell: Shell) -> None:
    for command in (["check"], ["cost"], ["compile"], ["draw", "-o", "x.dot"]):
        assert shell(*command, folder / "net.arch", "--like", "theirs").code == 0
        ran = shell(*command, folder / "net.arch", "--like", "nobody")
        assert ran.code == 1
        assert "E0801" in ran.err


# --- tensors ---------------------------------------------------------------------------------------------------------


def checkpoint_of(arch: Architecture, counted: bool = True) -> dict[str, torch.Tensor]:
    """A checkpoint that the map is for."""
    tensors = arch.plan_weights(SOURCE).theirs.items()
    kept = [(n, s) for n, s in tensors if counted or not n.endswith("seen")]
    return {n: torch.rand(s) if s else torch.tensor(7) for n, s in kept}


@pytest.fixture
def arch(folder: Path) -> Architecture:
    return archdsl.load(folder / "net.arch", like=SOURCE)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """To the bit, of the same type, under the same names in the same order."""
    return list(one) == list(other) and all(
        torch.equal(other[n], t) and other[n].dtype == t.dtype for n, t in one.items()
    )


@pytest.mark.parametrize("counted", [True, False], ids=["counters", "no counters"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_there_and_back(arch: Architecture, counted: bool, dtype: torch.dtype) -> None:
    checkpoint = checkpoint_of(arch, counted)
    checkpoint = {n: t.to(dtype) if t.is_floating_point() else t for n, t in checkpoint.items()}
    converted = archdsl.convert_weights(arch, checkpoint, SOURCE)
    model = arch.build().to(dtype)
    model.load_state_dict(converted, strict=True)
    assert all(t.is_contiguous() for t in converted.values())
    assert torch.equal(converted["conv1.conv.weight"], checkpoint["blocks.0.conv3d.weight"].permute(4, 3, 0, 1, 2))
    assert torch.equal(converted["res2.bn.bias"], checkpoint["norms.bias"][1])
    assert torch.equal(converted["head.linear.weight"][3:], checkpoint["second.weight"][:, 0].T)
    back = archdsl.revert_weights(arch, converted, SOURCE)
    assert equal({n: back[n] for n in checkpoint}, checkpoint)
    assert back.keys() == checkpoint.keys()


def test_what_is_converted_is_a_copy(arch: Architecture) -> None:
    checkpoint = checkpoint_of(arch)
    converted = archdsl.convert_weights(arch, checkpoint, SOURCE)
    own = archdsl.convert_weights(arch, converted, "archdsl")
    for tensors in (checkpoint, converted):
        before = own["head.linear.bias"].clone()
        tensors["fc.bias" if "fc.bias" in tensors else "head.linear.bias"].zero_()
        assert torch.equal(own["head.linear.bias"], before)


def test_parameters_of_a_module_are_taken(arch: Architecture) -> None:
    parameters = {n: torch.nn.Parameter(t) if t.is_floating_point() else t for n, t in checkpoint_of(arch).items()}
    converted = archdsl.convert_weights(arch, parameters, SOURCE)
    assert not any(t.requires_grad for t in converted.values())


def test_from_one_source_to_another(folder: Path) -> None:
    (folder / "weights" / "others.weights").write_text(
        "weights others for net\nparam eps = 1e-5\n{x*}.{t} = model.{x*}.{t}\n"
    )
    arch = archdsl.load(folder / "net.arch", like=SOURCE)
    checkpoint = checkpoint_of(arch)
    others = archdsl.convert_weights(arch, checkpoint, SOURCE, to="others")
    assert set(others) == {f"model.{name}" for name in arch.tensors}
    assert archdsl.convert_weights(arch, others, "others", to=SOURCE).keys() == checkpoint.keys()


def test_names_of_another_source_are_known(folder: Path, arch: Architecture) -> None:
    (folder / "weights" / "others.weights").write_text(MAP.replace("theirs", "others").replace("blocks", "layers"))
    others = {f"module.{n.replace('blocks', 'layers')}": t for n, t in checkpoint_of(arch).items()}
    del others["module.fc.bias"]
    with pytest.raises(archdsl.SpecError, match="the names are rather those of `others`"):
        archdsl.convert_weights(arch, others, SOURCE)


def test_dropped_tensors_are_not_missed(arch: Architecture) -> None:
    checkpoint = checkpoint_of(arch)
    extra = {"aux.fc.weight": torch.rand(3), "aux.step": torch.tensor(1)}
    assert equal(
        archdsl.convert_weights(arch, checkpoint | extra, SOURCE), archdsl.convert_weights(arch, checkpoint, SOURCE)
    )
    with pytest.raises(archdsl.SpecError, match=r"`auxiliary.weight` \(3\)"):
        archdsl.convert_weights(arch, checkpoint | {"auxiliary.weight": torch.rand(3)}, SOURCE)


def wrapped(tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What training code saves."""
    step = {"optimizer": {"state": {0: {"exp_avg": torch.rand(2)}}, "param_groups": [{"lr": 0.1}]}, "epoch": 3}
    parallel = {f"module.{n}": t for n, t in tensors.items()}
    return {
        "bare": tensors,
        "pyslowfast": {"model_state": tensors, "optimizer_state": step["optimizer"], "cfg": "NUM_GPUS: 8"},
        "mmaction2": {"meta": {"epoch": 1}, "state_dict": tensors, **step},
        "timm": {"model": tensors, **step},
        "vmz": {"model": parallel, **step},
        "lightning": {"state_dict": {f"model.{n}": t for n, t in tensors.items()}, "callbacks": {}, **step},
        "nested": {"checkpoint": {"model": {"state_dict": tensors}}, **step},
        "parallel": {"state_dict": parallel},
        "compiled": {f"_orig_mod.{n}": t for n, t in parallel.items()},
        "unknown wrapper": {"weights_of_epoch_3": tensors, **step},
    }


@pytest.mark.parametrize("kind", list(wrapped({})))
def test_state_dict_is_found(arch: Architecture, kind: str) -> None:
    checkpoint = checkpoint_of(arch)
    plain = archdsl.convert_weights(arch, checkpoint, SOURCE)
    assert equal(archdsl.convert_weights(arch, wrapped(checkpoint)[kind], SOURCE), plain)


def test_a_metric_beside_the_model_is_told(arch: Architecture) -> None:
    """And it alone: what stands before the names of the model is taken off nevertheless."""
    tensors = {f"model.{n}": t for n, t in checkpoint_of(arch).items()} | {"accuracy.total": torch.tensor(3)}
    with pytest.raises(archdsl.SpecError, match=r"1 of its 15 tensors [^;]*$") as caught:
        archdsl.convert_weights(arch, {"state_dict": tensors}, SOURCE)
    assert [n.message for n in caught.value.diagnostics[0].notes] == ["no place for `accuracy.total` (a number)"]


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({}, "holds no tensors"),
        ({"epoch": 3}, "`epoch` is no tensor but int"),
        ([torch.rand(1)], "holds no state dict but list"),
        ({"a": {"x": torch.rand(1)}, "b": {"x": torch.rand(1)}}, "several state dicts, `a`, `b`"),
        ({"state_dict": {"x": torch.rand(1), 3: torch.rand(1)}}, "`3` is no tensor|`3`"),
    ],
)
def test_what_is_no_state_dict(checkpoint: Any, message: str) -> None:
    with pytest.raises(archdsl.SpecError, match=message):
        state_dict_of(checkpoint, "x.pt")


# --- numbers and other names -----------------------------------------------------------------------------------------

STAGES = """\
arch stages
param depths = [1, 2, 3, 2]  # of the stages but `neck`
input clip: video[3, 4, 8, 8]
block unit(width) { residual { conv(width, 1) -> bn } }
stage stem { conv(8, 1) }
stage stage1 { unit(8) * depths[0] }
stage stage2 { maxpool([1, 2, 2]) -> unit(8) * depths[1] }
stage stage3 { unit(8) * depths[2] }
stage neck { unit(8) }
stage stage11 { unit(8) * depths[3] }
head: avgpool -> linear(3)
"""
FLAT = """\
weights theirs for stages
number block = stage{s}.{i}, stage{s}.blocks.{i}, neck
stem.conv.{t} = stem.{t}
{block}.conv.{t} = blocks.{block}.conv.{t}
{block}.bn.{t} = blocks.{block}.norm.{t}
head.linear.{t} = fc.{t}
also blocks.{i}.attn.conv.{t} = blocks.{i}.conv.{t}
or layers.{i}.norm1.{t} = blocks.{i}.norm.{t}
or layers.{i}.conv.{t} = blocks.{i}.conv.{t}
or layers.{i}.inner.conv.{t} = blocks.{i}.attn.conv.{t}
or classifier.{t} = fc.{t}
drop blocks.{block}.index
"""


@pytest.fixture
def stages(tmp_path: Path) -> Architecture:
    (tmp_path / "stages.arch").write_text(STAGES)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "theirs.weights").write_text(FLAT)
    return archdsl.load(tmp_path / "stages.arch")


def newer(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A checkpoint with the names that `or` gives."""
    names = [("fc.", "classifier."), (".attn.", ".inner."), (".norm.", ".norm1."), ("blocks.", "layers.")]
    found: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        for old, new in names:
            name = name.replace(old, new)  # noqa: PLW2901
        found[name] = tensor
    return found


def first_only(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without second names."""
    return {n: t for n, t in tensors.items() if ".attn." not in n}


def second_only(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With second names alone."""
    doubled = {n.replace(".attn.", ".") for n in tensors if ".attn." in n}
    return {n: t for n, t in tensors.items() if n not in doubled}


@pytest.mark.parametrize(
    ("depths", "prefixes"),
    [
        ([1, 2, 3, 1], "stage1.0 stage2.blocks.0 stage2.blocks.1 stage3.0 stage3.1 stage3.2 neck stage11.0"),
        ([4, 1, 1, 2], "stage1.0 stage1.1 stage1.2 stage1.3 stage2.blocks.0 stage3.0 neck stage11.0 stage11.1"),
        ([12, 1, 1, 1], " ".join(f"stage1.{i}" for i in range(12)) + " stage2.blocks.0 stage3.0 neck stage11.0"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("stages")
def test_blocks_are_numbered_through_all_stages(tmp_path: Path, depths: list[int], prefixes: str) -> None:
    """In the order in which data flow, so that 3 stands before 11."""
    arch = archdsl.load(tmp_path / "stages.arch", depths=depths)
    moves = {m.theirs[0].name: m.ours[0].name for m in arch.plan_weights(SOURCE).moves}
    for number, prefix in enumerate(prefixes.split()):
        assert moves[f"blocks.{number}.conv.weight"] == f"{prefix}.conv.weight"
        assert moves[f"blocks.{number}.norm.running_var"] == f"{prefix}.bn.running_var"
    own = {n: torch.rand(s) for n, s in arch.tensors.items()}
    theirs = archdsl.revert_weights(arch, own, SOURCE)
    assert sum(n.endswith("norm.weight") for n in theirs) == sum(depths) + 1
    assert equal(archdsl.convert_weights(arch, theirs, SOURCE), own)


def test_numbers_go_to_drops_too(stages: Architecture) -> None:
    theirs = archdsl.revert_weights(stages, {n: torch.rand(s) for n, s in stages.tensors.items()}, SOURCE)
    archdsl.convert_weights(stages, theirs | {"blocks.17.index": torch.tensor(1)}, SOURCE)
    with pytest.raises(archdsl.SpecError, match=r"`blocks.x.index`"):
        archdsl.convert_weights(stages, theirs | {"blocks.x.index": torch.tensor(1)}, SOURCE)


def test_what_is_numbered_can_have_words(stages: Architecture, tmp_path: Path) -> None:
    file = tmp_path / "weights" / "theirs.weights"
    file.write_text(FLAT.replace("number", "words s = 1: one, 2: two, 3: three\nnumber"))
    with pytest.raises(archdsl.SpecError, match=r"no rule for `stage11\.0\.conv\.weight`"):
        stages.plan_weights(SOURCE)
    file.write_text(FLAT.replace("number", "words s = 1: one, 2: two, 3: three, 11: eleven\nnumber"))
    assert "blocks.7.conv.weight" in stages.plan_weights(SOURCE).theirs


def test_what_is_for_nothing_is_found() -> None:
    """By the test of archdsl's own maps."""
    lines = "or layers.{i}.x = blocks.{i}.x\nalso all.{t} = blocks.{t}.{i*}\n"
    weights = parse_map(Source("map", FLAT.replace("neck\n", "neck, neck{i}\n") + lines))
    matcher = Matcher(weights)
    for name in ("stage1.0.conv.weight", "stage2.blocks.0.conv.weight", "neck.conv.weight"):
        matcher.matches(name)
    named = {"blocks.0.conv.weight", "blocks.0.norm.weight", "blocks.0.attn.conv.weight", "fc.bias"}
    assert unused(weights, matcher, named) == ["or layers.{i}.x = blocks.{i}.x", "neck{i}"]


@pytest.mark.parametrize("wrapped_in", ["", "module.", "model.backbone."])
@pytest.mark.parametrize("fewer", [dict, first_only, second_only])
@pytest.mark.parametrize("renamed", [dict, newer])
def test_other_names_are_taken(stages: Architecture, renamed: Any, fewer: Any, wrapped_in: str) -> None:
    own = {n: torch.rand(s) for n, s in stages.tensors.items()}
    theirs = archdsl.revert_weights(stages, own, SOURCE)
    assert torch.equal(theirs["blocks.3.attn.conv.weight"], theirs["blocks.3.conv.weight"])
    assert not any(n.startswith(("layers", "classifier")) for n in theirs)
    checkpoint = {wrapped_in + n: t for n, t in renamed(fewer(theirs)).items()}
    converted = archdsl.convert_weights(stages, checkpoint, SOURCE)
    assert equal(converted, own)
    assert equal(archdsl.revert_weights(stages, converted, SOURCE), theirs)


def test_the_first_name_counts(stages: Architecture) -> None:
    theirs = archdsl.revert_weights(stages, {n: torch.rand(s) for n, s in stages.tensors.items()}, SOURCE)
    other = torch.zeros_like(theirs["blocks.0.conv.weight"])
    for checkpoint in (theirs | {"blocks.0.attn.conv.weight": other}, {"blocks.0.attn.conv.weight": other} | theirs):
        converted = archdsl.convert_weights(stages, checkpoint, SOURCE)
        assert torch.equal(converted["stage1.0.conv.weight"], checkpoint["blocks.0.conv.weight"])


def test_counters_can_be_missing_under_all_names(stages: Architecture) -> None:
    own = {n: torch.rand(s) for n, s in stages.tensors.items() if not n.endswith("num_batches_tracked")}
    theirs = archdsl.revert_weights(stages, own, SOURCE)
    assert equal(archdsl.convert_weights(stages, newer(theirs), SOURCE), own)


def test_other_names_that_do_not_fit(stages: Architecture) -> None:
    theirs = archdsl.revert_weights(stages, {n: torch.rand(s) for n, s in stages.tensors.items()}, SOURCE)
    for checkpoint, message in [
        (theirs | {"blocks.0.attn.conv.weight": torch.rand(3)}, "`blocks.0.attn.conv.weight` is 3, and 8×8×1×1×1 here"),
        (theirs | {"classifier.bias": torch.rand(3)}, "`classifier.bias` (3); it would be `fc.bias`, which is there"),
        ({n: t for n, t in theirs.items() if n != "fc.bias"}, "not there: `fc.bias` (3), for `head.linear.bias`"),
        (
            {n.replace("classifier.b", "clasifier.b"): t for n, t in newer(theirs).items()},
            "no place for `clasifier.bias` (3); the nearest is `classifier.bias`",
        ),
    ]:
        with pytest.raises(archdsl.SpecError, match="E0807") as caught:
            archdsl.convert_weights(stages, checkpoint, SOURCE)
        assert message in str(caught.value)


def test_a_source_is_known_by_numbers_and_other_names(stages: Architecture, tmp_path: Path) -> None:
    own = {n: torch.rand(s) for n, s in stages.tensors.items()}
    theirs = archdsl.revert_weights(stages, own, SOURCE)
    (tmp_path / "weights" / "others.weights").write_text("weights others for stages\n{x*}.{t} = model.{x*}.{t}\n")
    for checkpoint in (theirs, newer(theirs)):
        with pytest.raises(archdsl.SpecError, match="the names are rather those of `theirs`"):
            archdsl.convert_weights(stages, checkpoint, "others")
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.convert_weights(stages, {f"blocks.a{i}.norm.weight": torch.rand(8) for i in range(40)}, "others")
    assert "rather" not in str(caught.value)


def test_other_names_by_the_command(stages: Architecture, tmp_path: Path, shell: Shell) -> None:
    own = {n: torch.rand(s) for n, s in stages.tensors.items()}
    theirs = archdsl.revert_weights(stages, own, SOURCE)
    torch.save({"model_state": {f"module.{n}": t for n, t in newer(theirs).items()}}, "in.pt")
    arguments = ("weights", "convert", tmp_path / "stages.arch")
    assert shell(*arguments, "in.pt", "--from", SOURCE, "-o", "out.safetensors").code == 0
    assert load_file("out.safetensors").keys() == own.keys()
    assert shell(*arguments, "out.safetensors", "--from", "archdsl", "--to", SOURCE, "-o", "a.safetensors").code == 0
    back = load_file("a.safetensors")
    assert back.keys() == theirs.keys()
    assert all(torch.equal(back[n], t) for n, t in theirs.items())
    ran = shell("weights", "sources", tmp_path / "stages.arch")
    assert f"theirs\n    {len(own)} tensors\n" in ran.out


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("number block = stage.{a|b}", "E0103"),
        ("number block", "E0103"),
        ("number {block} = stage.{i}", "E0103"),
        ("number block = stage.{i},", "E0103"),
        ("number block = stage.{i} : a -> a", "E0103"),
        ("number block = " + ", ".join(f"a{i}" for i in range(9)), "E0802"),
        ("\n".join(f"also a{i}.{{x*}} = {{x*}}" for i in range(201)), "E0704"),
        ("also a.{q|k} = b.c", "E0103"),
        ("also a.b = b.{q|k}", "E0103"),
        ("or a.{q|k} = b.{q|k}", "E0103"),
        ("or a.b", "E0103"),
        ("or a.b = b.c : a -> a", "E0103"),
        ("or a.{t} = b.{t*}.{u*}.{v*}", "E0802"),
        ("also {a}.{b}.{c}.{d}.{e}.{block} = {a}.{b}.{c}.{d}.{e}.{block}\nnumber block = {x}.{y}", "E0802"),
    ],
)
def test_faulty_statements(line: str, code: str) -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        parse_map(Source("map", f"weights a for b\n{{block}}.x = {{block}}.x\n{line}\n"))
    assert {d.code for d in caught.value.diagnostics} == {code}


def test_long_names_cost_little(stages: Architecture) -> None:
    """Of a checkpoint that is made to cost much."""
    theirs = archdsl.revert_weights(stages, {n: torch.rand(s) for n, s in stages.tensors.items()}, SOURCE)
    for name in ("blocks." + "1" * 100_000, "blocks." * 10_000, "layers." + "1." * 10_000 + "inner.conv."):
        with pytest.raises(archdsl.SpecError, match="1 of its"):
            archdsl.convert_weights(stages, theirs | {name: torch.rand(1)}, SOURCE)


def test_parts_of_unequal_size_are_joined(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(NET.replace("conv(8, 1 if rare < 3 else 3)", "conv(16, 3)"))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "theirs.weights").write_text("""\
weights theirs for net
words v = weight: w, bias: b, running_mean: m, running_var: v
{n}.conv.{t} = {n}.conv.{t}
{conv1|res2}.bn.{v} = norms.{v}
{n}.bn.num_batches_tracked = {n}.seen
head.linear.{t} = fc.{t}
""")
    arch = archdsl.load(tmp_path / "net.arch")
    own = {n: torch.rand(s) for n, s in arch.tensors.items()}
    theirs = archdsl.revert_weights(arch, own, SOURCE)
    assert theirs["norms.w"].shape == (24,)
    converted = archdsl.convert_weights(arch, theirs, SOURCE)
    assert converted.keys() == own.keys()
    assert all(torch.equal(converted[n], t) for n, t in own.items())


# --- the command -----------------------------------------------------------------------------------------------------


class Converter:
    """`archdsl weights convert` for the net, in its folder."""

    def __init__(self, shell: Shell, folder: Path, arch: Architecture) -> None:
        self.shell, self.folder = shell, folder
        self.checkpoint = checkpoint_of(arch)

    def __call__(self, *arguments: object, output: str = "out.safetensors") -> Ran:
        return self.shell("weights", "convert", self.folder / "net.arch", *arguments, "-o", output)


@pytest.fixture
def convert(shell: Shell, folder: Path, arch: Architecture) -> Converter:
    return Converter(shell, folder, arch)


def failed(ran: Ran, code: int, message: str) -> None:
    """It says why, and nothing was written, not even in part."""
    assert ran.code == code, ran
    assert message in ran.err
    assert not [p for p in Path().iterdir() if p.name.startswith(("out", ".out"))]


def test_convert(convert: Converter, arch: Architecture) -> None:
    torch.save({"model_state": convert.checkpoint}, "in.pyth")
    ran = convert("in.pyth", "--from", SOURCE, "--clip", "3x4x8x8")
    assert ran.code == 0, ran.err
    assert "the network as `theirs` needs it: eps = 1e-5\n" in ran.out
    assert "in.pyth → out.safetensors: 14 tensors" in ran.out
    assert f"archdsl compile {convert.folder / 'net.arch'} --like theirs --clip 3x4x8x8" in ran.out
    arch.build().load_state_dict(load_file("out.safetensors"), strict=True)
    with safe_open("out.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata.pop("parameters")) == {"classes": "6", "eps": "1e-05", "rare": "1"}
    clip = {"spec": "net", "source": SOURCE, "names": "archdsl", "clip": "3x4x8x8"}
    assert metadata == {"format": "pt", **clip}


def test_module_of_the_command_that_is_printed_takes_the_weights(convert: Converter) -> None:
    torch.save({"epoch": 195, "model_state": convert.checkpoint, "cfg": "TRAIN:\n  ENABLE: true\n"}, "in.pyth")
    ran = convert("in.pyth", "--from", SOURCE, "--set", "rare=2")
    command = ran.out.splitlines()[-1].partition(": archdsl ")[2]
    assert convert.shell(*shlex.split(command), "-o", "net.py").code == 0
    module = run_path("net.py")["net"]()
    module.load_state_dict(load_file("out.safetensors"), strict=True)
    assert module(torch.rand(1, 3, 4, 8, 8)).shape == (1, 6)


def test_convert_back(convert: Converter) -> None:
    save_file(convert.checkpoint, "in.safetensors")
    assert convert("in.safetensors", "--from", SOURCE).code == 0
    ran = convert("out.safetensors", "--from", "archdsl", "--to", SOURCE, output="back.safetensors")
    assert ran.code == 0
    assert "compile" not in ran.out
    assert equal(load_file("back.safetensors"), load_file("in.safetensors"))


def test_convert_several_files(convert: Converter) -> None:
    (convert.folder / "weights" / "theirs.weights").write_text(
        "weights theirs for net\n{n}.{layer}.{t} = {n}.{layer}.{t}\n"
    )
    tensors = archdsl.load(convert.folder / "net.arch").build().state_dict()
    for name in ("conv1", "res2", "head"):
        own = {f"module.{n.partition('.')[2]}": t for n, t in tensors.items() if n.startswith(name)}
        torch.save({"state_dict": own}, f"{name}.pt")
    ran = convert("conv1=conv1.pt", "res2=res2.pt", "head=head.pt", "--from", SOURCE)
    assert ran.code == 0, ran.err
    assert load_file("out.safetensors").keys() == tensors.keys()
    Path("out.safetensors").unlink()
    failed(convert("conv1=conv1.pt", "res2.pt", "--from", SOURCE), 2, "of several checkpoints each has a name")
    failed(convert("conv1=conv1.pt", "conv1=res2.pt", "--from", SOURCE), 2, "a second checkpoint of this name")


def test_wrong_names_are_told(convert: Converter) -> None:
    tensors = dict(convert.checkpoint)
    tensors["fc.bios"] = tensors.pop("fc.bias")
    torch.save(tensors, "in.pt")
    ran = convert("in.pt", "--from", SOURCE)
    failed(ran, 1, "no place for `fc.bios` (6); the nearest is `fc.bias`")
    assert "not there: `fc.bias` (6), for `head.linear.bias`; the nearest is `fc.bios`" in ran.err


def test_checkpoint_of_another_architecture(convert: Converter) -> None:
    torch.save({f"layer{i}.weight": torch.rand(3) for i in range(50)}, "in.pt")
    ran = convert("in.pt", "--from", SOURCE)
    failed(ran, 1, "50 of its 50 tensors have no place in `net`")
    assert "… and 42 more" in ran.err


def test_other_number_of_classes(convert: Converter) -> None:
    torch.save(checkpoint_of(archdsl.load(convert.folder / "net.arch", like=SOURCE, classes=8)), "in.pt")
    failed(convert("in.pt", "--from", SOURCE), 1, "`fc.bias` is 8, and 6 here")
    assert convert("in.pt", "--from", SOURCE, "--set", "classes=8").code == 0


def test_network_of_another_kind(convert: Converter) -> None:
    torch.save(convert.checkpoint, "in.pt")
    failed(convert("in.pt", "--from", SOURCE, "--set", "eps=0.01"), 1, "E0806")


def test_faulty_map(convert: Converter) -> None:
    torch.save(convert.checkpoint, "in.pt")
    for old, new, code in [
        ("{n}.bn.{moment}", "{n}.bn.{nothing}", "E0802"),
        ("head.linear.bias = fc.bias", "", "E0804"),
        ("head.linear.bias", "head.linear.{t}", "E0805"),
        ("= fc.bias", "= first.weight", "E0805"),
    ]:
        (convert.folder / "weights" / "theirs.weights").write_text(MAP.replace(old, new))
        failed(convert("in.pt", "--from", SOURCE), 1, code)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
@pytest.mark.parametrize("name", ["in.pt", "in.safetensors"])
def test_truncated_file(convert: Converter, name: str, keep: float) -> None:
    (save_file if name.endswith("safetensors") else torch.save)(convert.checkpoint, name)
    data = Path(name).read_bytes()
    Path(name).write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else int(keep)])
    failed(convert(name, "--from", SOURCE), 1, "E0808")


class Bomb:
    """What would write a file if it was unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
def test_code_in_a_pickle_is_refused(convert: Converter, old: bool) -> None:
    torch.save({**convert.checkpoint, "bomb": Bomb()}, "in.pt", _use_new_zipfile_serialization=not old)
    failed(convert("in.pt", "--from", SOURCE), 1, f"wants to call `{os.system.__module__}.system`")
    assert not Path("exploded").exists()


def test_bare_pickle_is_refused(convert: Converter) -> None:
    Path("in.pkl").write_bytes(pickle.dumps({"blobs": Bomb()}))
    failed(convert("in.pkl", "--from", SOURCE), 1, "E0810")
    assert not Path("exploded").exists()


def test_whole_module_is_refused(convert: Converter) -> None:
    torch.save(torch.nn.Linear(2, 2), "in.pt")
    failed(convert("in.pt", "--from", SOURCE), 1, "wants to call `torch.nn.modules.linear.Linear`")


def test_wrong_use(convert: Converter, shell: Shell) -> None:
    torch.save(convert.checkpoint, "in.pt")
    failed(convert("in.pt", "--from", SOURCE, output="out.pt"), 2, "name it out.safetensors")
    failed(convert("none.pt", "--from", SOURCE), 2, "none.pt: no such file")
    failed(convert(convert.folder / "weights", "--from", SOURCE), 2, "is a directory")
    failed(convert("in.pt", "--from", "thiers"), 1, "--from:1:1")
    failed(convert("in.pt", "--from", SOURCE, "--to", "nobody"), 1, "--to:1:1")
    failed(convert("in.pt", "--from", SOURCE, output="in.pt/out.safetensors"), 2, "in.pt")
    failed(convert("in.pt"), 2, "--from")
    failed(shell("weights"), 2, "ACTION")


def test_checkpoint_is_not_overwritten(convert: Converter) -> None:
    save_file(convert.checkpoint, "in.safetensors")
    before = Path("in.safetensors").read_bytes()
    ran = convert("in.safetensors", "--from", SOURCE, output="in.safetensors")
    assert ran.code == 2
    assert Path("in.safetensors").read_bytes() == before


def test_missing_folder_is_made(convert: Converter) -> None:
    save_file(convert.checkpoint, "in.safetensors")
    assert convert("in.safetensors", "--from", SOURCE, output="new/folder/out.safetensors").code == 0
    assert convert("in.safetensors", "--from", SOURCE, output="new/folder/out.safetensors").code == 0  # again
    assert [p.name for p in Path("new/folder").iterdir()] == ["out.safetensors"]


def test_what_is_so_anyway_is_not_told(folder: Path, shell: Shell) -> None:
    (folder / "weights" / "theirs.weights").write_text(MAP.replace("eps = 1e-5", "rare = 1, eps = 1e-5, classes = 6"))
    ran = shell("weights", "sources", folder / "net.arch")
    assert "14 tensors, with eps = 1e-5\n" in ran.out
    ran = shell("weights", "sources", folder / "net.arch", "--set", "eps=1e-5")
    assert "14 tensors\n" in ran.out


def test_sources(folder: Path, shell: Shell) -> None:
    ran = shell("weights", "sources", folder / "net.arch")
    assert ran == (
        0,
        "net takes the weights of\n\n  theirs: The zoo of another project.\n    14 tensors, with eps = 1e-5\n",
        "",
    )
    (folder / "lone.arch").write_text(NET.replace("arch net", "arch lone"))
    ran = shell("weights", "sources", folder / "lone.arch")
    assert ran.code == 0
    assert "no map of names" in ran.out
    (folder / "weights" / "theirs.weights").write_text(MAP.replace("fc.bias", "fc.{x}"))
    assert shell("weights", "sources", folder / "net.arch").code == 1
    (folder / "weights" / "theirs.weights").write_text(MAP.replace("head.linear.bias = fc.bias", ""))
    ran = shell("weights", "sources", folder / "net.arch")
    assert ran.code == 1
    assert "E0804" in ran.err


def test_plan_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; sys.modules.update(torch=None, numpy=None, safetensors=None)\n"
        f"import archdsl; arch = archdsl.load({str(folder / 'net.arch')!r}, like='theirs')\n"
        "print(len(arch.plan_weights('theirs').theirs), len(arch.tensors))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "14 14\n"


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "others.weights"
    elsewhere.write_text(MAP.replace("theirs", "others"))
    (folder / "weights" / "others.weights").symlink_to(elsewhere)
    with pytest.raises(archdsl.SpecError, match="E0801"):
        archdsl.load(folder / "net.arch", like="others")


def test_sources_whose_networks_differ() -> None:
    """torchvision and VMZ differ in ε and in widths, so weights cannot go from one to the other."""
    arch = archdsl.load(ROOT / "specs" / "r2plus1d_18.arch", like="torchvision", clip=(3, 8, 32, 32))
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.convert_weights(arch, {"stem.0.weight": torch.zeros(1)}, "torchvision", to="vmz")
    assert {d.code for d in caught.value.diagnostics} == {"E0806"}
    assert "the networks of `torchvision` and `vmz` differ" in str(caught.value)
