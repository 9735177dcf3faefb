"""Every spec as a small network of the same form: few channels, two blocks a stage, small clips."""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any

import pytest
import torch
from given import given
from repository import ROOT

import archdsl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# By a parameter that only specs of a family have: lower values of parameters, and the smallest clip that shows it all.
SMALL: dict[str, tuple[dict[str, Any], int, int]] = {
    "t_adapters": ({"dim": 16, "depth": 2, "heads": 2}, 4, 32),
    "both": ({"dim": 16, "depth": 2, "heads": 2, "width": 8}, 4, 32),
    "expand2": (
        {
            "stem": 8,
            "widths": [8, 8, 16, 16, 16],
            "last": 16,
            "flat": [[0], [], [], [], [1]],
            "long": [4, 5, 6],
            "single": [],
        }
        | {f"expand{i}": [8, 16] for i in range(2, 7)},
        8,
        32,
    ),
    "temporal_heads": (
        {"dim": 16, "depth": 1, "heads": 2, "width": 8, "depths": [1, 1, 1, 1], "layers": 1, "temporal_heads": 2}
        | {"inner": 32, "window": 4},
        12,
        32,
    ),
    "head_width": ({"widths": [8, 8, 16, 16], "depths": [1, 2, 2, 1], "head_width": 8}, 4, 64),
    "focal_window": ({"width": 8, "depths": [1, 2, 2, 1]}, 4, 64),
    "unit_stages": ({"dim": 8, "heads": 1, "depths": [1, 2, 2, 1], "unit": 4}, 4, 32),
    "decoder_depth": (
        {"dim": 16, "depth": 2, "heads": 2, "decoder_dim": 16, "decoder_depth": 1, "decoder_heads": 2},
        4,
        32,
    ),
    "head_eps": ({"dim": 16, "depth": 2, "heads": 2}, 4, 32),
    "lmhra": ({"dim": 16, "depth": 3, "heads": 2, "layers": 2}, 3, 32),
    "mit_dim": ({"dim": 16, "depth": 2, "heads": 2, "mit_dim": 8, "mit_heads": 2}, 3, 64),
    "cube": ({"dim": 8, "depths": [1, 2, 2, 1]}, 4, 64),
    "prefix": ({"width": 8, "depths": [2, 2, 2, 1], "heads": [1, 2, 2, 4]}, 4, 64),
    "spatial_depth": ({"dim": 16, "heads": 2, "spatial_depth": 2, "temporal_depth": 1}, 4, 36),
    "pool_dim": ({"dim": 16, "depth": 2, "heads": 2, "pool_heads": 2, "pool_dim": 8}, 4, 28),
    "counts_reader": ({"dim": 16, "depth": 1, "heads": 2, "pooler": 1, "probe_heads": 2}, 4, 32),
    "last": ({"dim": 16, "depth": 2, "heads": 2}, 4, 48),
    "tubelet": ({"dim": 16, "depth": 2, "heads": 2, "temporal_depth": 1}, 4, 48),
}
SHALLOW = (1, 2, 1, 1)
SPECS = sorted((ROOT / "specs").glob("*.arch"))
# One spec of each set of kinds of layers, which `test_the_chosen_specs_have_layers_of_all_kinds` holds.
KINDS = """
    aim_b avslowfast_r50 c2d_r50 c3d convnext3d_t fpn_slow_r50 hiera_b i3d_inception_residual i3d_inception_rgb
    i3d_r50_nl5 i3d_two_stream internvideo2_b movinet_a0 movinet_a0_stream mvit_b_16x4 mvitv2_s_16x4 r2plus1d_18
    r2plus1d_r50 rev_mvit_b s3d_g slow_r50 slow_r50_ava slow_r50_nl slowfast_4x16_r50_ttoc slowfast_r50
    slowfast_r50_attention slowfast_r50_ava slowfast_r50_nl st_adapter_b swin3d_t tanet_r50 timesformer_s timesformer_ts
    tsm_mobilenetv2 tsm_r50 tsm_r50_nl unet_r3d_18 uniformer_s uniformerv2_b uniformerv2_b_lmhra videofocalnet_t
    videomae_b videomae_b_pretrain videoprism_b vivit_b_fdp vjepa2_g vtn_deit_b vtn_r50 x3d_m xclip_b32
""".split()
# And those whose attention or laterals have another form.
FEW = (
    """
    mvitv2_s_shifted slowfast_4x16_r50_tsample swin3d_t_factorized swin3d_t_pooled_keys timesformer_lg
    timesformer_ts_banded timesformer_twh vivit_b_fe vivit_b_fsa
""".split()
    + KINDS
)
# Those whose code differs from that of all others in more than numbers: of specs that differ in numbers alone there is
# one in these lists, which `test_the_chosen_specs_have_all_forms` holds.
OTHERS = """
    c2d_r50_nl10 c2d_r50_nl5 c2d_r50_nl_res5 csn_ip_r101 csn_ir_r101 fast_r50 fr2d_18 i3d_r101 i3d_r101_nl5
    i3d_r50_heavy i3d_r50_nl10 mc2_18 mc3_18 mc4_18 mc5_18 mvit_b24_32x3 mvit_s_16x4 mvitv2_l_40x3 p3d_199 r2d_18
    r3d_18 rmc2_18 rmc3_18 rmc3_2plus1d_18 rmc4_18 rmc5_18 s3d slowfast_4x16_r101_r50 swin3d_t_split timesformer_st
    tpn_slow_r50 tsm_r50_tpool videomae_h vivit_b_joint vjepa2_h
""".split()
# For what takes seconds of each.
FAMILIES = "i3d_inception_rgb i3d_r50_nl5 mvit_b_16x4 slowfast_r50 swin3d_t timesformer_ts vivit_b_fdp vtn_r50".split()
# These and a few more have together every kind of layer that a spec has, which a test holds: a family that brings a new
# kind has a place here.
COVERING = (
    FAMILIES
    + """
    avslowfast_r50 i3d_two_stream internvideo2_b movinet_a0_stream mvitv2_s_16x4 slow_r50_ava tanet_r50
    tsm_mobilenetv2 unet_r3d_18 uniformerv2_b_lmhra videofocalnet_t videomae_b_pretrain vjepa2_g xclip_b32
""".split()
)


