"""Checks of an added layer in small networks: both targets, shared classes, other clip sizes, export."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from archdsl.architecture import Architecture
from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.core.values import written
from archdsl.files import FileLibrary
from archdsl.layer_checks.checks import TOLERANCE, Skipped, Wrong, seed
from archdsl.layers.attributes import Window
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.core.grid import Grid
    from archdsl.layer_checks.cases import Case


def targets(cases: Sequence[Case]) -> str:
    """Compare the module for inference with the module for training, with the same weights."""
    count = 0
    for case in _on_grids(cases):
        arch = _network(case)
        model, inference = _built(arch, "train"), _built(arch, "infer")
        inference.load_state_dict(model.state_dict())
        clip = _clip(case)
        _same(
            f"{case.name}: the outputs of the targets `infer` and `train`",
            _stage_output(inference, clip),
            _stage_output(model, clip),
        )
        count += 1
    return f"train and infer agree in {count} cases"


def classes(cases: Sequence[Case]) -> str:
    """Compile a block that is called twice, with different numbers."""
    usable = _on_grids(cases)
    tried = 0
    for one in usable:
        for other in usable:
            values = [(n, a, _numbers(other)[n]) for n, a in _numbers(one).items() if n in _numbers(other)]
            if any(a != b for _, a, b in values):
                tried += _shared(one, values)
    if not tried:
        raise Skipped("no two cases differ in their numbers only")
    return f"{tried} blocks with two calls"


def sizes(cases: Sequence[Case]) -> str:
    """Run a module on clips of another size, if it accepts them, and compare it with the module for that size."""
    count = 0
    for case in _on_grids(cases):
        x = case.inputs[0]
        larger = (3, 2 * int(x.t), 2 * int(x.h), 2 * int(x.w))
        try:
            other = _network(case, larger)
        except SpecError as error:
            _raise_if_of_layer(error)
            continue
        model, direct = _built(_network(case), "train"), _built(other, "train")
        clip = torch.randn(2, *larger, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        try:
            output = _stage_output(model, clip)
        except ValueError as error:
            if "compile" in str(error):  # the module accepts only one size
                continue
            raise Wrong(f"{case.name}: {error}", _SIZES) from error
        except RuntimeError as error:
            raise Wrong(f"{case.name}: a clip of another size fails: {' '.join(str(error).split())}", _SIZES) from error
        direct.load_state_dict(model.state_dict())
        _same(
            f"{case.name}: the outputs of modules compiled for {x} and for twice the size",
            output,
            _stage_output(direct, clip),
            _SIZES,
        )
        count += 1
    if not count:
        raise Skipped("the layer accepts only one clip size")
    return f"{count} modules accept clips of another size"


_SIZES = "if the code is correct for one size of the grid only, call `fixed(x)` of archdsl.core.grid in `infer`"


def export(cases: Sequence[Case], form: str) -> str:
    """Export a network, and compare the outputs of the file with the module's."""
    from archdsl.train.export import Argument, ExportError, export
    from archdsl.train.formats import SUFFIXES

    missing = [n for n in ("onnx", "onnxscript", "onnxruntime") if find_spec(n) is None] if form == "onnx" else []
    if missing:
        raise Skipped(f"{' and '.join(missing)} are not installed" if missing[1:] else f"{missing[0]} is not installed")
    usable = _on_grids(cases)
    case = usable[0]
    clip = Argument((3, *map(int, case.inputs[0].size)))
    with tempfile.TemporaryDirectory() as folder:
        model = _network(case).build(target="infer")
        try:
            difference = export(model, [clip], form, Path(folder) / f"m{SUFFIXES[form]}")
        except ExportError as error:
            hint = (
                "the code branches on values, or uses operations that the exporter does not support; such a layer runs "
                "only in Python"
            )
            raise Wrong(f"{case.name}: {' '.join(str(error).split())[:300]}", hint) from error
    return f"{form}, largest difference {difference:.0e}"


