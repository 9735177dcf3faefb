"""Inputs and paths whose values never reach the output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.ir.regions import OnPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import networkx as nx

    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.ir.network import Node
    from archdsl.ir.regions import Part

Stretch = tuple[str, list[int]]  # of a path: the stage, and the numbers of its nodes


def live_nodes(graph: nx.DiGraph[int], outputs: Sequence[int]) -> set[int]:
    """The numbers of the nodes that the outputs are computed from, their own among them."""
    live = set(outputs)
    pending = list(outputs)
    while pending:
        node: Node = graph.nodes[pending.pop()]["node"]
        new = [i for i in node.inputs if i >= 0 and i not in live]
        live.update(new)
        pending.extend(new)
    return live


def report_unread_inputs(
    graph: nx.DiGraph[int], live: set[int], inputs: Mapping[str, int], added: Mapping[str, Span], reporter: Reporter
) -> None:
    """Report inputs that the output does not depend on: faults where a variant adds them, else warnings.

    Args:
        graph: of the whole network.
        live: the nodes that the output is computed from.
        inputs: the node of each input.
        added: the inputs and paths that a variant adds to its base.
        reporter: takes the reports.
    """
    for name, number in inputs.items():
        if number not in live:
            node: Node = graph.nodes[number]["node"]
            span = added.get(name) or node.span
            hint = "let a path, a line or the head read it, or delete it"
            alike = [n for n, i in inputs.items() if graph.nodes[i]["node"].layer.kind == node.layer.kind]
            if name in added and (replaced := next((n for n in alike if n not in added), None)):
                hint = f"let a path, a line or the head read it; to replace the base's input, name it `{replaced}`"
            reporter.report(_code(name, added), span, f"nothing reads the input `{name}`", hint=hint)


def stretches_of(parts: Iterable[Part], paths: Iterable[str]) -> dict[str, list[Stretch]]:
    """The parts of each path that hold layers, in the order of data flow."""
    stretches: dict[str, list[Stretch]] = {path: [] for path in paths}
    for part in parts:
        if isinstance(part, OnPath) and part.path in stretches and (nodes := list(part.nodes())):
            stretches[part.path].append((part.stage, nodes))
    return stretches


def report_unread_paths(
    live: set[int],
    stretches: Mapping[str, Sequence[Stretch]],
    paths: Mapping[str, Span],
    added: Mapping[str, Span],
    reporter: Reporter,
) -> None:
    """Report paths that the output does not depend on, or not to their end.

    Args:
        live: the nodes that the output is computed from.
        stretches: the parts of each path that hold layers.
        paths: where they are declared.
        added: the inputs and paths that a variant adds to its base.
        reporter: takes the reports.
    """
    for path, span in paths.items():
        dead = len(stretches[path])
        while dead and live.isdisjoint(stretches[path][dead - 1][1]):
            dead -= 1
        if not dead:
            hint = "let the head or a lateral read it, or delete it"
            reporter.report(_code(path, added), span, f"nothing reads the path `{path}`", hint=hint)
        elif dead < len(stretches[path]):
            label = f"nothing reads what `{path}` computes from `{stretches[path][dead][0]}` on"
            reporter.report("W0108", span, label, hint="let the head or a lateral read it, or delete these lines")


def report_unread_lines(
    graph: nx.DiGraph[int], live: set[int], stretches: Mapping[str, Sequence[Stretch]], reporter: Reporter
) -> None:
    """Report lines whose value nothing reads, of paths that go on behind them.

    Args:
        graph: of the whole network.
        live: the nodes that the output is computed from.
        stretches: the parts of each path that hold layers.
        reporter: takes the reports.
    """
    for parts in stretches.values():
        last = max((k for k, (_, nodes) in enumerate(parts) if not live.isdisjoint(nodes)), default=-1)
        for stage, nodes in parts[: last + 1]:
            for number in nodes:
                if number not in live and not graph.out_degree(number):
                    label = f"nothing reads what this line computes in `{stage}`"
                    hint = "a later line of the path begins anew: let it read this value, or delete this line"
                    reporter.report("W0108", graph.nodes[number]["node"].span, label, hint=hint)


def _code(name: str, added: Mapping[str, Span]) -> str:
    return "E0608" if name in added else "W0108"
