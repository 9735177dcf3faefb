"""What a spec says that others have counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.values import Unknown, describe, is_number
from archdsl.ir.network import Published

if TYPE_CHECKING:
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.program import Program
    from archdsl.elaborate.scope import Scope

FIGURES = ("params", "gflops")


def read_published(program: Program, evaluator: Evaluator, scope: Scope) -> Published | None:
    """The `published` line of a spec; `gflops` are multiply-adds in billions, as papers print them."""
    statement = program.published
    if statement is None:
        return None
    figures: dict[str, float] = {}
    for binding in statement.figures:
        name, value = binding.name, evaluator.evaluate(binding.value, scope)
        if name.id not in FIGURES:
            hint = did_you_mean(name.id, FIGURES)
            evaluator.reporter.report("E0401", name.span, f"`published` has no `{name.id}`", hint=hint)
        elif is_number(value):
            figures[name.id] = float(value)
        elif not isinstance(value, Unknown):
            evaluator.reporter.report("E0301", binding.value.span, f"expected a number, found {describe(value)}")
    clip = None
    if statement.clip is not None:
        sizes = [evaluator.whole(e, scope, minimum=1) for e in statement.clip.items]
        known = [s for s in sizes if not isinstance(s, Unknown)]
        if len(sizes) != 4:
            label = f"expected [channels, frames, height, width], found {len(sizes)} sizes"
            evaluator.reporter.report("E0301", statement.clip.span, label)
        elif len(known) == 4:
            clip = (known[0], known[1], known[2], known[3])
    source = statement.source.value if statement.source is not None else ""
    gflops = figures.get("gflops")
    return Published(figures.get("params"), None if gflops is None else gflops * 1e9, clip, source)
