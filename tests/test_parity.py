"""Our networks, filled with the weights of other code bases, compute what those compute.

`parity/*.json` record the logits and the outputs of inner modules of published implementations with the weights and
the clip of `parity_weights.py`, and where that code is from.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from parity_taps import ours
from parity_weights import clip, filled, weight

import archdsl
from archdsl.lowering import TARGETS, lowered_with_counts, switchable

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent


class Case(NamedTuple):
    """A record, the spec and the source that it belongs to, and the table of its inner modules."""

    record: str
    spec: str  # below `specs/`
    taps: str
    params: tuple[tuple[str, Any], ...] = ()
    tolerance: float = 2e-5  # of the largest logit
    share: Fraction = Fraction(3, 4)  # of the recorded values that we have, too

    @property
    def source(self) -> str:
        return self.taps.split()[0]


def given(**values: Any) -> tuple[tuple[str, Any], ...]:
    """Parameters that a record's network has otherwise."""
    return tuple(values.items())


def of_pairs(function: str) -> tuple[tuple[str, Any], ...]:
    """Non-local blocks with one of the functions of Wang et al. 2018."""
    return given(pairwise=function)


UNSCALED = 1e-3  # the softmax of a non-local block without a scale makes float32's own error that large
PADDED = Fraction(3, 5)  # Longformer fills its sequences up to whole windows, so inner values have other shapes

