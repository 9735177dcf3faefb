"""Activation memory of training: bytes saved for the backward pass, from the lowered graph alone.

This counts the activations that autograd holds after a forward pass, without weights and buffers, for float32 or
torch.autocast to 16 bits (whose copies of weights are no activations), on a CPU with several threads (with one, torch
chooses another memory format for some convolutions) or on a GPU, whose attention kernels save less. For a batch of one
clip, some copies are views; not all of these cases are known. A tensor that several layers save counts once, and so do
tensors that share memory: a view, or the result of an in-place operation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archdsl.core.grid import FRAME
from archdsl.ir.flow import externals
from archdsl.ir.regions import BlockRow
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, TOKENS
from archdsl.targets.torch.ops.sites import FLOAT, PLAIN, Precision, TrainingStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archdsl.ir.network import Node
    from archdsl.ir.regions import Region
    from archdsl.targets.torch.select import OpNetwork, OpNode

Tensors = dict[tuple[str, int], int]  # bytes of each buffer: ("value", node) or ("own", node) for internal tensors


@dataclass(frozen=True, eq=False)
class Memory:
    """Tensors saved for the backward pass of each layer, for `batch` clips."""

    network: OpNetwork
    batch: int
    kept: dict[int, Tensors]  # by node
    places: dict[int, int]  # for each value, the value whose memory it shares, or itself
    channels_last: dict[int, bool]  # values whose channels are last in memory
    by_frames: set[int] = field(default_factory=set[int])  # values whose frames come before their channels in memory
    sliced: set[int] = field(default_factory=set[int])  # values that are positions, or tokens, between others in memory
    precision: Precision = PLAIN
    numbers: dict[int, int] = field(default_factory=dict[int, int])  # element size in bytes of each value
    trained: dict[int, bool] = field(default_factory=dict[int, bool])  # values that require a gradient
    recomputed: dict[int, int] = field(default_factory=dict[int, int])  # bytes in the backward pass of a node alone

    def value(self, number: int) -> Tensors:
        """Return the buffer of a value, with its bytes."""
        place = self.places[number]
        return {("value", place): self.numbers[place] * self.batch * int(self.network.node(place).shape.elements)}

    def of(self, nodes: Iterable[int]) -> Tensors:
        """Return the tensors that some layers save, each once."""
        tensors: Tensors = {}
        for number in nodes:
            tensors |= self.kept[number]
        return tensors

    @property
    def total(self) -> int:
        """Bytes of all saved tensors."""
        return sum(self.of(self.kept).values())


def memory_of(network: OpNetwork, batch: int, precision: Precision = PLAIN) -> Memory:
    """Return the tensors that autograd saves in a forward pass of a lowered network, for `batch` clips."""
    memory = Memory(network, batch, {}, {}, {}, precision=precision)
    for node in network.all_nodes():
        place = node.inputs and (node.inplace or node.is_view or is_idle(node))
        memory.places[node.id] = memory.places[node.inputs[0]] if place else node.id
        if place and (node.inputs[0] in memory.sliced or _is_slice(node, batch)):
            memory.sliced.add(node.id)
        sizes = [memory.numbers[i] for i in node.inputs]
        memory.numbers[node.id] = node.op.element_size(sizes, precision) if sizes else FLOAT
        memory.channels_last[node.id] = _channels_last(memory, node)
        if _by_frames(memory, node):
            memory.by_frames.add(node.id)
        memory.trained[node.id] = has_gradients(node) or any(memory.trained[i] for i in node.inputs)
        saves = memory.trained[node.id] and not is_idle(node)
        memory.kept[node.id] = _kept(memory, node) if saves else {}
    return memory


def has_gradients(node: Node) -> bool:
    """Return True if a layer has trainable weights."""
    return has_weights(node) and len(node.frozen_weights) < len(node.layer.weights(*node.input_shapes))


def has_weights(node: Node) -> bool:
    """Return True if a layer has weights, be they those of another one."""
    return bool(node.inputs) and bool(node.layer.params(*node.input_shapes))


def is_idle(node: Node) -> bool:
    """Return True if a layer does nothing, as it is frozen and does something in training only."""
    return node.layer.training_only and node.is_frozen


def _is_slice(node: OpNode, batch: int) -> bool:
    """Return True for several of the positions and tokens of each clip or frame, which are no rows of one matrix."""
    x = node.input_shapes[0]
    groups = int(x.t) if x.token == FRAME else 1
    return x.tokens != node.shape.tokens and node.shape.positions > groups and batch * groups > 1


def _channels_last(memory: Memory, node: OpNode) -> bool:
    """Return True if a value has its channels last in memory; one of a single position or channel counts as such.

    Torch takes several positions of one channel as channels-first, and so is what it makes of other channels from them.
    """
    if 1 in (node.shape.positions, node.shape.channels):
        return True
    if not node.inputs:
        return False
    if node.op.puts_channels_last or node.layout in (CHANNELS_LAST, TOKENS):
        return True
    if not node.layer.elementwise and any(x.channels == 1 < x.positions for x in node.input_shapes):
        return False
    return node.op.keeps_order and all(memory.channels_last[i] for i in node.inputs)


def _by_frames(memory: Memory, node: OpNode) -> bool:
    """Return True if the frames of a value come before its channels in memory, and rows and columns behind them."""
    if not node.inputs or memory.channels_last[node.id]:
        return False
    keeps = node.op.is_view or node.layer.elementwise
    return node.op.by_frames or (keeps and node.inputs[0] in memory.by_frames)


def _kept(memory: Memory, node: OpNode) -> Tensors:
    number = memory.numbers[node.id]
    step = TrainingStep(
        node.layout,
        channels_last=memory.channels_last[node.inputs[0]],
        by_frames=node.inputs[0] in memory.by_frames,
        sliced=node.inputs[0] in memory.sliced,
        batch=memory.batch,
        precision=memory.precision,
        element_size=number,
        casts=memory.numbers[node.inputs[0]] != number,
        trains=not node.is_frozen,
        gradients=tuple(memory.trained[i] for i in node.inputs),
    )
    saved = node.op.saved_for_backward(step)
    memory.recomputed[node.id] = int(saved.recomputed) * memory.batch
    kept: Tensors = {("own", node.id): int(saved.own) * memory.batch + int(saved.once)}
    for value in (*saved.among(node.inputs), *([node.id] if saved.output else [])):
        kept |= memory.value(value)
    return kept


@dataclass(frozen=True)
class Row:
    """Activation memory of one part of a network, in bytes: tensors that no part before it saves."""

    name: str
    path: str
    bytes: int


def memory_rows(memory: Memory, level: str = "stage") -> list[Row]:
    """Return the activation memory of each stage, block or layer, in data-flow order; rows add up to the total."""
    seen: Tensors = {}
    rows: list[Row] = []
    for part in memory.network.regions:
        split = _split(memory.network, part, level) if level != "stage" else [(part.title, list(part.nodes()))]
        for name, nodes in split:
            new = {k: v for k, v in memory.of(nodes).items() if k not in seen}
            seen |= new
            rows.append(Row(name, part.path, sum(new.values())))
    return [row for row in rows if row.bytes]


def _split(network: OpNetwork, region: Region, level: str) -> Iterator[tuple[str, list[int]]]:
    """Yield the names of the blocks or layers of a region, with their nodes, as in a cost table."""
    for item in region.items:
        if isinstance(item, int):
            yield network.node(item).name, [item]
        elif isinstance(item, BlockRow) or level == "layer":
            yield from _split(network, item, level)
        else:
            yield item.name, list(item.nodes())


def held(memory: Memory, checkpointed: Iterable[Region]) -> tuple[int, int]:
    """Return the bytes saved with some regions checkpointed, and those of the largest one while it is recomputed."""
    pieces = list(checkpointed)
    inside = {n for region in pieces for n in region.nodes()}
    kept = memory.of(n for n in memory.kept if n not in inside)
    for region in pieces:
        for value in externals(memory.network, region):
            kept |= memory.value(value)
    recomputed = (sum(v for k, v in memory.of(region.nodes()).items() if k not in kept) for region in pieces)
    return sum(kept.values()), max(recomputed, default=0)
