"""Data flow to statements: nested calls up to one heavy operation a line, names used again when their value is done."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from archdsl.core.names import is_free_in_code
from archdsl.targets.python.printer import text
from archdsl.targets.python.tree import Assign, Dict, Expr, Items, Literal, Name, Return, Stmt, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MAX_LENGTH = 76  # of an expression that is not broken up
POOL = ("x", "y", "z", "u", "v")


@dataclass(frozen=True)
class Step:
    """One operation: the value that it gives, the values that it takes, and its expression.

    `write` returns the expression for those of the operands, and whether it names one of them more than once.
    """

    value: int
    operands: tuple[int, ...]
    write: Callable[[Sequence[Expr]], tuple[Expr, bool]]
    heavy: bool = False
    name: str = ""  # the variable to use, if a name means something here
    label: str = ""  # the name of the value in the spec, for a variable that is read more than once
    keep: Callable[[Expr], Iterable[Stmt]] | None = None  # gives the statements that keep the value as a feature
    parts: tuple[tuple[int, str], ...] = ()  # the values that it is unpacked to, with their variables


@dataclass(frozen=True)
class _Pending:
    """An expression that waits to be used, or to become a statement."""

    expr: Expr
    heavy: int
    names: frozenset[str]


class Body:
    """Writer of the statements of a function.

    `inputs` are the expressions of values computed before; with `keys`, it returns a dictionary of its outputs.
    """

    def __init__(
        self, steps: Sequence[Step], inputs: Mapping[int, Expr], *outputs: int, keys: Sequence[str] = ()
    ) -> None:
        self.steps = steps
        self.keys = keys
        self.outputs = outputs
        self.places: dict[int, Expr] = dict(inputs)
        self.pending: dict[int, _Pending] = {}
        self.statements: list[Stmt] = []
        self.left = Counter(o for s in steps for o in s.operands)
        self.left.update(outputs)
        self.labels = {s.value: s.label for s in steps if self.left[s.value] > 1 and is_free_in_code(s.label)}
        variables = [(v, e.id) for v, e in inputs.items() if isinstance(e, Name)]
        self.live = Counter(n for v, n in variables if self.left[v] > 0)  # variables with values still needed
        self.waiting = Counter[str]()  # names in the expressions that wait
        self.used = {name for _, name in variables}
        self.first_free = 2  # no number below it is that of a free variable `x2`, `x3`, …

    def write(self) -> list[Stmt]:
        """Return the statements; the last returns the outputs, if there are any."""
        for step in self.steps:
            self._step(step)
        if len(self.outputs) != 1 and not self.keys:
            self._settle_all(self.pending)
        given = [self.expr(value) for value in self.outputs]
        if self.keys:
            items = [(Literal(f'"{key}"'), value) for key, value in zip(self.keys, given, strict=True)]
            self.statements.append(Return(Dict(items)))
        elif given:
            self.statements.append(Return(self._last_value(given[0]) if len(given) == 1 else Items(given, "")))
        return self.statements

    def _last_value(self, output: Expr) -> Expr:
        """Return the expression of the last statement in place of the variable that it sets only to be returned."""
        last = self.statements[-1] if self.statements else None
        if not isinstance(last, Assign) or last.operator != "=" or list(map(text, last.targets)) != [text(output)]:
            return output
        self.statements.pop()
        return last.value

    def expr(self, value: int) -> Expr:
        """Return the expression of a value where it is used now."""
        pending = self.pending.get(value)
        return pending.expr if pending is not None else self.places[value]

    def _step(self, step: Step) -> None:
        expr, total = self._written(step)
        if len(text(expr)) > MAX_LENGTH and any(o in self.pending for o in step.operands):
            self._settle_all(step.operands)
            (expr, _), total = step.write([self.expr(o) for o in step.operands]), int(step.heavy)
        for operand in step.operands:
            self._read(operand)
        if step.parts:
            self._unpack(step, expr)
            return
        read = frozenset(names(expr))
        self.pending[step.value] = _Pending(expr, total, read)
        self.waiting.update(read)
        if step.keep is not None or step.name or self.left[step.value] > 1:
            self._settle(step.value, step.name)
        if step.keep is not None:
            self.statements += step.keep(self.places[step.value])

    def _written(self, step: Step) -> tuple[Expr, int]:
        """Return the expression of a step and its heavy operations, after statements for operands that do not nest."""
        waiting = [o for o in step.operands if o in self.pending]
        total = step.heavy + sum(self.pending[o].heavy for o in waiting)
        _, repeats = step.write([self.expr(o) for o in step.operands]) if waiting else (None, False)
        for operand in waiting:
            if repeats or (total > 1 and self.pending[operand].heavy):
                total -= self.pending[operand].heavy
                self._settle_before(operand, step)
                self._settle(operand)
        return step.write([self.expr(o) for o in step.operands])[0], total

    def _read(self, value: int) -> None:
        """A value has been used once more."""
        self.left[value] -= 1
        place = self.places.get(value)
        if self.left[value] == 0 and isinstance(place, Name):
            self._release(self.live, [place.id])
        if value in self.pending:
            self._release(self.waiting, self.pending.pop(value).names)

    def _settle_before(self, value: int, step: Step) -> None:
        """Heavy operations that were met before a value are written before it, as in the spec."""
        for other in list(self.pending):
            if other == value:
                return
            if self.pending[other].heavy and other not in step.operands:
                self._settle(other)

    def _settle_all(self, values: Iterable[int]) -> None:
        for value in list(values):
            if value in self.pending:
                self._settle(value)

    def _settle(self, value: int, wanted: str = "") -> None:
        """Turn a waiting expression into a statement."""
        pending = self.pending.pop(value)
        self._release(self.waiting, pending.names)
        variable = Name(self._variable(pending.names, wanted or self.labels.get(value, "")))
        self.places[value] = variable
        self.used.add(variable.id)
        self.live[variable.id] += self.left[value] > 0
        if not (isinstance(pending.expr, Name) and pending.expr.id == variable.id):
            self.statements.append(Assign([variable], pending.expr))

    def _unpack(self, step: Step, expr: Expr) -> None:
        """Turn an expression into a statement that gives several values."""
        targets: list[Expr] = []
        for value, wanted in step.parts:
            variable = self._variable(frozenset(), wanted) if self.left[value] else "_"
            self.places[value] = Name(variable)
            self.used.add(variable)
            self.live[variable] += self.left[value] > 0
            targets.append(Name(variable))
        self.statements.append(Assign([Items(targets, "")], expr))

    def _variable(self, read: frozenset[str], wanted: str) -> str:
        """Return a variable that holds nothing still needed: the wanted one, the one that is read, a new one."""
        again = self.used & read
        if wanted:
            candidates = [wanted, *(f"{wanted}{i}" for i in range(2, 100))]
        else:
            # What is made of several values is none of them, and no other value has the name of one.
            is_one = len(again) == 1 and again.isdisjoint(self.labels.values())
            candidates = [*(again if is_one else ()), *POOL]
        free = next((c for c in candidates if self._is_free(c)), "")
        if not free:
            self.first_free = next(i for i in count(self.first_free) if self._is_free(f"x{i}"))
            free = f"x{self.first_free}"
        return free

    def _is_free(self, name: str) -> bool:
        return not self.live[name] and not self.waiting[name]

    def _release(self, holders: Counter[str], released: Iterable[str]) -> None:
        """Count one holder less for each of some variables."""
        for name in released:
            holders[name] -= 1
            if re.fullmatch(r"x[1-9]\d{0,8}", name):
                self.first_free = min(self.first_free, max(2, int(name[1:])))
