"""`archdsl weights transfer`: transfer of the weights of a base network to a variant."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.checkpoints import KEY, OUTPUT, check_sources, clip_text, output_of, parameter_texts
from archdsl.commands.common import analysed, base_analysed, missing_packages
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import PairOptions, base_arguments, spec_arguments
from archdsl.commands.transfer_rules import VARIANT, RuleOptions, planned, rule_arguments
from archdsl.commands.transfer_text import show_plan
from archdsl.commands.values import natural
from archdsl.core.diagnostics import SpecError
from archdsl.files import FileLibrary, UsageError, WeightsError
from archdsl.pipeline import command as compile_command
from archdsl.pipeline import plan_weights
from archdsl.transfer.plan import check_not_empty, unneeded
from archdsl.weights.plan import OWN
from archdsl.weights.runs import checkpoint_file
from archdsl.weights.sources import find_map

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.pipeline import Analysis
    from archdsl.transfer.plan import TransferPlan
    from archdsl.weights.plan import Plan

EXAMPLES = (
    (
        "weights transfer slowfast_r50 SLOWFAST_8x8_R50.pyth my_slowfast.arch --from pytorchvideo -o mine.safetensors",
        "Make the weights of a variant from a published checkpoint.",
    ),
    (
        "weights transfer resnet50 resnet50.pth c2d_r50 --from torchvision -o c2d.safetensors",
        "Inflate the weights of an image network.",
    ),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    base_arguments(parser)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="Checkpoint of BASE, or a run of `archdsl train`.")
    parser.add_argument("spec", nargs="?", metavar="SPEC", help=VARIANT)
    spec_arguments(parser, like=False)
    names = parser.group("checkpoint")
    names.add_argument(
        "--from", dest="source", default=OWN, metavar="SOURCE",
        help="Code base whose tensor names the checkpoint has (default: archdsl).",
    )  # fmt: skip
    names.add_argument("--key", default="", metavar="NAME", help=KEY)
    rule_arguments(parser)
    output = parser.group("output")
    output.add_argument("-o", "--output", required=True, metavar="FILE.safetensors", help=OUTPUT)
    output.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="Seed for the initialisation of new tensors (default: 0)."
    )


@dataclass(frozen=True, kw_only=True)
class Options(PairOptions, RuleOptions):
    """Options of `archdsl weights transfer`."""

    checkpoint: str
    source: str
    key: str
    output: str
    seed: int


def run(options: Options) -> int:
    """Write the weights of a variant."""
    _check_order(options)
    options = replace(options, checkpoint=checkpoint_file(options.checkpoint))
    source, output = options.source, output_of(options.output, [options.checkpoint])
    check_sources(options.base, [(source, "--from")])
    base = base_analysed(options, like=source if source != OWN else None)
    variant = _variant(options, base)
    names = replace(plan_weights(base, FileLibrary(), source, "--from"), option="--base-set")
    show_diagnostics([*base.warnings, *variant.warnings, *names.warnings])
    found = planned(base, variant, options)
    check_not_empty(found, options.checkpoint)
    show_diagnostics(found.warnings)
    if options.strict and not found.is_complete:
        show_plan(found, json=options.json)
        raise WeightsError(f"{output}: not written, as --strict asks: tensors are new or not used")
    missing_packages("torch", "einops", "safetensors")
    _write(options, output, variant, names, found)
    show_plan(found, json=options.json)
    if not options.json:
        print(f"\n{options.checkpoint} → {output}: {len(found.entries)} tensors")
        spec = options.spec or options.base
        print(f"load_state_dict takes it in the module that this makes: {compile_command(spec, variant)}")
    return 0


def _check_order(options: Options) -> None:
    """Raise UsageError if CHECKPOINT has the name of a spec, and SPEC that of another file."""
    checkpoint, spec = options.checkpoint, options.spec or ""
    if Path(checkpoint).suffix in ("", ".arch") and Path(spec).suffix not in ("", ".arch"):
        order = "the order is BASE CHECKPOINT SPEC"
        raise UsageError(f"{order}: {checkpoint} and {spec} look swapped; write {options.base} {spec} {checkpoint}")


def _write(options: Options, output: Path, variant: Analysis, names: Plan, found: TransferPlan) -> None:
    from archdsl.architecture import Architecture
    from archdsl.transfer.apply import initial_state_dict, transfer
    from archdsl.weights.checkpoint import read_checkpoints, write_safetensors
    from archdsl.weights.convert import convert, not_finite
    from archdsl.weights.plan import own_plan

    tensors, told = read_checkpoints([("", options.checkpoint)], names.theirs, [options.key] if options.key else [])
    target, absent = own_plan(names.network, names.ours), unneeded(found, names)
    own = convert(tensors, names, target, options.checkpoint, absent)
    show_diagnostics([*told, *not_finite(own, options.checkpoint)])
    initial = initial_state_dict(Architecture(variant).build, options.seed)
    metadata = {
        "format": "pt",  # what other readers of safetensors look for
        "spec": variant.network.name,
        "source": options.source,
        "names": OWN,
        "from": found.base,
        "parameters": json.dumps(parameter_texts(variant)),
        "clip": clip_text(variant),
    }
    write_safetensors(output, transfer(found, own, initial), metadata)


def _variant(options: Options, base: Analysis) -> Analysis:
    """Return the variant, adapted to the checkpoint's source if that has a map for the variant."""
    spec = options.spec or options.base
    analysis = analysed(spec, options)
    if base.like is None:
        return analysis
    try:
        find_map(analysis.program, base.like.source.text, FileLibrary(), "--from")
    except SpecError:
        return analysis
    return analysed(spec, options, like=base.like.source.text)
