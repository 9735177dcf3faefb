"""Biases of scores by definition, from the distances of queries and keys on each axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor


def alibi(heads: int, distances: list[Tensor]) -> Tensor:
    """−2^(−8i/n) · |distance|, the distances on all axes added up: (heads, queries, keys)."""
    distance = torch.stack([d.abs() for d in distances]).sum(0).double()
    return torch.stack([-(2.0 ** (-8 * (i + 1) / heads)) * distance for i in range(heads)])


def continuous(layer: Any, distances: list[Tensor], windows: list[int], w: dict[str, Tensor]) -> Tensor:
    """16 · σ of a network of log-spaced distances, at each pair of a query and a key: (heads, queries, keys)."""
    places: list[Tensor] = []
    for distance, n in zip(distances, windows, strict=True):
        part = 8 * distance.double() / max(n - 1, 1)
        places.append(part.sign() * (1 + part.abs()).log2() / 3)
    hidden = (torch.stack(places, -1) @ w["fc1.weight"].T + w["fc1.bias"]).clamp(min=0)
    assert hidden.shape[-1] == layer.hidden
    return (16 / (1 + (-(hidden @ w["fc2.weight"].T)).exp())).permute(2, 0, 1)


def named(w: dict[str, Tensor], label: str) -> dict[str, Tensor]:
    """The tensors of a bias, by their names in it."""
    return {k.removeprefix(f"{label}."): v for k, v in w.items() if k.startswith(f"{label}.")}
