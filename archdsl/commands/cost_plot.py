"""The plot of `archdsl cost`: multiply-adds against parameters, ours and the published figures."""

# Libraries without types.
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import io
import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.files import EnvironmentFault, UsageError, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.analysis.cost_table import Figures

SUFFIXES = (".svg", ".pdf", ".png")
OURS, THEIRS, INK, GRID = "#1f5f99", "#c2410c", "#1a1a1a", "#d9d9d9"
SMALL = 8  # size of names
# Directions of a name from its point, and distances in points: the first place at which it covers nothing is taken.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
DISTANCES = (7, 13, 20, 28, 38, 50, 64, 80)
MARK, FREE = 5, 9  # from the centre of a point to its border, and to where the name of another point may begin
ROOM = 12  # points in a figure of the usual size

Point = tuple[float, float]


def plot_file(name: str) -> Path:
    """Return the file of a plot.

    Raises:
        UsageError: if its suffix is not that of a supported format.
        EnvironmentFault: if matplotlib is not installed.
    """
    path = Path(name)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{name}: a plot's name ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if find_spec("matplotlib") is None:
        raise EnvironmentFault("--plot draws with matplotlib, which is not installed: pip install 'archdsl[plot]'")
    return path


def write_plot(figures: Sequence[Figures], path: Path) -> list[str]:
    """Write the plot of some networks, and return the names of those that logarithmic axes cannot show.

    Raises:
        UsageError: if there can be no such file.
        EnvironmentFault: if the system does not let it be written.
    """
    shown = [f for f in figures if f.params and f.macs]
    _save(shown, path)
    return [f.spec for f in figures if f not in shown]


def _save(figures: Sequence[Figures], path: Path) -> None:
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 9, "svg.hashsalt": "archdsl"}):
        figure = _figure(figures)
        data = io.BytesIO()
        metadata = {"CreationDate": None} if path.suffix.lower() == ".pdf" else {}
        metadata |= {"Date": None} if path.suffix.lower() == ".svg" else {}
        figure.savefig(data, format=path.suffix.lower()[1:], dpi=200, metadata=metadata)
    write_atomically(path, data.getvalue())


