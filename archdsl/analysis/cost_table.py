"""Cost tables as text: the stages, blocks or layers of a network, and networks side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.analysis.cost import cost_rows, total_cost
from archdsl.core.grid import grid_text
from archdsl.core.sizes import size_text
from archdsl.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.analysis.cost import Cost
    from archdsl.ir.network import Network, Published

NOTHING = "–"  # a cell without a figure


def level_table(network: Network, level: str, memory: Sequence[int] | None = None) -> Table:
    """Return the table of a network's stages, blocks or layers.

    Args:
        network: the network.
        level: `stage`, `block` or `layer`.
        memory: activation memory of each row in bytes, then the total; None to omit the column.
    """
    rows = cost_rows(network, level)
    has_paths = any(row.path for row in rows)
    head = (level, *(["path"] if has_paths else []), "output", "parameters", "multiply-adds", "activations")
    cells: list[tuple[str, ...]] = []
    for row in rows:
        c, t, h, w = row.shape
        path = [row.path] if has_paths else []
        cells.append((row.name, *path, f"{c}×{grid_text((t, h, w))}", *_figures(row.cost)))
    cells.append(("total", *([""] if has_paths else []), "", *_figures(total_cost(network))))
    if memory is not None:
        head = (*head, "kept in training")
        cells = [(*row, size_text(size)) for row, size in zip(cells, memory, strict=True)]
    return Table(head, tuple(cells[:-1]), 3 if memory is None else 4, cells[-1])


def _figures(cost: Cost) -> tuple[str, ...]:
    return tuple(f"{n:,}" for n in (cost.params, cost.macs, cost.activations))


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


def figures_of(spec: str, network: Network, published: Published | None, memory: int | None = None) -> Figures:
    """Return the figures of a network; `published` must be for a clip of its size."""
    cost = total_cost(network)
    clip = str(network.node(next(iter(network.clips.values()))).shape)
    params, macs = (published.params, published.macs) if published is not None else (None, None)
    return Figures(spec, clip, cost.params, cost.macs, params, macs, memory)


def comparison_table(figures: Sequence[Figures]) -> Table:
    """Return a table with one row per network; empty columns are omitted."""
    columns = [
        ["parameters (M)", *(scaled(f.params, 10**6) for f in figures)],
        ["multiply-adds (G)", *(scaled(f.macs, 10**9) for f in figures)],
        ["published (M)", *(published(f.published_params, 10**6) for f in figures)],
        ["published (G)", *(published(f.published_macs, 10**9) for f in figures)],
        ["kept in training", *(NOTHING if f.memory is None else size_text(f.memory) for f in figures)],
    ]
    shown = [column for column in columns if set(column[1:]) != {NOTHING}]
    rows = list(zip(["spec", *(f.spec for f in figures)], ["clip", *(f.clip for f in figures)], *shown, strict=True))
    return Table(rows[0], tuple(rows[1:]), len(shown))


def scaled(count: int, unit: int) -> str:
    """Format a count in units of 10**6 or 10**9: two decimals, or three significant digits below 1."""
    value = count / unit
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def published(count: float | None, unit: int) -> str:
    """Format a published count in units of 10**6 or 10**9, with its published digits."""
    return NOTHING if count is None else f"{count / unit:.6g}"
