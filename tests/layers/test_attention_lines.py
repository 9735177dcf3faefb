"""Attention whose lines amount to no settings: computed as defined, at the predicted cost and memory, in each setting.

The definition applies the lines' layers one branch and one head at a time, and looks at all pairs of positions.
"""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from meta import assert_as_predicted
from programs import Program
from programs.attentions import check_attention
from reference import assert_computes_the_graph
from saved_memory import measured

import archdsl
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import memory_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("two_threads")
CLIP = (3, 4, 32, 32)
HEAD = f"""
arch lines
input clip: video{list(CLIP)}
block lora(rank, out) {{ linear(rank, bias = off) -> linear(out, bias = off) }}
"""
ROW = " -> avgpool([1, all, all]) -> class_token"  # behind one row of positions
# A stage behind an embedding of 32×2×4×4, perhaps with class tokens: what is looked at, and the lines.
STAGES = {
    "VideoMAE": ("", "attention(4) { qv: linear(32); k: linear(32, bias = off); proj: linear(32) }"),
    "normalised queries and keys in shifted windows": (
        "",
        "attention(4, window = [1, 2, 3], shift = [0, 1, 0]) {"
        " qkv: linear(32); qk: each_head { layernorm }; bias: table; proj: linear(32) -> dropout(0.1) }",
    ),
    "low rank": (
        "",
        "attention(2, over = time) { qv: add { linear(32), lora(4, 32) }; k: linear(32); proj: linear(32) }",
    ),
    "convolutions before projections": (
        "",
        "attention(4) { q: conv(32, 3, groups = 32) -> bn -> linear(32)"
        "; kv: conv(32, 3, stride = [1, 2, 2], groups = 32) -> bn -> linear(32); proj: linear(32) }",
    ),
    "pooled keys in windows, the query added": (
        "",
        "attention(4, window = [2, 2, 2]) { q: linear(32); kv: linear(32)"
        "; kv: maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid); v: each_head { layernorm }"
        "; proj: add { in, q } -> linear(32) }",
    ),
    "rotary positions": (
        "",
        "attention(4) { qkv: linear(32); qk: each_head { rmsnorm -> rotary }"
        "; proj: multiply { in, linear(32) -> sigmoid } -> linear(32) }",
    ),
    "projections by head": (
        "",
        "attention(4, over = width) { q: each_head { linear(8) -> gelu }; kv: each_head { linear(8) }; proj: gelu }",
    ),
    "tied keys and values that are what enters": (
        "",
        "attention(4) { q: linear(32); k: q; v: in; proj: add { in, q } -> linear(32) }",
    ),
    "convolutions of single positions in padded windows": (
        "",
        "attention(4, window = [2, 4, 3]) { qv: linear(32); k: conv(32, 1) -> gelu; proj: conv(32, 1) -> layernorm }",
    ),
    "distances on each axis": (
        " -> class_token",
        "attention(4) { qv: linear(32); k: linear(32, bias = off); bias: decomposed as relative; proj: linear(32) }",
    ),
    "poolings by head beside a class token": (
        " -> class_token",
        "attention(4) { qkv: linear(32)"
        "; kv: each_head { grid { conv(8, 3, stride = [1, 2, 2], groups = 8) } -> layernorm -> gelu }"
        "; proj: linear(32) }",
    ),
    "rotary positions beside a class token": (
        " -> class_token",
        "attention(4) { qkv: linear(32); qk: each_head { rmsnorm -> rotary }; proj: linear(32) }",
    ),
    "a class token in windows": (
        " -> class_token",
        "attention(4, window = [2, 2, 2], shift = [0, 1, 1]) { qv: linear(32); k: linear(32); bias: table"
        "; proj: add { in, q } -> gelu -> linear(32) }",
    ),
    "heads that share keys": ("", "attention(4, kv_heads = 2) { q: linear(32); kv: linear(16); proj: linear(32) }"),
    "heads that share keys in windows": (
        "",
        "attention(4, window = [2, 2, 2], shift = [0, 1, 1], kv_heads = 1) { q: linear(32); kv: linear(8)"
        "; bias: table; proj: linear(32) }",
    ),
    "no later frame": (
        "",
        "attention(4, over = time, causal = on, kv_heads = 2) { q: linear(32); kv: linear(16); proj: linear(32) }",
    ),
    "no position of a later frame": (
        "",
        "attention(4, causal = on) { qk: linear(32); v: linear(32)"
        "; kv: maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid); proj: linear(32) }",
    ),
    "no later frame, by distance": (
        "",
        "attention(4, causal = on) { qkv: linear(32); bias: decomposed as relative; proj: gelu }",
    ),
    "cosines in windows": (
        "",
        "attention(4, window = [2, 2, 3], shift = [0, 1, 1], score = cosine) { qv: linear(32)"
        "; k: linear(32, bias = off); bias: table; proj: linear(32) }",
    ),
    "scores that are capped": (
        "",
        "attention(4, cap = 2, dropout = 0.1) { qk: linear(16); v: linear(32); proj: linear(32) }",
    ),
    "scores of earlier frames that are capped": (
        "",
        "attention(4, cap = 0.5, causal = on, kv_heads = 2) { q: linear(32); kv: linear(16); proj: linear(32) }",
    ),
    "capped scores beside class tokens": (
        " -> class_token(frame)",
        "attention(4, over = space, cap = 2) { qkv: linear(32); k: layernorm; proj: linear(32) }",
    ),
    "values wider than queries": ("", "attention(4) { qk: linear(16); v: linear(32); proj: linear(32) }"),
    "values narrower than queries": (
        "",
        "attention(4, window = [2, 2, 2]) { qk: linear(32); v: linear(16); proj: linear(32) }",
    ),
    "wider values that heads share": (
        "",
        "attention(4, kv_heads = 2, dropout = 0.1) { q: linear(16); k: linear(8); v: linear(32); proj: linear(32) }",
    ),
    "concatenated pairs": ("", "attention(4, score = concatenation) { qkv: linear(32); k: gelu; proj: linear(32) }"),
    "concatenated pairs of earlier frames": (
        "",
        "attention(4, over = time, score = concatenation, causal = on, kv_heads = 2) { q: linear(32); kv: linear(16)"
        "; proj: gelu }",
    ),
    "products of earlier frames": (
        "",
        "attention(4, score = dot_product, causal = on) { qv: linear(32); k: linear(32); proj: linear(32) }",
    ),
    "halves of the heads": (
        "",
        "attention(4, over = [time, space]) { qkv: linear(32); q: gelu; proj: add { in, q } -> linear(32) }",
    ),
    "four parts of cosines": (
        "",
        "attention(4, over = [space_time, time, width, height], score = cosine, causal = on) { qk: linear(32)"
        "; v: linear(32); k: each_head { layernorm }; proj: linear(32) }",
    ),
    "parts that share keys": (
        "",
        "attention(4, over = [time, space], kv_heads = 2, dropout = 0.1) { q: linear(32); kv: linear(16)"
        "; proj: linear(32) }",
    ),
    "a band by distance": (
        "",
        "attention(4, over = width, band = 2) { qkv: linear(32); k: each_head { layernorm }; bias: table"
        "; bias: table as other; proj: linear(32) }",
    ),
    "a dilated band": (
        "",
        "attention(4, over = height, band = 2, dilation = [1, 2, 1]) { q: linear(32); kv: linear(32)"
        "; kv: grid { conv(32, 3, groups = 32) }; proj: linear(32) -> gelu }",
    ),
    "a causal band of shared keys": (
        "",
        "attention(4, over = time, band = 2, causal = on, kv_heads = 2, score = cosine) { q: linear(32)"
        "; kv: linear(16); proj: linear(32) }",
    ),
    "a class token in a band": (
        ROW,
        "attention(4, over = time, band = 2) { qv: linear(32); k: linear(32); bias: table; proj: linear(32) }",
    ),
    "a class token in a band with lines of its own": (
        ROW,
        "attention(4, over = time, band = 2, dropout = 0.1) { qkv: linear(32); k: relu"
        "; token_q: layernorm -> linear(32); token_kv: linear(32); token_k: each_head { layernorm }"
        "; proj: linear(32) }",
    ),
    "a band of all positions": (
        ROW,
        "attention(4, over = time, band = 40) { qkv: linear(32); token_qkv: linear(32); proj: add { in, q } -> gelu }",
    ),
    "a class token with lines of its own": (
        " -> class_token",
        "attention(4) { qkv: linear(32); token_q: linear(32); token_kv: linear(32); bias: decomposed"
        "; proj: linear(32) }",
    ),
    "a class token with lines of its own in windows": (
        " -> class_token",
        "attention(4, window = [2, 2, 2], shift = [0, 1, 1]) { qkv: linear(32); token_q: linear(32) -> gelu"
        "; token_kv: linear(32); token_v: v; proj: linear(32) }",
    ),
    "a class token with lines of its own over time": (
        " -> class_token",
        "attention(4, over = time, kv_heads = 2) { q: linear(32); kv: linear(16); token_q: linear(32)"
        "; token_kv: linear(16); proj: linear(32) }",
    ),
    "class tokens of frames": (
        " -> class_token(frame)",
        "attention(4, over = height) { qkv: linear(32); k: each_head { layernorm }; proj: linear(32) }",
    ),
}


