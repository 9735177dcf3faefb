"""A region as a class: what its `__init__` makes and what its `forward` does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from archdsl.core.names import is_free_in_code
from archdsl.core.sym import Varying
from archdsl.ir.flow import externals, reads_of
from archdsl.ir.regions import Block, BlockRow, Shortcut
from archdsl.targets.python import tree
from archdsl.targets.python.tree import (
    Assign,
    Call,
    Class,
    Docstring,
    Function,
    If,
    Keyword,
    Literal,
    Name,
    Verbatim,
    called,
    dotted,
)  # fmt: skip
from archdsl.targets.torch.body import Body, Step
from archdsl.targets.torch.class_docs import class_doc
from archdsl.targets.torch.conditions import condition_tree
from archdsl.targets.torch.constructor import Constructor
from archdsl.targets.torch.equal_parameters import stand_ins, varying
from archdsl.targets.torch.loops import from_zero, looped
from archdsl.targets.torch.ops.sites import SharedModule
from archdsl.targets.torch.ramps import Ramps, RampStep
from archdsl.targets.torch.variables import Parameter

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from archdsl.ir.regions import Inner, Region
    from archdsl.targets.python.tree import Expr, Stmt
    from archdsl.targets.torch.classes import Group, Grouping
    from archdsl.targets.torch.layers import LayerPrinter, PrintedLayer
    from archdsl.targets.torch.select import OpNetwork, OpNode

ROW = SharedModule("Row", "Row", "row.j2", (), ())  # a sequence of blocks that read other values, too
MOST_BY_POSITION = 3  # parameters of a class; of more, only the first one is given without its name


@dataclass(eq=False)
class ClassPlan:
    """The class of a group of regions, and what its constructor takes."""

    name: str
    constructor: Constructor
    doc: list[str]
    init: list[Stmt] = field(default_factory=list["Stmt"])
    forward: list[Stmt] = field(default_factory=list["Stmt"])
    inputs: list[str] = field(default_factory=list[str])
    parameters: list[Parameter] = field(default_factory=list[Parameter])

    def tree(self) -> Class:
        """Return the code of the class."""
        own = tree.Parameter("self")
        given = [
            tree.Parameter(p.name, Literal(p.type), None if p.default is None else Literal(p.default))
            for p in self.parameters
        ]
        init = Function("__init__", [own, *given], Name("None"), [Verbatim("super().__init__()"), *self.init])
        inputs = [tree.Parameter(name, Name("Tensor")) for name in self.inputs]
        forward = Function("forward", [own, *inputs], Name("Tensor"), self.forward)
        return Class(self.name, dotted("nn.Module"), [Docstring(self.doc), *([init] if self.init else []), forward])


class RegionPrinter:
    """Printer of the classes of a network, inner ones first."""

    def __init__(self, network: OpNetwork, grouping: Grouping, layers: LayerPrinter) -> None:
        self.network = network
        self.grouping = grouping
        self.layers = layers
        self.ramps = layers.ramps = Ramps(network)
        self.plans: dict[int, ClassPlan] = {}
        self.printed: dict[tuple[Region, str], PrintedLayer] = {}  # by region and label

    def plan(self, group: Group) -> ClassPlan:
        """The class of a group. The groups of the regions inside it were planned before."""
        region = group.example
        constructor = Constructor(group, stand_ins(self.network, group), varying(self.grouping, group))
        plan = ClassPlan(group.name, constructor, class_doc(self.network, group), inputs=self._input_names(group))
        self.plans[group.number] = plan
        init: list[Stmt] = []
        steps: list[Step] = []
        for index, item in enumerate(region.items):
            same = [u.items[index] for u in group.regions]
            if isinstance(item, int):
                nodes = [self.network.node(i) for i in same if isinstance(i, int)]
                made, step = self._layer(self.network.node(item), nodes, constructor)
            elif item.items:
                regions = [i for i in same if not isinstance(i, int)]
                made, step = self._inner(item, regions, index in group.optional, constructor)
            else:
                continue
            init.extend(made)
            steps.append(step)
        outer = externals(self.network, region)
        plan.forward = Body(steps, dict(zip(outer, map(Name, plan.inputs), strict=True)), region.exit).write()
        plan.init = [*constructor.locals(), *init]
        plan.parameters = [self._typed(p) for p in constructor.variables.parameters()]
        return plan

    def _typed(self, parameter: Parameter) -> Parameter:
        """A parameter for a shared object has the name that its class got."""
        if parameter.shared is None:
            return parameter
        return replace(parameter, type=self.layers.class_of(parameter.shared, base=True))

    # --- members ---

    def _layer(self, node: OpNode, same: Sequence[OpNode], constructor: Constructor) -> tuple[list[Stmt], Step]:
        """Return the statements of `__init__` and the step of `forward` for a layer, for all regions of the class."""
        if node.shares:
            return [], self.printed[node.region, node.shares].again(node)
        printed = self.printed[node.region, node.label] = self.layers.at(same, constructor)
        made = [] if printed.module is None else [_member(printed.label, printed.module)]
        return made, printed.step(node)

    def _inner(
        self, region: Inner, same: Sequence[Inner], is_optional: bool, constructor: Constructor
    ) -> tuple[list[Stmt], Step]:
        """Do the same for a region inside the class; an optional one is not in all of those that share it."""
        if is_optional and isinstance(region, Shortcut):
            test = condition_tree(region.condition, constructor.write)
            if test is None:
                raise AssertionError
            present = next(u for u in same if u.items)
            call = self.call([u if u.items else present for u in same], constructor)
            absent = called("nn.Identity")
            made: Stmt = If(test, [_member(region.label, call)], [_member(region.label, absent)])
        else:
            shares = region.shares if isinstance(region, Block) else ""
            if shares:
                return [], self.step(region, dotted(f"self.{shares}"))
            made = _member(region.label, self.member(same, constructor))
        return [made], self.step(region, dotted(f"self.{region.label}"))

    def step(self, region: Inner, place: Expr) -> Step:
        """Return the call of a region that is a submodule at `place`."""
        label = region.called if isinstance(region, Block) else ""
        operands = tuple(externals(self.network, region))
        return Step(region.exit, operands, lambda x: (Call(place, x), False), heavy=True, label=label)

    def member(self, regions: Sequence[Region], constructor: Constructor) -> Call:
        """Return the constructor call of a region or of a row of blocks, for all regions that share the outer class."""
        rows = [region.blocks for region in regions if isinstance(region, BlockRow)]
        if not rows:
            return self.call(regions, constructor)
        return self.row(rows, constructor)

    def call(self, regions: Sequence[Region], constructor: Constructor, rates: Collection[str] = ()) -> Call:
        """Return the constructor call of a region inside another, for all regions that share the outer class.

        `rates` are written even if they are zero by default.
        """
        if not regions[0].items:
            return called("nn.Identity")
        plan = self.plans[self.grouping.of[id(regions[0])].number]
        inner = plan.constructor
        given: list[tuple[Parameter, Expr]] = []
        for parameter in plan.parameters:
            value = self._given(regions, parameter, inner, constructor)
            is_default = parameter.default is not None and type(value) in (int, float) and value == parameter.default
            is_rate = type(value) is float and parameter.variable not in inner.exact
            if is_rate and is_default and parameter.name in rates:
                given.append((parameter, self.ramps.step(value)))
            elif not is_default:
                given.append((parameter, self.ramps.tree(value) if is_rate else constructor.tree(value)))
        most = 1 if len(plan.parameters) > MOST_BY_POSITION else len(given)
        arguments = [code for parameter, code in given[:most] if parameter.by_position]
        keywords = [Keyword(parameter.name, code) for parameter, code in given[len(arguments) :]]
        return Call(Name(plan.name), arguments, keywords)

    @staticmethod
    def _given(regions: Sequence[Region], parameter: Parameter, inner: Constructor, constructor: Constructor) -> Any:
        """Return the argument of regions for a parameter, in the terms of the class around them."""
        values = [inner.argument(u, parameter) for u in regions]
        if isinstance(values[0], SharedModule) or (
            isinstance(values[0], tuple) and parameter.variable in inner.variables.extra
        ):
            return constructor.place(values, parameter.name)
        if parameter.type == "float":
            values = [v if isinstance(v, Varying) else float(v) for v in values]
        return constructor.resolve(values, parameter.name, is_rate=parameter.variable not in inner.exact)

    def row(self, rows: Sequence[Sequence[Block]], constructor: Constructor) -> Call:
        """Return a sequence of blocks, for all rows of one class; neighbours that are alike become a loop."""
        columns = list(zip(*rows, strict=True))
        calls = [self.call(blocks, constructor) for blocks in columns]
        rates = {k.name for call in calls for k in call.keywords if isinstance(k.value, RampStep)}
        spelled = [self.call(blocks, constructor, rates) for blocks in columns] if rates else calls
        made = looped(from_zero(calls, spelled))
        reads = reads_of(self.network, rows[0])
        if not any(reads):
            return called("nn.Sequential", made)
        number = max(max(read, default=-1) for read in reads) + 1
        is_uniform = all(read == tuple(range(number)) for read in reads)
        different = [] if is_uniform else [Keyword("reads", Literal(reads))]
        return Call(Name(self.layers.class_of(ROW)), made, different)

    # --- words ---

    def _input_names(self, group: Group) -> list[str]:
        region = group.example
        outer = externals(self.network, region)
        if len(outer) == 1:
            return ["x"]
        given = {number: name for name, number in self.network.inputs.items() if number != outer[0]}
        if isinstance(region, Block):
            given |= {number: name for name, number in region.values.items()} | {region.entry: "x"}
        names = [given.get(v) or self.network.node(v).region.top.path or "x" for v in outer]
        if len(group.regions) == 1 and region is region.top:  # otherwise its uses read other stages
            names = self._stages_for_repeated(names, outer)
        uses = Counter(names)
        taken = {name for name, number in uses.items() if number == 1}
        numbers = {name: count(1) for name in uses}
        chosen: list[str] = []
        for name in names:
            candidates = (f"{name}{i}" for i in numbers[name])
            chosen.append(name if uses[name] == 1 else next(c for c in candidates if c not in taken))
            taken.add(chosen[-1])
        return chosen

    def _stages_for_repeated(self, names: list[str], values: list[int]) -> list[str]:
        """Return names of values, of which those that several have are replaced by their stages, if these differ."""
        uses = Counter(names)
        stages = [stage_variable(self.network.node(value)) for value in values]
        pairs = zip(names, stages, strict=True)
        found = [stage if uses[name] > 1 and is_free_in_code(stage) else name for name, stage in pairs]
        return found if len(set(found)) == len(found) else names


def stage_variable(node: OpNode) -> str:
    """Return a variable for a value by its stage: `res2`, `slow_res2`."""
    top = node.region.top
    return "_".join(filter(None, (top.path, top.stage)))


def _member(label: str, module: Expr) -> Stmt:
    return Assign([dotted(f"self.{label}")], module)
