"""Diagrams for pages that are light or dark."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import archdsl

THEMES = ("light", "dark")


def themed(arch: archdsl.Architecture, name: str, level: str = "stage") -> dict[str, str]:
    """Return a diagram as SVG for each theme, by file name.

    A diagram has a style sheet for dark pages, which asks the system; here it is always, or never, in force.
    """
    diagram = arch.diagram(level)
    source = "".join(diagram.source)
    svg = diagram.picture("svg").decode()
    mark = f"<!-- drawn from {digest(source)} -->\n"
    condition = "@media (prefers-color-scheme: dark)"
    assert condition in svg
    texts = {"light": svg.replace(condition, "@media not all"), "dark": svg.replace(condition, "@media all")}
    return {f"{name}-{theme}.svg": text.replace("<svg", f"{mark}<svg", 1) for theme, text in texts.items()}


def digest(source: str) -> str:
    """Return a short digest of DOT text: two pictures of one digest differ by Graphviz's version at most."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]