def network(*names: str) -> str:
    """A spec of stages, each behind a normalisation and in a residual."""
    tokens = {STAGES[name][0] for name in names}
    assert len(tokens) == 1, "stages of one network have the same class tokens"
    embed = "stage embed { conv(32, [2, 8, 8], stride = [2, 8, 8], padding = valid, bias = on)" + tokens.pop() + " }\n"
    texts = [STAGES[name][1].replace(";", "\n") for name in names]
    stages = [f"stage s{i} {{ residual {{ layernorm -> {text} }} }}\n" for i, text in enumerate(texts)]
    return HEAD + embed + "".join(stages)


CROSSED = """
arch crossed
input clip: video[3, 4, 32, 32]
path trunk = clip -> conv(24, [2, 8, 8], stride = [2, 8, 8], padding = valid, bias = on)
path query = trunk -> avgpool([1, all, all]) -> linear(16)
block cross(heads, other: value) {
    residual {
        attention(heads) {
            q: layernorm -> linear(in.channels)
            kv: other -> layernorm -> linear(in.channels)
            proj: linear(in.channels)
        }
    } -> residual { layernorm -> linear(2*in.channels) -> gelu -> linear(in.channels) }
}
stage read { query: cross(4, trunk) * 2 }
stage more { query: linear(32) -> cross(2, trunk) }
head: query -> avgpool -> linear(10)
"""
PLAIN = [name for name, (token, _) in STAGES.items() if not token and "capped" not in name]
WIDER = [name for name in PLAIN if "wider" in name or "narrower" in name]
BETWEEN = [name for name in PLAIN if re.search("kv_heads|causal|cosine", STAGES[name][1])]
NETWORKS = {
    "plain": network(*(name for name in PLAIN if name not in {*WIDER, *BETWEEN})),
    "with other arguments": network(*(name for name in BETWEEN if name not in WIDER)),
    "with values of another width": network(*WIDER),
    "with other scores": network(*(name for name in PLAIN if "score = " in STAGES[name][1])),
    "with capped scores": network("scores that are capped", "scores of earlier frames that are capped"),
    "in parts and bands": network(*(name for name in PLAIN if re.search(r"over = \[|band =", STAGES[name][1]))),
    "in a band with a class token": network(*(name for name, (token, _) in STAGES.items() if token == ROW)),
    "with a class token": network(*(name for name, (token, _) in STAGES.items() if token == " -> class_token")),
    "with class tokens of frames": network("class tokens of frames", "capped scores beside class tokens"),
    "that reads another value": CROSSED,
}


