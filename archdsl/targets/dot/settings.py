"""Settings of blocks, as text in their boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.values import Symbol, describe
from archdsl.ir.regions import Block, around
from archdsl.ir.signature import channels_of
from archdsl.layers.attributes import RULES
from archdsl.targets.dot.style import UNSEEN, value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network

DIGITS = 3


def settings_of(network: Network, block: Block, firsts: Sequence[int] = ()) -> dict[str, str]:
    """Return the arguments of a block that are not the defaults, as text by name, without how weights begin.

    A range where the folded copies differ, whose first layers are `firsts`.
    """
    blocks = [_counterpart(network, block, n) for n in firsts] or [block]
    names = dict.fromkeys(name for b in blocks for name in b.arguments.values if name not in (*UNSEEN, *_of_values(b)))
    found: dict[str, str] = {}
    for name in names:
        if all(name in b.arguments.defaults or _is_usual(b, name, b.arguments.values.get(name)) for b in blocks):
            continue
        values = [b.arguments.values[name] for b in blocks if name in b.arguments.values]
        if any(isinstance(v, Symbol) and v.name in RULES for v in values):
            continue
        found[name] = name if all(v is True for v in values) else f"{name} {range_text(values)}"
    return found


def _of_values(block: Block) -> set[str]:
    """Return the names of arguments that follow from the values that a block is given, which edges show."""
    return set(map(channels_of, block.values))


def _counterpart(network: Network, block: Block, first: int) -> Block:
    """Return the copy of a block that begins with another layer."""
    size = len(list(block.nodes()))
    for region in around(network.node(first).region):
        if isinstance(region, Block) and region.signature is block.signature and len(list(region.nodes())) == size:
            return region
    return block


def range_text(values: Sequence[Any]) -> str:
    """Return a value as text, or the range of several numbers, as in `0.05–0.2`, or else the different values."""
    different = list(dict.fromkeys(value_text(v, DIGITS) for v in values))
    numbers = [v for v in values if isinstance(v, (int, float)) or hasattr(v, "numerator")]
    if len(different) > 1 and len(numbers) == len(values):
        return f"{value_text(min(numbers), DIGITS)}–{value_text(max(numbers), DIGITS)}"
    return "/".join(different)


def _is_usual(block: Block, name: str, value: Any) -> bool:
    """Return True if the argument of a block equals the default of its parameter."""
    parameter = next((p for p in block.signature.parameters if p.name == name), None)
    if parameter is None or parameter.default is None:
        return False
    if parameter.number is not None:
        return value in (parameter.number, (parameter.number,) * 3)  # a `size` is given as one number, too
    if parameter.default in block.arguments.values:
        return block.arguments.values[parameter.default] == value
    return parameter.default == describe(value).strip("`")
