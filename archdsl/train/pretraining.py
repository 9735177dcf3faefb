"""The LightningModule of a masked pre-training: masks, errors of reconstructions, and film strips of them."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from archdsl.train.data.dataset import seed_of
from archdsl.train.masking import Masking, Size, clips_of, normalised, patches_of, scale_of
from archdsl.train.task import VIEWS, Task

if TYPE_CHECKING:
    from torch import nn

    from archdsl.train.run import Run

_GREY = 0.5  # of hidden patches in film strips


class Pretraining(Task):
    """Task whose outputs (B, 1) are the mean squared errors of the hidden patches of each clip.

    Masks of training are drawn in each step; those of tests depend on the video alone.
    """

    def __init__(self, run: Run, model: nn.Module, steps: int = 0, weights: torch.Tensor | None = None) -> None:
        super().__init__(run, model, steps, weights)
        assert run.masking is not None
        self.masking: Masking = run.masking

    def outputs(self, clips: torch.Tensor) -> torch.Tensor:
        return self._errors(clips, self.masking.tubes(len(clips)).to(clips.device))

    def of_views(self, batch: dict[str, Any]) -> torch.Tensor:
        clips = batch["clip"]
        drawn = [self._tubes(index, clips.shape[1]) for index in batch["index"].tolist()]
        masks, flat = torch.cat(drawn).to(clips.device), clips.flatten(0, 1)
        for place, index in enumerate(batch["index"].tolist()):
            if index in self.pictured:
                view = place * clips.shape[1]
                self.strips[index] = self._strip(self.normalised(flat[view : view + 1]), masks[view : view + 1])
        parts = zip(flat.split(VIEWS), masks.split(VIEWS), strict=True)
        return torch.cat([self._errors(self.normalised(part), own) for part, own in parts])

    def _tubes(self, index: int, views: int) -> torch.Tensor:
        """Return the masks of a video's views."""
        return self.masking.tubes(views, torch.Generator().manual_seed(seed_of(self.run.engine.seed, index)))

    def _errors(self, clips: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        predicted, hidden = self._predicted(clips, masks)
        targets = normalised(self._patches(clips)[hidden])
        return (predicted - targets).square().mean(1).view(len(clips), -1).mean(1, keepdim=True)

    def _predicted(self, clips: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the outputs at hidden patches (patches, numbers), and which patches are hidden (B, N)."""
        given = (masks if name == self.masking.mask else clips for name in self.masking.inputs)
        hidden = self.masking.hidden(masks, _size(clips))
        return self.masking.predicted(self.model(*given), hidden), hidden

    def _patches(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the patches of normalised clips, in colours from 0 to 1."""
        return patches_of(clips.float() * self.std + self.mean, self.masking.patch)

    def _strip(self, clip: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return a clip, the same without hidden patches, and its reconstruction: uint8 (3, T, H, W, 3).

        The network says nothing about the mean and the deviation of a patch, which are those of the clip.
        """
        predicted, hidden = self._predicted(clip, mask)
        patches = self._patches(clip)
        mean, divisor = scale_of(patches[hidden])
        masked, found = patches.clone(), patches.clone()
        masked[hidden] = _GREY
        found[hidden] = predicted.unflatten(1, patches.shape[2:]) * divisor + mean
        rows = torch.cat([clips_of(row, self.masking.patch, _size(clip)) for row in (patches, masked, found)])
        pixels = (rows.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 4, 1)
        return pixels.expand(*pixels.shape[:4], 3).cpu()


def _size(clips: torch.Tensor) -> Size:
    """Return frames, height and width of clips."""
    return clips.shape[2], clips.shape[3], clips.shape[4]
