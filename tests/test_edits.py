"""Predictions of the graph for random legal edits of SlowFast, C2D and R3D.

Random programs of all kinds are those of test_programs.py.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from meta import assert_as_predicted, assert_imports_are_used
from reference import assert_computes_the_graph
from repository import ROOT
from small import EACH_OF_FEW, small

import archdsl

SPECS = ROOT / "specs"
# Without shrinking: a failure shows the whole spec, and the time of a run stays bounded.
PHASES = [Phase.explicit, Phase.generate]
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
ODD = st.sampled_from([1, 3, 5, 7])
depths = st.lists(st.integers(1, 3), min_size=4, max_size=4)


def counts(most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, most), min_size=4, max_size=4)


@settings(max_examples=16, deadline=None, derandomize=True, phases=PHASES, suppress_health_check=QUIET)
@given(
    alpha=st.sampled_from([1, 2, 4, 8]),
    slow_frames=st.integers(1, 4),
    beta=st.sampled_from([Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1)]),
    width=st.sampled_from([8, 16, 24]),
    classes=st.integers(1, 50),
    crop=st.integers(16, 70),
    depths=depths,
    fast_depths=depths,
    temporal=counts(3),
    fast_temporal=counts(3),
    lateral_kernel=ODD,
    lateral_kind=st.sampled_from(["time_strided_conv", "time_to_channel", "time_sample"]),
    fusion=st.sampled_from(["concat", "sum"]),
    lateral_norm=st.booleans(),
    sampling=st.sampled_from(["spread", "stride"]),
    fast_first=st.booleans(),
)
def test_slowfast_with_other_parameters(alpha: int, slow_frames: int, **params: object) -> None:
    values = {**params, "alpha": alpha, "frames": alpha * slow_frames}
    if values["fusion"] == "concat" or channels_agree(values):
        assert_as_predicted(archdsl.load(SPECS / "slowfast_r50.arch", **values))
        return
    # A sum needs the channels of both paths to agree; nothing else in these edits is illegal.
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(SPECS / "slowfast_r50.arch", **values)
    assert {d.code for d in caught.value.diagnostics} == {"E0501"}, str(caught.value)


def channels_agree(values: dict[str, object]) -> bool:
    """Tell whether the lateral connection gives as many channels as the slow path has."""
    fast = Fraction(str(values["beta"]))
    alpha = int(str(values["alpha"]))
    factor = {"time_strided_conv": 2, "time_to_channel": alpha, "time_sample": 1}[str(values["lateral_kind"])]
    return fast * factor == 1


@pytest.mark.parametrize("path", EACH_OF_FEW)
def test_every_spec_computes_its_graph(path: Path) -> None:
    assert_computes_the_graph(small(path))


@settings(max_examples=10, deadline=None, derandomize=True, phases=PHASES, suppress_health_check=QUIET)
@given(
    stem=st.tuples(ODD, ODD),
    inner=st.tuples(ODD, ODD, ODD),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    pool=st.sampled_from(["[1, 3, 3]", "[3, 3, 3]", "[1, 2, 2]", "[1, 5, 3]"]),
    expansion=st.integers(1, 5),
    groups=st.sampled_from([1, 2, 8]),
    clip=st.tuples(st.just(3), st.sampled_from([4, 8, 12]), st.integers(24, 60), st.integers(24, 60)),
)
def test_slowfast_with_an_edited_library(
    stem: tuple[int, int],
    inner: tuple[int, int, int],
    strides: tuple[int, int, int],
    pool: str,
    expansion: int,
    groups: int,
    clip: tuple[int, int, int, int],
) -> None:
    """Kernels, strides, expansion and groups in the blocks themselves."""
    edits = {
        "[t, 7, 7]": f"[t, {stem[0]}, {stem[1]}]",
        "stride = [t_stride, 2, 2]": f"stride = [1, {strides[0]}, {strides[0]}]",
        "maxpool([1, 3, 3], stride = [pool_t_stride, 2, 2]": f"maxpool({pool}, stride = {[1, *strides[1:]]}",
        "inner*width, [1, 3, 3], stride = step": f"inner*width, {list(inner)}, stride = step",
        "groups = groups": f"groups = {groups}",
        "out = 4*width": f"out = {expansion}*width",
    }
    text = (SPECS / "lib" / "resnet.arch").read_text("utf-8")
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    with TemporaryDirectory() as folder:
        (Path(folder) / "resnet.arch").write_text(text, "utf-8")
        spec = Path(folder) / "slowfast_r50.arch"
        spec.write_text((SPECS / "slowfast_r50.arch").read_text("utf-8"), "utf-8")
        assert_as_predicted(archdsl.load(spec, clip=clip, depths=[2, 1, 2, 1]))


POSITIONS = st.lists(st.lists(st.integers(0, 2), max_size=2, unique=True), min_size=4, max_size=4)


def reached(positions: Any, depths: Any) -> list[list[int]]:
    """The positions that stages of these depths have; others are refused."""
    return [[i for i in row if i < n] for row, n in zip(positions, depths, strict=True)]


PAIRWISE = st.sampled_from(["embedded_gaussian", "gaussian", "dot_product", "concatenation"])


@settings(max_examples=10, deadline=None, derandomize=True, phases=PHASES, suppress_health_check=QUIET)
@given(
    frames=st.sampled_from([4, 8, 9]),
    crop=st.sampled_from([40, 51]),
    depths=depths,
    stem_t=ODD,
    inflate=st.lists(st.lists(st.sampled_from([1, 3]), min_size=1, max_size=3), min_size=4, max_size=4),
    stem_stride=st.integers(1, 2),
    pool1_stride=st.integers(1, 2),
    pool2=st.booleans(),
    pool1_padding=st.sampled_from(["half", "valid"]),
    non_local=POSITIONS,
    pairwise=PAIRWISE,
    scale=st.booleans(),
    kv_pool=st.sampled_from([[1, 2, 2], [1, 1, 1], [1, 2, 1]]),
    kv_pool_first=st.booleans(),
    proj_bias=st.booleans(),
)
def test_c2d_with_other_parameters(**params: object) -> None:
    """I3D and non-local networks among them; pooling leaves at least one frame of four."""
    if params["frames"] == 4 and params["pool1_stride"] == 2:
        params["pool2"] = False
    params["non_local"] = reached(params["non_local"], params["depths"])
    arch = archdsl.load(SPECS / "c2d_r50.arch", width=8, classes=7, **params)
    assert_as_predicted(arch)
    assert_computes_the_graph(arch)


@settings(max_examples=6, deadline=None, derandomize=True, phases=PHASES, suppress_health_check=QUIET)
@given(
    frames=st.integers(1, 9),
    crop=st.integers(16, 40),
    channels=st.integers(1, 4),
    depths=st.lists(st.integers(1, 2), min_size=4, max_size=4),
    temporal=st.lists(st.booleans(), min_size=5, max_size=5),
    factored=st.booleans(),
    folded=st.booleans(),
    middle_of_block=st.booleans(),
    stem_pool=st.booleans(),
    factored_shortcut=st.booleans(),
    stem_middle=st.integers(1, 50),
)
def test_r3d_with_other_parameters(**params: object) -> None:
    """The study of R(2+1)D, and what lies between its networks."""
    arch = archdsl.load(SPECS / "r3d_18.arch", width=8, classes=7, **params)
    assert_as_predicted(arch)
    assert_computes_the_graph(arch)


MANY_VALUES = """
arch many_values
input clip: video[3, 4, 8, 8]
path a = clip -> every(2) as raw
path b = clip
stage s1 {
    a: conv(4, 3) as early
    b: conv(4, 3)
    lateral b => a: every(2)
}
stage s2 {
    a: conv(6, 3)
    b: conv(6, 3)
    lateral b => a: every(2)
}
head: concat { a -> avgpool, early -> avgpool, a -> avgpool, raw -> avgpool, b -> avgpool }
"""


def test_a_head_of_many_values(tmp_path: Path) -> None:
    """Several values of one path, from before the stages, inside and behind a fusion, one of them twice."""
    (tmp_path / "many_values.arch").write_text(MANY_VALUES.lstrip(), "utf-8")
    arch = archdsl.load(tmp_path / "many_values.arch")
    assert_as_predicted(arch)
    assert_computes_the_graph(arch)


# --- blocks ---------------------------------------------------------------------------------------------------------


BLOCKS_THAT_DIFFER_IN_FORWARD = """
arch in_forward
input rgb: video[3, 4, 16, 16]
input flow: video[2, 4, 16, 16]
block unit(width, k, s = 1) {
    conv(width, k, stride = s, padding = same) -> maxpool([1, k, k], stride = s, padding = same) -> avgpool([1, k, 1])
}
path a = rgb
path b = flow
stage s {
    a: unit(4, 3) -> unit(6, 1) -> unit(4, 2) -> unit(8, 3, s = 2)
    b: unit(8, 3)
}
head: mean { a -> avgpool, b -> avgpool }
"""


def test_numbers_that_stand_in_forward(tmp_path: Path) -> None:
    """`forward` knows no parameters of a constructor, so uses of a block that differ there are classes of their own."""
    path = tmp_path / "in_forward.arch"
    path.write_text(BLOCKS_THAT_DIFFER_IN_FORWARD.lstrip(), "utf-8")
    arch = archdsl.load(path)
    assert_as_predicted(arch)
    assert_computes_the_graph(arch)
    assert_imports_are_used(arch.source())


def test_a_clip_is_for_every_input_of_its_size(tmp_path: Path) -> None:
    path = tmp_path / "in_forward.arch"
    path.write_text(BLOCKS_THAT_DIFFER_IN_FORWARD.lstrip(), "utf-8")
    inputs = archdsl.load(path, clip=(3, 6, 24, 20)).cost()["input"]
    assert inputs == {"rgb": [3, 6, 24, 20], "flow": [2, 6, 24, 20]}
    path.write_text(path.read_text("utf-8").replace("video[2, 4,", "video[2, 8,"), "utf-8")
    assert archdsl.load(path, clip=(3, 6, 24, 20)).cost()["input"]["flow"] == [2, 8, 16, 16]


def test_a_block_with_another_inside_says_so_in_its_class() -> None:
    source = archdsl.load(SPECS / "c2d_r50_nl1.arch").source()
    assert "class BottleneckWithNonLocal(nn.Module):" in source
    assert "to the input. With NonLocal." in " ".join(source.split())


def test_non_local_blocks_on_a_single_frame() -> None:
    """A 2D grid is a grid of one frame."""
    arch = archdsl.load(SPECS / "c2d_r50_nl5.arch", clip=(3, 1, 36, 40), pool2=False, width=8, classes=3)
    assert_as_predicted(arch)
    assert_computes_the_graph(arch)
