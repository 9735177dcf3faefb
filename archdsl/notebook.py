"""An architecture as a notebook shows it: its diagram, and its cost by stage."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from archdsl.analysis.cost_table import level_table
from archdsl.core.table import as_html, as_text
from archdsl.lowering import without_identities

if TYPE_CHECKING:
    from archdsl.ir.network import Network

# A picture of its own is not touched by the styles of the page, nor the page by those of the picture; both are light.
_IMAGE = '<img alt="diagram of {name}" style="background:white;color-scheme:light;max-width:100%" src="{source}">'


def bundle(network: Network, title: str) -> dict[str, str]:
    """Return what a notebook can show of a network, by MIME type: text, HTML and, where it can be drawn, SVG."""
    from html import escape

    costs = level_table(network, "stage")
    picture = svg(network)
    shown = {"text/plain": f"{title}\n\n{as_text(costs)}"}
    parts = [f"<p><b>{escape(title)}</b></p>"]
    if picture:
        source = f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"
        parts.append(_IMAGE.format(name=escape(network.name), source=source))
        shown["image/svg+xml"] = picture
    return shown | {"text/html": "\n".join([*parts, as_html(costs)])}


def svg(network: Network) -> str:
    """Return the diagram of a network's stages; empty where nothing can draw it."""
    from archdsl.targets.dot.render import RenderError
    from archdsl.targets.dot.writer import diagram

    try:
        return diagram(without_identities(network)).picture("svg").decode()
    except (RenderError, ValueError):  # Graphviz is missing, or the picture is too large
        return ""
