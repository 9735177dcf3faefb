"""What a reader has before a page of the documentation begins: checkpoints of others, specs, videos."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Checkpoints by the pages that name them: the file, the spec, and the code base whose names its tensors have.
CHECKPOINTS = {
    "variants": (
        ("MVIT_B_16x4.pyth", "mvit_b_16x4", "pytorchvideo"),
        ("resnet50.pth", "resnet50", "torchvision"),
        ("vit_b16.pth", "vit_b16", "timm"),
    ),
    "images_to_videos": (("resnet50.pth", "resnet50", "torchvision"), ("vit_b16.pth", "vit_b16", "timm")),
    "weights": (("SLOWFAST_8x8_R50.pyth", "slowfast_r50", "pytorchvideo"), ("theirs.pth", "slowfast_r50", "mmaction2")),
}


def prepare(page: Path, folder: Path, *, records: bool) -> None:
    """Put what a page takes for granted into a folder; checkpoints only for what the records run."""
    if page.stem == "layers":
        shutil.copytree(ROOT / "examples" / "layers", folder / "examples" / "layers")
    if not records:
        return
    for file, spec, source in CHECKPOINTS.get(page.stem, ()):
        import torch

        import archdsl

        arch = archdsl.load(spec, like=source)
        torch.save(archdsl.revert_weights(arch, arch.build().state_dict(), source), folder / file)
