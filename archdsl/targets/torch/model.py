"""The model class: the stages of each path side by side, and what flows between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.core.names import is_free_in_code
from archdsl.ir.flow import Piece, pieces, reads_of
from archdsl.ir.regions import Block, Conversion, Featured, Head, Stage
from archdsl.ir.rows import sole_block, stage_row
from archdsl.targets.python.tree import (
    Assign,
    Attribute,
    Call,
    Dict,
    Evaluate,
    Items,
    Keyword,
    Literal,
    Name,
    Subscript,
    called,
    dotted,
)
from archdsl.targets.torch.arguments import is_brought
from archdsl.targets.torch.body import POOL, Body, Step
from archdsl.targets.torch.class_count import NUM_CLASSES
from archdsl.targets.torch.class_names import camel, snake
from archdsl.targets.torch.classes import Group
from archdsl.targets.torch.constructor import Constructor
from archdsl.targets.torch.features import Features
from archdsl.targets.torch.free_names import FreeNames
from archdsl.targets.torch.frozen import frozen_body
from archdsl.targets.torch.ops.sites import SharedModule
from archdsl.targets.torch.region import ROW, RegionPrinter, stage_variable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archdsl.ir.regions import Inner, Part
    from archdsl.targets.python.tree import Expr, Stmt
    from archdsl.targets.torch.layers import LayerPrinter
    from archdsl.targets.torch.select import OpNetwork


@dataclass
class ModelPlan:
    """The parts of the model's class that follow from the network."""

    init: list[Stmt]
    stages: list[Stmt]  # of `_stages`
    outputs: int  # the number of values that these return
    forward: list[Stmt]
    features: Features
    frozen: list[Stmt]  # of `frozen`, which returns what training leaves as it is
    recomputed: list[Expr]  # the stages that are chosen to be computed again
    reading_row: str = ""  # the class of rows of blocks that read other values, if a stage is one
    kinds: set[str] = field(default_factory=set[str])  # of its stages: `row` of numbered blocks, or `whole`


class _Outermost(Constructor):
    """The constructor of the model, which makes what its blocks share."""

    def __init__(self, layers: LayerPrinter) -> None:
        super().__init__(Group(-1, [Head()]))
        self.layers = layers
        self.shared: dict[SharedModule, str] = {}
        self.names = FreeNames([NUM_CLASSES])
        self.stage = ""  # that is printed

    def place(self, values: list[Any], hint: str) -> Any:
        del hint  # what blocks share is called as the first stage that has it
        value = values[0]
        if not isinstance(value, SharedModule):
            return value
        if value not in self.shared:
            kind = self.layers.class_of(value).removeprefix(camel(self.stage))
            self.shared[value] = self.names.take(f"{self.stage}_{snake(kind)}")
        return self.shared[value]

    def statements(self) -> list[Stmt]:
        """Return the statements that make the shared objects."""
        return [Assign([Name(name)], self._made(value)) for value, name in self.shared.items()]

    def _made(self, value: SharedModule) -> Expr:
        first, *others = map(self.tree, value.arguments)
        named = map(Keyword, value.parameters[1:], others)
        return Call(Name(self.layers.class_of(value)), [first], list(named))


