"""Training plans: memory and throughput of each strategy and checkpointing granularity, and the best that fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from archdsl.planning.memory import CHECKPOINTINGS, STRATEGIES, Sizes, Way
from archdsl.planning.time import step_time

if TYPE_CHECKING:
    from archdsl.planning.memory import Activations, Optimizer, States
    from archdsl.planning.time import Machine, StepTime
    from archdsl.targets.torch.ops.sites import Precision
    from archdsl.targets.torch.select import OpNetwork

MOST = 2**16  # largest batch on one GPU that is tried
EQUAL = 0.05  # relative difference of throughputs that a roofline cannot resolve


@dataclass(frozen=True)
class Limits:
    """The memory of a GPU, in bytes."""

    memory: int
    reserve: int  # for CUDA's context, kernel workspaces, and fragmentation

    @property
    def usable(self) -> int:
        return self.memory - self.reserve


@dataclass(frozen=True)
class Setup:
    """The settings shared by all choices."""

    machine: Machine
    optimizer: Optimizer
    precision: Precision
    limits: Limits
    batch: int | None = None  # clips on one GPU; None for the largest batch that fits, for each choice


@dataclass(frozen=True)
class Choice:
    """Estimates for one strategy and checkpointing granularity."""

    way: Way
    states: States
    largest: int  # largest batch that fits one GPU; 0 if a single clip does not
    batch: int  # clips on one GPU in the estimates below
    activations: Activations
    time: StepTime
    room: int  # usable memory of a GPU, in bytes

    @property
    def memory(self) -> int:
        """Peak memory in bytes, without the reserve."""
        return self.states.total + self.activations.total

    @property
    def fits(self) -> bool:
        return self.memory <= self.room


@dataclass(frozen=True)
class Plan:
    """Estimates for all choices of strategy and checkpointing."""

    network: OpNetwork
    setup: Setup
    choices: tuple[Choice, ...]  # the simplest first

    @property
    def best(self) -> Choice | None:
        """The simplest choice that fits and whose throughput equals the highest, within `EQUAL`; None if none fits."""
        fitting = [c for c in self.choices if c.fits]
        most = max(map(self.rate, fitting), default=0.0)
        return next((c for c in fitting if self.rate(c) >= most * (1 - EQUAL)), None)

    @property
    def roomiest(self) -> Choice:
        """The choice with the largest batch, or with the least memory if none fits."""
        return max(self.choices, key=lambda c: (c.largest, -c.memory))

    def rate(self, choice: Choice) -> float:
        """Return the throughput of all GPUs, in clips per second."""
        return self.setup.machine.gpus * choice.batch / choice.time.total

    def hours(self, choice: Choice, videos: int, epochs: float) -> float:
        """Return the hours of training, for one clip of each video in each epoch."""
        return epochs * ceil(videos / (self.setup.machine.gpus * choice.batch)) * choice.time.total / 3600


def plan_training(network: OpNetwork, setup: Setup) -> Plan:
    """Return the estimates of all choices for a network lowered by `archdsl.targets.torch.lower`."""
    sizes = Sizes(network, setup.precision)
    strategies = STRATEGIES if setup.machine.gpus > 1 else STRATEGIES[:1]
    ways = [Way(strategy, checkpointing) for strategy in strategies for checkpointing in CHECKPOINTINGS]
    return Plan(network, setup, tuple(_choice(sizes, setup, way) for way in ways))


def _choice(sizes: Sizes, setup: Setup, way: Way) -> Choice:
    states = sizes.states(setup.optimizer, way, setup.machine.gpus)
    room = setup.limits.usable
    largest = largest_batch(sizes, way.checkpointing, room - states.total)
    clips = setup.batch or max(largest, 1)
    time = step_time(sizes, clips, setup.machine, setup.optimizer, way)
    return Choice(way, states, largest, clips, sizes.activations(clips, way.checkpointing), time, room)


def largest_batch(sizes: Sizes, checkpointing: str, room: int) -> int:
    """Return the largest batch whose activations fit `room` bytes, by bisection; 0 if a single clip does not fit."""

    def fits(batch: int) -> bool:
        return sizes.activations(batch, checkpointing).total <= room

    if not fits(1):
        return 0
    least, most = 1, 2
    while most <= MOST and fits(most):
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least


def plan_json(plan: Plan, videos: int | None, epochs: float) -> dict[str, Any]:
    """Return the plan as JSON data, in bytes, seconds and clips."""
    best, setup = plan.best, plan.setup
    return {
        "arch": plan.network.name,
        "gpu": setup.machine.gpu.name,
        "gpus": setup.machine.gpus,
        "gpus_per_node": setup.machine.per_node,
        "efficiency": setup.machine.efficiency,
        "memory": setup.limits.memory,
        "reserve": setup.limits.reserve,
        "optimizer": asdict(setup.optimizer),
        "batch": setup.batch,
        "choices": [_choice_json(plan, c, videos, epochs) for c in plan.choices],
        "best": best.way._asdict() if best is not None else None,
    }


def _choice_json(plan: Plan, choice: Choice, videos: int | None, epochs: float) -> dict[str, Any]:
    data: dict[str, Any] = {
        **choice.way._asdict(),
        "largest_batch": choice.largest,
        "batch": choice.batch,
        "fits": choice.fits,
        "memory": {"total": choice.memory, **asdict(choice.states), "activations": asdict(choice.activations)},
        "seconds": {"step": choice.time.total, **asdict(choice.time)},
        "communication_share": choice.time.share,
        "clips_per_second": plan.rate(choice),
    }
    return data | ({"hours": plan.hours(choice, videos, epochs)} if videos is not None else {})
