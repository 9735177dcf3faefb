"""Checks of a program: refused with diagnostics, or the same network in everything that is made of it."""

from __future__ import annotations

import types
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from definition import Definition
from definition.compare import difference
from given import given
from meta import assert_as_predicted, assert_imports_are_used
from reference import by_head, compute

import archdsl
from archdsl.analysis.compare import compare, difference_json
from archdsl.analysis.cost import cost_json
from archdsl.commands.diff_text import difference_lines
from archdsl.core.diagnostics import SpecError
from archdsl.core.render import render_text
from archdsl.core.source import Source
from archdsl.frontend.format import format_text
from archdsl.ir.regions import Featured
from archdsl.lowering import without_identities
from archdsl.pipeline import analyse
from archdsl.planning.gpus import GPUS
from archdsl.planning.memory import Optimizer
from archdsl.planning.plan import Limits, Setup, plan_training
from archdsl.planning.time import Machine
from archdsl.targets.dot.writer import diagram
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.ops.sites import Precision
from programs.starts import assert_begins_as_said, assert_trains_as_said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from archdsl.analysis.compare import Difference
    from archdsl.pipeline import Analysis
    from programs import Program

CLOSE = 1e-9  # relative to the largest of the values that are compared
NUDGE = 1e-13  # relative: values that it moves by more than `CLOSE` cannot be compared
MOST_ELEMENTS = 300_000  # of all values together; larger networks would only take longer
BATCH = 2


class Fault(AssertionError):
    """Something that does not hold of a program."""


@dataclass
class Texts:
    """A library in memory."""

    texts: dict[str, str]

    def find(self, name: str, importer: Source) -> Source | None:
        del importer
        return Source(f"{name}.arch", self.texts[name]) if name in self.texts else None

    def names(self, importer: Source) -> Iterable[str]:
        del importer
        return self.texts

    def maps(self, specs: Sequence[Source]) -> list[Source]:
        del specs
        return []


def check(program: Program, *, thorough: bool = False, most: float = MOST_ELEMENTS) -> str:
    """The outcome: `accepted`, `refused`, `large` (of more than `most` elements) or `unstable`.

    Everything is checked of a `thorough` one, else the dearer things are checked of some.

    Raises:
        Fault: if something does not hold, or another exception that the compiler or the module raises.
    """
    library = Texts(program.texts)
    text = program.texts[program.name]
    try:
        analysis = _analysed(program.name, text, library)
    except SpecError as error:
        _rendered(error)
        _formatted(text, refused=True)
        return "refused"
    network = analysis.network
    definition = Definition(program.name, program.texts)
    if found := difference(definition, network):
        raise Fault(f"definition: {found}")
    if sum(int(n.shape.elements) for n in network.all_nodes()) > most:
        return "large"
    names = [node.name for node in network.all_nodes()]
    if len(set(names)) < len(names):
        raise Fault(f"two layers are called {next(n for n in names if names.count(n) > 1)}")
    outcome = _computes(archdsl.Architecture(analysis), definition)
    rng = Random(text)
    for part, made in _MADE:
        if thorough or rng.random() < part:
            made(analysis)
    if thorough or rng.random() < 0.2:
        _same_when_formatted(program, library, analysis)
    if program.base is not None and (thorough or rng.random() < 0.5):
        _differs_from_base(program, library, analysis)
    return outcome


def _analysed(name: str, text: str, library: Texts) -> Analysis:
    return analyse(Source(f"{name}.arch", text), library)


def _rendered(error: SpecError) -> None:
    assert error.diagnostics
    assert any(d.is_error for d in error.diagnostics)
    render_text(error.diagnostics, color=False)


def _formatted(text: str, *, refused: bool = False) -> str:
    try:
        result = format_text(text, "net.arch")
    except SpecError as error:
        if not refused:
            raise Fault("fmt: refuses what check accepts") from error
        return text
    if format_text(result, "net.arch") != result:
        raise Fault("fmt: formatting again changes the text")
    return result


