"""The callback that decides when a checkpoint is written, and that ends a run by a signal."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Checkpoint

from archdsl.train.checkpoints import checkpoint_of, prune, replicate
from archdsl.train.run import LAST
from archdsl.train.stopping import Stop

if TYPE_CHECKING:
    from pathlib import Path

    from lightning import LightningModule, Trainer

    from archdsl.train.engine import Engine
    from archdsl.train.loading import TrainLoader
    from archdsl.train.task import Task


class Keep(Checkpoint):
    """Callback that writes a checkpoint at the end of every epoch, every few steps, and at the end by a signal.

    A signal ends the run after the step, or the batch of a validation, in which it arrives. A validation begins again
    when the run resumes.

    Args:
        folder: the folder of the run.
        engine: the settings of the run: the steps between two checkpoints, and the number of those that are kept.
        loader: the loader, whose position is saved; Lightning itself does not save it between epochs.
    """

    def __init__(self, folder: Path, engine: Engine, loader: TrainLoader) -> None:
        self.folder, self.engine, self.loader = folder, engine, loader
        self.anchor: tuple[float, int] = (0.0, 0)  # see `Task`
        self.validates = False  # a checkpoint that is written now is one of a validation

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the loader, and of the schedule."""
        return {**self.loader.state(), "anchor": list(self.anchor)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the position of the loader."""
        self.loader.set_position(state_dict)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Convert the position in an epoch to batches of this loader, whose number changes with settings and videos."""
        del trainer
        saved = checkpoint["callbacks"][self.state_key]
        saved = {"length": len(self.loader.order), "accumulate": self.loader.engine.accumulate, **saved}
        state, same = self.loader.restored(saved)
        checkpoint["callbacks"][self.state_key] = state
        current = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
        for name in ("ready", "started", "processed", "completed"):
            current[name] += state["done"] - saved["done"]
        self.anchor = tuple(saved.get("anchor", (0.0, 0)))
        steps = saved["length"] / saved["accumulate"], state["length"] / state["accumulate"]
        if not same or steps[0] != steps[1]:
            self.anchor = state["epoch"] + state["done"] / state["length"], checkpoint["global_step"]
        cast("Task", pl_module).anchor = self.anchor

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Handle signals at the end of steps; Lightning has installed a handler of its own before."""
        if trainer.is_global_zero:
            prune(self.folder, 1, trainer.current_epoch)
        signals = cast("Task", pl_module).signals
        signals.deferred = True
        signals.install()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Write a checkpoint every few steps, and at the end by a signal; that of an epoch's end has its metrics."""
        task, step, every = cast("Task", pl_module), trainer.global_step, self.engine.save_every
        if task.lost or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if task.stops or (every and step % every == 0):
            self._save(trainer)
        if task.stops:
            self._stop(trainer, task)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """End the run by a signal, except while the weights are those of the moving average."""
        task = cast("Task", pl_module)
        if not task.recipe.ema and task.any_stops():
            self.validates = True
            self._save(trainer)
            self._stop(trainer, task)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a checkpoint, after the metrics of the epoch; keep those of the last epochs."""
        self._save(trainer)
        if trainer.is_global_zero:
            epoch = trainer.current_epoch + 1
            if self.engine.keep:
                replicate(self.folder / LAST, checkpoint_of(self.folder, epoch))
            prune(self.folder, epoch - self.engine.keep + 1, epoch)
        if cast("Task", pl_module).any_stops():
            self._stop(trainer, cast("Task", pl_module))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let signals end the test at once."""
        del trainer
        cast("Task", pl_module).signals.deferred = False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Set a validation to its start: the results of its first batches are not in the checkpoint."""
        del trainer, pl_module
        if self.validates:
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
            counts = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
            progress["total"].update(counts)
            progress["current"].update(dict.fromkeys(counts, 0))
            progress["is_last_batch"] = False

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.folder / LAST)

    def _stop(self, trainer: Trainer, task: Task) -> None:
        task.signals.saved = f" after step {trainer.global_step}"
        raise Stop
