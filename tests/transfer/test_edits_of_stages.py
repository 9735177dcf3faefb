"""Weights follow their layers through edits of a stage that change names: rows, single blocks, numbered layers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.cli import main
from archdsl.train.weights import Checkpoint, starting_weights

BASE = """arch base
import resnet
param classes = 5
input clip: video[3, 4, 32, 32]
stage conv1 { conv(8, [1, 3, 3], stride = [1, 2, 2]) -> bn -> relu }
stage res2 { bottleneck(4) }
stage res3 { bottleneck(8, stride = 2 if index == 0 else 1) * 4 }
head: avgpool -> linear(classes)
"""
TWO = "bottleneck(8, stride = 2 if index == 0 else 1) * 2"


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> archdsl.Architecture:
    monkeypatch.chdir(tmp_path)
    Path("base.arch").write_text(BASE, "utf-8")
    return archdsl.load("base.arch")


def variant(body: str, base: str = "base") -> archdsl.Architecture:
    Path("variant.arch").write_text(f"arch variant extends {base}\n{body}\n", "utf-8")
    return archdsl.load("variant.arch")


# Each block ends in a relu, so another one behind it changes nothing.
NEUTRAL = {
    "a layer in front of a row": f"stage res3 {{ relu -> {TWO.replace('* 2', '* 4')} }}",
    "a layer behind a row": f"stage res3 {{ {TWO.replace('* 2', '* 4')} -> relu }}",
    "a row in two": f"stage res3 {{ {TWO} -> relu -> bottleneck(8) * 2 }}",
    "a row in two without a layer between": f"stage res3 {{ {TWO} -> bottleneck(8) * 2 }}",
    "a row in single blocks": "stage res3 { bottleneck(8, stride = 2) -> (bottleneck(8) -> relu) * 3 }",
    "a row in a group": f"stage res3 {{ ({TWO}) -> relu -> (bottleneck(8) -> bottleneck(8)) }}",
    "a layer beside a single block": "stage res2 { bottleneck(4) -> relu }",
    "a single block as a row": "stage res2 { relu -> bottleneck(4) * 1 -> relu }",
    "a block of the user's own": "block mine(w) { bottleneck(w) -> relu }\nstage res2 { mine(4) }",
    "layers in a block": "block begin() { conv(8, [1, 3, 3], stride = [1, 2, 2]) -> bn -> relu }\n"
    "stage conv1 { begin -> relu }",
    "layers with names": "stage conv1 { conv(8, [1, 3, 3], stride = [1, 2, 2]) as first -> bn as second -> relu }",
}


@pytest.mark.parametrize("body", NEUTRAL.values(), ids=NEUTRAL)
def test_an_edit_without_an_effect_keeps_the_logits(body: str, base: archdsl.Architecture) -> None:
    torch.manual_seed(0)
    model = base.build().eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    edited = variant(body)
    clip = torch.randn(1, 3, 4, 32, 32)
    state = model.state_dict()
    for one, other in ((base, edited), (edited, base)):  # and back again
        assert other.plan_transfer(one).is_complete
        state = archdsl.transfer_weights(one, state, other)
        moved = other.build().eval()
        moved.load_state_dict(state, strict=True)
        with torch.no_grad():
            assert torch.equal(moved(clip), model(clip))


ADDED = {
    "a convolution behind layers": (
        "stage conv1 { conv(8, [1, 3, 3], stride = [1, 2, 2]) -> bn -> relu -> conv(8, [3, 1, 1]) -> bn -> relu }",
        {"conv1.conv1": "conv1.conv", "conv1.bn1": "conv1.bn"},
        {"conv1.conv2", "conv1.bn2"},
    ),
    "a convolution in front of layers": (
        "stage conv1 { conv(3, [3, 1, 1]) -> bn -> relu -> conv(8, [1, 3, 3], stride = [1, 2, 2]) -> bn -> relu }",
        {"conv1.conv2": "conv1.conv", "conv1.bn2": "conv1.bn"},
        {"conv1.conv1", "conv1.bn1"},
    ),
    "a residual around a row": (
        f"stage res3 {{ residual {{ {TWO.replace('* 2', '* 4')} }} shortcut {{ conv(32, stride = [1, 2, 2]) }} }}",
        {f"res3.blocks.{i}.conv2": f"res3.{i}.conv2" for i in range(4)},
        {"res3.shortcut.conv"},
    ),
    "another block in a row": (
        "block adapter() { residual { conv(4) -> relu -> conv(in.channels) } }\n"
        f"stage res3 {{ {TWO} -> adapter -> bottleneck(8) * 2 }}",
        {f"res3.{ours}.conv2": f"res3.{theirs}.conv2" for ours, theirs in ((0, 0), (1, 1), (3, 2), (4, 3))},
        {"res3.2.conv1", "res3.2.conv2"},
    ),
    "another block beside two rows": (
        "block adapter() { residual { conv(4) -> relu -> conv(in.channels) } }\n"
        f"stage res3 {{ {TWO} -> maxpool(3) -> adapter -> bottleneck(8) * 2 }}",
        {"res3.blocks1.1.conv2": "res3.1.conv2", "res3.blocks2.0.conv2": "res3.2.conv2"},
        {"res3.adapter.conv1", "res3.adapter.conv2"},
    ),
    "a convolution in the blocks of a row": (
        "block mine(w) { residual { conv(w) -> bn -> relu -> conv(w, [3, 1, 1]) -> bn -> relu -> conv(w, [1, 3, 3])"
        " -> bn -> relu -> conv(4*w) -> bn(gamma = 0) } -> relu }\n"
        f"stage res3 {{ {TWO} -> mine(8) * 2 }}",
        {f"res3.{i}.conv{n + 1}": f"res3.{i}.conv{n}" for i in (2, 3) for n in (2, 3)},
        {f"res3.{i}.{name}" for i in (2, 3) for name in ("conv2", "bn3")},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "origins", "new"), ADDED.values(), ids=ADDED)
def test_an_added_layer_is_new_and_the_others_keep_their_weights(
    body: str, origins: dict[str, str], new: set[str], base: archdsl.Architecture
) -> None:
    plan = variant(body).plan_transfer(base)
    found = {e.name.rpartition(".")[0]: e.base.rpartition(".")[0] for e in plan.entries}
    assert {name: found[name] for name in origins} == origins
    assert {name for name, origin in found.items() if not origin} == new
    assert not plan.unused


def test_blocks_that_are_added_beside_a_row_repeat_its_last_one(base: archdsl.Architecture) -> None:
    body = f"stage res3 {{ maxpool(3) -> {TWO.replace('* 2', '* 6')} }}"
    plan = variant(body).plan_transfer(base)
    repeated = {e.name: (e.base, e.why) for e in plan.entries if e.how == "repeated"}
    assert repeated["res3.blocks.5.conv1.weight"] == ("res3.3.conv1.weight", "like `res3.3`")
    assert not plan.unused
    plan = variant(body).plan_transfer(base, depth="new")
    assert {e.why for e in plan.entries if e.how == "new"} == {"base has only 4 blocks in `res3`"}


def test_the_plan_tells_other_names_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    head = "head: avgpool -> linear(7) -> linear(classes)"
    variant(f"stage res3 {{ maxpool(3) -> {TWO} -> conv(32, [3, 1, 1]) }}\n{head}")
    assert main(["weights", "plan", "base.arch", "variant.arch"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    # Two of four blocks of 3 convolutions and 3 normalisations (18 tensors), the first with a shortcut (6 more).
    assert lines[0].endswith("5 new; 42 of another name in base; 38 of base not used")
    left = "shape differs from base's `{}` ({}), which is not used"
    assert f"res3.conv.weight 32×32×3×1×1 {left.format('res3.2.conv1.weight', '8×32×1×1×1')}" in lines
    assert f"head.linear1.weight 7×32 {left.format('head.linear.weight', '5×32')}" in lines
    assert "res3.{2,3}.{bn1,bn2}.{weight,bias,running_mean,running_var} 8 variant has no other `bn` in `res3`" in lines
    assert "res3.blocks.{0,1}.{conv1,bn1,conv2,bn2,conv3,bn3}.weight from `res3`" in lines
    hint = "To pair what is left on both sides: `as NAME` gives a layer of variant the name that it has in base, and"
    assert hint in lines


def test_left_tensors_of_a_new_head_are_not_to_be_paired(capsys: pytest.CaptureFixture[str]) -> None:
    variant("head: avgpool -> linear(7) -> linear(classes)")
    assert main(["weights", "plan", "base.arch", "variant.arch"]) == 0
    assert "To pair" not in capsys.readouterr().out


def test_each_tensor_that_is_not_used_has_its_reason(base: archdsl.Architecture) -> None:
    plan = archdsl.load("base.arch", classes=7).plan_transfer(base, new=("res3.0.*",))
    assert plan.why_unused.keys() == plan.unused.keys()
    assert {plan.why_unused[name] for name in plan.unused if name.startswith("res3")} == {
        "left out by `--new 'res3.0.*'`"
    }
    assert plan.why_unused["head.linear.bias"] == "5 classes, here 7"


FROZEN = "stage conv1 frozen { conv(8, [1, 3, 3], stride = [1, 2, 2]) -> bn -> relu%s }"


def test_new_weights_of_a_frozen_stage_are_warned_of(
    base: archdsl.Architecture, capsys: pytest.CaptureFixture[str]
) -> None:
    arch = variant(FROZEN % " -> conv(8) -> bn")  # a convolution's weight, and the weight and bias of a normalisation
    text = "`conv1` is frozen, but 3 of its tensors are new: they stay random"
    assert [w.label for w in arch.plan_transfer(base).warnings] == [text]
    torch.save(base.build().state_dict(), "base.pt")
    for command in (["plan", "base.arch"], ["transfer", "base.arch", "base.pt"]):
        output = ["-o", "o.safetensors"] if command[0] == "transfer" else []
        assert main(["weights", *command, "variant.arch", "--json", *output]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["warnings"] == [text]
        assert f"{text}\n" in err
    with pytest.warns(UserWarning, match="W0805: `conv1` is frozen"):
        archdsl.transfer_weights(base, torch.load("base.pt"), arch)
    starting_weights(arch, Checkpoint("base.pt", spec="base.arch"), "variant.arch")
    assert text in capsys.readouterr().err


def test_a_frozen_stage_with_the_weights_of_the_base_is_not_warned_of(base: archdsl.Architecture) -> None:
    assert not variant(FROZEN % "").plan_transfer(base).warnings
    assert not variant("stage res3 { bottleneck(16) }").plan_transfer(base, new=("head.*",)).warnings


def test_new_weights_of_frozen_chains_and_lines_are_warned_of(base: archdsl.Architecture) -> None:
    """Once for all copies of a layer, and not of what is trained beside it."""
    lines = "attention { qkv: frozen { linear(16) } -> layernorm\n proj: linear(16) }"
    arch = variant(f"stage more after res3 {{ (frozen {{ conv(16) }} -> {lines}) * 2 -> bn }}")
    labels = [w.label for w in arch.plan_transfer(base).warnings]
    assert labels == [
        "`more.conv1` is frozen, but 2 of its tensors are new: they stay random",
        "`more.attention1` is frozen, but 4 of its tensors are new: they stay random",
    ]
