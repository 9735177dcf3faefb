"""Packages `wandb` and `mlflow` that record calls, with what Lightning's loggers use of them."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    import pytest


class Call(NamedTuple):
    """A call of a stub: its name and its arguments."""

    name: str
    values: Any


class Calls(list[Call]):
    """The calls of a stub, in order."""

    def of(self, name: str) -> list[Any]:
        """Return the arguments of the calls of one name."""
        return [call.values for call in self if call.name == name]


def _module(patch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, origin="stub", is_package=True)
    module.__path__ = []
    vars(module).update(content)
    patch.setitem(sys.modules, name, module)
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, module)


def stub_wandb(patch: pytest.MonkeyPatch) -> Calls:
    """Put a stub in the place of W&B; return its calls: init, config, log, finish."""
    calls = Calls()

    class Run:
        def __init__(self, **options: Any) -> None:
            calls.append(Call("init", options))
            self.config = SimpleNamespace(update=lambda values, **_: calls.append(Call("config", values)))

        def define_metric(self, *_: Any, **__: Any) -> None:
            pass

        def log(self, metrics: dict[str, Any]) -> None:
            calls.append(Call("log", metrics))

        def finish(self, exit_code: int) -> None:
            calls.append(Call("finish", exit_code))

    _module(patch, "wandb", init=Run, run=None)
    _module(patch, "wandb.wandb_run", Run=Run)
    _module(patch, "wandb.sdk")
    _module(patch, "wandb.sdk.lib", RunDisabled=type("RunDisabled", (), {}))
    patch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", True)
    return calls


class Client:
    """The client of MLflow; a subclass has the list of calls."""

    calls: ClassVar[Calls]

    def __init__(self, uri: str) -> None:
        self.calls.append(Call("client", uri))

    def get_experiment_by_name(self, name: str) -> None:
        del name

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        del artifact_location
        return name

    def create_run(self, experiment_id: str, tags: dict[str, str]) -> Any:
        self.calls.append(Call("create", (experiment_id, tags)))
        return self.get_run("run-1")

    def get_run(self, run_id: str) -> Any:
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id, experiment_id="archdsl"))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert run_id == "run-1"
        self.calls.extend(Call("metrics", (metric.key, metric.value, metric.step)) for metric in metrics)
        self.calls.extend(Call("params", (param.key, param.value)) for param in params)

    def update_run(self, run_id: str, status: str) -> None:
        self.calls.append(Call("status", (run_id, status)))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.calls.append(Call("status", (run_id, status)))

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        self.calls.append(Call("tag", (run_id, name, value)))


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Param(NamedTuple):
    key: str
    value: str


def stub_mlflow(patch: pytest.MonkeyPatch) -> Calls:
    """Put a stub in the place of MLflow; return its calls: client, create, metrics, params, tag, status."""
    calls = Calls()

    def set_tracking_uri(uri: str) -> None:
        os.environ["MLFLOW_TRACKING_URI"] = uri  # as MLflow does

    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _module(patch, "mlflow", set_tracking_uri=set_tracking_uri)
    _module(patch, "mlflow.tracking", MlflowClient=type("MlflowClient", (Client,), {"calls": calls}))
    _module(patch, "mlflow.tracking.context")
    _module(patch, "mlflow.entities", Metric=Metric, Param=Param)
    _module(patch, "mlflow.utils")
    _module(patch, "mlflow.utils.mlflow_tags", MLFLOW_RUN_NAME="mlflow.runName")
    for name in ("sqlalchemy", "alembic"):
        _module(patch, name)
    patch.setattr("lightning.pytorch.loggers.mlflow._MLFLOW_AVAILABLE", True)
    return calls
