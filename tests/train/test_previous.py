"""Runs that start from the weights of another run, with all that it knows."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from safetensors.torch import load_file, save_file
from training import ONE_VIEW, PLAIN, TINY, settings, train

from archdsl.cli import main
from archdsl.commands.train_start import Start, begin
from archdsl.commands.training_options import TrainOptions
from archdsl.files import UsageError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def first(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `left` and `right` with a moving average, of a variant whose files are gone."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "tiny.arch").write_text(
        TINY.replace("classes = 2", "classes = 2, width = 16").replace("(16,", "(width,"), "utf-8"
    )
    (folder / "wide.arch").write_text("arch wide extends tiny\nparam width = 20\n", "utf-8")
    options = [*PLAIN, *ONE_VIEW, "--set", "width=24", "--clip", "3x4x24x24", "--epochs", "1", "--recipe", "ema=0.9"]
    assert train(folder / "wide.arch", "--data", videos, "-o", folder / "run", *options) == 0
    (folder / "tiny.arch").unlink()
    (folder / "wide.arch").unlink()
    return folder / "run"


@pytest.fixture(scope="module")
def more(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of `again`, a class that sorts before the others, and of those."""
    folder = tmp_path_factory.mktemp("more") / "three"
    shutil.copytree(videos, folder)
    for split in ("train", "val"):
        (folder / split / "left").rename(folder / split / "left_")
        shutil.copytree(folder / split / "left_", folder / split / "again")
        (folder / split / "left_").rename(folder / split / "left")
    return folder


def started(data: Path, weights: Path, **more: Any) -> Start:
    """Return the prepared run of some options."""
    output = str(weights.parent / "new")
    return begin(TrainOptions(data=str(data), weights=str(weights), output=output, workers=0, device="cpu", **more))


def weights_of(start: Start) -> dict[str, torch.Tensor]:
    assert start.weights is not None
    return start.weights


def test_a_run_starts_from_another_with_all_that_it_knows(first: Path, more: Path) -> None:
    start = started(more, first, recipe=("epochs=2",))
    run, weights, before = start.run, weights_of(start), load_file(first / "best.safetensors")
    assert run.name == "wide"
    assert run.clip == (3, 4, 24, 24)
    assert run.classes == ("again", "left", "right")
    assert (run.recipe.epochs, run.recipe.ema, run.recipe.lr) == (2, 0.9, 0.05)
    assert run.spec is not None
    assert set(run.spec.settings) == {"width=24", "classes=3"}
    assert dict(run.files).keys() == {"wide.arch", "tiny.arch"}
    assert weights.keys() == before.keys()
    for name, tensor in before.items():
        rows = weights[name][1:] if name.startswith("head.") else weights[name]
        assert torch.equal(rows, tensor), name
    run.model().load_state_dict(weights)
    told = start.note
    assert f"as in {first}: {first / 'spec/wide.arch'} --set width=24 --clip 3x4x24x24" in told
    assert f"{first / 'best.safetensors'} (the best epoch in validation): 8 tensors copied, 2 extended" in told
    assert "classes: 2 of 3 keep their weights in the head; new: again" in told


def test_options_override_what_a_run_knows(first: Path, videos: Path, tmp_path: Path) -> None:
    start = started(videos, first, settings=("width=20",), clip=(3, 4, 16, 16), dropout=0.25, recipe=("ema=0",))
    assert (start.run.clip, start.run.dropout, start.run.recipe.ema) == ((3, 4, 16, 16), 0.25, 0)
    before = load_file(first / "best.safetensors")["two.conv.weight"]
    assert torch.equal(weights_of(start)["two.conv.weight"], before[:20])
    assert "has other sizes" not in start.note
    # A spec of one's own: its network is planned against that of the run.
    spec = tmp_path / "deep.arch"
    text = TINY.replace("arch tiny", "arch deep").replace("head:", "stage three { conv(24, 1) }\nhead:")
    spec.write_text(text.replace("conv(16,", "conv(24,"), "utf-8")
    start = started(videos, first, spec=str(spec))
    assert (start.run.name, start.run.clip) == ("deep", (3, 4, 16, 16))
    assert torch.equal(weights_of(start)["two.conv.weight"], before)
    assert "8 tensors copied, 3 new" in start.note  # a classifier of other features is new, too
    assert f"deep has other sizes than {first}; those of that run are: --clip 3x4x24x24\n" in start.note
    spec.write_text(text.replace("conv(16,", "conv(width,").replace("classes = 2", "classes = 2, width = 20"), "utf-8")
    start = started(videos, first, spec=str(spec), clip=(3, 4, 24, 24))
    assert f"deep has other sizes than {first}; those of that run are: --set width=24\n" in start.note


