"""`archdsl data prepare`: a copy of a folder of videos that is fast to read."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands import values
from archdsl.commands.running import check_reading, show_progress
from archdsl.files import UsageError

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

MAX_CRF = 51
EXAMPLES = (
    ("data prepare videos/ -o videos-256/", "Shorter side of 256 pixels, a key frame every 16 frames, no sound."),
    ("data prepare UCF-101/ -o small/ --short-side 128", "Frames whose shorter side has 128 pixels."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="DIR", help="Folder of videos; its subfolders and lists are kept.")
    coding = parser.group("encoding")
    coding.add_argument(
        "--short-side", type=values.count, default=256, metavar="PIXELS",
        help="Shorter side of the frames, at most (default: 256).",
    )  # fmt: skip
    coding.add_argument(
        "--key-frames", type=values.count, default=16, metavar="N",
        help="Number of frames from one key frame to the next, at most (default: 16).",
    )  # fmt: skip
    coding.add_argument(
        "--crf", type=values.natural, default=20, metavar="N",
        help="Constant rate factor of x264, from 0 (lossless) to 51 (default: 20).",
    )  # fmt: skip
    work = parser.group("work and output")
    work.add_argument(
        "-o", "--output", metavar="DIR", required=True,
        help="Folder of the copy; one that was not completed is completed.",
    )  # fmt: skip
    work.add_argument(
        "--workers", type=values.natural, metavar="N", help="Number of processes (default: one for each core)."
    )


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl data prepare`."""

    source: str
    output: str
    short_side: int
    key_frames: int
    crf: int
    workers: int | None


def run(options: Options) -> int:
    """Write the copy; return 1 if a video cannot be encoded."""
    if options.crf > MAX_CRF:
        raise UsageError(f"--crf {options.crf}: expected 0 to {MAX_CRF}")
    check_reading()
    from archdsl.train.data.encode import Encoding
    from archdsl.train.data.prepare import prepare

    encoding = Encoding(options.short_side, options.key_frames, options.crf)
    workers = os.cpu_count() or 1 if options.workers is None else options.workers
    shown = show_progress if sys.stderr.isatty() else None
    try:
        summary = prepare(Path(options.source), Path(options.output), encoding, workers, shown)
    except KeyboardInterrupt:
        print(f"archdsl: stopped; the same command completes {options.output}", file=sys.stderr)
        raise
    print(summary.as_text())
    return int(bool(summary.failed))
