"""`archdsl cost`: tables of parameters, multiply-adds and activations."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.analysis.cost import LEVELS
from archdsl.analysis.cost_table import different_clips
from archdsl.commands import values
from archdsl.commands.cost_count import Count
from archdsl.commands.cost_formats import FORMATS, formatted
from archdsl.commands.cost_plot import plot_file, write_plot
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    (
        "cost slow_r50 slowfast_r50 --format latex --plot cost.pdf",
        "Print and plot networks side by side, for a paper.",
    ),
    ("cost my_model.arch --by block --batch 8", "Print the cost of each block, and its activation memory for 8 clips."),
)

NOTELESS = ("csv", "json")  # formats of the tables that hold no notes


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help=f"{SPEC} Several specs are compared in one table.")
    spec_arguments(parser)
    output = parser.group("output")
    output.add_argument(
        "--by", choices=LEVELS,
        help="Print a table per spec, with a row per stage, block or layer (default: stage; for several specs, one "
        "table with a row per spec).",
    )  # fmt: skip
    output.add_argument(
        "--batch", metavar="CLIPS", type=values.count,
        help="Also print the activation memory of training with this batch size, in float32.",
    )  # fmt: skip
    output.add_argument(
        "--format", choices=FORMATS, default="text",
        help="Format of the tables (default: text); latex needs the package booktabs.",
    )  # fmt: skip
    output.add_argument("--json", action="store_const", const="json", dest="format", help="The same as --format json.")
    output.add_argument(
        "--plot", metavar="FILE",
        help="Also plot multiply-adds against parameters, counted and published: .svg, .pdf or .png.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl cost`."""

    specs: tuple[str, ...]
    by: str | None
    batch: int | None
    format: str
    plot: str | None


def run(options: Options) -> int:
    """Print the cost of each spec, and compare it with the published figures."""
    plot = None if options.plot is None else plot_file(options.plot)
    counts = [Count(spec, options, options.batch) for spec in options.specs]
    print(formatted(counts, options.format, options.by))
    for count in counts:
        show_diagnostics([*count.analysis.warnings, *count.warnings])
    figures = [count.figures for count in counts] if plot is not None or options.format in NOTELESS else []
    if note := different_clips(figures):
        print(f"note: {note}", file=sys.stderr)
    if plot is not None:
        for name in write_plot(figures, plot):
            why = "its parameters or multiply-adds are 0, which logarithmic axes cannot show"
            print(f"{name}: not in the plot: {why}", file=sys.stderr)
        print(f"{plot}: written", file=sys.stderr)
    return 0
