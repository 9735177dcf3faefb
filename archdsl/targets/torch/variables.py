"""The variables that the code of a class is written in, and which of them its constructor takes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Formula, Sym, formula_of, variables
from archdsl.core.values import is_list
from archdsl.ir.regions import Block, around
from archdsl.ir.signature import IN_CHANNELS, BlockArguments, BlockParameter
from archdsl.targets.torch.class_count import ClassCount
from archdsl.targets.torch.free_names import FreeNames
from archdsl.targets.torch.ops.sites import SharedModule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.ir.regions import Region
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


class Variables:
    """Variables that code needs, classified as constants, formulas of others, duplicates, or parameters.

    A variable is a parameter of the block that the regions are in, the channels that enter it, or a number that none of
    these explains.
    """

    def __init__(self, group: Group, stand_ins: Mapping[str, str], varying: frozenset[str]) -> None:
        self.regions = group.regions
        block = owner(group.example)
        self.declared: tuple[BlockParameter, ...] = block.signature.parameters if block is not None else ()
        self.known: dict[str, Any] = {}  # those that are the same everywhere
        self.used: dict[str, list[Any]] = {}  # those that differ and that the code needs, with values by region
        self.derived: dict[str, Formula] = {}  # those computed from others in every region
        self.extra: dict[str, list[Any]] = {}  # numbers that no parameter of the block explains, by region
        self.asked: dict[str, list[Any]] = {}  # those of them that the code needs
        self.stand_ins = stand_ins
        self.varying = varying  # parameters even if equal in all regions
        self._twins: dict[str, str] = {}  # those that are always equal to another one, which stands for them
        self._chosen: dict[tuple[Any, ...], str] = {}  # names of `extra`, by type and values
        self._names = FreeNames(p.name for p in self.declared)
        self._channels = ""  # the name of the channels that enter, once a line has it

    def fresh(self, hint: str, values: list[Any]) -> str:
        """Return the variable that has these values, one for each region; a new one is called as `hint` says."""
        same = (_type(values[0]), tuple(values))
        if same not in self._chosen:
            self._chosen[same] = self._names.take(hint)
            self.extra[self._chosen[same]] = values
        return self._chosen[same]

    def note(self, formula: Formula) -> Formula:
        """Note the variables of a formula as needed, and find the constants among them."""
        for variable in sorted(variables(formula)):
            if not any(variable in noted for noted in (self.known, self.used, self.asked, self.derived, self._twins)):
                self._note_variable(variable)
        return formula

    def _note_variable(self, variable: str) -> None:
        if variable in self.stand_ins:
            stands = self.stand_ins[variable]
            self.note(("var", stands))
            if stands in self.known:
                self.known[variable] = self.known[stands]
            else:
                self._twins[variable] = stands
            return
        if variable in self.extra:
            self._need(variable, self.extra[variable], self.asked)
            return
        values = [self.value(u, variable) for u in self.regions]
        default = self._derivation(variable)
        if variable not in self.varying and all(v == values[0] for v in values):
            self.known[variable] = values[0]
        elif default is None:
            self._need(variable, values, self.used)
        else:
            self.note(default)
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

    def name(self, variable: str) -> str:
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
        defaults = [arguments_of(u).defaults.get(variable) for u in self.regions]
        formulas = {formula_of(d) for d in defaults if isinstance(d, Sym)}
        if len(formulas) == 1 and all(isinstance(d, Sym) for d in defaults):
            return formulas.pop()
        return None

    @property
    def channels_name(self) -> str:
        """Name of the channels that enter. Lines that are printed have it, so it is chosen once."""
        if not self._channels:
            self._channels = self._names.take("channels", "in_channels")
        return self._channels

    def whole_list(self, items: tuple[Any, ...]) -> str:
        """Name of a list parameter, if these are all its elements, one by one."""
        formulas = [v.formula if isinstance(v, Sym) else None for v in items]
        first = formulas[0] if formulas else None
        if first is None or first[0] != "item":
            return ""
        given = [self.value(u, first[1]) for u in self.regions]
        lengths = {len(v) if is_list(v) else 0 for v in given}  # a block may be given a number elsewhere
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
            default = int(values[0]) if isinstance(values[0], ClassCount) else None
            found.append(Parameter(name, name, _type(values[0]), default, False, shared))
        return sorted(found, key=lambda p: p.default is not None)


def arguments_of(region: Region) -> BlockArguments:
    """Return the arguments of the block around a region; none outside of blocks."""
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
    return "float" if isinstance(value, float) else "int" if isinstance(value, Sym) else type(value).__name__
