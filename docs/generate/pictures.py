"""Diagrams for pages that are light or dark."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import archdsl

THEMES = ("light", "dark")


def themed(arch: archdsl.Architecture, name: str, level: str = "stage") -> dict[str, str]:
    """Return a diagram as SVG for each theme, by file name."""
    pictures: dict[str, str] = {}
    for theme in THEMES:
        diagram = arch.diagram(level, theme=theme)
        svg = diagram.picture("svg").decode()
        mark = f"<!-- drawn from {digest(''.join(diagram.source))} -->\n"
        pictures[f"{name}-{theme}.svg"] = svg.replace("<svg", f"{mark}<svg", 1)
    return pictures


def digest(source: str) -> str:
    """Return a short digest of DOT text: two pictures of one digest differ by Graphviz's version at most."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]
