"""Comparison of a checkpoint's tensors with the tensors that a plan needs, and hints about mismatches."""

from __future__ import annotations

import re
from collections import Counter
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

MAX_FILES = 3  # of a network of several checkpoints
MOST_NAMES = 0.8  # share of a checkpoint's names that another source must know to be suggested


class Mismatch(NamedTuple):
    """Names of a checkpoint's tensors that the plan does not need, of missing tensors, and of tensors to reshape."""

    unexpected: list[str]
    missing: list[str]
    reshaped: list[str]


def mismatch(
    plan: Plan, tensors: Mapping[str, Shape], absent: Collection[str] = ()
) -> tuple[Mismatch, dict[str, Shape]]:
    """Return the differences between a checkpoint and a plan, and the shapes that the plan needs, by name.

    Args:
        plan: the plan.
        tensors: names and shapes of the checkpoint's tensors.
        absent: names of tensors that may be missing.
    """
    present = {n: plan.aliases.present(n, tensors) for n in plan.theirs}
    wanted = {name: plan.theirs[n] for n, names in present.items() for name in names or [n]}
    unexpected = [n for n in tensors if n not in wanted and not plan.dropped.fullmatch(n)]
    missing = [n for n, names in present.items() if not names and n not in plan.counters and n not in absent]
    return Mismatch(unexpected, missing, [n for n in wanted if n in tensors and tensors[n] != wanted[n]]), wanted


def without_head(plan: Plan, tensors: Mapping[str, Shape]) -> set[str]:
    """Return the names that a checkpoint lacks if these are whole layers of the head; otherwise an empty set."""
    (unexpected, missing, reshaped), _ = mismatch(plan, tensors)
    if unexpected or reshaped:
        return set()
    lacking: set[str] = set()  # layers by our names
    present: set[str] = set()
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


def check_tensors(plan: Plan, tensors: Mapping[str, Shape], origin: str, absent: Collection[str] = ()) -> None:
    """Check that a checkpoint has exactly the tensors that a plan needs; tensors in `absent` may be missing.

    Raises:
        SpecError: if a tensor is missing, not needed, or of another shape.
    """
    found, wanted = mismatch(plan, tensors, absent)
    unexpected, missing, reshaped = found
    if not (unexpected or missing or reshaped):
        return
    counts = [
        f"{len(unexpected)} of {len(tensors)} tensors {_are(unexpected)} not in `{plan.network}`" if unexpected else "",
        f"{len(missing)} {_are(missing)} missing" if missing else "",
        f"{len(reshaped)} {_are(reshaped)} of another shape" if reshaped else "",
    ]
    ours = {theirs.name: move.ours[0].name for move in plan.moves for theirs in move.theirs}
    absent_shapes = {n: wanted[n] for n in missing}
    unused = {n: tensors[n] for n in unexpected}
    free = {name: wanted[n] for n in missing for name in plan.aliases.of(n)}
    notes = [
        *(f"unexpected: {_described(n, s)}{_twice(n, plan) or _nearest(n, s, free)}" for n, s in _first(unused)),
        *_more(unused),
        *(f"missing: {_described(n, s)}{_ours(ours[n], n)}{_nearest(n, s, unused)}" for n, s in _first(absent_shapes)),
        *_more(absent_shapes),
        *(f"`{n}`: expected {shape_text(wanted[n])}, found {shape_text(tensors[n])}" for n in reshaped[:MAX_LISTED]),
        *_more(reshaped),
    ]
    label = "; ".join(c for c in counts if c)
    place = Span(Source(origin, ""), 0, 0)
    raise Reporter().fatal("E0807", place, label, [Note(n) for n in notes], _hint(plan, tensors, found, wanted))


def _hint(plan: Plan, tensors: Mapping[str, Shape], found: Mismatch, wanted: Mapping[str, Shape]) -> str:
    """Return a hint with the most likely cause of a mismatch."""
    if hint := _other_source(plan, tensors) or _several_files(plan, tensors):
        return hint
    if found.missing and not (found.unexpected or found.reshaped) and without_head(plan, tensors):
        return "the checkpoint has no head: `weights transfer … --new 'head.*'` initialises a new one"
    ours = {t.name: m.ours[0].name for m in plan.moves for t in m.theirs}
    of_head = all(ours.get(n, n).startswith("head.") for n in found.reshaped)
    value = partial(_other_value, plan, tensors, [(wanted[n], tensors[n]) for n in found.reshaped])
    hints = (value, partial(plan.other_spec, tensors)) if of_head else (partial(plan.other_spec, tensors), value)
    return next((hint for find in hints if (hint := find())), _likely_cause(plan, tensors, found))


def _likely_cause(plan: Plan, tensors: Mapping[str, Shape], found: Mismatch) -> str:
    """Return a hint for a checkpoint that no other spec or value makes fit."""
    if 2 * _count_known(plan, tensors) < len(tensors):
        sources = f"`archdsl weights sources {plan.network}` lists those that have a map"
        return f"most of its names are unknown: it is of another network, or of another source; {sources}"
    if found.reshaped or _count_known(plan, found.unexpected):
        return f"its network has other parameters: set them, as in `{plan.option} NAME=VALUE`"
    if not found.unexpected:
        ours = next(m.ours[0].name for m in plan.moves if any(t.name == found.missing[0] for t in m.theirs))
        new = f"; to initialise what it lacks, use `weights transfer … --new '{ours}'`"
        few = new if len(found.missing) <= MAX_LISTED else f"; its depth is set by `{plan.option} NAME=VALUE`"
        return f"the checkpoint is incomplete, or its network has fewer blocks{few}"
    if not found.missing:
        return "if the network does not need them, save the state dict without them"
    return "the names may be those of another version of the code: rename them in the state dict"


