"""GPU memory of a training step: persistent state, and activations at the peak.

Weights, gradients, optimizer state and moving average are in float32. Under autocast each convolution or matrix product
makes a 16-bit copy of its weights, which is alive until its backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from archdsl.ir.flow import externals
from archdsl.ir.tensors import own_params, own_tensors
from archdsl.layers.base import VALUES
from archdsl.targets.torch.checkpoints import blocks_of, stages_of
from archdsl.targets.torch.memory import Memory, memory_of
from archdsl.targets.torch.ops.sites import FLOAT, HALF

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.core.grid import Grid
    from archdsl.ir.network import Node
    from archdsl.ir.regions import Region
    from archdsl.targets.torch.ops.sites import Precision
    from archdsl.targets.torch.select import OpNetwork, OpNode

CHECKPOINTINGS = ("none", "block", "stage")
STRATEGIES = ("ddp", "fsdp")
STEPS = 8  # bytes of a norm's `num_batches_tracked`, an int64
GATHERED = 2  # blocks whose weights are gathered at a time: the current one, and the next


@dataclass(frozen=True)
class Optimizer:
    """The hyperparameters that determine the memory of optimizer states."""

    name: str = "sgd"  # or adamw
    momentum: float = 0.9  # of SGD
    ema: bool = False  # exponential moving average of the weights

    @property
    def copies(self) -> int:
        """State elements per weight: one momentum (SGD), or two moments (AdamW)."""
        return 2 if self.name == "adamw" else int(self.momentum > 0)


class Way(NamedTuple):
    """A strategy for several GPUs, and a granularity of checkpointing."""

    strategy: str = "ddp"
    checkpointing: str = "none"


@dataclass(frozen=True)
class States:
    """Memory on one GPU that does not depend on the batch, in bytes."""

    parameters: int
    gradients: int
    optimizer: int
    ema: int
    buffers: int
    casts: int  # 16-bit copies of weights
    gathered: int  # unsharded weights and gradients of blocks, while they are computed

    @property
    def total(self) -> int:
        return sum(vars(self).values())


@dataclass(frozen=True)
class Activations:
    """Memory on one GPU that depends on the batch, at the peak of a step, in bytes."""

    clips: int  # the batch itself, if no layer saves it
    kept: int  # saved for the backward pass
    more: int  # in addition: gradients of activations, and recomputed activations

    @property
    def total(self) -> int:
        return sum(vars(self).values())


class Sizes:
    """Sizes of the tensors of a lowered network, for `precision`."""

    def __init__(self, network: OpNetwork, precision: Precision) -> None:
        self.network, self.precision = network, precision
        self.stages = stages_of(network)
        self.blocks = [b for stage in self.stages for b in blocks_of(stage)]
        self._memories: dict[int, Memory] = {}
        self._activations: dict[tuple[int, str], Activations] = {}

    def memory(self, batch: int) -> Memory:
        """Return the tensors saved for the backward pass of `batch` clips."""
        if batch not in self._memories:
            self._memories[batch] = memory_of(self.network, batch, self.precision)
        return self._memories[batch]

    def checkpointed(self, checkpointing: str) -> Sequence[Region]:
        """Return the checkpointed regions."""
        return {"none": [], "block": self.blocks, "stage": self.stages}[checkpointing]

    @cached_property
    def weights(self) -> int:
        """Number of weights, including frozen ones."""
        return sum(map(weights_of, self.network.all_nodes()))

    @cached_property
    def trained(self) -> int:
        """Number of trainable weights."""
        return sum(params - frozen for params, frozen in map(own_params, self.network.all_nodes()))

    @cached_property
    def buffers(self) -> int:
        """Bytes of the buffers in the state dict."""
        shapes = [s for node in self.network.all_nodes() for s in _buffers(node)]
        return sum(FLOAT * prod(s) if s else STEPS for s in shapes)

    def casts(self, nodes: Iterable[int]) -> int:
        """Return the bytes of the 16-bit copies of weights that autocast makes for some layers."""
        if not self.precision.half:
            return 0
        layers = map(self.network.node, nodes)
        once = (n for n in layers if n.inputs and (n.is_frozen or not n.is_shared))  # a copy with gradients is kept
        return HALF * sum(int(n.op.cast_weights()) for n in once)

    @cached_property
    def blocks_weights(self) -> list[int]:
        """Number of weights of each region that is sharded separately, and of the rest of the network."""
        inside = [sum(weights_of(self.network.node(n)) for n in b.nodes()) for b in self.blocks]
        return [*inside, self.weights - sum(inside)]

    def activations(self, batch: int, checkpointing: str) -> Activations:
        """Return the activation memory at the peak of a step, for `batch` clips."""
        key = batch, checkpointing
        if key not in self._activations:
            self._activations[key] = activations(self.memory(batch), self.checkpointed(checkpointing))
        return self._activations[key]

    def states(self, optimizer: Optimizer, way: Way, gpus: int = 1) -> States:
        """Return the memory that does not depend on the batch.

        `ddp`: everything is replicated on each GPU; gradients are views of the all-reduce buckets
        (gradient_as_bucket_view), which take no extra memory. `fsdp`: everything is sharded
        (torch.distributed.fsdp.fully_shard, per block, and once for the rest, which stays gathered until the backward
        pass); added to that are the gathered weights of the largest blocks, and the unsharded gradient of the largest.
        The moving average is sharded as the weights are.
        """
        parts = gpus if way.strategy == "fsdp" else 1
        every = FLOAT * self.trained
        return States(
            _part(FLOAT * self.weights, parts),
            _part(every, parts),
            _part(optimizer.copies * every, parts),
            _part(FLOAT * self.weights, parts) if optimizer.ema else 0,
            self.buffers,
            self._casts(way.checkpointing),
            FLOAT * self._gathered() if parts > 1 else 0,
        )

    def _gathered(self) -> int:
        *blocks, outside = self.blocks_weights
        largest = sorted(blocks, reverse=True)[:GATHERED]
        return sum(largest) + outside + max(largest, default=outside)

    def _casts(self, checkpointing: str) -> int:
        """Return the bytes of 16-bit copies at the peak; recomputing a block makes its copies again."""
        pieces = [list(region.nodes()) for region in self.checkpointed(checkpointing)]
        inside = {n for nodes in pieces for n in nodes}
        outside = self.casts(node.id for node in self.network.all_nodes() if node.id not in inside)
        return outside + max(map(self.casts, pieces), default=0)


def weights_of(node: Node) -> int:
    """Return the number of weights of a layer; none of one that has those of another."""
    return own_params(node)[0]


def _buffers(node: Node) -> list[tuple[int, ...]]:
    """Return the shapes of a layer's buffers."""
    own = list(own_tensors(node).values())
    return own[len(node.layer.weights(*node.input_shapes)) :] if own else []


