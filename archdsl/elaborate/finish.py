"""The network of an expansion that has read everything, and the checks that are possible only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.names import why_refused
from archdsl.core.values import Unknown
from archdsl.elaborate.dense import check_behind, check_dense
from archdsl.elaborate.expansion import INPUT_HINT
from archdsl.elaborate.unread import (
    live_nodes,
    report_unread_inputs,
    report_unread_lines,
    report_unread_paths,
    stretches_of,
)
from archdsl.frontend import ast
from archdsl.ir.masks import readers
from archdsl.ir.network import Network, Node
from archdsl.layers.masked import Masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archdsl.core.source import Span
    from archdsl.elaborate.context import Flow
    from archdsl.elaborate.expansion import Expansion
    from archdsl.elaborate.program import Program


def check_names(expansion: Expansion) -> None:
    """Report names of the spec that generated code cannot have, or uses itself.

    The module has a function `check_NAME` for each input, which nothing else may be called.
    """
    program, reporter = expansion.program, expansion.reporter
    refused = why_refused(program.header.name.id)
    if refused:
        reporter.report("E0204", program.header.name.span, refused)
    functions = {f"check_{name}" for name in expansion.all_inputs()}
    names = [f.header.name for f in program.files[:1] if f.header]
    names += [f.header.family for f in program.files if f.header and f.header.family]
    names += [p.statement.name for p in program.statements if isinstance(p.statement, ast.Path)]
    for name in names:
        if name.id in functions:
            reporter.report("E0204", name.span, f"`{name.id}` is used by the generated code itself")


def find_outputs(expansion: Expansion) -> dict[str, Flow]:
    """Return the values that the network gives by name: the ends of its heads or of its only path; none after a fault.

    An only output has no name.
    """
    program, reporter = expansion.program, expansion.reporter
    header = program.header
    if not expansion.videos:
        what = "video" if expansion.inputs else "input"
        hint = f"{INPUT_HINT}; other inputs come with it" if expansion.inputs else INPUT_HINT
        reporter.report("E0601", header.span, f"this architecture has no {what}", hint=hint)
        return {}
    if not expansion.regions:
        hint = "`stage NAME { … }` is one row of the table"
        reporter.report("E0605", header.span, "no stage and no head", hint=hint)
        return {}
    end = expansion.only_path()
    outputs = expansion.outputs or ({"": end} if end is not None else {})
    if not outputs:
        names = ", ".join(f"`{p}`" for p in expansion.paths)
        classes = "classes" if "classes" in program.declarations else "400"
        pooled = ", ".join(f"{p} -> avgpool" for p in expansion.paths)
        hint = f"the head joins them: `head: concat {{ {pooled} }} -> linear({classes})`"
        reporter.report("E0606", header.span, f"the paths {names} do not come together", hint=hint)
    return outputs


def check_scores(expansion: Expansion) -> None:
    """Report scores of heads that are hardly meant, where their shape is known in spite of faults."""
    graph, reporter = expansion.nodes.graph, expansion.reporter
    for name, head in expansion.heads.items():
        output = expansion.outputs[name]
        if not isinstance(output.shape, Unknown):
            check_dense(graph, output.node, output.shape, head, reporter)
            check_behind(graph, output.node, head, reporter)


def check_masks(expansion: Expansion) -> None:
    """Report layers that need different numbers of visible positions of one mask."""
    graph, reporter = expansion.nodes.graph, expansion.reporter
    for number in expansion.all_inputs().values():
        found = list(readers(graph, number))
        for node, visible in found[1:]:
            if visible != found[0][1]:
                notes = [Note(f"{found[0][1]} here", found[0][0].span)]
                label = f"the mask leaves {visible} positions visible here"
                hint = "visible and hidden positions are together all of the mask's grid"
                reporter.report("E0510", node.span, label, notes, hint=hint)


def check_places(expansion: Expansion) -> None:
    """Warn of layers that read where positions are, of positions that a mask has left in a row."""
    graph, reporter = expansion.nodes.graph, expansion.reporter
    kept: dict[int, Node] = {}  # the layer that has taken the places of a value's positions
    for number in graph:
        node: Node = graph.nodes[number]["node"]
        source = next((kept[i] for i in node.inputs if i in kept), None)
        if isinstance(node.layer, Masked):
            if node.layer.takes_places and node.shape.w > 1:
                kept[number] = node
        elif source is not None and node.shape.size == source.shape.size:
            kept[number] = source
            if node.layer.reads_places():
                label = "the positions here stand in a row, without their places on the grid"
                hint = f"`{node.layer.kind}` belongs before `{source.layer.kind}`, or behind `restore`"
                notes = [Note("since here", source.span)]
                reporter.report("W0111", node.span, label, notes, hint=hint)


def check_read(expansion: Expansion, outputs: Mapping[str, Flow]) -> None:
    """Report inputs, paths and lines that nothing reads.

    Args:
        expansion: without faults: what would have read a value may be faulty else.
        outputs: the values that the network gives.
    """
    program, reporter, graph = expansion.program, expansion.reporter, expansion.nodes.graph
    live = live_nodes(graph, [output.node for output in outputs.values()])
    report_unread_inputs(graph, live, expansion.all_inputs(), program.added, reporter)
    stretches = stretches_of(expansion.regions, expansion.paths)
    read = expansion.applier.values.read if len(expansion.paths) > 1 else expansion.paths.keys()
    paths = {p: span for p, span in _declared_paths(program).items() if stretches[p] or p not in read}
    report_unread_paths(live, stretches, paths, program.added, reporter)
    report_unread_lines(graph, live, stretches, reporter)


def _declared_paths(program: Program) -> dict[str, Span]:
    statements = [placed.statement for placed in program.statements]
    return {s.name.id: s.name.span for s in statements if isinstance(s, ast.Path)}


def network_of(expansion: Expansion, outputs: Mapping[str, Flow]) -> Network:
    """Return the network that an expansion has made."""
    program = expansion.program
    return Network(
        name=program.header.name.id,
        family=program.family,
        doc=program.doc,
        citations=program.citations,
        graph=expansion.nodes.graph,
        regions=list(expansion.regions),
        inputs=expansion.all_inputs(),
        outputs={name: output.node for name, output in outputs.items()},
        order=list(expansion.nodes.graph),
        fixed_axes=frozenset(expansion.evaluator.sizes_used),
    )
