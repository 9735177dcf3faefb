"""Values on their way through a chain, and the place in a spec that a chain stands in."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from archdsl.core.values import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.elaborate.program import BlockDef, Module
    from archdsl.elaborate.scope import Scope
    from archdsl.frontend import ast
    from archdsl.ir.network import Node
    from archdsl.ir.regions import Block, Region, Shape


class Flow(NamedTuple):
    """A value on its way: the node that gives it, and its shape as seen from here."""

    node: int
    shape: Shape


class Referred(NamedTuple):
    """An input that layers refer to by name."""

    kind: str  # of the layer that it is
    noun: str  # for what is in it
    example: str  # of a layer that refers to it by its name, `{}`
    flows: tuple[Flow, Flow]  # the input itself, and the clip that it belongs to


class Made(NamedTuple):
    """A layer or block that `as` has named: its link, the names that this sees, and its place in the graph."""

    link: ast.Link
    scope: Scope
    item: Node | Block


LOST = Flow(-1, UNKNOWN)  # after a fault


@dataclass(frozen=True, eq=False)
class GivenBlock:
    """A layer or block that a call gives to a parameter of the type `block`, with its arguments."""

    link: ast.Layer | None  # None after a fault
    module: Module
    scope: Scope  # of the arguments, whose numbers have no formulas
    blocks: Mapping[str, GivenBlock]  # that are known there


@dataclass
class Context:
    """The place of a chain: its names, its region, the values that it can begin with, the blocks that it can use."""

    scope: Scope
    region: Region
    module: Module
    opened: tuple[BlockDef, ...] = ()  # the outermost first
    values: ChainMap[str, Flow] = field(default_factory=ChainMap[str, "Flow"])  # those named here before all others
    stages: Mapping[str, Flow] = field(default_factory=dict[str, "Flow"])  # the values behind them
    blocks: Mapping[str, GivenBlock] = field(default_factory=dict[str, "GivenBlock"])  # that the block is given
    entering: Flow | None = None  # the value that `in` stands for
    frozen: bool = False  # layers here are not trained

    def value(self, name: str) -> Flow | None:
        """Return a value by its name, or the value behind a stage by the stage's label."""
        return self.values.get(name) or self.stages.get(name)

    def inner(self, flow: Flow | None) -> Context:
        """Return the same place, inside braces that a value enters, to which `in` refers there."""
        if flow is None:
            return replace(self, scope=self.scope.child())
        return replace(self, scope=self.scope.child(flow.shape), entering=flow)
