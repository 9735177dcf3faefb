"""A lowered network to the text of a PyTorch module. Nothing here imports torch."""

from __future__ import annotations

from archdsl.targets.torch.module import Origin, generate

__all__ = ["Origin", "generate"]
