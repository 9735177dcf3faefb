"""Cost tables as text: the stages, blocks or layers of a network, and networks side by side."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from archdsl.analysis.cost import cost_rows, total_cost
from archdsl.core.grid import grid_text
from archdsl.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.ir.network import Network, Published

NOTHING = "–"  # a cell without a figure
COUNTS = {"G": 10**9, "M": 10**6, "k": 10**3, "": 1}
BYTES = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}


def level_table(network: Network, level: str, memory: Sequence[int] | None = None, *, brief: bool = False) -> Table:
    """Return the table of a network's stages, blocks or layers.

    Args:
        network: the network.
        level: `stage`, `block` or `layer`.
        memory: activation memory of each row in bytes, then the total; None to omit the column.
        brief: for a column of a paper: counts in thousands, millions or billions, and short heads.
    """
    rows = cost_rows(network, level)
    words = [[level, *(row.name for row in rows), "total"]]
    if any(row.path and row.path not in row.name for row in rows):
        words.append(["path", *(row.path for row in rows), ""])
    words.append(["output", *(_output(row.shape, brief=brief) for row in rows), ""])
    costs = [*(row.cost for row in rows), total_cost(network)]
    counts = [("parameters", "params", [c.params for c in costs]), ("multiply-adds", "MACs", [c.macs for c in costs])]
    if any(c.frozen for c in costs):
        counts.insert(1, ("trained", "trained", [c.trained for c in costs]))
    counts.append(("activations", "activ.", [c.activations for c in costs]))
    numbers = [
        in_one_unit(short, values, COUNTS) if brief else [full, *(f"{n:,}" for n in values)]
        for full, short, values in counts
    ]
    if memory is not None:
        numbers.append(in_one_unit("memory" if brief else "kept in training", memory, BYTES))
    head, *cells, total = zip(*words, *numbers, strict=True)
    return Table(head, tuple(cells), len(numbers), total)


def _output(shape: tuple[int, int, int, int], *, brief: bool) -> str:
    c, t, h, w = shape
    return brief_size(f"{c}×{t}×{h}×{w}") if brief else f"{c}×{grid_text((t, h, w))}"


def brief_size(size: str) -> str:
    """Shorten a size: `8×56²` for `8×56×56` at its end, and `400` for `400×1×1×1`."""
    text = size.removesuffix("×1×1×1")
    *rest, height, width = text.split("×") if text.count("×") > 1 else [text, "", " "]
    return "×".join([*rest, f"{height}²"]) if height == width else text


def in_one_unit(head: str, values: Sequence[int], units: Mapping[str, int]) -> list[str]:
    """Return a column of a table: its head with the unit, that of the largest value, and the values."""
    largest = max(values, default=0)
    unit = next((u for u, size in units.items() if largest >= size), list(units)[-1])
    digits = (3 if largest < 100 * units[unit] else 2) if units[unit] > 1 else 0
    least = 0.5 * 10.0**-digits
    cells: list[str] = []
    for value in values:
        scaled_ = value / units[unit]
        cells.append("0" if not value else f"<{2 * least:.{digits}f}" if scaled_ < least else f"{scaled_:.{digits}f}")
    return [f"{head} ({unit})" if unit else head, *cells]


@dataclass(frozen=True)
class Figures:
    """The row of one network in a comparison: its cost for one clip, and published figures for a clip of that size."""

    spec: str
    clip: str  # C×T×H×W; of several clips, the first one declared
    params: int
    macs: int
    published_params: float | None = None
    published_macs: float | None = None
    memory: int | None = None  # bytes

    @property
    def brief_clip(self) -> str:
        """The clip as papers write it, `8×224²`: without three colours."""
        return brief_size(self.clip.removeprefix("3×"))


def figures_of(spec: str, network: Network, published: Published | None, memory: int | None = None) -> Figures:
    """Return the figures of a network; `published` must be for a clip of its size."""
    cost = total_cost(network)
    clip = str(network.node(next(iter(network.clips.values()))).shape)
    params, macs = (published.params, published.macs) if published is not None else (None, None)
    return Figures(spec, clip, cost.params, cost.macs, params, macs, memory)


def comparison_table(figures: Sequence[Figures], *, brief: bool = False) -> Table:
    """Return a table with one row per network; empty columns are omitted. `brief` is as in `level_table`."""
    params, macs, theirs = ("params", "MACs", "publ.") if brief else ("parameters", "multiply-adds", "published")
    columns = [
        [f"{params} (M)", *(scaled(f.params, 10**6) for f in figures)],
        [f"{macs} (G)", *(scaled(f.macs, 10**9) for f in figures)],
        [f"{theirs} (M)", *(published(f.published_params, 10**6) for f in figures)],
        [f"{theirs} (G)", *(published(f.published_macs, 10**9) for f in figures)],
    ]
    if memory := [f.memory for f in figures if f.memory is not None]:
        columns.append(in_one_unit("memory" if brief else "kept in training", memory, BYTES))
    shown = [column for column in columns if set(column[1:]) != {NOTHING}]
    clips = [f.brief_clip if brief else f.clip for f in figures]
    rows = list(zip(["spec", *(f.spec for f in figures)], ["clip", *clips], *shown, strict=True))
    return Table(rows[0], tuple(rows[1:]), len(shown))


def different_clips(figures: Sequence[Figures]) -> str:
    """Return the note that the clips of some networks differ in size; empty if they do not."""
    if len({f.clip for f in figures}) < 2:
        return ""
    example = max((f.clip for f in figures), key=lambda clip: prod(map(int, clip.split("×")))).replace("×", "x")
    return (
        "the clips differ in size, so multiply-adds of different rows do not compare one network with another; "
        f"--clip {example} counts all rows for one size"
    )


def scaled(count: int, unit: int) -> str:
    """Format a count in units of 10**6 or 10**9: two decimals, or three significant digits below 1."""
    value = count / unit
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def published(count: float | None, unit: int) -> str:
    """Format a published count in units of 10**6 or 10**9, with its published digits."""
    return NOTHING if count is None else f"{count / unit:.6g}"