def _same_when_formatted(program: Program, library: Texts, analysis: Analysis) -> None:
    text = _formatted(program.texts[program.name])
    again = _analysed(program.name, text, library)
    if _nodes(again) != _nodes(analysis):
        raise Fault("fmt: the formatted text is another network")


def _nodes(analysis: Analysis) -> list[Any]:
    return [(n.name, n.layer.kind, n.layer.values(), n.inputs, n.shape) for n in analysis.network.all_nodes()]


def _draws(analysis: Analysis, level: str) -> None:
    text = diagram(without_identities(analysis.network), level).source
    if not text.startswith("digraph"):
        raise Fault(f"draw: no graph at the level {level}")


def _costs(analysis: Analysis) -> None:
    totals = set[tuple[int, int]]()
    for level in ("stage", "block", "layer"):
        data = cost_json(analysis.network, level)
        totals.add((data["params"], data["macs"]))
        rows = data[f"{level}s"]
        if (sum(r["params"] for r in rows), sum(r["macs"] for r in rows)) != (data["params"], data["macs"]):
            raise Fault(f"cost: the rows of {level}s are not the total")
    if len(totals) != 1:
        raise Fault("cost: totals differ from level to level")


def _planned(analysis: Analysis) -> None:
    machine = Machine(GPUS["a100"], 8, 8, 0.4)
    setup = Setup(machine, Optimizer("sgd", 0.9, False), Precision(half=True, cuda=True), Limits(10**10, 10**8), None)
    plan_training(lower(analysis.network), setup)


def _differences(base: Analysis, analysis: Analysis) -> Difference:
    difference = compare(base.network, analysis.network, base.parameters, analysis.parameters)
    difference_lines(difference, "base.arch", "net.arch")
    difference_json(difference)
    return difference


def _differs_from_base(program: Program, library: Texts, analysis: Analysis) -> None:
    assert program.base is not None
    with suppress(SpecError):  # what is wrong with a base, a variant can have replaced
        _differences(_analysed(program.base, program.texts[program.base], library), analysis)


def _is_itself(analysis: Analysis) -> None:
    if _differences(analysis, analysis).differ:
        raise Fault("diff: a network differs from itself")


def _uses_imports(analysis: Analysis) -> None:
    """A layer's code may need an import in one setting and not in another."""
    for target in ("train", "infer"):
        assert_imports_are_used(archdsl.Architecture(analysis).source(target=target))


def _as_predicted(analysis: Analysis) -> None:
    arch = archdsl.Architecture(analysis)
    if arch.tensors:  # else no layer may be a module
        assert_as_predicted(arch)


def _exported(analysis: Analysis) -> None:
    """Exported and compiled modules compute the same."""
    model = archdsl.Architecture(analysis).build().eval()
    clips = tuple(given(analysis.network, BATCH, torch.float32).values())
    torch.compiler.reset()
    with torch.no_grad():
        expected = by_head(model(*clips))
        program = torch.export.export(model, clips).module()
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        for what, made in (("export", program), ("compile", compiled)):
            for name, output in by_head(made(*clips)).items():
                if not torch.allclose(output, expected[name], rtol=1e-3, atol=1e-4, equal_nan=True):
                    raise Fault(f"{what}: another output")


_MADE: list[tuple[float, Callable[[Analysis], None]]] = [  # and of how many programs
    *((0.25, partial(_draws, level=level)) for level in ("stage", "block", "layer")),
    (0.5, _costs),
    (0.1, _planned),
    (0.15, _is_itself),
    (0.1, _uses_imports),
    (0.02, _as_predicted),
    (0.01, _exported),
]


# --- values ----------------------------------------------------------------------------------------------------------


def built(arch: archdsl.Architecture, target: str) -> torch.nn.Module:
    """The module of the text that is written, as a file of its own."""
    text = arch.source(target=target)
    module = types.ModuleType(f"generated_{target}")
    exec(compile(text, f"<{target}>", "exec"), module.__dict__)  # text made by us
    torch.set_default_dtype(torch.float64)  # some tables are computed as the module is made
    try:
        return getattr(module, arch.name)()
    finally:
        torch.set_default_dtype(torch.float32)


