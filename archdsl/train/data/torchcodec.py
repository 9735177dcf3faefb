"""Decoding with torchcodec, if it is installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from archdsl.train.data.stored import opened
from archdsl.train.data.video import VideoError, file_size, reason_of
from archdsl.train.engine import DECODERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.train.data.stored import Stored

    View = Callable[[torch.Tensor], torch.Tensor]


def chosen_decoder(name: str) -> str:
    """Return `pyav` or `torchcodec`, for a name that may be `auto`.

    Raises:
        ValueError: if the decoder is unknown or not installed.
    """
    if name not in DECODERS:
        raise ValueError(f"unknown decoder {name!r}; expected {', '.join(DECODERS)}")
    if name == "auto":
        return "torchcodec" if torch.cuda.is_available() and not _why_no_torchcodec() else "pyav"
    if name == "torchcodec" and (why := _why_no_torchcodec()):
        raise ValueError(f"torchcodec cannot be used ({why}): install torchcodec with pip, and FFmpeg on your system")
    return name


def _why_no_torchcodec() -> str:
    """Return the reason why torchcodec cannot be imported; empty if it can."""
    try:
        import_module("torchcodec.decoders")
    except ModuleNotFoundError:
        return "it is not installed"
    except Exception as error:  # missing shared libraries raise exceptions of several types
        return str(error).partition("\n")[0]
    return ""


def read_by_torchcodec(
    path: str, times: Sequence[float], device: str, view: View | None, stored: Stored | None = None
) -> torch.Tensor:
    """Return the frames of a video at some times, as `read_frames`."""
    if stored is None:
        file_size(path)
    source = opened(stored, path) if stored is not None else path
    try:
        codec: Any = import_module("torchcodec.decoders")
        decoder = codec.VideoDecoder(source, dimension_order="NHWC", num_ffmpeg_threads=1, device=device)
        facts = decoder.metadata
        begin, end = facts.begin_stream_seconds, facts.end_stream_seconds
        small = 0.5 / (facts.average_fps or 25) / 100
        moments = [min(begin + max(t, 0.0) + small, end - small) for t in times]
        frames: torch.Tensor = decoder.get_frames_played_at(moments).data.cpu()
    except MemoryError:
        raise
    except Exception as error:
        raise VideoError(f"cannot be decoded: {reason_of(error)}", path) from error
    return torch.stack([view(frame) for frame in frames]) if view is not None else frames
