"""Style of diagrams: colours, fonts, the text for numbers and layers, and escaping for Graphviz."""

from __future__ import annotations

import html
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from archdsl.core.grid import Grid
from archdsl.core.values import Symbol
from archdsl.layers.attributes import Initialiser, Reference, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.analysis.cost import Cost
    from archdsl.layers.attributes import Attribute
    from archdsl.layers.base import Layer

FONT = "Helvetica"  # nearly every machine has it, or a sans-serif with the same widths
INK, SOFT, LINE, LANE = "#1a1a1a", "#2b2b2b", "#444444", "#f3f3f3"
LIGHT_INK, LIGHT_LINE, DARK_LANE, DARK_FRAME = "#e4e4e4", "#b8b8b8", "#20262d", "#7a7a7a"  # on a dark page
DARK_PAGE, PAGE = "#0d1117", "#ffffff"

# Pale enough for dark text, distinguishable with colour blindness (after Paul Tol's light scheme), and of lightness
# 62 to 100 in steps of about 5, so that they also differ in grey print.
COLOURS = {
    "input": "#ffffff",
    "convolution": "#76a9db",
    "attention": "#db7d5d",
    "linear": "#fba7b8",
    "norm": "#f3e59d",
    "activation": "#f1f5c6",
    "pool": "#92d9c0",
    "sampling": "#d5f0fb",
    "merge": "#d7d7d7",
    "regularisation": "#fafafa",
}
OTHER = "#bea9da"
FROZEN_LINE, FROZEN_INK, FROZEN_FILL = "#3f6e9c", "#1f4a73", "#eef3f8"  # of what is not trained; the last, in legends
UNSEEN = ("eps", "momentum", "bias")
TELLING = ("which",)  # attributes whose value says what a layer does, so that it always stands beside its name
PALE = 0.45  # of a colour that is left in a paler one
DASHED = ("sampling", "regularisation")  # drawn with a dashed border, for prints without colour

# Boxes keep their pastel fills; text and lines outside of boxes turn light on a dark page.
STYLE = f"""<style>
@media (prefers-color-scheme: dark) {{
  .archdsl .edge text, .archdsl .bare text, .archdsl .bare tspan {{ fill: {LIGHT_INK}; }}
  .archdsl .edge path, .archdsl .joint ellipse {{ stroke: {LIGHT_LINE}; }}
  .archdsl .edge polygon, .archdsl .joint ellipse {{ fill: {LIGHT_LINE}; stroke: {LIGHT_LINE}; }}
  .archdsl .cluster path {{ stroke: #7a7a7a; fill: #ffffff; fill-opacity: 0.06; }}
}}
</style>
"""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def colour(category: str) -> str:
    """Return the fill colour for a category."""
    return COLOURS.get(category, OTHER)


