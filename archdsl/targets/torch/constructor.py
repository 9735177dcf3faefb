"""The constructor of a class: its parameters are the numbers that differ between the regions that share it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Formula, Sym, Varying, formula_of, substitute, variables
from archdsl.core.values import is_list, is_number
from archdsl.ir.regions import Block, around
from archdsl.ir.signature import IN_CHANNELS, BlockArguments, BlockParameter
from archdsl.targets.python.printer import text
from archdsl.targets.python.tree import Assign, Items, Literal, Name
from archdsl.targets.torch.formulas import formula_tree
from archdsl.targets.torch.free_names import FreeNames
from archdsl.targets.torch.ops.sites import SharedModule

if TYPE_CHECKING:
    from archdsl.ir.regions import Region
    from archdsl.targets.python.tree import Expr, Stmt
    from archdsl.targets.torch.classes import Group


@dataclass(frozen=True)
class Parameter:
    """One parameter of a constructor; `default` is None where it must be given."""

    variable: str
    name: str
    type: str
    default: int | float | None
    by_position: bool
    shared: SharedModule | None = None


def owner(region: Region) -> Block | None:
    """Return the block whose parameters the numbers in a region are formulas of; None outside of blocks."""
    return next((r for r in around(region) if isinstance(r, Block)), None)


class Constructor:
    """Decides, number by number, whether it is a parameter or a constant of the class."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.regions = group.regions
        block = owner(group.example)
        self.declared: tuple[BlockParameter, ...] = block.signature.parameters if block is not None else ()
        self.known: dict[str, Any] = {}  # variables that are the same everywhere
        self.used: dict[str, list[Any]] = {}  # variables that differ and that the code needs, with values by region
        self.derived: dict[str, Formula] = {}  # variables computed from others in every region
        self.extra: dict[str, list[Any]] = {}  # numbers that no parameter of the block explains, by region
        self.asked: dict[str, list[Any]] = {}  # those of them that the code needs
        self.exact: set[str] = set()  # numbers with a fraction that are no rates of regularisation
        self._places = {region: i for i, region in enumerate(self.regions)}
        self._twins: dict[str, str] = {}  # variables that are always equal to another one, which stands for them
        self._chosen: dict[tuple[Any, ...], str] = {}  # names of `extra`, by type and values
        self._names = FreeNames(p.name for p in self.declared)
        self._channels = ""  # the name of the channels that enter, once a line has it

    # --- numbers ---

    def resolve(self, values: list[Any], hint: str, *, is_rate: bool = False) -> Any:
        """Return one number (or tuple) for all regions: a constant, or one with a formula over the parameters.

        A rate of regularisation is written with four digits; other numbers as they are.
        """
        first = values[0]
        if is_list(first):
            whole = {self._whole_list(v) for v in values}
            if len(whole) == 1 and "" not in whole and any(v != first for v in values):
                return tuple(Sym(int(v), v.formula) for v in first)
            ends = [f"_{axis}" for axis in "thw"] if len(first) == 3 else list(map(str, range(len(first))))
            columns = [[v[i] for v in values] for i in range(len(first))]
            hints = [hint if columns.count(c) > 1 else hint + end for c, end in zip(columns, ends, strict=True)]
            return tuple(map(self.resolve, columns, hints))
        if isinstance(first, float):
            return self._fraction(values, hint, is_rate=is_rate)
        if all(v == first for v in values) or not isinstance(first, int):
            return int(first) if isinstance(first, Sym) else first
        formulas = {formula_of(v) for v in values if isinstance(v, int)}
        if isinstance(first, Sym) and len(formulas) == 1 and all(isinstance(v, Sym) for v in values):
            return Sym(first, formulas.pop())
        return Sym(int(first), ("var", self._fresh(hint, values)))

    def _fraction(self, values: list[float], hint: str, *, is_rate: bool) -> float:
        """Do the same for numbers with a fraction."""
        numbers = [float(v) for v in values]
        if len(set(numbers)) == 1:
            return numbers[0]
        formulas = {v.formula if isinstance(v, Varying) else None for v in values}
        formula = formulas.pop() if len(formulas) == 1 else None
        formula = formula or ("var", self._rate(numbers) or self._fresh(hint, values))
        if not is_rate:
            self.exact.add(formula[1])
        return Varying(numbers[0], formula)

    def _rate(self, values: list[float]) -> str:
        """Return the parameter of the block that a number with a fraction is, such as a rate that grows with depth."""
        for declared in self.declared:
            given = [_arguments(u).values.get(declared.name) for u in self.regions]
            if all(is_number(g) and float(g) == v for g, v in zip(given, values, strict=True)):
                return declared.name
        return ""

    def place(self, values: list[Any], hint: str) -> Any:
        """Return an argument that follows from a layer's place: the same everywhere, or the name of a parameter."""
        if isinstance(values[0], SharedModule) or any(v != values[0] for v in values):
            name = self._fresh(hint, values)
            self._note(("var", name))
            return self._name(name)
        return values[0]

    def _fresh(self, hint: str, values: list[Any]) -> str:
        same = (_type(values[0]), tuple(values))
        if same not in self._chosen:
            self._chosen[same] = self._names.take(hint)
            self.extra[self._chosen[same]] = values
        return self._chosen[same]

    def _note(self, formula: Formula) -> Formula:
        """Note the variables of a formula as needed, and find the constants among them."""
        for variable in sorted(variables(formula)):
            if not any(variable in noted for noted in (self.known, self.used, self.asked, self.derived, self._twins)):
                self._note_variable(variable)
        return formula

    def _note_variable(self, variable: str) -> None:
        if variable in self.extra:
            self._need(variable, self.extra[variable], self.asked)
            return
        values = [self.value(u, variable) for u in self.regions]
        default = self._derivation(variable)
        if all(v == values[0] for v in values):
            self.known[variable] = values[0]
        elif default is None:
            self._need(variable, values, self.used)
        else:
            self._note(default)
            self.derived[variable] = default

    def _need(self, variable: str, values: list[Any], needed: dict[str, list[Any]]) -> None:
        """Make a variable a parameter, unless one that the code needs already has the same values everywhere."""
        kind = _type(values[0])
        others = {**self.used, **self.asked}
        twin = next((o for o, given in others.items() if given == values and _type(given[0]) == kind), None)
        if twin is None:
            needed[variable] = values
        else:
            self._twins[variable] = twin

    def _name(self, variable: str) -> str:
        """Return the name of the parameter that a variable is, or that stands for it."""
        variable = self._twins.get(variable, variable)
        return self.channels_name if variable == IN_CHANNELS else variable

    def value(self, region: Region, variable: str) -> Any:
        """Return the value of a variable in one region, in the terms of the region around it."""
        block = owner(region)
        if block is None:
            raise AssertionError
        if variable == IN_CHANNELS:
            return block.entering.channels
        return block.arguments.values[variable]

    def _derivation(self, variable: str) -> Formula | None:
        """Return the formula of a parameter that every caller leaves to its default."""
        defaults = [_arguments(u).defaults.get(variable) for u in self.regions]
        formulas = {formula_of(d) for d in defaults if isinstance(d, Sym)}
        if len(formulas) == 1 and all(isinstance(d, Sym) for d in defaults):
            return formulas.pop()
        return None

    # --- code ---

    def write(self, formula: Formula) -> Expr:
        """Return a formula as code of the constructor."""
        self._note(formula)
        return formula_tree(formula, self.known, self._name)

    def tree(self, value: Any) -> Expr:
        """Return a resolved value as code."""
        if isinstance(value, (Sym, Varying)):
            return self.write(value.formula)
        if not is_list(value):
            return Literal(value)
        whole = self._whole_list(value)
        if whole:
            self._note(("var", whole))
        return Name(self._name(whole)) if whole else Items(map(self.tree, value))

    def code(self, value: Any) -> Any:
        """Return a resolved value as a template takes it: what is no formula stays, so that the template can ask."""
        return text(self.tree(value)) if isinstance(value, (Sym, Varying)) or is_list(value) else value

    @property
    def channels_name(self) -> str:
        """Name of the channels that enter. Lines that are printed have it, so it is chosen once."""
        if not self._channels:
            self._channels = self._names.take("channels", "in_channels")
        return self._channels

    def _whole_list(self, items: tuple[Any, ...]) -> str:
        """Name of a list parameter, if these are all its elements, one by one."""
        formulas = [v.formula if isinstance(v, Sym) else None for v in items]
        first = formulas[0] if formulas else None
        if first is None or first[0] != "item":
            return ""
        lengths = {len(self.value(u, first[1])) for u in self.regions}
        return first[1] if lengths == {len(items)} and _elements(first[1], len(items)) == formulas else ""

    def parameters(self) -> list[Parameter]:
        """Return the constructor's parameters: those without a default first."""
        found: list[Parameter] = []
        if IN_CHANNELS in self.used:
            found.append(Parameter(IN_CHANNELS, self.channels_name, "int", None, by_position=True))
        for declared in self.declared:
            name = declared.name
            if name in self.used:
                values = [self.value(u, name) for u in self.regions]
                kind = "float" if any(isinstance(v, (Fraction, float)) for v in values) else _type(values[0])
                default = _whole(declared.number)
                default = float(default) if default is not None and kind == "float" else default
                found.append(Parameter(name, name, kind, default, declared.default is None))
        for name, values in ((n, v) for n, v in self.extra.items() if n in self.asked):
            shared = values[0] if isinstance(values[0], SharedModule) else None
            found.append(Parameter(name, name, _type(values[0]), None, False, shared))
        return sorted(found, key=lambda p: p.default is not None)

    def locals(self) -> list[Stmt]:
        """Return the statements that work out what follows from the parameters."""
        return [Assign([Name(name)], self.write(formula)) for name, formula in self.derived.items()]

    def argument(self, region: Region, parameter: Parameter) -> Any:
        """Return the argument of one region for a parameter, in the terms of the region around it."""
        if parameter.variable in self.extra:
            value = self.extra[parameter.variable][self._places[region]]
            return self._outer(region, value)
        if not isinstance(region, Block) and owner(region) is not None:
            return self._passed_on(region, parameter)
        return self.value(region, parameter.variable)

    def _outer(self, region: Region, value: Any) -> Any:
        if not isinstance(value, Sym) or not isinstance(region, Block):
            return value
        try:
            return substitute(value.formula, {**region.arguments.values, IN_CHANNELS: region.entering.channels})
        except KeyError:
            return int(value)

    def _passed_on(self, region: Region, parameter: Parameter) -> Any:
        """A projection shares the variables of its block, which hands them on by name."""
        variable = parameter.variable
        value = self.value(region, variable)
        if parameter.type == "float":
            return Varying(float(value), ("var", variable))
        if is_list(value):
            return tuple(Sym(int(v), ("item", variable, i)) for i, v in enumerate(value))
        return Sym(int(value), ("var", variable))


def _arguments(region: Region) -> BlockArguments:
    block = owner(region)
    return block.arguments if block is not None else BlockArguments()


def _whole(number: Fraction | None) -> int | None:
    return number.numerator if number is not None and number.denominator == 1 else None


def _elements(name: str, length: int) -> list[Formula | None]:
    return [("item", name, i) for i in range(length)]


def _type(value: Any) -> str:
    """Return the type of a parameter for such values."""
    if isinstance(value, SharedModule):
        return value.base
    if is_list(value):
        return f"tuple[{', '.join(['int'] * len(value))}]"
    return "float" if isinstance(value, float) else type(value).__name__.replace("Sym", "int")
