"""Several heads: their lists, loss, metrics, runs and answers."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from safetensors.torch import load_file
from torch.nn import functional
from training import ONE_VIEW, PLAIN, column, settings, train

from archdsl.cli import main
from archdsl.files import DataError, UsageError
from archdsl.ir.recipe import Recipe
from archdsl.train.best import metric_of, metrics_among
from archdsl.train.data.listing import read_split, read_tested
from archdsl.train.objectives.classification import Classification
from archdsl.train.objectives.heads import Heads

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")
NAMES = ("verb: cut", "verb: take", "noun: cup", "noun: cut", "noun: pan")
TWO = """
arch two
param verbs = 7
input clip: video[3, 4, 16, 16]
stage one { conv(8, 3, stride = [1, 4, 4], bias = on) -> gelu }
head verb: avgpool -> linear(verbs)
head noun: avgpool -> linear(3)
"""


def listed(folder: Path, text: str) -> Path:
    for name in "abc":
        (folder / f"{name}.mp4").touch()
    (folder / "l.csv").write_text(text)
    return folder / "l.csv"


def test_lists_with_a_column_for_each_head(tmp_path: Path) -> None:
    path = listed(tmp_path, "video,Verb,noun\na.mp4,take,pan\nb.mp4,cut,cup\nc.mp4,cut,cut\n")
    split = read_split(path, path, label="verb,noun", task="heads")
    assert split.classes == NAMES
    assert [[split.classes[n] for n in sample.labels] for sample in split.train] == [
        ["verb: take", "noun: pan"],
        ["verb: cut", "noun: cup"],
        ["verb: cut", "noun: cut"],
    ]
    assert "2 classes of verb, 3 classes of noun" in split.note
    assert read_split(path, path, label="noun,verb", task="heads").classes[0] == "noun: cup"
    with pytest.raises(UsageError, match=r"--label place: the columns of .* are video, verb, noun"):
        read_split(path, label="verb,place", task="heads")
    (tmp_path / "names.txt").write_text("cut\ntake\n")
    with pytest.raises(UsageError, match=r"names\.txt: names the classes of one head"):
        read_split(path, path, classes=tmp_path / "names.txt", label="verb,noun", task="heads")
    for text in ("a.mp4,1\nb.mp4,2\n", "path,verb,noun\na.mp4,take,\nb.mp4,cut,pan\n"):
        with pytest.raises(DataError, match=r"several heads need a list whose header|l\.csv:2: has no class"):
            read_split(listed(tmp_path, text), label="verb,noun", task="heads")


def test_lists_with_numbers_of_classes(tmp_path: Path) -> None:
    path = listed(tmp_path, "path,verb,noun\na.mp4,0,4\nb.mp4,1,9\nc.mp4,0,9\n")
    split = read_split(path, path, label="verb,noun", task="heads")
    assert split.classes == ("verb: 0", "verb: 1", "noun: 4", "noun: 9")
    assert [sample.labels for sample in split.train] == [(0, 2), (1, 3), (0, 3)]


def test_verbs_and_nouns_of_epic_kitchens(tmp_path: Path) -> None:
    header = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    rows = ["P01_01_0,P01,P01_01,00:00:00.1,00:00:02,1,0\n", "P01_01_1,P01,P01_01,00:00:03,00:00:04,0,2\n"]
    (tmp_path / "EPIC_100_train.csv").write_text(header + "".join(rows))
    (tmp_path / "EPIC_100_validation.csv").write_text(header + rows[0])
    (tmp_path / "EPIC_100_verb_classes.csv").write_text("id,key,category\n0,take,a\n1,put,a\n")
    (tmp_path / "EPIC_100_noun_classes.csv").write_text("id,key,category\n0,tap,a\n1,spoon,a\n2,plate,a\n")
    (tmp_path / "P01_01.MP4").touch()
    split = read_split(tmp_path / "EPIC_100_train.csv", label="verb,noun", task="heads")
    assert split.classes == ("verb: take", "verb: put", "noun: tap", "noun: spoon", "noun: plate")
    assert [sample.labels for sample in (*split.train, *split.val)] == [(1, 2), (0, 4), (1, 2)]
    with pytest.raises(UsageError, match="--label verb,place: EPIC-KITCHENS has two classes per segment"):
        read_split(tmp_path / "EPIC_100_train.csv", label="verb,place", task="heads")


def test_loss_and_metrics_are_those_of_each_head() -> None:
    objective = Heads(NAMES, Recipe().replace(label_smoothing=0.1, balance="loss"))
    outputs, verbs, nouns = torch.randn(4, 5), torch.tensor([0, 1, 1, 1]), torch.tensor([2, 0, 0, 1])
    targets = torch.stack([verbs, 2 + nouns], 1)
    mixable = objective.mixable(targets)
    loss = functional.cross_entropy(outputs[:, :2], verbs, label_smoothing=0.1)
    loss += functional.cross_entropy(outputs[:, 2:], nouns, label_smoothing=0.1)
    torch.testing.assert_close(objective.loss(outputs, mixable, None), loss)
    answers = objective.answers(outputs)
    scores = objective.scores(targets, answers)
    for head, names, own, found in (
        ("verb", NAMES[:2], verbs, answers[:, :2]),
        ("noun", NAMES[2:], nouns, answers[:, 2:]),
    ):
        for name, value in Classification(names, Recipe()).scores(own, found).items():
            assert scores[f"{head}.{name}"] == value
    right = (outputs[:, :2].argmax(1) == verbs) & (outputs[:, 2:].argmax(1) == nouns)
    assert scores["all_top1"] == right.double().mean().item()
    assert scores["loss"] == pytest.approx(scores["verb.loss"] + scores["noun.loss"])
    assert [place for place, _ in objective.worst(targets, answers)] == sorted(
        (~right).nonzero()[:, 0].tolist(), key=lambda n: answers[n].gather(0, targets[n]).prod().item()
    )
    assert metrics_among([*scores, "other"])[:3] == ["loss", "all_top1", "verb.loss"]
    assert metric_of("noun.top1").title == "noun top-1"


def test_a_run_with_two_heads(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.arch").write_text(TWO)
    paths = sorted(videos.glob("*/*/*.mp4"))
    lines = [
        f"{p},{p.parts[-3]},{'move' if n % 2 else 'stay'},{'lr'[p.parts[-2] == 'right']}{n % 4 == 0}"
        for n, p in enumerate(paths)
    ]
    (tmp_path / "l.csv").write_text("\n".join(["path,split,verb,noun", *lines]))
    options = ["--data", tmp_path / "l.csv", *PLAIN, *ONE_VIEW, "--epochs", "1"]
    assert train(tmp_path / "two.arch", *options) == 2
    assert "its head noun has 3 outputs, the videos have 4 classes; a parameter" in capsys.readouterr().err
    (tmp_path / "two.arch").write_text(TWO.replace("linear(3)", "linear(4)"))
    run = tmp_path / "run"
    assert train(tmp_path / "two.arch", *options, "-o", run) == 0
    printed = capsys.readouterr().out
    assert "2 classes of verb, 4 classes of noun" in printed
    assert "all heads top-1 " in printed
    assert ", noun top-1 " in printed
    known = settings(run)
    assert (known["data"]["task"], known["engine"]["best"], known["spec"]["settings"]) == (
        "heads",
        "all_top1",
        ["verbs=2"],
    )
    assert 0 <= float(column(run, "val_noun.top5", "epochs.csv")[0]) <= 1
    with (run / "report/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["verb class"] for row in rows} == {"move", "stay"}
    assert "noun: lFalse" in (run / "report/summary.md").read_text()

    assert main(["eval", str(run), "--data", str(tmp_path / "l.csv"), "--workers", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    tested = json.loads((run / "report/metrics.json").read_text())
    assert {name: found[name] for name in found if name != "seconds"} == {
        name: tested[name] for name in tested if name != "seconds"
    }
    answers = tmp_path / "answers.csv"
    assert main(["predict", str(paths[0]), "--run", str(run), "--top", "1", "-o", str(answers), "--workers", "0"]) == 0
    with answers.open() as file:
        best = [(row["rank"], row["class"].partition(": ")[0]) for row in csv.DictReader(file)]
    assert best == [("1", "verb"), ("1", "noun")]

    assert main(["data", "check", str(tmp_path / "l.csv"), "--spec", str(tmp_path / "two.arch"), "--workers", "0"]) == 0
    assert "2 classes of verb, 4 classes of noun" in capsys.readouterr().out

    # Another run from its weights: the head with other classes is new.
    text = (tmp_path / "l.csv").read_text().replace("move", "go")
    (tmp_path / "l.csv").write_text(text)
    again = ["--weights", run, *options, "-o", tmp_path / "again"]
    assert train(*again) == 0
    assert "classes: those of verb are others, so that head is new" in capsys.readouterr().out
    start = load_file(tmp_path / "again/start.safetensors")
    old = load_file(run / "best.safetensors")
    assert {name for name in old if not torch.equal(old[name], start[name])} == {
        "head.verb.linear.weight",
        "head.verb.linear.bias",
    }


def test_what_several_heads_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.arch").write_text(TWO)
    data = ["--data", listed(tmp_path, "path,verb,noun\na.mp4,1,1\n")]
    for options, message in (
        (["--task", "multilabel"], "--task multilabel: two has the heads verb, noun"),
        (["--label", "verb"], "--label verb: two: expected a column for each of its heads verb, noun"),
    ):
        assert train(tmp_path / "two.arch", *data, *options) == 2
        assert message in capsys.readouterr().err
    assert train(tmp_path / "two.arch", "--data", "synthetic", "-o", tmp_path / "run") == 2
    assert "--data synthetic: has one class per video" in capsys.readouterr().err
    spoken = TWO.replace("head verb: avgpool", "input speech: vector[5]\nhead verb: concat { avgpool, speech }")
    (tmp_path / "two.arch").write_text(spoken)
    assert train(tmp_path / "two.arch", *data) == 2
    assert "two: its vector input 'speech' is not in the data" in capsys.readouterr().err
    with pytest.raises(UsageError, match="draws one class per video"):
        Heads(NAMES, Recipe().replace(balance="sampling")).check()
    assert read_tested(tmp_path / "l.csv", label="verb,noun", task="heads").classes == ("verb: 1", "noun: 1")
