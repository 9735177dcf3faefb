"""Checkpointing (recompute in the backward pass): the same results from less memory."""

from __future__ import annotations

import copy
import io
import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import torch
from repository import ROOT
from small import imported, inputs, small

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

# Two paths with a lateral connection, two blocks in a stage.
TWO_PATHS = """arch two_paths
input clip: video[3, 8, 12, 12]
path slow = clip -> every(4)
path fast = clip
block unit(out, s = 1) {
    residual {
        conv(out, 3, stride = [1, s, s]) -> bn -> relu -> conv(out, [1, 3, 3]) -> bn
    } shortcut if s > 1 or in.channels != out { conv(out, stride = [1, s, s]) -> bn } -> relu
}
stage one {
    slow: unit(8) * 2
    fast: unit(4) * 2
    lateral fast => slow by concat: conv(8, [5, 1, 1], stride = [4, 1, 1])
}
stage two {
    slow: unit(8) -> unit(8)
    fast: unit(4, s = 2) -> unit(4)
}
head: concat { slow -> avgpool, fast -> avgpool } -> linear(5)
"""
NAMES = "i3d_inception_rgb mvit_b_16x4 slowfast_r50 swin3d_t vtn_r50".split()
MODES = ["block", "stage"]


@cache
def arch_of(name: str) -> archdsl.Architecture:
    """A spec as a small network, or the two paths above."""
    if name != "two_paths":
        return small(ROOT / "specs" / f"{name}.arch")
    return archdsl.Architecture(analyse(Source("two_paths.arch", TWO_PATHS), FileLibrary()))


def model_of(name: str, checkpointing: str = "none") -> Any:
    """A small module in training, no weight of it 0 at its start."""
    torch.manual_seed(0)
    model: Any = arch_of(name).build()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    model.checkpointing = checkpointing
    return model


def step(name: str, model: Any) -> list[torch.Tensor]:
    """Logits, gradients and buffers after one step, in which dropout and drop path draw."""
    torch.manual_seed(1)
    logits = model(*inputs(arch_of(name), 2))
    logits.square().sum().backward()
    return [logits, *(p.grad for p in model.parameters()), *model.buffers()]


def kept(name: str, model: Any) -> int:
    """Bytes that a forward pass keeps for the backward pass, weights and buffers not counted."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    found: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step(name, model)
    return sum(s.nbytes() for key, s in found.items() if key not in own)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_a_step_gives_the_same(name: str, mode: str) -> None:
    """Also the statistics of batch norms, which a second computation must not move again."""
    plain, other = step(name, model_of(name)), step(name, model_of(name, mode))
    for one, two in zip(plain, other, strict=True):
        torch.testing.assert_close(two, one)


@pytest.mark.parametrize("name", ["slowfast_r50", "swin3d_t"])
def test_what_a_model_can_do_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "archdsl_generated", ModuleType("archdsl_generated"))  # where its class is found
    plain, model = model_of(name), model_of(name, "block")
    assert list(model.state_dict()) == list(plain.state_dict())
    written = io.BytesIO()
    torch.save(model, written)
    written.seek(0)
    twins = copy.deepcopy(model), torch.load(written, weights_only=False)
    clips = inputs(arch_of(name), 2)
    wanted = step(name, model)
    for twin in twins:
        for one, two in zip(wanted, step(name, twin), strict=True):
            torch.testing.assert_close(two, one)
    with torch.no_grad():
        torch.testing.assert_close(model_of(name, "stage").eval()(*clips), model_of(name).eval()(*clips))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("name", "mode"), [("two_paths", "block"), ("timesformer_ts", "stage")])
def test_compiled_it_gives_the_same(name: str, mode: str) -> None:
    """In one graph. `fit` of SlowFast is compiled in lowering/test_fit.py."""
    torch.compiler.reset()
    model = model_of(name, mode)
    for module in model.modules():  # whose draws a compiled model makes in another order
        if hasattr(module, "p"):
            module.p = 0.0
    plain = copy.deepcopy(model)
    wanted = step(name, plain)
    model.compile(fullgraph=True, backend="aot_eager")
    for one, two in zip(wanted, step(name, model), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["slowfast_r50", "timesformer_ts"])
def test_gradients_of_a_model_in_evaluation_are_the_same(name: str) -> None:
    plain, model = model_of(name).eval(), model_of(name, "block").eval()
    for one, two in zip(step(name, plain), step(name, model), strict=True):
        torch.testing.assert_close(two, one)


@pytest.mark.parametrize("name", NAMES)
def test_less_is_kept(name: str) -> None:
    none, block, stage = (kept(name, model_of(name, mode)) for mode in ("none", *MODES))
    assert stage <= block < 0.8 * none


def test_the_factory_knows_three_words() -> None:
    module = imported(ROOT / "generated" / "slow_r50.py")
    with torch.device("meta"):
        found = [module.slow_r50(checkpointing=mode).checkpointing for mode in ("none", *MODES)]
        assert found == ["none", *MODES]
        assert module.slow_r50().checkpointing == "none"
        with pytest.raises(ValueError, match=r"one of \('none', 'block', 'stage'\), not 'all'"):
            module.slow_r50(checkpointing="all")
