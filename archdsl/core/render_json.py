"""Diagnostics as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.core.diagnostics import Diagnostic, Note
    from archdsl.core.source import Span


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A list of objects. Lines and columns count from 1, offsets from 0; all count characters, ends are excluded."""
    return json.dumps([_diagnostic(d) for d in diagnostics], indent=2) + "\n"


def _diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    replacements = [{"text": r.text, **_place(r.span)} for r in diagnostic.replacements]
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "title": diagnostic.title,
        "message": diagnostic.label,
        **_place(diagnostic.span),
        "notes": [_note(n) for n in diagnostic.notes],
        "help": diagnostic.help,
    } | ({"replacements": replacements} if replacements else {})


def _note(note: Note) -> dict[str, Any]:
    return {"message": note.message, **(_place(note.span) if note.span is not None else {})}


def _place(span: Span) -> dict[str, Any]:
    return {
        "file": span.source.name,
        "range": {"start": _position(span, span.start), "end": _position(span, span.end)},
    }


def _position(span: Span, offset: int) -> dict[str, int]:
    line, column = span.source.position(offset)
    return {"line": line, "column": column, "offset": offset}
