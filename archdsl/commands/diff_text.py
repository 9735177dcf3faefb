"""A comparison of two networks as text: counts first, then tables in which equal rows are folded."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from archdsl.commands.vocabulary_text import arguments_of
from archdsl.core.changes import CHANGED, GONE, NEW, SAME
from archdsl.core.fold import folded
from archdsl.core.grid import grid_text
from archdsl.core.table import aligned
from archdsl.core.values import written
from archdsl.layers import vocabulary
from archdsl.layers.attributes import Window
from archdsl.targets.dot.edits import FOLLOWS, statuses_of
from archdsl.targets.dot.style import multiply_adds, parameters, shape_text, value_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from archdsl.analysis.compare import Difference, Entry, Input, LayerForm
    from archdsl.analysis.cost import Row

SIGNS = {NEW: "+", GONE: "−", CHANGED: "~"}
SAME_NETWORK = "the two networks are the same"
NOTHING = "–"


def difference_lines(difference: Difference, base: str, arch: str) -> list[str]:
    """Return the lines of the text; `base` and `arch` describe the specs of the networks."""
    names = [("base", difference.base.name, base), ("spec", difference.arch.name, arch)]
    lines = aligned(names, numbers=0)
    lines += _section("parameters of the spec", _parameters(difference))
    if not difference.differ:
        return [*lines, "", SAME_NETWORK]
    lines += _section("inputs", _inputs(difference))
    lines += ["", *_costs(difference)]
    for what, same, entries, table in (
        ("stage", "of the same output and cost", difference.stages, _stages),
        ("layer", "the same", difference.layers, _layers),
        ("tensor", "of the same shape", difference.tensors, _tensors),
    ):
        lines += ["", _heading(what, same, entries), *table(difference)] if entries else []
    return lines


def summary_lines(difference: Difference, base: str, arch: str) -> list[str]:
    """Return a few lines: the specs, the cost, and what was edited, follows, is new or gone, stage by stage."""
    lines = aligned([("base", difference.base.name, base), ("spec", difference.arch.name, arch)], numbers=0)
    edits = [f"{e.name} {_both(e, str)}" for e in difference.parameters if e.status == CHANGED]
    rows = [("parameters of the spec", ", ".join(edits))] if edits else []
    if not difference.differ:
        return [*lines, *aligned(rows, numbers=0), SAME_NETWORK] if rows else [*lines, SAME_NETWORK]
    one, other = difference.base.cost, difference.arch.cost
    rows += [
        ("parameters", _change(parameters, one.params, other.params)),
        ("multiply-adds", _change(multiply_adds, one.macs, other.macs)),
    ]
    rows += [(word, names) for word, names in _by_status(difference) if names]
    return [*lines, *aligned(rows, numbers=0)]


def _change(form: Callable[[int], str], base: int, arch: int) -> str:
    return f"{form(base)} → {form(arch)} ({percentage(base, arch)})" if base != arch else f"{form(base)}, the same"


def _by_status(difference: Difference) -> list[tuple[str, str]]:
    """Return the stages with layers of each status, as folded names; a stage is named once, for its largest change.

    The layer that fuses a lateral with its path has a name of its own, beside that of the stage.
    """
    statuses = statuses_of(difference)
    stages = [e.name for e in difference.stages]
    found: dict[str, set[str]] = {}
    fusing = {e.name for e in difference.layers for side in (e.base, e.arch) if side is not None and side.fuses}
    for name, status in statuses.items():
        inside = [] if name in fusing else [s for s in stages if name == s or name.startswith(f"{s}.")]
        found.setdefault(max(inside, key=len) if inside else name, set()).add(status)
    marks: dict[str, list[str]] = {}
    for stage, inner in found.items():
        marks.setdefault(_largest(inner), []).append(stage)
    words = ((CHANGED, "changed"), (FOLLOWS, "follows"), (NEW, "new"), (GONE, "gone"))
    return [
        (word, ", ".join(name for name, *_ in folded((s, "") for s in marks.get(mark, ())))) for mark, word in words
    ]


def _largest(statuses: set[str]) -> str:
    """Return the status of a stage by those of its layers."""
    different = statuses - {SAME}
    if different <= {FOLLOWS}:
        return FOLLOWS if different else SAME
    return next(iter(statuses)) if len(statuses) == 1 else CHANGED


def _section(heading: str, lines: list[str]) -> list[str]:
    return ["", heading, *lines] if lines else []


def _heading(what: str, same: str, entries: Sequence[Entry[Any]]) -> str:
    """Return the heading of a table: `layers: 2 changed, 1 new, 5 the same`."""
    counts = Counter(e.status for e in entries)
    words = ((CHANGED, CHANGED), (NEW, NEW), (GONE, GONE), (SAME, same))
    summary = ", ".join(f"{counts[status]:,} {word}" for status, word in words if counts[status])
    return f"{what if len(entries) == 1 else what + 's'}: {summary}"


# --- tables ----------------------------------------------------------------------------------------------------------


def _parameters(difference: Difference) -> list[str]:
    rows = [_row(e, str) for e in difference.parameters if e.status != SAME]
    return aligned(rows, numbers=0) if rows else []


def _inputs(difference: Difference) -> list[str]:
    def text(side: Input) -> str:
        place = f", input {side.place + 1}" if len(difference.inputs) > 1 else ""
        return f"{side.shape}{place}" + ("" if side.kind == "input" else f", {side.kind}")

    rows = [_row(e, text) for e in difference.inputs if e.status != SAME]
    return aligned(rows, numbers=0) if rows else []


def _costs(difference: Difference) -> list[str]:
    one, other = difference.base.cost, difference.arch.cost
    rows = [("cost", "base", "spec", "")]
    for what, a, b in (
        ("parameters", one.params, other.params),
        ("multiply-adds", one.macs, other.macs),
        ("activations", one.activations, other.activations),
    ):
        rows.append((what, f"{a:,}", f"{b:,}", percentage(a, b)))
    lines = aligned(rows, numbers=3)
    return [lines[0], "─" * max(map(len, lines)), *lines[1:]]


def percentage(base: int, arch: int) -> str:
    """Format the relative change of a number, as in `+12.5%`; empty if it is the same."""
    if base == arch or not base:
        return ""
    change = arch / base - 1
    sign = "+" if change > 0 else "−"
    return f"{sign}{abs(change):,.1%}" if abs(change) >= 0.0005 else f"{sign}<0.1%"


def _stages(difference: Difference) -> list[str]:
    changed = [e for e in difference.stages if e.status != SAME]
    if not changed:
        return []
    paths = any(side.path for e in changed for side in (e.base, e.arch) if side is not None)
    head = ["", "stage", "path", "output", "parameters", "", "multiply-adds", ""]
    rows = [head, *(_stage(e) for e in changed)]
    if not paths:
        rows = [[*row[:2], *row[3:]] for row in rows]
    return aligned(rows, numbers=4)


def _stage(entry: Entry[Row]) -> list[str]:
    one, other = entry.base, entry.arch
    known = other or one
    assert known is not None  # a row is on one side at least
    params = (one.cost.params if one else 0, other.cost.params if other else 0)
    macs = (one.cost.macs if one else 0, other.cost.macs if other else 0)
    figures = [text for pair in (params, macs) for text in (_numbers(entry, *pair), _grown(entry, *pair))]
    return [f"  {SIGNS[entry.status]}", known.name, known.path, _both(entry, _size), *figures]


def _size(row: Row) -> str:
    c, *size = row.shape
    return f"{c}×{grid_text((size[0], size[1], size[2]))}"


def _numbers(entry: Entry[Row], base: int, arch: int) -> str:
    if entry.status == CHANGED and base != arch:
        return f"{base:,} → {arch:,}"
    return f"{arch if entry.arch else base:,}"


def _grown(entry: Entry[Row], base: int, arch: int) -> str:
    return percentage(base, arch) if entry.status == CHANGED else ""


# --- folded rows -----------------------------------------------------------------------------------------------------


def _layers(difference: Difference) -> list[str]:
    """Return the table of layers: changed settings, then changed outputs or costs, then new and gone layers."""
    changed = [(e, e.base, e.arch) for e in difference.layers if e.base is not None and e.arch is not None]
    settings = [(e, _reset(one, other)) for e, one, other in changed if one != other]
    rows = [_row(e, text) for e, text in settings if text]
    rows += [_row(e, _reshaped(one, other)) for e, one, other in changed if one != other and not _reset(one, other)]
    rows += [_row(e, _layer) for e in difference.layers if e.status in (NEW, GONE)]
    return _folded(rows)


def _tensors(difference: Difference) -> list[str]:
    return _folded([_row(e, _shape) for e in difference.tensors if e.status != SAME])


def _row(entry: Entry[Any], text: Callable[[Any], str] | str) -> tuple[str, str, str]:
    return f"  {SIGNS[entry.status]}", entry.name, text if isinstance(text, str) else _both(entry, text)


def _folded(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return the rows of a table, with equal rows of similar names folded into one."""
    cells = [(sign, name, text) for name, (sign, text), _ in folded((name, (sign, text)) for sign, name, text in rows)]
    return aligned(cells, numbers=0) if cells else []


