"""Layers that are written in lines, `attention(8) { q: … }`: the lines expanded to the graph of their branches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.grid import CLIP, Grid
from archdsl.core.names import why_refused
from archdsl.core.values import Unknown
from archdsl.elaborate.apply import ChainApplier
from archdsl.elaborate.arguments import written
from archdsl.elaborate.context import LOST, Context, Flow
from archdsl.elaborate.labels import filled
from archdsl.elaborate.line_applier import LineApplier
from archdsl.elaborate.line_faults import check_takes_lines, report_bias, report_missing, report_unknown_line
from archdsl.elaborate.line_graph import LineGraph
from archdsl.elaborate.line_views import Bundle
from archdsl.frontend import ast
from archdsl.ir.regions import Stage
from archdsl.layers.attention import Attention
from archdsl.layers.attention_arguments import BIAS_LINE, LETTERS, LINES, RESULT_LINE, TAKEN, TOKEN, Between
from archdsl.layers.attention_geometry import bias_geometry, padded_grid
from archdsl.layers.attention_line_faults import LineFault
from archdsl.layers.attention_line_rules import check, check_biases
from archdsl.layers.attention_lines import RESULT, BiasLine, Lines, Origin, X
from archdsl.layers.attention_unprinted import Unprinted, check_printed
from archdsl.layers.bias import Bias

if TYPE_CHECKING:
    from collections import ChainMap
    from collections.abc import Sequence

    from archdsl.core.source import Span
    from archdsl.elaborate.scope import Scope
    from archdsl.layers.base import Layer


class SpecApplier(ChainApplier):
    """Application of the chains of a spec, whose layers may be written in lines."""

    def _lines(self, link: ast.Lines, flow: Flow | None, context: Context) -> Flow:
        flow = self._need(flow, link, context)
        if not check_takes_lines(link, self.names, context):
            return LOST
        between = self.binder.layer(Between, link, context.scope)
        if not isinstance(between, Between) or isinstance(flow.shape, Unknown):
            return LOST
        expander = LineExpander(self, link, between, flow, context)
        lines = expander.run()
        self.sharing.elsewhere |= dict.fromkeys(expander.applier.sharing.names, "in the lines of an attention")
        layer = self._layer_of(lines, link, flow, context) if lines is not None else None
        if lines is None or layer is None:
            return LOST
        others = (Flow(n, self.nodes.node(n).shape) for n in lines.externals)
        return self.nodes.apply(layer, (flow, *others), context, link)

    def _layer_of(self, lines: Lines, link: ast.Lines, flow: Flow, context: Context) -> Layer | None:
        """Return the layer of lines, or None after a fault."""
        faults, scope = self.evaluator.faults, context.scope
        try:
            check(lines)
            geometry = bias_geometry(lines)
            for bias in lines.biases:
                bias.layer = bias.layer.placed(geometry)
            check_biases(lines)
            check_printed(lines)
            return Attention(lines)
        except LineFault as fault:
            place = fault.line or self._place(fault.at, lines, link, scope, fault.index)
            there = {n: s for n, s in lines.places.items() if s != link.name.span}  # not those of a call without braces
            notes = [Note(text, there[name]) for text, name in fault.notes if name in there]
            entering = self.nodes.sources((flow,), context.region)
            faults.report(fault.code, place, fault.message, fault.hint, notes or entering)
        except Unprinted as fault:
            place = self._place(fault.at, lines, link, scope)
            faults.report("E0513", place, f"archdsl cannot print {fault} yet")
        return None

    def _place(
        self, names: Sequence[str], lines: Lines, link: ast.Lines, scope: Scope, index: int | None = None
    ) -> Span:
        """Return the place of the first of some arguments and lines that is there, or that of the layer's name."""
        given = self.binder.matched(link, list(Between.attributes))
        for name in names:
            if name in given:
                return written(given[name], scope, index)
            if name in lines.places:
                return lines.places[name]
        return link.name.span


