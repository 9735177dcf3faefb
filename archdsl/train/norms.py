"""Statistics of batch norms, computed anew from training clips (precise batch norm, Wu and Johnson 2021, section 3)."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning import Callback
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from archdsl.train.data.dataset import seed_of
from archdsl.train.loading import Loader, Order, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightning import LightningModule, Trainer

    from archdsl.train.loading import TrainLoader
    from archdsl.train.task import Task


class PreciseNorms(Callback):
    """Callback that computes the statistics of batch norms from some training batches, before each validation.

    The moving average of training lags behind the weights. Clips, crops and their order differ from those of the epoch.

    Args:
        loader: the loader of training.
        batches: number of batches; an epoch's at most.
    """

    def __init__(self, loader: TrainLoader, batches: int) -> None:
        self.loader, self.batches = loader, batches

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the statistics, and average them over processes."""
        task = cast("Task", pl_module)
        engine, order = task.run.engine, self.loader.order
        own = Order(order.videos, engine, order.rank, order.repeats, order.weights)
        own.epoch = -1 - trainer.current_epoch
        keys = list(islice(own, self.batches))
        clips: Any = Loader(self.loader.dataset, batch_sampler=keys, **workers_of(engine))
        torch.manual_seed(seed_of(engine.seed, own.epoch, order.rank))
        inputs = (task.normalised(batch["clip"][:, 0].to(task.device)) for batch in clips)
        task.on_train_epoch_start()
        for norm in compute(task.model, inputs):
            for statistic in (norm.running_mean, norm.running_var):
                if statistic is not None and trainer.world_size > 1:
                    torch.distributed.all_reduce(statistic)
                    statistic.div_(trainer.world_size)
        task.model.eval()


def compute(model: nn.Module, inputs: Iterable[torch.Tensor]) -> list[_BatchNorm]:
    """Set the statistics of batch norms to the means of those of some inputs; return these norms.

    Norms in evaluation mode, as in frozen stages, keep theirs.

    Args:
        model: the generated module, in training mode.
        inputs: normalised clips (B, C, T, H, W).
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    with torch.no_grad():
        for clips in inputs:
            model(clips)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return norms
