"""The lines of a call without braces: plain projections, `attention(8)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.frontend import ast
from archdsl.layers.attention_arguments import LETTERS, RESULT_LINE

if TYPE_CHECKING:
    from archdsl.core.source import Span


def plain_lines(link: ast.Layer) -> ast.Lines:
    """Return a call with the lines that it stands for."""
    given = {a.name.id: a.value for a in link.arguments or () if a.name is not None}
    span = link.name.span
    channels: ast.Expr = ast.InHand(span, "channels")
    if "kv_heads" not in given:
        lines = [_line(span, LETTERS, channels)]
    else:
        place = next((a.value for a in link.arguments or () if a.name is None), None)
        heads = given.get("heads", place)
        few: ast.Expr = ast.Binary(span, "*", channels, given["kv_heads"])
        few = few if heads is None else ast.Binary(span, "//", few, heads)
        lines = [_line(span, "q", channels), _line(span, "kv", few)]
    return ast.Lines(link.span, link.name, link.arguments, (*lines, _line(span, RESULT_LINE, channels)))


def _line(span: Span, name: str, width: ast.Expr) -> ast.BranchLine:
    linear = ast.Layer(span, ast.Name(span, "linear"), (ast.Argument(span, None, width),))
    return ast.BranchLine(span, ast.Name(span, name), ast.Chain(span, (ast.Step(span, linear, None, None),)))
