"""The memory of a training step on one GPU: what stays between steps, and the activations of its fullest moment.

Weights, their gradients, the optimiser's state and the moving average are in float32. Under autocast each product
takes a 16-bit copy of its weights, which stays until its backward pass has seen it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from archdsl.ir.flow import externals
from archdsl.ir.tensors import own_tensors
from archdsl.targets.torch.checkpoints import blocks_of, stages_of
from archdsl.targets.torch.memory import Memory, has_gradients, memory_of
from archdsl.targets.torch.ops.sites import FLOAT, HALF

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.ir.network import Node
    from archdsl.ir.regions import Region
    from archdsl.targets.torch.ops.sites import Precision
    from archdsl.targets.torch.select import OpNetwork

CHECKPOINTINGS = ("none", "block", "stage")
STRATEGIES = ("ddp", "fsdp")
STEPS = 8  # bytes of the number of batches that a norm has seen, which is no float
GATHERED = 2  # blocks whose weights are whole at a time: the one at work, and the next


@dataclass(frozen=True)
class Optimizer:
    """What of training follows from the recipe."""

    name: str = "sgd"  # or adamw
    momentum: float = 0.9  # of SGD
    ema: bool = False  # whether a moving average of the weights is kept

    @property
    def copies(self) -> int:
        """Numbers that it keeps for each weight: one momentum, or two moments."""
        return 2 if self.name == "adamw" else int(self.momentum > 0)


class Way(NamedTuple):
    """One way to train: what is shared out among GPUs, and what is computed again."""

    strategy: str = "ddp"
    checkpointing: str = "none"


@dataclass(frozen=True)
class States:
    """Bytes on one GPU that do not depend on the batch."""

    parameters: int
    gradients: int
    optimizer: int
    ema: int
    buffers: int
    casts: int  # copies of weights in 16 bits
    gathered: int  # whole weights and gradients of blocks, while these are computed

    @property
    def total(self) -> int:
        return sum(vars(self).values())


@dataclass(frozen=True)
class Activations:
    """Bytes on one GPU that follow from the batch, at the step's fullest moment."""

    clips: int  # the batch itself, if no layer keeps it
    kept: int  # until the backward pass, as autograd does
    more: int  # than that: gradients of activations, and what is computed again

    @property
    def total(self) -> int:
        return sum(vars(self).values())


class Sizes:
    """The tensors of a lowered network in numbers, for `precision`."""

    def __init__(self, network: OpNetwork, precision: Precision) -> None:
        self.network, self.precision = network, precision
        self.stages = stages_of(network)
        self.blocks = [b for stage in self.stages for b in blocks_of(stage)]
        self._memories: dict[int, Memory] = {}
        self._activations: dict[tuple[int, str], Activations] = {}

    def memory(self, batch: int) -> Memory:
        """What autograd keeps."""
        if batch not in self._memories:
            self._memories[batch] = memory_of(self.network, batch, self.precision)
        return self._memories[batch]

    def checkpointed(self, checkpointing: str) -> Sequence[Region]:
        """What is computed again."""
        return {"none": [], "block": self.blocks, "stage": self.stages}[checkpointing]

    @cached_property
    def weights(self) -> int:
        """All weights, frozen ones too."""
        return sum(map(weights_of, self.network.all_nodes()))

    @cached_property
    def trained(self) -> int:
        """Weights that have a gradient."""
        return sum(weights_of(n) for n in self.network.all_nodes() if has_gradients(n))

    @cached_property
    def buffers(self) -> int:
        """Bytes of the tensors of the state dict that are no weights."""
        shapes = [s for node in self.network.all_nodes() for s in _buffers(node)]
        return sum(FLOAT * prod(s) if s else STEPS for s in shapes)

    def casts(self, nodes: Iterable[int]) -> int:
        """Bytes of the 16-bit copies of weights that autocast makes for layers."""
        if not self.precision.half:
            return 0
        found = map(self.network.node, nodes)
        return HALF * sum(int(n.op.cast_weights()) for n in found if n.inputs)

    @cached_property
    def blocks_weights(self) -> list[int]:
        """Of each region that is sharded on its own, and of what is outside of all."""
        inside = [sum(weights_of(self.network.node(n)) for n in b.nodes()) for b in self.blocks]
        return [*inside, self.weights - sum(inside)]

    def activations(self, batch: int, checkpointing: str) -> Activations:
        """The step's fullest moment for `batch` clips."""
        key = batch, checkpointing
        if key not in self._activations:
            self._activations[key] = activations(self.memory(batch), self.checkpointed(checkpointing))
        return self._activations[key]

    def states(self, optimizer: Optimizer, way: Way, gpus: int = 1) -> States:
        """What stays from step to step, and what does not depend on the batch.

        `ddp`: all of it on each GPU; gradients lie in the buckets that are summed (gradient_as_bucket_view), which take
        no memory of their own. `fsdp`: each GPU has its part of it (torch.distributed.fsdp.fully_shard, block by
        block, and once for what is outside of all, which stays whole until the backward pass); to that come whole
        weights of the largest blocks, and the whole gradient of the largest. The moving average is not sharded:
        `archdsl train` refuses it there.
        """
        parts = gpus if way.strategy == "fsdp" else 1
        every = FLOAT * self.trained
        return States(
            _part(FLOAT * self.weights, parts),
            _part(every, parts),
            _part(optimizer.copies * every, parts),
            FLOAT * self.weights if optimizer.ema and parts == 1 else 0,
            self.buffers,
            self._casts(way.checkpointing),
            FLOAT * self._gathered() if parts > 1 else 0,
        )

    def _gathered(self) -> int:
        *blocks, outside = self.blocks_weights
        largest = sorted(blocks, reverse=True)[:GATHERED]
        return sum(largest) + outside + max(largest, default=outside)

    def _casts(self, checkpointing: str) -> int:
        """Copies in 16 bits at the fullest moment; those of a block that is computed again are made again."""
        pieces = [list(region.nodes()) for region in self.checkpointed(checkpointing)]
        inside = {n for nodes in pieces for n in nodes}
        outside = self.casts(node.id for node in self.network.all_nodes() if node.id not in inside)
        return outside + max(map(self.casts, pieces), default=0)


