"""Settings of version 0.1, refused with the lines that stand for them."""

from __future__ import annotations

import shlex
from functools import lru_cache
from typing import TYPE_CHECKING

from archdsl.core.source import STDIN, TEXT
from archdsl.frontend import ast
from archdsl.frontend.parse import parse
from archdsl.upgrade.words import WORD, first_to_ask

if TYPE_CHECKING:
    from archdsl.core.source import Source
    from archdsl.elaborate.fault_reporter import FaultReporter


def refuses_settings(link: ast.Layer | ast.Merge | ast.Lines, faults: FaultReporter) -> bool:
    """Return True for a call with settings of version 0.1, after reporting the first one."""
    if isinstance(link, ast.Merge) or link.name.id != WORD:
        return False
    first = first_to_ask(link)
    if first is None or faults.knows("E0406", first.span):
        return first is not None
    from archdsl.upgrade.lines import LINE_OF
    from archdsl.upgrade.rewrite import replaced

    found = replaced(link, _parsed(link.span.source))
    if found is None:
        return False
    key, span = found.setting
    if not faults.knows("E0406", span):
        label = f"`{key}` is {'a line' if key in LINE_OF else 'written otherwise'} since version 0.2"
        faults.report("E0406", span, label, found.hint or _command(span.source.name), (), found.replacements)
    return True


@lru_cache(maxsize=1)  # a file can have many such calls
def _parsed(source: Source) -> ast.File:
    return parse(source, mended=[])


def _command(name: str) -> str:
    command = "" if name in {STDIN, TEXT} else f", as `archdsl fmt --upgrade {shlex.quote(name)}` does"
    return f"write this in its place{command}:"