def _both(entry: Entry[Any], text: Callable[[Any], str]) -> str:
    """Return `a → b`, or a single text if both sides are equal or one is missing."""
    sides = [text(side) for side in (entry.base, entry.arch) if side is not None]
    return " → ".join(dict.fromkeys(sides))


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "1"


def _reset(one: LayerForm, other: LayerForm) -> str:
    """Return the differences of a layer's kind, attributes, frozen state and inputs; empty if they are equal."""
    parts: list[str] = []
    if one.kind != other.kind:
        parts.append(f"{_layer(one)} → {_layer(other)}")
    else:
        names = dict.fromkeys([*one.attributes, *other.attributes])
        pairs = ((name, one.attributes.get(name), other.attributes.get(name)) for name in names)
        parts += [f"{n} {_value(one.kind, n, a)} → {_value(one.kind, n, b)}" for n, a, b in pairs if a != b]
    if one.frozen != other.frozen:
        parts.append("frozen" if other.frozen else "no longer frozen")
    for word, before, after in (("frozen", one, other), ("no longer frozen", other, one)):
        members = [m for m in after.frozen_members if m not in before.frozen_members and not before.frozen]
        parts += [f"{', '.join(members)} {word}"] if members else []
    if one.inputs != other.inputs:
        word = "input" if len(one.inputs) == len(other.inputs) == 1 else "inputs"
        parts.append(f"{word} {', '.join(one.inputs)} → {', '.join(other.inputs)}")
    return "; ".join(parts)


