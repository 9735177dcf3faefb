"""`archdsl predict`: the answers of a trained module for videos."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.commands import values
from archdsl.commands.running import check_packages, is_first, trained_run, views_of
from archdsl.commands.training_options import EngineOptions, ViewOptions, engine_arguments, view_arguments
from archdsl.files import UsageError, write_atomically
from archdsl.train.tasks import PRETRAIN, REGRESSION

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.train.data.listing import Sample
    from archdsl.train.predict import Answer


class Keys(NamedTuple):
    """Names of answers in JSON and CSV."""

    all: str
    name: str
    number: str
    format: str  # of the number, for printing
    digits: str  # the same, in CSV


class Given(NamedTuple):
    """The printed part of an answer: the video with its part, and its best answers, of each head."""

    video: dict[str, Any]
    answer: Answer

    def as_dict(self, keys: Keys) -> dict[str, Any]:
        """Return the JSON data."""
        best = [{keys.name: name, keys.number: number} for head in self.answer for name, number in head]
        return {**self.video, keys.all: best}


CLASSIFIED = Keys("classes", "class", "probability", "6.1%", ".6f")
REGRESSED = Keys("targets", "target", "value", ".4g", ".6g")
TOP = 5  # classes that are printed
PARTS = ("start", "end", "first_frame", "last_frame")
EXAMPLES = (
    ("predict dance.mp4", "Classify a video with the run that was trained last."),
    ("predict test.csv --root videos/ -o answers.csv", "Classify the videos of a list, and write a table."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="Video, folder or list of videos.")
    group = parser.group("videos and answers")
    group.add_argument("--root", metavar="DIR", help="Folder that the paths of lists are relative to.")
    group.add_argument("-o", "--output", metavar="FILE", help="CSV file to write, or JSON if its name ends in .json.")
    model = parser.group("model")
    model.add_argument("--run", metavar="RUN", help="Folder of `archdsl train` (default: the run trained last).")
    model.add_argument("--top", type=values.count, metavar="N", help="Number of classes to print (default: 5).")
    group = parser.group("windows")
    group.add_argument(
        "--window", type=values.seconds, metavar="SECONDS", help="Classify windows of this length, e.g. 2s."
    )
    group.add_argument(
        "--every", type=values.seconds, metavar="SECONDS",
        help="Seconds from the start of one window to that of the next (default: the length of a window).",
    )  # fmt: skip
    view_arguments(parser)
    engine_arguments(parser.group("devices and loading"))


@dataclass(frozen=True, kw_only=True)
class Options(ViewOptions, EngineOptions):
    """Options of `archdsl predict`."""

    videos: tuple[str, ...]
    root: str | None
    run: str | None
    top: int | None
    window: float | None
    every: float | None
    output: str | None


def run(options: Options) -> int:
    """Print the most probable classes, or the numbers, of each video; return 1 if a video cannot be read."""
    check_packages()
    if options.every is not None and options.window is None:
        raise UsageError("--every: needs the length of the windows, --window")
    from archdsl.train.data.listing import read_unlabelled
    from archdsl.train.data.videos import VideoError
    from archdsl.train.predict import predict, windows
    from archdsl.train.weights import trained

    run, folder = trained_run(options.run, options)
    if run.task == PRETRAIN:
        raise UsageError(f"{folder}: a pre-training, which has no answers; train a classifier with --weights {folder}")
    keys = REGRESSED if run.task == REGRESSION else CLASSIFIED
    if keys is REGRESSED and options.top is not None:
        raise UsageError(f"--top {options.top}: {folder} has no classes, but the targets of a regression; omit it")
    top = len(run.classes) if keys is REGRESSED else options.top or TOP
    root = Path(options.root) if options.root is not None else None
    samples = [sample for video in options.videos for sample in read_unlabelled(Path(video), root, run.task)]
    if options.window is not None:
        samples = windows(samples, options.window, options.every or options.window, run.recipe.fps)
    model = trained(run, folder, options.weights)
    answers = predict(run, model, samples, folder, views_of(options, run))
    if not is_first():
        return 0  # the first process prints, and returns the exit code
    data: list[Given] = []
    for sample, answer in zip(samples, answers, strict=True):
        if isinstance(answer, VideoError):
            print(f"archdsl: {sample.path}: {answer}", file=sys.stderr)
            continue
        data.append(Given({"video": sample.path, **_part(sample)}, [head[:top] for head in answer]))
    _show(data, keys, options)
    return int(len(data) < len(samples))


def _part(sample: Sample) -> dict[str, Any]:
    """Return the part of a video as JSON data: seconds, or numbers of frames; empty for a whole video."""
    part: dict[str, Any] = {"start": sample.start, "end": sample.end} if sample.start or sample.end is not None else {}
    return part | ({"first_frame": sample.frames[0], "last_frame": sample.frames[1]} if sample.frames else {})


def _show(data: list[Given], keys: Keys, options: Options) -> None:
    """Write the answers to a file, or print them as JSON or text."""
    as_json = json.dumps([given.as_dict(keys) for given in data], indent=2, ensure_ascii=False) + "\n"
    if options.output is not None:
        path = Path(options.output)
        write_atomically(path, as_json if path.suffix.lower() == ".json" else _csv(data, keys))
        print(f"{path}: {len(data)} answers", file=sys.stderr)
    elif options.json:
        print(as_json, end="")
    else:
        for video, answer in data:
            place = [f"{video[name]:g}" for name in PARTS if video.get(name) is not None]
            print(video["video"] + f" [{' to '.join(place)}]" * bool(place))
            best = [pair for head in answer for pair in head]
            width = max(len(name) for name, _ in best)
            print("\n".join(f"  {name:{width}}  {number:{keys.format}}" for name, number in best))


def _csv(data: list[Given], keys: Keys) -> str:
    """Return a table with a line for each video and class, the most probable first, or for each video and target."""
    file = io.StringIO()
    columns = ("video", *(name for name in PARTS if any(name in given.video for given in data)))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*columns, "rank", keys.name, keys.number])
    for video, answer in data:
        row = [video.get(name, "") for name in columns]
        for head in answer:
            lines = ([*row, rank, name, f"{number:{keys.digits}}"] for rank, (name, number) in enumerate(head, 1))
            writer.writerows(lines)
    return file.getvalue()
