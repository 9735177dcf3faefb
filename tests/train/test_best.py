"""The best epoch by a metric, early stopping, and checkpoints that are kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from safetensors.torch import load_file
from training import ONE_VIEW, PLAIN, column, losses, settings, train

from archdsl.train import report
from archdsl.train.best import best_of, ending, is_exhausted
from archdsl.train.checkpoints import kept_checkpoints
from archdsl.train.objectives.classification import Classification, accuracy
from archdsl.train.run import load_run
from archdsl.train.task import Task
from archdsl.train.weights import trained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")


def history(*values: float, metric: str = "top1") -> list[dict[str, float]]:
    return [{"epoch": number, metric: value} for number, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("values", "metric", "epoch"),
    [
        ([0.5, 0.7, 0.6], "top1", 2),
        ([0.5, 0.7, 0.6], "loss", 1),
        ([0.5, 0.7, 0.7], "top5", 2),  # the first of equal ones
        ([math.nan, 0.1, 0.0], "mean_class_top1", 2),
        ([math.nan, 3.0, 2.0], "loss", 3),
    ],
)
def test_the_direction_is_that_of_the_metric(values: list[float], metric: str, epoch: int) -> None:
    best = best_of(history(*values, metric=metric), metric)
    assert best is not None
    assert best["epoch"] == epoch


def test_patience_counts_epochs_without_a_better_value() -> None:
    values = [0.5, 0.7, 0.7, 0.6]
    assert [is_exhausted(history(*values[:n]), "top1", 2) for n in range(5)] == [False] * 4 + [True]
    assert not is_exhausted(history(*values), "top1", 0)
    assert not is_exhausted(history(*values), "top1", 3)


def test_the_end_has_a_reason() -> None:
    assert ending([], "top1", 0, 3) == ""
    assert ending(history(0.5, 0.75), "top1", 1, 2) == "all 2 epochs are complete; best top-1: 75.00%, epoch 2"
    assert ending(history(0.5, 0.75), "top1", 1, 9).startswith("2 of 9 epochs are complete")
    early = ending(history(1.5, 2.0, metric="loss"), "loss", 1, 9)
    assert (
        early == "stopped early after epoch 2 of 9: no better loss for 1 epoch (--patience); best loss: 1.5000, epoch 1"
    )


def test_accuracies_of_classes_weigh_the_same() -> None:
    """Three of four videos of one class, none of one of another; a third class has no videos."""
    shares = torch.eye(3)[[0, 0, 0, 1, 0]]
    metrics = accuracy(torch.tensor([0, 0, 0, 0, 1]), shares)
    assert metrics["top1"] == pytest.approx(3 / 5)
    assert metrics["mean_class_top1"] == pytest.approx((3 / 4 + 0) / 2)


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Values of `mean_class_top1` of the next validations, in place of the real ones; reports have no pictures."""
    values: list[float] = []

    def scripted(_: Classification, *results: torch.Tensor) -> dict[str, float]:
        return {**accuracy(*results), "mean_class_top1": values.pop(0) if values else 0.0}

    monkeypatch.setattr(Classification, "scores", scripted)
    for picture in ("curves", "strips"):
        monkeypatch.setattr(report, picture, lambda *_: False)
    monkeypatch.setattr(Classification, "draw", lambda *_: [])
    return values


@pytest.fixture
def stops_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
    """Steps at which SIGTERM arrives, once each."""
    steps: set[int] = set()
    step = Task.training_step

    def training_step(task: Task, *batch: Any) -> Any:
        if task.global_step in steps:
            steps.remove(task.global_step)
            task.signals.received = 15
        return step(task, *batch)

    monkeypatch.setattr(Task, "training_step", training_step)
    yield steps
    assert not steps


def test_a_run_stops_early_also_across_a_resume(
    script: list[float], stops_at: set[int], spec: Path, videos: Path, tmp_path: Path, capsys: Any
) -> None:
    """Epoch 2 is the best of four; then a longer patience; then back to epoch 4, whose successors are dropped."""
    run = tmp_path / "run"
    script += [0.5, 0.7, 0.6, 0.7]
    stops_at.add(7)  # of three in each epoch
    options = "--epochs 6 --best mean_class_top1 --patience 2 --keep 3".split()
    assert train(spec, "--data", videos, "-o", run, *PLAIN, *ONE_VIEW, *options) == 143
    assert train("--resume", run) == 0
    assert column(run, "val_mean_class_top1", "epochs.csv") == ["0.5", "0.7", "0.6", "0.7"]
    reason = "stopped early after epoch 4 of 6: no better mean class accuracy for 2 epochs"
    assert reason in capsys.readouterr().out
    assert reason in (run / "report/summary.md").read_text("utf-8")
    assert (settings(run)["engine"]["best"], settings(run)["engine"]["patience"]) == ("mean_class_top1", 2)
    kept = kept_checkpoints(run)
    assert list(kept) == [2, 3, 4]
    weights = torch.load(kept[2], weights_only=True)["state_dict"]
    assert all(torch.equal(weights[f"model.{name}"], t) for name, t in load_file(run / "best.safetensors").items())

    assert train("--resume", run) == 0  # which trains nothing
    assert f"{reason} (--patience); best" in capsys.readouterr().out.splitlines()[1]
    assert train("--resume", run, "--best", "loss") == 2
    assert "--best cannot change in a run" in capsys.readouterr().err

    script += [0.9, 0.8]
    assert train("--resume", run, "--patience", "3") == 0
    assert len(column(run, "epoch", "epochs.csv")) == 6
    before = losses(run)
    assert list(kept_checkpoints(run)) == [4, 5, 6]
    script += [0.4, 0.3]
    assert train("--resume", run / "checkpoints/epoch-2.ckpt") == 2
    assert "epoch-4.ckpt" in capsys.readouterr().err
    assert train("--resume", run / "checkpoints/epoch-4.ckpt", "--keep", "1") == 0
    assert losses(run) == before
    assert settings(run)["changes"][-1]["settings"]["checkpoint"] == ["last.ckpt", "epoch-4.ckpt"]
    assert "best.safetensors: removed: it is from epoch 5" in capsys.readouterr().out
    assert list(kept_checkpoints(run)) == [6]
    assert not script


def test_a_kept_checkpoint_with_a_moving_average_is_tested_with_the_average(
    script: list[float], spec: Path, videos: Path, tmp_path: Path, capsys: Any
) -> None:
    run, script[:] = tmp_path / "run", [0.5]
    options = "--epochs 1 --keep 1 --recipe ema=0.5".split()
    assert train(spec, "--data", videos, "-o", run, *PLAIN, *ONE_VIEW, *options) == 0
    kept, averages = kept_checkpoints(run)[1], load_file(run / "weights.safetensors")
    tested = trained(load_run(run), run, str(kept)).state_dict()
    assert all(torch.equal(averages[name], tensor) for name, tensor in tested.items())
    raw = torch.load(kept, weights_only=True)["state_dict"]
    assert not all(torch.equal(raw[f"model.{name}"], tensor) for name, tensor in tested.items())
    assert "W0802" not in capsys.readouterr().err
