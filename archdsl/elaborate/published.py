"""Published figures of a network: parameters and multiply-adds that others have counted."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.values import Unknown, describe, is_number
from archdsl.ir.network import Published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.program import Program
    from archdsl.elaborate.scope import Scope
    from archdsl.frontend import ast

FIGURES = ("params", "gflops")


def read_published(program: Program, evaluator: Evaluator, scope: Scope) -> Published | None:
    """Return the `published` line of a spec; `gflops` are multiply-adds in billions, as papers print them."""
    statement = program.published
    if statement is None:
        return None
    figures = _figures(statement.figures, evaluator, scope)
    clip = _clip(statement.clip, evaluator, scope) if statement.clip is not None else None
    source = statement.source.value if statement.source is not None else ""
    gflops = figures.get("gflops")
    return Published(figures.get("params"), None if gflops is None else gflops * 1e9, clip, source)


def _figures(bindings: Sequence[ast.Binding], evaluator: Evaluator, scope: Scope) -> dict[str, float]:
    figures: dict[str, float] = {}
    for binding in bindings:
        name, value = binding.name, evaluator.evaluate(binding.value, scope)
        if name.id not in FIGURES:
            hint = did_you_mean(name.id, FIGURES)
            evaluator.reporter.report("E0401", name.span, f"`published` has no `{name.id}`", hint=hint)
        elif is_number(value):
            _check_unit(binding, value, evaluator)
            figures[name.id] = float(value)
        elif not isinstance(value, Unknown):
            evaluator.reporter.report("E0301", binding.value.span, f"expected a number, found {describe(value)}")
    return figures


def _check_unit(binding: ast.Binding, value: int | Fraction, evaluator: Evaluator) -> None:
    """Report a count of parameters in millions, and multiply-adds that are not in billions."""
    shown, text = describe(value), binding.value.span.text
    if binding.name.id == "params" and isinstance(value, Fraction):
        label = f"{shown} is no whole number of parameters"
        evaluator.reporter.report("E0302", binding.value.span, label, hint=f"millions have an `M`: `params = {text}M`")
    elif binding.name.id == "gflops" and value >= 10**6:
        label = f"`gflops` counts billions, found {shown}"
        hint = f"`gflops = {describe(value / Fraction(10**9))}`"
        evaluator.reporter.report("E0305", binding.value.span, label, hint=hint)


def _clip(shape: ast.List, evaluator: Evaluator, scope: Scope) -> tuple[int, int, int, int] | None:
    """Return the size of the clip that the figures are for; None after a fault."""
    sizes = [evaluator.whole(e, scope, minimum=1) for e in shape.items]
    known = [s for s in sizes if not isinstance(s, Unknown)]
    if len(sizes) != 4:
        label = f"expected [channels, frames, height, width], found {len(sizes)} sizes"
        evaluator.reporter.report("E0301", shape.span, label)
    return (known[0], known[1], known[2], known[3]) if len(sizes) == len(known) == 4 else None
