"""Logging of a run: a line per epoch, a progress bar, and CSV tables."""

# Libraries without types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import csv
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from archdsl.core.sizes import size_text
from archdsl.train.averages import whole
from archdsl.train.best import best_of, is_exhausted, metric_of
from archdsl.train.checkpoints import save_weights, weights_of
from archdsl.train.run import BEST, WEIGHTS, TrainingError
from archdsl.train.tables import Table, epochs_table, history_of, steps_table
from archdsl.train.task import DIVERGED, Task

if TYPE_CHECKING:
    from pathlib import Path

    from lightning import LightningModule, Trainer

    from archdsl.train.best import Row
    from archdsl.train.engine import Engine
    from archdsl.train.objectives.base import Objective

SKIPPED = "skipped.csv"


class Journal(Callback):
    """Callback that measures each step, writes the tables, prints a line for each epoch, and stops early.

    Args:
        folder: the folder of the run.
        engine: the settings of the run: the metric that decides which epoch is the best, and the patience.
        objective: the objective, with its metrics.
    """

    def __init__(self, folder: Path, engine: Engine, objective: Objective) -> None:
        self.steps, self.epochs = steps_table(folder), epochs_table(folder, objective.metrics)
        self.folder, self.engine, self.objective = folder, engine, objective
        self.history: list[Row] = []  # the epochs among which `best.safetensors` is the best
        self.began = self.ended = 0.0  # times of the last part of a batch
        self.waited = self.worked = 0.0  # seconds of this step
        self.now: dict[str, Any] = {}  # metrics of the last step
        self.reported = 0  # number of skipped videos that were reported

    def state_dict(self) -> dict[str, Any]:
        """Return the history, from which the best epoch and the end by patience follow."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the history."""
        self.history = state_dict["history"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Truncate the tables to the step from which the run resumes."""
        known, done = cast("Task", pl_module).from_all(history_of(self.epochs))[0], trainer.current_epoch
        if not self.history:  # in a checkpoint of archdsl 0.2
            self.history = [row for row in known if row["epoch"] <= done]
        best = best_of(known, self.engine.best)
        if best is not None and best["epoch"] > done:
            self.history = []  # its weights have replaced those of the epochs before
            say(trainer, f"{self.folder / BEST}: removed: it is from epoch {best['epoch']:.0f}, which begins again")
        if trainer.is_global_zero:
            if not self.history:
                (self.folder / BEST).unlink(missing_ok=True)
            self.steps.begin("step", trainer.global_step)
            self.epochs.begin("epoch", done)
        self._stop_early(trainer)

    def _stop_early(self, trainer: Trainer) -> None:
        """Stop the training, in each process, if the patience is exhausted."""
        if is_exhausted(self.history, self.engine.best, self.engine.patience):
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Exclude the time between two epochs from the waiting time."""
        del trainer, pl_module
        self.ended = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Measure the time spent waiting for data."""
        del trainer, pl_module
        self.began = time.perf_counter()
        self.waited += self.began - self.ended

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any) -> None:
        """Measure the time of a part of a batch; log the metrics if it completes a step."""
        task = cast("Task", pl_module)
        self.ended = time.perf_counter()
        self.worked += self.ended - self.began
        if len(task.lost) < task.run.engine.accumulate:
            return
        total = self.waited + self.worked
        self.now = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch + 1,
            "loss": task.mean_loss(),
            "lr": max(group["lr"] for group in trainer.optimizers[0].param_groups),
            "gradient_norm": task.norm,
            "clips_per_second": round(task.run.engine.batch / total, 3),
            "data_wait": round(self.waited / total, 4),
            "memory": memory(),
        }
        self.waited = self.worked = 0.0
        self.ended = time.perf_counter()
        if trainer.is_global_zero:
            self.steps.add(self.now)
            log_metrics(trainer, {k: v for k, v in self.now.items() if k != "step"})
            now = time.perf_counter()
            self.worked, self.ended = now - self.ended, now  # this is no waiting for data

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the validation metrics, and save the weights (of the moving average, if any).

        Raises:
            TrainingError: if outputs are not finite; no file is changed.
        """
        task = cast("Task", pl_module)
        metrics, weights = self._tested(task), weights_of(trainer)
        self._skipped(trainer, task)
        if metrics:
            self.history.append({"epoch": trainer.current_epoch + 1, **metrics})
        if not trainer.is_global_zero:
            return
        save_weights(weights, self.folder / WEIGHTS)
        if metrics and best_of(self.history, self.engine.best) is self.history[-1]:
            save_weights(weights, self.folder / BEST)
        rows = [row for row in self.steps.rows() if int(row["epoch"]) == trainer.current_epoch + 1]
        mean = {k: sum(float(r[k]) for r in rows) / len(rows) for k in ("loss", "clips_per_second", "data_wait")}
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **mean, "memory": memory()}
        row |= {f"val_{name}": value for name, value in metrics.items()}
        self.epochs.add(row)
        log_metrics(trainer, {f"val_{k}": v for k, v in metrics.items()})
        say(trainer, self._line(row, trainer.max_epochs))

    def _tested(self, task: Task) -> dict[str, float]:
        """Return the metrics of a validation, the same in each process to the last digit; empty without validation."""
        if task.run.data.no_val:
            finite = all(bool(whole(weight.detach()).isfinite().all()) for weight in task.parameters())
            metrics: dict[str, float] = {}
        else:
            _, targets, answers = task.tested()
            finite, metrics = bool(answers.isfinite().all()), self.objective.scores(targets, answers)
        if not finite:  # the loss of the last step can be finite before its update
            raise TrainingError(f"outputs are not finite after step {task.global_step}; {DIVERGED}")
        return task.from_all(metrics)[0]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop early, after the checkpoint of this epoch."""
        del pl_module
        self._stop_early(trainer)

    def _line(self, row: dict[str, Any], epochs: int | None) -> str:
        validation = "no validation"
        if "val_loss" in row:
            shown = ((metric_of(name), row[f"val_{name}"]) for name in self.objective.shown)
            scores = [
                f"loss {row['val_loss']:.3f}",
                *(f"{metric.title} {metric.text(value)}" for metric, value in shown),
            ]
            validation = f"validation: {', '.join(scores)}"
        return (
            f"epoch {row['epoch']}/{epochs}: loss {row['loss']:.3f}; {validation}; "
            f"{row['clips_per_second']:.1f} clips/s, {row['data_wait']:.0%} of the time waiting for data, "
            f"{size_text(row['memory'])}{self._best_text()}"
        )

    def _best_text(self) -> str:
        """Return the best epoch, where the user has named the metric or the patience."""
        metric, best = self.engine.best, best_of(self.history, self.engine.best)
        if best is None or (metric == self.objective.metrics[0] and not self.engine.patience):
            return ""
        value = metric_of(metric).text(best[metric])
        return f"; best {metric_of(metric).title}: {value}, epoch {best['epoch']:.0f}"

    def _skipped(self, trainer: Trainer, task: Task) -> None:
        """Write the table of skipped videos."""
        skipped = task.skipped()
        if len(skipped) <= self.reported or not trainer.is_global_zero:
            return
        self.reported = len(skipped)
        table = Table(self.folder / SKIPPED, ("path", "reason"))
        known = {row["path"]: row["reason"] for row in table.rows()}
        with table.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows(sorted((known | skipped).items()))
        say(trainer, f"{len(skipped)} videos could not be used and were skipped; for the reasons see {table.path}")


class Bar(TQDMProgressBar):
    """The progress bar of an epoch, with clips/s, the share of time spent waiting for data, and memory."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self.journal = journal

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Set the title of the bar, with epochs counted from 1."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return the metrics beside the bar."""
        del trainer, pl_module
        now = self.journal.now
        if not now:
            return {}
        return {
            "loss": f"{now['loss']:.3f}",
            "clips/s": f"{now['clips_per_second']:.1f}",
            "wait": f"{now['data_wait']:.0%}",
            "memory": size_text(now["memory"]),
        }


def log_metrics(trainer: Trainer, metrics: dict[str, Any]) -> None:
    """Log metrics of the current step; a tracker that fails gets no more of them, and the run goes on."""
    for logger in trainer.loggers:
        try:
            logger.log_metrics(metrics, trainer.global_step)
        except Exception as error:
            if isinstance(logger, TensorBoardLogger):
                raise
            trainer.loggers = [other for other in trainer.loggers if other is not logger]
            name = "wandb" if isinstance(logger, WandbLogger) else "mlflow"
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            say(trainer, f"--log {name}: {reason}; from step {trainer.global_step} on it gets no metrics of this run")


def say(trainer: Trainer, line: str) -> None:
    """Print a line, above the progress bar if there is one."""
    if not trainer.is_global_zero:
        return
    bar = trainer.progress_bar_callback
    if bar is not None and sys.stderr.isatty():
        bar.print(line)
    else:
        print(line, flush=True)


def memory() -> int:
    """Return the peak memory of this process in bytes: on the GPU if there is one, otherwise in RAM."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
