"""Masked pre-training: masks, targets, the loss, runs with their reports, and fine-tuning from them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from safetensors.torch import load_file
from training import ONE_VIEW, PLAIN, column, losses, settings, train

from archdsl import Architecture
from archdsl.cli import main
from archdsl.core.source import Source
from archdsl.files import DataError, FileLibrary, UsageError
from archdsl.ir.recipe import Recipe
from archdsl.pipeline import analyse
from archdsl.train.data.listing import read_split
from archdsl.train.engine import Engine
from archdsl.train.masking import Masking, clips_of, masking_of, normalised, patches_of
from archdsl.train.pretraining import Pretraining
from archdsl.train.run import Data, describe

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.pipeline import Analysis

pytestmark = pytest.mark.usefixtures("one_thread")
EMBED = """
input clip: video[3, 4, 16, 16]
stage embed { conv(8, [2, 4, 4], stride = [2, 4, 4], padding = valid, bias = on) -> position(vectors = sinusoid) }
"""
MASKED = f"""
arch masked
param kept = 8
{EMBED}
input mask: mask[2, 4, 4]
stage encoder {{ keep(mask, kept) -> linear(8) -> gelu }}
stage decoder {{ linear(4) -> restore(mask) -> position(vectors = sinusoid) -> linear(16) -> gelu }}
stage hidden {{ keep(mask, 24, hidden) }}
head dense: linear(96)
"""
WHOLE = MASKED.replace("stage hidden { keep(mask, 24, hidden) }\n", "")
CLASSIFIER = f"""
arch classifier
param classes = 2
{EMBED}
stage encoder {{ linear(8) -> gelu }}
head: avgpool -> linear(classes)
"""


def analysis_of(text: str) -> Analysis:
    return analyse(Source("masked.arch", text), FileLibrary())


def masking(text: str) -> Masking:
    return masking_of(analysis_of(text).network)


def task(text: str, **recipe: object) -> Pretraining:
    """A pre-training of a network, without a trainer."""
    analysis = analysis_of(text)
    network = analysis.network
    run = describe(analysis, (), Data("", task="pretrain"), Engine(), command="", masking=masking_of(network))
    run = run.__class__(**{**run.__dict__, "recipe": Recipe().replace(**recipe)})
    return Pretraining(run, Architecture(analysis).build())


def test_masks_hide_the_same_positions_of_all_frames() -> None:
    masks = Masking(("clip", "mask"), "mask", (3, 4, 5), 18, (2, 4, 4), of_hidden=True).tubes(50)
    assert masks.shape == (50, 3, 4, 5)
    assert masks.dtype == torch.bool
    assert (masks == masks[:, :1]).all()
    assert ((~masks).sum((1, 2, 3)) == 18).all()
    assert len(masks[:, 0].flatten(1).unique(dim=0)) > 40
    assert masks[:, 0].any(0).all()
    assert not masks[:, 0].all(0).any()


def test_patches_are_cut_in_the_order_of_positions() -> None:
    clips = torch.randn(2, 3, 4, 6, 8)
    patches = patches_of(clips, (2, 3, 4))
    assert patches.shape == (2, 8, 24, 3)
    torch.testing.assert_close(patches[1, 0b101].view(2, 3, 4, 3), clips[1, :, 2:4, :3, 4:].permute(1, 2, 3, 0))
    assert clips_of(patches, (2, 3, 4), (4, 6, 8)).equal(clips)


def test_targets_are_normalised_in_each_patch_and_channel() -> None:
    """By definition, with numbers one by one: the unbiased variance, 1e-6 beside the deviation, channels fastest."""
    patches = torch.rand(2, 5, 3, dtype=torch.double)
    expected = torch.zeros(2, 15, dtype=torch.double)
    for n in range(2):
        for c in range(3):
            values: list[float] = patches[n, :, c].tolist()
            mean = sum(values) / 5
            deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / 4)
            for p, value in enumerate(values):
                expected[n, 3 * p + c] = (value - mean) / (deviation + 1e-6)
    torch.testing.assert_close(normalised(patches), expected)


@pytest.mark.parametrize("text", [MASKED, WHOLE])
def test_the_loss_is_that_of_hidden_patches(text: str) -> None:
    pretraining = task(text, mean=[0.2, 0.3, 0.4], std=[0.5, 0.6, 0.7])
    clips = torch.randint(256, (2, 3, 4, 16, 16), dtype=torch.uint8)
    torch.manual_seed(3)
    found = pretraining(clips)
    torch.manual_seed(3)
    masks = pretraining.masking.tubes(2)
    outputs = pretraining.model(pretraining.normalised(clips), masks).flatten(2)
    pixels = clips.double() / 255
    for number in range(2):
        errors: list[float] = []
        places = [(t, h, w) for t in range(2) for h in range(4) for w in range(4) if masks[number, t, h, w]]
        for place, (t, h, w) in enumerate(places):
            own = pixels[number, :, 2 * t : 2 * t + 2, 4 * h : 4 * h + 4, 4 * w : 4 * w + 4].flatten(1)
            target = ((own - own.mean(1, keepdim=True)) / (own.std(1, keepdim=True) + 1e-6)).T.flatten()
            at = place if pretraining.masking.of_hidden else 16 * t + 4 * h + w
            errors.append((outputs[number, :, at] - target).square().mean().item())
        assert found[number].item() == pytest.approx(sum(errors) / len(errors), rel=1e-4)


def test_a_mask_can_hide_several_patches_at_once() -> None:
    text = """
