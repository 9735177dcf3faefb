"""Each family with weights of another clip: twice the frames, and another crop.

What is interpolated is held against what the originals' code does, where it resizes at all:

- InternVideo2 (`run_finetuning.py`) resamples its table linearly over time and then bicubically over space, but for the
  class token; so does PySlowFast (`checkpoint.py`) with the two tables of MViT, and linearly with relative positions.
- X-CLIP in transformers, UniFormer's image code and timm resample bicubically over space.
- VideoPrism in transformers resamples bilinearly over space: `positions = bilinear`.
- TimeSformer takes the nearest vector: `positions = nearest`.

The code of Hiera, AIM, ST-Adapter, UniFormerV2 and ViViT's of factorised attention has tables for one size; they are
resampled as those of InternVideo2. Sinusoids, rotary positions, windows and convolutions have no tensor that depends on
the clip.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from given import given
from small import SPECS, small
from torch.nn.functional import interpolate

import archdsl

if TYPE_CHECKING:
    from pathlib import Path


class Table(NamedTuple):
    """Vectors of positions: the tensor's name, the times that it has, and its rows that are for tokens."""

    name: str
    times: int = 1
    tokens: int = 0


EMBED = "embed.position.weight"
NONE = ((), ())
# By the first spec of a family: what depends on the number of frames, and what depends on the crop.
FAMILIES: dict[str, tuple[tuple[Table, ...], tuple[Table, ...]]] = {
    "aim_b": ((Table("embed.position2.weight", 4),), (Table("embed.position1.weight", tokens=1),)),
    "hiera_b": ((Table("embed.position.time", 2),), (Table("embed.position.space"),)),
    "internvideo2_s": ((Table(EMBED, 4, 1),), (Table(EMBED, 4, 1),)),
    "mvit_b_16x4": ((Table("embed.position.time", 2),), (Table("embed.position.space"),)),
    "rev_mvit_b": ((Table("embed.position.time", 2),), (Table("embed.position.space"),)),
    "st_adapter_b": ((), (Table(EMBED, tokens=1),)),
    "swin3d_t": NONE,  # Video Swin, and Omnivore's
    "uniformer_s": NONE,
    "uniformerv2_b": ((), (Table(f"frame.{EMBED}", tokens=1),)),
    "videofocalnet_t": NONE,
    "videomae_b": NONE,
    "videomae_b_pretrain": NONE,
    "videoprism_b": ((Table("temporal_embed.position.weight", 4),), (Table(EMBED),)),
    "vjepa2_l": NONE,
    "xclip_b32": ((Table("mit.position.weight", 3),), (Table(EMBED, tokens=1),)),
    "timesformer_ts": ((Table("embed.position2.weight", 4),), (Table("embed.position1.weight", tokens=1),)),
    "vivit_b_joint": ((Table(EMBED, 2, 1),), (Table(EMBED, 2, 1),)),
    "vivit_b_fe": ((Table("temporal_embed.position.weight", 2, 1),), (Table(EMBED, tokens=1),)),
    "vtn_vit_b": ((), (Table(EMBED, tokens=1),)),
}
METHODS = {"timesformer_ts": "nearest", "videoprism_b": "bilinear"}
# All others are convolutions, which see any clip, but for a full layer of C3D and the linear maps of frames of TANet.
CONVOLUTIONS = """
    avslowfast_r50 c2d_r50 c3d convnext3d_t csn_ir_r50 i3d_inception_rgb i3d_two_stream movinet_a0 p3d_199 r2plus1d_r50
    r3d_18 s3d slowfast_r50 tanet_r50 tpn_slow_r50 tsm_mobilenetv2 tsm_r50 vtn_r50 x3d_m
""".split()


def root_of(path: Path) -> str:
    """The spec that a spec extends in the end."""
    base = re.search(r"^arch \w+(?: as \w+)? extends (\w+)", path.read_text("utf-8"), re.MULTILINE)
    return root_of(path.with_stem(base[1])) if base else path.stem


def test_every_family_is_here() -> None:
    assert sorted({root_of(path) for path in SPECS}) == sorted([*FAMILIES, *CONVOLUTIONS])


def resized(state: torch.Tensor, table: Table, times: int, rows: int, method: str) -> torch.Tensor:
    """A table for other times, or other rows of patches, in the steps of InternVideo2's code."""
    tokens, places = state[: table.tokens], state[table.tokens :]
    nearest = method == "nearest"
    corners = None if nearest else False
    places = places.view(table.times, -1, state.shape[1])
    if times > 1:
        moved = places.permute(1, 2, 0)
        mode = "nearest" if nearest else "linear"
        places = interpolate(moved, table.times * times, mode=mode, align_corners=corners).permute(2, 0, 1)
    if rows > 1:
        side = round(places.shape[1] ** 0.5)
        images = places.view(-1, side, side, state.shape[1]).permute(0, 3, 1, 2)
        larger = interpolate(images, (side * rows, side), mode=method, align_corners=corners)
        places = larger.permute(0, 2, 3, 1)
    return torch.cat([tokens, places.reshape(-1, state.shape[1])])


@pytest.mark.parametrize("path", [p for p in SPECS if p.stem in FAMILIES], ids=lambda p: p.stem)
def test_weights_of_another_clip(path: Path) -> None:
    """All tensors are copied but those of the table, and the network of the other clip runs."""
    base = small(path)
    network, method = base._analysis.network, METHODS.get(path.stem, "bicubic")
    frames = int(network.node(next(iter(network.clips.values()))).shape.t)
    generator = torch.Generator().manual_seed(0)
    state = {k: torch.rand(v.shape, generator=generator) for k, v in base.build().state_dict().items()}
    for tables, times, rows in zip(FAMILIES[path.stem], (2, 1), (1, 2), strict=True):
        arch = small(path, frames * times, heights=rows)
        entries = arch.plan_transfer(base, positions=method).entries
        changed = {e.name: e.how for e in entries if e.how != "copied"}
        assert changed == {table.name: "interpolated" for table in tables}
        made = archdsl.transfer_weights(base, state, arch, positions=method)
        for table in tables:
            expected = resized(state[table.name], table, times, rows, method)
            torch.testing.assert_close(made[table.name], expected, rtol=1e-4, atol=1e-5)
        model = arch.build().eval()
        model.load_state_dict(made, strict=True)
        with torch.no_grad():
            assert model(*given(arch._analysis.network, 1, torch.float32).values()).isfinite().all()
