"""The time of a training step, from a roofline (Williams et al. 2009) and from what the network between GPUs carries.

A layer takes as long as its products at `efficiency` of the peak, or as its tensors through memory, whichever is more.
Its backward pass takes once that for the gradient of its input and once for that of its weights, or of what else it
takes. Nothing else is counted: no launches of kernels, no reading of videos.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archdsl.planning.memory import weights_of
from archdsl.targets.torch.memory import has_gradients
from archdsl.targets.torch.ops.sites import FLOAT

if TYPE_CHECKING:
    from archdsl.planning.gpus import Gpu
    from archdsl.planning.memory import Optimizer, Sizes, Way
    from archdsl.targets.torch.memory import Memory
    from archdsl.targets.torch.select import OpNode

BUCKET = 25 * 2**20  # bytes of gradients that DDP sums at once (bucket_cap_mb)
FLOPS = 2  # of a multiply-add


@dataclass(frozen=True)
class Machine:
    """GPUs, and how fast they are taken to be."""

    gpu: Gpu
    gpus: int = 1
    per_node: int = 8
    efficiency: float = 0.4  # of the peak, in products

    @cached_property
    def link(self) -> float:
        """Bytes per second in one direction that a ring through all GPUs carries.

        Within a node that is the link of a GPU. Between nodes the GPUs of a node share what leaves it, each by its own
        part of the ring.
        """
        if self.gpus <= self.per_node:
            return self.gpu.link
        return min(self.gpu.link, self.per_node * self.gpu.network)


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step of a GPU."""

    forward: float
    backward: float
    again: float  # what is computed again
    optimizer: float
    communication: float  # all of it, most of it hidden
    waiting: float  # for communication that nothing hides

    @property
    def total(self) -> float:
        return self.forward + self.backward + self.again + self.optimizer + self.waiting

    @property
    def share(self) -> float:
        """Of the step, what is spent waiting for other GPUs."""
        return self.waiting / self.total


def step_time(sizes: Sizes, batch: int, machine: Machine, optimizer: Optimizer, way: Way) -> StepTime:
    """One step of `batch` clips on each GPU."""
    memory = sizes.memory(batch)
    network = memory.network
    nodes = [n for n in map(network.node, memory.kept) if n.inputs]
    each = {n.id: layer_time(memory, n, machine) for n in nodes}
    forward = sum(each.values())
    backward = sum(each[n.id] * passes(memory, n) for n in nodes)
    inside = {n for region in sizes.checkpointed(way.checkpointing) for n in region.nodes()}
    again = sum(each[n.id] for n in nodes if n.id in inside and memory.trained[n.id])
    spread = machine.gpus if way.strategy == "fsdp" else 1
    updates = optimizer_bytes(sizes.trained, sizes.weights, optimizer, sharded=spread > 1) / spread
    traffic = _sharded if way.strategy == "fsdp" else _replicated
    communication, waiting = traffic(sizes, machine, forward, backward + again)
    return StepTime(forward, backward, again, updates / machine.gpu.bandwidth, communication, waiting)


def layer_time(memory: Memory, node: OpNode, machine: Machine) -> float:
    """Seconds of a layer's forward pass."""
    if node.is_view:
        return 0.0
    macs = memory.batch * int(node.layer.macs(node.shape, *node.input_shapes))
    products = FLOPS * macs / (peak(memory, node, machine.gpu) * machine.efficiency)
    return max(products, layer_bytes(memory, node) / machine.gpu.bandwidth)


def peak(memory: Memory, node: OpNode, gpu: Gpu) -> int:
    """FLOP/s of a layer's products: in float32, torch lets convolutions alone use TensorFloat-32."""
    if memory.precision.half:
        return gpu.half
    return gpu.tf32 if node.op.uses_tf32 else gpu.single


def layer_bytes(memory: Memory, node: OpNode) -> int:
    """What moves between memory and a layer: inputs, output, weights, and what it keeps of its own."""
    values = sum(_bytes(memory, i) for i in (*node.inputs, node.id))
    weights = node.op.element_size([FLOAT], memory.precision) * weights_of(node)
    return values + weights + memory.kept[node.id].get(("own", node.id), 0)


def _bytes(memory: Memory, number: int) -> int:
    return memory.numbers[number] * memory.batch * int(memory.network.node(number).shape.elements)


def passes(memory: Memory, node: OpNode) -> int:
    """How often a layer's time comes again in the backward pass."""
    into = any(memory.trained[i] for i in node.inputs)
    return (2 if has_gradients(node) or not weights_of(node) else 1) if into else int(has_gradients(node))


def optimizer_bytes(trained: int, weights: int, optimizer: Optimizer, *, sharded: bool) -> int:
    """What an update reads (weights, gradients, its state) and writes (weights and state); so for the average."""
    average = 3 * weights if optimizer.ema and not sharded else 0
    return FLOAT * ((3 + 2 * optimizer.copies) * trained + average)


def _replicated(sizes: Sizes, machine: Machine, forward: float, backward: float) -> tuple[float, float]:
    """DDP: a ring sums gradients while the backward pass goes on; only the last bucket has to be waited for."""
    del forward
    n, size = machine.gpus, FLOAT * sizes.trained
    if n == 1:
        return 0.0, 0.0
    whole, last = (2 * (n - 1) / n * s / machine.link for s in (size, min(size, BUCKET)))
    return whole, max(whole - backward, last)


def _sharded(sizes: Sizes, machine: Machine, forward: float, backward: float) -> tuple[float, float]:
    """FSDP: weights are gathered for either pass, gradients summed to shares; the first weights are waited for."""
    n = machine.gpus
    if n == 1:
        return 0.0, 0.0
    gather, reduce = ((n - 1) / n * FLOAT * s / machine.link for s in (sizes.weights, sizes.trained))
    first = (n - 1) / n * FLOAT * sizes.blocks_weights[-1] / machine.link
    return 2 * gather + reduce, first + max(0.0, gather - forward) + max(0.0, gather + reduce - backward)
