"""Training from end to end on small sets of real mp4 files: files in the run's folder, accuracy, and how runs end."""

from __future__ import annotations

import csv
import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from repository import ROOT

import archdsl
from archdsl.cli import main

pytest.importorskip("lightning")
pytest.importorskip("av")

from safetensors.torch import load_file, save_file
from small import small
from training import FULL_DISK, KILLED_AT, PLAIN, TINY, ended, losses, started, with_workers
from training import train as trained

from archdsl.ir.recipe import Recipe
from archdsl.train import synthetic
from archdsl.train.fit import clear_errors
from archdsl.train.mix import erased, mixed
from archdsl.train.optim import factor, groups_of
from archdsl.train.run import TrainingError, load_run

pytestmark = pytest.mark.usefixtures("one_thread")
SPECS = ROOT / "specs"
MVIT = "--set dim=8 --set depths=[1,2] --set heads=1 --set drop_rate=0 --dropout 0".split()


# --- from end to end -------------------------------------------------------------------------------------------------


def test_a_run_leaves_all_that_it_promises(
    spec: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    recipe = ["--recipe", "epochs=6", "--recipe", "optimizer=adamw", "--recipe", "lr=0.01", "--recipe", "flip=off"]
    recipe += ["--recipe", "sampling=segments", "--recipe", "lr_batch=0", "--recipe", "test_clips=2"]
    assert trained(spec, "--data", videos, "-o", run, *recipe, "--workers", "0", "--device", "cpu", "--batch", "8") == 0
    told = capsys.readouterr().out
    assert "epoch 6/6" in told
    assert (run / "classes.txt").read_text() == "left\nright\n"
    assert len(losses(run)) == 6 * (24 // 8)
    for picture in ("curves", "confusion"):
        assert (run / f"report/{picture}.png").read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((run / "report/metrics.json").read_text())
    assert metrics["videos"] == 6
    with (run / "report/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert metrics["top1"] == pytest.approx(sum(r["class"] == r["found"] for r in rows) / 6)
    mean = sum(-math.log(float(r["probability_of_class"])) for r in rows) / 6
    assert metrics["loss"] == pytest.approx(mean, abs=1e-4)
    assert any((run / "tensorboard").glob("events*"))

    # The module of the run takes the weights without archdsl, and finds what `predict` tells.
    video = videos / "val/left/000.mp4"
    assert main(["predict", str(video), "--run", str(run), "--clips", "1", "--crops", "1", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    code = f"""
import sys, torch, av
sys.path.insert(0, {str(run)!r}); assert "archdsl" not in sys.modules
from tiny import tiny
from safetensors.torch import load_file
model = tiny().eval(); model.load_state_dict(load_file({str(run / "weights.safetensors")!r}))
frames = [f.to_ndarray(format="rgb24") for f in av.open({str(video)!r}).decode(video=0)]
clip = torch.stack([torch.from_numpy(frames[i]) for i in (3, 9, 15, 21)]).permute(3, 0, 1, 2)[None].float()
side = 64 * 16 / (16 * 8 / 7)
low = (64 - side) / 2
grid = (low + (torch.arange(16) + 0.5) * side / 16 - 0.5)
grid = (grid * 2 + 1) / 64 - 1
y, x = torch.meshgrid(grid, grid, indexing="ij")
small = torch.nn.functional.grid_sample(clip[0].transpose(0, 1), torch.stack([x, y], -1)[None].expand(4, -1, -1, -1),
    align_corners=False, padding_mode="border").round().transpose(0, 1)[None]
print(model((small / 255 - 0.45) / 0.225).softmax(-1)[0].tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    own = dict(zip(("left", "right"), json.loads(done.stdout), strict=True))
    for row in answer["classes"]:
        assert row["probability"] == pytest.approx(own[row["class"]], abs=0.01)


def test_a_network_learns_motion_and_nothing_without_order(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Right and left are told apart by their order alone: in a random one the same network can only guess."""
    spec = tmp_path / "tiny.arch"
    spec.write_text(TINY.replace("dropout(0.5) -> ", ""), "utf-8")
    run = tmp_path / "run"
    recipe = [f"--recipe={name}={value}" for name, value in (
        ("epochs", 20), ("optimizer", "adamw"), ("lr", 0.01), ("lr_batch", 0), ("flip", "off"),
        ("sampling", "segments"), ("jitter", "[1, 1]"), ("test_scale", 1), ("test_clips", 1), ("test_crops", 1),
    )]  # fmt: skip
    assert trained(spec, "--data", videos, "-o", run, *recipe, "--workers", "0", "--device", "cpu", "--batch", "8") == 0
    assert json.loads((run / "report/metrics.json").read_text())["top1"] == 1.0
    capsys.readouterr()
    found = {}
    for more in ([], ["--shuffle-frames"]):
        everything = ["--data", str(videos / "train"), "--json", "--device", "cpu", "--workers", "0"]
        assert main(["eval", str(run), *everything, *more]) == 0
        found[bool(more)] = json.loads(capsys.readouterr().out)
    assert found[False]["videos"] == 24
    assert found[False]["top1"] > 0.95
    assert 0.2 < found[True]["top1"] < 0.8  # 12 of 24, as a coin would have it: 5 to 19 in 998 of 1,000 tries


def test_twins_show_the_same_frames_in_the_opposite_order() -> None:
    import numpy as np

    for one, other in synthetic.PAIRS:
        forth = synthetic.video(one, np.random.default_rng(3))
        back = synthetic.video(other, np.random.default_rng(3))
        assert not np.array_equal(forth, back)
        assert np.array_equal(forth, back[::-1])


# --- what decides the losses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_learn_as_one(strategy: str, videos: Path, tmp_path: Path) -> None:
    """The same global batch gives the same losses, also where activations are recomputed.

    FSDP shards each block, and its weights are whole on the disk.
    """
    common = [SPECS / "mvit_b_16x4.arch", "--data", videos, "--clip", "3x4x32x32", *MVIT, *PLAIN]
    common += [f"--recipe={given}" for given in ("epochs=2", "mixup=0", "cutmix=0", "erase=0", "lr_batch=0")]
    common += ["--recipe", "ema=0.5"] if strategy == "fsdp" else []
    one, two = tmp_path / "one", tmp_path / strategy
    assert trained(*common, "-o", one, "--accumulate", "2") == 0
    more = ["--devices", "2", "--strategy", strategy, "--checkpointing", "block"]
    code, _, errors = ended(started("train", *common, "-o", two, *more))
    assert code == 0, errors
    assert [float(x) for x in losses(two)] == pytest.approx([float(x) for x in losses(one)], rel=1e-5)
    ours, theirs = (load_file(run / "weights.safetensors") for run in (one, two))
    assert ours.keys() == theirs.keys() == load_run(one).model().state_dict().keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=1e-3, atol=1e-5)


def test_parts_of_a_batch_are_one_batch(spec: Path, videos: Path, tmp_path: Path) -> None:
    common = [spec, "--data", videos, *PLAIN, "--recipe", "epochs=1", "--dropout", "0"]
    assert trained(*common, "-o", tmp_path / "whole") == 0
    assert trained(*common, "-o", tmp_path / "parts", "--accumulate", "4") == 0
    whole, parts = (list(map(float, losses(tmp_path / n))) for n in ("whole", "parts"))
    assert len(parts) == 3
    assert parts == pytest.approx(whole, rel=1e-5)


# --- faults ----------------------------------------------------------------------------------------------------------

LONG = [*PLAIN, "--recipe", "epochs=3", "--save-every", "2", "--recipe", "test_clips=1", "--recipe", "test_crops=1"]
LONG += ["--recipe", "ema=0.9"]


@pytest.fixture(scope="module")
def undisturbed(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run to its end, with dropout and random crops: nine steps."""
    folder = tmp_path_factory.mktemp("undisturbed")
    spec = folder / "tiny.arch"
    spec.write_text(TINY, "utf-8")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert trained(spec, "--data", videos, "-o", folder / "run", *LONG) == 0
    torch.set_num_threads(before)
    return spec, losses(folder / "run")


AGAIN = [pytest.param(*case, marks=pytest.mark.records) for case in (("step", 1), ("write", 4))]


@pytest.mark.parametrize(("where", "step"), [("step", 5), ("write", 1), *AGAIN])
def test_a_killed_run_goes_on_as_if_nothing_had_been(
    where: str, step: int, undisturbed: tuple[Path, list[str]], videos: Path, tmp_path: Path
) -> None:
    spec, expected = undisturbed
    run = tmp_path / "run"
    code = "import os\n" + KILLED_AT[where].replace("STEP", str(step))
    process = started("train", spec, "--data", videos, "-o", run, *LONG, code=code, folder=tmp_path)
    assert ended(process)[0] == -signal.SIGKILL
    assert len(losses(run)) < len(expected)
    assert trained("--resume", run) == 0
    assert losses(run) == expected
    assert (run / "weights.safetensors").read_bytes() == (spec.parent / "run/weights.safetensors").read_bytes()
    assert not list((run / "checkpoints").glob(".*"))


def test_a_full_disk_ends_the_run_and_spares_the_last_checkpoint(
    undisturbed: tuple[Path, list[str]], videos: Path, tmp_path: Path
) -> None:
    spec, expected = undisturbed
    run = tmp_path / "run"
    result, _, errors = ended(
        started("train", spec, "--data", videos, "-o", run, *LONG, code=FULL_DISK, folder=tmp_path)
    )
    assert result == 1
    assert "No space left on device" in errors
    assert "the previous one is intact" in errors
    assert "Traceback" not in errors
    assert trained("--resume", run) == 0
    assert losses(run) == expected


def test_a_loss_that_is_no_number_ends_the_run(spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    run = tmp_path / "run"
    assert trained(spec, "--data", videos, "-o", run, *PLAIN, "--recipe", "lr=1e14", "--save-every", "1") == 1
    told = capsys.readouterr().err
    assert "the loss is nan at step" in told
    assert "learning rate" in told
    kept = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert kept["global_step"] >= 1


def test_a_dead_worker_ends_the_run(spec: Path, videos: Path, tmp_path: Path) -> None:
    code = """
import os
from archdsl.train.data.dataset import Clips
old = Clips.__getitem__
def get(self, key):
    if key[0] == 1: os.kill(os.getpid(), 9)
    return old(self, key)
Clips.__getitem__ = get
"""
    run = tmp_path / "run"
    options = [*with_workers(PLAIN, 1), "--recipe", "epochs=3"]
    result, _, errors = ended(started("train", spec, "--data", videos, "-o", run, *options, code=code, folder=tmp_path))
    assert result == 1
    assert "a data loading worker was killed" in errors
    assert f"--resume {run}" in errors
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 3


@pytest.mark.parametrize("rank", [0, 1])
def test_one_of_two_processes_is_killed(rank: int, spec: Path, videos: Path, tmp_path: Path) -> None:
    """The other one ends, too, and does not wait for ever."""
    run = tmp_path / "run"
    code = f"""
import os
from archdsl.train.task import Task
old = Task.training_step
def training_step(self, batch, number):
    if self.global_step == 4 and self.global_rank == {rank}: os.kill(os.getpid(), 9)
    return old(self, batch, number)
Task.training_step = training_step
"""
    options = [*PLAIN, "--recipe", "epochs=3", "--devices", "2"]
    process = started("train", spec, "--data", videos, "-o", run, *options, code=code, folder=tmp_path)
    result, _, errors = ended(process)
    assert result != 0
    assert "Traceback" not in errors
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 3


# --- videos that cannot be used --------------------------------------------------------------------------------------


def test_bad_videos_are_skipped_and_reported(spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(videos, bad)
    good = (videos / "train/left/000.mp4").read_bytes()
    (bad / "train/left/000.mp4").write_bytes(good[:300])
    (bad / "train/right/001.mp4").write_bytes(b"")
    (bad / "val/right/000.mp4").write_bytes(b"no video at all" * 100)
    run = tmp_path / "run"
    assert trained(spec, "--data", bad, "-o", run, *PLAIN, "--recipe", "epochs=1") == 0
    with (run / "skipped.csv").open(encoding="utf-8") as file:
        told = {Path(row["path"]).relative_to(bad).as_posix(): row["reason"] for row in csv.DictReader(file)}
    assert told.keys() == {"train/left/000.mp4", "train/right/001.mp4", "val/right/000.mp4"}
    assert "empty" in told["train/right/001.mp4"]
    assert len(losses(run)) == 3  # as many steps as with all of them
    assert json.loads((run / "report/metrics.json").read_text())["skipped"] == 1
    assert "3 videos could not be used" in capsys.readouterr().out
    assert main(["data", "check", str(bad), "--workers", "0"]) == 1
    report = capsys.readouterr().out
    assert all(name in report for name in told)


def test_predict_prints_each_video_by_itself(spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    run, bad = tmp_path / "run", tmp_path / "bad.mp4"
    assert trained(spec, "--data", videos, "-o", run, *PLAIN, "--recipe", "epochs=1") == 0
    bad.write_bytes(b"")
    capsys.readouterr()
    assert main(["predict", str(bad), str(videos / "val/left/000.mp4"), "--run", str(run), "--workers", "0"]) == 1
    told = capsys.readouterr()
    assert "bad.mp4: is empty" in told.err
    assert "left" in told.out
    assert "right" in told.out

    # A folder of videos without classes can be looked at, and a run written for other programs.
    assert main(["data", "check", str(videos / "val/left"), "--workers", "0"]) == 0
    assert "3 of 3 videos can be used" in capsys.readouterr().out
    file = tmp_path / "run.pt2"
    assert main(["export", str(run), "-o", str(file)]) == 0
    clip = torch.randn(2, 3, 4, 16, 16)
    model = load_run(run).model().eval()
    model.load_state_dict(load_file(run / "weights.safetensors"))
    torch.testing.assert_close(torch.export.load(file).module()(clip), model(clip), rtol=1e-4, atol=1e-5)


# --- recipes ---------------------------------------------------------------------------------------------------------


def recipe(**values: Any) -> Any:
    return Recipe().replace(**values)


def test_schedules() -> None:
    """Cosine of Loshchilov and Hutter behind a linear warm-up; steps; shares of the learning rate."""
    cosine = recipe(epochs=10, warmup=2, warmup_start=0.1)
    assert factor(cosine, 0, 10) == pytest.approx(0.1)
    top = (1 + math.cos(math.pi * 0.2)) / 2
    assert factor(cosine, 1, 10) == pytest.approx((0.1 + top) / 2)
    assert factor(cosine, 5, 10) == pytest.approx(0.5)
    assert factor(cosine, 10, 10) == pytest.approx(0)
    assert factor(recipe(final_lr=0.01), 100, 100) == pytest.approx(0.01)
    steps = recipe(schedule="steps", steps=[3, 6], gamma=0.1)
    assert [factor(steps, e, 9) for e in (0, 2.9, 3, 6)] == pytest.approx([1, 1, 0.1, 0.01])


def test_what_decays_and_how_fast_layers_learn() -> None:
    model = small(SPECS / "mvit_b_16x4.arch").build()
    blocks = [f"stage{i}.{j}" for i, n in ((1, 1), (2, 2), (3, 2), (4, 1)) for j in range(n)]
    groups = groups_of(model, recipe(weight_decay=0.05, layer_decay=0.5, backbone_lr=0.1), blocks)
    found = {id(p): group for group in groups for p in group["params"]}
    assert len(found) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        group = found[id(parameter)]
        filters = name.endswith("weight") and parameter.ndim > 1
        assert group["weight_decay"] == (0.05 if filters else 0.0), name
        if name.startswith("head."):
            assert group["scale"] == 1.0
        elif name.startswith("embed."):
            assert group["scale"] == pytest.approx(0.1 * 0.5**6)
        elif name.startswith("stage4.0."):
            assert group["scale"] == pytest.approx(0.1 * 0.5)


def test_mixing_keeps_what_clips_and_labels_add_up_to() -> None:
    torch.manual_seed(0)
    clips, labels = torch.rand(4, 3, 2, 8, 8), torch.tensor([0, 1, 2, 2])
    sure = torch.nn.functional.one_hot(labels, 3).float()
    same, targets = mixed(clips, sure, recipe())
    assert torch.equal(same, clips)
    assert torch.equal(targets, sure)
    for values in ({"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}):
        for _ in range(10):
            out, targets = mixed(clips, sure, recipe(**values))
            torch.testing.assert_close(targets.sum(1), torch.ones(4))
            # Each clip and the one at the mirrored place share out both of them.
            torch.testing.assert_close(out + out.flip(0), clips + clips.flip(0))
    cut, targets = mixed(clips, sure, recipe(cutmix=1.0))
    share = (cut == clips).all((1, 2)).double().mean((1, 2))  # of the picture that is the clip's own
    own = targets.gather(1, labels[:, None])[:, 0].double()
    torch.testing.assert_close(own[:2], share[:2])  # the two whose partners have another label
    noisy = erased(clips, 1.0)
    changed = (noisy != clips).any(1)  # (B, T, H, W)
    assert changed.any((1, 2, 3)).all()
    assert torch.equal(changed[:, 0], changed[:, 1])  # the same rectangle in all frames


def test_a_moving_average_is_what_is_kept(spec: Path, videos: Path, tmp_path: Path) -> None:
    """With a decay of 0 the average is the last value; with one near 1 it stays where it began."""
    common = [spec, "--data", videos, *PLAIN, "--recipe", "epochs=1", "--dropout", "0"]
    kept = {}
    for name, decay in (("none", 0), ("slow", 0.999999)):
        assert trained(*common, "-o", tmp_path / name, "--recipe", f"ema={decay}") == 0
        kept[name] = load_file(tmp_path / name / "weights.safetensors")
    assert losses(tmp_path / "none") == losses(tmp_path / "slow")
    torch.manual_seed(0)
    start = load_run(tmp_path / "slow").model().state_dict()
    moved = {n: (kept["none"][n] - start[n]).abs().max().item() for n in start}
    stayed = {n: (kept["slow"][n] - start[n]).abs().max().item() for n in start}
    # torch's average begins with the weights behind the first step.
    assert all(stayed[n] < moved[n] for n in start if moved[n] > 1e-6)


def test_weights_come_along_and_the_backbone_can_stay(spec: Path, videos: Path, tmp_path: Path) -> None:
    """A head for other classes begins anew, the rest as it was; frozen, it is so in the end, too."""
    published = archdsl.load(spec, classes=5).build()
    file = tmp_path / "published.safetensors"
    save_file(published.state_dict(), file)
    base = tmp_path / "published.arch"
    base.write_text(TINY.replace("arch tiny", "arch base").replace("classes = 2", "classes = 5"), "utf-8")
    own = ["--weights", tmp_path / "run/weights.safetensors", "-o", tmp_path / "again"]
    options = ["--weights", file, "--weights-spec", base, "--freeze", "-o", tmp_path / "run"]
    assert trained(spec, "--data", videos, *PLAIN, "--recipe", "epochs=1", *options) == 0
    ended = load_file(tmp_path / "run/weights.safetensors")
    start = load_file(tmp_path / "run/start.safetensors")
    for name, tensor in published.state_dict().items():
        if name.startswith("head."):
            assert ended[name].shape[0] == 2
            assert not torch.equal(ended[name], start[name])
        else:
            assert torch.equal(ended[name], tensor)
    # The weights of a run are those of the same network: nothing begins anew.
    assert trained(spec, "--data", videos, *PLAIN, "--recipe", "epochs=1", *own) == 0
    again = load_file(tmp_path / "again/start.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in ended.items())


# --- wrong use -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["SPEC"], "expected SPEC (or --weights RUN) and --data"),
        (["SPEC", "--data", "nowhere"], "nowhere"),
        (["SPEC", "--data", "VIDEOS", "--batch", "9", "--accumulate", "2"], "--batch 9"),
        (["SPEC", "--data", "VIDEOS", "--set", "classes=3"], "the videos have 2 classes"),
        (["SPEC", "--data", "VIDEOS", "--precision", "fp16", "--device", "cpu"], "bf16"),
        (["SPEC", "--data", "VIDEOS", "--weights", "none.pth"], "none.pth"),
        (["--resume", "nowhere"], "not a run of `archdsl train`"),
        (["SPEC", "--resume", "nowhere"], "SPEC cannot change"),
        (["two.arch", "--data", "VIDEOS"], "for other inputs, train the module in a loop of your own: docs/howto/"),
        (["i3d_two_stream", "--data", "VIDEOS"], "for several, train the module in a loop of your own: docs/howto/"),
    ],
    ids=str,
)
def test_wrong_use_is_reported(
    arguments: list[str], told: str, spec: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(spec.parent)
    Path("two.arch").write_text(TINY.replace("video[3", "video[2"), "utf-8")
    code = trained(*(a.replace("SPEC", str(spec)).replace("VIDEOS", str(videos)) for a in arguments))
    assert code == 2
    assert told in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # As torch and its workers word it; the first where a container has 64 MB in /dev/shm.
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out "
         "of shared memory. Please try to raise your shared memory limit.", "--shm-size 8g"),
        ("DataLoader worker (pid(s) 7) exited unexpectedly", "a data loading worker was killed"),
    ],
)  # fmt: skip
def test_advice_for_workers_that_end(text: str, told: str, tmp_path: Path) -> None:
    """`--resume` takes the option that is advised: test_each_setting_that_is_named_takes_effect."""
    with pytest.raises(TrainingError) as caught, clear_errors(tmp_path):
        raise RuntimeError(text)
    assert told in str(caught.value)
    assert "reduce --workers" in str(caught.value)
    assert f"--resume {tmp_path}" in str(caught.value)


def test_a_run_is_not_overwritten(spec: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    run = tmp_path / "run"
    assert trained(spec, "--data", videos, "-o", run, *PLAIN, "--recipe", "epochs=1") == 0
    assert trained(spec, "--data", videos, "-o", run, *PLAIN) == 2
    assert f"--resume {run}" in capsys.readouterr().err
