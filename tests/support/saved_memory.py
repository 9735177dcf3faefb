"""Memory that autograd keeps of a forward pass, and layers for which it is measured."""

from __future__ import annotations

import torch

TINY = """
arch tiny
input clip: video[3, 4, 16, 16]
stage one { conv(8, 3) -> bn -> relu }
stage two { LAYERS }
head: avgpool -> linear(2)
"""
HALF = "([1, 2, 2], stride = [1, 2, 2], padding = valid)"
# What the specs have not: a layer each, in one of its forms.
LAYERS = [
    "conv(8, [1, 3, 3], stride = 2, padding = same) -> relu",
    "maxpool(3, stride = 2) -> gelu",
    "maxpool([2, 3, 3], stride = 2, padding = same)",
    "conv(8, 3, padding = [causal, half, same], dilation = [2, 1, 1]) -> maxpool(3, padding = [causal, 1, 1]) -> relu",
    "maxpool([all, 3, 3], stride = 2, padding = 0) -> conv(8) -> maxpool([1, all, all]) -> gelu",
    "maxpool([1, all, 3], padding = same) -> avgpool(3, stride = 2, padding = same) -> gelu",
    "avgpool([1, 3, all], padding = causal) -> avgpool([3, 1, 1], padding = causal, count_padding = off) -> gelu",
    "avgpool(3, stride = 2, padding = 1, ceil = on, count_padding = off) -> maxpool(2, stride = 2, ceil = on)",
    "conv(8, 3, stride = 2) -> upsample -> conv(8) -> conv_transpose(8) -> upsample([1, 2, 1], linear) -> gelu",
    "conv_transpose(4, 3, stride = [1, 2, 2], padding = 1, bias = on) -> upsample(size = [3, 5, 5]) -> conv(8)",
    "avgpool([all, 2, 2], stride = [1, 2, 2]) -> layernorm",
    "avgpool(2, stride = 2) -> dropout(0.5)",
    "avgpool(3, padding = half) -> avgpool([all, 3, 3], stride = [1, 2, 2], padding = half)",
    "layernorm -> attention(heads = 2, dropout = 0.1)",
    f"attention(2) {{ qkv: linear(8)\n kv: maxpool{HALF}\n proj: linear(8) }}",
    f"attention(2) {{ kv: avgpool{HALF}\n qkv: linear(8)\n proj: linear(8) }}",
    "attention(heads = 2, score = dot_product)",
    "attention(score = concatenation)",
    "attention(scale = off) { qk: in\n v: linear(8)\n proj: linear(8) }",
    "layernorm -> attention(scale = off) { qk: in\n v: linear(8)\n proj: linear(8) }",
    "layernorm -> attention(heads = 2, window = [2, 4, 4], shift = [1, 2, 2])",
    "layernorm -> attention(2, window = [2, 5, 5]) { qkv: linear(8)\n bias: table\n proj: linear(8) }",
    "layernorm -> attention(heads = 2, window = [2, 4, 4], dilation = [1, 2, 2])",
    "layernorm -> attention(heads = 2, over = height)",
    "layernorm -> attention(2, cap = 5) -> linear(8) -> attention(2, over = space, cap = 2, dropout = 0.1)",
    "layernorm -> attention(2, score = cosine) -> linear(8) -> attention(4, over = time, causal = on)",
    "layernorm -> attention(heads = 2, over = width, band = 4)",
    "layernorm -> attention(heads = 2, over = [time, space], dropout = 0.1)",
    "class_token -> layernorm -> attention(heads = 2) -> select(grid)",
    "class_token -> tokens(more, 3) -> layernorm -> attention(2, over = space) -> without(more) -> select(grid)",
    "beside(sums, frame) { in, avgpool([1, all, all]) } -> grid { conv(8, 3) } -> linear(6) -> select(grid)",
    "concat { conv(4), conv(4) -> relu }",
    "rmsnorm -> linear(8)",
    "linear(19) -> rotary -> linear(8) -> class_token -> rotary(over = space) -> select(grid)",
    "conv(8) -> silu -> conv(8) -> tanh -> conv(8) -> hardswish -> linear(8) -> hardsigmoid -> linear(8)",
    "conv(8) -> gelu(quick = on) -> linear(8) -> gelu(quick = on) -> layernorm -> gelu(quick = on)",
    "conv(8) -> bn -> relu6 -> conv(8) -> relu6 -> hardsigmoid(slope = 0.2) -> conv(8)",
    "conv(8) -> softmax(space) -> conv(8) -> softmax(time) -> linear(8) -> softmax(channels) -> softmax(space_time)",
    "conv(8) -> groupnorm(2) -> relu -> conv(8) -> scale(0.1) -> conv(8) -> layernorm -> scale(per = value)",
    "mean { avgpool -> linear(8), latents(4) -> layernorm -> avgpool -> linear(8) } -> relu -> linear(8)",
    "groupnorm(2) -> concat { conv(4), conv(4) } -> conv(8) -> relu -> concat { conv(4), conv(4, [1, 3, 3]) } -> bn",
    "concat { conv(1), conv(7) } -> concat { conv(4), conv(4) } -> conv(1) -> linear(8)",
    "conv(8) -> l2norm -> conv(8) -> rmsnorm -> linear(8) -> l2norm",
    "multiply { in, conv(8), conv(8) -> sigmoid } -> relu",
    "blend { in, conv(8) } -> relu -> blend { in, avgpool -> conv(8) } -> linear(8) -> blend { in, conv(8) }",
    "shift(2) -> relu -> shift(0, 3, distance = 2, ends = repeat) -> conv(8) -> linear(8) -> shift(4) -> conv(8)",
    "concat { channels(0, 4) -> conv(4, 3), channels(4, 4) } -> linear(8) -> channels(2, 5) -> gelu -> linear(8)",
    "conv(8) -> difference -> conv(8) -> relu -> difference(ends = valid) -> linear(8) -> difference -> gelu",
    "conv(8) -> cumulative_mean -> relu -> linear(8) -> cumulative_mean -> linear(8) -> bn",
    "conv(8) -> temporal_filter { in, avgpool([1, all, all]) -> swap -> linear(3) -> swap } -> relu -> conv(8)",
    "linear(8) -> temporal_filter { in, avgpool([1, all, all]) -> swap -> linear(5) -> sigmoid -> swap } -> gelu",
    "linear(8) -> swap(space) -> linear(16) -> gelu -> linear(16) -> swap(space, rows = 4) -> conv(8) -> swap(space)",
    "multiply { in, avgpool -> conv(8, 1, bias = on) -> sigmoid, conv(8) } -> relu",
    "add { in, avgpool([1, all, all]) -> linear(8) -> sigmoid } -> max { in, conv(8), avgpool } -> relu",
    "linear(8) -> multiply { in, linear(1), avgpool } -> mean { in, avgpool -> linear(8) -> gelu }",
    "conv(8) -> frozen { rmsnorm -> linear(8) -> scale(0.1) -> bn -> dropout(0.5) -> conv(8, 3) } -> linear(8)",
    "conv(8) -> frozen { layernorm -> attention(2, dropout = 0.1) -> drop_path(0.5) } -> gelu -> linear(8)",
    "attention(2) { qkv: frozen { linear(8) }\n q: in -> add { q, linear(2) -> linear(8) }\n"
    " kv: frozen { layernorm -> dropout(0.5) }\n bias: frozen { decomposed }\n proj: frozen { linear(8) } }",
    "frozen { linear(8) } -> attention(2, dropout = 0.1) { qk: frozen { linear(8) }\n v: linear(8)\n proj: linear(8) }",
    "attention(2, window = [2, 5, 5], shift = [1, 2, 2]) { qkv: frozen { linear(8) }\n bias: frozen { table } }",
    "class_token(frame) -> layernorm -> attention(2, over = time) -> linear(8) -> select(grid)",
    "class_token(frame) -> frozen { layernorm as n -> attention(2, over = time) as a } -> linear(8)"
    " -> share a(over = space) -> share n -> linear(8) -> select(grid)",
    "linear(8) -> attention(2) { q: each_head { layernorm as n -> conv(4, 3, groups = 4) as c }\n kv: linear(8)\n"
    " proj: add { linear(8), k -> each_head { share n -> share c } } }",
    "attention(2) { q: linear(8) as fused -> each_head { conv(4, 3, groups = 4) as c -> layernorm as n }\n"
    " kv: linear(8)\n proj: add { linear(8), fused -> each_head { share c -> share n } } }",
    "linear(8) as twice -> gelu -> share twice -> conv(8, 3) as thrice -> share thrice * 2 -> relu",
    "linear(8) -> multiply { in, class_token -> linear(8) -> sigmoid } -> select(grid)",
]


def measured(model: torch.nn.Module, clips: tuple[torch.Tensor, ...]) -> int:
    """Bytes that a forward pass in training keeps; each piece of memory once, parameters and buffers left out."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    found: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()  # held, so that none takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.train()(*clips)
    return sum(s.nbytes() for place, s in found.items() if place not in own)
