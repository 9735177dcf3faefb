"""The tensors of a checkpoint against those that a plan moves."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.weights.plan import MAX_LISTED
from archdsl.weights.rules import any_of
from archdsl.weights.shapes import shape_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from archdsl.weights.plan import Plan
    from archdsl.weights.shapes import Shape
    from archdsl.weights.tree import WeightMap

MOSTLY = 0.8  # of the names of a checkpoint that another source has too, for it to be suggested


def fit(plan: Plan, given: Mapping[str, Shape], origin: str) -> None:
    """Holds the tensors of a checkpoint against those that the plan takes.

    Raises:
        SpecError: if one is left over, on either side, or has another shape.
    """
    found = {n: plan.aliases.found(n, given) for n in plan.theirs}
    wanted = {name: plan.theirs[n] for n, names in found.items() for name in names or [n]}
    over = [n for n in given if n not in wanted and not plan.dropped.fullmatch(n)]
    missing = [n for n, names in found.items() if not names and n not in plan.counters]
    reshaped = [n for n in wanted if n in given and given[n] != wanted[n]]
    if not (over or missing or reshaped):
        return
    counts = [
        f"{len(over)} of its {len(given)} tensors {_verb(over)} no place in `{plan.network}`" if over else "",
        f"{len(missing)} that the network needs {_verb(missing, 'is', 'are')} not there" if missing else "",
        f"{len(reshaped)} {_verb(reshaped)} another shape" if reshaped else "",
    ]
    ours = {theirs.name: move.ours[0].name for move in plan.moves for theirs in move.theirs}
    absent = {n: wanted[n] for n in missing}
    unused = {n: given[n] for n in over}
    free = {name: wanted[n] for n in missing for name in plan.aliases.of(n)}
    notes = [
        *(f"no place for {_described(n, s)}{_twice(n, plan) or _nearest(n, s, free)}" for n, s in _first(unused)),
        *_more(unused),
        *(f"not there: {_described(n, s)}, {_ours(ours[n], n)}{_nearest(n, s, unused)}" for n, s in _first(absent)),
        *_more(absent),
        *(f"`{n}` is {shape_text(given[n])}, and {shape_text(wanted[n])} here" for n in reshaped[:MAX_LISTED]),
        *_more(reshaped),
    ]
    label = "; ".join(c for c in counts if c)
    hint = (
        _several_files(plan, given)
        or _other_source(plan, given)
        or _other_value(plan, [(wanted[n], given[n]) for n in reshaped])
    )
    place = Span(Source(origin, ""), 0, 0)
    raise Reporter().fatal("E0807", place, label, [Note(n) for n in notes], hint)


def _verb(tensors: Collection[object], one: str = "has", several: str = "have") -> str:
    return one if len(tensors) == 1 else several


def _described(name: str, shape: Shape) -> str:
    return f"`{name}` ({shape_text(shape)})"


def _ours(ours: str, theirs: str) -> str:
    return f"for `{ours}`" if ours != theirs else "of the network"


def _first(tensors: Mapping[str, Shape]) -> list[tuple[str, Shape]]:
    return list(tensors.items())[:MAX_LISTED]


def _more(tensors: Collection[object]) -> list[str]:
    return [f"… and {len(tensors) - MAX_LISTED} more"] if len(tensors) > MAX_LISTED else []


def _nearest(name: str, shape: Shape, candidates: Mapping[str, Shape]) -> str:
    """The name on the other side that is most like this one; of the same shape, if there is one."""
    alike = [n for n, s in candidates.items() if s == shape]
    close = get_close_matches(name, alike, n=1) or get_close_matches(name, list(candidates), n=1)
    return f"; the nearest is `{close[0]}`" if close else ""


def _twice(name: str, plan: Plan) -> str:
    """What to say of another name of a tensor that is there: no name of one that is not there would be left over."""
    meant = plan.aliases.meant.get(name)
    return f"; it would be `{meant}`, which is there" if meant is not None else ""


def _several_files(plan: Plan, given: Mapping[str, Shape]) -> str:
    """What to say of one checkpoint for a network that takes several: all of its names would be known behind others."""
    behind: dict[str, int] = {}
    for name in (*plan.theirs, *plan.aliases.meant):
        first, _, rest = name.partition(".")
        behind[first] = behind.get(first, 0) + (rest in given)
    names = [first for first, count in behind.items() if count >= MOSTLY * len(given)]
    return f"the network takes several checkpoints, as {' '.join(f'{n}=FILE' for n in names)}" if names else ""


def _other_source(plan: Plan, given: Mapping[str, Shape]) -> str:
    """The source whose names these are, if they are not those of the one that is meant."""
    known = sum(n in plan.theirs or n in plan.aliases.meant for n in given)
    own = [_named_by(plan.weights, given)] if plan.weights is not None else []
    best = ("", max(known, *own, int(MOSTLY * len(given))))
    for other in plan.others():
        count = _named_by(other, given)
        if other.source.text != plan.source and count > best[1]:
            best = (other.source.text, count)
    return f"the names are rather those of `{best[0]}`" if best[0] else ""


def _named_by(weights: WeightMap, given: Collection[str]) -> int:
    """How many names a map knows, whatever training code has put before them."""
    ruled = [t for r in weights.rules for t in r.theirs]
    names = any_of([*ruled, *(a.name for a in weights.aliases), *weights.drops], weights).pattern
    wrapped = re.compile(rf"(?:\w+\.)*?(?:{names})")
    return sum(wrapped.fullmatch(n) is not None for n in given)


def _other_value(plan: Plan, shapes: list[tuple[Shape, Shape]]) -> str:
    """The one parameter that would make the shapes right: most often the number of classes."""
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
    return f"`{plan.option} {names[0]}={there}` makes the network like it" if len(names) == 1 else ""