CASES = [
    Case("psf_slowfast_8x8_r50", "slowfast_r50", "pyslowfast slowfast"),
    Case("psf_slowfast_8x8_r50_small", "slowfast_r50", "pyslowfast slowfast"),
    Case("psf_slowfast_nln_8x8_r50_small", "slowfast_r50_nl", "pyslowfast slowfast"),
    Case("psf_slow_r50_8x8", "slow_r50", "pyslowfast slow"),
    Case("psf_c2d_r50", "c2d_r50", "pyslowfast c2d"),
    Case("psf_i3d_nln_r50", "i3d_r50_nl5", "pyslowfast c2d"),
    Case("psf_i3d_nln_r50_small", "i3d_r50_nl5", "pyslowfast c2d"),
    Case("psf_i3d_nln_r101_small", "i3d_r101_nl5", "pyslowfast c2d"),
    Case("ptv_slowfast_r50", "slowfast_r50", "pytorchvideo slowfast"),
    Case("ptv_slow_r50", "slow_r50", "pytorchvideo slow"),
    Case("ptv_i3d_r50_small", "i3d_r50", "pytorchvideo c2d"),
    Case("ptv_r2plus1d_r50", "r2plus1d_r50", "pytorchvideo r2plus1d"),
    Case("mma_slowfast_r50_8x8", "slowfast_r50", "mmaction2 slowfast"),
    Case("mma_slowfast_r101_r50_4x16_small", "slowfast_4x16_r101_r50", "mmaction2 slowfast"),
    Case("mma_slowonly_r50_nl_embedded_8x8_small", "slow_r50_nl", "mmaction2 slow"),
    Case("mma_c2d_r50", "c2d_r50", "mmaction2 c2d"),
    Case("mma_i3d_r50_small", "i3d_r50", "mmaction2 c2d"),
    Case("mma_i3d_r50_heavy_small", "i3d_r50_heavy", "mmaction2 c2d"),
    Case("mma_i3d_r50_nl1_dot_product_small", "i3d_r50_nl1", "mmaction2 c2d", of_pairs("dot_product")),
    Case("mma_i3d_r50_nl1_concatenation_small", "i3d_r50_nl1", "mmaction2 c2d", of_pairs("concatenation")),
    Case("mma_i3d_r50_nl1_embedded_gaussian_small", "i3d_r50_nl1", "mmaction2 c2d"),
    Case("mma_i3d_r50_nl_gaussian", "i3d_r50_nl5", "mmaction2 c2d", of_pairs("gaussian"), UNSCALED),
    Case("mma_r2plus1d_r34", "r2plus1d_34", "mmaction2 r2plus1d"),
    Case("tv_r3d_18", "r3d_18", "torchvision r3d"),
    Case("tv_mc3_18_small", "mc3_18", "torchvision r3d"),
    Case("tv_r2plus1d_18", "r2plus1d_18", "torchvision r2plus1d"),
    Case("vmz_r2plus1d_18", "r2plus1d_18", "vmz r2plus1d"),
    Case("vmz_r2plus1d_34_small", "r2plus1d_34", "vmz r2plus1d"),
    Case("i3d_inception_small", "i3d_inception_rgb", "pytorch_i3d inception"),
    Case("i3d_inception_flow_23f_223x217", "i3d_inception_flow", "pytorch_i3d inception"),
    Case("psf_mvit_b_16x4", "mvit_b_16x4", "pyslowfast mvit"),
    Case("psf_mvit_b_16x4_jointpos_small", "mvit_b_16x4", "pyslowfast mvit", given(positions="joint")),
    Case("psf_mvit_b_16x4_max_nokernel_small", "mvit_b_16x4", "pyslowfast mvit", given(pool="max")),
    Case("psf_mvit_b_16x4_avg_96", "mvit_b_16x4", "pyslowfast mvit", given(pool="avg", pool_kernel=3)),
    Case("psf_mvit_b_32x3_small", "mvit_b24_32x3", "pyslowfast mvit"),
    Case("psf_mvitv2_s_16x4_small", "mvitv2_s_16x4", "pyslowfast mvit"),
    Case("psf_mvitv2_s_72", "mvitv2_s_16x4", "pyslowfast mvit", given(table_crop=72)),
    Case("psf_mvitv2_s_dimmulmlp_small", "mvitv2_s_16x4", "pyslowfast mvit", given(wide_attention=False)),
    Case("psf_mvitv2_s_noresidual_small", "mvitv2_s_16x4", "pyslowfast mvit", given(residual_pooling=False)),
    Case("ptv_mvit_base_16x4", "mvit_b_16x4", "pytorchvideo mvit"),
    Case("ptv_mvit_base_16x4_release015_small", "mvit_b_16x4", "pytorchvideo mvit"),  # another ε where it pools
    Case("ptv_mvit_base_32x3_small", "mvit_b_32x3", "pytorchvideo mvit"),
    Case("tv_mvit_v1_b_small", "mvit_b_16x4", "torchvision mvit"),
    Case("tv_mvit_v2_s", "mvitv2_s_16x4", "torchvision mvit"),
    Case("tv_mvit_v2_s_64x96", "mvitv2_s_16x4", "torchvision mvit", given(table_crop=96)),
    Case("tv_mvit_v2_s_72", "mvitv2_s_16x4", "torchvision mvit", given(table_crop=72)),
    Case("mma_mvit_s", "mvitv2_s_16x4", "mmaction2 mvit"),
    Case("mma_mvit_s_norelpos_small", "mvitv2_s_16x4", "mmaction2 mvit", given(relative=False, positions="joint")),
    Case("mma_mvit_b_small", "mvitv2_b_32x3", "mmaction2 mvit"),
    Case("swin_t", "swin3d_t", "video_swin swin"),
    Case("swin_t_small", "swin3d_t", "video_swin swin"),
    Case("swin_t_odd", "swin3d_t", "video_swin swin"),
    Case("swin_b_w1677_small", "swin3d_b_ssv2", "video_swin swin", given(classes=400)),
    Case("tv_swin3d_t", "swin3d_t", "torchvision swin"),
    Case("tv_swin3d_t_tshift", "swin3d_t", "torchvision swin"),
    Case("tv_swin3d_s_odd", "swin3d_s", "torchvision swin"),
    Case("mma_swin_tiny_tshift", "swin3d_t", "mmaction2 swin"),
    Case("tsf_divided_small", "timesformer_ts", "timesformer timesformer"),
    Case("tsf_space", "timesformer_s", "timesformer timesformer"),
    Case("hf_timesformer_divided_small", "timesformer_ts", "huggingface timesformer"),
    Case("hf_timesformer_joint_small", "timesformer_st", "huggingface timesformer"),
    Case("mma_timesformer_divided", "timesformer_ts", "mmaction2 timesformer"),
    Case("mma_timesformer_joint_small", "timesformer_st", "mmaction2 timesformer"),
    Case("mma_timesformer_space_small", "timesformer_s", "mmaction2 timesformer"),
    Case("hf_vivit_b_ckptkeys", "vivit_b_joint", "huggingface vivit"),
    Case("hf_vivit_b_small", "vivit_b_joint", "huggingface vivit"),
    Case("vtn_vitb_small", "vtn_vit_b", "vtn vtn", share=PADDED),
    Case("tv_resnet50", "images/resnet50", "torchvision resnet"),
    Case("tv_resnet101_small", "images/resnet101", "torchvision resnet"),
    Case("timm_resnet50_small", "images/resnet50", "timm resnet"),
    Case("tv_vit_b_16", "images/vit_b16", "torchvision vit"),
    Case("timm_vit_b16", "images/vit_b16", "timm vit"),
    Case("timm_deit_b_small", "images/deit_b", "timm vit"),
    Case("deit_b_small", "images/deit_b", "deit vit"),
    Case("hf_vit_b_ckptkeys", "images/vit_b16", "huggingface vit"),
    Case("hf_vit_b_small", "images/vit_b16", "huggingface vit"),
    Case("tv_swin_t", "images/swin_t", "torchvision image_swin"),
    Case("tv_swin_t_odd", "images/swin_t", "torchvision image_swin"),
    Case("timm_swin_t", "images/swin_t", "timm swin"),
    Case("timm_swin_b", "images/swin_b", "timm swin"),
    Case("swin_t_images", "images/swin_t", "swin swin"),
    Case("hf_swin_t_ckptkeys", "images/swin_t", "huggingface swin"),
    Case("hf_swin_t", "images/swin_t", "huggingface swin"),
]


