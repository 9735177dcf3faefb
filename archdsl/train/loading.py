"""Which clip comes when: batches that a seed alone decides, whatever the number of processes, workers and restarts."""

# Much of what it calls has no types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from archdsl.train.data.dataset import Clips, collate, seed_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.train.engine import Engine


class Order:
    """The batches of training, an epoch at a time: lists of (epoch, index of the clip) for one of several processes.

    A step of the optimiser takes `engine.batch` clips of a random order; each process takes an equal share of them, in
    `engine.accumulate` parts. What is left over at the end of an epoch waits for the next one.
    """

    def __init__(self, clips: int, engine: Engine, rank: int) -> None:
        self.clips, self.engine, self.rank = clips, engine, rank
        self.part = engine.batch // (engine.world * engine.accumulate)
        self.epoch = self.done = 0  # batches of this epoch that have been taken

    def __len__(self) -> int:
        """Batches of one epoch."""
        return max(1, self.clips // self.engine.batch) * self.engine.accumulate

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = torch.Generator().manual_seed(seed_of(self.engine.seed, self.epoch))
        order = torch.randperm(self.clips, generator=generator).tolist()
        while len(order) < self.engine.batch:  # fewer videos than a batch has clips
            order += order
        for number in range(self.done, len(self)):
            begin = (number * self.engine.world + self.rank) * self.part
            yield [(self.epoch, index) for index in order[begin : begin + self.part]]


class TrainLoader(DataLoader[Any]):
    """Batches of clips for training, which goes on where its state says."""

    def __init__(self, clips: Clips, engine: Engine, rank: int) -> None:
        self.order = Order(len(clips), engine, rank)
        super().__init__(clips, batch_sampler=self.order, **workers_of(engine))

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.order.done == len(self.order):
            self.order.epoch, self.order.done = self.order.epoch + 1, 0
        for batch in super().__iter__():
            self.order.done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """How far it is."""
        return {"epoch": self.order.epoch, "done": self.order.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on from there."""
        self.order.epoch, self.order.done = state["epoch"], state["done"]


def test_loader(clips: Clips, engine: Engine, rank: int, batch: int) -> DataLoader[Any]:
    """All clips in turn, shared out among processes. Where they do not come out even, some are given twice."""
    each = -(-len(clips) // engine.world)
    mine = [(0, (rank * each + i) % len(clips)) for i in range(each)]
    parts = [mine[i : i + batch] for i in range(0, each, batch)]
    return DataLoader(clips, batch_sampler=parts, **workers_of(engine))


def workers_of(engine: Engine) -> dict[str, Any]:
    """How a loader of torch does its work. Workers are told apart from nothing: each clip has its own seed."""
    return {"num_workers": engine.workers, "collate_fn": collate, "pin_memory": torch.cuda.is_available()}
