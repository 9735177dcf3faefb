"""`archdsl check`: every error of every spec."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.files import CommandError

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser


FORMATS = ("text", "json", "sarif")
EXAMPLES = (
    ("check my_model.arch", "Report the errors of a spec, with their lines."),
    ("check *.arch --format sarif > errors.sarif", "Write a report for an editor or a CI service."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help=SPEC)
    spec_arguments(parser)
    output = parser.group("output")
    output.add_argument("--format", choices=FORMATS, default="text", help="Format of the report (default: text).")


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl check`."""

    specs: tuple[str, ...]
    format: str


def run(options: Options) -> int:
    """Check the specs; return 2 if one cannot be read, or else 1 if one has an error."""
    diagnostics: list[Diagnostic] = []
    fine: list[str] = []
    unread = 0
    for spec in options.specs:
        try:
            analysis = analysed(spec, options)
            diagnostics.extend(analysis.warnings)
            fine.append(f"{spec}: fine, {len(analysis.network.graph):,} layers")
        except SpecError as error:
            diagnostics.extend(error.diagnostics)
        except CommandError as error:
            unread = max(unread, error.exit_code)
            print(error.line, file=sys.stderr)
    if options.format == "json":
        from archdsl.core.render_json import render_json

        print(render_json(diagnostics), end="")
    elif options.format == "sarif":
        from archdsl.core.render_sarif import render_sarif

        print(render_sarif(diagnostics), end="")
    else:
        show_diagnostics(diagnostics)
        for line in fine:
            print(line)
    return max(unread, int(any(d.is_error for d in diagnostics)))