def load(text: str) -> archdsl.Architecture:
    return archdsl.Architecture(analyse(Source("lines.arch", text), FileLibrary()))


@cache
def arch_of(name: str) -> archdsl.Architecture:
    return load(NETWORKS[name])


def clips(count: int) -> torch.Tensor:
    return torch.randn(count, *CLIP, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", NETWORKS)
def test_lines_compute_what_they_say(name: str) -> None:
    """Values, gradients, parameters and the names of tensors; multiply-adds, where no product is filled with zeros."""
    text = NETWORKS[name]
    spec = re.search(r"arch (\w+)", text)
    assert spec is not None
    assert check_attention(Program(spec[1], {spec[1]: text})) == "accepted"
    if name not in ("with values of another width", "that reads another value"):
        assert_as_predicted(arch_of(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_memory_of_lines_is_predicted(name: str) -> None:
    arch = arch_of(name)
    kept = measured(arch.build(), (clips(3),))
    assert memory_of(lower(arch._analysis.network), 3).total == pytest.approx(kept, rel=0.01)


def model_of(name: str) -> Any:
    torch.manual_seed(0)
    model: Any = arch_of(name).build()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_lines_run_in_each_setting(name: str) -> None:
    """Traced, of clips that lie channels last, under autocast, and without what only training needs."""
    model, clip = model_of(name).eval(), clips(2)
    expected = model(clip)
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(clip), expected, rtol=0, atol=0)
    torch.testing.assert_close(model(clip.to(memory_format=torch.channels_last_3d)), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(clip)
    found.float().sum().backward()
    assert (found - expected).norm() < 0.05 * expected.norm()
    infer: Any = arch_of(name).build(target="infer").eval()
    infer.load_state_dict(model.state_dict())
    torch.testing.assert_close(infer(clip), expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, torch.nn.Dropout) for module in infer.modules())


@pytest.mark.parametrize("name", ["plain", "that reads another value"])
def test_checkpointing_changes_no_gradient(name: str) -> None:
    model = model_of(name).train()
    found: list[list[torch.Tensor | None]] = []
    for mode in ("none", "block", "stage"):
        other = copy.deepcopy(model)
        other.checkpointing = mode
        torch.manual_seed(1)  # of dropout
        other(clips(2)).square().sum().backward()
        found.append([p.grad for p in other.parameters()])
    for again in found[1:]:
        torch.testing.assert_close(again, found[0], rtol=0, atol=0)


def exported(model: torch.nn.Module) -> torch.export.ExportedProgram:
    model.requires_grad_(False)  # the kernel for learned biases that torch traces otherwise has no ONNX form
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    return torch.export.export(model, (clips(2),), dynamic_shapes=shapes)


@pytest.mark.records
@pytest.mark.parametrize("name", NETWORKS)
def test_lines_are_exported(name: str) -> None:
    """By torch.export, with batches of other sizes; compiled in one graph."""
    model = model_of(name).eval()
    program = exported(model).module()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        for count in (1, 3):
            torch.testing.assert_close(program(clips(count)), model(clips(count)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(compiled(clips(2)), model(clips(2)), rtol=1e-4, atol=1e-5)


# Together they have every operator of torch that the programs of all NETWORKS have.
@pytest.mark.records
@pytest.mark.parametrize("name", ["plain", "with other arguments", "with class tokens of frames"])
def test_lines_are_converted_to_onnx(name: str, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = model_of(name).eval()
    converted: Any = torch.onnx.export(exported(model), dynamo=True, verbose=False)
    converted.save(str(tmp_path / "lines.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "lines.onnx"))
    for count in (1, 3):
        feed = {session.get_inputs()[0].name: clips(count).numpy()}
        with torch.no_grad():
            expected = model(clips(count))
        found = torch.from_numpy(session.run(None, feed)[0])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


READ = """
arch net
input clip: video[3, 4, 16, 16]
block read(frames: value) {
    residual { attention(2) {
        q: layernorm -> linear(8)
        kv: beside(classes, clip) { frames -> select(grid), frames -> select(token) } -> linear(8)
        proj: linear(8)
    } }
}
path frame = clip -> conv(8, [1, 8, 8], stride = [1, 8, 8], padding = valid) -> class_token(frame)
path video = clip -> latents(3, 8)
stage one { frame: layernorm
    video: read(frame) }
stage two { frame: linear(8)
    video: read(frame) }
head: concat { video -> avgpool, frame -> select(token) -> avgpool }
"""


def test_attention_to_values_of_two_stages_has_one_class() -> None:
    """Its queries, a grid without tokens, stay channels-last from stage to stage."""
    arch = archdsl.Architecture(analyse(Source("net.arch", READ), FileLibrary()))
    text = arch.source()
    assert text.count("class Read(") == 1
    assert ".movedim(1, -1)" not in text[text.index("class Read(") :].partition("class Head(")[0]
    assert_computes_the_graph(arch)


def test_a_line_can_be_as_long_as_a_stage() -> None:
    """No recursion over its layers; joins of a value with itself do not double what is computed."""
    lines = "qkv: linear(8)\nv: relu * 800\nproj: (add { in, gelu }) * 60 -> linear(8)"
    arch = load(f"arch long\ninput clip: video[8, 2, 4, 4]\nstage a {{ attention(2) {{\n{lines}\n}} }}")
    network = arch._analysis.network
    [node] = [n for n in network.all_nodes() if n.layer.kind == "attention"]
    inside = node.layer.interior(*node.input_shapes)
    assert sum(len(part.cells) for part in inside.parts) == 1 + 800 + 2 * 60 + 1 + 1  # the weights, too
    assert arch.source().count("F.relu") == 800
