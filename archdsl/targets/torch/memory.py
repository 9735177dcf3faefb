"""What training keeps of a network until the backward pass, from its lowered graph alone.

Counted are the bytes of activations that autograd holds after a forward pass, weights and buffers left out, as torch
computes on a CPU with several threads; with one, it puts the channels of some convolutions elsewhere. In float32, or
with torch.autocast in 16 bits, whose copies of weights are no activations; or on a GPU, whose kernels of attention keep
less. The memory of one clip can be a view where that of several is a copy; not all of these places are known.
A tensor that several layers keep counts once, and so does what lies in the memory of another: a view, or the result of
an operation in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.ir.flow import externals, in_order
from archdsl.ir.regions import BlockRow
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, PLAIN, Precision, TrainingStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.ir.network import Node
    from archdsl.ir.regions import Region
    from archdsl.targets.torch.select import OpNetwork, OpNode

Tensors = dict[tuple[str, int], int]  # bytes of each piece of memory: that of a value, or a layer's own


@dataclass(frozen=True, eq=False)
class Memory:
    """What autograd keeps for a number of clips, layer by layer."""

    network: OpNetwork
    batch: int
    kept: dict[int, Tensors]  # by node
    places: dict[int, int]  # of each value, that in whose memory it lies
    channels_last: dict[int, bool]  # whether a value has its channels last in memory
    precision: Precision = PLAIN
    numbers: dict[int, int] = field(default_factory=dict[int, int])  # bytes of a number of each value
    trained: dict[int, bool] = field(default_factory=dict[int, bool])  # whether a value has a gradient

    def value(self, number: int) -> Tensors:
        """The memory that a value lies in."""
        place = self.places[number]
        return {("value", place): self.numbers[place] * self.batch * int(self.network.node(place).shape.elements)}

    def of(self, nodes: Iterable[int]) -> Tensors:
        """What some layers keep together."""
        found: Tensors = {}
        for number in nodes:
            found |= self.kept[number]
        return found

    @property
    def total(self) -> int:
        """Bytes of all that is kept."""
        return sum(self.of(self.kept).values())


def memory_of(network: OpNetwork, batch: int, precision: Precision = PLAIN) -> Memory:
    """What autograd keeps of a lowered network for `batch` clips."""
    memory = Memory(network, batch, {}, {}, {}, precision)
    for node in map(network.node, in_order(network)):
        place = node.inputs and (node.inplace or node.is_view)
        memory.places[node.id] = memory.places[node.inputs[0]] if place else node.id
        sizes = [memory.numbers[i] for i in node.inputs]
        memory.numbers[node.id] = node.op.element_size(sizes, precision) if sizes else FLOAT
        memory.channels_last[node.id] = _channels_last(memory, node)
        memory.trained[node.id] = has_gradients(node) or any(memory.trained[i] for i in node.inputs)
        memory.kept[node.id] = _kept(memory, node) if memory.trained[node.id] else {}
    return memory


def has_gradients(node: Node) -> bool:
    """Whether a layer has weights that training moves."""
    return bool(node.inputs) and bool(node.layer.params(*node.input_shapes)) and not node.is_frozen


def _channels_last(memory: Memory, node: OpNode) -> bool:
    """What has one position is as good as in any order."""
    if not node.inputs:
        return False
    if node.shape.positions == 1 or node.op.puts_channels_last or node.layout in (CHANNELS_LAST, TOKENS):
        return True
    return node.op.keeps_order and all(memory.channels_last[i] for i in node.inputs)


def _kept(memory: Memory, node: OpNode) -> Tensors:
    number = memory.numbers[node.id]
    step = TrainingStep(
        node.layout,
        channels_last=memory.channels_last[node.inputs[0]],
        batch=memory.batch,
        precision=memory.precision,
        element_size=number,
        casts=memory.numbers[node.inputs[0]] != number,
    )
    saved = node.op.saved_for_backward(step)
    found: Tensors = {("own", node.id): int(saved.own) * memory.batch + int(saved.once)}
    for value in (*(node.inputs if saved.inputs else ()), *([node.id] if saved.output else [])):
        found |= memory.value(value)
    return found


@dataclass(frozen=True)
class Row:
    """What is kept of a part of a network: tensors that no part before it keeps."""

    name: str
    path: str
    bytes: int


def memory_rows(memory: Memory, level: str = "stage") -> list[Row]:
    """What is kept of each stage, block or layer, in the order of data flow; the rows add up to the total."""
    seen: Tensors = {}
    rows: list[Row] = []
    for part in memory.network.regions:
        split = _split(memory.network, part, level) if level != "stage" else [(part.stage, list(part.nodes()))]
        for name, nodes in split:
            new = {k: v for k, v in memory.of(nodes).items() if k not in seen}
            seen |= new
            rows.append(Row(name, part.path, sum(new.values())))
    return [row for row in rows if row.bytes]


def _split(network: OpNetwork, region: Region, level: str) -> Iterator[tuple[str, list[int]]]:
    """Yield the blocks or layers of a region with their nodes, as tables of costs have them."""
    for item in region.items:
        if isinstance(item, int):
            yield network.node(item).name, [item]
        elif isinstance(item, BlockRow) or level == "layer":
            yield from _split(network, item, level)
        else:
            yield item.name, list(item.nodes())


def held(memory: Memory, checkpointed: Iterable[Region]) -> tuple[int, int]:
    """Bytes that are kept if regions are checkpointed, and of the largest of these while it is computed again."""
    pieces = list(checkpointed)
    inside = {n for region in pieces for n in region.nodes()}
    kept = memory.of(n for n in memory.kept if n not in inside)
    for region in pieces:
        for value in externals(memory.network, region):
            kept |= memory.value(value)
    again = (sum(v for k, v in memory.of(region.nodes()).items() if k not in kept) for region in pieces)
    return sum(kept.values()), max(again, default=0)
