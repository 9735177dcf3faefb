"""Command lines become frozen records: help, examples, suggestions, and the short forms of `train`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import FrozenInstanceError, fields
from typing import TYPE_CHECKING

import pytest

from archdsl.commands import GROUPS, SUMMARIES
from archdsl.commands.parser import load, parser_of, read
from archdsl.commands.train import Options, expanded
from archdsl.files import UsageError
from archdsl.planning.gpus import GPUS

if TYPE_CHECKING:
    from command_line import Shell

every_command = pytest.mark.parametrize("name", SUMMARIES)


@every_command
def test_arguments_are_the_fields_of_the_record(name: str) -> None:
    declared = {action.dest for action in parser_of(name)._actions} - {"help"}
    options = {field.name for field in fields(load(name).Options)}
    assert declared <= options
    assert options - declared <= {"like", "recipe"}  # which some commands do not take


@every_command
def test_two_examples_that_can_be_read(name: str) -> None:
    examples = load(name).EXAMPLES
    assert len(examples) == 2
    for call, does in examples:
        assert does.endswith(".")
        command, options = read(shlex.split(call.split(" > ")[0]))
        assert command is load(name)
        assert isinstance(options, load(name).Options)
        with pytest.raises(FrozenInstanceError):
            setattr(options, fields(options)[0].name, None)


@every_command
def test_help_stands_alone(name: str) -> None:
    """Each option has a help text of whole sentences, and a group that is not just `options`."""
    parser = parser_of(name)
    for group in parser._action_groups:
        for action in group._group_actions:
            if isinstance(action, argparse._HelpAction):
                continue
            assert group.title != "options", action.dest
            assert action.help, action.dest
            assert action.help[0].isupper(), action.help
            assert action.help.endswith("."), action.help


def test_every_command_is_in_one_group() -> None:
    assert [name for group in GROUPS.values() for name in group] == list(SUMMARIES)


def test_choices_are_those_of_the_compiler() -> None:
    assert list(parser_of("plan").options()["--gpu"].choices or ()) == list(GPUS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("chek", "did you mean check?"),
        ("check tiny.arch --fromat json", "no option --fromat; did you mean --format?"),
        ("draw tiny.arch --otput x.svg", "no option --otput; did you mean --output?"),
        ("weights convrt", "did you mean convert?"),
        ("weights", "name an action (sources, convert, plan, transfer)"),
        ("--verison", "no option --verison"),
        ("", "name a command"),
        ("cost tiny.arch --by stag", "invalid choice: 'stag'"),
        ("train tiny.arch --weight-decay 0.1", "no option --weight-decay; write --recipe weight_decay=0.1"),
        ("train tiny.arch --class-weights=[1,5]", "write --recipe class_weights=[1,5]"),
        ("train tiny.arch --early-stopping 5", "write --patience 5"),
        ("train tiny.arch --lr-finder", "each of several --lr, and compare the runs with `archdsl report`"),
        ("train tiny.arch --modality flow", "in a loop of your own: docs/howto/training_loop.md"),
        ("predict a.mp4 --ensemble", "average the answers of `archdsl predict --run RUN -o FILE` of each run"),
    ],
)
def test_wrong_use_suggests(shell: Shell, words: str, said: str) -> None:
    ran = shell(*words.split())
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.startswith("usage: archdsl")


@pytest.mark.parametrize("family", ["weights", "data"])
def test_help_of_a_family(shell: Shell, family: str) -> None:
    ran = shell(family, "--help")
    assert ran.code == 0
    for name in SUMMARIES:
        assert not name.startswith(f"{family} ") or f"    {name.split()[1]}" in ran.out


# --- train -----------------------------------------------------------------------------------------------------------


def train(words: str) -> Options:
    """The options of a call, short forms written out."""
    return expanded(parser_of("train").read(words.split(), Options))


def test_short_forms_of_train() -> None:
    short = train("tiny.arch --data videos --epochs 3 --lr 1e-3 --gpus 2")
    long = train("tiny.arch --data videos --recipe epochs=3 --recipe lr=1e-3 --devices 2 --device cuda")
    assert short == long
    assert train("tiny.arch --data videos --log mlflow --log wandb --log mlflow").log == ("wandb", "mlflow")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--epochs 3 --recipe epochs=4", ("--epochs 3", "--recipe epochs=")),
        ("--lr 0.1 --recipe lr=0.1", ("--lr 0.1", "--recipe lr=")),
        ("--gpus 2 --devices 2", ("--gpus 2", "--devices 2")),
        ("--gpus 2 --device cpu", ("--gpus 2", "--device cpu")),
        ("--log none --log wandb", ("--log none", "another --log")),
    ],
)
def test_options_of_train_that_say_the_same_are_refused(words: str, named: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        train(f"tiny.arch --data videos {words}")
    assert all(name in str(caught.value) for name in named)


@pytest.mark.parametrize("rate", ["0,1", "-1", "fast", "1e", "0.1.1"])
def test_a_learning_rate_that_is_none(shell: Shell, rate: str) -> None:
    ran = shell("train", "tiny.arch", "--data", "videos", f"--lr={rate}")
    assert ran.code == 2
    assert "is not a learning rate" in ran.err


def test_resume_refuses_what_cannot_change(shell: Shell) -> None:
    ran = shell("train", "--resume", "runs/tiny-1", "--lr", "0.1", "--set", "width=8")
    assert ran.code == 2
    assert "--set cannot change in a run; omit it" in ran.err
