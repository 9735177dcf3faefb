"""The Python interface: arguments and their errors, values of parameters, short reprs, names of the package."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from command_line import FAULTY, TINY
from repository import ROOT

import archdsl
from archdsl.modules import load_module

MANY = """\
arch many
param a = 3, b = 1/3, c = 0.1, d = on, e: one | two = two, f = [1, 2.5, 1/7], g = [[1, 2], [3]]
input clip: video[3, 8, 16, 16]
stage one { conv(a*8 if e == one else 8) -> dropout(b*c) }
head: avgpool -> linear(5)
"""
REGULARISED = TINY.replace("avgpool ->", "avgpool -> dropout(0.5) ->")


# --- loading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", ["3x8x16x16", "3×8×16×16", "3X8x16x16", (3, 8, 16, 16), [3, 8, 16, 16],
                                  torch.Size([3, 8, 16, 16]), np.array([3, 8, 16, 16])])  # fmt: skip
def test_a_clip_is_text_or_four_numbers(clip: Any) -> None:
    assert archdsl.loads(TINY, clip=clip).cost()["input"] == [3, 8, 16, 16]


@pytest.mark.parametrize(
    ("clip", "error", "message"),
    [
        (
            "8x16x16",
            ValueError,
            r"clip = '8x16x16' has 3 sizes; expected channels, frames, height and width, as in 3x16",
        ),
        ("3x8x16x16x1", ValueError, "has 5 sizes"),
        ("3x8x16xy", ValueError, "'y' is not a whole number"),
        ("3,8,16,16", ValueError, "not CxTxHxW"),
        ("", ValueError, "not CxTxHxW"),
        ((8, 16, 16), ValueError, r"clip = \(8, 16, 16\) has 3 sizes; .* as in \(3, 16, 112, 112\)"),
        ((3, 8, 0, 16), ValueError, "height of 0; expected 1 to 999999"),
        ((3, 8, -2, 16), ValueError, "height of -2"),
        ((3, 8, 16.0, 16), TypeError, "not four whole numbers"),
        ((3, 8, True, 16), TypeError, "not four whole numbers"),
        (8, TypeError, "clip = 8 is not four whole numbers"),
    ],
)
def test_an_error_says_what_is_wrong_with_a_clip(clip: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        archdsl.loads(TINY, clip=clip)


def test_text_is_the_spec_that_a_file_is(tmp_path: Any) -> None:
    (tmp_path / "tiny.arch").write_text(TINY, "utf-8")
    arch = archdsl.loads(TINY, width=4)
    assert arch.tensors == archdsl.load(tmp_path / "tiny.arch", width=4).tensors
    assert "archdsl compile - --set width=4" in arch.source()


def test_text_can_extend_a_bundled_spec() -> None:
    arch = archdsl.loads("arch mine extends c2d_r50\nparam classes = 7\n", width=8)
    assert arch.tensors["head.linear.weight"][0] == 7


def test_faults_of_a_text_are_shown_in_it() -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.loads(FAULTY)
    assert "<text>:4" in str(caught.value)
    assert "no layer or block is called `rellu`" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: archdsl.load(TINY), archdsl.UsageError, "archdsl.loads takes the text"),
        (lambda: archdsl.loads("slow_r50"), archdsl.UsageError, r"archdsl.load\('slow_r50'\)"),
        (lambda: archdsl.load(3), TypeError, "path = 3: expected a file or the name of a bundled spec, found int"),
        (lambda: archdsl.loads(None), TypeError, "text = None: expected the text of a spec, found NoneType"),
        (lambda: archdsl.load("slowfst_r50"), archdsl.UsageError, "did you mean slowfast_r50"),
        (lambda: archdsl.loads("arch \ud800"), archdsl.SpecError, "E0101"),
        (lambda: archdsl.loads(TINY, widht=3), archdsl.SpecError, r"loads\(widht=…\)(.|\n)*did you mean `width`"),
        (lambda: archdsl.loads(TINY, width=[1]), archdsl.SpecError, "`width` must be a whole number"),
        (lambda: archdsl.loads(TINY, width="heigth"), archdsl.SpecError, "must be a whole number.* found `heigth`"),
        (lambda: archdsl.loads(TINY, width=None), TypeError, "width = None: expected a number, a bool, a word or a"),
        (lambda: archdsl.loads(TINY, width=float("inf")), ValueError, "width = inf: expected a finite number"),
        (lambda: archdsl.loads(TINY, like=3), TypeError, "like = 3: expected the name of a source of weights"),
        (lambda: archdsl.loads(TINY, recipe="lr=1"), TypeError, "recipe = 'lr=1': expected a dict"),
        (lambda: archdsl.loads(TINY, recipe={"lr": None}), TypeError, "lr = None: expected a number"),
        (lambda: archdsl.loads(TINY).cost("stages"), ValueError, "by = 'stages': .* did you mean 'stage'"),
        (lambda: archdsl.loads(TINY).cost(["stage"]), ValueError, r"by = \['stage'\]: expected 'stage' or 'block'"),
        (lambda: archdsl.loads(TINY).memory("8"), TypeError, "batch = '8': expected a whole number, found str"),
        (lambda: archdsl.loads(TINY).memory(0), ValueError, "batch = 0: expected 1 or more"),
        (lambda: archdsl.loads(TINY).fit_memory(1.5, 2), TypeError, "max_activation = 1.5: expected a size"),
        (lambda: archdsl.loads(TINY).source(without=3), TypeError, "without = 3: expected names"),
        (lambda: archdsl.load("r3d_18").plan_transfer(archdsl.load("r3d_18"), widht="new"), TypeError, "mean 'width'"),
        (lambda: archdsl.loads(TINY).build("infer"), ValueError, "there is no pass 'infer' to leave out"),
        (lambda: archdsl.loads(TINY).build(fitted="8GiB"), TypeError, "fitted = '8GiB': expected what fit_memory"),
        (lambda: archdsl.loads(TINY).plan_weights(None), TypeError, "source = None: expected the name of a source"),
        (lambda: archdsl.loads(TINY).difference_from("x"), TypeError, "base = 'x': expected an architecture"),
        (lambda: archdsl.loads(TINY).flops, AttributeError, "no attribute 'flops'; did you mean 'macs'"),
        (lambda: archdsl.loads(TINY).tensor, AttributeError, "did you mean 'tensors'"),
        (lambda: archdsl.convert_weights(archdsl.loads(TINY), "a.pth", "archdsl"), TypeError, "as torch.load of the"),
        (lambda: archdsl.convert_weights("slow_r50", {}, "x"), TypeError, "arch = 'slow_r50': expected an arch"),
        (lambda: archdsl.transfer_weights("a", {}, archdsl.loads(TINY)), TypeError, "base = 'a'"),
    ],
)  # fmt: skip
def test_an_error_names_the_argument(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_an_architecture_can_be_copied_and_sent_to_another_process() -> None:
    arch = archdsl.load("mvitv2_s_16x4", clip="3x8x64x64")
    for other in (copy.deepcopy(arch), pickle.loads(pickle.dumps(arch))):
        assert other.source() == arch.source()
        assert not archdsl.diff(arch, other).differ


# --- parameters ----------------------------------------------------------------------------------------------------


def test_values_of_parameters_are_those_of_python() -> None:
    assert archdsl.loads(MANY).parameters == {
        "a": 3, "b": Fraction(1, 3), "c": 0.1, "d": True, "e": "two", "f": [1, 2.5, Fraction(1, 7)],
        "g": [[1, 2], [3]],
    }  # fmt: skip
    changed = archdsl.loads(MANY, a=5, e="one").parameters
    assert (changed["a"], changed["e"], changed["b"]) == (5, "one", Fraction(1, 3))


def test_values_of_parameters_can_be_passed_again() -> None:
    first = archdsl.loads(MANY, a=5)
    again = archdsl.loads(MANY, **first.parameters)
    assert again.parameters == first.parameters
    assert not archdsl.diff(first, again).differ
    arch = archdsl.load("slowfast_r50", clip="3x8x64x64")
    assert archdsl.load("slowfast_r50", "3x8x64x64", **arch.parameters).tensors == arch.tensors


@pytest.mark.parametrize("width", [np.int64(4), np.array(4), torch.tensor(4), Fraction(4), "2 * 2"])
def test_numbers_of_other_libraries_are_values(width: Any) -> None:
    assert archdsl.loads(TINY, width=width).parameters["width"] == 4


# --- modules -------------------------------------------------------------------------------------------------------


def test_arguments_of_the_factory_pass_through() -> None:
    model: Any = archdsl.loads(REGULARISED).build(dropout=0.25, checkpointing="stage", num_classes=7)
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [0.25]
    assert model.checkpointing == "stage"
    assert model(torch.zeros(1, 3, 8, 32, 32)).shape == (1, 7)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"droput": 0.1},
            TypeError,
            r"build\(\) takes no argument 'droput'; did you mean 'dropout'\? it takes dropout, ",
        ),
        ({"classes": 3}, TypeError, "did you mean 'num_classes'"),
        ({"dropout": 3}, ValueError, "dropout = 3: expected a probability, 0 to 1"),
        ({"dropout": "a"}, ValueError, "dropout = 'a': expected a probability"),
        ({"checkpointing": "all"}, ValueError, "checkpointing is one of"),
        ({"num_classes": "3"}, TypeError, "num_classes = '3': expected a whole number"),
        ({"num_classes": 0}, ValueError, "num_classes = 0: expected 1 or more"),
        ({"target": "inference"}, ValueError, "target = 'inference': expected 'train' or 'infer'"),
    ],
)
def test_an_error_names_the_argument_of_the_factory(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        archdsl.loads(REGULARISED).build(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dropout": 2}, ValueError, "dropout is a rate from 0 to 1, not 2"),
        ({"dropout": -0.1}, ValueError, "dropout is a rate from 0 to 1, not -0.1"),
        ({"drop_path": 0.1}, ValueError, "drop_path is True or False, not 0.1"),
        ({"num_classes": 0}, ValueError, "num_classes is at least 1, not 0"),
    ],
)
def test_a_compiled_module_refuses_values_without_archdsl(arguments: Any, error: type[Exception], message: str) -> None:
    arch = archdsl.loads(REGULARISED.replace("avgpool ->", "residual { conv(8) -> drop_path(0.1) } -> avgpool ->"))
    factory = getattr(load_module(arch.name, arch.source()), arch.name)
    with pytest.raises(error, match=message):
        factory(**arguments)
    with pytest.raises(ValueError, match=r"expected \(B, 3, T, H, W\), found \(1, 3, 0, 32, 32\)"):
        factory()(torch.zeros(1, 3, 0, 32, 32))


def test_one_pass_is_a_collection_of_one() -> None:
    arch = archdsl.loads(TINY)
    assert arch.source(without="inplace") == arch.source(without=["inplace"]) != arch.source()


# --- reprs ---------------------------------------------------------------------------------------------------------

SMALL = {"width": 8, "clip": "3x8x64x64"}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: archdsl.loads(TINY), "<Architecture tiny: 2,461 parameters, 2.43 M multiply-adds>"),
        (lambda: archdsl.diff(archdsl.loads(TINY), archdsl.loads(TINY)), "<Difference of tiny and tiny; the two"),
        (lambda: archdsl.diff("slow_r50", "slow_r50_nl"), "<Difference of slow_r50 and slow_r50_nl; "),
        (lambda: archdsl.load("r3d_18", like="torchvision").plan_weights("torchvision"), "<Plan of r3d_18: "),
        (lambda: archdsl.load("c2d_r50").plan_transfer(archdsl.load("resnet50")), "<TransferPlan of c2d_r50"),
        (lambda: archdsl.load("slow_r50", **SMALL)._analysis, "<Analysis slow_r50>"),
        (lambda: archdsl.load("slow_r50", **SMALL)._analysis.network, "<Network slow_r50: "),
    ],
)  # fmt: skip
def test_a_repr_is_short(make: Any, expected: str) -> None:
    text = repr(make())
    assert text.startswith(expected)
    assert len(text) < 300


def test_diagnostics_are_shown_without_their_sources() -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.loads(FAULTY)
    assert repr(caught.value) == "SpecError(E0202)"
    fault = caught.value.diagnostics[0]
    assert repr(fault) == "<error E0202 at <text>:4:64: no layer or block is called `rellu`>"
    assert "arch tiny" not in repr(fault.span.source)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# --- names of the package ------------------------------------------------------------------------------------------


def test_dir_lists_the_public_names_before_and_after_use() -> None:
    code = "import sys, archdsl; a = dir(archdsl); archdsl.load; b = dir(archdsl); "
    code += "assert a == b == sorted(archdsl.__all__), b; assert 'torch' not in sys.modules; archdsl.laod"
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=here, capture_output=True, text=True, check=False)
    assert "module 'archdsl' has no attribute 'laod'; did you mean 'load'?" in done.stderr
