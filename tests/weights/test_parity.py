"""Parity: our networks with the weights of other code bases give the outputs of those.

`parity/*.json` record the logits and the outputs of inner modules of published implementations with the weights and
the clip of `parity_weights.py`, and where that code is from.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from parity_cases import CASES, Case
from parity_filled import filled
from parity_taps import ours
from parity_weights import inputs_of, weights_of
from repository import ROOT

import archdsl
from archdsl.targets.torch.lower import TARGETS, lowered_with_counts, switchable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.weights.plan import Plan

SMALL = 500_000  # numbers of a clip
WITHOUT = 2  # records that are run without a pass


def record_of(case: Case) -> dict[str, Any]:
    return json.loads((ROOT / "tests/parity" / f"{case.record}.json").read_text("utf-8"))


def loaded(case: Case) -> archdsl.Architecture:
    """The network of a record."""
    clip = tuple(record_of(case)["inputs"]["clip"][1:])
    return archdsl.load(ROOT / "specs" / f"{case.spec}.arch", clip=clip, like=case.source, **dict(case.params))


SIZES = {case: math.prod(record_of(case)["inputs"]["clip"]) for case in CASES}  # of clips
LARGEST_FIRST = sorted(CASES, key=SIZES.__getitem__, reverse=True)
# The record of the smallest clip of each kind of network and source, of each spec, and of each spec and map of names.
FIRST = {case.taps: case for case in LARGEST_FIRST}
OF_SPECS = {case.spec: case for case in LARGEST_FIRST}
OF_MAPS = {(case.taps, case.spec): case for case in LARGEST_FIRST}


def recorded(case: Case) -> Any:
    """A case that `make records` runs, unless its clip is small or the smallest of its kind."""
    is_small = SIZES[case] <= SMALL or case == FIRST[case.taps]
    return pytest.param(case, id=case.record, marks=() if is_small else pytest.mark.records)


class Run(NamedTuple):
    """Outputs of our module for a record's weights and clip."""

    case: Case
    record: dict[str, Any]
    arch: archdsl.Architecture
    plan: Plan
    theirs: dict[str, torch.Tensor]
    converted: dict[str, torch.Tensor]
    logits: torch.Tensor
    statistics: dict[str, list[dict[str, Any]]]  # by tap

    def holds(self, logits: torch.Tensor) -> bool:
        """Tell whether logits are those of the record."""
        expected = torch.tensor(self.record["output"])
        if {"boxes", "mask"} & self.record.keys():  # their classes come first
            expected = expected.reshape(self.record["output_shape"]).transpose(1, 2)
        expected = expected.reshape(logits.shape)
        return bool((logits - expected).abs().max() <= self.case.tolerance * expected.abs().max())

    def logits_of(self, **how: Any) -> torch.Tensor:
        """Outputs of a module that is built in another way."""
        with torch.no_grad():
            return filled(self.arch, self.converted, **how)(*inputs_of(self.record))


@pytest.fixture(scope="module", params=map(recorded, CASES))
def run(request: pytest.FixtureRequest) -> Run:
    """The module of a spec with the weights of a record, run once."""
    return run_of(request.param)


@lru_cache(maxsize=4)
def run_of(case: Case) -> Run:
    """The same, for a few records at a time."""
    record, arch = record_of(case), loaded(case)
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
    return Run(case, record, arch, arch.plan_weights(case.source), theirs, converted, logits, found)


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
    """The part of a value that a record keeps."""
    double = value.double()
    scale = {"mean": double.mean().item(), "std": double.std().item(), "l2": double.norm().item()}
    return {"shape": list(value.shape), **scale}


def alike(found: list[int], recorded: list[int]) -> bool:
    """Tell whether shapes have the same axes in any order, those of size 1 aside; one can be several of the other.

    Code bases put positions and frames elsewhere, and tokens in a row.
    """
    ours, theirs = (Counter(n for n in shape if n != 1) for shape in (found, recorded))
    left = [list((a - b).elements()) for a, b in ((ours, theirs), (theirs, ours))]
    return math.prod(left[0]) == math.prod(left[1]) and min(map(len, left)) <= 1


def test_logits(run: Run) -> None:
    assert run.holds(run.logits)


@pytest.mark.parametrize("run", [recorded(case) for case in OF_SPECS.values() if SIZES[case] <= SMALL], indirect=True)
def test_logits_for_inference(run: Run) -> None:
    """For the smallest record of each spec: whose weights they are makes no difference to the code."""
    assert run.holds(run.logits_of(target="infer"))


@cache
def changes(case: Case, target: str) -> dict[str, int]:
    """How much each pass changes in the network of a record."""
    return lowered_with_counts(loaded(case)._analysis.network, target=target)[1]


@pytest.mark.records
@pytest.mark.parametrize(("target", "name"), [(target, name) for target in TARGETS for name in switchable(target)])
def test_logits_without_a_pass(target: str, name: str) -> None:
    """For the fewest parameters that it changes; test_lowering.py does the same with small networks of all kinds."""
    kinds = sorted(FIRST.values(), key=lambda case: record_of(case)["params"])
    changed = list(islice((case for case in kinds if changes(case, target)[name]), WITHOUT))
    assert changed
    for case in changed:
        run = run_of(case)
        assert run.holds(run.logits_of(target=target, without=[name])), case.record


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
    """Without those of tensors that the map drops, such as an auxiliary head's."""
    unused = [t for name, t in run.theirs.items() if run.plan.dropped.fullmatch(name) and "running" not in name]
    assert run.arch.params == run.record["params"] - sum(t.numel() for t in unused)


@pytest.mark.parametrize("run", [recorded(case) for case in OF_MAPS.values()], indirect=True)
def test_goes_back_exactly(run: Run) -> None:
    """Of one record of each spec and map, tensors go back under the names that are written.

    Those that a rule names, and second ones beside them; none that are dropped.
    Where a record has a tensor under two names it has two values for it, as each name was filled by itself. In the
    network that was run the later one had overwritten the other, so this is what both go back as.
    """
    back = archdsl.revert_weights(run.arch, run.converted, run.case.source)
    plan = run.plan
    aliases = plan.aliases
    newer = {name: first for first, names in aliases.instead.items() for name in names}
    second = {name: first for first, names in aliases.second.items() for name in names}
    expected = {
        newer.get(name, name): tensor for name, tensor in run.theirs.items() if not plan.dropped.fullmatch(name)
    }
    for name, first in second.items():
        expected.setdefault(first, expected[name])
        expected[name] = expected[first]
    assert back.keys() == expected.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in expected.items())
