"""Heads of a spec: one without a name, or several of which each has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.names import why_refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.report import Reporter
    from archdsl.frontend import ast

_NAMES = "several heads have a name each, as in `head verb: …`, `head noun: …`"


def check_heads(heads: Sequence[ast.Head], reporter: Reporter) -> None:
    """Report heads of one file of which some have names and some have none, a name alone, or one that is refused."""
    named = [(head.name, head) for head in heads if head.name is not None]
    for name, _ in named:
        if refused := why_refused(name.id):
            reporter.report("E0204", name.span, refused)
    if len(heads) == len(named) == 1:
        [(name, head)] = named
        word = "head dense" if head.dense else "head"
        hint = f"write `{word}: …`; {_NAMES}, and those of a variant take the place of all heads of its base"
        if not head.dense and (meant := did_you_mean(name.id, ["dense"])).startswith("did you mean"):
            hint = meant
        reporter.report("E0105", name.span, f"`{name.id}` is the only head, which needs no name", hint=hint)
    elif named and len(named) < len(heads):
        without = next(head for head in heads if head.name is None)
        note = Note("a head with a name", named[0][0].span)
        reporter.report("E0105", without.chain.span, "a head without a name beside others", [note], _NAMES)


def beginning(head: ast.Head, *, dense: bool) -> str:
    """Return how a head is written up to its chain: `head dense verb:`."""
    words = ["head", *(["dense"] if dense else []), *([head.name.id] if head.name is not None else [])]
    return f"{' '.join(words)}:"
