"""Lines of a class token's own: queries, keys and values with which it looks once at all positions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.core.grid import Grid
from archdsl.layers.attention_arguments import LETTERS, RESULT_LINE, TOKEN

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Application, Lines

QUERIES = TOKEN + "q"


def has_token_lines(lines: Lines) -> bool:
    """Return True if a class token has lines of its own."""
    return QUERIES in lines.branches


def of_tokens_alone(lines: Lines) -> list[int]:
    """Return the numbers of the layers that are applied to the rows of tokens alone, as only those become queries.

    These are the last ones of `token_q`, as far as they treat positions on their own and nothing else reads them.
    """
    if not has_token_lines(lines):
        return []
    readers = Counter(o.application for a in lines.applications for part in a.inputs for o in part)
    readers.update(o.application for o in lines.branches.values())
    found: list[int] = []
    number = lines.branches[QUERIES].application
    while number >= 0 and readers[number] == 1 and _is_by_row(lines.applications[number]):
        found.append(number)
        number = lines.applications[number].inputs[0][0].application
    return found[::-1]


def _is_by_row(application: Application) -> bool:
    is_chain = len(application.inputs) == len(application.inputs[0]) == 1 and not application.tokens
    keeps_tokens = application.shape.tokens == application.shapes[0].tokens
    return application.letters == QUERIES and is_chain and keeps_tokens and application.is_by_position()


def after_positions(lines: Lines) -> list[int]:
    """Return the numbers of a class token's own layers, as far as no other line but the last reads what they give."""
    own = {n for n, a in enumerate(lines.applications) if a.letters.startswith(TOKEN)}
    read: set[int] = set()
    waiting = [lines.branches[letter] for letter in LETTERS]
    others = (a for n, a in enumerate(lines.applications) if n not in own and a.letters != RESULT_LINE)
    waiting += [o for a in others for part in a.inputs for o in part]
    while waiting:
        number = waiting.pop().application
        if number in own - read:
            read.add(number)
            waiting += [o for part in lines.applications[number].inputs for o in part]
    return sorted(own - read)


def on_tokens(application: Application) -> Application:
    """Return a layer as it is applied to the rows of tokens alone: those are a row of positions to it."""
    shapes = tuple(_row(x) for x in application.shapes)
    return replace(application, shapes=shapes, shape=_row(application.shape))


def _row(x: Grid) -> Grid:
    return Grid(x.channels, 1, 1, x.tokens.number)


def applied(lines: Lines) -> list[Application]:
    """Return all layers of lines, with the shapes that they are applied to."""
    rows = of_tokens_alone(lines)
    return [on_tokens(a) if n in rows else a for n, a in enumerate(lines.applications)]
