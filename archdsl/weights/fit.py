"""Comparison of a checkpoint's tensors with those that a plan needs, and hints for a misfit."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from archdsl.core.diagnostics import Note
from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.weights.plan import MAX_LISTED
from archdsl.weights.rules import any_of
from archdsl.weights.shapes import readable, shape_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from archdsl.weights.plan import Plan
    from archdsl.weights.shapes import Shape
    from archdsl.weights.tree import WeightMap

MOSTLY = 0.8  # share of a checkpoint's names that another source must know to be suggested


class Misfit(NamedTuple):
    """Names of a checkpoint's tensors that the plan does not need, that are missing, and that have another shape."""

    over: list[str]
    missing: list[str]
    reshaped: list[str]


def misfit(plan: Plan, given: Mapping[str, Shape], absent: Collection[str] = ()) -> tuple[Misfit, dict[str, Shape]]:
    """Return the differences of a checkpoint's tensors from those that a plan needs, and the needed shapes by name.

    Args:
        plan: the plan.
        given: names and shapes of the checkpoint's tensors.
        absent: names of tensors that may be missing.
    """
    present = {n: plan.aliases.found(n, given) for n in plan.theirs}
    wanted = {name: plan.theirs[n] for n, names in present.items() for name in names or [n]}
    over = [n for n in given if n not in wanted and not plan.dropped.fullmatch(n)]
    missing = [n for n, names in present.items() if not names and n not in plan.counters and n not in absent]
    return Misfit(over, missing, [n for n in wanted if n in given and given[n] != wanted[n]]), wanted


def without_head(plan: Plan, given: Mapping[str, Shape]) -> set[str]:
    """Return the names that a checkpoint lacks, if it lacks only whole layers of the head; otherwise an empty set."""
    (over, missing, reshaped), _ = misfit(plan, given)
    if over or reshaped:
        return set()
    lacking: set[str] = set()
    present: set[str] = set()  # layers of ours
    for move in plan.moves:
        of_head = all(o.name.startswith("head.") for o in move.ours)
        for name in (t.name for t in move.theirs):
            if name in missing and not of_head:
                return set()
            layers = {o.name.rpartition(".")[0] for o in move.ours}
            if name in missing:
                lacking |= layers
            elif name not in plan.counters:
                present |= layers
    return set() if lacking & present else set(missing)


def fit(plan: Plan, given: Mapping[str, Shape], origin: str, absent: Collection[str] = ()) -> None:
    """Check that the tensors of a checkpoint are those that the plan needs; those in `absent` may be missing.

    Raises:
        SpecError: if a tensor is missing, not needed, or of another shape.
    """
    found, wanted = misfit(plan, given, absent)
    over, missing, reshaped = found
    if not (over or missing or reshaped):
        return
    counts = [
        f"{len(over)} of its {len(given)} tensors {_verb(over)} no place in `{plan.network}`" if over else "",
        f"{len(missing)} that the network needs {_verb(missing, 'is', 'are')} not there" if missing else "",
        f"{len(reshaped)} {_verb(reshaped)} another shape" if reshaped else "",
    ]
    ours = {theirs.name: move.ours[0].name for move in plan.moves for theirs in move.theirs}
    absent_shapes = {n: wanted[n] for n in missing}
    unused = {n: given[n] for n in over}
    free = {name: wanted[n] for n in missing for name in plan.aliases.of(n)}
    notes = [
        *(f"no place for {_described(n, s)}{_twice(n, plan) or _nearest(n, s, free)}" for n, s in _first(unused)),
        *_more(unused),
        *(
            f"not there: {_described(n, s)}, {_ours(ours[n], n)}{_nearest(n, s, unused)}"
            for n, s in _first(absent_shapes)
        ),
        *_more(absent_shapes),
        *(f"`{n}` is {shape_text(given[n])}, and {shape_text(wanted[n])} here" for n in reshaped[:MAX_LISTED]),
        *_more(reshaped),
    ]
    label = "; ".join(c for c in counts if c)
    place = Span(Source(origin, ""), 0, 0)
    raise Reporter().fatal("E0807", place, label, [Note(n) for n in notes], _hint(plan, given, found, wanted))


