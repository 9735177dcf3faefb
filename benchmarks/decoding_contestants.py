"""The contestants of benchmarks/decoding.py: functions that make the frames of a clip, and data sets of them."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import av
import torch

from archdsl.train.data.clips import Sampling, cut, training_box, training_times
from archdsl.train.data.videos import Reader, Video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    View = Callable[[torch.Tensor], torch.Tensor]
    Clip = tuple[torch.Tensor, int]  # uint8 (3, T, h, w), and the number of decoded frames, 0 if it is unknown
    Contestant = Callable[[Path, list[float], View], Clip]

JITTER = (8 / 7, 10 / 7)


class Task:
    """The clips of a round: videos, moments and a box for each."""

    def __init__(self, videos: Sequence[tuple[Path, Video]], sampling: Sampling, size: int) -> None:
        self.videos, self.sampling, self.size = videos, sampling, (size, size)

    def moments(self, number: int, index: int) -> tuple[Path, list[float], View]:
        """A video with the times of a round and what makes a frame a part of the clip."""
        path, video = self.videos[index]
        generator = torch.Generator().manual_seed(1000 * number + index)
        times = training_times(self.sampling, video.duration, video.frames, generator)
        box = training_box(video.height, video.width, self.size, JITTER, None, True, generator)
        return path, times, lambda frame: cut(frame[None], box, self.size)[:, 0]


def linear(path: Path, times: list[float], view: View) -> Clip:
    """Decodes the whole video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        return picked(container.decode(stream), times, None, view, to_the_end=True)


def loop(path: Path, times: list[float], view: View) -> Clip:
    """Decodes from the key frame before the first wanted frame to the last one."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        begin = float((stream.start_time or 0) * stream.time_base)
        container.seek(int((min(times) + begin) / stream.time_base), stream=stream)
        return picked(container.decode(stream), times, begin, view, to_the_end=False)


def picked(frames: Iterator[Any], times: list[float], begin: float | None, view: View, *, to_the_end: bool) -> Clip:
    """The frames that are shown at some times, and how many came; the first one begins at 0 unless `begin` says."""
    pending, kept = sorted(times), list[torch.Tensor]()
    last: Any = None
    decoded = 0
    for frame in frames:
        decoded += 1
        begin = frame.time if begin is None else begin
        while pending and last is not None and frame.time - begin > pending[0]:
            kept.append(view(pixels(last)))
            pending.pop(0)
        last = frame
        if not pending and not to_the_end:
            break
    kept += [view(pixels(last)) for _ in pending]
    return torch.stack(kept, dim=1), decoded


def pixels(frame: Any) -> torch.Tensor:
    """A frame as uint8 (H, W, 3)."""
    return torch.from_numpy(frame.to_ndarray(format="rgb24", threads=1))


def reader(path: Path, times: list[float], view: View) -> Clip:
    """Decodes what `Reader` finds needed."""
    with Reader(path) as opened:
        opened.video  # noqa: B018  # it is measured before each clip is drawn
        return opened.read(times, view).transpose(0, 1), opened.decoded


def by_torchcodec(path: Path, times: list[float], view: View) -> Clip:
    """Has torchcodec decode."""
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)
    begin, end = decoder.metadata.begin_stream_seconds, decoder.metadata.end_stream_seconds
    frames = decoder.get_frames_played_at([min(begin + t, end - 1e-3) for t in times]).data
    return torch.stack([view(frame) for frame in frames], dim=1), 0


def by_decord(path: Path, times: list[float], view: View) -> Clip:
    """Has decord decode."""
    import decord

    video = decord.VideoReader(str(path), num_threads=1)
    rate, last = video.get_avg_fps(), len(video) - 1
    frames = video.get_batch([min(int(t * rate), last) for t in times]).asnumpy()
    return torch.stack([view(torch.from_numpy(frame)) for frame in frames], dim=1), 0


def importable(name: str, module: str) -> bool:
    """True for a library that can be imported here; otherwise the reason is printed."""
    try:
        import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        print(f"without {name}: {str(error).partition(chr(10))[0]}", file=sys.stderr)
        return False
    return True


def installed() -> dict[str, Contestant]:
    """The contestants whose libraries can be imported here."""
    known = (("torchcodec", "torchcodec.decoders", by_torchcodec), ("decord", "decord", by_decord))
    return {name: contestant for name, module, contestant in known if importable(name, module)}


class ByHand(torch.utils.data.Dataset[torch.Tensor]):
    """A contestant as a data set, by round and index of a video."""

    def __init__(self, task: Task, contestant: Contestant) -> None:
        self.task, self.contestant = task, contestant

    def __getitem__(self, key: tuple[int, int]) -> torch.Tensor:
        return self.contestant(*self.task.moments(*key))[0].contiguous()


def pytorchvideo(task: Task, repeat: int) -> Any:
    """The LabeledVideoDataset of pytorchvideo, which has each video several times in a round."""
    from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler

    sampling, (size, _) = task.sampling, task.size

    def clip(item: dict[str, Any]) -> torch.Tensor:
        """`UniformTemporalSubsample`, a shorter side of 8/7 of the clip's, the centre."""
        video = item["video"]
        frames = video[:, torch.linspace(0, video.shape[1] - 1, sampling.frames).long()]
        scale = size * 8 / 7 / min(frames.shape[2:])
        frames = torch.nn.functional.interpolate(frames, scale_factor=scale, mode="bilinear")
        top, left = ((side - size) // 2 for side in frames.shape[2:])
        return frames[:, :, top : top + size, left : left + size].contiguous()

    return LabeledVideoDataset(
        [(str(path), {"label": 0}) for path, _ in task.videos] * repeat,
        make_clip_sampler("random", sampling.frames * sampling.interval / sampling.fps),
        video_sampler=torch.utils.data.SequentialSampler, transform=clip, decode_audio=False,
    )  # fmt: skip