SMALL = 500_000  # numbers of a clip


def clip_size(case: Case) -> int:
    """Numbers of the clip that a record was made with."""
    record = json.loads((ROOT / "tests/parity" / f"{case.record}.json").read_text("utf-8"))
    return math.prod(record["inputs"]["clip"])


SIZES = {case: clip_size(case) for case in CASES}
# The record of the smallest clip of each kind of network and source.
FIRST = {case.taps: case for case in sorted(CASES, key=SIZES.__getitem__, reverse=True)}


def recorded(case: Case) -> Any:
    """A case that `make records` runs, unless its clip is small or the smallest of its kind."""
    is_small = SIZES[case] <= SMALL or case == FIRST[case.taps]
    return pytest.param(case, id=case.record, marks=() if is_small else pytest.mark.records)


class Run(NamedTuple):
    """What our module gives for a record's weights and clip."""

    case: Case
    record: dict[str, Any]
    arch: archdsl.Architecture
    theirs: dict[str, torch.Tensor]
    converted: dict[str, torch.Tensor]
    logits: torch.Tensor
    statistics: dict[str, list[dict[str, Any]]]  # by tap

    def holds(self, logits: torch.Tensor) -> bool:
        """Whether logits are those of the record."""
        expected = torch.tensor(self.record["output"]).reshape(logits.shape)
        return bool((logits - expected).abs().max() <= self.case.tolerance * expected.abs().max())

    def logits_of(self, **how: Any) -> torch.Tensor:
        """What a module that is built in another way gives."""
        with torch.no_grad():
            return filled(self.arch, self.converted, **how)(*inputs_of(self.record))


@pytest.fixture(scope="module", params=map(recorded, CASES))
def run(request: pytest.FixtureRequest) -> Run:
    """The module of a spec with the weights of a record, run once."""
    case: Case = request.param
    record = json.loads((ROOT / "tests/parity" / f"{case.record}.json").read_text("utf-8"))
    shape = tuple(record["inputs"]["clip"])
    params = dict(case.params)
    arch = archdsl.load(ROOT / "specs" / f"{case.spec}.arch", clip=shape[1:], like=case.source, **params)
    theirs = weights_of(record)
    converted = archdsl.convert_weights(arch, theirs, case.source)
    model = filled(arch, converted)
    modules = dict(model.named_modules())
    values = {tap: ours(case.taps, tap, modules) for tap in record["taps"]}
    outputs = watch(model, {n for parts in values.values() for names in parts for n in names})
    with torch.no_grad():
        logits = model(*inputs_of(record))
        found = {
            tap: [statistics(torch.cat([outputs[n] for n in names], dim=1)) for names in parts]
            for tap, parts in values.items()
        }
    return Run(case, record, arch, theirs, converted, logits, found)


def inputs_of(record: Mapping[str, Any]) -> list[torch.Tensor]:
    """The clip of a record, and the numbers of its frames where they matter."""
    frames = [torch.tensor(record["position_ids"])] if "position_ids" in record else []
    return [clip(tuple(record["inputs"]["clip"])), *frames]


