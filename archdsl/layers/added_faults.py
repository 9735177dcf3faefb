"""Faults of added layers as diagnostics, shown in the layer's own file."""

from __future__ import annotations

import os
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, LayerError, Note
from archdsl.core.source import Source, Span

if TYPE_CHECKING:
    from collections.abc import Sequence


def layer_error(  # noqa: PLR0913  # the fields of Diagnostic
    code: str, file: str, label: str, *, line: int = 0, notes: Sequence[Note] = (), hint: str = ""
) -> LayerError:
    """Return the error for a fault of an added layer, at a line of `file` (from 1), or at the whole file if 0."""
    return LayerError([Diagnostic(code, TITLES[code], _line(file, line), label, tuple(notes), hint)])


def error_text(error: BaseException) -> str:
    """Return the type and message of an exception, on one line."""
    message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def line_of(error: BaseException, file: str) -> int:
    """Return the innermost line of a file at which an exception arose; 0 if it did not pass through the file."""
    if isinstance(error, SyntaxError) and same_file(error.filename, file):
        return error.lineno or 0
    return next((f.lineno or 0 for f in reversed(extract_tb(error.__traceback__)) if same_file(f.filename, file)), 0)


def same_file(one: str | None, other: str) -> bool:
    """Return True if two paths, absolute or relative, name the same file."""
    return one is not None and os.path.abspath(one) == os.path.abspath(other)


def _line(file: str, number: int) -> Span:
    text = _text(file)
    lines = text.split("\n")
    if not 0 < number <= len(lines) or not lines[number - 1].strip():
        return Span(Source(file, ""), 0, 0)
    source, line = Source(file, text), lines[number - 1]
    start = source.starts[number - 1] + len(line) - len(line.lstrip())
    return Span(source, start, source.starts[number - 1] + len(line.rstrip()))


def _text(file: str) -> str:
    try:
        return Path(file).read_text("utf-8", errors="replace")
    except OSError:
        return ""
