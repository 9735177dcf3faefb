"""Runs on every kind of source: killed, and of two processes, as the tests of training have them.

When a checkpoint is written, or there is no space for it, nothing depends on the source: test_training.py has that.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
import video_sources
from training import KILLED_AT, ONE_VIEW, PLAIN, TINY, ended, losses, started, train, with_workers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.records]
LONG = [*PLAIN, *ONE_VIEW, "--recipe", "epochs=3", "--save-every", "2"]


@pytest.fixture(scope="module", params=video_sources.KINDS)
def source(request: pytest.FixtureRequest, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the videos in `data/`, and an undisturbed run of nine steps in `run/`."""
    folder = tmp_path_factory.mktemp(request.param)
    options = video_sources.made(request.param, videos, folder / "data")
    (folder / "tiny.arch").write_text(TINY, "utf-8")
    (folder / "options").write_text("\n".join(options), "utf-8")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert train(*command(folder), *LONG, "-o", folder / "run") == 0
    torch.set_num_threads(before)
    assert not (folder / "run" / "skipped.csv").exists()
    return folder


def command(folder: Path) -> list[str | Path]:
    """The spec and the videos of a run."""
    return [folder / "tiny.arch", *(folder / "options").read_text("utf-8").splitlines()]


def test_a_killed_run_goes_on(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    code = "import os\n" + KILLED_AT["step"].replace("STEP", "5")
    process = started("train", *command(source), *LONG, "-o", run, code=code, folder=tmp_path)
    assert ended(process)[0] == -signal.SIGKILL
    assert len(losses(run)) < 9
    assert train("--resume", run) == 0
    assert losses(run) == losses(source / "run")
    assert (run / "weights.safetensors").read_bytes() == (source / "run/weights.safetensors").read_bytes()


# Frames and pictures are shared among processes as videos in folders are, which test_training.py has.
@pytest.mark.parametrize("source", ["list", "tar", "parquet", "arrow"], indirect=True)
def test_two_processes_learn_as_one(source: Path, tmp_path: Path) -> None:
    common = [*command(source), *with_workers(LONG, 1), "--dropout", "0"]
    assert train(*common, "-o", tmp_path / "one") == 0
    code, _, errors = ended(started("train", *common, "-o", tmp_path / "two", "--devices", "2"))
    assert code == 0, errors
    one, two = ([float(loss) for loss in losses(tmp_path / name)] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-5)
