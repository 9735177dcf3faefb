"""Experiment trackers of a run beside TensorBoard: Weights & Biases and MLflow."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import MLFlowLogger, WandbLogger

from archdsl.files import EnvironmentFault, write_atomically
from archdsl.train.environment import MLFLOW
from archdsl.train.figures import settings_of, shown
from archdsl.train.stopping import resume_text

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from lightning.pytorch.loggers.logger import Logger

    from archdsl.train.run import Run

PROJECT = "archdsl"
IDS = "trackers.json"  # the id of the run in each tracker, to continue it when the run resumes
STORE = "mlflow.db"  # MLflow's store in the folder of the run
EVERY, MOST = 2.0, 1000  # seconds between two calls of MLflow, and metrics per call
HINTS = {
    "wandb": "`wandb login` logs in, WANDB_MODE=offline logs into the folder of the run",
    "mlflow": "is MLFLOW_TRACKING_URI right, and does the server run?",
}


@contextmanager
def trackers(run: Run, folder: Path, *, resumes: bool) -> Generator[list[Logger]]:
    """Return the loggers of `--log`, which continue the run's if it resumes; close them at the end.

    Only the first process calls this.

    Raises:
        EnvironmentFault: if a tracker cannot be reached.
    """
    path = folder / IDS
    ids: dict[str, str] = json.loads(path.read_text("utf-8")) if resumes and path.exists() else {}
    loggers: list[Logger] = []
    code = 1
    try:
        for name in run.engine.log:
            try:
                loggers.append((_wandb if name == "wandb" else _mlflow)(run, folder, ids))
            except Exception as error:
                hint = f"{HINTS[name]}; {resume_text(folder)}, with `--log none` without a tracker"
                raise EnvironmentFault(f"--log {name}: {_reason(error)}; {hint}") from error
        if ids:
            write_atomically(path, json.dumps(ids, indent=2) + "\n")
        yield loggers
        code = 0
    finally:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code=code)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _wandb(run: Run, folder: Path, ids: dict[str, str]) -> Logger:
    ids.setdefault("wandb", secrets.token_hex(4))
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    logger = WandbLogger(name=folder.resolve().name, save_dir=folder, project=project, id=ids["wandb"])
    logger.log_hyperparams(settings_of(run))
    return logger


class _MLflow(MLFlowLogger):
    """MLflow's logger, which sends metrics every few seconds: MLflow waits for its store in each call.

    Its failure at the end of a run does not hide the reason of the end.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pending: list[Any] = []  # metrics that are not sent yet
        self.sent = 0.0  # time of the last call

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics of a step."""
        metric: Any = import_module("mlflow.entities").Metric
        now = time.time()
        self.pending += [metric(name, value, int(1000 * now), step or 0) for name, value in metrics.items()]
        if now - self.sent >= EVERY:
            self.send()

    def send(self) -> None:
        """Send the metrics that are pending."""
        pending, self.pending, self.sent = self.pending, [], time.time()
        for start in range(0, len(pending), MOST):
            self.experiment.log_batch(self.run_id, metrics=pending[start : start + MOST])

    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        """Set the status of the run."""
        try:
            self.send()
            super().finalize(status)
        except Exception as error:
            print(f"--log mlflow: {_reason(error)}; the end of this run is missing there", flush=True)


def _mlflow(run: Run, folder: Path, ids: dict[str, str]) -> Logger:
    before = os.environ.get(MLFLOW)
    logger = _MLflow(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT), run_name=folder.resolve().name,
        tracking_uri=before or f"sqlite:///{folder.resolve() / STORE}", run_id=ids.get("mlflow"),
        artifact_location=None if before else (folder / "mlflow").resolve().as_uri(),
    )  # fmt: skip
    client: Any = logger.experiment  # which sets the variable for processes that this one starts
    if before is None:
        os.environ.pop(MLFLOW, None)
    if "mlflow" not in ids:
        logger.log_hyperparams({name: shown(value) for name, value in settings_of(run).items()})
    else:
        client.update_run(logger.run_id, status="RUNNING")
        for name, (_, value) in run.changes[-1]["settings"].items() if run.changes else ():
            client.set_tag(logger.run_id, name, shown(value))  # parameters cannot change
    ids["mlflow"] = str(logger.run_id)
    return logger
