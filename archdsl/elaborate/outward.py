"""Layers in the terms of the callers of blocks, where they have the variables of a block's parameters inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from archdsl.core.sym import Sym, substitute
from archdsl.ir.regions import Block, around
from archdsl.ir.signature import IN_CHANNELS

if TYPE_CHECKING:
    from archdsl.ir.regions import Region
    from archdsl.layers.base import Layer


def outward(layer: Layer, region: Region) -> Layer:
    """Return a layer of a region with its numbers in the terms of the outermost caller of the blocks around it."""
    for block in around(region):
        if isinstance(block, Block):
            layer = in_caller(layer, block)
    return layer


def in_caller(layer: Layer, block: Block) -> Layer:
    """Return a layer of a block with its numbers in the terms of the block's caller."""
    known = {**block.arguments.values, IN_CHANNELS: block.entering.channels}
    return layer.changed(**{k: _outward(v, known) for k, v in layer.values().items()})


def literal(layer: Layer) -> Layer:
    """Return a layer with the values that its numbers have here, without their formulas."""
    return layer.changed(**{k: literal_value(v) for k, v in layer.values().items()})


def literal_value(value: Any) -> Any:
    """Return a value whose numbers have no formulas."""
    if isinstance(value, tuple):
        return tuple(literal_value(v) for v in cast("tuple[Any, ...]", value))
    return int(value) if isinstance(value, Sym) else value


def _outward(value: Any, known: dict[str, Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_outward(v, known) for v in cast("tuple[Any, ...]", value))
    if not isinstance(value, Sym):
        return value
    try:
        found = substitute(value.formula, known)
    except KeyError:  # of the channels of a branch, which are in the terms of the line already
        return value
    return found if int(found) == int(value) else value  # of such channels, by a name that the block has, too
