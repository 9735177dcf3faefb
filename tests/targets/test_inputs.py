"""Inputs besides videos: vectors, spectrograms, boxes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from given import given
from reference import assert_computes_the_graph

import archdsl

NET = """
arch net
param frames = 6
input clip: video[3, frames, 16, 16]
input text: vector[5]
input people: boxes[4]
input when: index[frames]
input sound: spectrogram[2, 12, 10]
stage one { conv(8, 3, stride = [1, 2, 2]) -> bn -> relu -> position(time, frames = when, table = 9) }
head about: concat { avgpool, text -> linear(8), sound -> conv(4, [9, 1, 9]) -> bn -> avgpool } -> linear(3)
head dense each: avgpool([all, 1, 1]) -> roi_align(people, 2) -> maxpool([1, all, all]) -> linear(5)
"""


def test_they_are_arguments_as_declared_and_those_that_can_be_left_out_behind() -> None:
    arch = archdsl.loads(NET)
    model = arch.build().eval()
    assert list(inspect.signature(model.forward).parameters) == ["clip", "text", "people", "sound", "when"]
    outputs = model(*given(arch._analysis.network, 2, torch.float32).values())
    assert {name: tuple(x.shape) for name, x in outputs.items()} == {"about": (2, 3), "each": (2, 4, 5)}


def test_the_module_computes_the_graph() -> None:
    assert_computes_the_graph(archdsl.loads(NET))


def test_boxes_joined_with_a_value_of_a_fixed_number_are_still_boxes() -> None:
    joined = "concat { in, avgpool -> upsample(size = [4, 1, 1]) } -> linear(5)"
    arch = archdsl.loads(NET.replace("maxpool([1, all, all]) -> linear(5)", f"maxpool([1, all, all]) -> {joined}"))
    assert_computes_the_graph(arch)
    outputs = arch.build().eval()(*given(arch._analysis.network, 2, torch.float32).values())
    assert outputs["each"].shape == (2, 4, 5)


def test_a_spectrogram_is_a_grid_of_one_row() -> None:
    arch = archdsl.loads(NET)
    x = torch.randn(2, 2, 12, 10)
    clip, text, people, _ = given(arch._analysis.network, 2, torch.float32).values()
    model = arch.build().eval()
    with torch.no_grad():
        one, other = (model(clip, text, people, sound)["about"] for sound in (x, x.roll(1, dims=3)))
    assert not torch.allclose(one, other)  # no frequency is another
    nodes = {data["kind"]: data["shape"] for _, data in arch.graph.nodes(data=True)}
    assert nodes["spectrogram input"] == (2, 12, 1, 10)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("text", (2, 6), r"text: expected \(B, 5\), found \(2, 6\)"),
        ("people", (2, 4, 5), r"people: expected \(B, N, 4\), found \(2, 4, 5\)"),
        ("sound", (2, 1, 12, 10), r"sound: expected \(B, 2, T, F\), found \(2, 1, 12, 10\)"),
        ("text", (3, 5), "text: expected a batch of 2, found 3"),
        ("people", (1, 4, 4), "people: expected a batch of 2, found 1"),
    ],
)
def test_arguments_of_another_shape_are_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    arch = archdsl.loads(NET)
    arguments = given(arch._analysis.network, 2, torch.float32) | {name: torch.zeros(shape)}
    with pytest.raises(ValueError, match=message):
        arch.build()(**arguments)


@pytest.mark.parametrize(
    ("name", "wanted"), [("sound", r"\(B, 2, T, F\)"), ("text", r"\(B, 5\)"), ("people", r"\(B, N, 4\)")]
)
def test_none_is_refused_for_an_argument_that_cannot_be_left_out(name: str, wanted: str) -> None:
    arch = archdsl.loads(NET)
    arguments: dict[str, Any] = {**given(arch._analysis.network, 2, torch.float32), name: None}
    with pytest.raises(ValueError, match=f"{name}: expected {wanted}, found None"):
        arch.build()(**arguments)


@pytest.mark.parametrize(("declared", "frames"), [("12", 16), ("13", 13)])
def test_the_option_for_the_clip_concerns_the_video_and_sound_with_frames_for_each_of_it(
    declared: str, frames: int
) -> None:
    arch = archdsl.loads(NET.replace("spectrogram[2, 12", f"spectrogram[2, {declared}"), clip=(3, 8, 20, 20))
    assert arch.cost()["input"] == {"clip": [3, 8, 20, 20], "text": [5], "people": [4, 4], "sound": [2, frames, 10]}


def test_a_video_alone_needs_no_path() -> None:
    text = NET.replace("stage one", "path p = clip\nstage one").replace("{ conv(8, 3, s", "{ p: conv(8, 3, s")
    assert archdsl.loads(text).params == archdsl.loads(NET).params


HEAD = """
arch net
param frames = 4
input clip: video[3, frames, 8, 8]
input sound: spectrogram[2, frames, 6]
input when: index[frames]
stage fine { conv(4) }
stage one { conv(4) }
stage two { conv(4) }
head: concat {
    in -> avgpool([1, all, all]) -> position(time, frames = when, table = 9) -> avgpool, one -> avgpool
    fine -> avgpool, sound -> avgpool
} -> linear(3)
"""


def test_a_head_gets_inputs_as_the_stages_have_brought_them_in_the_order_of_data_flow() -> None:
    arch = archdsl.loads(HEAD)
    assert_computes_the_graph(arch)
    text = arch.source()
    assert text.count("sound = sound.unsqueeze(3)") == text.count("when = _frame_numbers(") == 1
    [returned] = [line.strip() for line in text.splitlines() if line.startswith("        return sound, ")]
    [taken] = [line.strip() for line in text.splitlines() if line.endswith("= self._stages(clip, sound, when)")]
    assert returned.removeprefix("return ") == taken.partition(" =")[0] == "sound, when, fine, one, two"
