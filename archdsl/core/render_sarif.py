"""Diagnostics as SARIF 2.1.0, which code hosts and editors read (OASIS, 2020)."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from archdsl.core.codes import TITLES
from archdsl.core.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.core.diagnostics import Diagnostic, Note
    from archdsl.core.source import Span

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render_sarif(diagnostics: Iterable[Diagnostic]) -> str:
    """One run of `archdsl`, with a rule for every code that occurs."""
    kept = list(diagnostics)
    codes = sorted({d.code for d in kept})
    run = {
        "tool": {"driver": {"name": "archdsl", "rules": [_rule(c) for c in codes]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, codes.index(d.code)) for d in kept],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    markdown = explain(code) or TITLES[code]
    return {
        "id": code,
        "shortDescription": {"text": TITLES[code]},
        "help": {"text": markdown, "markdown": markdown},
        "defaultConfiguration": {"level": "error" if code.startswith("E") else "warning"},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    parts = [diagnostic.title, diagnostic.label, *(n.message for n in diagnostic.notes if n.span is None)]
    message = ": ".join(p for p in parts if p) + (f" (help: {diagnostic.help})" if diagnostic.help else "")
    fixes = {"fixes": [_fix(diagnostic)]} if diagnostic.replacements else {}
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": message},
        "locations": [_location(diagnostic.span)],
        "relatedLocations": [_related(i, n, n.span) for i, n in enumerate(diagnostic.notes) if n.span is not None],
        **fixes,
    }


def _fix(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return the replacements of a diagnostic, as editors apply them."""
    changes = [
        {
            "artifactLocation": {"uri": _uri(r.span.source.name)},
            "replacements": [{"deletedRegion": _region(r.span), "insertedContent": {"text": r.text}}],
        }
        for r in diagnostic.replacements
    ]
    return {"description": {"text": diagnostic.help}, "artifactChanges": changes}


def _related(index: int, note: Note, span: Span) -> dict[str, Any]:
    return {"id": index, **_location(span), "message": {"text": note.message}}


def _location(span: Span) -> dict[str, Any]:
    if span.source.name.startswith("--"):  # a value from the command line lies in no file
        return {"logicalLocations": [{"fullyQualifiedName": f"{span.source.name} {span.source.text}"}]}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(span.source.name)}, "region": _region(span)}}


def _region(span: Span) -> dict[str, int]:
    (line, column), (end_line, end_column) = span.source.position(span.start), span.source.position(span.end)
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    return {**region, "charOffset": span.start, "charLength": span.end - span.start}


def _uri(name: str) -> str:
    path = PurePath(name)
    quoted = quote(path.as_posix().encode("utf-8", "surrogatepass"))
    return f"file://{'' if quoted.startswith('/') else '/'}{quoted}" if path.is_absolute() else quoted