def _on_grids(cases: Sequence[Case]) -> list[Case]:
    usable = [c for c in cases if not c.inputs[0].token and not c.output.token and not c.inputs[0].is_vector]
    if not usable:
        raise Skipped("no test case is on a grid without class tokens")
    return usable


def _network(case: Case, clip: tuple[int, int, int, int] | None = None) -> Architecture:
    channels, arguments = int(case.inputs[0].channels), f"({case.arguments})" if case.arguments else ""
    branches = f" {{ conv({channels}), conv({channels}) }}" if case.layer.many else ""
    stage = f"stage one {{ conv({channels}) -> layernorm -> {case.layer.kind}{arguments}{branches} }}"
    return _compiled(case.inputs[0], stage, clip)


def _compiled(grid: Grid, stage: str, clip: tuple[int, int, int, int] | None = None) -> Architecture:
    size = ", ".join(map(str, map(int, grid.size)))
    lines = ["arch layer_check", f"input clip: video[3, {size}]", stage, "head: avgpool -> linear(5)", ""]
    return Architecture(analyse(Source("layer_check.arch", "\n".join(lines)), FileLibrary(), (), clip))


def _shared(one: Case, values: Sequence[tuple[str, Any, Any]]) -> int:
    names = {name for name, _, _ in values}
    rest = [f"{name} = {written(value)}" for name, value in one.settings if name not in names]
    arguments = ", ".join([*(f"{n} = {n}" for n in sorted(names)), *rest])
    parameters = ", ".join(["width", *sorted(names)])
    block = f"block b({parameters}) {{ conv(width) -> {one.layer.kind}({arguments}) }}"
    width = int(one.inputs[0].channels)
    uses = [
        f"b({width * (1 + k)}, {', '.join(f'{n} = {written(pair[k])}' for n, *pair in sorted(values))})" for k in (0, 1)
    ]
    try:
        _compiled(one.inputs[0], f"{block}\nstage one {{ {uses[0]} }}\nstage two {{ {uses[1]} }}").source()
    except SpecError as error:
        _raise_if_of_layer(error)
        return 0  # the layer rejects these numbers
    return 1


def _raise_if_of_layer(error: SpecError) -> None:
    """Raise the error again if it is a fault of an added layer, not of the spec that has it."""
    if all(d.code.startswith("E09") for d in error.diagnostics):
        raise error


def _numbers(case: Case) -> dict[str, Any]:
    """Return the attributes whose values are numbers or sizes, as values of the language."""
    numbers: dict[str, Any] = {}
    for name, attribute in case.layer.attributes.items():
        value = dict(case.settings).get(name, None if isinstance(attribute, Window) else getattr(case.layer, name))
        if isinstance(value, (int, float, Fraction, tuple)) and not isinstance(value, bool):
            numbers[name] = value
    return numbers


def _built(arch: Architecture, target: str) -> torch.nn.Module:
    seed(0)
    return arch.build(target=target).double().eval()


def _stage_output(model: Any, clip: torch.Tensor) -> torch.Tensor:
    """Return the output of the stage with the layer; after the head, averages would hide differences."""
    return model.forward_features(clip)["one"]


def _clip(case: Case) -> torch.Tensor:
    size = tuple(map(int, case.inputs[0].size))
    return torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _same(what: str, output: torch.Tensor, expected: torch.Tensor, hint: str = "") -> None:
    difference = (output - expected).abs().max().item()
    if not difference <= TOLERANCE * max(expected.abs().max().item(), 1.0):
        raise Wrong(f"{what} differ by up to {difference:.2g}", hint or "check `for_inference` and `is_identity`")


NETWORKS: dict[str, Callable[[Sequence[Case]], str]] = {
    "targets": targets,
    "classes": classes,
    "sizes": sizes,
    "torch.export": lambda cases: export(cases, "torch-export"),
    "onnx": lambda cases: export(cases, "onnx"),
}
