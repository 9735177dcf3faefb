"""Shapes that layers give, and the limits on the tensors and on the work of one layer.

Only the layers know the rules of shapes. Shapes cannot wait for a pass of their own, because what a spec says may
depend on them (`in.channels`): they are inferred as the nodes are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import MAX_ELEMENTS, SIZE_HINT, Grid, count_text
from archdsl.layers.attributes import unsuited
from archdsl.layers.base import ShapeError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from archdsl.layers.base import Layer

MAX_MACS = 10**16  # of one layer, for one clip; an attention map has fewer elements


def infer(layer: Layer, sound: set[Hashable], *shapes: Grid) -> Grid:
    """Return the shape that a layer gives, and add the layer to those whose sizes and initialisers were found right.

    Args:
        layer: with the values of its attributes.
        sound: the layers, with their inputs, that need no second look.
        shapes: of the inputs.

    Raises:
        ShapeError: if the layer does not fit its inputs, or its initialisers do not suit its tensors.
    """
    _check_tokens(layer, *shapes)
    output = layer.infer(*shapes)
    key = type(layer), *layer.values().values(), shapes
    if key not in sound:
        _check_sizes(layer, output, *shapes)
        _check_initialisers(layer, *shapes)
        sound.add(key)
    return output


def _check_initialisers(layer: Layer, *shapes: Grid) -> None:
    bad = unsuited(layer.inits(*shapes), layer.weights(*shapes))
    if bad is not None:
        symbol, message = bad
        attribute = next((key for key in layer.attributes if layer.values()[key] is symbol), "")
        raise ShapeError(message, attribute, "E0310", "`normal(std)`, `trunc_normal(std)` and `zeros` suit any tensor")


def _check_sizes(layer: Layer, output: Grid, *shapes: Grid) -> None:
    """Refuse tensors that torch, or any machine, could not hold: of values, of weights, of products in between."""
    sizes = {
        "gives a tensor": output.elements,
        "works on a tensor": layer.widest(*shapes),
        "has weights": layer.params(*shapes),
    }
    for what, size in sizes.items():
        if size > MAX_ELEMENTS:
            message = f"`{layer.kind}` {what} of {count_text(size)} numbers, at most {MAX_ELEMENTS:,}"
            raise ShapeError(message, code="E0707", hint=SIZE_HINT)
    macs = layer.macs(output, *shapes)
    if macs > MAX_MACS:
        message = f"`{layer.kind}` takes {count_text(macs)} multiply-adds for one clip, at most {MAX_MACS:,}"
        raise ShapeError(message, code="E0707", hint=SIZE_HINT)


def _check_tokens(layer: Layer, *shapes: Grid) -> None:
    """Refuse tokens where a layer works on grids alone."""
    for shape in shapes:
        if shape.tokens and not layer.takes_tokens:
            message = f"`{layer.kind}` cannot be applied to the {shape.tokens.noun} of {shape}"
            them = "it" if shape.tokens.number == 1 else "them"
            alone = f", `select({shape.tokens.names[0]})` takes it alone" if them == "it" else ""
            hint = f"`select(grid)` leaves {them} out{alone}, `grid {{ … }}` lets {them} pass"
            raise ShapeError(message, code="E0511", hint=hint)
