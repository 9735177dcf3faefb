"""Layers that are drawn with the graph inside of them: boxes for its parts, and edges between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.layers.interior import OUTER, Openable
from archdsl.targets.dot.style import layer_text, shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network, Node
    from archdsl.layers.interior import Cell, Interior, Part


def stacks_of(network: Network, numbers: Sequence[int], *, opens: bool) -> list[tuple[list[int], Interior | None]]:
    """Return layers in stacks: a layer, and the elementwise layers after it that keep its shape.

    If `opens`, layers with a graph inside stand alone, with that graph.
    """
    stacks: list[tuple[list[int], Interior | None]] = []
    for number in numbers:
        node = network.node(number)
        interior = node.layer.interior(*node.input_shapes) if opens and isinstance(node.layer, Openable) else None
        stack, opened = stacks[-1] if stacks else ([], None)
        if stack and opened is None and interior is None and _joins(network, stack[-1], node):
            stack.append(number)
        else:
            stacks.append(([number], interior))
    return stacks


def _joins(network: Network, before: int, node: Node) -> bool:
    only = node.inputs == (before,) and network.graph.out_degree(before) == 1
    return only and not node.layer.heavy and str(node.shape) == str(node.input_shapes[0])


@dataclass
class Opened:
    """The graph inside of a layer, with the id of the box of each part."""

    interior: Interior
    ids: list[str]
    edges: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])  # source, target, shape
    readers: dict[int, list[str]] = field(default_factory=dict[int, list[str]])  # boxes, by the number of an input

    def __post_init__(self) -> None:
        for part, name in zip(self.interior.parts, self.ids, strict=True):
            for number in part.inputs:
                if number > OUTER:
                    self.edges.append((self.ids[number], name, _shape(self.interior.parts[number])))
                else:
                    self.readers.setdefault(OUTER - number, []).append(name)

    def shared(self) -> set[str]:
        """Return the names of the steps whose weights others have."""
        return {cell.shares for part in self.interior.parts for cell in part.cells if cell.shares}

    def steps(self) -> dict[str, tuple[str, str]]:
        """Return the texts and the costs of all steps, by name."""
        cells = [cell for part in self.interior.parts for cell in part.cells]
        return {cell.name: (step_text(cell), f"{cell.params} {cell.macs} {cell.frozen}") for cell in cells}


def beside(parts: Sequence[Part]) -> list[bool]:
    """Return True for each part that is neither before nor behind one of the others."""
    before: list[set[int]] = []  # the parts on the way to each
    for part in parts:
        inner = [n for n in part.inputs if n > OUTER]
        before.append(set(inner).union(*(before[n] for n in inner)))
    numbers = [n for n, part in enumerate(parts) if part.cells]
    apart = [{m for m in numbers if m != n and m not in before[n] and n not in before[m]} for n in range(len(parts))]
    return [bool(others) for others in apart]


def step_text(cell: Cell) -> str:
    """Return the text of a step: a formula, or a layer, perhaps with what an input of it goes through."""
    if isinstance(cell.content, str):
        return cell.content
    aside = f" ({cell.aside[0]} → {layer_text(cell.aside[1])})" if cell.aside else ""
    return layer_text(cell.content) + aside


def _shape(part: Part) -> str:
    """Return the shape that a part gives, if it is none of those that enter it."""
    text = shape_text(part.shape)
    return "" if any(shape_text(shape) == text for shape in part.entering) else text
