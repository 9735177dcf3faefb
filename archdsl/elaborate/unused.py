"""Parameters that nothing refers to: most often a misspelt name in a variant."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.values import is_list
from archdsl.elaborate.blocks import own_blocks
from archdsl.elaborate.program import is_block, is_value
from archdsl.frontend import ast, labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.core.report import Reporter
    from archdsl.elaborate.program import Program

# Fields in which a name is introduced or a thing of another kind is named, not a value used.
_NOT_USES = set("name names path source target base family kind spelling type span comments".split())


def warn_unused(program: Program, reporter: Reporter) -> None:
    """Warn of every parameter that no expression of the spec or its bases names, and of those of its own blocks."""
    used: set[str] = set()
    for file in program.files:
        for statement in file.statements:
            used.update(_uses(statement))
    for name, declaration in program.declarations.items():
        if name not in used:
            hint = partial(_meant, name, program.declarations)
            reporter.report("W0101", declaration.name.span, f"nothing depends on `{name}`", hint=hint)

    for name, definition in own_blocks(program.modules[0]).items():
        if not program.replaced.get(name):  # another block's parameters are given by the calls of the base
            _warn_in_block(definition.block, reporter)


def _warn_in_block(block: ast.Block, reporter: Reporter) -> None:
    used = set(_uses((block.lets, block.chain, tuple(p.default for p in block.parameters))))
    for parameter in block.parameters:
        name = parameter.name.id
        is_called = is_value(parameter) or is_block(parameter)
        if name not in used and not (is_called and any(_stands_for(word, name) for word in _words(block.chain))):
            label = f"nothing in `{block.name.id}` depends on `{name}`"
            hint = "hand it to a layer or a block inside, or delete it"
            reporter.report("W0101", parameter.name.span, label, hint=hint)


def _stands_for(word: str, name: str) -> bool:
    """Return True if a word is a name, or a label such as `x{i}` that is the name in some round of a loop."""
    parts = re.split(r"\{\w+\}", word)
    return re.fullmatch(r"\w+".join(map(re.escape, parts)), name) is not None


def _words(part: Any) -> Iterator[str]:
    """Yield the words of a chain, such as values that chains begin with."""
    if is_list(part):
        for item in part:
            yield from _words(item)
    elif isinstance(part, ast.Layer):
        yield part.name.id
    elif isinstance(part, ast.Label):
        yield part.text
        yield from labels.words(part)
    elif isinstance(part, ast.Syntax):
        for value in vars(part).values():
            yield from _words(value)


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
        yield from labels.names(part)
    elif isinstance(part, ast.Syntax):
        for field, value in vars(part).items():
            if field not in _NOT_USES:
                yield from _uses(value)
