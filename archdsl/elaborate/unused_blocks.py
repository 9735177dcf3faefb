"""Blocks that nothing calls: a warning for each, and a check of their bodies, which needs no shapes."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, closest
from archdsl.core.values import UNKNOWN, Unknown, Value
from archdsl.elaborate.apply import ChainApplier
from archdsl.elaborate.blocks import own_blocks, own_functions
from archdsl.elaborate.context import LOST, Context, Flow, GivenBlock
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.given_blocks import nothing
from archdsl.elaborate.graph import GraphBuilder
from archdsl.elaborate.line_faults import check_takes_lines, report_bias, report_braces, report_unknown_line
from archdsl.elaborate.program import is_block, is_value
from archdsl.elaborate.scope import Binding, Scope
from archdsl.frontend import ast, labels
from archdsl.ir.regions import NO_VALUE, Block, Stage
from archdsl.ir.signature import BlockArguments
from archdsl.layers.attention_arguments import BIAS_LINE, LETTERS, LINE_BRACES, LINES, Between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.core.report import Reporter
    from archdsl.elaborate.program import BlockDef, Module, Program
    from archdsl.layers.base import Layer

IN_BLOCK = Flow(-1, UNKNOWN)


def check_unused_blocks(program: Program, applier: ChainApplier, reporter: Reporter) -> None:
    """Check the blocks of a family's specs that the expansion has not called, and warn of those of the spec itself.

    In a flat spec a block is used if any chain can reach it, under whatever condition. A block of a variant that takes
    the place of another must have been called, and must differ from it.

    Args:
        program: the spec with its bases.
        applier: has expanded the program.
        reporter: takes the reports.
    """
    checker = _Checker(program, applier, reporter)
    for module in program.modules:
        for definition in own_blocks(module).values():
            if definition not in applier.calls.called:
                checker.check(definition)
        for function in own_functions(module).values():
            checker.check_function(function.function)
    reached = _reached(program)
    for name, definition in own_blocks(program.modules[0]).items():
        place, replaced = definition.block.name.span, program.replaced.get(name, [])
        notes = [Note("it takes the place of this one", old.block.name.span) for old in replaced]
        if definition not in (applier.calls.called if replaced and not reporter.failed else reached):
            label = f"nothing calls `{name}`" + (", with these values of the parameters" if replaced else "")
            near = closest(name, sorted({called.block.name.id for called in applier.calls.called} - {name}))
            is_variant = len(program.files) > 1 and not replaced
            hint = f"did you mean `{near[0]}`, which the base calls?" if near and is_variant else ""
            reporter.report("W0104", place, label, notes, hint=hint)
        elif replaced and all(old.block == definition.block for old in replaced):
            reporter.report("W0104", place, f"`{name}` is the same as in the base", notes)


def _reached(program: Program) -> set[BlockDef]:
    """Return the blocks that statements can call, directly or in other blocks, under whatever condition."""
    reached: set[BlockDef] = set()
    pending: list[tuple[object, Module]] = [
        (p.statement, program.modules[p.level]) for p in (*program.statements, *program.replacements)
    ]
    while pending:
        part, module = pending.pop()
        for name in _called_names(part):
            definition = module.blocks.get(name)
            if definition is not None and definition not in reached:
                reached.add(definition)
                defaults = (p.default for p in definition.block.parameters)
                pending += [(part, definition.module) for part in (definition.block.chain, *defaults)]
    return reached


def _called_names(part: object) -> Iterator[str]:
    """Yield the names of all layers and blocks in a statement or a chain."""
    pending = [part]
    while pending:
        match pending.pop():
            case ast.Layer() as layer:
                yield layer.name.id
                pending += [a.value for a in layer.arguments or ()]
            case ast.Name() as name:  # of a block that a block is given
                yield name.id
            case ast.Label() as label:
                yield from labels.words(label)
            case ast.Call() as call:
                yield call.name.id
                pending += [a.value for a in call.arguments]
            case ast.Conditional() as choice:
                pending += [choice.then, choice.otherwise]
            case other:
                pending += _members(other)


_CHAINED = (
    ast.Group, ast.Freezing, ast.Shortcut, ast.PathLine, ast.BranchLine, ast.Lateral, ast.Path, ast.Head,
)  # fmt: skip


def _members(part: object) -> Sequence[object]:
    """Return the statements or links that a part of a spec holds, without layers' arguments."""
    match part:
        case ast.Chain():
            return [step.link for step in part.steps]
        case ast.Merge():
            return part.branches
        case ast.Residual():
            return part.chain, part.shortcut
        case ast.Choose():
            return part.then, part.otherwise
        case ast.Stage() | ast.For() | ast.Lines():
            return part.body
        case ast.If():
            return (*part.body, *part.otherwise)
        case _:
            return (part.chain,) if isinstance(part, _CHAINED) else ()


