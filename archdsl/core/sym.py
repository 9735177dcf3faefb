"""Whole numbers that remember how they were computed from the parameters of a block.

Shapes and arguments inside a block are computed once, on these numbers: as numbers they are checked, as formulas they
become the constructor of the class that is generated for the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Formula = tuple[Any, ...]  # ("var", name) | ("item", name, index) | ("lit", n) | (operator, left, right)
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2}


MAX_FORMULA = 40  # parts; a longer one is no help to a reader, and a constructor is given the number instead


class Sym(int):
    """A number with the formula that gave it. Everywhere else it is an ordinary `int`."""

    formula: Formula
    size: int  # parts of the formula

    def __new__(cls, value: int, formula: Formula, size: int = 1) -> Sym:
        self = super().__new__(cls, value)
        self.formula = formula
        self.size = size
        return self

    def __reduce__(self) -> tuple[type[Sym], tuple[int, Formula, int]]:
        """Return what makes a copy, for `copy` and `pickle`."""
        return Sym, (int(self), self.formula, self.size)

    def _with(self, operator: str, other: object, value: Any, swapped: bool = False) -> Any:
        if value is NotImplemented or not isinstance(other, int) or isinstance(other, bool):
            return value
        size = 1 + self.size + (other.size if isinstance(other, Sym) else 1)
        if size > MAX_FORMULA:
            return value
        sides = (formula_of(other), self.formula) if swapped else (self.formula, formula_of(other))
        if operator == "+" and sides[0] == sides[1]:
            operator, sides = "*", (("lit", 2), self.formula)
        return Sym(value, (operator, *sides), size)

    def __add__(self, other: Any) -> Any:
        return self._with("+", other, int.__add__(self, other))

    def __radd__(self, other: Any) -> Any:
        return self._with("+", other, int.__radd__(self, other), swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._with("-", other, int.__sub__(self, other))

    def __rsub__(self, other: Any) -> Any:
        return self._with("-", other, int.__rsub__(self, other), swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("*", other, int.__mul__(self, other))

    def __rmul__(self, other: Any) -> Any:
        return self._with("*", other, int.__rmul__(self, other), swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._with("//", other, int.__floordiv__(self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with("//", other, int.__rfloordiv__(self, other), swapped=True)

    def __mod__(self, other: Any) -> Any:
        return self._with("%", other, int.__mod__(self, other))

    def __repr__(self) -> str:
        return int.__repr__(self)

    __str__ = __repr__


class Varying(float):
    """A number with a fraction that differs between the uses of a class: its formula names a constructor parameter.

    It equals no number, and counts as one that is not 0, so that no code is left out for it.
    """

    formula: Formula

    def __new__(cls, value: float, formula: Formula) -> Varying:
        self = super().__new__(cls, value)
        self.formula = formula
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Varying) and self.formula == other.formula

    def __hash__(self) -> int:
        return hash(self.formula)

    def __bool__(self) -> bool:
        return True


def formula_of(value: int) -> Formula:
    """The formula of a number; of a plain one, itself."""
    return value.formula if isinstance(value, Sym) else ("lit", int(value))


def variables(formula: Formula) -> set[str]:
    """The names that a formula needs."""
    if formula[0] in ("var", "item"):
        return {formula[1]}
    return set() if formula[0] == "lit" else variables(formula[1]) | variables(formula[2])


def renamed(formula: Formula, names: Mapping[str, str]) -> Formula:
    """The formula with variables under other names."""
    head = formula[0]
    if head in ("var", "item"):
        return (head, names.get(formula[1], formula[1]), *formula[2:])
    return formula if head == "lit" else (head, *(renamed(side, names) for side in formula[1:]))


def substitute(formula: Formula, values: Mapping[str, Any]) -> int:
    """The number that a formula gives for other values, which may be formulas themselves.

    Raises:
        KeyError: if a variable has no value.
    """
    head = formula[0]
    if head == "lit":
        return formula[1]
    if head == "var":
        return values[formula[1]]
    if head == "item":
        return values[formula[1]][formula[2]]
    left, right = substitute(formula[1], values), substitute(formula[2], values)
    return _apply(head, left, right)


def _apply(operator: str, left: int, right: int) -> int:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    return left // right if operator == "//" else left % right


def show(formula: Formula, known: Mapping[str, Any], above: int = 0) -> str:
    """A formula as Python, with the values of `known` names put in and what then is constant worked out."""
    free = variables(formula) - known.keys()
    if not free:
        return str(int(substitute(formula, known)))
    head = formula[0]
    if head == "var":
        return str(formula[1])
    if head == "item":
        return f"{formula[1]}[{formula[2]}]"
    level = _PRECEDENCE[head]
    left = show(formula[1], known, level)
    right = show(formula[2], known, level + 1)
    if head in ("*", "//") and right == "1":
        return show(formula[1], known, above)
    if head == "*" and left == "1":
        return show(formula[2], known, above)
    text = f"{left} {head} {right}"
    return f"({text})" if level < above else text
