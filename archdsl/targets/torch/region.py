"""A region as a class: what its `__init__` makes and what its `forward` does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from archdsl.core.sym import Varying
from archdsl.ir.flow import externals
from archdsl.ir.network import Region
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
    from archdsl.targets.torch.select import OpNetwork, OpNode


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


class RegionPrinter:
    """Prints the classes of a network, inner ones first."""

    def __init__(self, network: OpNetwork, grouping: Grouping, layers: LayerPrinter) -> None:
        self.network = network
        self.grouping = grouping
        self.layers = layers
        self.plans: dict[int, ClassPlan] = {}

    def plan(self, group: Group) -> ClassPlan:
        """The class of a group. The groups of the regions inside it were planned before."""
        region = group.example
        constructor = Constructor(group)
        plan = ClassPlan(group.name, self._doc(group), self._input_names(region), constructor=constructor)
        self.plans[group.number] = plan
        lines: list[str] = []
        steps: list[Step] = []
        for index, item in enumerate(region.items):
            same = [u.items[index] for u in group.regions]
            if not isinstance(item, Region):
                nodes = [self.network.node(i) for i in same if isinstance(i, int)]
                made, step = self._layer(self.network.node(item), nodes, constructor)
            elif item.items:
                regions = [i for i in same if isinstance(i, Region)]
                made, step = self._inner(item, regions, index in group.optional, constructor)
            else:
                continue
            lines.extend(made)
            steps.append(step)
        outer = externals(self.network, region)
        body = Body(steps, dict(zip(outer, plan.inputs, strict=True)), [region.exit])
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

    def _layer(self, node: OpNode, same: Sequence[OpNode], constructor: Constructor) -> tuple[list[str], Step]:
        """The lines of `__init__` and the step of `forward` for a layer, for all regions that share the class."""
        printed = self.layers.at(same, constructor)
        lines = fit(f"self.{printed.label} = {printed.module}", 8) if printed.module else []
        return lines, printed.step(node)

    def _inner(
        self, region: Region, same: Sequence[Region], is_optional: bool, constructor: Constructor
    ) -> tuple[list[str], Step]:
        """The same for a region inside the class; an optional one is not in all of those that share it."""
        if is_optional:
            test = condition_code(region.condition, constructor.write)
            present = next(u for u in same if u.items)
            call = self.call([u if u.items else present for u in same], constructor)
            lines = [f"        if {test}:", *fit(f"self.{region.label} = {call}", 12)]
            lines += ["        else:", f"            self.{region.label} = nn.Identity()"]
        else:
            lines = fit(f"self.{region.label} = {self.member(same, constructor)}", 8)
        return lines, self.step(region, f"self.{region.label}")

    def step(self, region: Region, place: str) -> Step:
        """Return the call of a region that is a submodule at `place`."""
        return Step(
            region.exit, tuple(externals(self.network, region)), lambda x: f"{place}({', '.join(x)})", heavy=True
        )

    def member(self, regions: Sequence[Any], constructor: Constructor) -> str:
        """Return the constructor call of a region or of a row of blocks, for all regions that share the outer class."""
        if regions[0].kind != "sequence":
            return self.call(regions, constructor)
        return self.row([self.call([u.items[k] for u in regions], constructor) for k in range(len(regions[0].items))])

    def call(self, regions: Sequence[Any], constructor: Constructor) -> str:
        """The constructor call of a region inside another, for all regions that share the outer class."""
        if not regions[0].items:
            return "nn.Identity()"
        group = self.grouping.of[id(regions[0])]
        plan = self.plans[group.number]
        inner = plan.constructor
        if inner is None:
            raise AssertionError
        texts: list[str] = []
        for parameter in plan.parameters:
            value = self._given(regions, parameter, inner, constructor)
            if parameter.default is not None and type(value) in (int, float) and value == parameter.default:
                continue
            rounded = type(value) is float and parameter.variable not in inner.exact
            code = float(f"{value:.4g}") if rounded else constructor.code(value)
            texts.append(str(code) if parameter.by_position else f"{parameter.name}={code}")
        return f"{plan.name}({', '.join(texts)})"

    @staticmethod
    def _given(regions: Sequence[Any], parameter: Parameter, inner: Constructor, constructor: Constructor) -> Any:
        """What regions give for a parameter, in the terms of the class around them."""
        values = [inner.argument(u, parameter) for u in regions]
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

    def _input_names(self, region: Region) -> list[str]:
        outer = externals(self.network, region)
        if len(outer) == 1:
            return ["x"]
        given = {number: name for name, number in self.network.indices.items()}
        names = [given.get(v) or self.network.node(v).region.top.path or "x" for v in outer]
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
        region = group.example
        if region.block is not None and region.block.doc is not None:
            return docstring(sentence(region.block.doc) + (f" With {group.beside}." if group.beside else ""))
        layers = " → ".join(self._members(region))
        if region.kind == "shortcut":
            return docstring(f"The projection on a shortcut: {layers}.")
        if region.block is not None:
            return docstring(f"The block `{region.block.name}`.")
        return docstring(f"{region.stage}: {layers}." if layers else region.stage)

    def _members(self, region: Region) -> Iterator[str]:
        """The layers and blocks of a region, by their names in the language."""
        for item in region.items:
            if isinstance(item, Region):
                if item.block is not None:
                    yield item.block.name
                elif item.kind == "sequence":
                    yield from self._members(item)
            elif not self.network.node(item).layer.internal:
                yield self.network.node(item).layer.kind
