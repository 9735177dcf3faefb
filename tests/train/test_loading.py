"""The way of clips to the device: as bytes, from pinned memory, normalised there."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning")
pytest.importorskip("av")

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from small_videos import write

from archdsl.train.data.clips import Sampling
from archdsl.train.data.dataset import Clips
from archdsl.train.data.sample import Sample
from archdsl.train.engine import Engine
from archdsl.train.loading import TrainLoader, workers_of
from archdsl.train.task import Task

if TYPE_CHECKING:
    from pathlib import Path


def test_clips_are_bytes_until_they_are_on_the_device(tmp_path: Path) -> None:
    samples = [Sample(str(write(tmp_path / f"{number}.mp4", 8)), number) for number in range(4)]
    clips = Clips(samples, Sampling(4, 2, 25), (16, 16), training=True, decoder="pyav")
    batch = next(iter(TrainLoader(clips, Engine(batch=4, workers=0), 0)))["clip"]
    assert (batch.dtype, batch.shape) == (torch.uint8, (4, 1, 3, 4, 16, 16))
    mean, std = (torch.full((3, 1, 1, 1), value, device="meta") for value in (0.5, 0.25))
    task: Any = SimpleNamespace(grey=False, mean=mean, std=std)
    normalised = Task.normalised(task, batch[:, 0].to("meta"))  # a device without memory
    assert (normalised.dtype, normalised.device.type) == (torch.float32, "meta")


def test_memory_is_pinned_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for available in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert workers_of(Engine(device="auto"))["pin_memory"] is available
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert workers_of(Engine(device="cpu"))["pin_memory"] is False
