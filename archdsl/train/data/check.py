"""Check of a data set before training: statistics of its videos, and lists of damaged and too short videos."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.core.table import aligned
from archdsl.train.data.dataset import part_of
from archdsl.train.data.duplicates import duplicates
from archdsl.train.data.opening import open_sample
from archdsl.train.data.pool import run_each
from archdsl.train.tasks import REGRESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.train.data.clips import Sampling
    from archdsl.train.data.listing import Sample, Split
    from archdsl.train.data.video import Video

SHOWN = 20  # resolutions to show, the most frequent first


@dataclass(frozen=True)
class Finding:
    """The result of reading one video; `problem` is empty for a good video."""

    sample: Sample
    part: str  # `train` or `val`
    video: Video | None = None
    problem: str = ""
    short: bool = False  # the problem: fewer frames than a clip


@dataclass(frozen=True)
class Report:
    """The findings for all videos, in the order of the split."""

    split: Split
    findings: tuple[Finding, ...]
    clip_frames: int | None
    duplicates: tuple[tuple[str, str], ...] = ()  # files for training and for validation with the same content

    @property
    def faulty(self) -> list[Finding]:
        """The videos that cannot be read completely."""
        return [f for f in self.findings if f.problem and not f.short]

    @property
    def short(self) -> list[Finding]:
        """The videos that have fewer frames than a clip."""
        return [f for f in self.findings if f.short]

    @property
    def in_both(self) -> list[str]:
        """The files that are both in the training and the validation set."""
        return sorted({s.path for s in self.split.train} & {s.path for s in self.split.val})

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        videos = [f.video for f in self.findings if f.video is not None]
        return {
            "note": self.split.note,
            "videos": len(self.findings),
            "classes": [{"name": name, **counts} for name, counts in self._counts().items()],
            "targets": self._targets(),
            "sizes": dict(Counter(f"{v.width}x{v.height}" for v in videos).most_common()),
            "codecs": dict(Counter(v.codec for v in videos).most_common()),
            "fps": _range([v.fps for v in videos]),
            "seconds": _range([v.duration for v in videos]),
            "frames": _range([v.frames for v in videos]),
            "clip_frames": self.clip_frames,
            "faulty": [{"path": f.sample.path, "split": f.part, "reason": f.problem} for f in self.faulty],
            "short": [{"path": f.sample.path, "split": f.part, "reason": f.problem} for f in self.short],
            "in_both": self.in_both,
            "duplicates": [{"train": one, "val": other} for one, other in self.duplicates],
        }

    def as_text(self) -> str:
        """Return the report as text."""
        data = self.as_dict()
        counts = [["class", "train", "val"]]
        counts += [[c["name"], str(c["train"]), str(c["val"])] for c in data["classes"]]
        lines = [self.split.note, "", *[*aligned(counts, 2), ""] * bool(data["classes"])]
        sizes = [f"{size.replace('x', '×')} ({n})" for size, n in list(data["sizes"].items())[:SHOWN]]
        more = len(data["sizes"]) - len(sizes)
        lines += [f"size: {', '.join(sizes)}" + f" and {more} more" * bool(more)] * bool(sizes)
        lines += [f"codec: {', '.join(f'{c} ({n})' for c, n in data['codecs'].items())}"] * bool(sizes)
        for name, limits in [*data["targets"].items(), *[(n, data[n]) for n in ("fps", "seconds", "frames")]]:
            if limits is not None:
                lines.append(f"{name}: {limits['min']:.4g} to {limits['max']:.4g}, median {limits['median']:.4g}")
        lines += [f"the same content in training and validation: {len(self.duplicates)}"] * bool(self.duplicates)
        lines += [f"  {one} = {other}" for one, other in self.duplicates]
        if self.in_both:
            lines += ["", f"in both training and validation: {len(self.in_both)}, such as {self.in_both[0]}"]
        short = "too short for a clip (`--recipe short=loop` or `short=hold` uses them)"
        for title, findings in ((short, self.short), ("faulty", self.faulty)):
            lines += ["", f"{title}: {len(findings)}"] * bool(findings)
            lines += [f"  {f.sample.path}: {f.problem}" for f in findings]
        good = len(self.findings) - len(self.short) - len(self.faulty)
        return "\n".join([*lines, "", f"{good} of {len(self.findings)} videos can be used"])

    def _counts(self) -> dict[str, dict[str, int]]:
        if self.split.task == REGRESSION:
            return {}
        labels = ((f.part, label) for f in self.findings for label in f.sample.labels or (f.sample.label,))
        counts = Counter(labels)
        return {
            name: {part: counts[part, label] for part in ("train", "val")}
            for label, name in enumerate(self.split.classes)
        }

    def _targets(self) -> dict[str, dict[str, float] | None]:
        """Return the range of each target of a regression."""
        if self.split.task != REGRESSION:
            return {}
        numbers = [f.sample.numbers for f in self.findings]
        return {name: _range([own[n] for own in numbers]) for n, name in enumerate(self.split.classes)}


def check_data(
    split: Split,
    sampling: Sampling | None = None,
    *,
    full: bool = False,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read the first, the middle and the last frame of every video, and report all faults.

    Args:
        split: the videos.
        sampling: the sampling of clips, for which videos need enough frames.
        full: read all frames.
        workers: number of processes; with 0, a crash of the decoder ends this process.
        progress: called with the number of videos read and their total.
    """
    samples = [("train", s) for s in split.train] + [("val", s) for s in split.val]
    needed = sampling.frames if sampling is not None and sampling.short == "skip" else None
    findings: dict[int, Finding] = {}

    def note(number: int, finding: Finding | None) -> None:
        part, sample = samples[number]
        findings[number] = finding or Finding(sample, part, problem="crashes the decoder")
        if progress is not None:
            progress(len(findings), len(samples))

    run_each(partial(_look, frames=needed, full=full), samples, workers, note)
    ordered = tuple(findings[n] for n in range(len(samples)))
    return Report(split, ordered, sampling.frames if sampling is not None else None, duplicates(split))


def _look(task: tuple[str, Sample], *, frames: int | None, full: bool) -> Finding:
    """Read one video."""
    part, sample = task
    video = None
    try:
        with open_sample(sample) as reader:
            video = reader.video
            begin, end, count = part_of(sample, video)
            places = range(count) if full else sorted({0, count // 2, count - 1})
            # a corner of each frame is enough: the whole frame has been decoded
            times = [begin + (n + 0.5) * (end - begin) / count for n in places]
            reader.read(times, lambda frame: frame[:1, :1].clone())
            damage = reader.damage() if full else ""
    except MemoryError:
        raise
    except Exception as error:  # the other videos are still read
        return Finding(sample, part, video, str(error) or type(error).__name__)
    if damage:
        return Finding(sample, part, video, damage)
    if video.missing:
        declared = video.frames + video.missing
        return Finding(sample, part, video, f"is truncated: has {video.frames} of {declared} frames")
    if frames is not None and count < frames:
        return Finding(sample, part, video, f"has {count} frame{'s' * (count != 1)}, a clip needs {frames}", short=True)
    return Finding(sample, part, video)


def _range(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
