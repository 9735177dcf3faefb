"""Networks that stream, on beginnings of a clip: as the original gives them by chunks, with its buffers."""

from __future__ import annotations

import json

import torch
from parity_filled import filled
from parity_weights import inputs_of, weights_of
from repository import ROOT

import archdsl


def test_beginnings_of_a_clip_have_the_logits_of_its_chunks() -> None:
    record = json.loads((ROOT / "tests/parity/mov_a0_stream.json").read_text("utf-8"))
    arch = archdsl.load(ROOT / "specs/movinet_a0_stream.arch", clip=tuple(record["clip"][1:]), like="movinet")
    model = filled(arch, archdsl.convert_weights(arch, weights_of(record), "movinet"))
    (clip,) = inputs_of(record)
    frames, expected = record["chunked"]["frames_per_chunk"], torch.tensor(record["chunked"]["outputs"])
    assert clip.shape[2] == frames * len(expected)
    with torch.no_grad():
        found = torch.cat([model(clip[:, :, : frames * (i + 1)]) for i in range(len(expected))])
    assert (found - expected).abs().max() <= 2e-5 * expected.abs().max()
    assert (expected[0] - expected[-1]).abs().max() > 1e-3 * expected.abs().max()  # frames do change the logits
