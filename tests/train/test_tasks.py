"""Tasks beside one class per video: several classes, and numbers; their lists, losses, metrics and answers."""

from __future__ import annotations

import csv
import json
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from PIL import Image
from training import ONE_VIEW, losses, settings, train

from archdsl.cli import main
from archdsl.files import DataError, UsageError
from archdsl.ir.recipe import Recipe
from archdsl.train import report
from archdsl.train.data.listing import Split, read_split, read_tested
from archdsl.train.data.sample import Sample
from archdsl.train.objectives.classification import Classification
from archdsl.train.objectives.multilabel import Multilabel, average_precisions
from archdsl.train.objectives.regression import Regression, errors, scale_of
from archdsl.train.task import Task

if TYPE_CHECKING:
    from archdsl.train.objectives.base import Objective

pytestmark = pytest.mark.usefixtures("one_thread")


def listed(folder: Path, text: str, task: str | None, **options: Any) -> Split:
    """The data set of a list, whose videos are empty files, with the list as its validation."""
    for name in "abc":
        (folder / f"{name}.mp4").touch()
    path = folder / "l.csv"
    path.write_text(text, "utf-8")
    return read_split(path, path, task=task, **options)


def classes_of(split: Split) -> list[set[str]]:
    """The names of the classes of each video."""
    return [{split.classes[label] for label in sample.labels} for sample in split.train]


# --- lists of several classes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'a.mp4,"1,4"\nb.mp4,\nc.mp4,4\n',
        "a.mp4,1|4\nb.mp4,\nc.mp4,4\n",
        "path,label\na.mp4,1;4\nb.mp4,\nc.mp4,4\n",
        'a.mp4,"[1, 4]"\nb.mp4,[]\nc.mp4,[4]\n',
        "a.mp4 1 4\nb.mp4\nc.mp4 4\n",  # mmaction2
        "path,start,end,label\na.mp4,0,1,1 4\nb.mp4,0,1,\nc.mp4,0,1,4\n",
        "path,1,4\na.mp4,1,1\nb.mp4,0,0\nc.mp4,,1\n",
    ],
)
def test_lists_of_several_classes(text: str, tmp_path: Path) -> None:
    split = listed(tmp_path, text, "multilabel", label="1, 4" if text.startswith("path,1,4") else None)
    assert split.classes == ("1", "4")
    assert classes_of(split) == [{"1", "4"}, set(), {"4"}]
    assert "1 video without any class" in split.note
    assert all(sample.label == -1 for sample in split.train)


def test_classes_that_look_like_several_are_noted(tmp_path: Path) -> None:
    split = listed(tmp_path, 'a.mp4,run\nb.mp4,"jump, run"\nc.mp4,jump\n', None)
    assert split.classes == ("jump", "jump, run", "run")
    assert "'jump, run' is a class of its own, beside jump, run; --task multilabel" in split.note
    assert "multilabel" not in listed(tmp_path, 'a.mp4,run\nb.mp4,"jump, run"\n', None).note


def test_names_of_several_classes(tmp_path: Path) -> None:
    text = "path;label\na.mp4;putting a, b|run\nb.mp4;\nc.mp4;run\n"
    assert classes_of(listed(tmp_path, text, "multilabel")) == [{"putting a, b", "run"}, set(), {"run"}]
    (tmp_path / "names.txt").write_text("jump\nrun\nswim\n")
    split = listed(tmp_path, "a.mp4 0 2\nb.mp4 2\n", "multilabel", classes=tmp_path / "names.txt")
    assert classes_of(split) == [{"jump", "swim"}, {"swim"}]
    assert split.classes == ("jump", "run", "swim")
    with pytest.raises(DataError, match=r"l\.csv:2: unknown class 'jmup'; did you mean 'jump'"):
        listed(tmp_path, "a.mp4,jump|run\nb.mp4,jmup\n", "multilabel", classes=tmp_path / "names.txt")
    with pytest.raises(DataError, match=r"l\.csv:2: the column wet is 'x'; expected 1 or 0"):
        listed(tmp_path, "path,wet,red\na.mp4,x,1\n", "multilabel", label="wet,red")
    with pytest.raises(DataError, match="no video has a class"):
        listed(tmp_path, "path,scene\na.mp4,x\n", "multilabel")
    with pytest.raises(UsageError, match=r"--label wit: the columns of .* are path, wet"):
        listed(tmp_path, "path,wet\na.mp4,1\n", "multilabel", label="wet,wit")


