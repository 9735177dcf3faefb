"""Hold the compiler's network against its definition."""

from __future__ import annotations

from collections import ChainMap
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.ir.network import Region
from definition.names import Part
from definition.values import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.elaborate.scope import Scope
    from archdsl.ir.network import Network
    from definition import Definition


def difference(definition: Definition, network: Network) -> str:
    """The first thing that a network has otherwise than its definition; empty if there is none."""
    nodes = list(network.all_nodes())
    for number, (applied, node) in enumerate(zip(definition.applied, nodes, strict=False)):
        shapes = [definition.applied[i].shape for i in applied.inputs]
        wanted: dict[str, Any] = {"kind": applied.kind, "inputs": applied.inputs, "shape": applied.shape}
        found: dict[str, Any] = {"kind": node.layer.kind, "inputs": node.inputs, "shape": node.shape}
        wanted |= {k: (isinstance(v, bool), v) for k, v in applied.layer.values().items()}  # `1` is not `on`
        found |= {k: (isinstance(v, bool), v) for k, v in node.layer.values().items()}
        if shapes and applied.layer.is_module(*shapes):
            wanted |= {"name": applied.name, "frozen": applied.is_frozen}
            found |= {"name": node.name, "frozen": node.region.top.frozen}
        if found != wanted:
            differing = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
            said = "; ".join(f"{k} {found.get(k)}, by definition {wanted.get(k)}" for k in differing)
            return f"layer {number}, {applied.kind} {applied.name}: {said}"
    pairs: dict[str, tuple[Any, Any]] = {
        "layers": (len(nodes), len(definition.applied)),
        "inputs": (network.inputs, {**definition.inputs, **definition.indices}),
        "output": (network.output, definition.output),
        "conditions of shortcuts": (
            {u.name: list(_conditions(u)) for u in network.regions if u.kind != "fusion"},
            {prefix: list(_conditions(part)) for prefix, part in definition.parts.items()},
        ),
    }
    return "; ".join(
        f"{what}: {found}, by definition {wanted}" for what, (found, wanted) in pairs.items() if found != wanted
    )


def _conditions(part: Part | Region) -> Iterator[bool]:
    """The conditions of all shortcuts in a part; those of a network as whoever reads its scopes later finds them."""
    for member in part.members if isinstance(part, Part) else part.items:
        if isinstance(member, Part) and member.holds is not None:
            yield member.holds
        elif isinstance(member, Region) and member.test is not None:
            expr, scope = member.test
            yield evaluate(expr, ChainMap(_Known(scope)))
        if isinstance(member, (Part, Region)):
            yield from _conditions(member)


class _Known(dict[str, Any]):
    """The names that a scope of the compiler knows."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    def __contains__(self, name: object) -> bool:
        return self.scope.find(str(name)) is not None

    def __missing__(self, name: str) -> Any:
        if name == "in":
            return self.scope.find_in_hand()
        known = self.scope.find(name)
        if known is None:
            raise KeyError(name)
        return _exact(known.value)


def _exact(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_exact, value))
    return Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else value
