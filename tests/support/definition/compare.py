"""Compare the compiler's network with its definition."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from archdsl.core.sym import substitute
from archdsl.ir.conditions import Comparison, Condition, Junction, Negation, Opaque
from archdsl.ir.regions import Block, Fusion, Shortcut, around
from archdsl.ir.signature import IN_CHANNELS
from definition.lines import Attended
from definition.names import Part
from definition.trees import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archdsl.ir.network import Network
    from archdsl.ir.regions import Region
    from definition import Definition

COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def difference(definition: Definition, network: Network) -> str:
    """The first thing that a network has otherwise than its definition; empty if there is none."""
    nodes = list(network.all_nodes())
    for number, (applied, node) in enumerate(zip(definition.applied, nodes, strict=False)):
        shapes = [definition.applied[i].shape for i in applied.inputs]
        wanted: dict[str, Any] = {"kind": applied.kind, "inputs": applied.inputs, "shape": applied.shape}
        found: dict[str, Any] = {"kind": node.layer.kind, "inputs": node.inputs, "shape": node.shape}
        if isinstance(applied.layer, Attended):
            lines: Any = getattr(node.layer, "lines", None)
            wanted |= applied.layer.settings.values() | {"tensors": applied.layer.weights(*shapes)}
            wanted |= {"branches": applied.layer.described(), "inits": applied.layer.inits}
            if not applied.is_frozen:  # else it holds them all, as `frozen` below says
                wanted |= {"frozen tensors": sorted(applied.layer.frozen)}
                found |= {"frozen tensors": sorted(node.frozen_weights)}
            found |= lines.between.values() if lines else {}
            found |= {"tensors": {**node.layer.weights(*node.input_shapes), **node.layer.buffers(*node.input_shapes)}}
            inits = node.layer.inits(*node.input_shapes).items()
            inits = {n: s for n, s in inits if s.name != "zeros" and n != "pair.weight"}
            found |= {"branches": described(lines) if lines else None, "inits": inits}
        else:
            wanted |= {k: (isinstance(v, bool), v) for k, v in applied.layer.values().items()}  # `1` is not `on`
            found |= {k: (isinstance(v, bool), v) for k, v in node.layer.values().items()}
        if shapes and (applied.layer.weights(*shapes) or applied.layer.buffers(*shapes)):
            wanted |= {"name": applied.name, "frozen": applied.is_frozen, "shared": applied.source is not None}
            found |= {"name": node.name, "frozen": node.is_frozen, "shared": node.is_shared}
        if found != wanted:
            differing = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
            if len(differing) == 1 and isinstance(wanted.get(differing[0]), dict):
                return f"layer {number}, {applied.name}: {_unlike(found[differing[0]], wanted[differing[0]])}"
            said = "; ".join(f"{k} {found.get(k)}, by definition {wanted.get(k)}" for k in differing)
            return f"layer {number}, {applied.kind} {applied.name}: {said}"
    pairs: dict[str, tuple[Any, Any]] = {
        "layers": (len(nodes), len(definition.applied)),
        "inputs": (network.inputs, definition.all_inputs()),
        "outputs": (network.outputs, definition.outputs),
        "conditions of shortcuts": (
            {u.name: list(_conditions(u)) for u in network.regions if not isinstance(u, Fusion)},
            {prefix: list(_conditions(part)) for prefix, part in definition.parts.items()},
        ),
    }
    return "; ".join(
        f"{what}: {found}, by definition {wanted}" for what, (found, wanted) in pairs.items() if found != wanted
    )


def _unlike(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    names = [n for n in {**found, **wanted} if found.get(n) != wanted.get(n)]
    return "; ".join(f"{n} {found.get(n)}, by definition {wanted.get(n)}" for n in names[:4])


def _conditions(part: Part | Region) -> Iterator[bool]:
    """The conditions of all shortcuts in a part; those of a network as their formulas give them."""
    inner = [m for m in part.members if isinstance(m, Part)] if isinstance(part, Part) else part.inner
    for member in inner:
        if isinstance(member, Part) and member.holds is not None:
            yield member.holds
        elif isinstance(member, Shortcut) and member.condition is not None:
            holds = _holds(member.condition, _variables(member))
            assert holds is not None, member.name
            yield holds
        yield from _conditions(member)


def _variables(region: Region) -> dict[str, Any]:
    """Return the values of the block that a shortcut stands in, by the names that its formulas have for them."""
    block = next((r for r in around(region) if isinstance(r, Block)), None)
    return {**block.arguments.values, IN_CHANNELS: block.entering.channels} if block is not None else {}


def _holds(condition: Condition, values: dict[str, Any]) -> bool | None:
    """Return what a condition is for the values of variables; None where nothing in it is known."""
    match condition:
        case Comparison(name, left, right):
            return COMPARISONS[name](substitute(left, values), substitute(right, values))
        case Negation(operand):
            inner = _holds(operand, values)
            return None if inner is None else not inner
        case Junction(name, left, right):
            decided = name == "or"
            sides = [_holds(side, values) for side in (left, right)]
            return decided if decided in sides else None if None in sides else not decided
        case Opaque(holds):
            return holds