def randomised(model: torch.nn.Module) -> dict[str, Tensor]:
    """A state dict of random numbers that keep the size of values: no zero hides a branch, no variance is negative."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            state[name] = value
        elif value.ndim > 1:
            drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            state[name] = drawn / max(1, value[0].numel()) ** 0.5
        else:
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            positive = name.endswith("running_var") or (name.endswith("weight") and value.numel() > 0)
            state[name] = drawn + 0.5 if positive else drawn - 0.4
    return state


def _computes(arch: archdsl.Architecture, definition: Definition) -> str:
    network = arch._analysis.network
    model = built(arch, "train").double()
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if shapes != arch.tensors:
        raise Fault(f"train: tensors {_unlike(shapes, arch.tensors)}")
    if sum(p.numel() for p in model.parameters()) != arch.params:
        raise Fault("train: not as many parameters as are counted")
    assert_begins_as_said(model, network)
    assert_trains_as_said(model, network)
    state = randomised(model)
    model.load_state_dict(state)
    clips = given(network, BATCH)
    with torch.no_grad():
        expected, values = compute(arch, state, clips, definition)
        quick = built(arch, "infer").double()
        quick.load_state_dict(state)
        model.eval()
        quick.eval()
        outputs = {
            "train": by_head(model(*(c.clone() for c in clips.values()))),
            "infer": by_head(quick(*(c.clone() for c in clips.values()))),
        }
        features = {
            "train": model.forward_features(*(c.clone() for c in clips.values())),
            "infer": quick.forward_features(*(c.clone() for c in clips.values())),
        }
    stages = [u for u in network.regions if isinstance(u, Featured)]
    wanted = {name: x for u in stages for name, x in values[u.exit].features(u.name).items()}
    for target, output in outputs.items():
        fault, what = _unlike_outputs(output, expected), f"{target}: the output"
        if wanted.keys() - features[target].keys():
            raise Fault(f"{target}: no features of {', '.join(wanted.keys() - features[target].keys())}")
        for name, value in wanted.items():
            if not fault:
                fault = _unequal(features[target][name], value)
                what = f"{target}: the features of {name}"
        if fault:
            if _is_unstable(arch, state, clips, expected, definition):
                return "unstable"
            raise Fault(f"{what}: {fault}")
    _trains(model, clips)
    return "accepted"


def _unlike(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    names = [n for n in {**found, **wanted} if found.get(n) != wanted.get(n)]
    return "; ".join(f"{n} {found.get(n)}, predicted {wanted.get(n)}" for n in names[:4])


def _unlike_outputs(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    if list(found) != list(wanted):
        return f"of the heads {list(found)}, predicted {list(wanted)}"
    return next(filter(None, (_unequal(found[name], x) for name, x in wanted.items())), "")


def _unequal(found: Tensor, wanted: Tensor) -> str:
    if found.shape != wanted.shape:
        return f"{tuple(found.shape)}, predicted {tuple(wanted.shape)}"
    largest = wanted.abs().max().item()
    difference = (found - wanted).abs().max().item()
    return "" if difference <= CLOSE * max(largest, 1e-3) else f"off by {difference:.3g} of {largest:.3g}"


def _is_unstable(
    arch: archdsl.Architecture,
    state: dict[str, Tensor],
    clips: dict[str, Tensor],
    expected: dict[str, Tensor],
    definition: Definition,
) -> bool:
    """Tell whether the definition itself moves as far when its input is moved by the rounding of a few operations."""
    if not all(torch.isfinite(x).all() for x in expected.values()):
        return True
    with torch.no_grad():
        nudged, _ = compute(arch, state, {n: c * (1 + NUDGE) for n, c in clips.items()}, definition)
    return bool(_unlike_outputs(nudged, expected))


def _trains(model: torch.nn.Module, clips: dict[str, Tensor]) -> None:
    """A step of training has a gradient: nothing that it needs was overwritten."""
    model.train()
    outputs = by_head(model(*(c.clone() for c in clips.values()))).values()
    if trained := [output.sum() for output in outputs if output.requires_grad]:
        torch.stack(trained).sum().backward()
