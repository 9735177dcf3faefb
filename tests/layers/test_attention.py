"""Attentions of all forms, alone and together: computed as defined, at the predicted cost, or refused with a reason.

`support/reference.py` has the definition. Random attentions are those of test_attentions.py.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import torch
from meta import assert_as_predicted
from reference import compute
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

import archdsl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

TOLERANCE = 1e-10
BATCH = 2  # of one clip, what is of each clip and what is of all would look the same


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- what is checked -------------------------------------------------------------------------------------------------


def load(text: str, name: str = "attentions") -> archdsl.Architecture:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.arch"
        path.write_text(text, "utf-8")
        return archdsl.load(path)


REGISTERS = {
    "clip": "class_token -> tokens(registers, 2)",
    "frame": "tokens(prompts, 2, frame) -> class_token(frame)",
}


def spec(
    grid: tuple[int, int, int], token: str, *attentions: str, channels: int = 8, end: str = "", wrapped: bool = True
) -> str:
    """A network of attentions, each behind a normalisation and in a residual where it keeps its shape."""
    t, h, w = grid
    steps = [f"linear({channels})"] + ([token if "(" in token else f"class_token({token})"] if token else [])
    for text in attentions:
        keeps = wrapped and "\nq: " not in text
        steps.append(f"residual {{ layernorm -> {text} }}" if keeps else f"layernorm -> {text}")
    lines = ["arch attentions", f"input clip: video[3, {t}, {h}, {w}]", *[BLOCKS] * (" pool(" in "".join(attentions))]
    return "\n".join([*lines, f"stage s {{ {' -> '.join([*steps, *([end] if end else [])])} }}", ""])


def random_weights(model: torch.nn.Module) -> torch.nn.Module:
    """In float64 and evaluation, values of about 1: nothing is so small that it could be wrong without being seen."""
    generator = torch.Generator().manual_seed(0)
    model = model.double().eval()
    for value in model.parameters():
        drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        value.data = drawn / (value[0].numel() ** 0.5 if value.ndim > 1 else 2)
        value.data += 1 if value.ndim == 1 else 0
    return model


def values_and_gradients(
    function: Any, clip: Tensor, parameters: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Outputs of a function of a clip, and the gradients of a weighted sum of them."""
    clip = clip.clone().requires_grad_()
    output = function(clip)
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    named = {**parameters, "the clip": clip}
    found = torch.autograd.grad((output * weights).sum(), list(named.values()), allow_unused=True)
    zeros = [torch.zeros_like(v) if g is None else g for v, g in zip(named.values(), found, strict=True)]
    return output, dict(zip(named, zeros, strict=True))


def assert_as_defined(arch: archdsl.Architecture, **indices: Tensor) -> None:
    """Values and gradients of the generated module are those of the definition; `indices` are numbers of frames."""
    model = random_weights(arch.build())
    [(name, number)] = arch._analysis.network.clips.items()
    shape = arch._analysis.network.node(number).shape.shape
    clip = torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    parameters = dict(model.named_parameters())
    state = {k: v.detach().clone().requires_grad_() for k, v in parameters.items()}
    output, gradients = values_and_gradients(lambda clip: model(clip, **indices), clip, parameters)
    expected, wanted = values_and_gradients(
        lambda clip: compute(arch, state, {name: clip, **indices})[0][""], clip, state
    )
    assert torch.isfinite(expected).all()
    assert output.shape == expected.shape
    torch.testing.assert_close(output, expected, rtol=TOLERANCE, atol=TOLERANCE)
    for key, gradient in gradients.items():
        largest = wanted[key].abs().max().item()
        torch.testing.assert_close(
            gradient, wanted[key], rtol=TOLERANCE, atol=TOLERANCE * max(1.0, largest), msg=lambda m, k=key: f"{k}: {m}"
        )


def assert_right(text: str) -> archdsl.Architecture:
    arch = load(text)
    assert_as_defined(arch)
    assert_as_predicted(arch)
    return arch


def assert_refused(text: str, code: str) -> None:
    with pytest.raises(archdsl.SpecError) as caught:
        load(text)
    assert {d.code for d in caught.value.diagnostics} == {code}, str(caught.value)