class LineExpander:
    """Expansion of the lines of one layer."""

    def __init__(self, outer: ChainApplier, link: ast.Lines, between: Between, flow: Flow, context: Context) -> None:
        self.link, self.flow, self.context = link, flow, context
        self.lines = Lines(between, flow.shape, padded_grid(between, flow.shape), entry=flow.node)
        self.nodes = LineGraph(outer.nodes, self.lines, flow)
        self.applier = LineApplier.within(outer, self.nodes)
        self.evaluator, self.faults = outer.evaluator, outer.evaluator.faults
        self.values: ChainMap[str, Flow] = context.values.new_child()
        self.is_sound = True

    def run(self) -> Lines | None:
        """Return the graph of the lines; None after a fault."""
        known = self.evaluator.reporter.errors
        self._body(self.link.body, self.context.scope.child(self.flow.shape))
        if not self.is_sound or self.evaluator.reporter.errors > known:
            return None
        has_own = self.flow.shape.token == CLIP and any(n.startswith(TOKEN) for n in self.lines.branches)
        prefixes = ("", TOKEN) if has_own else ("",)
        found = ([p + n for n in LETTERS if p + n not in self.lines.branches] for p in prefixes)
        missing = next((names for names in found if names), list[str]())
        if missing:
            report_missing(self.link, missing, self.faults)
            return None
        if RESULT_LINE not in self.lines.branches:
            self.lines.branches[RESULT_LINE], self.lines.shapes[RESULT_LINE] = Origin(RESULT), self._result()
        return self.lines

    def _body(self, body: Sequence[ast.Statement], scope: Scope) -> None:
        for item in body:
            match item:
                case ast.BranchLine():
                    self._statement(item, scope)
                case ast.Let():
                    self.evaluator.bind(item, scope)
                case ast.If():
                    truth = self.evaluator.truth(item.test, scope)
                    if isinstance(truth, Unknown):
                        self.is_sound = False
                    else:
                        self._body(item.body if truth else item.otherwise, scope.child())
                case _:
                    raise AssertionError(item)

    def _statement(self, line: ast.BranchLine, scope: Scope) -> None:
        name = line.name.id
        if name != BIAS_LINE and name not in LINES:
            report_unknown_line(line, self.faults)
            self.is_sound = False
        elif RESULT_LINE in self.lines.places:
            notes = [Note(f"`{RESULT_LINE}` stands here", self.lines.places[RESULT_LINE])]
            label = f"`{RESULT_LINE}` again" if name == RESULT_LINE else f"`{name}` behind `{RESULT_LINE}`"
            hint = f"`{RESULT_LINE}` is the last line: what happens to the result, in one chain"
            self.faults.report("E0404" if name == RESULT_LINE else "E0105", line.name.span, label, hint, notes)
            self.is_sound = False
        elif name == BIAS_LINE:
            self._bias(line, scope)
        else:
            self._line(line, LINES[name], scope)

    # --- branches ---

    def _line(self, line: ast.BranchLine, branches: Sequence[str], scope: Scope) -> None:
        """Take branches further; all that happens to one branch stands in the lines that have its letter."""
        lines = self.lines
        self.nodes.line, self.nodes.branches = line.name.id, branches
        flow = self._begin(branches)
        result, named = self._applied(line, flow, scope)
        if result is None:
            self.is_sound = False
            return
        bundle = self.nodes.bundle(result)
        for branch in branches:
            lines.branches[branch], lines.shapes[branch] = bundle.origin(branch), bundle.shape(branch)
            lines.places[branch] = line.span
        if len(branches) == 1:
            self.values.update({name: self._alone(branches[0], value, line) for name, value in named.items()})
        self.values.update({branch: self._alone(branch, result, line) for branch in branches if branch in LETTERS})

    def _alone(self, branch: str, flow: Flow, line: ast.BranchLine) -> Flow:
        """Return the value of one branch, with which lines of other branches can begin."""
        self.nodes.branches = [branch]
        bundle = self.nodes.bundle(flow)
        return self.nodes.hold(Bundle({"": bundle.origin(branch)}, {"": bundle.shape(branch)}), line.span)

    def _applied(self, line: ast.BranchLine, flow: Flow, scope: Scope) -> tuple[Flow | None, dict[str, Flow]]:
        """Return the values at the end of a line, None after a fault; and the values that it names.

        A block is applied once for all branches of the line if they share all its layers with weights; else the line is
        applied once more, with the block for each branch by itself.
        """
        before = len(self.lines.applications)
        self.nodes.made.clear()
        while True:
            region, values = Stage(span=line.span), self.values.new_child()
            context = replace(
                self.context, scope=scope, region=region, values=values, entering=self.flow, frozen=False
            )  # what is frozen around the whole layer is so without being said of its lines
            result = self.applier.apply(line.chain, flow, context)
            if isinstance(result.shape, Unknown):
                return None, {}
            apart = self.nodes.partly_shared()
            if not apart:
                break
            self.nodes.apart |= apart
            self.nodes.made.clear()
            del self.lines.applications[before:]
            self.applier.sharing.forget(region)
        self.nodes.name_layers(region)
        return result, dict(values.maps[0])

    def _begin(self, branches: Sequence[str]) -> Flow:
        """Return what a line begins with: the branches as the lines above left them, or the result."""
        lines = self.lines
        if RESULT_LINE in branches:
            return self.nodes.hold(Bundle({"": Origin(RESULT)}, {"": self._result()}), self.link.name.span)
        origins = {n: lines.branches.get(n, Origin(X)) for n in branches}
        shapes = {n: lines.shapes.get(n, lines.x) for n in branches}
        return self.nodes.hold(Bundle(origins, shapes), lines.places.get(branches[0]))

    def _result(self) -> Grid:
        """Return the shape of the result: the positions of the queries, and the channels of the values."""
        q, v = (self.lines.shapes.get(n, self.lines.x) for n in "qv")
        between = self.lines.between
        channels = v.channels // between.kv_heads * between.heads if between.kv_heads else v.channels
        return Grid(channels, q.t, q.h, q.w, q.tokens)

    # --- biases ---

    def _bias(self, line: ast.BranchLine, scope: Scope) -> None:
        step, frozen = self._thawed(line.chain.steps[0], scope)
        link, names = step.link, self.applier.names
        is_alone = len(line.chain.steps) == 1 and step.count is None
        cls = names.bias(link.name.id) if isinstance(link, ast.Layer) and is_alone else None
        if not isinstance(link, ast.Layer) or cls is None:
            report_bias(line, names)
            self.is_sound = False
            return
        named = filled(step.label, scope, self.evaluator) if step.label is not None else None
        if named is None and step.label is not None:
            self.is_sound = False
            return
        label = named.id if named is not None else cls.kind
        other = next((b for b in self.lines.biases if b.label == label), None)
        if other is not None:
            notes = [Note("first here", other.span)]
            hint = f"leave out one of them, or name one: `{link.span.text} as …`"
            self.faults.report("E0404", line.span, f"the bias `{label}` again", hint, notes)
        layer = self.applier.binder.layer(cls, link, scope)
        is_sound = isinstance(layer, Bias) and other is None and self._is_free(named)
        if not isinstance(layer, Bias) or isinstance(frozen, Unknown) or not is_sound:
            self.is_sound = False
            return
        self.nodes.names.take(label, line, line.span)
        self.lines.biases.append(BiasLine(layer, label, line.span, frozen))
        self.lines.places[BIAS_LINE] = line.span

    def _thawed(self, step: ast.Step, scope: Scope) -> tuple[ast.Step, bool | Unknown]:
        """Return a step without `frozen { … }` around it, and whether that freezes it; unknown after a fault."""
        frozen: bool | Unknown = False
        while isinstance(link := step.link, ast.Freezing):
            [inner, *others] = link.chain.steps
            if others or step.count is not None or (step.label and inner.label):
                break
            truth = link.frozen.test is None or self.evaluator.truth(link.frozen.test, scope)
            frozen = truth if isinstance(truth, Unknown) or truth else frozen
            step = replace(inner, label=step.label or inner.label)
        return step, frozen

    def _is_free(self, label: ast.Name | None) -> bool:
        """Return True if the tensors of a bias can have a name; else report it."""
        refused = why_refused(label.id) if label is not None else ""
        if label is not None and not refused and label.id in TAKEN:
            refused = f"an attention has `{label.id}` already"
        if label is not None and refused:
            self.faults.report("E0204", label.span, refused, "another name behind `as`")
        return not refused