def weights_of(node: Node) -> int:
    """Numbers that a layer learns."""
    return int(node.layer.params(*node.input_shapes)) if node.inputs else 0


def _buffers(node: Node) -> list[tuple[int, ...]]:
    return list(own_tensors(node).values())[len(node.layer.weights(*node.input_shapes)) :] if node.inputs else []


def _part(size: int, parts: int) -> int:
    return -(-size // parts)


def activations(memory: Memory, checkpointed: Iterable[Region]) -> Activations:
    """The fullest moment of a backward pass, walked through layer by layer.

    Before the backward pass of a layer there are: what it and the layers before it keep, those of its own block too
    if the block is computed again, and the gradients of values that were used behind it and made before. A layer needs
    as much for the gradients of its own tensors as it keeps of them. While a block is computed again, there are its
    values that are still to be used, kept or not, and the gradient of its result. Blocks are taken
    to be computed again beside what all of them keep: though that is freed bit by bit, measured peaks lie between.
    """
    pieces = {n: region for region in checkpointed for n in region.nodes()}
    gradients, values = gradients_at(memory), values_at(memory)
    seen = set[tuple[str, int]]()
    within = set[tuple[str, int]]()  # the block that is computed again
    inside: Region | None = None
    kept = again = plain = largest = 0  # the last: while a block is computed again, and behind it in its backward pass
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
    """Bytes of what was not seen yet, and is from now on."""
    size = sum(v for k, v in tensors.items() if k not in seen)
    seen.update(tensors)
    return size


def values_at(memory: Memory) -> dict[int, dict[tuple[str, int], int]]:
    """The memory of the values that are there in the forward pass of each layer, as they were made and will be used."""
    last = {memory.places[i]: number for number in memory.kept for i in memory.network.node(number).inputs}
    found: dict[int, dict[tuple[str, int], int]] = {}
    alive: dict[tuple[str, int], int] = {}
    for number in memory.kept:
        alive |= memory.value(number)
        found[number] = dict(alive)
        for value in memory.network.node(number).inputs:
            if last[memory.places[value]] == number:
                alive.pop(("value", memory.places[value]), None)
    return found


def gradients_at(memory: Memory) -> dict[int, int]:
    """Bytes of the gradients of activations that there are in the backward pass of each layer.

    The gradient of a value is there from its last use, which comes first, until the layer that made it is done. Sums
    hand theirs on as it is, and so do views.
    """
    order = list(memory.kept)
    places: dict[int, int] = {}  # of the gradient of each value, the value that its memory was made for
    spans: dict[int, tuple[int, int]] = {}  # of that memory: the first and the last layer, in the order of data flow
    for index, number in reversed(list(enumerate(order))):
        node = memory.network.node(number)
        if not memory.trained[number]:
            continue
        place = places.setdefault(number, number)
        spans[place] = index, spans.get(place, (index, index))[1]
        handed_on = node.layer.hands_on_gradient or node.is_view
        for value in node.inputs:
            if memory.trained[value] and value not in places:
                places[value] = place if handed_on else value
                spans.setdefault(places[value], (index, index))
    changes = [0] * (len(order) + 1)
    for place, (first, last) in spans.items():
        size = memory.numbers[place] * memory.batch * int(memory.network.node(place).shape.elements)
        changes[first] += size
        changes[last + 1] -= size
    found: dict[int, int] = {}
    total = 0
    for number, change in zip(order, changes, strict=False):
        total += change
        found[number] = total + memory.kept[number].get(("own", number), 0)
    return found
