"""`archdsl export`: a module that only runs, for onnxruntime or for torch without Python."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.architecture import Architecture
from archdsl.commands.common import analysed, missing_packages, show_diagnostics
from archdsl.core.report import Reporter
from archdsl.elaborate.program import Resolver
from archdsl.files import EnvironmentFault, FileLibrary, UsageError, read_source
from archdsl.pipeline import plan_weights
from archdsl.weights.plan import OWN
from archdsl.weights.sources import find_map

if TYPE_CHECKING:
    import argparse

    from archdsl.pipeline import Analysis


def command(arguments: argparse.Namespace) -> int:
    """Exports one spec, with weights if they are given."""
    missing_packages("torch", "safetensors")
    from archdsl.train.export import export

    output, batch = Path(arguments.output), batch_of(arguments.batch)
    form = format_of(output, arguments.format)
    source: str = arguments.source
    if source != OWN and arguments.weights is None:
        raise UsageError(f"--from {source}: says whose names weights have; name them with --weights FILE")
    if source != OWN:
        find_map(
            Resolver(FileLibrary(), Reporter()).resolve(read_source(arguments.spec)), source, FileLibrary(), "--from"
        )
    run = Path(arguments.spec)
    if (run / "run.json").exists():
        model, shapes = _of_run(run, arguments)
    else:
        model, shapes = _of_spec(arguments, source)
    difference = export(model, shapes, form, output, batch)
    clips = "any number of clips" if batch is None else f"{batch} clip{'s' * (batch != 1)}"
    told = f"{output.stat().st_size / 1e6:.1f} MB, {form}, for {clips} at once"
    print(f"{arguments.spec} → {output}: {told}; differs from the module by {difference:.1e} of the largest logit")
    return 0


def _of_run(run: Path, arguments: argparse.Namespace) -> tuple[Any, list[tuple[int, ...]]]:
    """The trained module of a run, and the shape of its clip."""
    from archdsl.train.run import load_run
    from archdsl.train.weights import trained

    if arguments.set or arguments.clip or arguments.like:
        raise UsageError(f"{run}: is trained as it is; --set, --clip and --like are for specs")
    known = load_run(run)
    return trained(known, run, arguments.weights), [known.clip]


def _of_spec(arguments: argparse.Namespace, source: str) -> tuple[Any, list[tuple[int, ...]]]:
    """The module of a spec for inference, with the weights that are named, and the shapes of its clips."""
    analysis = analysed(arguments.spec, arguments, like=None if source == OWN else source)
    show_diagnostics(analysis.warnings)
    model = Architecture(analysis).build(target="infer")
    if arguments.weights is not None:
        model.load_state_dict(weights_of(analysis, arguments.weights, source))
    network = analysis.network
    return model, [tuple(map(int, network.node(number).shape.shape)) for number in network.clips.values()]


def format_of(output: Path, named: str | None) -> str:
    """The format of a file: the one that is named, or the one that its suffix stands for.

    Raises:
        UsageError: if the suffix stands for another one or for none.
        EnvironmentFault: if what writes the format is not installed.
    """
    from archdsl.train.export import ONNX, SUFFIXES

    found = named or next((form for form, suffix in SUFFIXES.items() if suffix == output.suffix), None)
    if found is None:
        known = " or ".join(f"{suffix} ({form})" for form, suffix in SUFFIXES.items())
        raise UsageError(f"{output}: its name has to end in {known}")
    if output.suffix != SUFFIXES[found]:
        raise UsageError(f"{output}: --format {found} writes files such as {output.with_suffix(SUFFIXES[found])}")
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if found == ONNX and missing:
        raise EnvironmentFault(f"ONNX is written by {' and '.join(missing)}: pip install 'archdsl[onnx]'")
    return found


def batch_of(text: str) -> int | None:
    """The number of clips at once; None for any.

    Raises:
        UsageError: if it is neither.
    """
    if text == "dynamic":
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise UsageError(f"--batch {text}: is `dynamic` or a number of clips")
    return int(text)


def weights_of(analysis: Analysis, file: str, source: str) -> dict[str, Any]:
    """The weights in a file, by our names.

    Raises:
        SpecError: if they are not those of the network.
        UsageError: if the file cannot be read.
    """
    from archdsl.weights.checkpoint import read_checkpoints
    from archdsl.weights.convert import convert, not_finite

    plans = [plan_weights(analysis, FileLibrary(), name, "--from") for name in (source, OWN)]
    tensors, told = read_checkpoints([("", file)], plans[0].theirs)
    converted = convert(tensors, plans[0], plans[1], origin=file)
    show_diagnostics([*plans[0].warnings, *told, *not_finite(converted, file)])
    return converted
