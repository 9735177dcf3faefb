"""What recipes say of training: schedules, weight decay, repeated and random augmentation, precise batch norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

pytest.importorskip("lightning")
pytest.importorskip("av")

from safetensors.torch import load_file

from archdsl.cli import main
from archdsl.ir.recipe import Recipe
from archdsl.train import synthetic
from archdsl.train.data.clips import Sampling
from archdsl.train.data.dataset import Clips, Key
from archdsl.train.data.listing import read_split
from archdsl.train.data.randaugment import OPERATIONS, augmented
from archdsl.train.engine import Engine
from archdsl.train.fit import await_file, precision_warning
from archdsl.train.loading import Order
from archdsl.train.norms import compute
from archdsl.train.objectives.classification import Classification, balanced, cross_entropy
from archdsl.train.optim import factor, groups_of
from archdsl.train.report import Result
from archdsl.train.task import luma

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image


def recipe(**values: Any) -> Recipe:
    return Recipe().replace(**values)


# --- schedules and weight decay --------------------------------------------------------------------------------------


def test_a_cosine_after_the_warmup_begins_at_its_peak() -> None:
    mvit = recipe(epochs=200, warmup=30, warmup_start=0.01, final_lr=0.01, cosine_after_warmup=True)
    assert factor(mvit, 0, 200) == pytest.approx(0.01)
    assert factor(mvit, 15, 200) == pytest.approx((0.01 + 1) / 2)
    assert factor(mvit, 30, 200) == pytest.approx(1)
    assert factor(mvit, 30 + 85, 200) == pytest.approx((1 + 0.01) / 2)  # half of the way down
    assert factor(mvit, 200, 200) == pytest.approx(0.01)
    slowfast = recipe(epochs=196, warmup=34)
    assert factor(slowfast, 34, 196) == pytest.approx((1 + math.cos(math.pi * 34 / 196)) / 2)  # already on its way
    assert factor(recipe(epochs=1, warmup=3, cosine_after_warmup=True), 1, 1) == pytest.approx(1)  # all is warm-up


class Tokens(nn.Module):
    """A class token, a table of biases, a norm and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.table = nn.Parameter(torch.zeros(7, 2))
        self.gamma = nn.Parameter(torch.zeros(4))
        self.norm, self.linear = nn.LayerNorm(4), nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"linear.weight"}),
        ({"decay_positions": True}, {"linear.weight", "token", "table"}),
        ({"decay_norms": True}, {name for name, _ in Tokens().named_parameters()}),
    ],
)
def test_what_decays(values: dict[str, Any], expected: set[str]) -> None:
    model = Tokens()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = groups_of(model, recipe(weight_decay=0.1, **values), [])
    assert {names[id(p)] for group in groups for p in group["params"] if group["weight_decay"]} == expected
    assert sum(len(group["params"]) for group in groups) == len(names)


# --- repeated augmentation -------------------------------------------------------------------------------------------


def test_repeats_stand_side_by_side_and_all_processes_have_a_share() -> None:
    engine = Engine(batch=4, devices=2)
    orders = [Order(6, engine, rank, repeats=2) for rank in (0, 1)]
    assert [len(order) for order in orders] == [3, 3]  # 12 clips
    batches = [one + other for one, other in zip(*map(list, orders), strict=True)]
    for batch in batches:
        assert [key.copy for key in batch] == [0, 1, 0, 1]
        assert batch[0].video == batch[1].video != batch[2].video == batch[3].video
    assert sorted(key.video for batch in batches for key in batch) == sorted([*range(6), *range(6)])
    assert [key for keys in Order(6, engine, 0) for key in keys] == [
        (0, key.video, 0) for keys in Order(6, engine, 0) for key in keys
    ]


def test_a_batch_can_end_between_two_clips_of_a_video() -> None:
    keys = [key for batch in Order(3, Engine(batch=3), 0, repeats=2) for key in batch]
    assert sorted((key.video, key.copy) for key in keys) == [(i, c) for i in range(3) for c in range(2)]


def test_copies_of_a_video_differ(tmp_path: Path) -> None:
    synthetic.make(tmp_path / "videos", 5)
    samples = read_split(tmp_path / "videos").train
    clips = Clips(samples, Sampling(4, 1, 12, "segments"), (32, 32), training=True, area=(0.2, 1), flip=True)
    first, again, second = (clips[key]["clip"] for key in (Key(0, 3), (0, 3), Key(0, 3, 1)))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


# --- classes of unequal size -----------------------------------------------------------------------------------------


LABELS = [0] * 6 + [1] * 2 + [3] * 4


def test_weights_make_up_for_the_sizes_of_classes() -> None:
    weights = balanced(LABELS, 4)
    assert [n * w for n, w in zip((6, 2, 4), weights[[0, 1, 3]].tolist(), strict=True)] == pytest.approx([4, 4, 4])
    assert weights[2] == 0
    logits = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    targets = nn.functional.one_hot(torch.tensor(LABELS), 4).float()
    each = -(targets * logits.log_softmax(1)).sum(1)
    of_classes = [each[torch.tensor(LABELS) == c].mean().item() for c in (0, 1, 3)]
    assert cross_entropy(logits, targets, 0, weights).item() == pytest.approx(sum(of_classes) / 3)


