"""Labels of stages and names of values, `res{i}`, with the values of the names in their braces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.core.values import Symbol, Unknown, describe
from archdsl.frontend import ast

if TYPE_CHECKING:
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.scope import Scope


def fill_label(label: ast.Label, scope: Scope, evaluator: Evaluator) -> str | None:
    """Return a label with values in place of the names in braces, as in `res{i}`; None after a fault."""
    parts: list[str] = []
    for match in re.finditer(r"\{(\w+)\}|([^{}]+)", label.text):
        if match[1] is None:
            parts.append(match[2])
            continue
        value = evaluator.evaluate(ast.Name(label.span, match[1]), scope)
        if isinstance(value, Unknown):
            return None
        text = value.name if isinstance(value, Symbol) else describe(value)
        if not re.fullmatch(r"\w+", text, re.ASCII):
            evaluator.reporter.report("E0204", label.span, f"`{match[1]}` is {text}, which cannot stand in a name")
            return None
        parts.append(text)
    return "".join(parts)


def filled(label: ast.Label, scope: Scope, evaluator: Evaluator) -> ast.Name | None:
    """Return the name that a label is with the values of the names in its braces; None after a fault."""
    text = fill_label(label, scope, evaluator)
    return None if text is None else ast.Name(label.span, text)
