"""The `recipe` of a spec: read, inherited and checked; and the recipes of the bundled specs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from repository import ROOT

import archdsl
from archdsl.cli import main
from archdsl.ir.recipe import Recipe
from archdsl.layers.attributes import Choice, Flag, Integer, Numbers, Real

if TYPE_CHECKING:
    from pathlib import Path

SPECS = ROOT / "specs"
PARTS = "input clip: video[3, 4, 8, 8]\nstage one { conv(4, 1) }\nhead: avgpool -> linear(2)\n"


def told(folder: Path, text: str, **options: Any) -> archdsl.Architecture:
    """A spec of a few lines, with what is given in Python."""
    (folder / "spec.arch").write_text(text if "extends" in text else f"{text}\n{PARTS}", "utf-8")
    return archdsl.load(folder / "spec.arch", **options)


def test_values_of_every_kind(tmp_path: Path) -> None:
    text = """
arch spec
param half = 1/2, wide = [0.3 for c in 1..3], steps = 3
recipe optimizer = adamw if half < 1 else sgd, lr = half / 50, schedule = steps, steps = [2*steps, 10], flip = off
recipe mean = wide, interval = 4 if half < 1 else 1, warmup = 2.5
"""
    arch = told(tmp_path, text.strip())
    recipe = arch.recipe
    assert not arch.warnings  # `half` and `wide` are used, though in the recipe alone
    assert (recipe.optimizer, recipe.lr, recipe.schedule, recipe.steps) == ("adamw", 0.01, "steps", (6.0, 10.0))
    assert (recipe.flip, recipe.mean, recipe.interval, recipe.warmup) == (False, (0.3, 0.3, 0.3), 4, 2.5)
    assert recipe.weight_decay == 1e-4  # of the defaults, which nobody has changed


def test_a_spec_without_a_recipe_has_the_defaults(tmp_path: Path) -> None:
    assert told(tmp_path, "arch spec").recipe == Recipe()
    assert repr(Recipe()) == "Recipe()"


def test_defaults_suit_their_own_limits() -> None:
    assert Recipe().replace(**Recipe().as_dict()) == Recipe()
    kinds = {Choice: str, Flag: bool, Integer: int, Real: (int, float), Numbers: tuple}
    for name, attribute in Recipe.fields.items():
        assert isinstance(attribute.default, kinds[type(attribute)]), name
        assert attribute.doc


def test_a_variant_inherits_name_by_name(tmp_path: Path) -> None:
    for name, text in {
        "base": f"arch base\nparam rate = 0.5\nrecipe lr = rate, epochs = 10, interval = 2\n{PARTS}",
        "middle": "arch middle extends base\nrecipe epochs = 20\n",
    }.items():
        (tmp_path / f"{name}.arch").write_text(text, "utf-8")
    recipe = told(tmp_path, "arch spec extends middle\nparam rate = 0.25\nrecipe interval = 8").recipe
    assert (recipe.lr, recipe.epochs, recipe.interval) == (0.25, 20, 8)


def test_what_python_gives_goes_before_the_spec(tmp_path: Path) -> None:
    arch = told(tmp_path, "arch spec\nrecipe lr = 1, epochs = 5", recipe={"lr": 0.01, "schedule": "constant"})
    assert (arch.recipe.lr, arch.recipe.epochs, arch.recipe.schedule) == (0.01, 5, "constant")


def test_the_module_does_not_depend_on_what_python_gives(tmp_path: Path) -> None:
    assert told(tmp_path, "arch spec", recipe={"lr": 3}).source() == told(tmp_path, "arch spec").source()


def test_plain_data_and_back() -> None:
    recipe = archdsl.load(SPECS / "mvitv2_l_40x3.arch").recipe
    plain = json.loads(json.dumps(recipe.as_dict()))
    assert list(plain) == list(Recipe.fields)
    assert Recipe().replace(**plain) == recipe
    assert hash(Recipe().replace(**plain)) == hash(recipe)


def test_a_replaced_recipe_leaves_the_first_as_it_was() -> None:
    recipe = Recipe()
    other = recipe.replace(lr=0.5, steps=[3], schedule="steps", mean=[0.5], std=[0.25])
    assert (other.lr, other.steps, other.schedule, other.std) == (0.5, (3.0,), "steps", (0.25,))
    assert (recipe.lr, recipe.steps) == (0.1, ())
    assert other != recipe
    assert repr(recipe.replace(flip=False, epochs=3)) == "Recipe(epochs=3, flip=False)"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 1}, "a recipe has no 'learning_rate'"),
        ({"optimiser": "sgd"}, "did you mean `optimizer`"),
        ({"optimizer": "lion"}, "optimizer: expected `sgd` or `adamw`, found `lion`"),
        ({"lr": -1}, "lr: expected at least 0, found -1"),
        ({"lr": True}, "lr: expected a number, found `on`"),
        ({"lr": float("nan")}, "lr: nan is not"),
        ({"lr": None}, "lr: None is not"),
        ({"interval": 0}, "interval: expected at least 1, found 0"),
        ({"interval": 1.5}, "interval: 1.5 is not a whole number"),
        ({"flip": 1}, "flip: expected `on` or `off`, found 1"),
        ({"betas": [0.9]}, "betas: expected a list of 2 numbers"),
        ({"area": [0.5]}, "area: expected a list of 0 or 2 numbers"),
        ({"area": [0.5, 1.5]}, "area: expected a number from 0 to 1, found 1.5"),
        ({"test_crops": 2}, "test_crops: expected 1 or 3, found 2"),
        ({"label_smoothing": 2}, "label_smoothing: expected a number from 0 to 1"),
        ({"epochs": 0}, "epochs: expected at least 1"),
        ({"steps": [10]}, "schedule and steps: with `schedule = cosine` `steps` have no effect"),
        ({"schedule": "steps"}, "`steps` must list epochs"),
        ({"schedule": "steps", "steps": [20, 10]}, "do not ascend"),
        ({"schedule": "steps", "steps": [10, 10]}, "do not ascend"),
        ({"jitter": [2, 1.5]}, "jitter: the first limit is above the second"),
        ({"mean": [0.5]}, "`mean` and `std` have 1 and 3 numbers"),
    ],
)
def test_values_of_python_that_do_not_suit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Recipe().replace(**values)


def test_a_command_takes_values_and_points_at_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`train` reads the spec before the videos; of one that is faulty nothing else is said."""
    pytest.importorskip("lightning")
    (tmp_path / "spec.arch").write_text(f"arch spec\nrecipe schedule = steps, steps = [5]\n{PARTS}", "utf-8")
    command = ["train", str(tmp_path / "spec.arch"), "--data", str(tmp_path), "-o", str(tmp_path / "run")]
    assert main([*command, "--recipe", "schedule=cosine"]) == 1
    error = capsys.readouterr().err
    assert "--> --recipe:1:10" in error
    assert "with `schedule = cosine` `steps` have no effect" in error
    assert f"--> {tmp_path / 'spec.arch'}:2:26" in error