def test_classes_are_drawn_equally_often() -> None:
    order = Order(12, Engine(batch=12), 0, weights=balanced(LABELS, 4)[LABELS])
    counts = [0, 0, 0, 0]
    for epoch in range(500):
        order.epoch = epoch
        for key in (key for batch in order for key in batch):
            counts[LABELS[key.video]] += 1
    assert [n / 6000 for n in counts] == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=0.02)


def test_a_report_by_class() -> None:
    shares = torch.eye(3)[torch.tensor([0, 0, 1, 0])]
    abc = Classification(("a", "b", "c"), Recipe())
    result = Result([], abc, torch.arange(4), torch.tensor([0, 0, 0, 1]), shares, {}, "1 view", 0.0)
    assert result.rows == {"a": {"videos": 3, "top1": pytest.approx(2 / 3)}, "b": {"videos": 1, "top1": 0.0}}
    assert result.metrics["mean_class_top1"] == pytest.approx(1 / 3)
    assert result.metrics["top1"] == 0.5
    none = Result([], abc, torch.arange(0), torch.arange(0), torch.zeros(0, 3), {}, "1 view", 0.0)
    assert (none.rows, none.metrics["mean_class_top1"]) == ({}, None)


# --- processes -------------------------------------------------------------------------------------------------------


def test_other_processes_wait_for_the_first_ones_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    file = tmp_path / "start.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda _: file.touch())
        await_file(file)
        assert file.exists()
    await_file(tmp_path / "never", seconds=0)
    monkeypatch.setenv("RANK", "0")
    await_file(tmp_path / "never", seconds=1e9)  # the first process does not wait for itself


def test_bf16_on_a_cpu_is_warned_of() -> None:
    assert "--precision fp32 is advised" in precision_warning(Engine(precision="bf16", device="cpu"))
    assert not precision_warning(Engine(device="cpu"))


# --- grey videos -----------------------------------------------------------------------------------------------------