def _hint(plan: Plan, given: Mapping[str, Shape], found: Misfit, wanted: Mapping[str, Shape]) -> str:
    """Return a hint with the most likely cause of a misfit."""
    if hint := _several_files(plan, given) or _other_source(plan, given):
        return hint
    if found.missing and not (found.over or found.reshaped) and without_head(plan, given):
        return "the checkpoint has no head: `weights transfer … --new 'head.*'` begins a new one"
    ours = {t.name: m.ours[0].name for m in plan.moves for t in m.theirs}
    of_head = all(ours.get(n, n).startswith("head.") for n in found.reshaped)
    value = partial(_other_value, plan, given, [(wanted[n], given[n]) for n in found.reshaped])
    hints = (value, partial(plan.alike, given)) if of_head else (partial(plan.alike, given), value)
    return next((hint for find in hints if (hint := find())), "")


def _verb(tensors: Collection[object], one: str = "has", several: str = "have") -> str:
    return one if len(tensors) == 1 else several


def _described(name: str, shape: Shape) -> str:
    return f"`{readable(name)}` ({shape_text(shape)})"


def _ours(ours: str, theirs: str) -> str:
    return f"for `{ours}`" if ours != theirs else "of the network"


def _first(tensors: Mapping[str, Shape]) -> list[tuple[str, Shape]]:
    return list(tensors.items())[:MAX_LISTED]


def _more(tensors: Collection[object]) -> list[str]:
    return [f"… and {len(tensors) - MAX_LISTED} more"] if len(tensors) > MAX_LISTED else []


def _nearest(name: str, shape: Shape, candidates: Mapping[str, Shape]) -> str:
    """Return text that names the most similar candidate, preferably of the same shape; empty if none is similar."""
    alike = [n for n, s in candidates.items() if s == shape]
    close = get_close_matches(name, alike, n=1) or get_close_matches(name, list(candidates), n=1)
    return f"; the nearest is `{readable(close[0])}`" if close else ""


def _twice(name: str, plan: Plan) -> str:
    """Return text for a name without place that is an alias of a present tensor; otherwise it would have been used."""
    meant = plan.aliases.meant.get(name)
    return f"; it would be `{meant}`, which is there" if meant is not None else ""


def _several_files(plan: Plan, given: Mapping[str, Shape]) -> str:
    """Return a hint if the checkpoint is one of several that the network needs: its names fit with a prefix."""
    behind: dict[str, int] = {}
    for name in (*plan.theirs, *plan.aliases.meant):
        first, _, rest = name.partition(".")
        behind[first] = behind.get(first, 0) + (rest in given)
    names = [first for first, count in behind.items() if count >= MOSTLY * len(given)]
    return f"the network takes several checkpoints, as {' '.join(f'{n}=FILE' for n in names)}" if names else ""


def _other_source(plan: Plan, given: Mapping[str, Shape]) -> str:
    """Return a hint if the names are those of another source."""
    known = sum(n in plan.theirs or n in plan.aliases.meant for n in given)
    own = [_named_by(plan.weights, given)] if plan.weights is not None else []
    best = ("", max(known, *own, int(MOSTLY * len(given))))
    for other in plan.others():
        count = _named_by(other, given)
        if other.source.text != plan.source and count > best[1]:
            best = (other.source.text, count)
    return f"the names are rather those of `{best[0]}`" if best[0] else ""


def _named_by(weights: WeightMap, given: Collection[str]) -> int:
    """Return the number of names that a map knows, ignoring prefixes of training code."""
    ruled = [t for r in weights.rules for t in r.theirs]
    names = any_of([*ruled, *(a.name for a in weights.aliases), *weights.drops], weights).pattern
    wrapped = re.compile(rf"(?:\w+\.)*?(?:{names})")
    return sum(wrapped.fullmatch(n) is not None for n in given)


def _other_value(plan: Plan, given: Mapping[str, Shape], shapes: list[tuple[Shape, Shape]]) -> str:
    """Return a hint with the parameter value that makes the shapes fit, most often the number of classes.

    If the map determines that parameter, setting it alone would make a network without published weights.
    """
    pairs = {
        (here, there)
        for wanted, given in shapes
        for here, there in zip(wanted, given, strict=False)
        if here != there or len(wanted) != len(given)
    }
    if len(pairs) != 1:
        return ""
    [(here, there)] = pairs
    names = [n for n, value in plan.parameters.items() if value == here and not isinstance(value, bool)]
    if len(names) != 1:
        return ""
    if names[0] in plan.rules:
        return f"`{names[0]}` follows from others in its checkpoints, as `{plan.rules[names[0]]}`: set those as theirs"
    changed = plan.changed(names[0], there)
    if changed is None or misfit(changed, given)[0].reshaped:
        return ""
    return f"`{plan.option} {names[0]}={there}` makes the network like it"