def param(path: Path, few: Sequence[str] = FEW) -> Any:
    """A spec as a parameter of a test, which `make records` runs unless it is one of few."""
    return pytest.param(path, id=path.stem, marks=() if path.stem in few else pytest.mark.records)


ALL = [param(path) for path in SPECS]
EACH = [param(path) for path in SPECS if path.stem in {*FEW, *OTHERS}]
EACH_OF_FEW = [param(path) for path in SPECS if path.stem in FEW]


@cache
def full(path: Path) -> archdsl.Architecture:
    """A spec as it stands."""
    return archdsl.load(path)


@cache
def small(path: Path, frames: int = 0, *, shallow: bool = False, heights: int = 1) -> archdsl.Architecture:
    """A spec with its parameters as low as they go; `frames` of a clip, or as few as each stage needs.

    `heights` times as high as it is wide.

    A shallow one has two blocks in the second stage alone, for what takes a time that grows with the number of blocks.
    """
    given = full(path)._analysis.parameters
    family = next((key for key in SMALL if key in given), None)
    if family is not None:
        lower, least, crop = SMALL[family]
    else:
        two_paths = "alpha" in given and "drop path" not in path.read_text("utf-8")
        lower = {"width": 8, "filters": 8, "depths": [2, 2, 2, 2]} | ({"beta": Fraction(1, 2)} if two_paths else {})
        least = 2 * int(given.get("alpha", 8))
        crop = 36 if any(map(len, given.get("non_local", ()))) else 20  # enough for the pooling of keys in res5
    if path.stem in ("convnext3d_t", "fpn_slow_r50", "unet_r3d_18"):  # grids that all strides divide
        crop = 32
    if path.stem == "mvitv2_s_shifted":  # windows that its poolings divide
        windows = "[[2, 16, 16], [2, 16, 16], [all, all, all], [all, all, all]]"
        lower, least, crop = {**lower, "windows": windows, "shift": [1, 8, 8]}, 8, 128
    if path.stem == "timesformer_ts_banded":
        lower, least = {**lower, "band": 4}, 40
    if {"depths"} <= lower.keys() & given.keys():
        depths = [min(n, most) if shallow else n for n, most in zip(lower["depths"], SHALLOW, strict=True)]
        lower = {**lower, "depths": depths[: len(given["depths"])]}
        blocks = zip(given.get("non_local", ()), depths, strict=False)
        lower["non_local"] = [[i for i in places if i < depth] for places, depth in blocks]
    if "audio_rate" in given:  # frames of the spectrogram for each of the clip
        lower["frames"] = frames or least
    clip = (int(given.get("channels", 3)), frames or least, heights * crop, crop)
    return archdsl.load(path, clip=clip, **{k: v for k, v in {**lower, "classes": 7}.items() if k in given})


def forms() -> list[Path]:
    """The specs whose small networks are not those of another one before them but for numbers."""
    first: dict[str, Path] = {}
    for path in sorted(SPECS, key=lambda p: p.stem not in FEW):
        first.setdefault(re.sub(r"Constant\(value=-?[\d.e-]+\)", "a number", body(small(path))), path)
    return list(first.values())


def body(arch: archdsl.Architecture) -> str:
    """The classes of a module as Python reads them: no comments, no docstrings, no name of the spec."""
    tree = ast.parse(arch.source())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in (inner for cls in classes for inner in ast.walk(cls)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    classes[-1].name = "Model"
    return "\n".join(ast.dump(cls) for cls in classes)


def inputs(arch: archdsl.Architecture, batch: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """Random clips for a network, always the same."""
    return tuple(given(arch._analysis.network, batch, dtype).values())


def imported(path: Path) -> Any:
    """A module of generated code, from its file."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
