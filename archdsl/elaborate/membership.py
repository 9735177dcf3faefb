"""Lists of positions that rounds are held against, as in `index in attend`: which elements no round has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.values import Value, describe
from archdsl.elaborate.scope import Round, Scope, origin, traced
from archdsl.frontend import ast

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.elaborate.evaluate import Evaluator


@dataclass(eq=False)
class _Tested:
    """A written list, its elements that no round has had yet with their places, and the longest row of rounds."""

    text: ast.List
    unmatched: dict[Value, Span]
    rounds: Round


class Memberships:
    """The tests `x in LIST` of an expansion whose `x` depends on the `index` of a repeat or the variable of a `for`.

    A list can be for several rows of blocks, so an element is wrong only if it is no round's of any of them. Ranges and
    computed lists are conditions rather than choices and are not looked at.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tested: dict[int, _Tested] = {}

    def record(self, test: ast.Binary, found: Value, elements: tuple[Value, ...], scope: Scope) -> None:
        """Note what a test has found: `found` is the value on the left, `elements` are those of the list."""
        if not elements:
            return
        evaluator = self._evaluator
        written = _written_list(test.right, scope, evaluator)
        rounds = _rounds(test.left, scope, evaluator) if written is not None else None
        if written is None or rounds is None:
            return
        text, inner = written
        tested = self._tested.get(id(text))
        if tested is None:
            evaluator.budget.step(test.span, len(elements))
            places = {v: origin(item, inner).span for item, v in zip(text.items, elements, strict=True)}
            tested = self._tested[id(text)] = _Tested(text, places, rounds)
        tested.unmatched.pop(found, None)
        if rounds.count > tested.rounds.count:
            tested.rounds = rounds

    def report(self, parameters: Collection[Span]) -> None:
        """Report elements that no round has had.

        Args:
            parameters: the places of the values of parameters. Lists in them are choices of the spec's user: faults.
                Other lists may be meant for rows of other lengths: warnings.
        """
        for tested in self._tested.values():
            is_chosen = any(_holds(place, tested.text.span) for place in parameters)
            for value, place in tested.unmatched.items():
                if tested.rounds.is_index or (is_chosen and isinstance(value, int)):
                    _report(value, place, tested.rounds, self._evaluator.reporter, is_chosen=is_chosen)


def _holds(place: Span, part: Span) -> bool:
    return place.source is part.source and place.start <= part.start and part.end <= place.end


def _report(value: Value, place: Span, rounds: Round, reporter: Reporter, *, is_chosen: bool) -> None:
    note = f"`{rounds.name}` runs from 0 to {rounds.count - 1} here" if rounds.is_index else "by no round of this loop"
    hint = "blocks are counted from 0; an empty list stands for none of them"
    if isinstance(value, int) and value < 0:
        hint = f"positions do not count from the end: the last one is {rounds.count - 1}, and none of them is `[]`"
    if not rounds.is_index:
        hint = "delete it, or correct it"
    code = "E0609" if is_chosen else "W0109"
    reporter.report(code, place, f"{describe(value)} is never reached", [Note(note, rounds.span)], hint)


def _written_list(expr: ast.Expr, scope: Scope, evaluator: Evaluator) -> tuple[ast.List, Scope] | None:
    """Return a list as it stands in the spec, with the scope of its elements; None if it is computed."""
    while not isinstance(expr, ast.List):
        evaluator.budget.step(expr.span)
        before = expr
        expr, scope = traced(expr, scope)
        match expr:
            case ast.Conditional():
                expr = expr.then if evaluator.truth(expr.test, scope) is True else expr.otherwise
            case ast.Index():
                outer = _written_list(expr.value, scope, evaluator)
                number = evaluator.evaluate(expr.index, scope)
                if outer is None or not isinstance(number, int):
                    return None
                expr, scope = outer[0].items[number], outer[1]
            case _ if expr is before:
                return None
            case _:
                pass
    return expr, scope


def _rounds(expr: ast.Expr, scope: Scope, evaluator: Evaluator) -> Round | None:
    """Return the rounds that the value of an expression depends on, if it does."""
    pending: list[tuple[ast.Expr, Scope]] = [(expr, scope)]
    seen: set[int] = set()
    while pending:
        part, at = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        evaluator.budget.step(part.span)
        binding = at.find(part.id) if isinstance(part, ast.Name) else None
        if binding is None:
            pending += [(inner, at) for inner in _operands(part)]
        elif binding.rounds is not None:
            return binding.rounds
        elif binding.expr is not None:
            pending.append((binding.expr, binding.scope or at))
    return None


def _operands(expr: ast.Expr) -> Sequence[ast.Expr]:
    match expr:
        case ast.Binary():
            return expr.left, expr.right
        case ast.Unary():
            return (expr.operand,)
        case ast.Call():
            return [a.value for a in expr.arguments]
        case _:
            return ()
