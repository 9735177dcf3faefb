"""Time of a training step, from a roofline model (Williams et al. 2009) and the bandwidth between GPUs.

The time of a layer is the longer of two: its FLOPs at `efficiency` of the peak, and its memory traffic at the full
bandwidth. Its backward pass takes as long again for the gradient of its input, and for the gradient of its weights (or
of its second operand). Kernel launches and data loading are not included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archdsl.layers.interior import Openable
from archdsl.planning.memory import weights_of
from archdsl.targets.torch.memory import has_gradients, has_weights
from archdsl.targets.torch.ops.sites import FLOAT

if TYPE_CHECKING:
    from archdsl.planning.gpus import Gpu
    from archdsl.planning.memory import Optimizer, Sizes, Way
    from archdsl.targets.torch.memory import Memory
    from archdsl.targets.torch.select import OpNode

BUCKET = 25 * 2**20  # bytes of gradients that DDP all-reduces at once (bucket_cap_mb)
FLOPS = 2  # per multiply-add


@dataclass(frozen=True)
class Machine:
    """The GPUs of a training run, and their assumed efficiency."""

    gpu: Gpu
    gpus: int = 1
    per_node: int = 8
    efficiency: float = 0.4  # fraction of the peak FLOP/s that convolutions and matrix products reach

    @cached_property
    def link(self) -> float:
        """Bandwidth of a ring through all GPUs in one direction, in bytes per second.

        Within a node it is the bandwidth of a GPU's link; between nodes, at most the total network bandwidth of a
        node's GPUs.
        """
        if self.gpus <= self.per_node:
            return self.gpu.link
        return min(self.gpu.link, self.per_node * self.gpu.network)


@dataclass(frozen=True)
class StepTime:
    """Duration of one training step, in seconds."""

    forward: float
    backward: float
    again: float  # recompute of checkpointed layers
    optimizer: float
    communication: float  # including the part that overlaps with computation
    waiting: float  # for communication that does not overlap

    @property
    def total(self) -> float:
        return self.forward + self.backward + self.again + self.optimizer + self.waiting

    @property
    def share(self) -> float:
        """Fraction of the step spent waiting for communication."""
        return self.waiting / self.total


def step_time(sizes: Sizes, batch: int, machine: Machine, optimizer: Optimizer, way: Way) -> StepTime:
    """Return the duration of one step with `batch` clips on each GPU."""
    memory = sizes.memory(batch)
    network = memory.network
    nodes = [n for n in map(network.node, memory.kept) if n.inputs]
    each = {n.id: layer_time(memory, n, machine) for n in nodes}
    forward = sum(each.values())
    backward = sum(each[n.id] * passes(memory, n) for n in nodes)
    inside = {n for region in sizes.checkpointed(way.checkpointing) for n in region.nodes()}
    again = sum(each[n.id] for n in nodes if n.id in inside and memory.trained[n.id])
    spread = machine.gpus if way.strategy == "fsdp" else 1
    updates = optimizer_bytes(sizes.trained, sizes.weights, optimizer) / spread
    traffic = _sharded if way.strategy == "fsdp" else _replicated
    communication, waiting = traffic(sizes, machine, forward, backward + again)
    return StepTime(forward, backward, again, updates / machine.gpu.bandwidth, communication, waiting)


def layer_time(memory: Memory, node: OpNode, machine: Machine) -> float:
    """Return the duration of a layer's forward pass, in seconds."""
    if node.is_view:
        return 0.0
    macs = memory.batch * int(node.layer.macs(node.shape, *node.input_shapes))
    products = FLOPS * macs / (peak(memory, node, machine.gpu) * machine.efficiency)
    return max(products, layer_bytes(memory, node) / machine.gpu.bandwidth)


def peak(memory: Memory, node: OpNode, gpu: Gpu) -> int:
    """Return the peak FLOP/s for a layer: in float32, torch uses TensorFloat-32 for convolutions only."""
    if memory.precision.half:
        return gpu.half
    return gpu.tf32 if node.op.uses_tf32 else gpu.single


def layer_bytes(memory: Memory, node: OpNode) -> int:
    """Return the memory traffic of a layer in bytes: inputs, output, weights, and internal tensors that it saves."""
    values = sum(_bytes(memory, i) for i in (*node.inputs, node.id))
    weights = node.op.element_size([FLOAT], memory.precision) * weights_of(node)
    return values + weights + memory.kept[node.id].get(("own", node.id), 0)


def _bytes(memory: Memory, number: int) -> int:
    return memory.numbers[number] * memory.batch * int(memory.network.node(number).shape.elements)


def passes(memory: Memory, node: OpNode) -> float:
    """Return the ratio of a layer's backward to its forward time: from 0 to 2."""
    into, trained = any(memory.trained[i] for i in node.inputs), has_gradients(node)
    return into + 1 - _held(node) if into or trained else 0


def _held(node: OpNode) -> float:
    """Return the part of a layer's multiply-adds that are products with weights which are not trained."""
    if isinstance(node.layer, Openable):
        held = node.layer.weighted_macs(frozen=not node.is_frozen)
        return held / int(node.layer.macs(node.shape, *node.input_shapes))
    return float(node.is_frozen and has_weights(node))


def optimizer_bytes(trained: int, weights: int, optimizer: Optimizer) -> int:
    """Return the memory traffic of an optimizer step in bytes.

    It reads weights, gradients and state, and writes weights and state; the update of the moving average reads the
    weights and the average, and writes the average.
    """
    average = 3 * weights if optimizer.ema else 0
    return FLOAT * ((3 + 2 * optimizer.copies) * trained + average)


def _replicated(sizes: Sizes, machine: Machine, forward: float, backward: float) -> tuple[float, float]:
    """Return the communication and waiting time of DDP: all but the last bucket overlap with the backward pass."""
    del forward
    n, size = machine.gpus, FLOAT * sizes.trained
    if n == 1:
        return 0.0, 0.0
    whole, last = (2 * (n - 1) / n * s / machine.link for s in (size, min(size, BUCKET)))
    return whole, max(whole - backward, last)


def _sharded(sizes: Sizes, machine: Machine, forward: float, backward: float) -> tuple[float, float]:
    """Return the communication and waiting time of FSDP.

    Weights are all-gathered for the forward and the backward pass, and gradients reduce-scattered; the first all-gather
    does not overlap.
    """
    n = machine.gpus
    if n == 1:
        return 0.0, 0.0
    gather, reduce = ((n - 1) / n * FLOAT * s / machine.link for s in (sizes.weights, sizes.trained))
    first = (n - 1) / n * FLOAT * sizes.blocks_weights[-1] / machine.link
    return 2 * gather + reduce, first + max(0.0, gather - forward) + max(0.0, gather + reduce - backward)
