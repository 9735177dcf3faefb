"""How fast clips come from videos, how much is decoded for them, and how long a consumer waits for them.

    python benchmarks/decoding.py FOLDER [--prepared COPY] [--frames 8 --interval 8 --rule dense --size 224 --write]

Every video of a folder gives clips in each round, with the moments that `Clips` draws for training. The contestants get
the same moments and cut the same boxes, and take turns, every other round backwards:

    linear   plain PyAV, from the first frame of the video to the last, as many training scripts do it
    loop     plain PyAV, a seek to the key frame before the first wanted frame, then decoding up to the last one
    torchcodec, decord   these libraries by hand, where they are installed: a decoder of one thread for each clip, which
             is asked for the wanted frames in one call, as mmaction2 (decord) and TorchCodec's tutorials do
    reader   `archdsl.train.data.videos.Reader`, in the same process
    clips N  the whole data set through a DataLoader of N workers, which are started before the clock is
    loop N, torchcodec N, decord N   the same contestants as data sets of such a DataLoader
    pytorchvideo N   its LabeledVideoDataset, where it can be imported: random clips of the same length with all their
             frames, of which it keeps as many; it draws moments of its own, and cuts the centre
    … tar    the same from a tar file with the videos
    … prepared   the same from the copy that `archdsl data prepare` has made of the folder (`--prepared`)

Medians of the rounds count, in clips a second, and their ratio to the loop. Loaders also serve a consumer that takes
`--pace` clips a second without a use of the processor, as a GPU does: `waiting` is the share of the time that it waits.
With `--write` the rows go to benchmarks/results/decoding.csv, where they replace those of the same setting.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import decoding_contestants as contestants  # noqa: E402
import table  # noqa: E402
import torch  # noqa: E402
from decoding_contestants import ByHand, Task  # noqa: E402

from archdsl.train.data.clips import Sampling  # noqa: E402
from archdsl.train.data.dataset import Clips  # noqa: E402
from archdsl.train.data.listing import read_unlabelled  # noqa: E402
from archdsl.train.data.sample import Sample  # noqa: E402
from archdsl.train.data.sources.source import SUFFIXES  # noqa: E402
from archdsl.train.data.videos import Video, VideoError, probe  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from decoding_contestants import Contestant

RESULTS = ROOT / "benchmarks" / "results" / "decoding.csv"
WORKERS = (0, 1, 2)
REPEAT = 3  # clips of each video in a round of a loader, so that its start counts less


class Alone:
    """A contestant in this process, with one clip of each video."""

    def __init__(self, task: Task, contestant: Contestant) -> None:
        self.task, self.contestant = task, contestant
        self.clips = len(task.videos)

    def __call__(self, number: int) -> int:
        """Make the clips of a round; the number of decoded frames."""
        return sum(self.contestant(*self.task.moments(number, index))[1] for index in range(self.clips))


class Loading:
    """A DataLoader, whose workers are there before the first round."""

    def __init__(self, dataset: Any, clips: int, workers: int) -> None:
        self.clips = clips * REPEAT
        sampled = not isinstance(dataset, torch.utils.data.IterableDataset)
        self.sampler = Keys(clips) if sampled else None
        self.loader = torch.utils.data.DataLoader(
            dataset, batch_size=None, sampler=self.sampler, num_workers=workers, persistent_workers=workers > 0
        )

    def __call__(self, number: int, pause: float = 0.0) -> float:
        """Load the clips of a round, with a pause after each; the seconds of waiting, if there are pauses."""
        if self.sampler is not None:
            self.sampler.epoch = number
        clips, waited = iter(self.loader), 0.0
        while True:
            start = time.perf_counter()
            clip = next(clips, None)
            waited += time.perf_counter() - start
            if clip is None:
                return waited if pause else 0
            time.sleep(pause)


class Keys(torch.utils.data.Sampler[tuple[int, int]]):
    """What a data set is asked for in a round."""

    def __init__(self, count: int) -> None:
        self.count, self.epoch = count, 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter((REPEAT * self.epoch + again, index) for again in range(REPEAT) for index in range(self.count))

    def __len__(self) -> int:
        return REPEAT * self.count


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


def clips_of(task: Task, samples: Sequence[Sample]) -> Clips:
    """The data set that training uses."""
    return Clips(samples, task.sampling, task.size, training=True, jitter=contestants.JITTER, flip=True, decoder="pyav")


def entered(task: Task, copies: Task | None, shards: Path) -> dict[str, Alone | Loading]:
    """All contestants by name."""
    by_hand = {"linear": contestants.linear, "loop": contestants.loop, **contestants.installed()}
    by_hand["reader"] = contestants.reader
    most, number = WORKERS[-1], len(task.videos)
    found: dict[str, Alone | Loading] = {name: Alone(task, contestant) for name, contestant in by_hand.items()}
    samples = [Sample(str(path), 0) for path, _ in task.videos]
    found |= {f"clips {workers}": Loading(clips_of(task, samples), number, workers) for workers in WORKERS}
    for name, contestant in by_hand.items():
        if name not in {"linear", "reader"}:
            found[f"{name} {most}"] = Loading(ByHand(task, contestant), number, most)
    if contestants.importable("pytorchvideo", "pytorchvideo.data"):
        found[f"pytorchvideo {most}"] = Loading(contestants.pytorchvideo(task, REPEAT), number, most)
    found[f"clips {most} tar"] = Loading(clips_of(task, read_unlabelled(shards)), number, most)
    if copies is not None:
        for name in ("loop", "torchcodec", "decord", "reader"):
            if name in by_hand:
                found[f"{name} prepared"] = Alone(copies, by_hand[name])
        samples = [Sample(str(path), 0) for path, _ in copies.videos]
        found |= {f"clips {n} prepared": Loading(clips_of(copies, samples), number, n) for n in WORKERS}
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Clips a second from the videos of a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prepared", type=Path, help="the copy that archdsl data prepare has made of the folder")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--interval", type=float, default=8)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--rule", choices=("dense", "segments"), default="dense")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pace", type=float, default=8, help="clips a second that a consumer takes")
    parser.add_argument("--write", action="store_true", help="write rows to benchmarks/results/decoding.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    sampling = Sampling(arguments.frames, arguments.interval, arguments.fps, arguments.rule)
    videos = usable(arguments.folder, arguments.frames)
    if not videos:
        sys.exit(f"{arguments.folder}: has no videos of {arguments.frames} frames or more")
    copies = None
    if arguments.prepared is not None:
        paths = [arguments.prepared / p.relative_to(arguments.folder).with_suffix(".mp4") for p, _ in videos]
        copies = Task([(path, probe(path)) for path in paths], sampling, arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder) / "videos.tar"
        with tarfile.open(shards, "w", dereference=True) as tar:
            for number, (path, _) in enumerate(videos):
                tar.add(path, f"{number:06}{path.suffix}")
        entries = entered(Task(videos, sampling, arguments.size), copies, shards)
        rows = measured(entries, arguments)
    for row in rows:
        row["videos"] = len(videos)
    if arguments.write:
        setting = rows[0]["setting"]
        old = [line for line in table.read_lines(RESULTS) if line["setting"] != setting] if RESULTS.exists() else []
        table.write_lines(RESULTS, [{**dict.fromkeys(rows[0], ""), **line} for line in (*old, *rows)])


def measured(entries: dict[str, Alone | Loading], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of all contestants."""
    seconds: dict[str, list[float]] = {name: [] for name in entries}
    waiting: dict[str, list[float]] = {name: [] for name in entries}
    decoded = dict.fromkeys(entries, 0.0)
    for number in range(arguments.rounds + 1):
        for name in list(entries) if number % 2 else reversed(list(entries)):
            entry = entries[name]
            start = time.perf_counter()
            frames = entry(number)
            taken = time.perf_counter() - start
            if not number:  # the first round fills the disk cache and starts the workers
                continue
            seconds[name].append(taken)
            decoded[name] += frames
            if isinstance(entry, Loading):
                start = time.perf_counter()
                waited = entry(number, 1 / arguments.pace)
                waiting[name].append(waited / (time.perf_counter() - start))

    rates = {name: entries[name].clips / statistics.median(values) for name, values in seconds.items()}
    setting = f"{arguments.frames}x{arguments.interval:g} {arguments.rule} {arguments.size}"
    print(f"{setting}: medians of {arguments.rounds} rounds; waiting at {arguments.pace:g} clips/s")
    rows: list[dict[str, Any]] = []
    for name, rate in rates.items():
        wanted = arguments.rounds * entries[name].clips * arguments.frames
        share = f"{decoded[name] / wanted:.2f}" if decoded[name] else ""
        waits = f"{statistics.median(waiting[name]):.2f}" if waiting[name] else ""
        rows.append({
            "setting": setting, "videos": 0, "contestant": name, "clips_per_second": f"{rate:.2f}",
            "to_loop": f"{rate / rates['loop']:.2f}", "decoded_to_wanted": share, "rounds": arguments.rounds,
            "waiting": waits, "pace": f"{arguments.pace:g}" if waits else "",
        })  # fmt: skip
        print(
            f"{name:18}{rate:8.2f} clips/s{rate / rates['loop']:7.2f} times the loop"
            + f"  {share} frames decoded for one" * bool(share)
            + f"  {float(waits or 0):.0%} of the time waiting" * bool(waits)
        )
    return rows


if __name__ == "__main__":
    main()
