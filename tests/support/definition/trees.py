"""What happens to each letter of an attention in lines, as a tree: by the compiler's network, to be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.layers.attention_lines import OUTSIDE, RESULT, Origin, X

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Lines
    from archdsl.layers.base import Layer

Tree = tuple[Any, ...]  # kind and settings of the last layer, the heads that it is applied to, the trees of its inputs


def settings(layer: Layer) -> Tree:
    """The settings of a layer; `on` is no number."""
    return tuple((k, isinstance(v, bool), v) for k, v in layer.values().items())


def described(lines: Lines) -> dict[str, Any]:
    """The trees of the letters that lines name, and the biases."""
    written = {k: v for k, v in lines.branches.items() if k in lines.places}
    found: dict[str, Any] = {k: _tree(lines, origin) for k, origin in written.items()}
    return {**found, "biases": [(b.layer.kind, settings(b.layer)) for b in lines.biases]}


def _tree(lines: Lines, origin: Origin) -> Tree:
    if origin.application <= OUTSIDE:
        return ("outside", OUTSIDE - origin.application)
    if origin.application in (X, RESULT):
        return ("in",) if origin.application == X else ("result",)
    applied = lines.applications[origin.application]
    inputs = applied.inputs[origin.part if len(applied.inputs) > 1 else 0]
    by_head = applied.heads if applied.heads != 1 else None
    return (applied.layer.kind, settings(applied.layer), by_head, *(_tree(lines, o) for o in inputs))
