"""The model class: the stages of each path side by side, and what flows between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from archdsl.ir.flow import Piece, is_stateless, pieces
from archdsl.ir.network import Region
from archdsl.ir.rows import sole_block, stage_row
from archdsl.layers.base import GRID, Shared
from archdsl.targets.torch.body import Body, Step
from archdsl.targets.torch.classes import Group
from archdsl.targets.torch.constructor import Constructor
from archdsl.targets.torch.fit import fit
from archdsl.targets.torch.free_names import FreeNames
from archdsl.targets.torch.region import RegionPrinter

if TYPE_CHECKING:
    from archdsl.targets.torch.layers import LayerPrinter
    from archdsl.targets.torch.select import OpNetwork


@dataclass
class ModelPlan:
    """What the template prints of the model."""

    init: list[str] = field(default_factory=list[str])
    head_indices: list[str] = field(default_factory=list[str])  # numbers of frames that the head needs
    frozen: list[str] = field(default_factory=list[str])  # what training leaves as it is
    kinds: set[str] = field(default_factory=set[str])  # of its stages: `row` of numbered blocks, or `whole`
    fitted: list[str] = field(default_factory=list[str])  # the stages that are chosen to be computed again
    features: list[str] = field(default_factory=list[str])
    forward: list[str] = field(default_factory=list[str])


class _Outermost(Constructor):
    """The constructor of the model, which makes what its blocks share."""

    def __init__(self, layers: LayerPrinter) -> None:
        super().__init__(Group(-1, [Region("model", "")]))
        self.layers = layers
        self.shared: dict[Shared, str] = {}
        self.names = FreeNames()

    def place(self, values: list[Any], hint: str) -> Any:
        value = values[0]
        if not isinstance(value, Shared):
            return value
        if value not in self.shared:
            self.shared[value] = self.names.take(hint)
        return self.shared[value]

    def lines(self) -> list[str]:
        """The statements that make the shared objects."""
        return [
            f"{name} = {self.layers.class_of(value)}({', '.join(map(str, value.arguments))})"
            for value, name in self.shared.items()
        ]


class ModelPrinter:
    """Prints a network's outermost class."""

    def __init__(
        self, network: OpNetwork, regions: RegionPrinter, layers: LayerPrinter, *, trains: bool = True
    ) -> None:
        self.network = network
        self.trains = trains
        self.regions = regions
        self.layers = layers
        self.constructor = _Outermost(layers)
        self.members: dict[str, dict[str, dict[str, str]]] = {}  # by path, stage, and label; without: all of it
        self.kinds: set[str] = set()
        self.features: dict[int, str] = {}
        self.paths: dict[int, str] = {number: name for name, number in network.inputs.items()}

    def plan(self) -> ModelPlan:
        """The model's constructor, `forward_features` and `forward`."""
        body: list[Step] = []
        head: list[Step] = []
        for piece in pieces(self.network):
            steps = head if piece.region.stage == "head" else body
            steps.append(self._step(piece))
        body += self._name_features({s.value for s in body})
        inputs = {number: name for name, number in self.network.inputs.items()}
        kept, body = self._keep(head, body, inputs)
        features = Body(body, inputs, []).write(keep=True)
        frozen = [self._place(u) for u in self.network.regions if u.frozen and not is_stateless(self.network, u)]
        needed = {o for s in head for o in s.operands}
        indices = [n for n, i in self.network.indices.items() if i in needed]
        plan = ModelPlan(self._init(), indices, frozen, self.kinds)
        chosen = self.network.fitted.stages if self.network.fitted is not None else ()
        plan.fitted = [self._place(u) for u in self.network.regions if u.kind == "stage" and u.name in chosen]
        plan.features = [text for line in features for text in fit(line, 8)]
        names = self._variables(kept, inputs)
        lines = [f'{names[v]} = features["{self.features[v]}"]' for v in kept if v not in inputs]
        once = {v: f'features["{self.features[v]}"]' for v in kept if v not in inputs}
        uses = Counter(o for s in head for o in s.operands)
        if all(uses[v] <= 1 for v in kept):
            names, lines = {**names, **once}, []
        written = Body(head, {**inputs, **names}, [self.network.output]).write()
        plan.forward = [text for line in [*lines, *written] for text in fit(line, 8)]
        return plan

    def _variables(self, values: list[int], inputs: dict[int, str]) -> dict[int, str]:
        """A variable for each value: its path's name, numbered where several lie on one path."""
        names = {v: inputs[v] for v in values if v in inputs}
        free = FreeNames(inputs.values())
        for value in values:
            if value not in inputs:
                names[value] = free.take(self.paths.get(value) or "x")
        return names

    def _keep(self, head: list[Step], body: list[Step], inputs: dict[int, str]) -> tuple[list[int], list[Step]]:
        """The values that the head needs, each kept among the features under some key."""
        made = {s.value for s in head}
        needed = dict.fromkeys(o for s in head for o in s.operands if o not in made)
        if self.network.output not in made:
            needed[self.network.output] = None
        free = FreeNames([*self.features.values(), *(s.feature for s in body)])
        for value in needed:
            if value not in self.features and value not in inputs:
                self.features[value] = free.take(self._key(value))
        return list(needed), [replace(s, feature=self.features.get(s.value, s.feature)) for s in body]

    def _key(self, value: int) -> str:
        """Return a key, not yet a free one, for a value that the head reads and that is no output of a stage."""
        node = self.network.node(value)
        region = node.region.top
        source = self.network.node(region.entry).region.top if region.kind == "layout" else region
        return f"{region.name}.fused" if source.kind == "fusion" else region.name if value == region.exit else node.name

    # --- steps ---

    def _step(self, piece: Piece) -> Step:
        region = piece.region
        name = region.path or "x"
        if region.kind == "layout" and region.entry in self.network.inputs.values():
            name = self.paths[region.entry]
        if piece.member is None:
            step = self._called(region, piece)
        elif isinstance(piece.member, Region):
            step = self._member(region, piece.member)
        else:
            step = self._layer(region, piece.member)
        inside = region if piece.member is None else piece.member
        made = [*inside.nodes(), inside.exit] if isinstance(inside, Region) else [inside]
        self.paths.update((n, name) for n in made)
        if region.stage == "head":
            return Step(step.value, step.operands, step.write, step.heavy, repeats_operand=step.repeats_operand)
        return replace(step, name=name if step.value == region.exit else "")

    def _called(self, region: Region, piece: Piece) -> Step:
        """Return the call of a region as one module."""
        call = self._call(region)
        self._add_member(region)
        return Step(piece.value, piece.operands, lambda x: f"{call}{', '.join(x)})", heavy=True)

    def _member(self, region: Region, member: Region) -> Step:
        """Return the call of a block inside a region that is not one call."""
        self._members(region)[member.label] = self.regions.member([member], self.constructor)
        return self.regions.step(member, self._inside(region, member.label))

    def _layer(self, region: Region, number: int) -> Step:
        """Return a layer inside a region that is not one call; without weights, it is an operation in `forward`."""
        node = self.network.node(number)
        printed = self.layers.at([node], self.constructor, self._inside(region, node.label))
        if printed.module:
            self._members(region)[node.label] = printed.module
        return printed.step(node)

    def _members(self, region: Region) -> dict[str, str]:
        """Return the members of a region by label; the region itself has none."""
        return self.members.setdefault(region.path, {}).setdefault(region.stage, {})

    @staticmethod
    def _inside(region: Region, label: str) -> str:
        return f'self.get_submodule("{region.name}.{label}")'

    def _name_features(self, made: set[int]) -> list[Step]:
        """Choose the values that are features. A part of a stage that does nothing has a step of its own for that."""
        layouts = [u for u in self.network.regions if u.kind == "layout" and self._gives_grid(u)]
        written = {u.entry: u.exit for u in layouts}
        steps: list[Step] = []
        for region in self.network.regions:
            if region.kind not in ("stage", "lateral"):
                continue
            value = written.get(region.exit, region.exit)
            if value in made and value not in self.features and any(True for _ in region.nodes()):
                self.features[value] = region.name
            else:
                steps.append(Step(-2 - len(steps), (value,), lambda x: x[0], feature=region.name))
        return steps

    def _gives_grid(self, layout: Region) -> bool:
        """Tell whether a conversion puts the channels of a stage's output first, as features have them."""
        return getattr(self.network.node(layout.exit).layer, "after", "") == GRID

    def _call(self, region: Region) -> str:
        """How a call begins; stages go through `run`, which knows whether they are computed again."""
        if region.kind != "stage" or not self.trains:
            return f"{self._place(region)}("
        self.kinds.add("whole" if stage_row(region) is None else "row")
        return f"self.run({self._place(region)}, "

    def _place(self, region: Region) -> str:
        if region.path:
            return f'self.{region.path}["{region.stage}"]'
        return f"self.{region.stage}"

    def _add_member(self, region: Region) -> None:
        row = stage_row(region)
        if row is not None:
            code = RegionPrinter.row([self.regions.call([b], self.constructor) for b in row])
        else:
            code = self.regions.call([sole_block(region) or region], self.constructor)
        self._members(region)[""] = code

    def _init(self) -> list[str]:
        lines = [text for line in self.constructor.lines() for text in fit(line, 8)]
        for path, stages in self.members.items():
            if not path:
                for stage, code in stages.items():
                    lines.extend(fit(f"self.{stage} = {_module(code)}", 8))
                continue
            lines += [f"        self.{path} = nn.ModuleDict(", "            {"]
            for stage, code in stages.items():
                lines.extend(fit(f'"{stage}": {_module(code)},', 16))
            lines += ["            }", "        )"]
        return lines


def _module(members: dict[str, str]) -> str:
    """Return the module of a part of a stage; one that is not one call holds its members alone."""
    if "" in members:
        return members[""]
    inner = ", ".join(f'"{label}": {code}' for label, code in members.items())
    return f"nn.ModuleDict({{{inner}}})"
