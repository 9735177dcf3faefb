"""Frozen parts of a network: by patterns, in all epochs or in the first ones, and after a resume."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from safetensors.torch import load_file
from torch import nn
from training import ONE_VIEW, PLAIN, TINY, send_signal, settings, train

from archdsl.train.freezing import Freezing
from archdsl.train.run import load_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = [*PLAIN, *ONE_VIEW, "--dropout", "0", "--epochs", "2"]
NORMS = TINY.replace("layernorm", "bn")


class Net(nn.Module):
    """Two parts of a convolution, a norm and a dropout, and a head."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("one", "two"):
            part = nn.ModuleDict({"conv": nn.Conv3d(1, 1, 1), "bn": nn.BatchNorm3d(1), "dropout": nn.Dropout()})
            setattr(self, name, part)
        self.head = nn.ModuleDict({"dropout": nn.Dropout(), "linear": nn.Linear(1, 2)})


def frozen(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if not p.requires_grad}


def still(model: nn.Module) -> set[str]:
    """Return the modules in evaluation mode."""
    return {name for name, module in model.named_modules() if not module.training}


@pytest.mark.parametrize(
    ("patterns", "weights", "modules"),
    [
        (["one"], "one.conv.weight one.conv.bias one.bn.weight one.bn.bias", "one one.conv one.bn one.dropout"),
        (["*.bn"], "one.bn.weight one.bn.bias two.bn.weight two.bn.bias", "one.bn two.bn"),
        (["one.bn.*", "two.conv.bias"], "one.bn.weight one.bn.bias two.conv.bias", "one.bn"),
        (["one.bn.weight"], "one.bn.weight", ""),
        (["head.l*"], "head.linear.weight head.linear.bias", "head head.linear head.dropout"),
    ],
    ids=str,
)
def test_patterns_are_for_modules_and_weights(patterns: list[str], weights: str, modules: str) -> None:
    model = Net()
    freezing = Freezing(model, patterns, None)
    freezing.begin_epoch(7)
    assert frozen(model) == set(weights.split())
    assert still(model) == set(modules.split())


def test_a_part_is_frozen_in_the_first_epochs() -> None:
    """With one process, gradients are not computed; with several, they are dropped."""
    for single in (True, False):
        model = Net()
        model.two["conv"].weight.requires_grad_(False)  # by the spec
        freezing = Freezing(model, [""], 2, single=single)
        assert frozen(model) == {"two.conv.weight"}  # the optimizer has all others
        for epoch in range(4):
            freezing.begin_epoch(epoch)
            assert ("one.bn" in still(model)) == (epoch < 2)
            assert ("one.bn.weight" in frozen(model)) == (single and epoch < 2)
            assert "two.conv.weight" in frozen(model)
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            freezing.drop_gradients(epoch)
            assert (model.one["conv"].weight.grad is None) == (epoch < 2)
            assert model.head["linear"].weight.grad is not None


@pytest.fixture(scope="module")
def whole(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, in whose first one the first stage is frozen."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.arch").write_text(NORMS, "utf-8")
    options = [*SHORT, "--keep", "2", "--freeze", "one*", "--freeze-epochs", "1"]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert train(folder / "tiny.arch", "--data", videos, "-o", folder / "run", *options) == 0
    torch.set_num_threads(before)
    return folder / "run"


def state(run: Path, epoch: int) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(run / f"checkpoints/epoch-{epoch}.ckpt", weights_only=True)
    return {name.removeprefix("model."): tensor for name, tensor in checkpoint["state_dict"].items()}


def test_a_run_unfreezes_after_some_epochs(whole: Path) -> None:
    torch.manual_seed(0)
    start = load_run(whole).model().state_dict()
    first, second = state(whole, 1), state(whole, 2)
    for name, tensor in start.items():
        is_frozen = name.startswith("one.")
        assert torch.equal(first[name], tensor) == is_frozen, name
        assert not torch.equal(second[name], first[name]), name  # bias of a convolution in front of a norm: by momentum
    assert (settings(whole)["frozen"], settings(whole)["freeze_epochs"]) == (["one*"], 1)


@pytest.mark.parametrize("step", [2, 4])
def test_a_resumed_run_keeps_to_it(step: int, whole: Path, videos: Path, tmp_path: Path, capsys: Any) -> None:
    """In the middle of the frozen epoch, and of the one behind it."""
    spec, run = tmp_path / "tiny.arch", tmp_path / "run"
    spec.write_text(NORMS, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        send_signal(patch, signal.SIGTERM, step, "training_step")
        options = [*SHORT, "--freeze", "one*", "--freeze-epochs", "1"]
        assert train(spec, "--data", videos, "-o", run, *options) == 143
    for other in (["--freeze"], ["--freeze-epochs", "2"]):
        assert train("--resume", run, *other) == 2
        assert f"{other[0]} cannot change" in capsys.readouterr().err
    assert train("--resume", run, "--freeze", "one*") == 0
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (run, whole))
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["SPEC", "--freeze", "onee.*"],
            "--freeze 'onee.*': tiny has no trainable weights of such a name; did you mean `one",
        ),
        (["SPEC", "--freeze", "xyz"], "its parts are one, two, head"),
        (["SPEC", "--freeze", "*.running_mean"], "no trainable weights"),
        (["SPEC", "--freeze", "--freeze", "head"], "none are left to train"),
        (["SPEC", "--freeze", "--freeze-epochs", "2"], "the run has 2 epochs"),
        (["SPEC", "--freeze-epochs", "1"], "add --freeze"),
        (["--freeze", "SPEC"], "write SPEC in front of it"),
    ],
    ids=str,
)
def test_what_cannot_be_frozen_is_refused(
    options: list[str], told: str, videos: Path, tmp_path: Path, capsys: Any
) -> None:
    spec = tmp_path / "tiny.arch"
    spec.write_text(NORMS, "utf-8")
    words = [word.replace("SPEC", str(spec)) for word in options]
    assert train(*words, "--data", videos, "-o", tmp_path / "run", *SHORT) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_a_spec_freezes_itself(videos: Path, tmp_path: Path, capsys: Any) -> None:
    spec, options = tmp_path / "tiny.arch", ["--data", videos, "-o", tmp_path / "run", *SHORT]
    text = NORMS.replace("stage one", "stage one frozen").replace("stage two", "stage two frozen")
    spec.write_text(text, "utf-8")
    assert train(spec, *options, "--freeze") == 2
    assert "--freeze: the spec of tiny freezes all but the head itself; omit it" in capsys.readouterr().err
    spec.write_text(text.replace("-> linear(classes)", "-> frozen { linear(classes) }"), "utf-8")
    assert train(spec, *options) == 2
    assert "tiny: has nothing to train: its spec freezes all layers" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
