"""The lines of a call without braces: plain projections, `attention(8, causal = on)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.frontend import ast
from archdsl.layers.attention_lines import LETTERS, RESULT_LINE, Between, Over

if TYPE_CHECKING:
    from archdsl.core.source import Span
    from archdsl.layers.base import Layer


def plain_lines(link: ast.Layer, cls: type[Layer]) -> ast.Lines | None:
    """Return a call with the lines that it stands for; None if its arguments are those of the layer without lines."""
    given = {a.name.id: a.value for a in link.arguments or () if a.name is not None}
    if not cls.takes_lines or not any(_is_for_lines(key, value, cls) for key, value in given.items()):
        return None
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


def _is_for_lines(key: str, value: ast.Expr, cls: type[Layer]) -> bool:
    """Return True for an argument that only a layer in lines knows, by its name or by its value."""
    attribute, other = Between.attributes.get(key), cls.attributes.get(key)
    if attribute is None or other is None:
        return attribute is not None
    if isinstance(value, ast.List):
        return isinstance(attribute, Over)
    return isinstance(value, ast.Name) and value.id in attribute.words and value.id not in other.words


def _line(span: Span, name: str, width: ast.Expr) -> ast.BranchLine:
    linear = ast.Layer(span, ast.Name(span, "linear"), (ast.Argument(span, None, width),))
    return ast.BranchLine(span, ast.Name(span, name), ast.Chain(span, (ast.Step(span, linear, None, None),)))
