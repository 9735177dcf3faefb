"""Parameters that nothing refers to: most often a misspelt name in a variant."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.values import is_list
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.core.report import Reporter
    from archdsl.elaborate.program import Program

# Fields in which a name is introduced or a thing of another kind is named, not a value used.
_NOT_USES = {"name", "names", "path", "source", "target", "base", "family", "kind", "type", "span", "comments"}


def warn_unused(program: Program, reporter: Reporter) -> None:
    """Warn of every parameter that no expression of the spec or its bases names."""
    used: set[str] = set()
    for file in program.files:
        for statement in file.statements:
            used.update(_uses(statement))
    for name, declaration in program.declarations.items():
        if name not in used:
            hint = partial(_meant, name, program.declarations)
            reporter.report("W0101", declaration.name.span, f"nothing depends on `{name}`", hint=hint)


def _meant(name: str, declared: Iterable[str]) -> str:
    """The declared parameters that an unused one may be a misspelling of."""
    hint = did_you_mean(name, (n for n in declared if n != name))
    return hint if hint.startswith("did you mean") else ""


def _uses(part: Any) -> Iterator[str]:
    if is_list(part):
        for item in part:
            yield from _uses(item)
    elif isinstance(part, ast.Name):
        yield part.id
    elif isinstance(part, ast.Label):
        yield from re.findall(r"\{(\w+)\}", part.text)
    elif isinstance(part, ast.Syntax):
        for field, value in vars(part).items():
            if field not in _NOT_USES:
                yield from _uses(value)
