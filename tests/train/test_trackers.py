"""Weights & Biases and MLflow get what `steps.csv` and `epochs.csv` have, and go on with a run that resumes."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

from tracker_stubs import stub_mlflow, stub_wandb
from training import ONE_VIEW, PLAIN, column, losses, settings, train

from archdsl.train import report
from archdsl.train.objectives.classification import Classification

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = [*PLAIN, *ONE_VIEW, "--epochs", "1"]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no pictures in reports."""
    for picture in ("curves", "strips"):
        monkeypatch.setattr(report, picture, lambda *_: False)
    monkeypatch.setattr(Classification, "draw", lambda *_: [])


def test_trackers_get_the_metrics_of_a_run_also_when_it_resumes(
    spec: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """At last MLflow fails in a step: the run goes on without it."""
    wandb, mlflow = stub_wandb(monkeypatch), stub_mlflow(monkeypatch)
    monkeypatch.setattr("archdsl.train.trackers.EVERY", 0.0)
    run = tmp_path / "run"
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--log", "wandb", "--log", "mlflow") == 0
    assert settings(run)["engine"]["log"] == ["wandb", "mlflow"]
    (start,) = wandb.of("init")
    assert (start["project"], start["name"], start["dir"]) == ("archdsl", "run", str(run))
    assert mlflow.of("client") == [f"sqlite:///{run / 'mlflow.db'}"]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert json.loads((run / "trackers.json").read_text()) == {"wandb": start["id"], "mlflow": "run-1"}
    assert wandb.of("config")[0]["recipe.lr"] == 0.05
    assert ("recipe.lr", "0.05") in mlflow.of("params")
    assert (wandb.of("finish"), mlflow.of("status")) == ([0], [("run-1", "FINISHED")])

    del wandb[:], mlflow[:]
    assert train("--resume", run, "--epochs", "2") == 0
    (again,) = wandb.of("init")
    assert (again["id"], again["resume"]) == (start["id"], "allow")
    assert not mlflow.of("create")
    assert mlflow.of("tag") == [("run-1", "recipe.epochs", "2")]
    expected = [(step, float(loss)) for step, loss in enumerate(losses(run), 1)][3:]  # of the second epoch
    assert [(m["trainer/global_step"], m["loss"]) for m in wandb.of("log") if "loss" in m] == expected
    assert [(step, value) for name, value, step in mlflow.of("metrics") if name == "loss"] == expected
    value = float(column(run, "val_top1", "epochs.csv")[1])
    assert [m["val_top1"] for m in wandb.of("log") if "val_top1" in m] == [value]
    assert ("val_top1", value, 6) in mlflow.of("metrics")

    del wandb[:], mlflow[:]
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["mlflow.tracking"].MlflowClient, "log_batch", fail)
        assert train("--resume", run, "--epochs", "3", "--log", "mlflow") == 0
    assert "--log mlflow: the server is gone; from step 7 on it gets no metrics" in capsys.readouterr().out
    assert len(losses(run)) == 9
    assert not wandb


def fail(*_: Any, **__: Any) -> None:
    raise ConnectionError("the server is gone\nin several lines")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_that_cannot_be_reached_ends_before_the_first_epoch(
    name: str, spec: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (stub_wandb if name == "wandb" else stub_mlflow)(monkeypatch)
    if name == "wandb":
        monkeypatch.setattr(sys.modules["wandb"], "init", fail)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nowhere")
        monkeypatch.setattr(sys.modules["mlflow.tracking"].MlflowClient, "create_run", fail)
    run = tmp_path / "run"
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--log", name) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"archdsl: environment: --log {name}: the server is gone; ")
    assert f"`archdsl train --resume {run}`" in told
    assert "--log none" in told
    assert not (run / "steps.csv").exists()
    assert train("--resume", run, "--log", "none") == 0
    assert settings(run)["engine"]["log"] == []


@pytest.mark.parametrize(
    ("name", "missing", "address"),
    [("wandb", "wandb", ""), ("mlflow", "mlflow, alembic", ""), ("mlflow", "mlflow", "http://server")],
)
def test_a_missing_package_is_found_before_a_folder_is_made(
    name: str, missing: str, address: str, spec: Path, videos: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """A folder `wandb`, as W&B writes it, is no package."""
    for package in ("wandb", "mlflow", "alembic"):
        monkeypatch.delitem(sys.modules, package, raising=False)
        (tmp_path / package).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(p for p in sys.path if not has_tracker(p))])
    stub_mlflow(monkeypatch)
    for package in ("mlflow", "alembic"):
        monkeypatch.delitem(sys.modules, package)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    run = tmp_path / "run"
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--log", name) == 1
    told = capsys.readouterr().err
    assert f"--log {name}: missing: {missing}; pip install 'archdsl[{name}]'" in told
    assert not run.exists()


def has_tracker(path: str) -> bool:
    return any(os.path.exists(os.path.join(path, name)) for name in ("wandb", "mlflow", "alembic"))


# --- the packages themselves, where they are installed ---------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="W&B is not installed")
def test_wandb_offline(spec: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--log", "wandb") == 0
    assert train("--resume", run, "--epochs", "2") == 0
    own = json.loads((run / "trackers.json").read_text())["wandb"]
    assert len(list((run / "wandb").glob(f"offline-run-*-{own}/run-{own}.wandb"))) == 2


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="MLflow is not installed")
def test_mlflow_in_the_folder_of_the_run(
    spec: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = tmp_path / "run"
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--log", "mlflow") == 0
    assert train("--resume", run, "--epochs", "2") == 0
    client, own = (
        MlflowClient(f"sqlite:///{run / 'mlflow.db'}"),
        json.loads((run / "trackers.json").read_text())["mlflow"],
    )
    expected = [(step, float(loss)) for step, loss in enumerate(losses(run), 1)]
    assert [(m.step, m.value) for m in client.get_metric_history(own, "loss")] == expected
    assert client.get_run(own).info.status == "FINISHED"
    assert client.get_run(own).data.params["recipe.epochs"] == "1"
    assert client.get_run(own).data.tags["recipe.epochs"] == "2"
