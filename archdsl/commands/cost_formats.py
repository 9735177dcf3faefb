"""Tables of `archdsl cost` in each output format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from archdsl.analysis.cost import CONVENTION, cost_json, cost_rows, total_cost
from archdsl.analysis.cost_table import comparison_table, different_clips, level_table
from archdsl.core.latex import as_latex, comments
from archdsl.core.table import as_csv, as_markdown, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.analysis.cost_table import Figures
    from archdsl.commands.cost_count import Count
    from archdsl.ir.network import Network

_LAYOUTS = {"text": as_text, "markdown": as_markdown, "latex": as_latex}
FORMATS = ("text", "csv", "markdown", "latex", "json")


def formatted(counts: Sequence[Count], format: str, level: str | None) -> str:
    """Return the tables of some specs, or their JSON.

    Args:
        counts: the counts of each spec.
        format: one of `FORMATS`.
        level: rows of the table of each spec, `stage`, `block` or `layer`; None for a table with one row per spec if
            there are several, or else for stages.
    """
    rows = level or "stage"
    if format == "json":
        data = [_json(count, rows) for count in counts]
        return json.dumps(data[0] if len(data) == 1 else data, indent=2, ensure_ascii=False)
    if len(counts) > 1 and level is None:
        return _side_by_side(counts, format)
    if format == "csv":
        return _csv(counts, rows)
    return "\n\n".join(_by_level(count, rows, format) for count in counts)


def _side_by_side(counts: Sequence[Count], format: str) -> str:
    figures = [count.figures for count in counts]
    if format == "csv":
        return _csv_of(figures)
    table = _LAYOUTS[format](comparison_table(figures, brief=format == "latex"))
    notes = [CONVENTION, *_memory_note(counts[0].batch)]
    if any(f.published_macs or f.published_params for f in figures) and counts[0].options.clip is None:
        notes.append("clips are those of the published figures, where a spec has some")
    if note := different_clips(figures):
        notes.append(f"note: {note}")
    if format == "latex":
        return comments(notes) + table
    return "\n".join([table, "", "  \n".join(notes) if format == "markdown" else "\n".join(notes)])


def _csv_of(figures: Sequence[Figures]) -> str:
    columns: list[list[object]] = [
        ["spec", *(f.spec for f in figures)],
        ["clip", *(f.clip.replace("×", "x") for f in figures)],
        ["params", *(f.params for f in figures)],
        ["macs", *(f.macs for f in figures)],
        ["published_params", *(_whole(f.published_params) for f in figures)],
        ["published_macs", *(_whole(f.published_macs) for f in figures)],
    ]
    if any(f.memory is not None for f in figures):
        columns.append(["memory", *(f.memory for f in figures)])
    return as_csv(zip(*columns, strict=True))


def _whole(count: float | None) -> int | None:
    return None if count is None else round(count)


def _by_level(count: Count, level: str, format: str) -> str:
    memory = None if count.memory is None else [*count.row_memory(level), count.memory.total]
    table = _LAYOUTS[format](level_table(count.network, level, memory, brief=format == "latex"))
    heading = _heading(count.network)
    if format == "latex":
        return comments([heading]) + table
    if format == "markdown":
        return f"{heading}\n\n{table}"
    return "\n".join([heading, "", table, "", CONVENTION, *_memory_note(count.batch), *count.comparison])


def _heading(network: Network) -> str:
    inputs = ", ".join(f"{name} {network.node(n).shape}" for name, n in network.clips.items())
    return f"{network.name}  input {inputs} (channels × frames × height × width)"


def _memory_note(batch: int | None) -> list[str]:
    if batch is None:
        return []
    clips = "1 clip" if batch == 1 else f"{batch} clips"
    return [f"kept in training: activations of {clips} that the backward pass needs, in float32, each counted once"]


def _csv(counts: Sequence[Count], level: str) -> str:
    memory = ["memory"] if any(count.memory is not None for count in counts) else []
    head = ["spec", "name", "path", "shape", "params", "macs", "activations", *memory]
    return as_csv([head, *(row for count in counts for row in _csv_rows(count, level))])


def _csv_rows(count: Count, level: str) -> Iterator[tuple[object, ...]]:
    rows = cost_rows(count.network, level)
    memory = [] if count.memory is None else [count.row_memory(level)]
    for row, *kept in zip(rows, *memory, strict=True):
        shape = "x".join(map(str, row.shape))
        figures = row.cost.params, row.cost.macs, row.cost.activations
        yield count.network.name, row.name, row.path, shape, *figures, *kept


def _json(count: Count, level: str) -> dict[str, Any]:
    data = cost_json(count.network, level)
    if count.memory is not None:
        for each in ("stage", level):
            for row, size in zip(data[f"{each}s"], count.row_memory(each), strict=True):
                row["memory"] = size
        data |= {"batch": count.batch, "memory": count.memory.total}
    return data | _published_json(count)


def _published_json(count: Count) -> dict[str, object]:
    published = count.network.published
    if published is None:
        return {}
    counted = total_cost(count.published_network)
    return {
        "published": {
            "params": published.params,
            "macs": published.macs,
            "input": list(published.clip) if published.clip else None,
            "source": published.source,
            "counted": None if count.is_changed else {"params": counted.params, "macs": counted.macs},
        }
    }
