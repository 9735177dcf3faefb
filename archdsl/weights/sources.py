"""Which map is for a spec, and what the checkpoints of its source need of the spec's parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Note, SpecError, did_you_mean
from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.core.values import describe
from archdsl.graph.evaluate import Evaluator
from archdsl.graph.parameters import ParameterScope
from archdsl.graph.symbols import known_symbols
from archdsl.weights.parse import parse_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.frontend.ast import Binding
    from archdsl.graph.program import Library, Program
    from archdsl.weights.tree import WeightMap


def find_map(program: Program, source: str, library: Library, option: str) -> WeightMap:
    """The map of a source for a spec; `option` is where the user has named the source.

    Raises:
        SpecError: if there is none, or it has faults.
    """
    texts = [t for t in _texts(program, library) if re.search(rf"\b{re.escape(source)}\b", t.text)]
    for weights in _nearest(_parsed(texts, transfers=False), program):
        if weights.source.text == source:
            return weights
    known = [w.source.text for w in all_maps(program, library)]
    label = f"no map of names from `{source}` is for `{program.header.name.id}`"
    place = Span(Source(option, source), 0, len(source))
    hint = did_you_mean(source, known) or "a map of your own goes to `weights/` beside the spec"
    raise Reporter().fatal("E0801", place, label, hint=hint)


def all_maps(program: Program, library: Library) -> list[WeightMap]:
    """The map of each source that has one for a spec, in alphabetical order.

    Raises:
        SpecError: if one of the maps that could be found has faults.
    """
    return _nearest(_parsed(_texts(program, library), transfers=False), program)


def find_transfer(base: Program, program: Program, library: Library) -> WeightMap | None:
    """The map of the names that what a spec begins from has in another one; None: the same names.

    It is from the nearest of the specs that the other one extends, but a spec that the map is for needs none.

    Raises:
        SpecError: if one of the maps that could be found has faults.
    """
    maps = _nearest(_parsed(_texts(program, library), transfers=True), program)
    lineage = names_of(base)
    for index, name in enumerate(lineage):
        for weights in maps:
            if weights.source.text == name and not {w.text for w in weights.specs} & set(lineage[:index]):
                return weights
    return None


def _parsed(texts: Sequence[Source], *, transfers: bool) -> list[WeightMap]:
    """The maps of one kind."""
    kind = re.compile(r"^transfer\b" if transfers else r"^(?!transfer\b)\w", re.MULTILINE)
    return [m for t in texts if kind.search(t.text) and (m := parse_map(t)).transfers == transfers]


def _texts(program: Program, library: Library) -> list[Source]:
    return library.maps([f.source for f in program.files])


def _nearest(maps: Sequence[WeightMap], program: Program) -> list[WeightMap]:
    """For each source the map that is for the spec itself, else for its base, …; of equals the one found first."""
    lineage = names_of(program)
    best: dict[str, tuple[int, WeightMap]] = {}
    for weights in maps:
        if any(w.text in lineage for w in weights.excluded):
            continue
        distance = min((lineage.index(w.text) for w in weights.specs if w.text in lineage), default=None)
        if distance is None:
            continue
        name = weights.source.text
        if name in best and best[name][0] == distance and _beside(best[name][1], weights):
            note = Note("and so is this one", best[name][1].span)
            label = f"this map of `{name}` is for `{lineage[distance]}`"
            raise Reporter().fatal("E0203", weights.span, label, [note])
        if name not in best or distance < best[name][0]:
            best[name] = distance, weights
    return [best[name][1] for name in sorted(best)]


def _beside(one: WeightMap, other: WeightMap) -> bool:
    """Whether two maps lie in one folder, so that neither comes before the other."""
    return re.sub(r"[^/\\]*$", "", one.text.name) == re.sub(r"[^/\\]*$", "", other.text.name)


def names_of(program: Program) -> list[str]:
    """The spec, its base, the base of that, and so on."""
    return [f.header.name.id for f in program.files if f.header is not None]


def needs_of(weights: WeightMap, program: Program) -> list[Binding]:
    """The values of parameters that a source needs; of several for one parameter that of the nearest spec."""
    lineage = names_of(program)
    best: dict[str, tuple[int, Binding]] = {}
    for need in weights.needs:
        distances = [lineage.index(w.text) for w in need.specs if w.text in lineage]
        if need.specs and not distances:
            continue
        distance = min(distances, default=len(lineage))
        for binding in need.bindings:
            name = binding.name.id
            if name not in best or distance < best[name][0]:
                best[name] = distance, binding
    return [binding for _, binding in best.values()]


def changing(
    needs: Sequence[Binding], program: Program, settings: Sequence[Binding], parameters: Mapping[str, Any]
) -> list[Binding]:
    """Those that give a network another value than it would have without them."""
    scope = _scope(program, settings, Reporter())
    plain = {need.name.id: scope.find(need.name.id) for need in needs}
    return [n for n in needs if (found := plain[n.name.id]) is None or found.value != parameters[n.name.id]]


def _scope(program: Program, settings: Sequence[Binding], reporter: Reporter) -> ParameterScope:
    """The parameters of a spec, with what is set."""
    chosen = {b.name.id: b for b in settings}
    return ParameterScope(program.declarations, chosen, Evaluator(reporter, known_symbols(program)), reporter)


def check_needs(
    weights: WeightMap,
    program: Program,
    settings: Sequence[Binding],
    parameters: Mapping[str, Any],
    like: str | None = None,
) -> list[Diagnostic]:
    """Each parameter of a network, which is `like` another source perhaps, with another value than this source needs.

    Raises:
        SpecError: if the map gives a value that the spec does not take.
    """
    needs = {b.name.id: b for b in needs_of(weights, program)}
    reporter = Reporter()
    scope = _scope(program, [*settings, *needs.values()], reporter)
    scope.check()
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    given = {b.name.id: b for b in settings}
    source = weights.source.text
    for name, binding in needs.items():
        found = scope.find(name)
        if found is None or found.value == parameters[name]:
            continue
        label = f"`{source}` needs {name} = {describe(found.value)}; in this network it is {describe(parameters[name])}"
        notes = [Note("set here", given[name].span)] if name in given else []
        hint = f'`--like {source}`, in Python `like="{source}"`, takes on what its checkpoints need'
        if like is not None and like != source:
            hint = f"the networks of `{like}` and `{source}` differ, so the weights of one do not serve the other"
        reporter.report("E0806", binding.span, label, notes, f"do not set it: {hint}" if notes else hint)
    return reporter.diagnostics
