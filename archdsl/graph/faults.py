"""What is said of a fault beside the fault itself: the blocks it lies in, and the layers that gave the shapes."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note, did_you_mean
from archdsl.core.values import describe
from archdsl.frontend import ast
from archdsl.graph.scope import traced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import networkx as nx

    from archdsl.core.grid import Grid
    from archdsl.core.source import Span
    from archdsl.graph.model import Node, Unit
    from archdsl.graph.scope import Scope

SHOWN_CALLS = 3
# What other libraries call a layer.
_ALSO = {
    "batchnorm": "bn", "batchnorm3d": "bn", "batch_norm": "bn", "norm": "bn", "conv2d": "conv", "conv3d": "conv",
    "fc": "linear", "dense": "linear", "gap": "avgpool", "pool": "maxpool", "cat": "concat", "sum": "add",
}  # fmt: skip


def trail(calls: Sequence[ast.Layer], span: Span) -> list[Note]:
    """The calls of blocks, the innermost first, that lead to a place outside of themselves."""
    return [
        Note(f"in the block `{call.name.id}`, called here", call.span)
        for call in reversed(calls[-SHOWN_CALLS:])
        if call.span.source is not span.source or not call.span.start <= span.start < call.span.end
    ]


def used_notes(first: Span, used: Span) -> list[Note]:
    """Where a value is used that was first written elsewhere."""
    is_there = used.source is first.source and used.start <= first.start < used.end
    return [] if is_there else [Note("used here", used)]


def fraction_notes(expr: ast.Expr, scope: Scope) -> list[Note]:
    """Where the fractions come from that an expression is computed of."""
    expr, scope = traced(expr, scope)
    notes: dict[str, Note] = {}
    for name in _names(expr):
        binding = scope.find(name.id)
        if binding is not None and isinstance(binding.value, Fraction) and binding.expr is not None:
            place = traced(binding.expr, binding.scope or scope)[0].span
            notes[name.id] = Note(f"`{name.id}` is {describe(binding.value)}", place)
    return list(notes.values())


def _names(part: Any) -> Iterator[ast.Name]:
    if isinstance(part, ast.Name):
        yield part
    elif isinstance(part, (ast.Binary, ast.Unary)):
        for inner in vars(part).values():
            yield from _names(inner)


def layer_hint(name: str, known: Iterable[str]) -> str:
    """What a name that no layer has was meant to be."""
    names = set(known)
    meant = _ALSO.get(name.lower())
    return f"did you mean `{meant}`?" if meant in names else did_you_mean(name, names)


def producer(graph: nx.DiGraph[int], number: int, unit: Unit | None) -> Span:
    """What gave a value its shape, as it is seen from a unit: a layer, or the call of a block that it lies in."""
    node: Node = graph.nodes[number]["node"]
    while len(node.inputs) == 1 and node.inputs[0] >= 0:
        before: Node = graph.nodes[node.inputs[0]]["node"]
        if before.shape != node.shape:
            break
        node = before
    seen_from: set[Unit] = set()
    while unit is not None:
        seen_from.add(unit)
        unit = unit.parent
    span, inside = node.span, node.unit
    while inside not in seen_from:
        span = inside.call.span if inside.call is not None else span
        if inside.parent is None:
            break
        inside = inside.parent
    return span


def residual_notes(
    graph: nx.DiGraph[int], body: tuple[int, Grid], around: tuple[int, Grid], unit: Unit, is_taken: bool
) -> list[Note]:
    """Where the two sides of a residual come from."""
    other = "the shortcut ends in" if is_taken else "the input is"
    return [
        Note(f"the body ends in {body[1]}, which comes from here", producer(graph, body[0], unit)),
        Note(f"{other} {around[1]}, which comes from here", producer(graph, around[0], unit)),
    ]


def residual_hint(body: Grid, entering: Grid, has_shortcut: bool, is_taken: bool) -> str:
    """How the two sides of a residual can be made to agree."""
    if has_shortcut and is_taken:
        return "the shortcut must end in the channels of the body, and stride as the body does"
    if has_shortcut:
        return "the condition of the shortcut does not hold here, but it must where the body changes the shape"
    if body.token or entering.token:
        return "both sides must be of one grid: `select(token)` behind the residual takes the class token alone"
    ratios = [e / b for e, b in zip(entering.size, body.size, strict=True)]
    if any(r != int(r) for r in ratios):
        return "a `shortcut { … }` behind the residual must change the grid as the body does"
    stride = "" if all(r == 1 for r in ratios) else f", stride = [{', '.join(str(int(r)) for r in ratios)}]"
    shortcut = f"`shortcut {{ conv({int(body.channels)}, 1{stride}) -> bn }}` behind the residual"
    return shortcut if stride else f"end the body in {int(entering.channels)} channels, or put {shortcut}"