class ModelPrinter:
    """Printer of the model's class."""

    def __init__(
        self, network: OpNetwork, regions: RegionPrinter, layers: LayerPrinter, *, trains: bool = True
    ) -> None:
        self.network = network
        self.trains = trains
        self.regions = regions
        self.layers = layers
        self.constructor = _Outermost(layers)
        self.members: dict[str, dict[str, dict[str, Expr]]] = {}  # by path, stage, and label; without: all of it
        self.kinds: set[str] = set()
        self.reading_row = ""
        self.own: dict[int, str] = {}  # names of values besides those of their paths
        self.paths: dict[int, str] = {number: name for name, number in network.inputs.items()}

    def plan(self) -> ModelPlan:
        """Return the model's constructor, `_stages` and `forward`."""
        body: list[Step] = []
        head: list[Step] = []
        for piece in pieces(self.network):
            steps = head if piece.region.stage == "head" else body
            steps.append(self._step(piece))
        inputs: dict[int, Expr] = {number: Name(name) for name, number in self.network.inputs.items()}
        body = self._without_idle_conversions(body, head)
        features = self._features(head)
        self.own = self._own_names(body, self._given(features))
        stages = [part for part in self.network.regions if isinstance(part, Featured)]
        chosen = self.network.fitted.stages if self.network.fitted is not None else ()
        return ModelPlan(
            init=self._init(),
            stages=self._stages(body, features, inputs),
            outputs=len(self._given(features)),
            forward=self._forward(head, features, inputs),
            features=features,
            frozen=frozen_body(self.network, self.regions.grouping, self._place),
            recomputed=[self._place(part) for part in stages if isinstance(part, Stage) and part.name in chosen],
            reading_row=self.reading_row,
            kinds=self.kinds,
        )

    def _features(self, head: list[Step]) -> Features:
        in_head = {s.value for s in head}
        read = [o for s in head for o in s.operands if o not in in_head]
        read += [output for output in self.network.outputs.values() if output not in in_head]
        return Features(self.network, read)

    def _given(self, features: Features) -> list[int]:
        """Return the values that the stages give to the head, or as the output of the network, in order of data flow.

        Inputs are among them if the stages change what they get: spectrograms, which become grids, and frame indices.
        """
        plain = {n for n in self.network.inputs.values() if not is_brought(self.network, n)}
        place = {number: at for at, number in enumerate(self.network.order)}
        return sorted((value for value in features.read if value not in plain), key=place.__getitem__)

    def _without_idle_conversions(self, body: list[Step], head: list[Step]) -> list[Step]:
        """Return steps without changes of layout that nothing reads: features have their own."""
        conversions = {part.exit for part in self.network.regions if isinstance(part, Conversion)}
        read = {o for s in [*body, *head] for o in s.operands} | {*self.network.outputs.values()}
        return [s for s in body if s.value in read or s.value not in conversions]

    def _stages(self, body: list[Step], features: Features, inputs: dict[int, Expr]) -> list[Stmt]:
        """Return the statements that compute the stages, and keep their outputs where features are wanted."""
        kept = {v: partial(features.keep, v) for v in features.of}
        steps = [replace(s, keep=kept.get(s.value), name=self.own.get(s.value, s.name)) for s in body]
        start = features.start({*self.network.inputs, *self.paths.values(), *POOL})
        start += [s for value, expr in inputs.items() for s in features.keep(value, expr)]
        return start + Body(steps, inputs, *self._given(features)).write()

    def _forward(self, head: list[Step], features: Features, inputs: dict[int, Expr]) -> list[Stmt]:
        """Return the statements of `forward`, which gives what the stages give to the head."""
        given = self._given(features)
        stages = called("self._stages", map(Name, self.network.inputs))
        uses = Counter(o for s in head for o in s.operands)
        outputs = self.network.outputs
        keys = [name for name in outputs if name]
        if len(given) == 1 and uses[given[0]] <= 1 and not keys:
            return Body(head, {**inputs, given[0]: stages}, *outputs.values()).write()
        names = self._variables(given)
        targets = [*names.values()] if len(given) == 1 else [Items(names.values(), "")]
        call = Assign(targets, stages) if given else Evaluate(stages)
        return [call, *Body(head, {**inputs, **names}, *outputs.values(), keys=keys).write()]

    def _variables(self, values: Iterable[int]) -> dict[int, Name]:
        """Return a variable for each value: its own name or its path's, numbered where several have that."""
        inputs = {number: name for name, number in self.network.inputs.items()}
        free = FreeNames(inputs.values())
        return {v: Name(inputs.get(v) or free.take(self.own.get(v) or self.paths.get(v) or "x")) for v in values}

    def _own_names(self, body: list[Step], given: list[int]) -> dict[int, str]:
        """Return names for values that are read when the next one of their path is there, and for those read with them.

        These are called as their stages, such as the outputs of an encoder that a decoder reads.
        """
        reads = [*(s.operands for s in body), tuple(given)]
        last = {value: at for at, read in enumerate(reads) for value in read}
        names = {s.value: s.name for s in body if s.name}
        later = [any(o.name == s.name for o in body[at + 1 : last.get(s.value, at)]) for at, s in enumerate(body)]
        kept = {s.value for s, overlaps in zip(body, later, strict=True) if s.value in names and overlaps}
        together = {o for read in reads if kept & {*read} for o in read if o in names}
        free = FreeNames({*self.network.inputs, *self.paths.values(), *POOL})
        stages = {v: stage_variable(self.network.node(v)) for v in sorted(together)}
        same = {names[value] for value in kept}
        wanted = {v: stage for v, stage in stages.items() if names[v] in same and is_free_in_code(stage)}
        return {v: free.take(stage, f"{stage}_grid") for v, stage in wanted.items()}

    # --- steps ---

    def _step(self, piece: Piece) -> Step:
        region = piece.region
        self.constructor.stage = region.name.replace(".", "_")
        name = region.path or "x"
        if isinstance(region, Conversion) and region.entry in self.network.inputs.values():
            name = self.paths[region.entry]
        if piece.member is None:
            step = self._called(region, piece)
        elif isinstance(piece.member, int):
            step = self._layer(region, piece.member)
        else:
            step = self._member(region, piece.member)
        inside = region if piece.member is None else piece.member
        made = [inside] if isinstance(inside, int) else [*inside.nodes(), inside.exit]
        self.paths.update((n, name) for n in made)
        if region.stage == "head":
            return replace(step, name="")
        return replace(step, name=name if step.value == region.exit else "")

    def _called(self, region: Part, piece: Piece) -> Step:
        """Return the call of a region as one module; stages go through `run`, which knows what is computed again."""
        place = self._place(region)
        self._add_member(region)
        if not isinstance(region, Stage) or not self.trains:
            return Step(piece.value, piece.operands, lambda x: (Call(place, x), False), heavy=True)
        row = stage_row(region)
        self.kinds.add("whole" if row is None else "row")
        if row is not None and any(reads_of(self.network, row)):
            self.reading_row = self.layers.class_of(ROW)
        return Step(piece.value, piece.operands, lambda x: (called("self.run", [place, *x]), False), heavy=True)

    def _member(self, region: Part, member: Inner) -> Step:
        """Return the call of a block inside a region that is not one call."""
        shares = member.shares if isinstance(member, Block) else ""
        if not shares:
            self._members(region)[member.label] = self.regions.member([member], self.constructor)
        return self.regions.step(member, self._inside(region, shares or member.label))

    def _layer(self, region: Part, number: int) -> Step:
        """Return a layer inside a region that is not one call; without weights, it is an operation in `forward`."""
        node = self.network.node(number)
        printed = self.layers.at([node], self.constructor, self._inside(region, node.shares or node.label))
        if printed.module is not None and not node.shares:
            self._members(region)[node.label] = printed.module
        return printed.step(node)

    def _members(self, region: Part) -> dict[str, Expr]:
        """Return the members of a region by label; the region itself has none."""
        return self.members.setdefault(_holder(region), {}).setdefault(_key(region), {})

    @staticmethod
    def _inside(region: Part, label: str) -> Expr:
        return called("self.get_submodule", [Literal(f'"{region.name}.{label}"')])

    @staticmethod
    def _place(region: Part) -> Expr:
        if holder := _holder(region):
            return Subscript(dotted(f"self.{holder}"), Literal(f'"{_key(region)}"'))
        return dotted(f"self.{_key(region)}")

    def _add_member(self, region: Part) -> None:
        row = stage_row(region)
        if row is not None:
            made = self.regions.row([row], self.constructor)
        else:
            made = self.regions.call([sole_block(region) or region], self.constructor)
        self._members(region)[""] = made

    def _init(self) -> list[Stmt]:
        made: list[Stmt] = []
        for path, stages in self.members.items():
            if path:
                items = [(Literal(f'"{stage}"'), _module(members)) for stage, members in stages.items()]
                modules = called("nn.ModuleDict", [Dict(items, broken=True)])
                made.append(Assign([Attribute(Name("self"), path)], modules))
            else:
                made += [Assign([dotted(f"self.{stage}")], _module(members)) for stage, members in stages.items()]
        return [*self.constructor.statements(), *made]


def _holder(region: Part) -> str:
    """Return the attribute of the model whose dictionary holds the module of a part; empty if it is one itself."""
    return region.name.rpartition(".")[0]


def _key(region: Part) -> str:
    return region.name.rpartition(".")[2]


def _module(members: dict[str, Expr]) -> Expr:
    """Return the module of a part of a stage; one that is not one call holds its members alone."""
    if "" in members:
        return members[""]
    return called("nn.ModuleDict", [Dict((Literal(f'"{label}"'), made) for label, made in members.items())])