def _part(size: int, parts: int) -> int:
    return -(-size // parts)


def activations(memory: Memory, checkpointed: Iterable[Region]) -> Activations:
    """Return the activation memory at the peak of a backward pass, by simulating it layer by layer.

    Alive in the backward pass of a layer: the tensors saved by this layer and the layers before it (including those of
    its block, if recomputed), what it recomputes itself, and the gradients of values computed before it and read after
    it. The gradients of a layer's internal tensors take as much memory as the tensors. While a block is recomputed, the
    gradient of its output and all its values that will still be read are alive, saved or not. The estimate is an upper
    bound: it assumes that the inputs of all blocks are saved while one is recomputed, but they are freed one by one.
    """
    pieces = {n: region for region in checkpointed for n in region.nodes()}
    values = values_at(memory)
    gradients = {n: size + memory.recomputed.get(n, 0) for n, size in gradients_at(memory).items()}
    seen = set[tuple[str, int]]()
    within = set[tuple[str, int]]()  # tensors alive in the block that is recomputed
    inside: Region | None = None
    kept = again = plain = largest = 0  # `largest`: while a block is recomputed, or in its backward pass after that
    for number, tensors in memory.kept.items():
        region = pieces.get(number)
        if region is not inside:
            inside, again = region, 0
            kept += (
                sum(_new(memory.value(v), seen) for v in externals(memory.network, region)) if region is not None else 0
            )
            within = set(seen)
        if region is None:
            kept += _new(tensors, seen)
            plain = max(plain, kept + gradients[number])
        else:
            again += _new(tensors, within)
            passing = sum(size for key, size in values[number].items() if key not in within)
            result = sum(memory.value(region.exit).values())
            largest = max(largest, again + passing + result, again + gradients[number])
    fullest = max(plain, kept + largest)
    entries = {key: size for n in memory.network.inputs.values() for key, size in memory.value(n).items()}
    clips = sum(size for key, size in entries.items() if key not in seen)
    return Activations(clips, kept, max(0, fullest - kept))


def _new(tensors: dict[tuple[str, int], int], seen: set[tuple[str, int]]) -> int:
    """Return the bytes of tensors that are not in `seen`, and add them to it."""
    size = sum(v for k, v in tensors.items() if k not in seen)
    seen.update(tensors)
    return size


def values_at(memory: Memory) -> dict[int, dict[tuple[str, int], int]]:
    """Return the buffers of the values that are alive in the forward pass of each layer: computed, and read later."""
    last = {memory.places[i]: number for number in memory.kept for i in memory.network.node(number).inputs}
    values: dict[int, dict[tuple[str, int], int]] = {}
    alive: dict[tuple[str, int], int] = {}
    for number in memory.kept:
        alive |= memory.value(number)
        values[number] = dict(alive)
        for value in memory.network.node(number).inputs:
            if last[memory.places[value]] == number:
                alive.pop(("value", memory.places[value]), None)
    return values


def gradients_at(memory: Memory) -> dict[int, int]:
    """Return the bytes of the gradients of activations that are alive in the backward pass of each layer.

    The gradient of a value is alive from the backward pass of its last reader, which runs first, to that of the layer
    that computed it. Sums and views pass their gradient on without a copy.
    """
    order = list(memory.kept)
    places: dict[int, int] = {}  # for each value, the value whose gradient buffer it shares, or itself
    spans: dict[int, tuple[int, int]] = {}  # lifetime of each buffer: first and last layer, in the order of data flow
    for index, number in reversed(list(enumerate(order))):
        node = memory.network.node(number)
        if not memory.trained[number]:
            continue
        place = places.setdefault(number, number)
        spans[place] = index, spans.get(place, (index, index))[1]
        for value, entering in zip(node.inputs, node.input_shapes, strict=True):
            if memory.trained[value] and value not in places:
                places[value] = place if _hands_on(node, entering) else value
                spans.setdefault(places[value], (index, index))
    changes = [0] * (len(order) + 1)
    for place, (first, last) in spans.items():
        size = memory.numbers[place] * memory.batch * int(memory.network.node(place).shape.elements)
        changes[first] += size
        changes[last + 1] -= size
    gradients: dict[int, int] = {}
    total = 0
    for number, change in zip(order, changes, strict=False):
        total += change
        gradients[number] = total + memory.kept[number].get(("own", number), 0)
    return gradients


def _hands_on(node: OpNode, entering: Grid) -> bool:
    """Return True if the gradient of an input is that of the output, without a copy; of one that is repeated, a sum."""
    is_repeated = node.layer.joins == VALUES and entering.shape != node.shape.shape
    return node.is_view or (node.layer.hands_on_gradient and not is_repeated)
