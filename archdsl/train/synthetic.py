"""A small synthetic data set of videos, whose classes depend on the order of frames only.

Classes come in pairs, in which the videos of one class are those of the other played backwards: a shape moves right or
left, grows or shrinks, turns clockwise or anticlockwise, changes from red to blue or back. The set of frames has the
same distribution for both classes of a pair, so that a model without temporal order reaches at most 50 % accuracy;
chance is 1 in 8. Every frame is an intra frame of the same quality, so that compression artefacts do not reveal its
position.
"""

# Libraries without types.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = 64  # pixels, both ways
FRAMES = 24
FPS = 12

# A recipe with which networks of every family learn the classes in minutes: small clips of the whole video, without
# horizontal flips, and a single view in tests.
RECIPE: dict[str, Any] = {
    "optimizer": "adamw", "lr": 2e-3, "lr_batch": 16, "weight_decay": 0.05, "decay_norms": False,
    "decay_positions": False, "schedule": "cosine", "steps": (), "epochs": 6, "warmup": 1, "warmup_start": 0.1,
    "cosine_after_warmup": False, "final_lr": 0, "layer_decay": 1, "backbone_lr": 1, "clip_gradient": 1, "ema": 0,
    "label_smoothing": 0, "balance": "none", "mixup": 0, "cutmix": 0, "erase": 0, "randaugment": (), "repeats": 1,
    "precise_bn": 0, "interval": 1, "fps": FPS, "sampling": "segments", "jitter": (1, 1), "area": (), "flip": False,
    "test_scale": 1, "test_clips": 1, "test_crops": 1,
}  # fmt: skip
CLIP = 64  # default height and width

# Pairs of classes; the videos of the second are those of the first, played backwards.
PAIRS = (
    ("right", "left"),
    ("grow", "shrink"),
    ("clockwise", "anticlockwise"),
    ("red_to_blue", "blue_to_red"),
)
CLASSES = tuple(name for pair in PAIRS for name in pair)
TWINS = {a: b for one, other in PAIRS for a, b in ((one, other), (other, one))}


@dataclass(frozen=True)
class Shape:
    """The shape in one frame: centre, half width and half height (fractions of the frame), angle, roundness, colour."""

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0
    round: float = 0.0  # 0: a rectangle, 1: a circle
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)


Motion = Callable[[float], Shape]  # the shape at a fraction of the video, from 0 to 1


def make(folder: Path, videos: int, seed: int = 0, frames: int = FRAMES) -> None:
    """Write `folder/train/CLASS/N.mp4`, and a quarter of that number to `folder/val`; existing files stay unchanged.

    Args:
        folder: the folder of the data set.
        videos: number of training videos per class.
        seed: seed of the random numbers.
        frames: frames per video.
    """
    for part, (split, count) in enumerate((("train", videos), ("val", max(1, videos // 4)))):
        for label, name in enumerate(CLASSES):
            for number in range(count):
                path = folder / split / name / f"{number:03}.mp4"
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write(path, video(name, np.random.default_rng((seed, part, label, number)), frames))


def video(name: str, random: np.random.Generator, frames: int = FRAMES) -> NDArray[np.uint8]:
    """Return a video of a class: uint8 (frames, height, width, 3)."""
    first = next(pair[0] for pair in PAIRS if name in pair)
    motion = _MOTIONS[first](random)
    shapes = [motion(share) for share in np.linspace(0, 1, frames).tolist()]
    if name != first:
        shapes = shapes[::-1]
    ground = random.uniform(0.05, 0.3, 3) + random.normal(0, 0.02, (SIZE, SIZE, 1))
    pictures = [ground + _cover(shape)[..., None] * (np.array(shape.colour) - ground) for shape in shapes]
    return (np.clip(np.stack(pictures), 0, 1) * 255).round().astype(np.uint8)


def write(path: Path, frames: NDArray[np.uint8]) -> None:
    """Encode frames (T, H, W, 3) as an H.264 mp4 of intra frames only."""
    import av

    temporary = path.with_suffix(".part")
    with av.open(str(temporary), "w", format="mp4") as container:
        options = {"qp": "18", "g": "1", "bf": "0", "preset": "veryfast", "threads": "1"}
        stream: Any = container.add_stream("libx264", rate=Fraction(FPS), options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    temporary.replace(path)


def _right(random: np.random.Generator) -> Motion:
    size, y = random.uniform(0.12, 0.18), random.uniform(0.25, 0.75)
    begin, look = random.uniform(0.15, 0.25), _look(random)
    length = random.uniform(0.5, 0.6)
    return lambda share: Shape(begin + share * length, y, size, size, **look)


def _grow(random: np.random.Generator) -> Motion:
    (x, y), look = random.uniform(0.4, 0.6, 2), _look(random)
    least, most = random.uniform(0.06, 0.1), random.uniform(0.3, 0.36)

    def motion(share: float) -> Shape:
        size = least + share * (most - least)
        return Shape(x, y, size, size, **look)

    return motion


def _clockwise(random: np.random.Generator) -> Motion:
    (x, y), begin = random.uniform(0.45, 0.55, 2), random.uniform(0, math.pi)
    length, look = random.uniform(0.34, 0.42), _look(random)
    look["round"] = 0.0
    turn = random.uniform(0.6, 0.8) * math.pi
    return lambda share: Shape(x, y, length, 0.09, begin + share * turn, **look)


def _red_to_blue(random: np.random.Generator) -> Motion:
    (x, y), size, round_ = random.uniform(0.4, 0.6, 2), random.uniform(0.2, 0.3), _look(random)["round"]
    dark = random.uniform(0.1, 0.3)
    return lambda share: Shape(x, y, size, size, 0.0, round_, (0.9 - 0.8 * share, dark, 0.1 + 0.8 * share))


_MOTIONS: dict[str, Callable[[np.random.Generator], Motion]] = {
    "right": _right,
    "grow": _grow,
    "clockwise": _clockwise,
    "red_to_blue": _red_to_blue,
}


def _look(random: np.random.Generator) -> dict[str, Any]:
    """Return a random roundness, of a square or a circle, and a random bright colour."""
    return {"round": float(random.integers(2)), "colour": tuple(random.uniform(0.6, 1.0, 3))}


def _cover(shape: Shape) -> NDArray[np.float64]:
    """Return the coverage of each pixel by a shape: (H, W), from 0 to 1."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)
    cos, sin = math.cos(shape.angle), math.sin(shape.angle)
    u = cos * (x - shape.x) + sin * (y - shape.y)
    v = cos * (y - shape.y) - sin * (x - shape.x)
    corner = shape.round * min(shape.width, shape.height)  # the radius of its corners
    outside = np.hypot(
        np.maximum(np.abs(u) - shape.width + corner, 0), np.maximum(np.abs(v) - shape.height + corner, 0)
    )
    inside = np.minimum(np.maximum(np.abs(u) - shape.width, np.abs(v) - shape.height) + corner, 0)
    return np.clip(0.5 - (outside + inside - corner) * (SIZE - 1), 0, 1)
