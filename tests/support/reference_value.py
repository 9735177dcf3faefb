"""The values of a network as the reference has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Value(NamedTuple):
    """A grid (B, C, T, H, W), and beside it n tokens of each clip (B, C, n), or of its frames (B, C, T, n).

    `kinds` are the name and number of each kind of tokens, in order.
    """

    grid: Tensor
    token: Tensor | None = None
    kinds: tuple[tuple[str, int], ...] = ()

    @property
    def written(self) -> Tensor:
        """As modules write it: (B, C, T, H, W), (B, n + T·H·W, C) or (B, T, n + H·W, C)."""
        if self.token is None:
            return self.grid
        if self.token.ndim == 3:
            return torch.cat([self.token, self.grid.flatten(2)], 2).transpose(1, 2)
        return torch.cat([self.token, self.grid.flatten(3)], 3).permute(0, 2, 3, 1)

    @property
    def by_name(self) -> dict[str, Tensor]:
        """Each kind of tokens: (B, C, n) or (B, C, T, n)."""
        if self.token is None:
            return {}
        parts = self.token.split([number for _, number in self.kinds], -1)
        return {name: part for (name, _), part in zip(self.kinds, parts, strict=True)}

    def features(self, name: str) -> dict[str, Tensor]:
        """As `forward_features` gives it: the grid under a name, tokens beside it, one without an axis of its own."""
        return {name: self.grid} | {f"{name}.{kind}": x.squeeze(-1) for kind, x in self.by_name.items()}

    @property
    def scope(self) -> str:
        """Whose tokens it has."""
        return "" if self.token is None else "clip" if self.token.ndim == 3 else "frame"

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Value:
        """A function of the channels, the second axis, applied at each position and to the tokens."""
        return Value(function(self.grid), None if self.token is None else function(self.token), self.kinds)

    def beside(self, tokens: dict[str, Tensor]) -> Value:
        """The grid with other tokens, by name."""
        kinds = tuple((name, x.shape[-1]) for name, x in tokens.items())
        return Value(self.grid, torch.cat(list(tokens.values()), -1) if tokens else None, kinds)
