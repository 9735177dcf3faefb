"""Batch augmentation on the device: mixup, CutMix and random erasing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from archdsl.ir.recipe import Recipe


def mixed(clips: torch.Tensor, targets: torch.Tensor, recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply mixup, CutMix and erasing to clips (B, C, T, H, W) and targets (B, outputs).

    Return the clips and the targets. Each clip is mixed with the clip at the mirrored index. If
    both mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019) are enabled, one is chosen at random, as in timm and
    PySlowFast.
    """
    if not recipe.mixup and not recipe.cutmix:
        return erased(clips, recipe.erase), targets
    cut = bool(recipe.cutmix) and (not recipe.mixup or torch.rand(()).item() < 0.5)
    alpha = recipe.cutmix if cut else recipe.mixup
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    clips = erased(clips, recipe.erase)
    if cut:
        top, left, height, width = _rectangle(clips.shape[-2], clips.shape[-1], 1 - share)
        other = clips.flip(0)[..., top : top + height, left : left + width]
        clips = clips.clone()
        clips[..., top : top + height, left : left + width] = other
        share = 1 - height * width / (clips.shape[-2] * clips.shape[-1])
    else:
        clips = share * clips + (1 - share) * clips.flip(0)
    return clips, share * targets + (1 - share) * targets.flip(0)


def _rectangle(height: int, width: int, area: float) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a random rectangle, clipped to the frame, as in CutMix."""
    h, w = int(height * math.sqrt(area)), int(width * math.sqrt(area))
    y, x = int(torch.randint(height, ()).item()), int(torch.randint(width, ()).item())
    top, left = max(y - h // 2, 0), max(x - w // 2, 0)
    return top, left, min(y + (h + 1) // 2, height) - top, min(x + (w + 1) // 2, width) - left


def erased(clips: torch.Tensor, probability: float) -> torch.Tensor:
    """Fill a random rectangle of clips, the same in all frames, with noise (Zhong et al. 2020)."""
    if not probability:
        return clips
    clips = clips.clone()
    height, width = clips.shape[-2:]
    for clip in clips:
        if torch.rand(()).item() >= probability:
            continue
        area = height * width * (0.02 + torch.rand(()).item() * (1 / 3 - 0.02))
        aspect = math.exp((2 * torch.rand(()).item() - 1) * math.log(10 / 3))
        h, w = min(height, round(math.sqrt(area * aspect))), min(width, round(math.sqrt(area / aspect)))
        top = int(torch.randint(height - h + 1, ()).item())
        left = int(torch.randint(width - w + 1, ()).item())
        part = clip[..., top : top + h, left : left + w]
        part.copy_(torch.randn(part.shape).to(part))
    return clips