class _Names(Scope):
    """The names that the blocks of a spec see, all of unknown value."""

    def __init__(self, program: Program, outer: Scope) -> None:
        super().__init__(functions=program.functions)
        self.spans = {name: b.span for name, b in outer.names.items()}
        self.spans |= {name: d.name.span for name, d in program.declarations.items()}

    def lazy(self, name: str) -> Binding | None:
        return Binding(UNKNOWN, self.spans[name]) if name in self.spans else None

    def known(self) -> Iterator[str]:
        yield from self.spans

    def sees_parameters(self) -> bool:
        return True


class _NoGraph(GraphBuilder):
    """Add nothing, as no shape is known."""

    def apply(self, layer: Layer, flows: tuple[Flow, ...], context: Context, link: object) -> Flow:  # noqa: ARG002
        return LOST


class _Checker(ChainApplier):
    """Check of the bodies of blocks with unknown arguments and shapes, on both sides of each condition.

    Only literals have values then, so what is reported is wrong whatever the block is called with.
    """

    def __init__(self, program: Program, applier: ChainApplier, reporter: Reporter) -> None:
        evaluator = _Evaluator(reporter, applier.evaluator.symbols, applier.evaluator.work)
        names = _Names(program, applier.calls.globals)
        super().__init__(_NoGraph(evaluator, reporter), evaluator, applier.layers, names)
        self.binder.by_name.update(applier.binder.by_name)

    def check(self, definition: BlockDef) -> None:
        """Report what is wrong in the body of a block, whatever it is called with."""
        block = definition.block
        scope = self.calls.outer(definition).child(UNKNOWN)
        values = dict[str, Flow]()
        for parameter in block.parameters:
            if parameter.default is not None and not is_block(parameter):
                self.evaluator.evaluate(parameter.default, scope)
            if is_block(parameter):
                self.evaluator.faults.places.blocks.add(parameter.name.id)
            elif is_value(parameter):
                values[parameter.name.id] = IN_BLOCK
            else:
                scope.names[parameter.name.id] = Binding(UNKNOWN, parameter.name.span)
        for let in block.lets:
            self.evaluator.bind(let, scope)
        region = Block(
            parent=Stage(span=block.span), label=block.name.id, signature=definition.signature,
            arguments=BlockArguments(), entry=NO_VALUE, entering=UNKNOWN, span=block.span,
        )  # fmt: skip
        known = ChainMap(dict[str, Flow](), values)
        place = Context(scope, region, definition.module, (definition,), known, entering=IN_BLOCK)
        place.blocks = blocks = dict[str, GivenBlock]()
        for parameter in filter(is_block, block.parameters):
            if parameter.default is not None:
                self.calls.giver.find(parameter.default, parameter, place)
            blocks[parameter.name.id] = nothing(place)
        self.apply(block.chain, IN_BLOCK, place)

    def check_function(self, function: ast.Function) -> None:
        """Report what is wrong in a function, whatever it is called with."""
        scope = self.calls.globals.child()
        for parameter in function.parameters:
            if parameter.default is not None:
                self.evaluator.evaluate(parameter.default, scope)
            scope.names[parameter.name.id] = Binding(UNKNOWN, parameter.name.span)
        self.evaluator.evaluate(function.value, scope)

    def _repeat(self, step: ast.Step, count: ast.Expr, flow: Flow | None, context: Context) -> Flow | None:
        self.evaluator.whole(count, context.scope)
        inner = replace(context, scope=context.scope.child())
        inner.scope.names["index"] = Binding(UNKNOWN)
        return self._link(step.link, flow, inner, first=False)

    def _choose(self, link: ast.Choose, flow: Flow | None, context: Context) -> Flow | None:
        self.evaluator.truth(link.test, context.scope)
        named: dict[str, Flow] = {}
        for taken in (link.then, link.otherwise):
            inner = replace(context, values=context.values.new_child())
            if isinstance(taken, ast.Choose):
                self._choose(taken, flow, inner)
            elif taken is not None:
                self.apply(taken, flow, inner)
            named |= inner.values.maps[0]
        context.values.update(named)
        return LOST

    def _shortcut(self, shortcut: ast.Shortcut, flow: Flow, context: Context) -> Flow:
        if shortcut.test is not None:
            self.evaluator.truth(shortcut.test, context.scope)
        return self.apply(shortcut.chain, flow, context.inner(LOST))

    def _lines(self, link: ast.Lines, flow: Flow | None, context: Context) -> Flow:  # noqa: ARG002
        if check_takes_lines(link, self.names, context):
            self.binder.layer(Between, link, context.scope)
            values = context.values.new_child(dict.fromkeys(LETTERS, LOST))
            self._check_lines(link.body, replace(context, values=values))
        return LOST

    def _check_lines(self, body: Sequence[ast.Statement], context: Context) -> None:
        for item in body:
            match item:
                case ast.BranchLine():
                    self._check_line(item, context)
                case ast.Let():
                    self.evaluator.bind(item, context.scope)
                case ast.If():
                    self.evaluator.truth(item.test, context.scope)
                    for taken in (item.body, item.otherwise):
                        self._check_lines(taken, replace(context, scope=context.scope.child()))
                case _:
                    raise AssertionError(item)

    def _check_line(self, line: ast.BranchLine, context: Context) -> None:
        link = line.chain.steps[0].link
        if line.name.id == BIAS_LINE:
            cls = self.names.bias(link.name.id) if isinstance(link, ast.Layer) else None
            if isinstance(link, ast.Layer) and cls is not None:
                self.binder.layer(cls, link, context.scope)
            else:
                report_bias(line, self.names)
        elif line.name.id not in LINES:
            report_unknown_line(line, self.evaluator.faults)
        else:
            inner = replace(context.inner(IN_BLOCK), values=context.values.new_child())
            self.apply(line.chain, IN_BLOCK, inner)
            context.values.update(inner.values.maps[0])

    def _merge(self, link: ast.Merge, flow: Flow | None, context: Context) -> Flow:
        if link.name.id not in LINE_BRACES:  # which a block of lines can have anywhere
            return super()._merge(link, flow, context)
        if not report_braces(link, self.evaluator.faults):
            self.apply(link.branches[0], IN_BLOCK, context.inner(IN_BLOCK))
        return LOST

    def _call(self, definition: BlockDef, link: ast.Layer, flow: Flow, context: Context) -> Flow:
        """Check the arguments of an inner block, whose body is checked by itself."""
        if definition in context.opened:
            name = definition.block.name.id
            self.reporter.report("E0207", link.span, f"{name} → {name}")
            return LOST
        self.binder.block(definition.block, link, self.calls.outer(definition).child(UNKNOWN), context.scope)
        return flow


class _Evaluator(Evaluator):
    """Evaluator of all parts of expressions, including those that depend on an unknown condition."""

    def _conditional(self, expr: ast.Conditional, scope: Scope) -> Value:
        test = self.truth(expr.test, scope)
        then, otherwise = self.evaluate(expr.then, scope), self.evaluate(expr.otherwise, scope)
        return UNKNOWN if isinstance(test, Unknown) else then if test else otherwise

    def _junction(self, expr: ast.Binary, scope: Scope) -> Value:
        left, right = self.truth(expr.left, scope), self.truth(expr.right, scope)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        return (left and right) if expr.operator == "and" else (left or right)

    def _comprehension(self, expr: ast.Comprehension, scope: Scope) -> Value:
        values = self.items(expr.iterable, scope)
        if not isinstance(values, Unknown):
            return super()._comprehension(expr, scope)
        inner = scope.child()
        inner.names.update({name.id: Binding(UNKNOWN, name.span) for name in expr.names})
        self.evaluate(expr.item, inner)
        if expr.test is not None:
            self.truth(expr.test, inner)
        return UNKNOWN
