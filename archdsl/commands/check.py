"""`archdsl check`: every fault of every spec."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from archdsl.commands.common import analysed, show_diagnostics
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.files import CommandError

if TYPE_CHECKING:
    import argparse


def command(arguments: argparse.Namespace) -> int:
    """Checks the specs; exit 2 if there is no such file, else 1 if one has an error."""
    found: list[Diagnostic] = []
    fine: list[str] = []
    unread = 0
    for spec in arguments.specs:
        try:
            analysis = analysed(spec, arguments)
            found.extend(analysis.warnings)
            fine.append(f"{spec}: fine, {len(analysis.network.graph):,} layers")
        except SpecError as error:
            found.extend(error.diagnostics)
        except CommandError as error:
            unread = max(unread, error.exit_code)
            print(error.line, file=sys.stderr)
    if arguments.format == "json":
        from archdsl.core.render_json import render_json

        print(render_json(found), end="")
    elif arguments.format == "sarif":
        from archdsl.core.render_sarif import render_sarif

        print(render_sarif(found), end="")
    else:
        show_diagnostics(found)
        for line in fine:
            print(line)
    return max(unread, int(any(d.is_error for d in found)))
