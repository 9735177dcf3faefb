"""Showing diagnostics to a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.core.diagnostics import Diagnostic


def show_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics as text, on standard error."""
    shown = tuple(diagnostics)
    if shown:
        from archdsl.core.render import render_text

        print(render_text(shown, color=sys.stderr.isatty()), end="", file=sys.stderr)
