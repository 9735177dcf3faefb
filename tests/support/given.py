"""Random arguments of a network: clips, vectors, spectrograms, boxes, masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from archdsl.ir.masks import visible
from archdsl.layers.input import BOXES, MASK

if TYPE_CHECKING:
    from archdsl.ir.network import Network


def given(network: Network, batch: int, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Random arguments, always the same; boxes reach beyond the clip now and then."""
    generator = torch.Generator().manual_seed(1)
    made: dict[str, torch.Tensor] = {}
    left = visible(network)
    for name, shape in network.arguments.items():
        drawn = torch.randn(batch, *shape, generator=generator, dtype=dtype)
        kind = network.node(network.inputs[name]).layer.kind
        if kind == MASK:  # one that nothing reads hides all
            drawn = (drawn.flatten(1).argsort(1).argsort(1) >= left.get(name, 0)).view(batch, *shape)
        made[name] = _boxes(drawn, network) if kind == BOXES else drawn
    return made


def _boxes(drawn: torch.Tensor, network: Network) -> torch.Tensor:
    _, _, h, w = network.node(next(iter(network.clips.values()))).shape.shape
    size = torch.tensor([int(w), int(h)], dtype=drawn.dtype)
    middle, extent = (drawn[..., :2] * 0.4 + 0.5) * size, drawn[..., 2:].abs() * 0.6 * size
    return torch.cat([middle - extent / 2, middle + extent / 2], dim=2)
