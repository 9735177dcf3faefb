"""`archdsl cost`: a table of parameters, multiply-adds and activations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.analysis.cost import CONVENTION, LEVELS, Row, cost_json, cost_rows, total_cost
from archdsl.commands import values
from archdsl.commands.common import analysed
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import SPEC, SpecOptions, spec_arguments
from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic
from archdsl.core.grid import grid_text
from archdsl.core.sizes import size_text
from archdsl.core.table import aligned
from archdsl.targets.torch.memory import Memory, memory_of, memory_rows

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.pipeline import Analysis

TOLERANCE = 0.02  # of a published figure


EXAMPLES = (
    ("cost my_model.arch --by block", "Print the cost of each block."),
    ("cost my_model.arch --batch 8 --json", "Print the cost, and the activation memory of 8 clips, as JSON."),
)


def arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.add_argument("specs", nargs="+", metavar="SPEC", help=SPEC)
    spec_arguments(parser)
    output = parser.group("output")
    output.add_argument("--by", choices=LEVELS, default="stage", help="Rows of the table (default: stage).")
    output.add_argument(
        "--batch", metavar="CLIPS", type=values.count,
        help="Also print the activation memory of training with this many clips, in float32.",
    )  # fmt: skip
    output.add_argument("--json", action="store_true", help="Print JSON in place of tables.")


@dataclass(frozen=True, kw_only=True)
class Options(SpecOptions):
    """Options of `archdsl cost`."""

    specs: tuple[str, ...]
    by: str
    batch: int | None
    json: bool


def run(options: Options) -> int:
    """Print the cost of each spec, and compare it with the published figures."""
    results = [(spec, analysed(spec, options)) for spec in options.specs]
    if options.json:
        data = [_json(a, options) | _published_json(spec, a, options) for spec, a in results]
        print(json.dumps(data[0] if len(data) == 1 else data, indent=2, ensure_ascii=False))
    for index, (spec, analysis) in enumerate(results):
        comparison, warnings = _compare(spec, analysis, options)
        if not options.json:
            print("\n" * bool(index) + _table(analysis, options.by, options.batch))
            print("\n".join(comparison) + "\n" * bool(comparison), end="")
        show_diagnostics([*analysis.warnings, *warnings])
    return 0


def _json(analysis: Analysis, options: Options) -> dict[str, Any]:
    data = cost_json(analysis.network, options.by)
    if options.batch is None:
        return data
    memory = _memory(analysis, options.batch)
    for level in ("stage", options.by):
        kept = _kept(memory, level)
        for row in data[f"{level}s"]:
            row["memory"] = kept.get((row["name"], row["path"] or ""), 0)
    return data | {"batch": options.batch, "memory": memory.total}


def _memory(analysis: Analysis, batch: int) -> Memory:
    from archdsl.targets.torch.lower import lower

    return memory_of(lower(analysis.network), batch)


def _kept(memory: Memory, level: str) -> dict[tuple[str, str], int]:
    """Bytes by the name and the path of a row."""
    kept: dict[tuple[str, str], int] = {}
    for row in memory_rows(memory, level):
        kept[row.name, row.path] = kept.get((row.name, row.path), 0) + row.bytes
    return kept


def _table(analysis: Analysis, level: str, batch: int | None) -> str:
    network = analysis.network
    rows = cost_rows(network, level)
    total = total_cost(network)
    inputs = ", ".join(f"{name} {network.node(n).shape}" for name, n in network.clips.items())
    cells = [("stage" if level == "stage" else level, "path", "output", "parameters", "multiply-adds", "activations")]
    cells += [_cells(row) for row in rows]
    cells.append(("total", "", "", *_figures(total.params, total.macs, total.activations)))
    if batch is not None:
        memory = _memory(analysis, batch)
        kept = _kept(memory, level)
        last = ["kept in training", *(size_text(kept.get((r.name, r.path), 0)) for r in rows), size_text(memory.total)]
        cells = [(*c, more) for c, more in zip(cells, last, strict=True)]
    if not any(row.path for row in rows):
        cells = [(c[0], *c[2:]) for c in cells]
    lines = aligned(cells, numbers=3 if batch is None else 4)
    rule = "─" * max(map(len, lines))
    head = f"{network.name}  input {inputs} (channels × frames × height × width)"
    return "\n".join([head, "", lines[0], rule, *lines[1:-1], rule, lines[-1], "", CONVENTION, *_said(batch)])


def _said(batch: int | None) -> list[str]:
    if batch is None:
        return []
    clips = "1 clip" if batch == 1 else f"{batch} clips"
    return [f"kept in training: activations of {clips} that the backward pass needs, in float32, each counted once"]


def _cells(row: Row) -> tuple[str, ...]:
    c, *size = row.shape
    shape = f"{c}×{grid_text((size[0], size[1], size[2]))}"
    return row.name, row.path, shape, *_figures(row.cost.params, row.cost.macs, row.cost.activations)


def _figures(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{n:,}" for n in numbers)


def _compare(spec: str, analysis: Analysis, options: Options) -> tuple[list[str], list[Diagnostic]]:
    """Lines that hold the counts against the published ones, and warnings where they are too far apart."""
    published, statement = analysis.network.published, analysis.program.published
    if published is None or statement is None:
        return [], []
    if options.settings or options.like:
        return ["published figures are for the spec without --set and --like: not compared"], []
    network = analysis.network
    if published.clip is not None:
        network = analysed(spec, options, published.clip).network
    total = total_cost(network)
    inputs = ", ".join(str(network.node(n).shape) for n in network.clips.values())
    lines: list[str] = []
    warnings: list[Diagnostic] = []
    for what, ours, theirs, scale, unit in (
        ("parameters", total.params, published.params, 1e6, "M"),
        ("multiply-adds", total.macs, published.macs, 1e9, "G"),
    ):
        if theirs:
            difference = ours / theirs - 1
            figures = f"{ours / scale:.3f} {unit} counted, {theirs / scale:g} {unit} published"
            lines.append(f"{what} at {inputs}: {figures} ({difference:+.2%})")
            if abs(difference) > TOLERANCE:
                label = f"{what}: {figures}, {difference:+.1%}"
                warnings.append(Diagnostic("W0102", TITLES["W0102"], statement.span, label))
    source = f"published: {published.source}" if published.source else ""
    return [*lines, source] if source else lines, warnings


def _published_json(spec: str, analysis: Analysis, options: Options) -> dict[str, object]:
    published = analysis.network.published
    if published is None:
        return {}
    own = analysed(spec, options, published.clip).network if published.clip else analysis.network
    counted = total_cost(own)
    comparable = not (options.settings or options.like)
    return {
        "published": {
            "params": published.params,
            "macs": published.macs,
            "input": list(published.clip) if published.clip else None,
            "source": published.source,
            "counted": {"params": counted.params, "macs": counted.macs} if comparable else None,
        }
    }
