"""The values of a network as the reference has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Value(NamedTuple):
    """A grid (B, C, T, H, W), and beside it the class token of each clip (B, C), or those of its frames (B, C, T)."""

    grid: Tensor
    token: Tensor | None = None

    @property
    def written(self) -> Tensor:
        """As modules write it: (B, C, T, H, W), (B, 1 + T·H·W, C) or (B, T, 1 + H·W, C)."""
        if self.token is None:
            return self.grid
        if self.token.ndim == 2:
            return torch.cat([self.token[:, :, None], self.grid.flatten(2)], 2).transpose(1, 2)
        return torch.cat([self.token[..., None], self.grid.flatten(3)], 3).permute(0, 2, 3, 1)

    def features(self, name: str) -> dict[str, Tensor]:
        """As `forward_features` gives it: the grid under a name, the class tokens beside it."""
        return {name: self.grid} if self.token is None else {name: self.grid, f"{name}.token": self.token}

    @property
    def scope(self) -> str:
        """Whose class token it has."""
        return "" if self.token is None else "clip" if self.token.ndim == 2 else "frame"

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Value:
        """A function of the channels, the second axis, applied at each position and to the class tokens."""
        return Value(function(self.grid), None if self.token is None else function(self.token))
