"""Blocks of the documentation that mix positions without attention: the values of the papers' formulas."""

from __future__ import annotations

import torch
from documents import whole
from error_documents import fences
from repository import ROOT
from torch.nn import functional

import archdsl

PAGE = (ROOT / "docs" / "attention_examples.md").read_text("utf-8")


def block_of(name: str) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The second block of this name in the example that defines it, with random weights, and these by name."""
    [text] = [fence.text for fence in fences(PAGE) if fence.kind == "arch" and f"block {name}(" in fence.text]
    block = archdsl.loads(whole(text)).build().blocks[1].eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return block, dict(block.named_parameters())


@torch.no_grad()
def test_token_mlp() -> None:
    """MLP-Mixer (Tolstikhin et al. 2021, equation 1), in each frame."""
    block, w = block_of("mixer")
    x = torch.randn(2, 16, 4, 4, 64)
    y = functional.layer_norm(x, (64,), w["layernorm1.weight"], w["layernorm1.bias"]).flatten(2, 3)
    hidden = functional.gelu(torch.einsum("kp,btpc->btck", w["linear1.weight"], y) + w["linear1.bias"])
    tokens = torch.einsum("pk,btck->btpc", w["linear2.weight"], hidden) + w["linear2.bias"][:, None]
    x2 = x + tokens.unflatten(2, (4, 4))
    y = functional.layer_norm(x2, (64,), w["layernorm2.weight"], w["layernorm2.bias"])
    y = functional.linear(
        functional.gelu(functional.linear(y, w["linear3.weight"], w["linear3.bias"])),
        w["linear4.weight"],
        w["linear4.bias"],
    )
    torch.testing.assert_close(block(x), x2 + y, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_pooling() -> None:
    """PoolFormer (Yu et al. 2022, equation 4): the mean of the neighbours inside a frame, less the position."""
    block, w = block_of("pooling")
    x = torch.randn(2, 64, 3, 5, 6)
    y = functional.group_norm(x, 1, w["groupnorm1.weight"], w["groupnorm1.bias"])
    frames = y.movedim(2, 1).flatten(0, 1)
    means = functional.avg_pool2d(frames, 3, 1, 1, count_include_pad=False).unflatten(0, (2, 3)).movedim(1, 2)
    x2 = x + w["scale2.weight"].reshape(-1, 1, 1, 1) * (means - y)
    y = functional.group_norm(x2, 1, w["groupnorm2.weight"], w["groupnorm2.bias"]).movedim(1, -1)
    y = functional.linear(
        functional.gelu(functional.linear(y, w["linear1.weight"], w["linear1.bias"])),
        w["linear2.weight"],
        w["linear2.bias"],
    )
    expected = x2.movedim(1, -1) + w["scale3.weight"] * y
    torch.testing.assert_close(block(x.movedim(1, -1)), expected, rtol=1e-4, atol=1e-5)
