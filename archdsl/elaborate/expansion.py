"""The state of an expansion: inputs, paths, named values and regions so far, and how a line adds to them."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, SpecError
from archdsl.elaborate.context import Context, Flow
from archdsl.elaborate.graph import GraphBuilder
from archdsl.elaborate.lines import SpecApplier
from archdsl.layers import vocabulary
from archdsl.layers.input import INDEX

if TYPE_CHECKING:
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.program import Program
    from archdsl.elaborate.scope import Scope
    from archdsl.frontend import ast
    from archdsl.ir.regions import Part

INPUT_HINT = "`input clip: video[3, 16, 224, 224]` declares one, channels first"


class Expansion:
    """The network of a program in the making, which each statement adds to."""

    def __init__(self, program: Program, scope: Scope, evaluator: Evaluator) -> None:
        self.program = program
        self.evaluator = evaluator
        self.reporter = evaluator.reporter
        self.module = program.modules[0]  # the file whose statement is expanded
        self.nodes = GraphBuilder(evaluator, self.reporter)
        self.applier = SpecApplier(self.nodes, evaluator, vocabulary(), scope)
        self.applier.names.dropped = program.dropped
        self.regions: dict[Part, None] = {}  # in the order of data flow
        self.inputs: dict[str, Flow] = {}  # those with which a chain can begin
        self.videos: dict[str, Flow] = {}
        self.by_name = self.applier.binder.by_name  # inputs that layers refer to
        self.paths: dict[str, Flow] = {}  # the ends of the paths so far
        self.named: dict[str, Flow] = {}  # values that lines have given a name at their ends
        self.stage_values: dict[str, Flow] = {}  # behind each, by their labels
        self.stages = self.applier.names.stages = dict[str, "ast.Label"]()
        self.heads: dict[str, ast.Head] = {}  # by name; "" is that of one without a name
        self.outputs: dict[str, Flow] = {}  # of the heads

    def line(self, chain: ast.Chain, flow: Flow | None, part: Part, scope: Scope) -> Flow:
        """Return the value at the end of one line of the spec, which sees every path, input, named value and stage."""
        if not self.inputs:
            raise self.no_input(chain)
        shape = flow.shape if flow is not None else None
        own: dict[str, Flow] = {}
        paths = {} if "" in self.paths else self.paths
        values = ChainMap(own, self.named, paths, self.inputs)
        context = Context(scope.child(shape), part, self.module, values=values, stages=self.stage_values, entering=flow)
        result = self.applier.apply(chain, flow, context)
        for name, value in own.items():
            if value.node == result.node:
                self.named[name] = value
            else:
                self.applier.names.hidden.add(name)
        part.exit = result.node
        self.regions.setdefault(part)
        return result

    def only_input(self) -> Flow | None:
        """Return the video, if there is one alone."""
        return next(iter(self.videos.values())) if len(self.videos) == 1 else None

    def only_path(self) -> Flow | None:
        """Return the end of the path, if there is one alone."""
        return next(iter(self.paths.values())) if len(self.paths) == 1 else None

    def all_inputs(self) -> dict[str, int]:
        """Return the nodes of all inputs, by name: as declared, but those that a call can leave out are the last."""
        flows = self.inputs | {name: referred.flows[0] for name, referred in self.by_name.items()}
        nodes = {name: flow.node for name, flow in flows.items()}
        optional = {n for n, referred in self.by_name.items() if referred.kind == INDEX}
        return dict(sorted(nodes.items(), key=lambda item: (item[0] in optional, item[1])))

    def no_input(self, part: ast.Syntax) -> SpecError:
        """Return the fault of a part of a spec that stands before any input."""
        label, hint = "nothing has been declared that could flow here", INPUT_HINT
        if others := [*self.inputs, *self.by_name]:
            names = " and ".join(f"`{name}`" for name in others)
            label = f"a network begins with a video, and {names} {'are none' if len(others) > 1 else 'is none'}"
            hint = f"{INPUT_HINT}; other inputs come with it"
        return self.reporter.fatal("E0601", part.span, label, hint=hint)

    def check_new(self, name: ast.Name, existing: dict[str, Flow], refused: str) -> None:
        """Report a name of an input or a path that is refused, or that an input or one of the existing has."""
        if not refused and name.id in vocabulary():
            refused = f"`{name.id}` is a layer"
        if not refused and name.id in self.module.blocks:
            refused = f"`{name.id}` is a block"
        if refused:
            self.reporter.report("E0204", name.span, refused)
        if name.id in existing or name.id in self.inputs:
            place = self.nodes.place({**self.inputs, **existing}[name.id])
            notes = [Note("first here", place)] if place is not None else []
            self.reporter.report("E0203", name.span, f"`{name.id}` is defined before", notes)
