"""Checks of installed packages, and the processes that torchrun or SLURM has started."""

from __future__ import annotations

import os
import traceback
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from archdsl.files import EnvironmentFault, UsageError

MLFLOW = "MLFLOW_TRACKING_URI"  # the variable with the address of MLflow's store; by default, in the run's folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.train.engine import Engine


def check_torchvision() -> None:
    """Raise EnvironmentFault if torchvision, which Lightning imports if it is installed, does not fit torch."""
    try:
        import lightning  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        if "torchvision" not in "".join(traceback.format_exception(error)):
            raise
        pair = " and ".join(f"{name} {version(name)}" for name in ("torchvision", "torch"))
        raise EnvironmentFault(
            f"{pair} do not fit each other ({str(error).splitlines()[0]}); archdsl does not need torchvision: install "
            "the version for this torch (pip install --upgrade torchvision), or pip uninstall torchvision"
        ) from None


def check_trackers(names: Sequence[str]) -> None:
    """Raise EnvironmentFault if the package of an experiment tracker is not installed.

    A folder of that name, such as W&B writes, is no package.
    """
    for name in names:
        needed = (name, "sqlalchemy", "alembic") if name == "mlflow" and not os.environ.get(MLFLOW) else (name,)
        specs = {package: find_spec(package) for package in needed}
        missing = [package for package, spec in specs.items() if spec is None or spec.origin is None]
        if missing:
            raise EnvironmentFault(f"--log {name}: missing: {', '.join(missing)}; pip install 'archdsl[{name}]'")


def with_started(engine: Engine, devices: int | None, nodes: int | None) -> Engine:
    """Return the engine with the processes that torchrun or srun has started, if one of them has.

    Args:
        engine: the settings of a run.
        devices: devices per node that the user has named.
        nodes: the nodes that the user has named.

    Raises:
        UsageError: if the user has named other numbers.
        EnvironmentFault: if SLURM expects several tasks, but srun has not started this process.
    """
    started = _started()
    if started is None:
        return engine
    launcher, *counts = started
    for name, named, count in zip(("devices", "nodes"), (devices, nodes), counts, strict=True):
        if named not in {None, count}:
            per = "processes per node" if name == "devices" else "nodes"
            raise UsageError(f"--{name} {named}: {launcher} has started {count} {per}; omit --{name}, or name {count}")
    return replace(engine, devices=counts[0], nodes=counts[1])


def _started() -> tuple[str, int, int] | None:
    """Return the launcher, its processes per node, and the nodes; None without a launcher."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        each = int(env["LOCAL_WORLD_SIZE"])
        return "torchrun", each, int(env["WORLD_SIZE"]) // each
    tasks = int(env.get("SLURM_NTASKS", "1"))
    if tasks == 1 or env.get("SLURM_JOB_NAME") in {"bash", "interactive"}:
        return None
    if "SLURM_STEP_ID" not in env:
        raise EnvironmentFault(
            f"SLURM expects {tasks} tasks (SLURM_NTASKS), but srun has not started this process, which would wait for "
            "the others; write `srun archdsl …` in the job script, or unset SLURM_NTASKS for one process"
        )
    nodes = int(env.get("SLURM_STEP_NUM_NODES", env.get("SLURM_NNODES", "1")))
    return "srun", tasks // nodes, nodes
