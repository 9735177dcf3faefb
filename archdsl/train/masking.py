"""Masked pre-training: masks, and the patches of a clip that a network has to reconstruct (He et al. 2022).

A mask hides tubes, the same positions in all frames (Tong et al. 2022, section 3.2). Targets are the pixels of a patch,
each channel minus its mean in the patch, divided by its deviation there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.files import UsageError
from archdsl.ir.masks import visible
from archdsl.train.networks import OWN_LOOP, clip_of, masks_of
from archdsl.train.tasks import PRETRAIN

if TYPE_CHECKING:
    import torch

    from archdsl.ir.network import Network

Size = tuple[int, int, int]  # of time, height and width
_DIVIDED = 1e-6  # added to the deviation of a patch


@dataclass(frozen=True)
class Masking:
    """The mask of a network, and the patches of its output."""

    inputs: tuple[str, ...]  # the clip and the mask, in the order of the module's arguments
    mask: str
    grid: Size
    visible: int  # positions that the mask leaves visible
    patch: Size  # pixels of a patch, for each position of the output
    of_hidden: bool  # the output has the hidden positions alone, in order; otherwise all positions of its grid

    def tubes(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return random masks (count, t, h, w), true at hidden positions."""
        import torch

        frames, height, width = self.grid
        order = torch.rand(count, height * width, generator=generator).argsort(1).argsort(1)
        hidden = (order >= self.visible // frames).view(count, 1, height, width)
        return hidden.expand(count, *self.grid)

    def hidden(self, masks: torch.Tensor, size: Size) -> torch.Tensor:
        """Return the patches (B, N) that masks (B, t, h, w) hide, of clips of some size."""
        for axis, (own, pixels, patch) in enumerate(zip(self.grid, size, self.patch, strict=True), 1):
            masks = masks.repeat_interleave(pixels // patch // own, axis)
        return masks.flatten(1)

    def predicted(self, outputs: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the outputs of a network at the hidden patches of all clips: (patches, numbers)."""
        if outputs.ndim == 5:
            outputs = outputs.flatten(2).mT
        return (outputs if self.of_hidden else outputs[hidden]).flatten(0, -2).float()


def patches_of(clips: torch.Tensor, patch: Size) -> torch.Tensor:
    """Return the patches of clips (B, C, T, H, W): (B, N, pixels, C), in the order of positions."""
    batch, channels, (frames, height, width) = *clips.shape[:2], clips.shape[2:]
    t, h, w = patch
    apart = clips.reshape(batch, channels, frames // t, t, height // h, h, width // w, w)
    return apart.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(batch, -1, t * h * w, channels)


def clips_of(patches: torch.Tensor, patch: Size, size: Size) -> torch.Tensor:
    """Return the clips (B, C, T, H, W) of `size` whose patches are given."""
    batch, channels, (frames, height, width) = *patches.shape[::3], size
    t, h, w = patch
    apart = patches.reshape(batch, frames // t, height // h, width // w, t, h, w, channels)
    return apart.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(batch, channels, frames, height, width)


def scale_of(patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and divisor (…, 1, C) of patches (…, pixels, C), with the unbiased variance of each channel."""
    return patches.mean(-2, keepdim=True), patches.std(-2, keepdim=True) + _DIVIDED


def normalised(patches: torch.Tensor) -> torch.Tensor:
    """Return the targets (…, numbers) of patches (…, pixels, C): channels are next to each other."""
    mean, divisor = scale_of(patches)
    return ((patches - mean) / divisor).flatten(-2)


def masking_of(network: Network) -> Masking:
    """Return the mask of a network, and the patches that its output reconstructs.

    Raises:
        UsageError: if it has no mask or several, or its output does not fit the patches of the clip.
    """
    masks = masks_of(network)
    if len(masks) != 1 or len(network.outputs) > 1:
        count = len(masks) or "no"
        problem = f"{len(network.outputs)} heads" if len(masks) == 1 else f"{count} mask{'s' * (len(masks) > 1)}"
        raise UsageError(
            f"--task {PRETRAIN}: {network.name} has {problem}; expected one `input mask: mask[t, h, w]`, and one head"
        )
    channels, *sizes = clip_of(network)
    size = sizes[0], sizes[1], sizes[2]
    frames, height, width = network.arguments[masks[0]]
    left = visible(network)[masks[0]]
    if left % frames:
        near = max(1, round(left / frames)) * frames
        raise UsageError(
            f"--task {PRETRAIN}: {network.name} keeps {left} positions of {frames}×{height}×{width}; tubes are the "
            f"same in all {frames} frames: keep a multiple of {frames}, such as {near}"
        )
    patch, of_hidden = _patch(network, (frames, height, width), left, size)
    numbers, pixels = int(network.node(network.outputs[""]).shape.channels), math.prod(patch)
    if numbers != channels * pixels:
        raise UsageError(
            f"--task {PRETRAIN}: the output of {network.name} has {numbers} channels; a patch of its clip is "
            f"{channels}×{'×'.join(map(str, patch))} = {channels * pixels} numbers; "
            f"{_whole(channels, size, patch, numbers) or f'for other targets, {OWN_LOOP}'}"
        )
    return Masking(tuple(network.arguments), masks[0], (frames, height, width), left, patch, of_hidden)


def _whole(channels: int, size: Size, patch: Size, numbers: int) -> str:
    """Return what to do about a clip that ends within a patch of as many numbers as the output has; or nothing."""
    frames, *sides = size
    side = math.isqrt(numbers // (channels * patch[0]))
    if channels * patch[0] * side**2 != numbers or not any(n % side for n in sides):
        return ""
    clip = "x".join(map(str, (channels, frames, *(max(1, n // side) * side for n in sides))))
    return f"patches of {side}×{side} pixels end within one of {sides[0]}×{sides[1]}: use --clip {clip}"


def _patch(network: Network, grid: Size, left: int, size: Size) -> tuple[Size, bool]:
    """Return the size of a patch, and True if the output has the hidden positions alone."""
    shape = network.node(network.outputs[""]).shape
    out = int(shape.t), int(shape.h), int(shape.w)
    of_hidden = out == (1, 1, math.prod(grid) - left)
    out = grid if of_hidden else out
    if any(own % of for own, of in zip(out, grid, strict=True)):
        text, of = ("×".join(map(str, sizes)) for sizes in (out, grid))
        raise UsageError(
            f"--task {PRETRAIN}: the output of {network.name} has {text} positions; expected those that its mask "
            f"hides, or a grid that divides the mask's {of} and the clip into equal patches"
        )
    if any(pixels % own for pixels, own in zip(size, out, strict=True)):
        text, of = ("×".join(map(str, sizes)) for sizes in (size, out))
        clip = "x".join(str(pixels // own * own) for pixels, own in zip(size, out, strict=True))
        raise UsageError(
            f"--task {PRETRAIN}: {network.name}: a clip of {text} does not divide into {of} equal patches: use --clip "
            f"{clip_of(network)[0]}x{clip}"
        )
    patch = tuple(pixels // own for pixels, own in zip(size, out, strict=True))
    return (patch[0], patch[1], patch[2]), of_hidden
