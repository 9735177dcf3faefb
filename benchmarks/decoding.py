"""How fast clips come from videos, and how much is decoded for them.

    python benchmarks/decoding.py FOLDER [--frames 8 --interval 8 --rule dense --size 224 --rounds 5 --write]

Every video of a folder gives one clip a round, with the moments that `Clips` draws for training. The contestants get
the same moments and cut the same boxes, and take turns, every other round backwards:

    linear   plain PyAV, from the first frame of the video to the last, as many training scripts do it
    loop     plain PyAV, a seek to the key frame before the first wanted frame, then decoding up to the last one
    torchcodec, decord   these libraries by hand, where they are installed: a decoder of one thread for each clip, which
             is asked for the wanted frames in one call, as mmaction2 (decord) and TorchCodec's tutorials do
    reader   `archdsl.train.data.videos.Reader`, in the same process
    clips N  the whole data set through a DataLoader of N workers, which are started before the clock is

Medians of the rounds count, in clips a second, and their ratio to the loop. With `--write` the rows go to
benchmarks/results/decoding.csv, where they replace those of the same setting.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import av  # noqa: E402
import table  # noqa: E402
import torch  # noqa: E402

from archdsl.train.data.clips import Sampling, cut, training_box, training_times  # noqa: E402
from archdsl.train.data.dataset import Clips, collate  # noqa: E402
from archdsl.train.data.listing import Sample  # noqa: E402
from archdsl.train.data.sources.source import SUFFIXES  # noqa: E402
from archdsl.train.data.videos import Reader, Video, VideoError, probe  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RESULTS = ROOT / "benchmarks" / "results" / "decoding.csv"
WORKERS = (0, 1, 2)
JITTER = (8 / 7, 10 / 7)


class Task:
    """The clips of a round: videos, moments and a box for each."""

    def __init__(self, videos: Sequence[tuple[Path, Video]], sampling: Sampling, size: int) -> None:
        self.videos, self.sampling, self.size = videos, sampling, (size, size)

    def moments(self, number: int) -> Iterator[tuple[Path, list[float], Callable[[torch.Tensor], torch.Tensor]]]:
        """Each video with the times of a round and what makes a frame a part of the clip."""
        for index, (path, video) in enumerate(self.videos):
            generator = torch.Generator().manual_seed(1000 * number + index)
            times = training_times(self.sampling, video.duration, video.frames, generator)
            box = training_box(video.height, video.width, self.size, JITTER, None, True, generator)
            yield path, times, lambda frame, box=box: cut(frame[None], box, self.size)[:, 0]


def linear(task: Task, number: int) -> int:
    """Decodes whole videos; the number of frames."""
    decoded = 0
    for path, times, view in task.moments(number):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            pending = sorted(times)
            kept: list[torch.Tensor] = []
            last: Any = None
            begin = None
            for frame in container.decode(stream):
                decoded += 1
                begin = frame.time if begin is None else begin
                while pending and last is not None and frame.time - begin > pending[0]:
                    kept.append(view(torch.from_numpy(last.to_ndarray(format="rgb24", threads=1))))
                    pending.pop(0)
                last = frame
            kept += [view(torch.from_numpy(last.to_ndarray(format="rgb24", threads=1))) for _ in pending]
            torch.stack(kept, dim=1)
    return decoded


def loop(task: Task, number: int) -> int:
    """Decodes from the key frame before the first wanted frame to the last one; the number of frames."""
    decoded = 0
    for path, times, view in task.moments(number):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            begin = (stream.start_time or 0) * stream.time_base
            pending = sorted(times)
            container.seek(int((pending[0] + begin) / stream.time_base), stream=stream)
            kept: list[torch.Tensor] = []
            last: Any = None
            for frame in container.decode(stream):
                decoded += 1
                while pending and last is not None and frame.time - begin > pending[0]:
                    kept.append(view(torch.from_numpy(last.to_ndarray(format="rgb24", threads=1))))
                    pending.pop(0)
                last = frame
                if not pending:
                    break
            kept += [view(torch.from_numpy(last.to_ndarray(format="rgb24", threads=1))) for _ in pending]
            torch.stack(kept, dim=1)
    return decoded


def reader(task: Task, number: int) -> int:
    """Decodes what `Reader` finds needed; the number of frames."""
    decoded = 0
    for path, times, view in task.moments(number):
        with Reader(path) as opened:
            opened.video  # noqa: B018  # it is measured before each clip is drawn
            opened.read(times, view)
            decoded += opened.decoded
    return decoded


def by_torchcodec(task: Task, number: int) -> int:
    """Has torchcodec decode; 0, as it does not say how many frames that were."""
    from torchcodec.decoders import VideoDecoder

    for path, times, view in task.moments(number):
        decoder = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)
        begin, end = decoder.metadata.begin_stream_seconds, decoder.metadata.end_stream_seconds
        frames = decoder.get_frames_played_at([min(begin + t, end - 1e-3) for t in times]).data
        torch.stack([view(frame) for frame in frames], dim=1)
    return 0


def by_decord(task: Task, number: int) -> int:
    """Has decord decode; 0, as it does not say how many frames that were."""
    import decord

    for path, times, view in task.moments(number):
        video = decord.VideoReader(str(path), num_threads=1)
        rate, last = video.get_avg_fps(), len(video) - 1
        frames = video.get_batch([min(int(t * rate), last) for t in times]).asnumpy()
        torch.stack([view(torch.from_numpy(frame)) for frame in frames], dim=1)
    return 0


def installed() -> dict[str, Callable[[Task, int], int]]:
    """The contestants whose libraries can be imported here."""
    found: dict[str, Callable[[Task, int], int]] = {}
    for name, module, contestant in (
        ("torchcodec", "torchcodec.decoders", by_torchcodec),
        ("decord", "decord", by_decord),
    ):
        try:
            import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            print(f"without {name}: {str(error).partition(chr(10))[0]}", file=sys.stderr)
        else:
            found[name] = contestant
    return found


class Loading:
    """A DataLoader over the clips of all rounds, whose workers are there before the first one."""

    def __init__(self, task: Task, workers: int, rounds: int) -> None:
        samples = [Sample(str(path), 0) for path, _ in task.videos]
        clips = Clips(
            samples, task.sampling, task.size, training=True, seed=0, jitter=JITTER, flip=True, decoder="pyav"
        )
        self.count, self.workers = len(samples), workers
        self.sampler = Keys(len(samples))
        self.loader = torch.utils.data.DataLoader(
            clips, batch_size=1, sampler=self.sampler, num_workers=workers, collate_fn=collate,
            persistent_workers=workers > 0,
        )  # fmt: skip
        self.rounds = rounds

    def __call__(self, task: Task, number: int) -> int:
        """Loads the clips of a round."""
        del task
        self.sampler.epoch = number
        for _ in self.loader:
            pass
        return 0


class Keys(torch.utils.data.Sampler[tuple[int, int]]):
    """What `Clips` is asked for in an epoch."""

    def __init__(self, count: int) -> None:
        self.count, self.epoch = count, 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter((self.epoch, index) for index in range(self.count))

    def __len__(self) -> int:
        return self.count


def usable(folder: Path, frames: int) -> list[tuple[Path, Video]]:
    """The videos of a folder that have frames enough."""
    found: list[tuple[Path, Video]] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        try:
            video = probe(path)
        except VideoError as error:
            print(f"{path}: {error}", file=sys.stderr)
            continue
        if video.frames >= frames:
            found.append((path, video))
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Clips a second from the videos of a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--interval", type=float, default=8)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--rule", choices=("dense", "segments"), default="dense")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write rows to benchmarks/results/decoding.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    sampling = Sampling(arguments.frames, arguments.interval, arguments.fps, arguments.rule)
    videos = usable(arguments.folder, arguments.frames)
    if not videos:
        sys.exit(f"{arguments.folder}: has no videos of {arguments.frames} frames or more")
    task = Task(videos, sampling, arguments.size)
    contestants: dict[str, Callable[[Task, int], int]] = {"linear": linear, "loop": loop}
    contestants |= installed() | {"reader": reader}
    contestants |= {f"clips {n}": Loading(task, n, arguments.rounds) for n in WORKERS}

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    decoded = dict.fromkeys(contestants, 0)
    for number in range(arguments.rounds + 1):
        for name in list(contestants) if number % 2 else reversed(list(contestants)):
            start = time.perf_counter()
            frames = contestants[name](task, number)
            if number:  # the first round fills the disk cache and starts the workers
                seconds[name].append(time.perf_counter() - start)
                decoded[name] += frames

    wanted = arguments.rounds * len(videos) * arguments.frames
    rates = {name: len(videos) / statistics.median(values) for name, values in seconds.items()}
    setting = f"{arguments.frames}x{arguments.interval:g} {arguments.rule} {arguments.size}"
    print(f"{len(videos)} videos, {setting}: medians of {arguments.rounds} rounds")
    rows: list[dict[str, Any]] = []
    for name, rate in rates.items():
        share = f"{decoded[name] / wanted:.2f}" if decoded[name] else ""
        rows.append({
            "setting": setting, "videos": len(videos), "contestant": name, "clips_per_second": f"{rate:.2f}",
            "to_loop": f"{rate / rates['loop']:.2f}", "decoded_to_wanted": share, "rounds": arguments.rounds,
        })  # fmt: skip
        print(
            f"{name:11}{rate:8.2f} clips/s{rate / rates['loop']:7.2f} times the loop"
            + f"  {share} frames decoded for one" * bool(share)
        )
    if arguments.write:
        old = [line for line in table.read_lines(RESULTS) if line["setting"] != setting] if RESULTS.exists() else []
        table.write_lines(RESULTS, [*old, *rows])


if __name__ == "__main__":
    main()