def weights_of(record: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights that a record was made with, some times a factor where plain ones leave what float32 can hold."""
    theirs = {name: weight(name, tuple(shape)) for name, shape in record["state_dict"].items()}
    for pattern, factor in record.get("weight_scale", {}).items():
        theirs.update((name, tensor * factor) for name, tensor in theirs.items() if re.search(pattern, name))
    return theirs


def watch(model: torch.nn.Module, names: set[str]) -> dict[str, torch.Tensor]:
    """Fills with what modules give, or are given, when the model is run."""
    outputs: dict[str, torch.Tensor] = {}
    for name in names:
        module, _, side = name.partition(":")

        def note(_: Any, inputs: Any, output: Any, name: str = name, entering: bool = bool(side)) -> None:
            outputs[name] = (inputs[0] if entering else output).clone()  # later layers may work in place

        model.get_submodule(module).register_forward_hook(note)
    return outputs


def statistics(value: torch.Tensor) -> dict[str, Any]:
    """What a record keeps of a value."""
    double = value.double()
    scale = {"mean": double.mean().item(), "std": double.std().item(), "l2": double.norm().item()}
    return {"shape": list(value.shape), **scale}


def alike(found: list[int], recorded: list[int]) -> bool:
    """Whether shapes have the same axes, but those of size 1, in whatever order; one axis can be several of the other.

    Code bases put positions and frames elsewhere, and tokens in a row.
    """
    ours, theirs = (Counter(n for n in shape if n != 1) for shape in (found, recorded))
    left = [list((a - b).elements()) for a, b in ((ours, theirs), (theirs, ours))]
    return math.prod(left[0]) == math.prod(left[1]) and min(map(len, left)) <= 1


def test_logits(run: Run) -> None:
    assert run.holds(run.logits)


def test_logits_for_inference(run: Run) -> None:
    if SIZES[run.case] > SMALL:
        pytest.skip("large")
    assert run.holds(run.logits_of(target="infer"))


@pytest.mark.records
@pytest.mark.parametrize("target", TARGETS)
def test_logits_without_each_pass(run: Run, target: str) -> None:
    """For one record of each kind, which is slow enough; test_lowering.py does the same with small networks."""
    if run.case != FIRST[run.case.taps]:
        pytest.skip("another record stands for this kind")
    counts = lowered_with_counts(run.arch._analysis.network, target=target)[1]
    working = [name for name in switchable(target) if counts[name]]
    assert working
    assert [name for name in working if not run.holds(run.logits_of(target=target, without=[name]))] == []


def test_inner_modules(run: Run) -> None:
    """A fault in an early layer can hide below what is asked of the logits, so every stage is held to its record."""
    compared = 0
    for tap, found in run.statistics.items():
        recorded = run.record["taps"][tap]
        if found:
            for mine, theirs in zip(found, recorded if isinstance(recorded, list) else [recorded], strict=True):
                same(tap, mine, theirs, run.case.tolerance / 2)
            compared += 1
    assert compared >= int(run.case.share * len(run.record["taps"]))


def same(tap: str, found: Mapping[str, Any], record: Mapping[str, Any], tolerance: float) -> None:
    """The same shape, mean, standard deviation and norm as float32 can give."""
    shape = record["shape"]
    assert alike(found["shape"], shape), tap
    root = torch.tensor(shape).prod().item() ** 0.5
    assert found["mean"] == pytest.approx(record["mean"], rel=0, abs=tolerance * record["l2"] / root), tap
    assert found["std"] == pytest.approx(record["std"], rel=tolerance), tap
    assert found["l2"] == pytest.approx(record["l2"], rel=tolerance), tap


def test_parameters_are_as_many(run: Run) -> None:
    assert run.arch.params == run.record["params"]


def test_goes_back_exactly(run: Run) -> None:
    """Under the names that are written: those that a rule names, and second ones beside them.

    Where a record has a tensor under two names it has two values for it, as each name was filled by itself. In the
    network that was run the later one had overwritten the other, so this is what both go back as.
    """
    back = archdsl.revert_weights(run.arch, run.converted, run.case.source)
    aliases = run.arch.plan_weights(run.case.source).aliases
    newer = {name: first for first, names in aliases.instead.items() for name in names}
    second = {name: first for first, names in aliases.second.items() for name in names}
    expected = {newer.get(name, name): tensor for name, tensor in run.theirs.items()}
    for name, first in second.items():
        expected.setdefault(first, expected[name])
        expected[name] = expected[first]
    assert back.keys() == expected.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in expected.items())
