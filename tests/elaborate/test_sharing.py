"""Layers that are frozen in a chain, and layers and blocks that are applied twice with the same weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

import archdsl

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "arch net\ninput clip: video[3, 4, 8, 8]\n"


def load(path: Path, text: str) -> archdsl.Architecture:
    file = path / "net.arch"
    file.write_text(f"{HEADER}{text}\n", "utf-8")
    return archdsl.load(file)


def test_shared_weights_are_there_once(tmp_path: Path) -> None:
    """A layer twice gives the gradient of both uses, has one set of names, and costs its multiply-adds twice."""
    arch = load(
        tmp_path, "stage one { linear(5) -> linear(5) as map -> gelu -> share map }\nhead: avgpool -> linear(2)"
    )
    model = arch.build()
    named = [n for n, _ in model.named_parameters()]
    assert [n for n in named if "one" in n] == [
        "one.linear.weight",
        "one.linear.bias",
        "one.map.weight",
        "one.map.bias",
    ]
    assert arch.params == 3 * 5 + 5 + 5 * 5 + 5 + 5 * 2 + 2
    assert arch.macs == 4 * 8 * 8 * (3 * 5 + 2 * 5 * 5) + 5 * 2
    twice = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 5), nn.GELU())
    tensors = {k: v for k, v in model.state_dict().items() if k.startswith("one")}
    twice[0].load_state_dict({k.rpartition(".")[2]: v for k, v in tensors.items() if "linear" in k})
    twice[1].load_state_dict({k.rpartition(".")[2]: v for k, v in tensors.items() if "map" in k})
    last = nn.Linear(5, 2)
    last.load_state_dict({k.rpartition(".")[2]: v for k, v in model.state_dict().items() if "head" in k})
    clip = torch.randn(2, 3, 4, 8, 8)
    rows = twice[1](twice(clip.movedim(1, -1)))
    expected, given = last(rows.mean((1, 2, 3))), model(clip)
    assert torch.allclose(given, expected, atol=1e-6)
    expected.square().sum().backward()
    given.square().sum().backward()
    assert torch.allclose(dict(model.named_parameters())["one.map.weight"].grad, twice[1].weight.grad, atol=1e-5)


def test_gradients_pass_through_what_is_frozen(tmp_path: Path) -> None:
    text = """
block unit() { frozen { conv(6, 3) -> bn -> dropout(0.5) } -> residual { linear(2) -> linear(6, init = normal(1)) } }
stage one { frozen { conv(6) } -> bn as first -> unit * 2 }
head: avgpool -> linear(2)"""
    arch = load(tmp_path, text)
    model = arch.build().train()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert {n.split(".")[-2] for n in trained} == {"first", "linear1", "linear2", "linear"}
    assert all(n.split(".")[-2] in ("conv", "bn") for n, _ in model.named_parameters() if n not in trained)
    kept = {k: v.clone() for k, v in model.state_dict().items()}
    clip = torch.randn(2, 3, 4, 8, 8)
    assert torch.equal(model(clip), model(clip))  # nothing is dropped
    model(clip).square().sum().backward()
    assert all((p.grad is not None and p.grad.abs().sum() > 0) == (n in trained) for n, p in model.named_parameters())
    moved = {k.split(".")[-2] for k, v in model.state_dict().items() if not torch.equal(kept[k], v)}
    assert moved == {"first"}  # the only norm whose statistics are those of the batch


LORA = """
block low_rank(rank) { linear(rank, bias = off) -> linear(in.channels, bias = off, init = zeros) }
block mapped() { frozen { linear(in.channels) } -> dropout(0.5) }
stage one { linear(6) -> attention(2, window = [2, 4, 4]) { qkv: frozen { linear(6) }
    q: in -> add { q, low_rank(2) }
    v: in -> add { v, low_rank(2) }
    k: frozen if 1 < 2 { grid { bn } -> dropout(0.5) } -> frozen if 2 < 1 { layernorm }
    bias: frozen { table as near }
    proj: mapped } }
