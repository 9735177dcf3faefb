"""A unit as a class: what its `__init__` makes and what its `forward` does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Varying
from archdsl.graph.flow import externals
from archdsl.graph.model import Network, Node, Unit
from archdsl.layers.base import Shared
from archdsl.targets.torch.body import Body, Step
from archdsl.targets.torch.conditions import condition_code
from archdsl.targets.torch.constructor import Constructor, Parameter
from archdsl.targets.torch.fit import fit
from archdsl.targets.torch.loops import looped
from archdsl.targets.torch.text import docstring, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.targets.torch.classes import Group, Grouping
    from archdsl.targets.torch.layers import LayerPrinter


@dataclass(eq=False)
class ClassPlan:
    """What the template prints of one class."""

    name: str
    doc: list[str]
    inputs: list[str]
    init: list[str] = field(default_factory=list[str])
    forward: list[str] = field(default_factory=list[str])
    parameters: list[Parameter] = field(default_factory=list[Parameter])
    constructor: Constructor | None = None

    @property
    def init_signature(self) -> list[str]:
        """The lines that begin `__init__`."""
        texts = [f"{p.name}: {p.type}" + ("" if p.default is None else f" = {p.default}") for p in self.parameters]
        return fit(f"def __init__({', '.join(['self', *texts])}) -> None:", 4)

    @property
    def forward_signature(self) -> list[str]:
        """The lines that begin `forward`."""
        return fit(f"def forward(self, {', '.join(f'{i}: Tensor' for i in self.inputs)}) -> Tensor:", 4)


class UnitPrinter:
    """Prints the classes of a network, inner ones first."""

    def __init__(self, network: Network, grouping: Grouping, layers: LayerPrinter) -> None:
        self.network = network
        self.grouping = grouping
        self.layers = layers
        self.plans: dict[int, ClassPlan] = {}

    def plan(self, group: Group) -> ClassPlan:
        """The class of a group. The groups of the units inside it were planned before."""
        unit = group.example
        constructor = Constructor(group)
        plan = ClassPlan(group.name, self._doc(group), self._input_names(unit), constructor=constructor)
        self.plans[group.number] = plan
        lines: list[str] = []
        steps: list[Step] = []
        for index, item in enumerate(unit.items):
            same = [u.items[index] for u in group.units]
            if not isinstance(item, Unit):
                nodes = [self.network.node(i) for i in same if isinstance(i, int)]
                made, step = self._layer(self.network.node(item), nodes, constructor)
            elif item.items:
                units = [i for i in same if isinstance(i, Unit)]
                made, step = self._inner(item, units, index in group.optional, constructor)
            else:
                continue
            lines.extend(made)
            steps.append(step)
        outer = externals(self.network, unit)
        body = Body(steps, dict(zip(outer, plan.inputs, strict=True)), [unit.exit])
        plan.forward = [text for line in body.write() for text in fit(line, 8)]
        plan.init = [text for line in constructor.locals() for text in fit(line, 8)] + lines
        plan.parameters = [self._typed(p) for p in constructor.parameters()]
        return plan

    def _typed(self, parameter: Parameter) -> Parameter:
        """A parameter for a shared object has the name that its class got."""
        if parameter.shared is None:
            return parameter
        return replace(parameter, type=self.layers.class_of(parameter.shared, base=True))

    # --- members ---

    def _layer(self, node: Node, same: Sequence[Node], constructor: Constructor) -> tuple[list[str], Step]:
        """The lines of `__init__` and the step of `forward` for a layer, for all units that share the class."""
        printed = self.layers.at(same, constructor)
        lines = fit(f"self.{printed.label} = {printed.module}", 8) if printed.module else []
        return lines, printed.step(node)

    def _inner(
        self, unit: Unit, same: Sequence[Unit], is_optional: bool, constructor: Constructor
    ) -> tuple[list[str], Step]:
        """The same for a unit inside the class; an optional one is not in all of those that share it."""
        if is_optional:
            test = condition_code(unit, constructor.write)
            present = next(u for u in same if u.items)
            call = self.call([u if u.items else present for u in same], constructor)
            lines = [f"        if {test}:", *fit(f"self.{unit.label} = {call}", 12)]
            lines += ["        else:", f"            self.{unit.label} = nn.Identity()"]
        else:
            lines = fit(f"self.{unit.label} = {self.member(same, constructor)}", 8)
        return lines, self.step(unit, f"self.{unit.label}")

    def step(self, unit: Unit, place: str) -> Step:
        """Return the call of a unit that is a submodule at `place`."""
        return Step(unit.exit, tuple(externals(self.network, unit)), lambda x: f"{place}({', '.join(x)})", heavy=True)

    def member(self, units: Sequence[Any], constructor: Constructor) -> str:
        """Return the constructor call of a unit or of a row of blocks, for all units that share the outer class."""
        if units[0].kind != "sequence":
            return self.call(units, constructor)
        return self.row([self.call([u.items[k] for u in units], constructor) for k in range(len(units[0].items))])

    def call(self, units: Sequence[Any], constructor: Constructor) -> str:
        """The constructor call of a unit inside another, for all units that share the outer class."""
        if not units[0].items:
            return "nn.Identity()"
        group = self.grouping.of[id(units[0])]
        plan = self.plans[group.number]
        inner = plan.constructor
        if inner is None:
            raise AssertionError
        texts: list[str] = []
        for parameter in plan.parameters:
            value = self._given(units, parameter, inner, constructor)
            if parameter.default is not None and type(value) in (int, float) and value == parameter.default:
                continue
            rounded = type(value) is float and parameter.variable not in inner.exact
            code = float(f"{value:.4g}") if rounded else constructor.code(value)
            texts.append(str(code) if parameter.by_position else f"{parameter.name}={code}")
        return f"{plan.name}({', '.join(texts)})"

    @staticmethod
    def _given(units: Sequence[Any], parameter: Parameter, inner: Constructor, constructor: Constructor) -> Any:
        """What units give for a parameter, in the terms of the class around them."""
        values = [inner.argument(u, parameter) for u in units]
        if isinstance(values[0], Shared) or (isinstance(values[0], tuple) and parameter.variable in inner.extra):
            return constructor.place(values, parameter.name)
        if parameter.type == "float":
            values = [v if isinstance(v, Varying) else float(v) for v in values]
        return constructor.resolve(values, parameter.name, is_rate=parameter.variable not in inner.exact)

    @staticmethod
    def row(calls: Sequence[str]) -> str:
        """A sequence of blocks; neighbours that are alike become a loop."""
        return f"nn.Sequential({', '.join(looped(calls))})"

    # --- words ---

    def _input_names(self, unit: Unit) -> list[str]:
        outer = externals(self.network, unit)
        if len(outer) == 1:
            return ["x"]
        given = {number: name for name, number in self.network.indices.items()}
        names = [given.get(v) or self.network.node(v).unit.top.path or "x" for v in outer]
        uses = Counter(names)
        taken = {name for name, number in uses.items() if number == 1}
        numbers = {name: count(1) for name in uses}
        chosen: list[str] = []
        for name in names:
            candidates = (f"{name}{i}" for i in numbers[name])
            chosen.append(name if uses[name] == 1 else next(c for c in candidates if c not in taken))
            taken.add(chosen[-1])
        return chosen

    def _doc(self, group: Group) -> list[str]:
        unit = group.example
        if unit.block is not None and unit.block.doc is not None:
            return docstring(sentence(unit.block.doc.value) + (f" With {group.beside}." if group.beside else ""))
        layers = " → ".join(self._members(unit))
        if unit.kind == "shortcut":
            return docstring(f"The projection on a shortcut: {layers}.")
        if unit.block is not None:
            return docstring(f"The block `{unit.block.name.id}`.")
        return docstring(f"{unit.stage}: {layers}." if layers else unit.stage)

    def _members(self, unit: Unit) -> Iterator[str]:
        """The layers and blocks of a unit, by their names in the language."""
        for item in unit.items:
            if isinstance(item, Unit):
                if item.block is not None:
                    yield item.block.name.id
                elif item.kind == "sequence":
                    yield from self._members(item)
            elif not self.network.node(item).layer.internal:
                yield self.network.node(item).layer.kind
