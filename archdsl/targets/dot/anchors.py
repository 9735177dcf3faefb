"""Centring of text in SVG files.

Graphviz centres a line of a label by the widths of its own fonts, and writes where the line begins. With the letters of
another viewer, which may be narrower, the line would stand at the left of its box; so it is anchored at its middle.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The last span of each centred line of a label, of hardly any width: it shows the width that Graphviz has assumed.
END = '<font point-size="1">\u200a</font>'
_TEXT = re.compile(r'<text([^>]*) text-anchor="start" x="([^"]*)" y="([^"]*)"([^>]*)>([^<]*)</text>\n?')
_SPACE = "\u200a"


def centred(svg: str) -> str:
    """Return an SVG of Graphviz with each line of text that ends in `END` anchored at its middle."""
    return "".join(_lines(svg))


def _lines(svg: str) -> Iterator[str]:
    for height, elements in groupby(svg.splitlines(keepends=True), _height):
        line = list(elements)
        texts = [match for match in map(_TEXT.fullmatch, line) if match]
        if not height or 'font-size="1.00"' not in texts[-1][4] or texts[-1][5] != _SPACE:
            yield from line
            continue
        middle = (float(texts[0][2]) + float(texts[-1][2])) / 2
        spans = [match for match in texts if match[5] != _SPACE]
        if not spans:
            continue
        start = f'<text{spans[0][1]} text-anchor="middle" x="{middle:.2f}" y="{height}"{spans[0][4]}>'
        further = (f"<tspan{match[4]}>{match[5]}</tspan>" for match in spans[1:])
        yield f"{start}{spans[0][5]}{''.join(further)}</text>\n"


def _height(element: str) -> str:
    """Return the y of a text that is not anchored at its middle, or nothing for another element."""
    match = _TEXT.fullmatch(element)
    return match[3] if match else ""
