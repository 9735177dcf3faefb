"""Activations, and norms and scales of channels, held against torch's own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from reference import assert_computes_the_graph
from torch import nn
from torch.nn import functional as F  # noqa: N812

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse
from archdsl.train.export import Argument, export

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

SPEC = "arch small\ninput clip: video[4, 3, 6, 5]\nstage s {{ {} }}\n"


def load(chain: str) -> archdsl.Architecture:
    return archdsl.Architecture(analyse(Source("small.arch", SPEC.format(chain)), FileLibrary()))


MODULES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": nn.SiLU(),
    "gelu(quick = on)": lambda x: F.silu(1.702 * x) / 1.702,
    "tanh": nn.Tanh(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardsigmoid(slope = 0.2)": lambda x: torch.clamp(0.2 * x + 0.5, 0, 1),
    "hardswish": nn.Hardswish(),
    "relu6": nn.ReLU6(),
    "softmax(channels)": nn.Softmax(1),
    "softmax(over = time)": nn.Softmax(2),
    "softmax(space)": lambda x: F.softmax(x.reshape(2, 4, 3, 30), -1).view(x.shape),
    "softmax(space_time)": lambda x: F.softmax(x.reshape(2, 4, 90), -1).view(x.shape),
    "groupnorm(2)": nn.GroupNorm(2, 4),
    "groupnorm(4, eps = 0.01)": nn.InstanceNorm3d(4, eps=0.01),
    "groupnorm(1)": nn.GroupNorm(1, 4),
    "scale(0.1)": lambda x: 0.1 * x,
    "scale(-0.75, learned = off)": lambda x: -0.75 * x,
    "scale(0, per = value)": torch.zeros_like,
}


@pytest.mark.parametrize("layer", MODULES)
def test_values_are_those_of_torch(layer: str) -> None:
    clip = 4 * torch.randn(2, 4, 3, 6, 5)
    torch.testing.assert_close(load(layer).build()(clip), MODULES[layer](clip))


@pytest.mark.parametrize("layer", MODULES)
def test_layouts_agree(layer: str) -> None:
    """Channels last, behind a linear map; as a vector; beside tokens, where that makes sense."""
    assert_computes_the_graph(load(f"linear(8) -> {layer} -> linear(3) -> relu"))
    assert_computes_the_graph(load(f"avgpool -> {layer} -> linear(3)"))
    if "groupnorm" not in layer and layer.partition("(")[2] not in ("over = time)", "space)", "space_time)"):
        assert_computes_the_graph(load(f"linear(6) -> class_token -> {layer} -> linear(3)"))


REFUSED = {
    "groupnorm(3)": ("E0504", "4 channels cannot be split into 3 groups"),
    "class_token -> groupnorm(2) -> select(grid)": ("E0511", "`groupnorm` cannot be applied to the class token"),
    "class_token -> softmax(space) -> select(grid)": ("E0511", "`softmax` cannot be applied to the class token"),
    "softmax": ("E0402", "behind logits leave it out"),
    "softmax(dim = 1)": ("E0401", "axes have names, and `over` takes one"),
    "max(3)": ("E0405", "`avgpool` and `maxpool` have a kernel"),
    "gelu(tanh = on, quick = on)": ("E0510", "of which GELU has one"),
    "scale(0, softplus = on)": ("E0305", "factors of softplus are above 0"),
    "select(all)": ("E0511", "has no class token"),
    "attention(2, cap = 50, score = cosine)": ("E0510", "these scores are `cosine`"),
    "attention(2, cap = 50, window = 2)": ("E0510", "without `window`"),
    "attention(2, cap = 50, over = time, band = 2)": ("E0510", "without `band`"),
    "attention(2, cap = 50, over = [space, time])": ("E0510", "without `over`"),
    "attention(2, cap = 50) {\nqkv: linear(4)\nbias: table\n}": ("E0510", "without `bias`"),
    "class_token -> attention(2, cap = 5) {\nqkv: linear(4)\ntoken_q: linear(4)\ntoken_kv: linear(4)\n}": (
        "E0510",
        "without `token_q`",
    ),
    "attention(2, cap = -1)": ("E0305", "at least 0"),
    "hardsigmoid(slope = 0)": ("E0305", "at least 1e-06"),
}


@pytest.mark.parametrize("layer", REFUSED)
def test_refused(layer: str) -> None:
    code, text = REFUSED[layer]
    with pytest.raises(archdsl.SpecError) as caught:
        load(layer)
    assert caught.value.diagnostics[0].code == code
    assert text in str(caught.value)


def test_scales_of_two_kinds_and_layouts() -> None:
    """Each form has a class of its own, and calls of a block that differ in the initial value share one."""
    chain = "conv(4) -> scale(0.5) -> linear(4) -> scale(2) -> scale(3, per = value)"
    arch = load(chain)
    state = arch.build().state_dict()
    assert [state[f"s.scale{i}.weight"].unique().item() for i in (1, 2, 3)] == [0.5, 2, 3]
    assert state["s.scale3.weight"].shape == ()
    assert_computes_the_graph(arch)


def test_scales_of_softplus_begin_at_their_value() -> None:
    model = load(
        "conv(4) -> scale(0.25, softplus = on) -> scale(softplus = on) -> layernorm(zero_centred = on)"
    ).build()
    first, second = model.s.scale1, model.s.scale2
    ones = torch.ones(1, 4, 1, 1, 1)
    torch.testing.assert_close(first(ones), ones / 4)
    assert not second.weight.any()
    torch.testing.assert_close(second(ones), ones)
    assert not any(parameter.any() for parameter in model.s.layernorm.parameters())
    x = torch.randn(2, 4)
    torch.testing.assert_close(model.s.layernorm(x), torch.nn.functional.layer_norm(x, (4,)))


def test_capped_scores_are_those_of_the_definition() -> None:
    """Sums of products between -2 and 2, however large they were."""
    model = load("linear(4) -> attention(2, cap = 2)").build().double()
    attention = model.s.attention
    x = 400 * torch.randn(1, 1, 2, 2, 4, dtype=torch.float64)
    q, k, v = attention.qkv(x).view(4, 3, 2, 2).permute(1, 2, 0, 3)
    scores = q @ k.mT / 2**0.5
    assert scores.abs().max() > 3
    y = (2 * (scores / 2).tanh()).softmax(-1) @ v
    torch.testing.assert_close(attention(x), attention.proj(y.permute(1, 0, 2).reshape(x.shape)))


def test_groupnorm_of_a_clip_trains() -> None:
    """Clips are channels-last in memory and need no gradient."""
    model = load("groupnorm(2) -> conv(4) -> conv(4)").build()
    model(torch.randn(2, 4, 3, 6, 5)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


EXPORTED = """
    conv(8, 3) -> silu -> groupnorm(2) -> hardswish -> scale(0.5) -> tanh -> linear(8) -> relu6 -> softmax(space)
    -> multiply { in, avgpool -> conv(8) -> hardsigmoid(slope = 0.2) } -> add { in, avgpool } -> max { in, tanh }
    -> gelu(quick = on)
"""


@pytest.mark.parametrize(("form", "suffix"), [("torch-export", ".pt2"), ("onnx", ".onnx")])
def test_exported_files_compute_the_same(form: str, suffix: str, tmp_path: Path) -> None:
    model = load(EXPORTED).build(target="infer")
    assert export(model, [Argument((4, 3, 6, 5))], form, tmp_path / f"small{suffix}") < 1e-5