def _reshaped(one: LayerForm, other: LayerForm) -> str:
    """Return the difference of a layer with equal settings: its output shape, or else its tensors, or its cost."""
    if one.shape != other.shape:
        return f"{shape_text(one.shape)} → {shape_text(other.shape)}"
    names = [n for n in dict.fromkeys([*one.tensors, *other.tensors]) if one.tensors.get(n) != other.tensors.get(n)]
    sides = [(n, *(_shape(t[n]) if n in t else NOTHING for t in (one.tensors, other.tensors))) for n in names]
    costs = (("multiply-adds", one.cost.macs, other.cost.macs), ("parameters", one.cost.params, other.cost.params))
    changes = [f"{name} {a} → {b}" for name, a, b in sides]
    return "; ".join(changes or [f"{what} {a:,} → {b:,}" for what, a, b in costs if a != b])


def _layer(layer: LayerForm) -> str:
    """Format a layer as its kind and the attributes that differ from defaults: `conv(out 64, kernel 1×3×3)`."""
    settings = [
        f"{name} {_value(layer.kind, name, layer.attributes[name])}"
        for name, declared in arguments_of(vocabulary()[layer.kind]).items()
        if name in layer.attributes
        and (declared.required or layer.attributes[name] not in (declared.default, written(declared.default)))
    ]
    settings += ["frozen"] if layer.frozen else [f"{m} frozen" for m in layer.frozen_members]
    return f"{layer.kind}({', '.join(settings)})" if settings else layer.kind


def _value(kind: str, name: str, value: object) -> str:
    """Format the value of an attribute; 0 in a window, a whole axis, is `all`."""
    if value is None:
        return NOTHING
    text = value_text(value)
    return re.sub(r"\b0\b", "all", text) if isinstance(arguments_of(vocabulary()[kind]).get(name), Window) else text
