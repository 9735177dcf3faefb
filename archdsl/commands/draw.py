"""`archdsl draw`: a diagram in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.analysis.cost import LEVELS
from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.commands.pictures import FORMAT_OF, draw, picture_format

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("draw my_model.arch -o my_model.svg", "Draw the stages of a network."),
    ("draw my_model.arch -o my_model.pdf --level block", "Draw its blocks, for a paper."),
)


def arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.add_argument("spec", metavar="SPEC", help=SPEC)
    spec_arguments(parser)
    output = parser.group("output")
    output.add_argument(
        "-o", "--output", required=True, metavar="FILE", help=f"File to write: {', '.join(FORMAT_OF)}.",
    )  # fmt: skip
    output.add_argument(
        "--level", choices=LEVELS, default="stage", help="Draw stages, blocks or layers (default: stage)."
    )


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl draw`."""

    spec: str
    output: str
    level: str


def run(options: Options) -> int:
    """Draw one spec."""
    output = Path(options.output)
    picture_format(output)
    analysis = analysed(options.spec, options)
    draw(analysis.network, output, options.level)
    show_diagnostics(analysis.warnings)
    return 0
