"""`archdsl predict`: classification of videos with a trained module."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.commands import values
from archdsl.commands.running import check_packages, is_first, trained_run, views_of
from archdsl.commands.training_options import EngineOptions, ViewOptions, engine_arguments, view_arguments

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("predict dance.mp4", "Classify a video with the run that was trained last."),
    ("predict *.mp4 --run runs/my_model-1 --top 1 --json", "Classify several videos, and print JSON."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="Video file.")
    model = parser.group("model")
    model.add_argument("--run", metavar="RUN", help="Folder of `archdsl train` (default: the run trained last).")
    model.add_argument(
        "--top", type=values.count, default=5, metavar="N", help="Number of classes to print (default: 5)."
    )
    view_arguments(parser)
    engine_arguments(parser.group("devices and loading"))


@dataclass(frozen=True, kw_only=True)
class Options(ViewOptions, EngineOptions):
    """Options of `archdsl predict`."""

    videos: tuple[str, ...]
    run: str | None
    top: int


def run(options: Options) -> int:
    """Print the most probable classes of each video; return 1 if a video cannot be read."""
    check_packages()
    from archdsl.train.data.videos import VideoError
    from archdsl.train.predict import predict
    from archdsl.train.weights import trained

    run, folder = trained_run(options.run, options)
    model = trained(run, folder, options.weights)
    answers = predict(run, model, options.videos, folder, views_of(options, run))
    if not is_first():
        return 0  # the first process prints, and returns the exit code
    failed = False
    data: list[dict[str, Any]] = []
    for video, answer in zip(options.videos, answers, strict=True):
        if isinstance(answer, VideoError):
            failed = True
            print(f"archdsl: {video}: {answer}", file=sys.stderr)
            continue
        best = answer[: options.top]
        data.append({"video": video, "classes": [{"class": name, "probability": share} for name, share in best]})
        if not options.json:
            print(video)
            width = max(len(name) for name, _ in best)
            print("\n".join(f"  {name:{width}}  {share:6.1%}" for name, share in best))
    if options.json:
        print(json.dumps(data, indent=2, ensure_ascii=False))
    return int(failed)