def test_grey_is_the_luma() -> None:
    from PIL import Image

    colours = torch.randint(256, (1, 3, 2, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    frames = [Image.fromarray(frame.permute(1, 2, 0).numpy()).convert("L") for frame in colours[0].unbind(1)]
    expected = torch.stack([torch.frombuffer(bytearray(f.tobytes()), dtype=torch.uint8).view(5, 4) for f in frames])
    assert luma(colours.float())[0, 0] == pytest.approx(expected.float(), abs=1)
    assert torch.equal(luma(colours[:, :1]), colours[:, :1])


def test_a_network_for_grey_videos_is_trained_and_predicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    synthetic.make(tmp_path / "videos", 3)
    text = "arch grey\nparam classes = 2\ninput clip: video[CHANNELS, 4, 16, 16]\nstage one { conv(6, 3) -> relu }\n"
    text += "head: avgpool -> linear(classes)\n"
    (tmp_path / "grey.arch").write_text(text.replace("CHANNELS", "1"), "utf-8")
    common = ["--data", str(tmp_path / "videos"), "--workers", "0", "--device", "cpu", "--recipe", "epochs=1"]
    assert main(["train", str(tmp_path / "grey.arch"), *common, "-o", str(tmp_path / "run")]) == 0
    video = next((tmp_path / "videos/val").rglob("*.mp4"))
    assert main(["predict", str(video), "--run", str(tmp_path / "run")]) == 0, capsys.readouterr().err
    (tmp_path / "flow.arch").write_text(text.replace("CHANNELS", "2").replace("arch grey", "arch flow"), "utf-8")
    capsys.readouterr()
    assert main(["train", str(tmp_path / "flow.arch"), *common, "-o", str(tmp_path / "no")]) == 2
    assert "videos in colour (3 channels) or grey (1)" in capsys.readouterr().err
    pairs = ["--recipe", "mean=[0.4, 0.4]", "--recipe", "std=[0.2, 0.2]"]
    assert main(["train", str(tmp_path / "grey.arch"), *common, *pairs, "-o", str(tmp_path / "no")]) == 2
    assert "give 1 or 3 of each" in capsys.readouterr().err


# --- RandAugment -----------------------------------------------------------------------------------------------------


def picture() -> Image:
    from PIL import Image

    return Image.fromarray(
        torch.arange(16 * 16 * 3, dtype=torch.int64).mul(37).remainder(251).view(16, 16, 3).byte().numpy()
    )


def applied(name: str, strength: float) -> torch.Tensor:
    """The result of an operation on `picture`, (16, 16, 3)."""
    import numpy as np

    return torch.from_numpy(np.asarray(OPERATIONS[name](picture(), strength)).astype("int64"))


def test_operations_do_what_their_names_say() -> None:
    before = applied("rotate", 0)
    assert torch.equal(applied("invert", 0.7), 255 - before)
    assert torch.equal(applied("posterize", 0.5), before & 0b11000000)
    assert torch.equal(applied("solarize", 0.5), torch.where(before < 128, before, 255 - before))
    assert torch.equal(applied("solarize_add", 1), torch.where(before < 128, before + 110, before))
    assert applied("brightness", -1).float() == pytest.approx(before.float() * 0.1, abs=1)
    one = 1 / (0.45 * 16)  # a pixel
    assert torch.equal(applied("translate_x", one)[:, :-1], before[:, 1:])
    assert torch.equal(applied("translate_y", -one)[1:], before[:-1])
    assert (applied("translate_x", one)[:, -1] == 128).all()
    grey = before.float() @ torch.tensor([0.299, 0.587, 0.114])
    assert applied("color", -1).float() == pytest.approx(0.1 * before + 0.9 * grey[..., None], abs=2)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_operations_whose_strength_grows_do_nothing_without_any(name: str) -> None:
    same = torch.equal(applied(name, 0), applied("rotate", 0))
    assert same == (name not in {"autocontrast", "equalize", "invert", "posterize"})  # posterize keeps 4 bits at most


def test_all_frames_of_a_clip_are_augmented_alike() -> None:
    frame = torch.randint(256, (3, 1, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    clip = frame.expand(-1, 5, -1, -1)
    seen: set[bytes] = set()
    for seed in range(30):
        out = augmented(clip, 4, 7, torch.Generator().manual_seed(seed))
        assert (out.shape, out.dtype) == (clip.shape, torch.uint8)
        assert torch.equal(out, out[:, :1].expand_as(out))
        assert torch.equal(out, augmented(clip, 4, 7, torch.Generator().manual_seed(seed)))
        seen.add(out.numpy().tobytes())
    assert len(seen) > 25  # a sixteenth of them is as it was
    assert frame.expand_as(clip).numpy().tobytes() in {augmented(clip, 0, 7, torch.Generator()).numpy().tobytes()}


# --- precise batch norm ----------------------------------------------------------------------------------------------


def test_statistics_are_the_means_over_batches() -> None:
    model = nn.Sequential(nn.BatchNorm3d(2), nn.BatchNorm3d(2, momentum=0.3))
    model.train()
    model[0].eval()  # frozen: shifts nothing, as its mean is 0 and its variance 1
    inputs = [torch.randn(3, 2, 2, 4, 4, generator=torch.Generator().manual_seed(s)) * (s + 1) + s for s in range(3)]
    assert compute(model, inputs) == [model[1]]
    sides = [0, 2, 3, 4]
    scaled = [x.double() / math.sqrt(1 + 1e-5) for x in inputs]
    mean = torch.stack([x.mean(sides) for x in scaled]).mean(0)
    variance = torch.stack([x.var(sides) for x in scaled]).mean(0)
    assert model[1].running_mean.double() == pytest.approx(mean, rel=1e-5)
    assert model[1].running_var.double() == pytest.approx(variance, rel=1e-5)
    assert (model[1].momentum, model[0].running_mean.tolist(), model[0].running_var.tolist()) == (0.3, [0, 0], [1, 1])


def test_a_run_with_all_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    synthetic.make(tmp_path / "videos", 3)
    (tmp_path / "tiny.arch").write_text(
        "arch tiny\nparam classes = 2\ninput clip: video[3, 4, 16, 16]\nrecipe randaugment = [2, 5], repeats = 2\n"
        "stage one { conv(6, 3, stride = [1, 2, 2]) -> bn -> relu }\nhead: avgpool -> linear(classes)\n",
        "utf-8",
    )
    common = [
        "train",
        str(tmp_path / "tiny.arch"),
        "--data",
        str(tmp_path / "videos"),
        "--workers",
        "0",
        "--batch",
        "8",
    ]
    common += ["--device", "cpu", "--recipe", "epochs=1", "--recipe", "test_clips=1", "--recipe", "test_crops=1"]
    assert main([*common, "-o", str(tmp_path / "run"), "--recipe", "precise_bn=3", "--recipe", "balance=loss"]) == 0, (
        capsys.readouterr().err
    )
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    assert [weights[name].item() for name in weights if name.endswith("num_batches_tracked")] == [3]
    assert main([*common, "-o", str(tmp_path / "other"), "--recipe", "balance=sampling"]) == 0
    steps = (tmp_path / "other" / "steps.csv").read_text("utf-8").splitlines()
    other = load_file(tmp_path / "other" / "weights.safetensors")
    assert [other[name].item() for name in other if name.endswith("num_batches_tracked")] == [len(steps) - 1]
    capsys.readouterr()
    assert main([*common, "-o", str(tmp_path / "no"), "--recipe", "precise_bn=3", "--recipe", "ema=0.9"]) == 1
    assert "the moving average has statistics of its own" in capsys.readouterr().err