def paler(fill: str) -> str:
    """Return a fill colour mixed with white, for what is not trained."""
    parts = (int(fill[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{255 - round((255 - part) * PALE):02x}" for part in parts)


# --- text ---


def clean(text: str) -> str:
    """Return text as one line, without the control characters that SVG does not allow."""
    return _CONTROL.sub("\ufffd", re.sub(r"[\t\r\n]+", " ", text))


def plain(text: str) -> str:
    r"""Escape text for a plain label, in which Graphviz replaces `\N` and other sequences."""
    return clean(text).replace("\\", "\\\\")


def markup(text: str) -> str:
    """Escape text for an HTML-like label."""
    return html.escape(plain(text))


def identifier(text: str) -> str:
    """Return text as a node's name in DOT."""
    return re.sub(r"[^\w.]", "_", text)


def wrapped(parts: Iterable[str], between: str = " → ", width: int = 30, alone: int = 14) -> list[str]:
    """Break a list of parts into lines of at most `width` characters; a part longer than `alone` has its own line.

    `between` stands between parts, but not behind one that ends in a comma or semicolon.
    """
    lines: list[str] = []
    full = True
    for part in parts:
        joint = " " if lines and lines[-1].endswith((",", ";")) else between
        if full or len(part) > alone or len(lines[-1]) + len(joint) + len(part) > width:
            lines.append(joint.lstrip() + part if lines and joint.strip() == "→" else part)
        else:
            lines[-1] += joint + part
        full = len(part) > alone
    return lines


# --- numbers ---


def _scaled(number: int, scale: float, region: str) -> str:
    value = number / scale
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f} {region}"


def parameters(number: int) -> str:
    """Format a number of parameters: `34.5 M`."""
    for scale, region in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= scale:
            return _scaled(number, scale, region)
    return str(number)


def multiply_adds(number: int) -> str:
    """Format a number of multiply-adds in G, as in `1.30 G`; in M or k below 0.01 G."""
    return _scaled(number, 1e9, "G") if number >= 1e7 else parameters(number)


def figures(cost: Cost) -> str:
    """Format a cost as parameters and multiply-adds, `0.22 M · 1.30 G`; empty if both are 0."""
    if not cost.params and not cost.macs:
        return ""
    return f"{parameters(cost.params)} · {multiply_adds(cost.macs)}"


def shape_text(shape: Any) -> str:
    """Format a shape C×T×H×W, as in `64×8×56×56`; a vector is written as its length."""
    return str(int(shape.channels)) if isinstance(shape, Grid) and shape.is_vector else str(shape)


# --- layers ---


def value_text(value: Any, digits: int = 6) -> str:
    """Format the value of an attribute, a fraction with some significant digits."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, (float, Fraction)):
        return f"{float(value):.{digits}g}"
    if isinstance(value, Symbol):
        inner = ", ".join(value_text(v) for v in value.arguments)
        return f"{value.name}({inner})" if inner else value.name
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        words = len(items) > 1 and any(isinstance(item, str) for item in items)
        return f"[{', '.join(map(value_text, items))}]" if words else "×".join(map(value_text, items))
    return str(value)


def _attribute_text(attribute: Attribute[Any], value: Any) -> str:
    """Format the value of an attribute with few digits; an extent of 0 is that of the whole axis."""
    text = value_text(value, 3)
    return re.sub(r"\b0\b", "all", text) if isinstance(attribute, Window) else text


def drawn_values(layer: Layer) -> dict[str, Any]:
    """Return the values of the attributes that set drawn layers apart: all but how weights begin."""
    values = layer.values()
    return {name: values[name] for name, a in layer.attributes.items() if not isinstance(a, Initialiser)}


def layer_text(layer: Layer, *, settings: bool = True) -> str:
    """Format a layer, as in `conv 1×3×3, 64, stride 1×2×2`: kind, kernel and attributes that differ from defaults.

    Constants of norms and biases, which say nothing of the architecture, are left out, as are inputs: arrows show them.
    """
    first: list[str] = []
    then: list[str] = []
    values = layer.values()
    title = " ".join([layer.kind, *(str(values[telling]) for telling in TELLING if telling in values)])
    if not settings:
        return title
    for name, attribute in layer.attributes.items():
        if "." in name:  # of a layer inside
            continue
        value = values[name]
        usual = not attribute.required and value == attribute.default
        if name == "kernel" and not (isinstance(attribute, Window) and usual):
            first.insert(0, _attribute_text(attribute, value))
        elif isinstance(attribute, Initialiser | Reference) or usual or name in (*UNSEEN, *TELLING):
            continue
        elif name == "stride":
            then.append("stride " + value_text(value, 3))
        elif name == "padding":
            then.append(_padding_text(value))
        else:
            text = _attribute_text(attribute, value)
            (first if attribute.required else then).append(text if attribute.required else f"{name}={text}")
    return " ".join([title, ", ".join([*first, *then])]).rstrip()


def _padding_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "padding " + "×".join(map(value_text, value)) if any(value) else "valid"