# --- attentions of all forms -----------------------------------------------------------------------------------------

BLOCKS = "block pool(k, s) { grid { conv(in.channels, k, stride = s, groups = in.channels) } }"
HALVED = "maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid)"
POOLED_KEYS = f"kv: grid {{ {HALVED} }}"
OF_TOKEN = ("token_q: linear(8)", "token_kv: linear(8)")


def lined(arguments: str, *lines: str, linear: str = "linear(in.channels)") -> str:
    """An attention with plain projections, and further lines."""
    return "\n".join([f"attention({arguments}) {{", f"qkv: {linear}", *lines, f"proj: {linear}", "}"])


RIGHT = {
    "windows": ((3, 5, 4), "", "attention(2, window = [2, 2, 3])"),
    "windows of a token": ((3, 5, 4), "clip", "attention(2, window = [2, 2, 3])"),
    "windows of tokens": ((3, 5, 4), "frame", "attention(2, over = space, window = [1, 2, 3])"),
    "shifted": ((4, 5, 4), "", "attention(2, window = [2, 3, 2], shift = [1, 2, 1])"),
    "shifted beside a token": ((4, 5, 4), "clip", lined("2, window = [2, 3, 2], shift = [1, 2, 1]", "bias: table")),
    "shifted and decomposed": ((4, 5, 4), "", lined("2, window = [2, 3, 2], shift = [1, 2, 1]", "bias: decomposed")),
    "dilated": ((5, 4, 3), "clip", lined("2, window = [2, all, 1], dilation = [2, 3, 2]", "bias: table")),
    "groups of padding alone": (
        (5, 1, 1), "clip", "attention(2, over = time, window = [1, 1, 1], dilation = [4, 1, 1])"
    ),
    "table of a larger window": ((3, 2, 3), "", lined("2, window = [4, 3, 3]", "bias: table")),
    "prefix of its index": ((3, 2, 3), "", lined("2, window = [4, 3, 5]", "bias: table(prefix = on)")),
    "table and pooled keys": ((4, 8, 4), "", lined("2, window = [2, 4, 4]", POOLED_KEYS, "bias: table")),
    "pooled in windows": (
        (4, 8, 6),
        "clip",
        lined(
            "2, window = [2, 4, all], shift = [1, 2, 0]",
            "q: each_head { pool([1, 3, 3], [1, 2, 2]) -> layernorm as norm }",
            "kv: each_head { grid { conv(in.channels, [1, 2, 2], [1, 2, 2], padding = valid, groups = in.channels) }",
            "-> layernorm as norm }",
            "bias: decomposed as relative",
        ).replace("proj: ", "proj: add { in, q -> select(grid) } -> "),
    ),
    "pooled by convolution": (
        (3, 5, 4), "clip", lined("2", "kv: each_head { pool(3, [1, 2, 2]) }", "bias: decomposed as relative")
    ),
    "table of another grid": ((4, 6, 6), "", lined("2", POOLED_KEYS, "bias: decomposed(made_for = [4, 9, 9])")),
    "distances that float32 rounds": (
        (1, 1, 13), "", lined("2", "kv: maxpool([1, 1, 2], [1, 1, 2], padding = valid)", "bias: decomposed")
    ),
    "band": ((70, 1, 2), "", lined("2, over = time, band = 6", "bias: table")),
    "dilated band": ((12, 1, 2), "", lined("2, over = time, band = 4, dilation = [3, 1, 1]", "bias: table")),
    "band that leaves nothing out": ((1, 1, 4), "", "attention(2, over = width, band = 100, dilation = [1, 1, 2])"),
    "band beside a token": ((40, 1, 1), "clip", lined("2, over = time, band = 6", *OF_TOKEN)),
    "table of a band beside a token": ((40, 1, 1), "clip", lined("2, over = time, band = 6", "bias: table")),
    "wide band beside a token": ((4, 1, 1), "clip", lined("2, over = time, band = 100", *OF_TOKEN)),
    "groups of pooled keys beside a token": ((2, 4, 4), "clip", lined("2, over = space", POOLED_KEYS)),
    "groups of pooled queries beside a token": (
        (2, 4, 4), "clip", lined("2, over = space", POOLED_KEYS.replace("kv:", "q:"))
    ),
    "halves": ((3, 4, 2), "", "attention(4, over = [space, time])"),
    "unscaled": ((3, 4, 2), "clip", "attention(4, over = space, scale = off)"),
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case, (_, token, _) in RIGHT.items() if token])
def test_beside_several_tokens(case: str) -> None:
    grid, token, text = RIGHT[case]
    assert_right(spec(grid, REGISTERS[token], text))


