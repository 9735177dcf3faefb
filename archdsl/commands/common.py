"""What the commands share: reading specs with the user's settings, showing faults."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from archdsl.core.source import Source
from archdsl.files import FileLibrary, read_source
from archdsl.frontend.parse import parse_binding
from archdsl.pipeline import Analysis, analyse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.frontend.ast import Binding
    from archdsl.graph.expand import Clip


def settings(texts: Sequence[str]) -> list[Binding]:
    """The `--set` options. Raises SpecError if one is not NAME=VALUE."""
    return [parse_binding(Source("--set", text)) for text in texts]


def analysed(spec: str, arguments: argparse.Namespace, clip: Clip | None = None, like: str | None = None) -> Analysis:
    """One spec with the user's settings and clip, like a source of weights if one is named.

    Raises:
        SpecError: if it has faults.
        UsageError: if it cannot be read.
    """
    chosen = settings(arguments.set)
    return analyse(read_source(spec), FileLibrary(), chosen, clip or arguments.clip, like or arguments.like)


def show_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """Prints faults for a person, on standard error."""
    shown = tuple(diagnostics)
    if shown:
        from archdsl.core.render import render_text

        print(render_text(shown, color=sys.stderr.isatty()), end="", file=sys.stderr)
