"""Runs do what their options say: messages for what is wrong, with the exit code; what is kept to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from repository import ROOT

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from training import ONE_VIEW, PLAIN, TINY, column, losses, send_signal, settings, train, with_workers

from archdsl.cli import main
from archdsl.files import UsageError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = [*PLAIN, *ONE_VIEW, "--dropout", "0"]


@pytest.fixture(scope="module")
def finished(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch: three steps."""

    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.arch").write_text(TINY, "utf-8")
    assert train(folder / "tiny.arch", "--data", videos, "-o", folder / "run", *SHORT, "--epochs", "1") == 0
    return folder / "run"


# --- what ends a run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("further", [[], ["--no-val", "--recipe", "ema=0.5"]], ids=str)
def test_divergence_in_the_last_step_ends_the_run(
    further: list[str], spec: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Every loss is finite, the update of the last step is not."""
    from archdsl.train.task import Task

    clip = Task.configure_gradient_clipping

    def overflow(task: Task, optimizer: Any, *rest: Any, **more: Any) -> None:
        clip(task, optimizer, *rest, **more)
        if task.global_step == 2:
            next(task.model.parameters()).grad.fill_(float("inf"))  # pyright: ignore[reportOptionalMemberAccess]

    monkeypatch.setattr(Task, "configure_gradient_clipping", overflow)
    run = tmp_path / "run"
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--epochs", "1", *further) == 1
    assert "are not finite after step 3" in capsys.readouterr().err
    assert not (run / "weights.safetensors").exists()


@pytest.mark.parametrize("damage", ["truncated", "foreign", "other"])
def test_a_damaged_checkpoint_is_named(damage: str, finished: Path, tmp_path: Path, capsys: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    last = run / "checkpoints/last.ckpt"
    if damage == "truncated":
        last.write_bytes(last.read_bytes()[:2000])
    elif damage == "foreign":
        torch.save({"state_dict": {}, "epoch": 3}, last)
    else:
        checkpoint = torch.load(last, weights_only=True)
        checkpoint["state_dict"].popitem()
        torch.save(checkpoint, last)
    assert train("--resume", run) == 1
    told = capsys.readouterr().err
    assert str(last) in told
    assert "remove it" in told
    assert "--weights" in told
    last.unlink()
    assert train("--resume", run) == 0


def test_a_missing_decoder_is_found_before_a_folder_is_made(
    spec: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    run = tmp_path / "run"
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--decoder", "torchcodec") == 1
    assert "torchcodec" in capsys.readouterr().err
    assert not run.exists()


def test_a_torchvision_that_does_not_fit_is_named(spec: Path, videos: Path, tmp_path: Path) -> None:
    package = tmp_path / "packages/torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")\n', "utf-8")
    facts = tmp_path / "packages/torchvision-0.15.2.dist-info/METADATA"
    facts.parent.mkdir()
    facts.write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.15.2\n", "utf-8")
    command = [sys.executable, "-m", "archdsl", "train", str(spec), "--data", str(videos)]
    path = os.pathsep.join([str(ROOT), str(tmp_path / "packages")])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 1, done.stderr
    assert "torchvision 0.15.2 and torch" in done.stderr
    assert "defect" not in done.stderr


# --- testing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["list", "folder"])
def test_eval_keeps_to_the_split(source: str, finished: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    data = videos
    if source == "list":
        data = tmp_path / "list.csv"
        rows = [f"{p},{p.parent.name},{p.parents[1].name}" for p in sorted(videos.glob("*/*/*.mp4"))]
        data.write_text("\n".join(["path,label,split", *rows]) + "\n", "utf-8")
    output = tmp_path / "eval"
    assert main(["eval", str(finished), "--data", str(data), "--json", "--workers", "0", "-o", str(output)]) == 0
    assert json.loads(capsys.readouterr().out)["videos"] == 6  # of 30


def test_only_the_first_process_predicts_aloud(
    finished: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("RANK", "1")
    video = str(videos / "val/left/000.mp4")
    assert main(["predict", video, "--run", str(finished), "--workers", "0"]) == 0
    assert capsys.readouterr().out == ""


# --- signals and locks -----------------------------------------------------------------------------------------------

LONG = [*PLAIN, *ONE_VIEW, "--epochs", "3"]  # nine steps, with dropout and random crops


@pytest.fixture(scope="module")
def undisturbed(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The losses of a run without an interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.arch").write_text(TINY, "utf-8")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert train(folder / "tiny.arch", "--data", videos, "-o", folder / "run", *LONG) == 0
    torch.set_num_threads(before)
    return losses(folder / "run")


@pytest.mark.parametrize(
    ("number", "step", "place", "workers"),
    [
        (signal.SIGTERM, 4, "training_step", 0),  # in the middle of an epoch
        (signal.SIGINT, 5, "training_step", 1),  # in its last step, and sent to the worker, too
        (signal.SIGTERM, 6, "validation_step", 0),
        (signal.SIGINT, 9, "validation_step", 0),  # of the last epoch
    ],
)
def test_a_signal_ends_a_run_that_resumes_exactly(  # fixtures
    number: int,
    step: int,
    place: str,
    workers: int,
    undisturbed: list[str],
    spec: Path,
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    run = tmp_path / "run"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts jobs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        send_signal(patch, number, step, place)
        assert train(spec, "--data", videos, "-o", run, *with_workers(LONG, workers)) == 128 + number
    told = capsys.readouterr().err
    assert f"`archdsl train --resume {run}`" in told
    assert "after step" in told
    assert signal.getsignal(number) == before
    kept = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert kept == step + (place == "training_step")
    assert train("--resume", run) == 0
    assert losses(run) == undisturbed
    assert column(run, "epoch", "epochs.csv") == ["1", "2", "3"]


def test_frozen_norms_stay_frozen_in_a_resumed_epoch(spec: Path, videos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    spec.write_text(TINY.replace("layernorm", "bn"), "utf-8")
    assert train(spec, "--data", videos, "-o", run, *SHORT, "--epochs", "2", "--freeze") == 0
    expected = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    shutil.rmtree(run)
    with pytest.MonkeyPatch.context() as patch:
        send_signal(patch, signal.SIGTERM, 3, "training_step")
        assert train(spec, "--data", videos, "-o", run, *SHORT, "--epochs", "2", "--freeze") == 143
    assert train("--resume", run) == 0
    resumed = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())


def test_a_run_is_locked_while_it_runs(finished: Path, spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    """The lock ends with the process that holds it, however that ends."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    code = "import sys, time; from pathlib import Path; from archdsl.train.stopping import locked\n"
    code += "with locked(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert train("--resume", run) == 2
        told = capsys.readouterr().err
        assert f"process {holder.pid} on" in told
        (run / "run.json").unlink()
        assert train(spec, "--data", videos, "-o", run, *SHORT) == 2
        assert f"process {holder.pid} on" in capsys.readouterr().err
        shutil.copy(finished / "run.json", run)
        holder.kill()
    assert train("--resume", run) == 0


# --- resuming with other settings, and after changes of videos -------------------------------------------------------

CONSTANT = [*PLAIN, *ONE_VIEW, "--recipe", "schedule=constant"]


def interrupted(step: int, *arguments: str | Path) -> None:
    """Train until SIGTERM arrives in a step."""
    with pytest.MonkeyPatch.context() as patch:
        send_signal(patch, signal.SIGTERM, step, "training_step")
        assert train(*arguments) == 143


def test_a_run_goes_on_to_more_epochs(spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    """Without a schedule, to the last digit as if the number had been so from the beginning."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert train(spec, "--data", videos, "-o", whole, *CONSTANT, "--epochs", "2") == 0
    assert train(spec, "--data", videos, "-o", run, *CONSTANT, "--epochs", "1") == 0
    assert train("--resume", run, "--recipe", "epochs=2") == 0
    assert losses(run) == losses(whole)
    (change,) = settings(run)["changes"]
    assert change["settings"] == {"recipe.epochs": [1, 2]}
    assert change["step"] == 3
    assert "recipe.epochs: 1 → 2" in capsys.readouterr().out
    assert train("--resume", run) == 0
    assert "all 2 epochs are complete" in capsys.readouterr().out
    assert train("--resume", run, "--epochs", "1") == 2
    assert "2 epochs are complete" in capsys.readouterr().err


def test_each_setting_that_is_named_takes_effect(spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    """The batch changes in the middle of an epoch, which begins again."""
    run = tmp_path / "run"
    interrupted(4, spec, "--data", videos, "-o", run, *CONSTANT, "--epochs", "3")
    more = "--batch 12 --lr 0.25 --recipe weight_decay=0 --accumulate 2 --workers 1 --precision bf16 --save-every 2"
    assert train("--resume", run, *more.split(), "--dropout", "0", "--seed", "0") == 0
    assert capsys.readouterr().err.count("warning: --precision bf16 on a CPU") == 1
    assert column(run, "epoch") == ["1", "1", "1", "2", "2", "2", "2", "3", "3"]  # 24 clips: 3 × 8, 2 × 8, 2 × 12 twice
    assert column(run, "epoch", "epochs.csv") == ["1", "2", "3"]
    rates = [float(rate) for rate in column(run, "lr")]
    assert rates == pytest.approx([0.05 * 8 / 64] * 5 + [0.25 * 12 / 64] * 4)
    engine = settings(run)["engine"]
    assert (engine["batch"], engine["accumulate"], engine["workers"], engine["precision"]) == (12, 2, 1, "bf16")
    groups = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0]  # two groups before


def test_parts_of_a_batch_change_within_an_epoch(spec: Path, videos: Path, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    options = [*SHORT, "--epochs", "2"]
    assert train(spec, "--data", videos, "-o", whole, *options) == 0
    interrupted(4, spec, "--data", videos, "-o", run, *options)
    assert train("--resume", run, "--accumulate", "2") == 0
    assert [float(x) for x in losses(run)] == pytest.approx([float(x) for x in losses(whole)], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--set", "classes=3", "--clip", "3x4x16x16"], "--set and --clip"),
        (["--seed", "1"], "--seed"),
        (["--val-share", "0.5"], "--val-share"),
        (["--no-val"], "--no-val"),
        (["--freeze"], "--freeze"),
        (["--strategy", "fsdp"], "--strategy"),
        (["tiny"], "SPEC"),
        (["--recipe", "optimizer=adamw"], "optimizer"),
        (["--weights", "other.pth", "-o", "elsewhere"], "--weights and -o"),
    ],
    ids=str,
)
def test_what_cannot_change_is_refused_by_name(options: list[str], told: str, finished: Path, capsys: Any) -> None:
    assert train("--resume", finished, *options) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "cannot change" in said


def test_videos_at_another_place(spec: Path, videos: Path, undisturbed: list[str], tmp_path: Path, capsys: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(videos, tmp_path / "here")
    interrupted(4, spec, "--data", tmp_path / "here", "-o", run, *LONG)
    (tmp_path / "here").rename(tmp_path / "there")
    capsys.readouterr()
    assert train("--resume", run, "--data", tmp_path / "there") == 0
    assert losses(run) == undisturbed
    assert "videos changed" not in capsys.readouterr().out


@pytest.mark.parametrize("step", [4, 5])
def test_videos_are_removed_and_added(step: int, spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    """An epoch that has begun begins again with the videos of now; every epoch has its steps."""
    run, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(videos, data)
    interrupted(step, spec, "--data", data, "-o", run, *LONG)
    for number in range(8):
        (data / f"train/left/{number:03}.mp4").unlink()
    shutil.copy(data / "train/right/000.mp4", data / "train/right/100.mp4")
    capsys.readouterr()
    assert train("--resume", run) == 0
    assert "videos changed: 8 removed, 1 added" in capsys.readouterr().out
    again = [] if step == 5 else ["2", "2"]  # 17 videos: two steps; the signal arrives in the last step of an epoch
    assert column(run, "epoch") == ["1"] * 3 + ["2"] * (step - 2) + again + ["3", "3"]
    assert column(run, "epoch", "epochs.csv") == ["1", "2", "3"]
    assert settings(run)["changes"][0]["videos"]["removed"] == 8


# --- launchers -------------------------------------------------------------------------------------------------------

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "6"}
SRUN = {"SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}


@pytest.mark.parametrize(("variables", "expected"), [(TORCHRUN, (2, 3)), (SRUN, (2, 2)), ({}, (1, 1))], ids=str)
def test_the_processes_are_those_of_the_launcher(
    variables: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from archdsl.commands.train_start import engine_of
    from archdsl.commands.training_options import TrainOptions

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    engine = engine_of(TrainOptions())
    assert (engine.devices, engine.nodes) == expected
    if variables:
        assert engine_of(TrainOptions(devices=expected[0])) == engine
        with pytest.raises(UsageError, match=r"--devices 3: .* has started 2 processes per node"):
            engine_of(TrainOptions(devices=3))


def test_slurm_without_srun_does_not_wait(
    spec: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "2")
    assert train(spec, "--data", videos, "-o", tmp_path / "run", *SHORT) == 1
    assert "srun archdsl" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