arch units
input clip: video[3, 4, 16, 16]
input mask: mask[2, 2, 2]
stage one { conv(8, [2, 8, 8], stride = [2, 8, 8], padding = valid) -> keep(mask, 4) -> restore(mask) }
head dense: conv_transpose(96, [1, 2, 2], stride = [1, 2, 2])
"""
    units = masking(text)
    assert (units.grid, units.patch, units.of_hidden) == ((2, 2, 2), (2, 4, 4), False)
    masks = units.tubes(1)
    hidden = units.hidden(masks, (4, 16, 16)).view(2, 4, 4)
    assert hidden.equal(torch.kron(masks[0].int(), torch.ones(1, 2, 2, dtype=torch.int)).bool())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("linear(96)", "linear(97)", r"output of masked has 97 channels; a patch of its clip is 3×2×4×4 = 96 numbers"),
        ("kept = 8", "kept = 9", r"keeps 9 positions of 2×4×4; tubes are the same in all 2 frames: .* such as 8"),
        (
            "head dense: ",
            "head dense: avgpool([1, 2, 2]) -> ",
            r"the output of masked has 2×3×3 positions; expected those that its mask hides",
        ),
        ("16, 16]", "18, 16]", r"a clip of 4×18×16 does not divide into 2×4×4 equal patches: use --clip 3x4x16x16"),
        ("head dense: ", "head dense a: linear(96)\nhead dense b: ", r"masked has 2 heads; expected one `input mask"),
    ],
)
def test_networks_that_do_not_fit(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        masking(WHOLE.replace(old, new))
    with pytest.raises(UsageError, match="classifier has no mask"):
        masking(CLASSIFIER)


def test_a_clip_that_ends_within_a_patch() -> None:
    """Sizes that the grid divides all the same: 10 pixels are 2 patches of 4, or of 5."""
    text = WHOLE.replace("16, 16]", "10, 10]").replace("mask[2, 4, 4]", "mask[2, 2, 2]").replace("kept = 8", "kept = 4")
    with pytest.raises(UsageError, match="patches of 4×4 pixels end within one of 10×10: use --clip 3x4x8x8"):
        masking(text)


def test_videos_need_no_classes(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    for name in ("a.mp4", "b.mp4", "some/c.mp4", "some/d.mp4"):
        (tmp_path / name).touch()
    split = read_split(tmp_path, task="pretrain", val_share=0.25)
    assert (len(split.train), len(split.val), split.classes) == (3, 1, ())
    assert "3 videos for training, 1 for validation (25% of the videos, at random with seed 0)" in split.note
    for video in ("frames/c", "frames/d"):
        (tmp_path / video).mkdir(parents=True)
        (tmp_path / video / "0.jpg").touch()
    assert len(read_split(tmp_path / "frames", task="pretrain", no_val=True).train) == 2
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"has no videos; put videos into it, .* or a folder with the frames of each"):
        read_split(tmp_path / "none", task="pretrain", no_val=True)
    for text in ("a.mp4\nb.mp4\n", "a.mp4 1\nb.mp4 0\n", "path,label\na.mp4,\nb.mp4,x\n"):
        (tmp_path / "l.csv").write_text(text)
        assert len(read_split(tmp_path / "l.csv", task="pretrain", no_val=True).train) == 2


def test_a_pre_training_and_its_classifier(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "masked.arch").write_text(MASKED)
    (tmp_path / "classifier.arch").write_text(CLASSIFIER)
    run, options = tmp_path / "run", ["--data", videos, *PLAIN, *ONE_VIEW, "--epochs", "2"]
    assert train(tmp_path / "classifier.arch", *options, "--task", "pretrain") == 2
    assert "--task pretrain: classifier has no mask" in capsys.readouterr().err
    assert train(tmp_path / "masked.arch", *options, "--task", "multilabel") == 2
    assert "masked has a mask, and is trained with --task pretrain; a classifier that begins" in capsys.readouterr().err
    assert train(tmp_path / "masked.arch", *options, "--recipe", "mixup=1") == 2
    assert "--task pretrain: mixup of the recipe is for other tasks" in capsys.readouterr().err
    assert train(tmp_path / "masked.arch", *options, "--label", "verb") == 2
    assert "--label verb: --task pretrain reads videos alone; omit it" in capsys.readouterr().err

    assert train(tmp_path / "masked.arch", *options, "--task", "pretrain", "-o", run) == 0
    assert "24 videos for training, 6 for validation (from val/)\n" in capsys.readouterr().out
    known = settings(run)
    assert (known["data"]["task"], known["engine"]["best"], known["classes"]) == ("pretrain", "loss", [])
    assert known["masking"]["patch"] == [2, 4, 4]
    assert len(losses(run)) == 6
    tested = json.loads((run / "report/metrics.json").read_text())
    assert tested["loss"] == pytest.approx(float(column(run, "val_loss", "epochs.csv")[-1]))
    shown = "![Reconstructions, with the mean and deviation of each hidden patch from the video](reconstructions.png)"
    assert shown in (run / "report/summary.md").read_text()
    assert (run / "report/reconstructions.png").stat().st_size > 10_000
    assert len((run / "report/losses.csv").read_text().splitlines()) == 7
    assert not (run / "classes.txt").exists()
    assert not (run / "report/predictions.csv").exists()

    # The loss does not depend on the size of a batch or on chance: a test finds it again.
    assert main(["eval", str(run), "--workers", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == tested["loss"]
    assert main(["predict", str(videos), "--run", str(run)]) == 2
    assert "a pre-training, which has no answers; train a classifier" in capsys.readouterr().err
    assert main(["export", str(run), "-o", str(tmp_path / "masked.pt2")]) == 0
    assert train("--resume", run, "--epochs", "3") == 0
    assert len(losses(run)) == 9
    capsys.readouterr()

    tuned = tmp_path / "tuned"
    assert train(tmp_path / "classifier.arch", *options, "--weights", run, "-o", tuned) == 0
    assert "initial weights: " in (told := capsys.readouterr().out)
    assert "has other sizes" not in told
    start, old = load_file(tuned / "start.safetensors"), load_file(run / "best.safetensors")
    assert {name for name in start if name not in old} == set()
    assert {name for name in start if not torch.equal(start[name], old.get(name, torch.zeros(())))} == {
        "head.linear.weight",
        "head.linear.bias",
    }