@pytest.mark.parametrize("case", RIGHT)
def test_alone_and_twice(case: str) -> None:
    """Once as the only attention and once as two that share what they can."""
    grid, token, text = RIGHT[case]
    assert_right(spec(grid, token, text))
    if "\nq: " not in text:
        assert_right(spec(grid, token, text, text.replace("2,", "4,", 1)))


TOGETHER = {  # classes of one name, and how each of them begins
    "two kinds of windows": (
        lined("2, window = 2", "bias: table"), lined("1, window = 2", "bias: decomposed as relative")
    ),
    "windows without a bias": (
        lined("2, window = 2", linear="linear(8, bias = off)"), "attention(2, window = 2, shift = 1)"
    ),
    "bands without a bias": (
        lined("2, over = time, band = 2", linear="linear(8, bias = off)"),
        lined("2, over = time, band = 2", "bias: table"),
    ),
    "decomposed over other axes": (
        lined("2, over = time", "bias: decomposed as relative"),
        lined("2, over = space", "bias: decomposed as relative"),
    ),
    "stretched and not": (
        lined("2", "bias: decomposed(made_for = 5) as relative"), lined("2", "bias: decomposed as relative")
    ),
    "pooled in two ways": (
        lined("2", "kv: each_head { pool([1, 2, 2], [1, 2, 2]) }"),
        lined("2", f"kv: each_head {{ grid {{ {HALVED} }} -> layernorm as norm }}", linear="linear(8, bias = off)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOGETHER)
@pytest.mark.parametrize("token", ["", "clip"])
def test_in_one_network(case: str, token: str) -> None:
    first, second = TOGETHER[case]
    if token and "band" in first:
        pytest.skip("a class token sees all of one row")
    for texts in ((first, second), (first, second, second), (second, first, first)):  # the start of most is said once
        assert_right(spec((3, 4, 4), token, *texts))


AT_THE_EDGE = {
    "halves beside a token": ((2, 2, 2), "clip", "attention(2, over = [space, time])", "E0511"),
    "halves beside tokens": ((2, 2, 2), "frame", "attention(2, over = [width, height])", "E0511"),
    "keys pooled first beside a token": (
        (2, 2, 2), "clip", f"attention() {{\n{POOLED_KEYS}\nqkv: linear(8)\nproj: linear(8)\n}}", ""
    ),
    "a whole axis that is not pooled evenly": (
        (3, 4, 4), "", lined("window = [all, 2, 2]", "kv: maxpool([2, 1, 1], [2, 1, 1], padding = valid)"), ""
    ),
    "queries of one": (
        (3, 4, 4), "", lined("window = [all, 2, 2]", "q: maxpool([2, 1, 1], [2, 1, 1], padding = valid)"), ""
    ),
    "a table of one": ((3, 3, 3), "clip", lined("1", "kv: grid { maxpool(2, 2, padding = valid) }", "bias: table"), ""),
    "a mean over more than the grid": ((1, 1, 2), "", lined("1", "kv: avgpool([1, 1, 3], 1, padding = half)"), "E0503"),
    "a band in each frame": ((1, 3, 1), "frame", "attention(over = height, band = 2)", "E0511"),
    "a prefix for pooled keys": (
        (2, 2, 2), "", lined("window = [2, 4, 4]", POOLED_KEYS, "bias: table(prefix = on)"), "E0510"
    ),
    "a prefix in a band": (
        (4, 1, 1), "", lined("2, over = time, band = 2", "bias: table(prefix = on)"), "E0510"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AT_THE_EDGE)
def test_at_the_edge(case: str) -> None:
    grid, token, text, code = AT_THE_EDGE[case]
    if code:
        assert_refused(spec(grid, token, text), code)
    else:
        assert_right(spec(grid, token, text))


REFUSED = {
    "E0503": ((2, 2, 2), "", lined("1", "kv: maxpool([1, 3, 3], [1, 3, 3], padding = valid)")),
    "E0508": ((2, 2, 2), "", "attention(3)"),
    "E0509": ((2, 2, 2), "", "attention(over = space, window = [2, 2, 2])"),
    "E0510": ((4, 2, 2), "", "attention(over = time, band = 3)"),
    "E0511": ((2, 2, 2), "frame", "attention(over = height, band = 2)"),
    "E0512": ((2, 3, 4), "", lined("1, window = [1, 2, 2]", POOLED_KEYS)),
}


@pytest.mark.parametrize("code", REFUSED)
def test_refusals(code: str) -> None:
    assert_refused(spec(*REFUSED[code]), code)


DROPPING = [
    ((2, 3, 2), "", "attention(2, over = space, dropout = 1)"),
    ((2, 3, 2), "clip", "attention(2, dropout = 1)"),
    ((2, 3, 2), "frame", "attention(2, over = space, dropout = 1)"),
    ((2, 3, 2), "", lined("2, window = [1, 2, 2], dropout = 1", "bias: table")),
    ((2, 3, 2), "", "attention(2, window = [1, 2, 2], shift = [0, 1, 1], dropout = 1)"),
    ((2, 3, 2), "", lined("2, dropout = 1", POOLED_KEYS)),
    ((2, 3, 2), "", "attention(2, over = [space, time], dropout = 1)"),
    ((9, 1, 1), "clip", lined("2, over = time, band = 2, dropout = 1", *OF_TOKEN)),
    ((9, 1, 2), "", "attention(2, over = time, band = 2, dropout = 1)"),
    ((9, 1, 2), "", "attention(2, over = time, band = 100, dropout = 1)"),
]


@pytest.mark.parametrize(("grid", "token", "text"), DROPPING)
def test_dropped_weights(grid: tuple[int, int, int], token: str, text: str) -> None:
    """In training all weights can be dropped, of the class token too, and in evaluation none is."""
    arch = load(spec(grid, token, text, wrapped=False))
    assert_as_defined(arch)
    model = random_weights(arch.build()).train()
    output = model(torch.randn(BATCH, 3, *grid, dtype=torch.float64))
    bias = dict(model.named_parameters())["s.attention.proj.bias"]
    wanted = bias if token else bias[:, None, None, None]
    torch.testing.assert_close(output, wanted.expand_as(output))


# --- layers beside attention -----------------------------------------------------------------------------------------

BESIDE = [
    "class_token -> layernorm(eps = 1e-6) -> gelu",
    "class_token(frame) -> layernorm -> gelu(tanh = on) -> relu",
    "class_token -> rmsnorm -> l2norm -> linear(4)",
    "class_token -> layernorm(zero_centred = on) -> scale(softplus = on) -> linear(4)",
    "conv(3, 1) -> scale(0.5, softplus = on, per = value) -> layernorm(eps = 0.1, zero_centred = on)",
    "class_token(frame) -> l2norm -> rmsnorm(eps = 0.1)",
    "l2norm -> conv(3, 1) -> l2norm -> rmsnorm(eps = 0.1)",
    "class_token -> token_type -> linear(4)",
    "class_token -> dropout(0.5) -> drop_path(0.5) -> select(grid)",
    "class_token(frame) -> linear(4) -> select(token) -> conv(2, [3, 1, 1])",
    "class_token(frame) -> select(grid) -> class_token -> select(token) -> linear(2)",
    "class_token(frame) -> linear(4) -> select(token) -> class_token -> attention(2) -> select(token)",
    "class_token -> maxpool([1, 3, 3], stride = [1, 2, 2])",
    "class_token -> maxpool([2, 2, 1], stride = [2, 2, 1], padding = valid) -> linear(3)",
    "class_token -> concat { linear(3), layernorm, gelu -> linear(2) }",
    "class_token(frame) -> concat { linear(3), layernorm }",
    "class_token -> add { linear(8), layernorm, gelu }",
    "class_token -> mean { linear(8), layernorm }",
    "class_token -> residual { select(grid) -> attention(2, over = time) -> linear(8) }",
    "class_token(frame) -> residual { select(grid) -> attention(2, over = time) }",
    "class_token(frame) -> add { layernorm -> select(grid), linear(8) }",
    "multiply { in, linear(8) -> sigmoid, layernorm } -> relu",
    "avgpool(3, padding = half) -> avgpool([1, 3, 3], stride = 2, padding = half)",
    "avgpool([all, 3, 1], padding = half)",
    "avgpool([3, 2, 1], stride = [2, 2, 1], padding = half)",
    "class_token -> multiply { layernorm, linear(8) -> sigmoid }",
    "class_token -> multiply { select(grid) -> sigmoid, linear(8) }",
    "class_token(frame) -> multiply { in, select(grid) -> linear(8) }",
    "class_token -> tokens(registers, 2) -> multiply { in, select(grid) -> linear(8) } -> rmsnorm",
    "class_token -> tokens(registers, 2) -> token_type -> without(token) -> layernorm",
    "tokens(prompts, 3, frame) -> class_token(frame) -> without(prompts) -> linear(4)",
    "class_token(frame) -> tokens(prompts, 2, frame) -> tokens(sinks, 1, frame) -> without(prompts) -> gelu",
    "class_token -> tokens(registers, 2) -> without(token) -> without(registers)",
    "tokens(prompts, 3, frame, init = zeros) -> without(prompts) -> conv(4)",
    "class_token -> tokens(registers, 2) -> select(registers) -> conv(4, [1, 1, 2])",
    "class_token(frame) -> tokens(registers, 2, frame) -> select(registers) -> conv(4, [3, 1, 1])",
    "class_token(frame) -> tokens(registers, 2, frame) -> linear(4) -> select(token)",
    "class_token -> tokens(registers, 2) -> select(all) -> conv(4, [1, 1, 3])",
    "class_token(frame) -> linear(4) -> select(all) -> avgpool([1, all, all])",
    "class_token -> tokens(registers, 2) -> linear(4) -> select(grid)",
    "class_token -> tokens(registers, 2) -> maxpool([1, 3, 3], stride = [1, 2, 2]) -> concat { in, gelu }",
    "class_token -> tokens(registers, 2) -> residual { select(grid) -> conv(8) } -> mean { in, layernorm }",
    "tokens(prompts, 3, frame) -> residual { select(grid) -> conv(8) }",
    "class_token -> tokens(registers, 2) -> position",
    "class_token -> tokens(registers, 2) -> position(space) -> position(time)",
    "class_token -> tokens(registers, 2) -> position(token = off) -> position(space, token = off)",
    "class_token -> tokens(registers, 2) -> position(apart = on)",
    "class_token -> tokens(registers, 2) -> position(apart = on, token = off)",
    "tokens(prompts, 3, frame) -> position(space)",
    "class_token(frame) -> tokens(prompts, 3, frame) -> position(space, token = off)",
    "class_token -> tokens(registers, 2) -> position(time, vectors = sinusoid)",
    "beside(all) { in, avgpool } -> layernorm",
    "class_token -> beside(grown) { in, select(grid) -> avgpool([all, 1, 1]) } -> linear(4)",
    "class_token(frame) -> beside(message) { in, select(token) -> conv(8, [3, 1, 1]) } -> without(token)",
    "beside(message, frame) { in, avgpool([1, all, 2], stride = 1) } -> select(message)",
    "class_token -> tokens(registers, 2) -> grid { conv(8) -> relu }",
    "class_token(frame) -> grid { conv(8, [1, 2, 2], stride = [1, 2, 2]) } -> layernorm",
    "grid { conv(4) -> relu } -> class_token -> residual { grid { conv(4) -> relu } }",
    "space_to_channel(2) -> layernorm -> linear(8)",
    "space_to_channel(3) -> class_token -> attention(2)",
    "position",
    "position(space) -> position(time)",
    "position(apart = on)",
    "class_token -> position",
    "class_token -> position(space) -> position(time)",
    "class_token -> position(token = off) -> position(space, token = off) -> position(time, token = off)",
    "class_token -> position(apart = on)",
    "class_token -> position(apart = on, token = off)",
    "class_token(frame) -> position(space)",
    "class_token(frame) -> position(space, token = off)",
    "linear(19) -> rotary",
    "linear(6) -> class_token -> rotary(base = 10) -> linear(3)",
    "class_token(frame) -> rotary(frequencies = tiled) -> rotary(over = space)",
    "rotary(over = space, base = 2) -> gelu -> rotary(over = time, frequencies = tiled)",
    "attention(2) -> latents(3) -> layernorm -> linear(2)",
    "latents(5, 12, init = normal(0.1)) -> attention(4, over = space)",
    "latents(1) -> linear(2)",
    "position(time, vectors = sinusoid)",
    "class_token -> position(time, vectors = sinusoid)",
]


@pytest.fixture
def _double() -> Iterator[None]:
    """Fixed vectors are worked out in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("chain", BESIDE)
def test_layers_beside_attention(chain: str) -> None:
    text = f"arch beside\ninput clip: video[3, 4, 5, 3]\nstage s {{ linear(8) -> {chain} }}\n"
    arch = load(text, "beside")
    assert_as_defined(arch)
    assert_as_predicted(arch)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("chain", ["", "class_token -> ", "class_token -> token_type -> "])
@pytest.mark.parametrize("options", ["", ", vectors = sinusoid", ", token = off"])
def test_numbers_of_frames(chain: str, options: str) -> None:
    """Positions of the frames of a longer video: of all clips, or of each."""
    text = (
        "arch longer\ninput clip: video[3, 4, 2, 3]\ninput frame_index: index[4]\n"
        f"stage s {{ linear(8) -> {chain}position(time, table = 7, frames = frame_index{options}) }}\n"
    )
    arch = load(text, "longer")
    assert_as_predicted(arch)
    assert_as_defined(arch)
    assert_as_defined(arch, frame_index=torch.tensor([1, 3, 8, 20]))
    assert_as_defined(arch, frame_index=torch.tensor([[1, 3, 8, 20], [0, 5, 6, 7]]))


# --- cost ------------------------------------------------------------------------------------------------------------


class Sizes(TorchDispatchMode):
    """Counts the operations of a run and the elements that they give."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.total = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for value in found if isinstance(found, tuple | list) else [found]:
            if isinstance(value, torch.Tensor):
                self.total += value.numel()
                self.largest = max(self.largest, value.numel())
        self.calls += 1
        return found


def sizes(grid: tuple[int, int, int], token: str, text: str) -> tuple[int, Sizes]:
    """Multiply-adds, and what making a module, running it and its backward pass take."""
    arch = load(spec(grid, token, text))
    counted = Sizes()
    with counted, sdpa_kernel(SDPBackend.MATH):  # which holds the weights, so that they are counted
        model = arch.build()
        model(torch.randn(1, 3, *grid)).sum().backward()
    return arch.macs, counted


BANDED = [
    ("", "attention(2, over = time, band = 18)"),
    ("", lined("2, over = time, band = 18, dropout = 0.1", "bias: table")),
    ("", "attention(2, over = time, band = 18, dilation = [2, 1, 1])"),
    ("clip", lined("2, over = time, band = 18", *OF_TOKEN)),
]


@pytest.mark.parametrize(("token", "text"), BANDED)
def test_a_band_costs_as_much_as_the_clip_is_long(token: str, text: str) -> None:
    """Eight times the frames: eight times the products and the memory, in as many operations."""
    (few, small), (many, large) = (sizes((frames, 1, 1), token, text) for frames in (256, 2048))
    assert many == pytest.approx(8 * few, rel=0.01)
    assert large.total == pytest.approx(8 * small.total, rel=0.05)
    assert large.largest <= 8.01 * small.largest
    assert large.calls == small.calls


def test_without_a_band_it_would_be_more() -> None:
    """The measure of the last test does see the weights."""
    (few, small), (many, large) = (sizes((frames, 1, 1), "", "attention(2, over = time)") for frames in (256, 2048))
    assert many > 30 * few
    assert large.largest == 64 * small.largest
