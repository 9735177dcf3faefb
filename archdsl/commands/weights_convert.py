"""`archdsl weights convert`: conversion of checkpoints between archdsl and other code bases."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from archdsl.commands.checkpoints import (
    KEY,
    OUTPUT,
    adopted_values,
    check_sources,
    clip_text,
    output_of,
    parameter_texts,
)  # fmt: skip
from archdsl.commands.common import analysed, missing_packages
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.files import FileLibrary, UsageError
from archdsl.pipeline import command as compile_command
from archdsl.pipeline import plan_weights
from archdsl.weights.plan import OWN
from archdsl.weights.runs import checkpoint_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.commands.parser import Parser
    from archdsl.pipeline import Analysis

HEAD_SEED = 0  # of a head that a checkpoint lacks
EXAMPLES = (
    (
        "weights convert slowfast_r50 SLOWFAST_8x8_R50.pyth --from pytorchvideo -o slowfast.safetensors",
        "Convert a published checkpoint for the module of a spec.",
    ),
    (
        "weights convert slowfast_r50 slowfast.safetensors --from archdsl --to mmaction2 -o theirs.safetensors",
        "Convert weights of archdsl to the tensor names of another code base.",
    ),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("spec", metavar="SPEC", help=SPEC)
    parser.add_argument(
        "checkpoints",
        nargs="+",
        metavar="CHECKPOINT",
        help="Checkpoint to read, or a run of `archdsl train`; several as NAME=FILE each.",
    )
    spec_arguments(parser, like=False)
    names = parser.group("tensor names")
    names.add_argument(
        "--from", dest="source", required=True, metavar="SOURCE",
        help="Code base whose tensor names the checkpoint has, e.g. pytorchvideo, or archdsl.",
    )  # fmt: skip
    names.add_argument(
        "--to", default=OWN, metavar="SOURCE", help="Code base whose tensor names to write (default: archdsl)."
    )
    names.add_argument(
        "--key", dest="keys", action="append", default=[], metavar="NAME",
        help=f"{KEY} May be repeated, for several checkpoints.",
    )  # fmt: skip
    names.add_argument(
        "--like", metavar="SOURCE",
        help="With `--from archdsl`: source whose network the weights are of (default: as their file says).",
    )  # fmt: skip
    parser.group("output").add_argument("-o", "--output", required=True, metavar="FILE.safetensors", help=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl weights convert`; `like` is of the weights, not of the spec."""

    spec: str
    checkpoints: tuple[str, ...]
    source: str
    to: str
    keys: tuple[str, ...]
    output: str


def run(options: Options) -> int:
    """Write a checkpoint under the tensor names of another source."""
    source, to = options.source, options.to
    files = [(name, checkpoint_file(file)) for name, file in _files(options.checkpoints)]
    output = output_of(options.output, [file for _, file in files])
    check_sources(options.spec, [(source, "--from"), (to, "--to")])
    if source != OWN and options.like is not None:
        raise UsageError(
            f"--like {options.like}: is for `--from {OWN}`; the network is like `{source}`, as --from says"
        )
    like = source if source != OWN else options.like or _like(options, files)
    analysis = analysed(options.spec, options, like=like)
    plans = [plan_weights(analysis, FileLibrary(), s, o) for s, o in ((source, "--from"), (to, "--to"))]
    show_diagnostics([*analysis.warnings, *(d for plan in plans for d in plan.warnings)])

    missing_packages("torch", "safetensors")
    from archdsl.architecture import Architecture
    from archdsl.transfer.apply import initial_state_dict
    from archdsl.weights.checkpoint import read_checkpoints, write_safetensors
    from archdsl.weights.convert import convert_all, not_finite

    origin = ", ".join(file for _, file in files)
    tensors, told = read_checkpoints(files, plans[0].theirs, options.keys)
    initial = partial(initial_state_dict, Architecture(analysis).build, HEAD_SEED)
    converted, of_head = convert_all(tensors, plans[0], plans[1], origin, initial)
    show_diagnostics([*told, *of_head, *not_finite(converted, origin)])
    write_safetensors(output, converted, _metadata(analysis, options))
    values = adopted_values(analysis)
    if values:
        print(f"the network as `{like}` needs it: {values}")
    print(f"{origin} → {output}: {len(converted)} tensors, as `{to}` names them")
    if to == OWN:
        print(f"load_state_dict takes it in the module that this makes: {compile_command(options.spec, analysis)}")
    return 0


def _like(options: Options, files: Sequence[tuple[str, str]]) -> str | None:
    """Return the source that the network of the weights was adapted to, from the metadata of their files."""
    from archdsl.weights.reading import metadata_of

    if options.to == OWN:
        return None
    analysis = analysed(options.spec, options, like=options.to)
    wanted = parameter_texts(analysis)
    for _, file in files:
        try:
            recorded = json.loads(metadata_of(file).get("parameters", "{}"))
        except ValueError:
            return None
        names = [b.name.id for b in analysis.adopted]
        if not isinstance(recorded, dict) or any(cast("Any", recorded).get(n) != wanted[n] for n in names):
            return None
    return options.to


def _files(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the checkpoints with their names; a single one may have no name."""
    if len(texts) == 1 and Path(texts[0]).exists():
        return [("", texts[0])]
    files: list[tuple[str, str]] = []
    for text in texts:
        match = re.fullmatch(r"([A-Za-z_]\w*)=(.+)", text)
        if match is None and len(texts) > 1:
            raise UsageError(f"{text}: several checkpoints need names, as in rgb=FILE flow=FILE (docs/weights.md)")
        files.append((match[1], match[2]) if match is not None else ("", text))
    names = [name for name, _ in files]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"{twice[0]}=…: two checkpoints have this name")
    return files


def _metadata(analysis: Analysis, options: Options) -> dict[str, str]:
    """Return the metadata of the safetensors file."""
    return {
        "format": "pt",  # what other readers of safetensors look for
        "spec": analysis.network.name,
        "source": options.source,
        "names": options.to,
        "parameters": json.dumps(parameter_texts(analysis), ensure_ascii=False),
        "clip": clip_text(analysis),
    }
