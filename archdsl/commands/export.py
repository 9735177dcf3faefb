"""`archdsl export`: export of a module for inference, as ONNX or for torch.export."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.architecture import Architecture
from archdsl.commands.common import analysed, missing_packages, spec_source
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.core.report import Reporter
from archdsl.elaborate.resolve import Resolver
from archdsl.files import EnvironmentFault, FileLibrary, UsageError
from archdsl.ir.masks import visible
from archdsl.pipeline import plan_weights
from archdsl.train.formats import ONNX, SUFFIXES
from archdsl.weights.plan import OWN
from archdsl.weights.sources import find_map

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.pipeline import Analysis
    from archdsl.train.export import Argument


EXAMPLES = (
    ("export runs/my_model-1 -o my_model.onnx", "Export a trained module for onnxruntime."),
    (
        "export slowfast_r50 -o slowfast.pt2 --weights SLOWFAST_8x8_R50.pyth --from pytorchvideo",
        "Export a network with published weights for torch.export.",
    ),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("spec", metavar="SPEC|RUN", help=f"{SPEC[:-1]}; or a folder of `archdsl train`.")
    spec_arguments(parser)
    weights = parser.group("weights")
    weights.add_argument(
        "--weights", metavar="FILE", help="Checkpoint to load (default: that of the run, else initial weights)."
    )
    weights.add_argument(
        "--from", dest="source", default=OWN, metavar="SOURCE",
        help="Code base whose tensor names the checkpoint has (default: archdsl).",
    )  # fmt: skip
    output = parser.group("output")
    output.add_argument("-o", "--output", required=True, metavar="FILE", help="File to write: .onnx or .pt2.")
    output.add_argument("--format", choices=tuple(SUFFIXES), help="Format of the file (default: that of its suffix).")
    output.add_argument(
        "--batch", default="dynamic", metavar="dynamic|CLIPS",
        help="Batch size of the exported module, in clips, or `dynamic` (default: dynamic).",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl export`."""

    spec: str
    weights: str | None
    source: str
    output: str
    format: str | None
    batch: str


def run(options: Options) -> int:
    """Export a spec or a run."""
    missing_packages("torch", "safetensors")
    from archdsl.train.export import export

    output, batch = Path(options.output), batch_of(options.batch)
    form = format_of(output, options.format)
    source: str = options.source
    if source != OWN and options.weights is None:
        raise UsageError(f"--from {source}: says whose names weights have; name them with --weights FILE")
    if source != OWN:
        find_map(
            Resolver(FileLibrary(), Reporter()).resolve(spec_source(options.spec)), source, FileLibrary(), "--from"
        )
    run = Path(options.spec)
    if (run / "run.json").exists():
        model, given = _of_run(run, options)
    else:
        model, given = _of_spec(options, source)
    difference = export(model, given, form, output, batch)
    clips = "any number of clips" if batch is None else f"{batch} clip{'s' * (batch != 1)}"
    summary = f"{output.stat().st_size / 1e6:.1f} MB, {form}, for {clips} at once"
    print(f"{options.spec} → {output}: {summary}; differs from the module by {difference:.1e} of the largest logit")
    return 0


def _of_run(run: Path, options: Options) -> tuple[Any, list[Argument]]:
    """Return the trained module of a run, and its arguments."""
    from archdsl.train.export import Argument
    from archdsl.train.run import load_run
    from archdsl.train.weights import trained

    if options.settings or options.clip or options.like:
        raise UsageError(f"{run}: a trained run cannot be changed; --set, --clip and --like are for specs")
    known = load_run(run)
    given = {"": Argument(known.clip)}
    if (masking := known.masking) is not None:
        given = {name: Argument(known.clip) for name in masking.inputs}
        given[masking.mask] = Argument(masking.grid, masking.visible)
    return trained(known, run, options.weights), [*given.values()]


def _of_spec(options: Options, source: str) -> tuple[Any, list[Argument]]:
    """Return the module of a spec for inference, with the weights of --weights, if any, and its arguments."""
    from archdsl.train.export import Argument

    analysis = analysed(options.spec, options, like=None if source == OWN else source)
    show_diagnostics(analysis.warnings)
    model = Architecture(analysis).build(target="infer")
    if options.weights is not None:
        model.load_state_dict(weights_of(analysis, options.weights, source))
    kept = visible(analysis.network)
    return model, [Argument(shape, kept.get(name, 0)) for name, shape in analysis.network.arguments.items()]


def format_of(output: Path, named: str | None) -> str:
    """Return the format of a file: --format, or else that of its suffix.

    Raises:
        UsageError: if the suffix is unknown, or that of another format.
        EnvironmentFault: if a package for the format is not installed.
    """
    found = named or next((form for form, suffix in SUFFIXES.items() if suffix == output.suffix), None)
    if found is None:
        known = " or ".join(f"{suffix} ({form})" for form, suffix in SUFFIXES.items())
        raise UsageError(f"{output}: expected a name that ends in {known}")
    if output.suffix != SUFFIXES[found]:
        raise UsageError(f"{output}: --format {found} writes files such as {output.with_suffix(SUFFIXES[found])}")
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if found == ONNX and missing:
        raise EnvironmentFault(f"ONNX is written by {' and '.join(missing)}: pip install 'archdsl[onnx]'")
    return found


def batch_of(text: str) -> int | None:
    """Return the batch size; None for a dynamic one.

    Raises:
        UsageError: if it is neither a number nor `dynamic`.
    """
    if text == "dynamic":
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise UsageError(f"--batch {text}: expected `dynamic` or a number of clips")
    return int(text)


def weights_of(analysis: Analysis, file: str, source: str) -> dict[str, Any]:
    """Return the weights in a file, by the tensor names of archdsl.

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