def test_check_finds_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spec.arch").write_text(f"arch spec\nrecipe lrr = 1\n{PARTS}", "utf-8")
    assert main(["check", str(tmp_path / "spec.arch")]) == 1
    assert "a recipe has no `lrr`" in capsys.readouterr().err


def test_a_library_has_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "blocks.arch").write_text("block one() { relu }\nrecipe lr = 1\n", "utf-8")
    with pytest.raises(archdsl.SpecError, match="a library holds blocks, functions and imports"):
        told(tmp_path, "arch spec\nimport blocks")


# --- the specs -------------------------------------------------------------------------------------------------------

# What the papers and the authors' files print, by spec: PySlowFast's SLOWFAST_8x8_R50, MVIT_B_16x4_CONV, MVITv2_B_32x3
# in configs/Kinetics, torchvision's references/video_classification and models/video/README.md, configs/Kinetics of
# TimeSformer and of VTN, scenic's vivit/configs/kinetics400, configs/recognition/swin of Video Swin.
PRINTED: dict[str, dict[str, Any]] = {
    "slowfast_r50": {"lr": 0.1, "lr_batch": 64, "weight_decay": 1e-4, "epochs": 196, "warmup": 34, "interval": 2},
    "slowfast_4x16_r50": {"epochs": 196, "interval": 2},
    "slow_r50_nl": {"epochs": 196, "interval": 8},
    "slow_4x16_r50": {"interval": 16},
    "i3d_r101_nl5": {"epochs": 196, "interval": 8},
    "i3d_r50_heavy": {"interval": 2},
    "i3d_inception_flow": {"mean": (0.5,), "std": (0.5,), "fps": 25},
    # 45 epochs of 5 clips of each video, 24 on each GPU; steps at 20, 30 and 40.
    "r2plus1d_34": {"lr": 0.01, "lr_batch": 24, "steps": (100, 150, 200), "epochs": 225, "warmup": 50},
    "r3d_18": {"nesterov": False, "fps": 15, "interval": 1, "test_clips": 5, "warmup_start": 0.001},
    "timesformer_hr": {"interval": 16, "jitter": (1, 512 / 448), "decay_norms": True},
    "vtn_deit_b": {"lr": 1e-3, "steps": (13, 24), "epochs": 25, "interval": 8, "test_clips": 1},
    "timesformer_st": {"lr": 0.005, "steps": (11, 14), "epochs": 15, "interval": 32, "test_crops": 3},
    "timesformer_l": {"lr": 0.005, "interval": 4},
    "vivit_b_fsa": {"lr": 0.1, "epochs": 30, "warmup": 2.5, "interval": 2, "mean": (0.5, 0.5, 0.5)},
    "vivit_b_joint": {"nesterov": False, "warmup_start": 0},
    "vivit_b_fe": {"jitter": pytest.approx((0.9 * 256 / 224, 1.33 * 256 / 224))},
    "vivit_l_fe": {"lr": 0.05, "epochs": 30},
    "mvit_b_16x4": {"optimizer": "adamw", "weight_decay": 0.05, "epochs": 200, "mixup": 0.8, "area": (0.08, 1)},
    # BASE_LR and COSINE_END_LR 1e-6 of 1e-4, 16 videos of 2 clips; ZERO_DECAY_POS_CLS: False, rand-m7-n4.
    "mvitv2_s_16x4": {
        "lr": 1e-4, "lr_batch": 32, "repeats": 2, "final_lr": 0.01, "warmup": 30, "warmup_start": 0.01,
        "cosine_after_warmup": True, "decay_positions": True, "randaugment": (4, 7),
    },
    "mvitv2_b_32x3": {"cutmix": 1, "label_smoothing": 0.1, "erase": 0.25, "clip_gradient": 1, "interval": 3},
    "mvitv2_l_40x3": {"mean": (0.485, 0.456, 0.406), "test_crops": 3},
    "swin3d_s": {"optimizer": "adamw", "lr": 1e-3, "backbone_lr": 0.1, "weight_decay": 0.02, "warmup": 2.5},
    "swin3d_b_ssv2": {"lr": 3e-4, "epochs": 60, "sampling": "segments", "test_clips": 1, "flip": False},
    "swin3d_l": {"lr": 3e-4, "weight_decay": 0.05, "test_scale": 1, "test_clips": 4, "test_crops": 3, "flip": True},
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_recipes_are_what_is_printed(name: str) -> None:
    recipe = archdsl.load(SPECS / f"{name}.arch").recipe
    assert {key: getattr(recipe, key) for key in PRINTED[name]} == PRINTED[name]


def in_names() -> list[Any]:
    """Specs of which the description says, as in `8×8,`, how many frames a clip has and how far apart they are."""
    found: list[Any] = []
    for path in sorted(SPECS.glob("*.arch")):
        match = re.search(r"(?<![×\d/])(\d\d?)×(\d\d?)[:,.]", path.read_text("utf-8").splitlines()[1])
        if match is not None:
            found.append(pytest.param(path, int(match[1]), int(match[2]), id=path.stem))
    return found


@pytest.mark.parametrize(("path", "frames", "interval"), in_names())
def test_names_tell_the_interval(path: Path, frames: int, interval: int) -> None:
    """Of the slow path, where there are two."""
    arch = archdsl.load(path)
    given = arch._analysis.parameters
    ratio = int(given.get("alpha", 1))
    assert (int(given["frames"]) // ratio, arch.recipe.interval * ratio) == (frames, interval)