def _count_known(plan: Plan, names: Collection[str]) -> int:
    """Return the number of names that a plan's map knows, or that the plan has, if it has no map."""
    if plan.weights is not None:
        return _known_names(plan.weights, names)
    return sum(name in plan.theirs for name in names)


def _are(tensors: Collection[object]) -> str:
    return "is" if len(tensors) == 1 else "are"


def _described(name: str, shape: Shape) -> str:
    return f"`{readable(name)}` ({shape_text(shape)})"


def _ours(ours: str, theirs: str) -> str:
    return f", for `{ours}`" if ours != theirs else ""


def _first(tensors: Mapping[str, Shape]) -> list[tuple[str, Shape]]:
    return list(tensors.items())[:MAX_LISTED]


def _more(tensors: Collection[object]) -> list[str]:
    return [f"… and {len(tensors) - MAX_LISTED} more"] if len(tensors) > MAX_LISTED else []


def _nearest(name: str, shape: Shape, candidates: Mapping[str, Shape]) -> str:
    """Return text that names the most similar candidate, preferably of the same shape; empty if none is similar."""
    same_shape = [n for n, s in candidates.items() if s == shape]
    close = get_close_matches(name, same_shape, n=1) or get_close_matches(name, list(candidates), n=1)
    return f"; the most similar name is `{readable(close[0])}`" if close else ""


def _twice(name: str, plan: Plan) -> str:
    """Return text for an unexpected alias of a tensor that is present; empty for other names."""
    other = plan.aliases.name_of.get(name)
    return f"; another name of `{other}`, which is present" if other is not None else ""


def _several_files(plan: Plan, tensors: Mapping[str, Shape]) -> str:
    """Return a hint if the checkpoints of a network are not named: a part has all its tensors under another prefix."""
    own = {*plan.theirs, *plan.aliases.name_of}
    sizes = Counter(name.partition(".")[0] for name in plan.theirs)
    if len(sizes) > MAX_FILES or 2 * sum(name in own for name in tensors) > len(tensors):
        return ""
    ends = {name[at:] for name in tensors for at in (0, *(dot.end() for dot in re.finditer(r"\.", name)))}
    found: Counter[str] = Counter()
    for name in plan.theirs:
        first, _, rest = name.partition(".")
        found[first] += bool(rest) and not ends.isdisjoint(
            [rest, *(n.partition(".")[2] for n in plan.aliases.of(name))]
        )
    names = [first for first, count in found.items() if count >= max(MOST_NAMES * sizes[first], 1)]
    whole = sum(found[first] for first in names) >= MOST_NAMES * len(tensors)
    return f"name each checkpoint by its part of the network: {' '.join(f'{n}=FILE' for n in names)}" if whole else ""


def _other_source(plan: Plan, tensors: Mapping[str, Shape]) -> str:
    """Return a hint if more of the names are known to another source."""
    known = sum(n in plan.theirs or n in plan.aliases.name_of for n in tensors)
    best = ("", max(known, _count_known(plan, tensors), int(MOST_NAMES * len(tensors))))
    for other in plan.others():
        count = _known_names(other, tensors)
        if other.source.text != plan.source and count > best[1]:
            best = (other.source.text, count)
    return f"the names look like `{best[0]}`: use `--from {best[0]}`" if best[0] else ""


def _known_names(weights: WeightMap, names: Collection[str]) -> int:
    """Return the number of names that a map knows, ignoring prefixes of training code."""
    ruled = [t for r in weights.rules for t in r.theirs]
    known = any_of([*ruled, *(a.name for a in weights.aliases), *weights.drops], weights).pattern
    wrapped = re.compile(rf"(?:\w+\.)*?(?:{known})")
    return sum(wrapped.fullmatch(n) is not None for n in names)


def _other_value(plan: Plan, tensors: Mapping[str, Shape], shapes: list[tuple[Shape, Shape]]) -> str:
    """Return a hint with the parameter value that makes the shapes match, most often the number of classes.

    If the map computes that parameter from others, the hint names its formula: set alone, it would make a network
    without published weights.
    """
    pairs = {
        (size, other)
        for wanted, found in shapes
        for size, other in zip(wanted, found, strict=False)
        if size != other or len(wanted) != len(found)
    }
    if len(pairs) != 1:
        return ""
    [(size, other)] = pairs
    names = [n for n, value in plan.parameters.items() if value == size and not isinstance(value, bool)]
    if len(names) != 1:
        return ""
    if names[0] in plan.rules:
        return f"in these checkpoints `{names[0]}` is `{plan.rules[names[0]]}`: set the parameters in this formula"
    changed = plan.changed(names[0], other)
    if changed is None or mismatch(changed, tensors)[0].reshaped:
        return ""
    return f"`{plan.option} {names[0]}={other}` makes the network match the checkpoint"
