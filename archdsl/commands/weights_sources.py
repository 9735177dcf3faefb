"""`archdsl weights sources`: the sources of published checkpoints for a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.commands.checkpoints import adopted_values
from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.core.diagnostics import SpecError
from archdsl.files import FileLibrary
from archdsl.pipeline import plan_weights
from archdsl.weights.sources import all_maps

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.core.diagnostics import Diagnostic

EXAMPLES = (
    ("weights sources slowfast_r50", "List the code bases whose checkpoints a bundled spec can load."),
    ("weights sources my_model.arch --set classes=51", "List them for a spec of your own."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("spec", metavar="SPEC", help=SPEC)
    spec_arguments(parser, like=False)


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl weights sources`."""

    spec: str


def run(options: Options) -> int:
    """List each source with what its checkpoints need, and check its map against the network."""
    analysis = analysed(options.spec, options)
    name = analysis.network.name
    maps = all_maps(analysis.program, FileLibrary())
    if not maps:
        print(f"{name}: no weight map; add one to `weights/` beside the spec")
        return 0
    print(f"{name} takes the weights of")
    faults: list[Diagnostic] = []
    for weights in maps:
        source = weights.source.text
        print(f"\n  {source}" + f": {weights.doc}" * bool(weights.doc))
        try:
            like = analysed(options.spec, options, like=source)
            plan = plan_weights(like, FileLibrary(), source, "--from")
        except SpecError as error:
            faults.extend(error.diagnostics)
            print("    does not fit, see below")
        else:
            values = adopted_values(like)
            print(f"    {len(plan.theirs)} tensors" + f", with {values}" * bool(values))
    show_diagnostics(faults)
    return int(bool(faults))