head: avgpool -> linear(2)"""


def test_lines_of_an_attention_are_frozen(tmp_path: Path) -> None:
    """As W0·x + B·A·x of LoRA (Hu et al. 2021, equation 3): gradients reach what no line freezes, and all of that."""
    arch = load(tmp_path, LORA)
    model = arch.build().train()
    names = "qkv k_bn proj_mapped.linear".split()
    held = {f"one.attention.{name}.{kind}" for name in names for kind in ("weight", "bias")} | {"one.attention.near"}
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == held
    trained = 3 * 6 + 6 + 4 * 2 * 6 + 2 * 6 + 6 * 2 + 2  # of the projections, maps, layer norm and head
    assert arch.params - trained == 6 * 18 + 18 + 2 * 6 + 6 * 6 + 6 + 3 * 7 * 7 * 2
    assert arch.cost()["trained"] == trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    attention = model.one.attention
    modes = {n: m.training for n, m in attention.named_modules() if isinstance(m, nn.BatchNorm3d | nn.Dropout)}
    assert modes == {"k_bn": False, "proj_mapped.dropout": True}  # what is dropped of frozen keys is left out
    for _ in range(2):  # the second maps begin at zero
        model.zero_grad()
        model(torch.randn(2, 3, 4, 8, 8)).square().sum().backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {n for n, p in model.named_parameters() if p.requires_grad}
    assert not any(p.requires_grad for p in arch.build(target="infer").parameters())


def test_a_condition_freezes_the_first_blocks(tmp_path: Path) -> None:
    text = "block unit() { residual { conv(in.channels, 3) -> bn } }\nstage one { conv(4) -> bn }"
    text += "\nstage two { frozen if index < 2 { unit } * 3 }\nhead: avgpool -> linear(2)"
    arch = load(tmp_path, text)
    model = arch.build()
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert {n.rpartition(".")[0] for n in frozen} == {"two.0.conv", "two.0.bn", "two.1.conv", "two.1.bn"}
    assert arch.cost()["trained"] == arch.params - sum(dict(model.named_parameters())[n].numel() for n in frozen)
    assert not any(p.requires_grad for p in arch.build(target="infer").parameters())


def test_lines_of_an_attention_share_weights(tmp_path: Path) -> None:
    """A filter of the queries for what goes around the attention (Mangalam et al. 2022), in a block and without."""
    lines = """
block pool(s) { conv(in.channels, [1, 3, 3], [1, s, s], groups = in.channels) }
stage one { linear(6) as whole -> attention(2) { qkv: linear(6)
    q: each_head { CALL as down -> layernorm as down_norm }
    proj: add { in, whole -> each_head { share down -> share down_norm } } } }
head: avgpool -> linear(2)"""
    for call in ("pool(2)", "conv(3, [1, 3, 3], [1, 2, 2], groups = 3)"):
        arch = load(tmp_path, lines.replace("CALL", call))
        model = arch.build()
        named = [n.removeprefix("one.attention.").replace(".conv", "") for n in arch.tensors if "attention" in n]
        kept = ["qkv.weight", "qkv.bias", "q_down.weight", "q_down_norm.weight", "q_down_norm.bias"]
        assert named == kept
        assert arch.params == 3 * 6 + 6 + 6 * 18 + 18 + 3 * 9 + 2 * 3 + 6 * 2 + 2
        n, m, pooled = 4 * 8 * 8, 4 * 4 * 4, 6 * 9 * 4 * 4 * 4
        assert arch.macs == n * (3 * 6 + 6 * 18) + 2 * pooled + 2 * 6 * n * m + 6 * 2
        clip = torch.randn(2, 3, 4, 8, 8)
        x = model.one.whole(clip.movedim(1, -1))
        assert torch.allclose(model.one.attention(x), around_pooled(model.one.attention, x), atol=1e-5)


def around_pooled(attention: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Attention to x, and x beside it, both pooled by the filter of the queries and then normalised, head by head."""
    filters = getattr(attention.q_down, "conv", attention.q_down).weight

    def pooled(y: torch.Tensor) -> torch.Tensor:
        heads = y.unflatten(-1, (2, 3)).movedim(4, 1).flatten(0, 1).movedim(-1, 1)
        down = nn.functional.conv3d(heads, filters, stride=(1, 2, 2), padding=(0, 1, 1), groups=3)
        return attention.q_down_norm(down.movedim(1, -1)).unflatten(0, (-1, 2))

    query, key, value = attention.qkv(x).chunk(3, -1)
    heads = [y.flatten(1, 3).unflatten(-1, (2, 3)).transpose(1, 2) for y in (key, value)]
    found = nn.functional.scaled_dot_product_attention(pooled(query).flatten(2, 4), *heads)
    return (found.unflatten(2, (4, 4, 4)) + pooled(x)).movedim(1, 4).flatten(4)


def test_words_are_names_elsewhere(tmp_path: Path) -> None:
    """`share` is no word of the language but before the name of a layer."""
    text = "param share = 4\nblock shared(share) { conv(share) -> conv(share) as share -> bn -> share share }"
    arch = load(
        tmp_path, f"{text}\nstage share {{ shared(share if share > 2 else 3) }}\nhead: share -> avgpool -> linear(2)"
    )
    assert [n for n in arch.tensors if "bn" not in n and "head" not in n] == ["share.conv.weight", "share.share.weight"]