def test_folders_and_random_splits_of_several_classes(tmp_path: Path) -> None:
    lines = [f"{n}.mp4,{'common' if n % 2 else ''}{'|rare' if n in {3, 5} else ''}" for n in range(40)]
    for n in range(40):
        (tmp_path / f"{n}.mp4").touch()
    (tmp_path / "l.csv").write_text("\n".join(lines))
    split = read_split(tmp_path / "l.csv", task="multilabel", val_share=0.25)
    for part, counts in ((split.train, (15, 1)), (split.val, (5, 1))):  # one of the two rare ones on each side
        assert tuple(sum(index in s.labels for s in part) for index in (0, 1)) == counts
    for name in ("a, b", "c"):
        (tmp_path / "folders" / name).mkdir(parents=True)
        (tmp_path / "folders" / name / "1.mp4").touch()
        (tmp_path / "folders" / name / "2.mp4").touch()
    assert read_split(tmp_path / "folders", task="multilabel").classes == ("a, b", "c")


# --- lists of numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "label", "names", "numbers"),
    [
        ("a.mp4,1.5\nb.mp4,-2\n", None, ("target",), [(1.5,), (-2.0,)]),
        ("a.mp4 1 1e3\nb.mp4 2 0\n", None, ("target 1", "target 2"), [(1.0, 1000.0), (2.0, 0.0)]),
        ("path,label\na.mp4,3\nb.mp4,4\n", None, ("label",), [(3.0,), (4.0,)]),
        ("FileName,EF,ESV\na.mp4,55.5,30\nb.mp4,60,40\n", "EF", ("EF",), [(55.5,), (60.0,)]),
        ("path,EF,ESV\na.mp4,55.5,30\nb.mp4,60,40\n", "ESV,ef", ("ESV", "EF"), [(30.0, 55.5), (40.0, 60.0)]),
    ],
)
def test_lists_of_numbers(
    text: str, label: str | None, names: tuple[str, ...], numbers: list[tuple[float, ...]], tmp_path: Path
) -> None:
    split = listed(tmp_path, text, "regression", label=label)
    assert split.classes == names
    assert [sample.numbers for sample in split.train] == numbers
    assert ", ".join(names) in split.note
    tested = read_tested(tmp_path / "l.csv", label=label, task="regression")
    assert (tested.val, tested.classes) == (split.val, names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a.mp4,1\nb.mp4,run\n",
            r"l\.csv:2: the target 'target' is 'run'; --task regression needs a list with a number",
        ),
        ("path,label\na.mp4,1\nb.mp4,\n", r"l\.csv:3: the target 'label' is empty"),
        ("a.mp4,nan\n", "is 'nan'"),
        ("a.mp4 1 2\nb.mp4 1\n", r"l\.csv:2: has 1 target, but .*l\.csv:1 has 2"),
        ("path,age\na.mp4,1\n", r"l\.csv:2: the target 'target' is empty; .* in columns that --label names"),
    ],
)
def test_lists_that_hold_no_numbers(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        listed(tmp_path, text, "regression")


def test_numbers_have_no_classes(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\n")
    with pytest.raises(UsageError, match="names classes, but --task regression has numbers"):
        listed(tmp_path, "a.mp4,1\n", "regression", classes=tmp_path / "names.txt")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "1.mp4").touch()
    with pytest.raises(DataError, match="the target 'target' is 'run'"):
        read_split(tmp_path, task="regression")


# --- losses and metrics -----------------------------------------------------------------------------------------------


def of(kind: type[Objective], count: int = 3, scale: Any = (), **recipe: Any) -> Objective:
    return kind(tuple("abcdef"[:count]), Recipe().replace(**recipe), scale)


def test_average_precision() -> None:
    """Precision at each positive in the order of the scores: (1/1 + 2/3) / 2; ties count together: (2/3) for both."""
    answers = torch.tensor([[0.9, 0.5, 0.3], [0.8, 0.5, 0.4], [0.7, 0.5, 0.2], [0.1, 0.1, 0.1]])
    targets = torch.tensor([[1.0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    first, tied, none = average_precisions(targets, answers).tolist()
    assert first == pytest.approx((1 + 2 / 3) / 2)
    assert tied == pytest.approx(2 / 3)
    assert math.isnan(none)
    assert average_precisions(targets[:, :1], answers[:, :1]).tolist() == [first]  # one class
    objective = of(Multilabel)
    scores = objective.scores(targets, answers)
    assert scores["map"] == pytest.approx((first + tied) / 2)
    logs = [
        math.log(a if t else 1 - a) for a, t in zip(answers.flatten().tolist(), targets.flatten().tolist(), strict=True)
    ]
    assert scores["loss"] == pytest.approx(-sum(logs) / 12, rel=1e-5)
    assert objective.rows(targets, answers) == {
        "a": {"videos": 2, "ap": pytest.approx(first)}, "b": {"videos": 2, "ap": pytest.approx(tied)},
    }  # fmt: skip
    assert objective.cells(targets[0], answers[0]) == ["a; b", "0.900000", "0.500000", "0.300000"]


def test_loss_of_several_classes() -> None:
    samples = [Sample("", -1, labels=labels) for labels in ((0,), (0, 1), (0,), ())]
    outputs = torch.tensor([[0.0, math.log(3), 0.0]])  # probabilities ½, ¾, ½
    plain = of(Multilabel)
    targets = plain.target(samples[1])[None]
    assert targets.tolist() == [[1, 1, 0]]
    assert plain.weights(samples) is None
    expected = [-math.log(0.5), -math.log(0.75), -math.log(0.5)]
    assert plain.loss(outputs, targets, None).item() == pytest.approx(sum(expected) / 3)
    smooth = of(Multilabel, label_smoothing=0.2).loss(outputs, targets, None).item()
    assert smooth == pytest.approx((expected[0] + 0.9 * expected[1] - 0.1 * math.log(0.25) + expected[2]) / 3)
    balanced = of(Multilabel, balance="loss")
    weights = balanced.weights(samples)
    assert weights is not None
    assert weights.tolist() == pytest.approx([1 / 3, 3, 1])  # negatives / positives; a class without positives: 1
    loss = balanced.loss(outputs, targets, weights).item()
    assert loss == pytest.approx((expected[0] / 3 + 3 * expected[1] + expected[2]) / 3)
    given = of(Multilabel, class_weights=[1, 2, 3])
    assert given.loss(outputs, targets, given.weights(samples)).item() == pytest.approx(
        (0.5 * expected[0] + expected[1] + 1.5 * expected[2]) / 3
    )


def test_class_weights_are_relative() -> None:
    samples = [Sample("", label) for label in (0, 0, 0, 1)]
    for weights in ([1, 3, 0], [10, 30, 0]):
        found = of(Classification, class_weights=weights).weights(samples)
        assert found is not None
        assert found[:2].tolist() == pytest.approx([4 / 6, 12 / 6])  # 1 on average over the videos
    with pytest.raises(UsageError, match="class_weights: has 2 numbers; expected 3"):
        of(Classification, class_weights=[1, 2]).check()
    with pytest.raises(ValueError, match="class_weights and balance: both weight"):
        Recipe().replace(class_weights=[1, 2], balance="loss")


def test_errors_of_numbers() -> None:
    """Figures worked out by hand: errors 1, -1, 0, 4; mean of targets 3, squares about it 4 + 1 + 0 + 5 · 1 = ..."""
    targets, answers = torch.tensor([1.0, 2, 4, 5]), torch.tensor([2.0, 1, 4, 9])
    found = errors(targets, answers)
    assert found["mae"] == pytest.approx(6 / 4)
    assert found["rmse"] == pytest.approx(math.sqrt(18 / 4))
    assert found["r2"] == pytest.approx(1 - 18 / 10)
    # Deviations of answers from their mean 4: -2, -3, 0, 5; of targets: -2, -1, 1, 2.
    assert found["pearson"] == pytest.approx(17 / math.sqrt(38 * 10))
    assert found["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))  # ranks 2, 1, 3, 4
    same = errors(torch.ones(3), torch.tensor([1.0, 2, 3]))
    assert same["mae"] == pytest.approx(1)
    assert all(math.isnan(same[name]) for name in ("r2", "pearson", "spearman"))


def test_numbers_are_standardised() -> None:
    samples = [Sample("", -1, numbers=numbers) for numbers in ((10.0, 5.0), (30.0, 5.0))]
    scale = scale_of(samples)
    assert scale == ((20.0, 10.0), (5.0, 1.0))
    for name, expected in (("mse", (1 + 4) / 2), ("l1", (1 + 2) / 2), ("smooth_l1", (0.5 + 1.5) / 2)):
        objective = of(Regression, 2, scale, regression_loss=name)
        targets = objective.mixable(torch.stack([objective.target(samples[1])]))
        assert targets.tolist() == [[1.0, 0.0]]
        assert objective.loss(torch.tensor([[0.0, 2.0]]), targets, None).item() == pytest.approx(expected)
        assert objective.answers(torch.tensor([[-1.0, 2.0]])).tolist() == [[10.0, 7.0]]


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Regression, {"mixup": 0.8, "label_smoothing": 0.1},
         "--task regression: label_smoothing, mixup of the recipe are for other tasks; add "
         "--recipe label_smoothing=0 --recipe mixup=0"),
        (Regression, {"class_weights": [1, 2, 3]}, r"class_weights of the recipe is .* --recipe class_weights=\[\]"),
        (Classification, {"regression_loss": "l1"}, "--task classification: regression_loss"),
        (Multilabel, {"balance": "sampling"}, "--task multilabel: `balance = sampling`"),
    ],
)  # fmt: skip
def test_recipes_of_other_tasks_are_refused(kind: type[Objective], values: dict[str, Any], message: str) -> None:
    of(kind).check()
    with pytest.raises(UsageError, match=message):
        of(kind, **values).check()


# --- runs -------------------------------------------------------------------------------------------------------------

SPEC = """
arch tiny
param classes = 2
input clip: video[3, 4, 16, 16]
stage one { conv(8, [1, 3, 3], stride = [1, 2, 2], bias = on) -> relu }
head: avgpool -> linear(classes)
"""
PLAIN = "--recipe optimizer=adamw --recipe lr=0.03 --recipe lr_batch=0 --workers 0 --device cpu --batch 8".split()


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of folders of frames, with some of the classes red and green, and a number that is their blue."""
    folder = tmp_path_factory.mktemp("colours")
    rows = ["path,colours,blue,split"]
    for number in range(24):
        red, green, blue = 200 * (number % 2), 200 * (number // 2 % 2), 10 * (number * 7 % 24)
        (folder / str(number)).mkdir()
        for frame in range(4):
            Image.new("RGB", (20, 20), (red, green, blue)).save(folder / str(number) / f"{frame}.png")
        names = "|".join(name for name, own in (("red", red), ("green", green)) if own)
        rows.append(f"{number},{names},{1000 + blue},{'val' if number > 15 else 'train'}")
    (folder / "list.csv").write_text("\n".join(rows))
    (folder / "tiny.arch").write_text(SPEC)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_lists_of_other_tasks_are_checked(colours: Path, capsys: Any) -> None:
    check = ["data", "check", str(colours / "list.csv"), "--workers", "0", "--json"]
    assert main([*check, "--label", "colours", "--task", "multilabel"]) == 0
    several = json.loads(capsys.readouterr().out)
    assert several["classes"] == [{"name": name, "train": 8, "val": 4} for name in ("green", "red")]
    assert main([*check, "--label", "blue", "--task", "regression"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["targets"] == {"blue": {"min": 1000, "median": 1115, "max": 1230}}
    assert main([*check[:-1], "--label", "blue", "--task", "regression"]) == 0
    assert "blue: 1000 to 1230, median 1115" in capsys.readouterr().out


def test_a_run_with_several_classes(colours: Path, tmp_path: Path, capsys: Any) -> None:
    run = tmp_path / "run"
    options = [*PLAIN, *ONE_VIEW, "--epochs", "12", "--task", "multilabel", "--label", "colours"]
    options += ["--recipe", "mixup=0.2", "--recipe", "label_smoothing=0.05"]
    assert train(colours / "tiny.arch", "--data", colours / "list.csv", *options, "-o", run) == 0
    assert "mAP" in capsys.readouterr().out
    assert settings(run)["data"]["task"] == "multilabel"
    metrics = json.loads((run / "report/metrics.json").read_text())
    rows = table(run / "report/predictions.csv")
    assert metrics["map"] == 1  # colours are easy
    assert metrics["by_class"] == {name: {"videos": 4, "ap": 1} for name in ("green", "red")}
    for name in ("green", "red"):
        own = [float(row[name]) for row in rows if name in row["classes"]]
        assert min(own) > max(float(row[name]) for row in rows if name not in row["classes"])
    terms = [math.log(p if n in r["classes"] else 1 - p) for r in rows for n in ("green", "red") if (p := float(r[n]))]
    assert metrics["loss"] == pytest.approx(-sum(terms) / 16, rel=1e-3)
    epochs = table(run / "epochs.csv")
    assert float(epochs[-1]["val_map"]) == 1
    assert float(epochs[-1]["val_loss"]) == pytest.approx(metrics["loss"], rel=1e-5)

    # Probabilities of classes do not add up to 1; a video of both has both.
    assert main(["predict", str(colours / "23"), "--run", str(run), "--json", "--workers", "0"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert {best["class"] for best in answer["classes"]} == {"green", "red"}
    assert min(best["probability"] for best in answer["classes"]) > 0.5
    assert train("--resume", run, "--task", "classification") == 2
    assert "--task cannot change in a run" in capsys.readouterr().err
    assert train("--resume", run, "--task", "multilabel", "--recipe", "balance=sampling") == 2
    assert "balance = sampling" in capsys.readouterr().err


def test_a_run_with_numbers(colours: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    options = [*PLAIN, *ONE_VIEW, "--epochs", "15", "--task", "regression", "--label", "blue"]
    assert train(colours / "tiny.arch", "--data", colours / "list.csv", *options, "-o", run) == 0
    assert "1 target: blue" in capsys.readouterr().out
    assert (run / "classes.txt").read_text() == "blue\n"
    ((mean, deviation),) = settings(run)["scale"]
    numbers = [1000 + 10 * (number * 7 % 24) for number in range(16)]
    assert mean == pytest.approx(statistics.mean(numbers))
    assert deviation == pytest.approx(statistics.pstdev(numbers))
    metrics = json.loads((run / "report/metrics.json").read_text())
    rows = table(run / "report/predictions.csv")
    differences = [float(row["blue found"]) - float(row["blue"]) for row in rows]
    assert metrics["mae"] == pytest.approx(sum(map(abs, differences)) / 8, rel=1e-3)
    assert metrics["loss"] == pytest.approx(sum(d * d for d in differences) / 8 / deviation**2, rel=1e-3)
    assert metrics["by_target"]["blue"]["mae"] == metrics["mae"]
    assert metrics["r2"] > 0.8
    assert float(table(run / "epochs.csv")[0]["val_mae"]) > metrics["mae"]
    assert (run / "report/scatter.png").exists()
    assert len(losses(run)) == 30

    assert main(["predict", str(colours / "20"), "--run", str(run), "--json", "--workers", "0"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    found = next(float(row["blue found"]) for row in rows if Path(row["video"]).name == "20")
    assert answer["targets"] == [{"target": "blue", "value": pytest.approx(found, rel=1e-4)}]
    assert main(["predict", str(colours / "20"), "--run", str(run), "--top", "1"]) == 2
    assert "--top 1" in capsys.readouterr().err

    # The task, the target and its scale are those of the run.
    for picture in ("curves", "strips"):
        monkeypatch.setattr(report, picture, lambda *_: False)
    monkeypatch.setattr(Regression, "draw", lambda *_: [])
    assert main(["eval", str(run), "--data", str(colours / "list.csv"), "--workers", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mae"] == pytest.approx(metrics["mae"])
    more = ["--data", colours / "list.csv", "--label", "blue", "--workers", "0", "--device", "cpu", "--batch", "8"]
    assert train("--weights", run, *more, "--epochs", "1", "-o", tmp_path / "again") == 0
    assert f"as in {run}: " in (told := capsys.readouterr().out)
    assert "--task regression" in told
    assert settings(tmp_path / "again")["scale"] == [[mean, deviation]]
    first = table(tmp_path / "again" / "steps.csv")[0]
    assert float(first["loss"]) < float(table(run / "steps.csv")[0]["loss"]) / 2
    assert train("--resume", run, "--epochs", "16") == 0
    assert len(losses(run)) == 32
    assert settings(run)["scale"] == [[mean, deviation]]


def test_results_of_processes_are_one_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each video counts once, in the order of the videos, also where the last process repeats the first ones."""
    task = object.__new__(Task)
    torch.nn.Module.__init__(task)
    answers = torch.arange(10.0).view(5, 2)
    own = [(torch.tensor([0, 1]), answers[[0, 1]], answers[[0, 1]]), (torch.tensor([-1]), answers[[2]], answers[[2]])]
    other = [(torch.tensor([3, 4]), answers[[3, 4]], answers[[3, 4]]), (torch.tensor([0]), answers[[0]], answers[[0]])]
    task.seen = own
    monkeypatch.setattr(Task, "from_all", lambda _, seen: [other, seen])
    indices, targets, found = task.tested()
    assert indices.tolist() == [0, 1, 3, 4]
    assert torch.equal(targets, answers[[0, 1, 3, 4]])
    assert torch.equal(found, targets)
    assert task.seen == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "blue", "--set", "classes=2", "--task", "regression"], "the videos have 1 target"),
        (
            ["--label", "colours", "--task", "multilabel", "--best", "top1"],
            "the metrics of --task multilabel are map, loss",
        ),
        (["--label", "blue", "--task", "regression", "--recipe", "cutmix=1"], "--recipe cutmix=0"),
    ],
)
def test_wrong_use_is_reported(options: list[str], message: str, colours: Path, tmp_path: Path, capsys: Any) -> None:
    run = tmp_path / "run"
    assert train(colours / "tiny.arch", "--data", colours / "list.csv", *options, "-o", run, "--device", "cpu") == 2
    assert message in capsys.readouterr().err
    assert not run.exists()