def _figure(figures: Sequence[Figures]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = max(1.0, len(figures) / ROOM) ** 0.5
    figure: Any = Figure(figsize=(6.4 * scale, 4.4 * scale), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel="parameters (M)", ylabel="multiply-adds for one clip (G)")
    points = [(f.params / 1e6, f.macs / 1e9) for f in figures]
    published = [_published(f) for f in figures]
    known = [p for p in published if p is not None]
    axes.plot(*_columns(points), "o", ms=5, color=OURS, label="counted by archdsl", zorder=3)
    if known:
        axes.plot(
            *_columns(known), "o", ms=9, mfc="none", mec=THEIRS, mew=1.1, label="published", zorder=4,
        )  # fmt: skip
        for ours, theirs in zip(points, published, strict=True):
            if theirs is not None:
                axes.plot(*_columns([ours, theirs]), "-", lw=0.8, color=THEIRS, zorder=2)
    _set_axes(axes, [*points, *known])
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    pairs = [[p for p in pair if p is not None] for pair in zip(points, published, strict=True)]
    clips = {f.clip for f in figures}
    names = [f"{f.spec} ({f.brief_clip})" if len(clips) > 1 else f.spec for f in figures]
    write_names(figure, axes, names, pairs)
    return figure


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _published(figures: Figures) -> Point | None:
    """Return the published point; a figure that is not published is taken from ours."""
    if figures.published_params is None and figures.published_macs is None:
        return None
    return (figures.published_params or figures.params) / 1e6, (figures.published_macs or figures.macs) / 1e9


def _set_axes(axes: Any, points: Sequence[Point]) -> None:
    """Set limits that leave room for labels, and ticks with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    columns = zip(*(points or [(1.0, 1.0)]), strict=True)
    for values, axis, limits in zip(columns, (axes.xaxis, axes.yaxis), (axes.set_xlim, axes.set_ylim), strict=True):
        low, high = min(values), max(values)
        margin = max((high / low) ** 0.18, 1.6)
        limits(low / margin, high * margin)
        span = high / low * margin**2
        axis.set_major_locator(
            LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if span < 12 else (1, 2, 5) if span < 600 else (1,))
        )
        axis.set_major_formatter(FuncFormatter(_plain))
        axis.set_minor_locator(NullLocator())
    axes.grid(visible=True, color=GRID, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _plain(value: float, _position: int | None = None) -> str:
    return f"{value:g}"


def write_names(figure: Any, axes: Any, names: Sequence[str], points: Sequence[Sequence[Point]]) -> None:
    """Write names beside points so that none covers another name or point, as far as there is room.

    `points` holds our point and the published one of each network.
    """
    figure.canvas.draw()
    figure.set_layout_engine("none")  # names change nothing any more
    frame = Box(axes.bbox.x0, axes.bbox.y0, axes.bbox.x1, axes.bbox.y1)
    pixels = [[tuple(axes.transData.transform(point)) for point in own] for own in points]
    written: list[Box] = []
    for name, own, point in zip(names, pixels, (own[0] for own in points), strict=True):
        taken = [_square(p, MARK if p in own else FREE, figure.dpi) for pair in pixels for p in pair] + written
        size = _size(figure, axes, name)
        places = [(right, up, distance) for distance in DISTANCES for right, up in DIRECTIONS]
        boxes = [_beside(own[0], size, place, figure.dpi) for place in places]
        costs = (sum(box.overlap(t) for t in taken) + box.area - box.overlap(frame) for box in boxes)
        best = _first_least(costs)
        written.append(boxes[best])
        _write(axes, name, point, places[best])


class Box(NamedTuple):
    """A rectangle in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def overlap(self, other: Box) -> float:
        """Return the area in common with another one."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return width * height if width > 0 and height > 0 else 0.0


def _first_least(costs: Iterable[float]) -> int:
    """Return the place of the first cost of 0, else of the least."""
    best, least = 0, math.inf
    for place, cost in enumerate(costs):
        if cost < least:
            best, least = place, cost
        if cost <= 0.01:
            return place
    return best


def _size(figure: Any, axes: Any, name: str) -> tuple[float, float]:
    """Return width and height of a name, in pixels."""
    text = axes.text(0.5, 0.5, name, fontsize=SMALL, transform=axes.transAxes)
    extent = text.get_window_extent(figure.canvas.get_renderer())
    text.remove()
    return extent.width, extent.height


def _square(point: Point, half: float, dpi: float) -> Box:
    (x, y), half = point, half * dpi / 72
    return Box(x - half, y - half, x + half, y + half)


def _beside(point: Point, size: tuple[float, float], place: tuple[int, int, int], dpi: float) -> Box:
    """Return the box of a name at a direction and a distance from its point."""
    (x, y), (width, height), (right, up, distance) = point, size, place
    x += right * (distance * dpi / 72 + width / 2)
    y += up * (distance * dpi / 72 + height / 2)
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _write(axes: Any, name: str, point: Point, place: tuple[int, int, int]) -> None:
    """Write a name; a line leads to it from its point unless it stands right beside it."""
    right, up, distance = place
    leader = {"arrowstyle": "-", "color": "#6b6b6b", "lw": 0.6, "shrinkA": 0, "shrinkB": 0}
    axes.annotate(
        name, point, (right * distance, up * distance), textcoords="offset points", fontsize=SMALL, color=INK,
        ha={0: "center", 1: "left", -1: "right"}[right], va={0: "center", 1: "bottom", -1: "top"}[up],
        arrowprops=leader if up or distance > DISTANCES[0] else None, zorder=2.5,
    )  # fmt: skip
