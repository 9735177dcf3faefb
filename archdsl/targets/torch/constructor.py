"""The constructor of a class: its parameters are the numbers that differ between the regions that share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Sym, Varying, formula_of, renamed, substitute, variables
from archdsl.core.values import is_list, is_number
from archdsl.ir.regions import Block
from archdsl.ir.signature import IN_CHANNELS
from archdsl.targets.python.printer import text
from archdsl.targets.python.tree import Assign, Items, Literal, Name
from archdsl.targets.torch.class_count import NUM_CLASSES, ClassCount
from archdsl.targets.torch.formulas import formula_tree
from archdsl.targets.torch.ops.sites import SharedModule
from archdsl.targets.torch.variables import Variables, arguments_of, owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.core.sym import Formula
    from archdsl.ir.regions import Region
    from archdsl.targets.python.tree import Expr, Stmt
    from archdsl.targets.torch.classes import Group
    from archdsl.targets.torch.variables import Parameter


class Constructor:
    """Decides, number by number, whether it is a parameter or a constant of the class."""

    def __init__(
        self, group: Group, stand_ins: Mapping[str, str] | None = None, varying: frozenset[str] = frozenset()
    ) -> None:
        self.regions = group.regions
        self.variables = Variables(group, stand_ins or {}, varying)
        self.words = (*(q.before for q in group.qualifiers), group.name)  # that tell the class from others
        self.exact: set[str] = set()  # numbers with a fraction that are no rates of regularisation
        self._places = {region: i for i, region in enumerate(self.regions)}

    # --- numbers ---

    def resolve(self, values: list[Any], hint: str, *, is_rate: bool = False) -> Any:
        """Return one number (or tuple) for all regions: a constant, or one with a formula over the parameters.

        A rate of regularisation is written with four digits; other numbers as they are.
        """
        values = _of_one_length(values)
        first = values[0]
        if isinstance(first, ClassCount):
            self.variables.extra[NUM_CLASSES] = values
            return first
        if is_list(first):
            whole = {self.variables.whole_list(v) for v in values}
            if len(whole) == 1 and "" not in whole and any(v != first for v in values):
                return tuple(Sym(int(v), v.formula) for v in first)
            ends = [f"_{axis}" for axis in "thw"] if len(first) == 3 else list(map(str, range(len(first))))
            columns = [[v[i] for v in values] for i in range(len(first))]
            hints = [hint if columns.count(c) > 1 else hint + end for c, end in zip(columns, ends, strict=True)]
            return tuple(map(self.resolve, columns, hints))
        if isinstance(first, float):
            return self._fraction(values, hint, is_rate=is_rate)
        formulas = {renamed(formula_of(v), self.variables.stand_ins) for v in values if isinstance(v, int)}
        if not isinstance(first, int) or (all(v == first for v in values) and not self._varies(formulas)):
            return int(first) if isinstance(first, Sym) else first
        if isinstance(first, Sym) and len(formulas) == 1 and all(isinstance(v, Sym) for v in values):
            return Sym(first, formulas.pop())
        hint = hint.rpartition(".")[2]  # of a layer inside another one, whose attributes have numbers before them
        return Sym(int(first), ("var", self._given(values, hint) or self.variables.fresh(hint, values)))

    def _given(self, values: list[int], name: str) -> str:
        """Return the parameter of the block of this name, if it has the same values, though another word gave them."""
        declared = any(p.name == name for p in self.variables.declared)
        given = [arguments_of(u).values.get(name) for u in self.regions]
        return name if declared and given == values else ""

    def _varies(self, formulas: set[Formula]) -> bool:
        """Return True for one formula of parameters that vary around the regions, though not in them."""
        return len(formulas) == 1 and any(variables(f) & self.variables.varying for f in formulas)

    def _fraction(self, values: list[float], hint: str, *, is_rate: bool) -> float:
        """Do the same for numbers with a fraction."""
        numbers = [float(v) for v in values]
        if len(set(numbers)) == 1:
            return numbers[0]
        formulas = {v.formula if isinstance(v, Varying) else None for v in values}
        formula = formulas.pop() if len(formulas) == 1 else None
        formula = formula or ("var", self._rate(numbers) or self.variables.fresh(hint, values))
        if not is_rate:
            self.exact.add(formula[1])
        return Varying(numbers[0], formula)

    def _rate(self, values: list[float]) -> str:
        """Return the parameter of the block that a number with a fraction is, such as a rate that grows with depth."""
        for declared in self.variables.declared:
            given = [arguments_of(u).values.get(declared.name) for u in self.regions]
            if all(is_number(g) and float(g) == v for g, v in zip(given, values, strict=True)):
                return declared.name
        return ""

    def place(self, values: list[Any], hint: str) -> Any:
        """Return an argument that follows from a layer's place: the same everywhere, or the name of a parameter."""
        if isinstance(values[0], SharedModule) or any(v != values[0] for v in values):
            name = self.variables.fresh(hint, values)
            self.variables.note(("var", name))
            return self.variables.name(name)
        return values[0]

    # --- code ---

    def write(self, formula: Formula) -> Expr:
        """Return a formula as code of the constructor."""
        self.variables.note(formula)
        return formula_tree(formula, self.variables.known, self.variables.name)

    def tree(self, value: Any) -> Expr:
        """Return a resolved value as code."""
        if isinstance(value, (Sym, Varying)):
            return self.write(value.formula)
        if not is_list(value):
            return Literal(value)
        whole = self.variables.whole_list(value)
        if whole:
            self.variables.note(("var", whole))
        return Name(self.variables.name(whole)) if whole else Items(map(self.tree, value))

    def code(self, value: Any) -> Any:
        """Return a resolved value as a template takes it: what is no formula stays, so that the template can ask."""
        return text(self.tree(value)) if isinstance(value, (Sym, Varying)) or is_list(value) else value

    def locals(self) -> list[Stmt]:
        """Return the statements that work out what follows from the parameters."""
        return [Assign([Name(name)], self.write(formula)) for name, formula in self.variables.derived.items()]

    def argument(self, region: Region, parameter: Parameter) -> Any:
        """Return the argument of one region for a parameter, in the terms of the region around it."""
        if parameter.variable in self.variables.extra:
            value = self.variables.extra[parameter.variable][self._places[region]]
            return self._outer(region, value)
        if not isinstance(region, Block) and owner(region) is not None:
            return self._passed_on(region, parameter)
        return self.variables.value(region, parameter.variable)

    def _outer(self, region: Region, value: Any) -> Any:
        if not isinstance(value, Sym) or isinstance(value, ClassCount) or not isinstance(region, Block):
            return value
        try:
            return substitute(value.formula, {**region.arguments.values, IN_CHANNELS: region.entering.channels})
        except KeyError:
            return int(value)

    def _passed_on(self, region: Region, parameter: Parameter) -> Any:
        """A projection shares the variables of its block, which hands them on by name."""
        variable = parameter.variable
        value = self.variables.value(region, variable)
        if parameter.type == "float":
            return Varying(float(value), ("var", variable))
        if is_list(value):
            return tuple(Sym(int(v), ("item", variable, i)) for i, v in enumerate(value))
        return Sym(int(value), ("var", variable))


def _of_one_length(values: list[Any]) -> list[Any]:
    """Return numbers that stand for all axes as tuples, where a value of another region is one."""
    length = next((len(v) for v in values if is_list(v)), 0)
    return [v if is_list(v) or not isinstance(v, int) else (v,) * length for v in values] if length else values
