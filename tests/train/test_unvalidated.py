"""Runs without validation: `--no-val`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from training import ONE_VIEW, PLAIN, TINY, losses, settings, train

from archdsl.cli import main
from archdsl.train.data.listing import read_split

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")
NORMS = TINY.replace("layernorm", "bn")
RECIPE = [*PLAIN, *ONE_VIEW, "--epochs", "1", "--recipe"]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "tiny.arch"
    path.write_text(NORMS, "utf-8")
    return path


@pytest.fixture(scope="module")
def unvalidated(spec: Path, videos: Path) -> Path:
    """A run without validation, with a moving average."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert train(spec, "--data", videos, "-o", spec.parent / "run", *RECIPE, "ema=0.5", "--no-val") == 0
    torch.set_num_threads(before)
    return spec.parent / "run"


@pytest.mark.parametrize("recipe", ["ema=0.5", "precise_bn=2"])
def test_a_validation_changes_no_weights(
    recipe: str, unvalidated: Path, spec: Path, videos: Path, tmp_path: Path
) -> None:
    """The average, or the statistics, are those of a run with validation on the same videos for training."""
    run, other = tmp_path / "run", unvalidated
    assert train(spec, "--data", videos, "-o", run, *RECIPE, recipe) == 0
    if recipe != "ema=0.5":
        other = tmp_path / "other"
        assert train(spec, "--data", videos, "-o", other, *RECIPE, recipe, "--no-val") == 0
    assert losses(other) == losses(run)
    assert (other / "weights.safetensors").read_bytes() == (run / "weights.safetensors").read_bytes()


def test_the_report_says_so(unvalidated: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    assert not (unvalidated / "best.safetensors").exists()
    summary = (unvalidated / "report/summary.md").read_text("utf-8")
    assert "no validation (--no-val)" in summary
    assert "nan" not in summary
    metrics = json.loads((unvalidated / "report/metrics.json").read_text("utf-8"))
    assert (metrics["videos"], metrics["top1"]) == (0, None)
    assert (unvalidated / "report/curves.png").exists()
    assert settings(unvalidated)["data"]["no_val"] is True
    assert main(["report", str(unvalidated)]) == 0
    assert "no validation (--no-val)" in capsys.readouterr().out
    assert main(["report", str(unvalidated), str(unvalidated)]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    at = head.index("at epoch")
    assert [row[at : at + 8].strip() for row in rows[:2]] == ["–", "–"]
    assert main(["report", str(unvalidated), "--format", "json"]) == 0
    assert '"best": null' in capsys.readouterr().out
    assert main(["eval", str(unvalidated)]) == 2
    assert "name the videos with --data" in capsys.readouterr().err
    assert main(["eval", str(unvalidated), "--data", str(videos), "--workers", "0", "-o", str(tmp_path)]) == 0
    assert "6 videos (from val/)" in capsys.readouterr().out


def test_it_trains_on_everything_but_the_videos_of_another_split(videos: Path) -> None:
    everything = read_split(videos / "train", no_val=True)
    assert (len(everything.train), everything.val) == (24, ())
    assert {*everything.train} == {s for part in ("train", "val") for s in getattr(read_split(videos / "train"), part)}
    split = read_split(videos, no_val=True)
    assert (split.train, split.val) == (read_split(videos).train, ())
    assert "0 for validation (--no-val, 6 from val/ are not used)" in split.note


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--val", "VIDEOS/val"], "--val "),
        (["--val-share", "0.1", "--group", "x"], "--val-share and --group"),
        (["--best", "loss", "--patience", "2"], "--best and --patience"),
    ],
    ids=str,
)
def test_options_of_a_validation_are_refused(
    options: list[str], told: str, spec: Path, videos: Path, tmp_path: Path, capsys: Any
) -> None:
    words = [word.replace("VIDEOS", str(videos)) for word in options]
    assert train(spec, "--data", videos, "-o", tmp_path / "run", *RECIPE, "ema=0.5", "--no-val", *words) == 2
    assert f"no validation that {told}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_without_validation_stays_so(unvalidated: Path, videos: Path, capsys: Any) -> None:
    for options, told in ((["--val", str(videos / "val")], "--val"), (["--patience", "2"], "--patience")):
        assert train("--resume", unvalidated, *options) == 2
        assert f"no validation that {told} could be for" in capsys.readouterr().err
