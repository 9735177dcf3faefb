"""The template of a layer, as far as it says what the layer's op is."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archdsl.resources import resource

if TYPE_CHECKING:
    from archdsl.layers.base import Layer


class Template(NamedTuple):
    """The macros that a template defines, and all words in it."""

    macros: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()


def template_of(layer: Layer) -> Template:
    """Return what the template of a layer defines and names; nothing if there is none."""
    if not layer.added_by:
        return _bundled(layer.written_as or layer.kind)
    file = Path(layer.added_by).with_name(f"{layer.kind}.py.j2")
    try:
        return _read(file, file.stat().st_mtime_ns)
    except OSError:
        return Template()


@cache
def _bundled(kind: str) -> Template:
    return _read(resource("templates") / "layers" / f"{kind}.py.j2", 0)


@cache
def _read(file: Path, _changed: int) -> Template:
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return Template()
    macros = frozenset(re.findall(r"{%-?\s*macro\s+(\w+)", text))
    return Template(macros, frozenset(re.findall(r"\w+", text)))
