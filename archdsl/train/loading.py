"""Data loaders whose batches depend on the seed only, not on the number of processes, workers or restarts."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from archdsl.train.data.dataset import Clips, Key, collate, seed_of
from archdsl.train.inventory import digest
from archdsl.train.stopping import outlive_signals, signals_blocked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.train.engine import Engine


class Order:
    """Batch sampler of training for one of several processes: per epoch, lists of (epoch, index of the video, copy).

    An optimizer step has `engine.batch` clips of videos in random order, `repeats` of each video in a row; each process
    has an equal share of them, in `engine.accumulate` parts. An incomplete batch at the end of an epoch is dropped.
    With `weights`, one for each video, videos are drawn with these probabilities, as many as there are.
    """

    def __init__(
        self, videos: int, engine: Engine, rank: int, repeats: int = 1, weights: torch.Tensor | None = None
    ) -> None:
        self.videos, self.engine, self.rank, self.repeats, self.weights = videos, engine, rank, repeats, weights
        self.part = engine.batch // (engine.world * engine.accumulate)
        self.epoch = self.done = 0  # `done`: batches of this epoch that have been used

    def __len__(self) -> int:
        """Return the number of batches of one epoch."""
        return max(1, self.videos * self.repeats // self.engine.batch) * self.engine.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(seed_of(self.engine.seed, self.epoch))
        if self.weights is None:
            drawn = torch.randperm(self.videos, generator=generator)
        else:
            drawn = torch.multinomial(self.weights, self.videos, replacement=True, generator=generator)
        order = list(product(drawn.tolist(), range(self.repeats)))
        while len(order) < self.engine.batch:  # fewer videos than clips in a batch
            order += order
        for number in range(self.done, len(self)):
            begin = (number * self.engine.world + self.rank) * self.part
            yield [Key(self.epoch, *clip) for clip in order[begin : begin + self.part]]


class Loader(DataLoader[Any]):
    """Loader whose workers outlive signals from their start."""

    def __iter__(self) -> Any:
        with signals_blocked():
            return super().__iter__()


class TrainLoader(Loader):
    """Loader of training batches, which can resume from its state dict."""

    def __init__(
        self, clips: Clips, engine: Engine, rank: int, repeats: int = 1, weights: torch.Tensor | None = None
    ) -> None:
        self.clips, self.engine = clips, engine
        self.order = Order(len(clips), engine, rank, repeats, weights)
        super().__init__(clips, batch_sampler=self.order, **workers_of(engine))

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.order.done == len(self.order):
            self.order.epoch, self.order.done = self.order.epoch + 1, 0
        for batch in super().__iter__():
            self.order.done += 1
            yield batch

    def state(self) -> dict[str, Any]:
        """Return the position of training, and what decides the clips of a step.

        The name is not that of Lightning's protocol, which restores the position of a loader without conversion.
        """
        order = self.order
        return {
            "epoch": order.epoch, "done": order.done, "length": len(order), "accumulate": self.engine.accumulate,
            "clips": [digest(self.clips.samples), self.engine.batch, order.repeats, order.weights is not None],
        }  # fmt: skip

    def restored(self, state: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Return a saved state in batches of this loader, and False if its epoch has to begin again."""
        own = self.state()
        ends, same = state["done"] == state["length"], state.get("clips", own["clips"]) == own["clips"]
        parts = state["done"] // state["accumulate"] * self.engine.accumulate
        done = own["length"] if ends else parts if same else 0
        return {**own, "epoch": state["epoch"], "done": done}, same

    def set_position(self, state: dict[str, Any]) -> None:
        """Set the position."""
        self.order.epoch, self.order.done = state["epoch"], state["done"]


def test_loader(clips: Clips, engine: Engine, rank: int, batch: int) -> DataLoader[Any]:
    """Return the loader of a test: all clips in order, padded with repeated clips to an equal number per process."""
    each = -(-len(clips) // engine.world)
    mine = [Key(0, (rank * each + i) % len(clips)) for i in range(each)]
    parts = [mine[i : i + batch] for i in range(0, each, batch)]
    return Loader(clips, batch_sampler=parts, **workers_of(engine))


def workers_of(engine: Engine) -> dict[str, Any]:
    """Return the worker options of torch's DataLoader; workers need no seeds, as each clip has its own."""
    return {
        "num_workers": engine.workers,
        "collate_fn": collate,
        "pin_memory": engine.device != "cpu" and torch.cuda.is_available(),
        "worker_init_fn": outlive_signals,
    }
