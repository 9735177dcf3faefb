"""`archdsl draw`: a diagram in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.commands.pictures import FORMAT_OF, PictureOptions, draw, picture_arguments, picture_format

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("draw my_model.arch -o my_model.svg", "Draw the stages of a network."),
    ("draw my_model.arch -o my_model.pdf --level block --width 237pt", "Draw the blocks, for a column of a paper."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("spec", metavar="SPEC", help=SPEC)
    spec_arguments(parser)
    output = parser.group("output")
    output.add_argument(
        "-o", "--output", required=True, metavar="FILE", help=f"File to write: {', '.join(FORMAT_OF)}.",
    )  # fmt: skip
    picture_arguments(parser)
    output.add_argument(
        "--only", action="append", default=[], metavar="STAGE",
        help="Draw this stage of all paths, or the head; may be repeated.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions, PictureOptions):
    """Options of `archdsl draw`."""

    spec: str
    output: str
    only: tuple[str, ...]


def run(options: Options) -> int:
    """Draw one spec."""
    output = Path(options.output)
    picture_format(output)
    analysis = analysed(options.spec, options)
    draw(analysis.network, output, only=options.only, quiet=options.quiet, **options.choices())
    show_diagnostics(analysis.warnings)
    return 0