def test_classes_of_other_names_are_new(first: Path, videos: Path, tmp_path: Path) -> None:
    """The same number of classes does not make them the same."""
    shutil.copytree(videos, tmp_path / "other")
    for split in ("train", "val"):
        (tmp_path / "other" / split / "left").rename(tmp_path / "other" / split / "up")
    start = started(tmp_path / "other", first)
    before, head = (
        weights["head.linear.weight"] for weights in (load_file(first / "best.safetensors"), weights_of(start))
    )
    assert torch.equal(head[0], before[1])  # right, up
    assert not torch.equal(head[1], before[0])
    assert "1 of 2 keep their weights in the head; new: up; left out: left" in start.note
    for split in ("train", "val"):
        (tmp_path / "other" / split / "right").rename(tmp_path / "other" / split / "down")
    start = started(tmp_path / "other", first)
    assert "the head is new" in start.note
    assert not torch.equal(weights_of(start)["head.linear.weight"], before)


def test_a_checkpoint_of_a_run_is_read_with_its_average(first: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    last, average = first / "checkpoints/last.ckpt", load_file(first / "weights.safetensors")
    raw = {n.removeprefix("model."): t for n, t in torch.load(last, weights_only=True)["state_dict"].items()}
    assert not torch.equal(raw["one.conv.weight"], average["one.conv.weight"])
    start = started(videos, last)  # beside its run
    assert start.run.name == "wide"
    assert all(torch.equal(weights_of(start)[name], tensor) for name, tensor in average.items())
    assert f"{last} (the moving average after step 3): 10 tensors copied" in start.note
    # Elsewhere, SPEC says what it is of; here without its classes.
    loose = tmp_path / "last.ckpt"
    shutil.copy(last, loose)
    spec = tmp_path / "tiny.arch"
    spec.write_text(TINY.replace("classes = 2", "classes = 400").replace("conv(16,", "conv(24,"), "utf-8")
    start = started(videos, loose, spec=str(spec))
    assert torch.equal(weights_of(start)["two.conv.weight"], average["two.conv.weight"])
    with pytest.raises(UsageError, match="expected SPEC"):
        started(videos, loose)
    # `weights convert` takes the raw weights, and says so; of a run, those of its best epoch.
    out = tmp_path / "out.safetensors"
    convert = ["weights", "convert", str(spec), "--set", "classes=2", "--from", "archdsl", "-o", str(out)]
    assert main([*convert, str(loose)]) == 0
    assert "--key callbacks.Average" in capsys.readouterr().err
    assert torch.equal(load_file(out)["one.conv.weight"], raw["one.conv.weight"])
    assert main([*convert, str(first)]) == 0
    assert torch.equal(load_file(out)["one.conv.weight"], average["one.conv.weight"])
    assert f"{first / 'best.safetensors'} → {out}" in capsys.readouterr().out


def test_a_file_of_weights_keeps_its_own_number_of_classes(first: Path, more: Path, tmp_path: Path) -> None:
    """Neither an option nor a spec has to say how many classes it has, which the videos contradict."""
    file, spec = tmp_path / "own.safetensors", tmp_path / "net.arch"
    shutil.copy(first / "best.safetensors", file)
    text = TINY.replace("classes = 2", "classes = 400, width = 16").replace("conv(16,", "conv(width,")
    spec.write_text(text.replace("tiny", "net"), "utf-8")
    start = started(more, file, spec=str(spec), settings=("width=24",))
    before = load_file(file)
    assert torch.equal(weights_of(start)["two.conv.weight"], before["two.conv.weight"])
    assert "8 tensors copied, 2 new" in start.note


@pytest.mark.parametrize(
    ("weights", "options", "told"),
    [
        ("run", ["--from", "mmaction2"], "--from: RUN is a run"),
        ("run", ["--weights-spec", "tiny.arch"], "--weights-spec: RUN is a run"),
        ("empty", [], "RUN: has no weights yet"),
        ("folder", [], "not a run of `archdsl train`"),
        ("earlier", [], "no record of its spec; write --weights RUN/best.safetensors --weights-spec SPEC"),
        ("foreign", ["SPEC"], "is not in `tiny`"),
        ("changed", [], "has other tensors than the network of RUN"),
        ("", ["SPEC", "--from", "mmaction2"], "--from mmaction2: says what the checkpoint of --weights is"),
    ],
    ids=str,
)
def test_weights_that_cannot_be(  # fixtures
    weights: str, options: list[str], told: str, first: Path, spec: Path, videos: Path, tmp_path: Path, capsys: Any
) -> None:
    run = tmp_path / "run"
    shutil.copytree(first, run)
    if weights == "empty":
        (run / "best.safetensors").unlink()
        (run / "weights.safetensors").unlink()
    elif weights == "folder":
        (run / "run.json").unlink()
    elif weights == "earlier":
        (run / "run.json").write_text(json.dumps(settings(first) | {"spec": None}), "utf-8")
    elif weights == "changed":
        tensors = load_file(run / "best.safetensors")
        save_file({n: t for n, t in tensors.items() if n != "one.conv.bias"}, run / "best.safetensors")
    elif weights == "foreign":
        run = tmp_path / "foreign.ckpt"
        torch.save({"state_dict": {"net.weight": torch.zeros(3)}, "callbacks": {}, "global_step": 1}, run)
    named = ["--weights", run] if weights else []
    code = train(*(o.replace("SPEC", str(spec)) for o in options), "--data", videos, "-o", tmp_path / "new", *named)
    assert code in {1, 2}
    assert told.replace("RUN", str(run)) in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
