"""RandAugment (Cubuk et al. 2020) of clips: random operations on colours and geometry, the same for all frames.

Operations, their ranges and the probability of each are those of timm's `rand-mM-nN-mstd0.5-inc1`, with which MViT and
Video Swin are trained: every operation is stronger for a larger magnitude. Pillow computes them.
"""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Picture = Image.Image
    Operation = Callable[[Picture, float], Picture]  # of a picture and a strength from −1 to 1

HIGHEST = 10  # magnitude
DEVIATION = 0.5  # standard deviation of the magnitude of one operation
PROBABILITY = 0.5  # of each operation that is drawn
GREY = (128, 128, 128)  # of what moves into the frame


def augmented(clip: torch.Tensor, operations: int, magnitude: float, generator: torch.Generator) -> torch.Tensor:
    """Apply random operations to a clip.

    Args:
        clip: uint8 (3, T, h, w).
        operations: number of operations that are drawn, with repetition; half of them are applied.
        magnitude: mean strength, from 0 to 10.
        generator: the random number generator.

    Returns:
        uint8 (3, T, h, w).
    """
    names = list(OPERATIONS)
    chosen = torch.randint(len(names), (operations,), generator=generator).tolist()
    applied = torch.rand(operations, generator=generator) < PROBABILITY
    strengths = (magnitude + DEVIATION * torch.randn(operations, generator=generator)).clamp(0, HIGHEST) / HIGHEST
    signs = torch.where(torch.rand(operations, generator=generator) < 0.5, -1.0, 1.0)
    steps = [
        (OPERATIONS[names[number]], strength)
        for number, strength, used in zip(chosen, (strengths * signs).tolist(), applied.tolist(), strict=True)
        if used
    ]
    if not steps:
        return clip
    frames = [Image.fromarray(frame) for frame in clip.permute(1, 2, 3, 0).contiguous().numpy()]
    for operation, strength in steps:
        frames = [operation(frame, strength) for frame in frames]
    return torch.from_numpy(np.stack([np.asarray(frame) for frame in frames])).permute(3, 0, 1, 2).contiguous()


def _affine(picture: Picture, matrix: tuple[float, float, float, float, float, float]) -> Picture:
    """Return the picture whose pixel (x, y) is that of the affine function of (x, y); grey outside of the frame."""
    return picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR, fillcolor=GREY
    )


def _posterize(picture: Picture, strength: float) -> Picture:
    return ImageOps.posterize(picture, max(1, 4 - int(4 * abs(strength))))


def _solarize_add(picture: Picture, strength: float) -> Picture:
    """Add up to 110 to values below 128."""
    addend = int(110 * abs(strength))
    return picture.point([min(255, v + addend) if v < 128 else v for v in range(256)] * 3)


def _factor(strength: float) -> float:
    """Return the factor of a property that is weakened or strengthened by up to 90 %."""
    return 1 + 0.9 * strength


OPERATIONS: Mapping[str, Operation] = {
    "autocontrast": lambda picture, _: ImageOps.autocontrast(picture),
    "equalize": lambda picture, _: ImageOps.equalize(picture),
    "invert": lambda picture, _: ImageOps.invert(picture),
    "rotate": lambda picture, s: picture.rotate(30 * s, Image.Resampling.BILINEAR, fillcolor=GREY),
    "posterize": _posterize,
    "solarize": lambda picture, s: ImageOps.solarize(picture, 256 - int(256 * abs(s))),
    "solarize_add": _solarize_add,
    "color": lambda picture, s: ImageEnhance.Color(picture).enhance(_factor(s)),
    "contrast": lambda picture, s: ImageEnhance.Contrast(picture).enhance(_factor(s)),
    "brightness": lambda picture, s: ImageEnhance.Brightness(picture).enhance(_factor(s)),
    "sharpness": lambda picture, s: ImageEnhance.Sharpness(picture).enhance(_factor(s)),
    "shear_x": lambda picture, s: _affine(picture, (1, 0.3 * s, 0, 0, 1, 0)),
    "shear_y": lambda picture, s: _affine(picture, (1, 0, 0, 0.3 * s, 1, 0)),
    "translate_x": lambda picture, s: _affine(picture, (1, 0, 0.45 * s * picture.width, 0, 1, 0)),
    "translate_y": lambda picture, s: _affine(picture, (1, 0, 0, 0, 1, 0.45 * s * picture.height)),
}
