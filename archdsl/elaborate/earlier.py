"""Settings of version 0.1, refused with the lines that stand for them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from archdsl.core.source import STDIN, TEXT
from archdsl.frontend import ast
from archdsl.frontend.parse import parse
from archdsl.upgrade.words import ORDER, WORD, first_to_ask

if TYPE_CHECKING:
    from archdsl.elaborate.fault_reporter import FaultReporter

IS_REFUSED = False  # until the layer with these settings goes


def refuses_settings(link: ast.Layer | ast.Merge | ast.Lines, faults: FaultReporter) -> bool:
    """Return True for a call with settings of version 0.1, after reporting the first one."""
    if not IS_REFUSED or isinstance(link, ast.Merge) or link.name.id != WORD:
        return False
    first = first_to_ask(link)
    if first is None or faults.knows("E0406", first.span):
        return first is not None
    from archdsl.upgrade.lines import LINE_OF
    from archdsl.upgrade.rewrite import replaced

    found = replaced(link, parse(link.span.source, mended=[]))
    if found is None:
        return False
    key, span = found.setting
    if not faults.knows("E0406", span):
        label = f"`{key}` is {'a line' if key in LINE_OF else 'written otherwise'} since version 0.2"
        faults.report("E0406", span, label, found.hint or _command(span.source.name), (), found.replacements)
    return True


def setting_cure(key: str, link: ast.Layer | ast.Merge | ast.Lines) -> str:
    """Return where the line for a setting of version 0.1 is found, if one stands beside lines; else an empty text."""
    if not isinstance(link, ast.Lines) or key not in ORDER:
        return ""
    return f"`{key}` was a setting in version 0.1: `archdsl explain E0406` lists the line in its place"


def _command(name: str) -> str:
    command = "" if name in {STDIN, TEXT} else f", as `archdsl fmt --upgrade {shlex.quote(name)}` does"
    return f"write this in its place{command}:"
