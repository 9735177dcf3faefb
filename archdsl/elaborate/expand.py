"""A program to a network: its statements expanded in order, and what they have made checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import SpecError
from archdsl.core.names import why_refused
from archdsl.core.values import Unknown
from archdsl.elaborate.expansion import Expansion
from archdsl.elaborate.faults import declared_inside
from archdsl.elaborate.finish import (
    check_masks,
    check_names,
    check_places,
    check_read,
    check_scores,
    find_outputs,
    network_of,
)
from archdsl.elaborate.inputs import InputDeclarer
from archdsl.elaborate.membership import Memberships
from archdsl.elaborate.module_names import assign_labels
from archdsl.elaborate.replaced import Replacements
from archdsl.elaborate.scope import Round
from archdsl.elaborate.stages import StageExpander
from archdsl.elaborate.unused_blocks import check_unused_blocks
from archdsl.frontend import ast
from archdsl.ir.regions import Head, PathStart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.report import Reporter
    from archdsl.elaborate.clip import Clip
    from archdsl.elaborate.evaluate import Evaluator
    from archdsl.elaborate.parameters import ParameterScope
    from archdsl.elaborate.program import Program
    from archdsl.elaborate.scope import Scope
    from archdsl.ir.network import Network


def expand(
    program: Program, scope: ParameterScope, evaluator: Evaluator, reporter: Reporter, clip: Clip | None
) -> Network:
    """Return the network that a program describes, with the shape of every value.

    Raises:
        SpecError: with all faults found, the reporter's earlier ones included.
    """
    parameters_hold = scope.holds  # else loops over them may have made too few stages
    scopes = [*(scope.child() for _ in program.files[:-1]), scope]  # of each file
    evaluator.faults.places.declared = dict(declared_inside(placed.statement for placed in program.statements))
    memberships = Memberships(evaluator)
    evaluator.on_membership = memberships.record
    replacements = Replacements(program, scopes, evaluator, reporter)
    expansion = Expansion(program, scope, evaluator)
    StatementExpander(expansion, replacements, clip).run(scopes)
    check_names(expansion)
    if parameters_hold:
        replacements.check(expansion.stages)
    outputs = find_outputs(expansion)
    if outputs and not reporter.failed:
        memberships.report(scope.places())
        check_masks(expansion)
        check_places(expansion)
        check_read(expansion, outputs)
    check_scores(expansion)
    check_unused_blocks(program, expansion.applier, reporter)
    if reporter.failed or not outputs:
        raise SpecError(reporter.diagnostics)
    network = network_of(expansion, outputs)
    assign_labels(network, reporter)
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    return network


class StatementExpander:
    """Expansion of the statements of a program, each in the scope of its own file."""

    def __init__(self, expansion: Expansion, replacements: Replacements, clip: Clip | None) -> None:
        self.expansion = expansion
        self.evaluator = expansion.evaluator
        stages, inputs = StageExpander(expansion, replacements), InputDeclarer(expansion, clip)
        self._handlers: dict[type, Any] = {
            ast.Input: inputs.declare, ast.Path: self._path, ast.Stage: stages.expand,
            ast.Freeze: stages.refuse, ast.For: self._for, ast.If: self._if,
            ast.Let: self.evaluator.bind, ast.Head: self._head,
        }  # fmt: skip

    def run(self, scopes: Sequence[Scope]) -> None:
        """Expand all statements; `scopes` are the names of each file."""
        program = self.expansion.program
        for placed in program.statements:
            self.expansion.module = program.modules[placed.level]
            self._statements((placed.statement,), scopes[placed.level])

    def _statements(self, statements: Sequence[ast.Statement], scope: Scope) -> None:
        for statement in statements:
            self._handlers[type(statement)](statement, scope)

    def _path(self, statement: ast.Path, scope: Scope) -> None:
        expansion, name = self.expansion, statement.name
        expansion.check_new(name, expansion.paths, why_refused(name.id))
        start = PathStart(path=name.id)
        expansion.paths[name.id] = expansion.line(statement.chain, expansion.only_input(), start, scope)

    def _for(self, statement: ast.For, scope: Scope) -> None:
        for inner in self.evaluator.loop(statement.names, statement.iterable, scope):
            for name in statement.names:
                rounds = Round(name.id, statement.iterable.span, 0, is_index=False)
                inner.names[name.id].rounds = rounds
            self._statements(statement.body, inner)

    def _if(self, statement: ast.If, scope: Scope) -> None:
        truth = self.evaluator.truth(statement.test, scope)
        if not isinstance(truth, Unknown):
            self._statements(statement.body if truth else statement.otherwise, scope.child())

    def _head(self, statement: ast.Head, scope: Scope) -> None:
        expansion = self.expansion
        flow = expansion.only_path() if expansion.paths else expansion.only_input()
        name = statement.name.id if statement.name is not None else ""
        expansion.heads[name] = statement
        expansion.outputs[name] = expansion.line(statement.chain, flow, Head(own=name), scope)
