"""State dicts of other sources as ours and back: tensors, numbers and other names, and the commands."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import subprocess
import sys
from pathlib import Path
from runpy import run_path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from mapped import FLAT, MAP, NET, SOURCE
from repository import ROOT
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import archdsl
from archdsl.core.source import Source
from archdsl.weights.checkpoint import state_dict_of
from archdsl.weights.parse import parse_map

if TYPE_CHECKING:
    from command_line import Ran, Shell

    from archdsl import Architecture

# --- tensors ---------------------------------------------------------------------------------------------------------


def checkpoint_of(arch: Architecture, counted: bool = True) -> dict[str, torch.Tensor]:
    """A checkpoint that the map is for."""
    tensors = arch.plan_weights(SOURCE).theirs.items()
    kept = [(n, s) for n, s in tensors if counted or not n.endswith("seen")]
    return {n: torch.rand(s) if s else torch.tensor(7) for n, s in kept}


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
    with pytest.raises(archdsl.SpecError, match="the names look like `others`"):
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
    """Checkpoints as training code saves them."""
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


def test_a_metric_beside_the_model_is_reported(arch: Architecture) -> None:
    """And it alone: what stands before the names of the model is taken off nevertheless."""
    tensors = {f"model.{n}": t for n, t in checkpoint_of(arch).items()} | {"accuracy.total": torch.tensor(3)}
    with pytest.raises(archdsl.SpecError, match=r"1 of 15 tensors [^;]*$") as caught:
        archdsl.convert_weights(arch, {"state_dict": tensors}, SOURCE)
    assert [n.message for n in caught.value.diagnostics[0].notes] == ["unexpected: `accuracy.total` (scalar)"]


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({}, "the state dict has no tensors"),
        ({"epoch": 3}, "`epoch` is not a tensor but int"),
        ([torch.rand(1)], "the file has no state dict, but list"),
        ({"a": {"x": torch.rand(1)}, "b": {"x": torch.rand(1)}}, "several state dicts: `a`, `b`"),
        ({"state_dict": {"x": torch.rand(1), 3: torch.rand(1)}}, "`3` is not a tensor|`3`"),
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
        (
            theirs | {"blocks.0.attn.conv.weight": torch.rand(3)},
            "`blocks.0.attn.conv.weight`: expected 8×8×1×1×1, found 3",
        ),
        (
            theirs | {"classifier.bias": torch.rand(3)},
            "`classifier.bias` (3); another name of `fc.bias`, which is present",
        ),
        ({n: t for n, t in theirs.items() if n != "fc.bias"}, "missing: `fc.bias` (3), for `head.linear.bias`"),
        (
            {n.replace("classifier.b", "clasifier.b"): t for n, t in newer(theirs).items()},
            "unexpected: `clasifier.bias` (3); the most similar name is `classifier.bias`",
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
        with pytest.raises(archdsl.SpecError, match="the names look like `theirs`"):
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
        with pytest.raises(archdsl.SpecError, match="1 of 67"):
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
    own = torch.load("res2.pt", weights_only=True)["state_dict"]
    torch.save({"ema": own, "now": {n: 2 * t for n, t in own.items()}}, "res2.pt")
    files = ("conv1=conv1.pt", "res2=res2.pt", "head=head.pt", "--from", SOURCE)
    assert convert(*files, "--key", "now").code == 0, "an entry of one of the files"
    assert torch.equal(load_file("out.safetensors")["res2.conv.weight"], 2 * tensors["res2.conv.weight"])
    Path("out.safetensors").unlink()
    failed(convert(*files, "--key", "later"), 1, "the file has no `later`")
    failed(convert("conv1=conv1.pt", "res2.pt", "--from", SOURCE), 2, "several checkpoints need names")
    failed(convert("conv1=conv1.pt", "conv1=res2.pt", "--from", SOURCE), 2, "two checkpoints have this name")


def test_wrong_names_are_reported(convert: Converter) -> None:
    tensors = dict(convert.checkpoint)
    tensors["fc.bios"] = tensors.pop("fc.bias")
    torch.save(tensors, "in.pt")
    ran = convert("in.pt", "--from", SOURCE)
    failed(ran, 1, "unexpected: `fc.bios` (6); the most similar name is `fc.bias`")
    assert "missing: `fc.bias` (6), for `head.linear.bias`; the most similar name is `fc.bios`" in ran.err


def test_checkpoint_of_another_architecture(convert: Converter) -> None:
    torch.save({f"layer{i}.weight": torch.rand(3) for i in range(50)}, "in.pt")
    ran = convert("in.pt", "--from", SOURCE)
    failed(ran, 1, "50 of 50 tensors are not in `net`")
    assert "… and 42 more" in ran.err


def test_other_number_of_classes(convert: Converter) -> None:
    torch.save(checkpoint_of(archdsl.load(convert.folder / "net.arch", like=SOURCE, classes=8)), "in.pt")
    failed(convert("in.pt", "--from", SOURCE), 1, "`fc.bias`: expected 6, found 8")
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
    """An object that would write a file if it was unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
def test_code_in_a_pickle_is_refused(convert: Converter, old: bool) -> None:
    torch.save({**convert.checkpoint, "bomb": Bomb()}, "in.pt", _use_new_zipfile_serialization=not old)
    failed(convert("in.pt", "--from", SOURCE), 1, f"it calls `{os.system.__module__}.system`")
    assert not Path("exploded").exists()


def test_bare_pickle_is_refused(convert: Converter) -> None:
    Path("in.pkl").write_bytes(pickle.dumps({"blobs": Bomb()}))
    failed(convert("in.pkl", "--from", SOURCE), 1, "E0810")
    assert not Path("exploded").exists()


def test_whole_module_is_refused(convert: Converter) -> None:
    torch.save(torch.nn.Linear(2, 2), "in.pt")
    failed(convert("in.pt", "--from", SOURCE), 1, "it calls `torch.nn.modules.linear.Linear`")


def test_wrong_use(convert: Converter, shell: Shell) -> None:
    torch.save(convert.checkpoint, "in.pt")
    failed(convert("in.pt", "--from", SOURCE, output="out.pt"), 2, "such as out.safetensors")
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


def test_needs_that_the_spec_meets_are_not_printed(folder: Path, shell: Shell) -> None:
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
    assert "no weight map" in ran.out
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
