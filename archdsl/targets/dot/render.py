"""Rendering of DOT text: with Graphviz's `dot` where it is installed, else with the Graphviz in pygraphviz's wheel."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from archdsl.targets.dot.anchors import centred
from archdsl.targets.dot.style import DARK_PAGE, PAGE, STYLE

if TYPE_CHECKING:
    from collections.abc import Generator

FORMATS = ("svg", "png", "pdf", "dot")
PRINT_DPI = 150

NO_GRAPHVIZ = (
    "there is nothing to draw with: `pip install pygraphviz` brings Graphviz along, "
    "or install Graphviz itself so that `dot` is found; a .dot file needs neither"
)
NO_FONTS = (
    "there are no fonts on this machine, so a PNG or PDF would have no letters: install some, "
    "as with `apt install fonts-dejavu-core`, or draw an .svg"
)
_PROBE = 'digraph {{ bgcolor=white; a [shape=none, label="{}", width=1, height=1, fixedsize=true] }}'


MAX_ARROWS = 1_500  # each is led past every box: seconds for so many, four times as long for twice as many


class RenderError(RuntimeError):
    """A diagram cannot be rendered: Graphviz or fonts are missing, or Graphviz fails."""


class PictureTooLarge(ValueError):
    """A diagram has more arrows than are drawn in reasonable time."""


def render(source: str, format: str, theme: str = "auto") -> bytes:
    """Render DOT text as svg, png, pdf or dot; an SVG adapts to dark pages if the theme is `auto`.

    Raises:
        ValueError: if there is no such format.
        PictureTooLarge: if it has more than `MAX_ARROWS` arrows.
        RenderError: if Graphviz is not installed, rejects the text, or finds no fonts for a PNG or PDF.
    """
    if format not in FORMATS:
        raise ValueError(f"format = {format!r}: expected {', '.join(FORMATS)}")
    if format == "dot":
        return source.encode()
    arrows = source.count("->")
    if arrows > MAX_ARROWS:
        cure = "`--level stage` draws less, and a name that ends in .dot keeps the text for other programs"
        raise PictureTooLarge(f"a picture of {arrows:,} arrows is too large, at most {MAX_ARROWS:,} are drawn; {cure}")
    if format == "svg":
        svg = centred(_layout(source, "svg", {}).decode()).encode()
        return _with_style(svg) if theme == "auto" else svg
    if not _has_fonts():
        raise RenderError(NO_FONTS)
    settings = {"bgcolor": f'"{DARK_PAGE if theme == "dark" else PAGE}"'} | (
        {"dpi": str(PRINT_DPI)} if format == "png" else {}
    )
    return _layout(source, format, settings)


def _layout(source: str, format: str, settings: dict[str, str]) -> bytes:
    if shutil.which("dot"):
        return _with_dot(_set(source, settings), format)
    return _with_pygraphviz(_set(source, settings), format)


def _set(source: str, settings: dict[str, str]) -> str:
    """Return the graph with attributes added last in its braces, where they override earlier ones."""
    if not settings:
        return source
    body, brace, rest = source.rpartition("}")
    words = "; ".join(f"{name}={value}" for name, value in settings.items())
    return f"{body}graph [{words}]\n{brace}{rest}"


def _with_dot(source: str, format: str) -> bytes:
    graphviz: Any = import_module("graphviz")
    try:
        return graphviz.pipe("dot", format, source.encode(), quiet=True)
    except graphviz.CalledProcessError as error:
        stderr: Any = error.stderr
        text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else str(stderr)
        raise RenderError(f"Graphviz cannot draw this: {text.strip()}") from None
    except OSError as error:
        raise RenderError(f"`dot` cannot be run: {error.strerror or error}") from None


def _with_pygraphviz(source: str, format: str) -> bytes:
    try:
        pygraphviz: Any = import_module("pygraphviz")
    except ImportError:
        raise RenderError(NO_GRAPHVIZ) from None
    errors: list[str] = []
    try:
        with _quiet(errors):
            data: bytes | None = pygraphviz.AGraph(string=source).draw(format=format, prog="dot")
    except Exception as error:  # its wrapper of C code raises exceptions of many types
        raise RenderError(f"Graphviz cannot draw this: {error} {''.join(errors)}".strip()) from None
    if not data:
        raise RenderError(f"Graphviz cannot draw this: {''.join(errors).strip() or 'it gave nothing'}")
    return data


@contextmanager
def _quiet(captured: list[str]) -> Generator[None]:
    """Capture lines that C code writes to standard error, except fontconfig's warnings about the system's files."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            lines = file.read().decode(errors="replace").splitlines(keepends=True)
            captured.extend(line for line in lines if not line.startswith("Fontconfig"))


@cache
def _has_fonts() -> bool:
    """Return True if two letters render differently: without fonts they are equal frames, or blank."""
    one, other = (_layout(_PROBE.format(letter), "png", {}) for letter in "ox")
    return one != other


def _with_style(svg: bytes) -> bytes:
    """Return the SVG with the style sheet for dark pages as its first element."""
    start = svg.index(b">", svg.index(b"<svg")) + 1
    return svg[:start] + b"\n" + STYLE.encode() + svg[start:]
