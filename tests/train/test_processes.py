"""Runs of two processes: what a resumed one takes up, and how signals end them."""

from __future__ import annotations

import os
import shutil
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

import torch
from training import ONE_VIEW, column, ended, losses, started

from archdsl.train.optim import with_own_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADAMW = "--recipe optimizer=adamw --recipe lr=0.01 --recipe ema=0.5 --workers 0 --device cpu --batch 8".split()


def test_a_signal_at_the_start_of_a_worker_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM to all processes may come before the worker has its own handler; the step is completed all the same."""
    from torch.utils.data._utils import signal_handling

    from archdsl.train.loading import Loader
    from archdsl.train.stopping import outlive_signals

    def handlers() -> None:
        os.kill(os.getpid(), signal.SIGTERM)  # in the worker, in place of torch's own handlers

    monkeypatch.setattr(signal_handling, "_set_worker_signal_handlers", handlers)
    loader: Any = Loader(range(4), batch_size=2, num_workers=1, worker_init_fn=outlive_signals)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3]]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGTERM, signal.SIGINT}


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_an_optimizer_of_sharded_weights_takes_up_its_state(one_process: None) -> None:
    """The moments that torch has sharded reach the weights; the rate is the optimizer's own."""
    del one_process
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        get_optimizer_state_dict,
        set_optimizer_state_dict,
    )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    def sharded(rate: float) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        model = fully_shard(torch.nn.Linear(3, 2), mesh=init_device_mesh("cpu", (1,)))
        groups = [{"params": [getattr(model, name)], "names": [name]} for name in ("bias", "weight")]
        optimizer = torch.optim.AdamW(groups, lr=rate)
        optimizer.register_load_state_dict_pre_hook(partial(with_own_settings, sharded=True))
        return model, optimizer

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    model, optimizer = sharded(0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    saved = get_optimizer_state_dict(model, optimizer, options=options)
    other, resumed = sharded(0.2)
    set_optimizer_state_dict(other, resumed, optim_state_dict=saved, options=options)
    assert [group["lr"] for group in resumed.param_groups] == [0.2, 0.2]
    for name in ("bias", "weight"):
        moment = resumed.state[getattr(other, name)]["exp_avg"].full_tensor()
        assert torch.equal(moment, torch.full_like(moment, 0.1))  # (1 - 0.9) × the gradient, 1


@pytest.mark.records
def test_a_sharded_run_that_goes_on_is_the_unbroken_one(spec: Path, videos: Path, tmp_path: Path) -> None:
    """With moments, averages of weights, dropout, and weights that are frozen at first."""
    run, again = tmp_path / "run", tmp_path / "again"
    options = [*ADAMW, *ONE_VIEW, "--freeze", "one", "--freeze-epochs", "1", "--recipe", "epochs=2", "--keep", "2"]
    process = started("train", spec, "--data", videos, "-o", run, *options, "--devices", "2", "--strategy", "fsdp")
    code, _, errors = ended(process)
    assert code == 0, errors
    shutil.copytree(run, again)
    code, text, errors = ended(started("train", "--resume", again / "checkpoints/epoch-1.ckpt"))
    assert code == 0, errors
    assert "after epoch 1, step 3" in text
    assert losses(again) == losses(run)
    assert column(again, "gradient_norm") == column(run, "gradient_norm")
    assert (again / "weights.safetensors").read_bytes() == (run / "weights.safetensors").read_bytes()
