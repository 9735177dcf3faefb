"""Choice of the map for a spec, and the parameter values that the source's checkpoints need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.diagnostics import Note, SpecError, did_you_mean
from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.core.values import Unknown, describe
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.parameters import ParameterScope
from archdsl.elaborate.symbols import known_symbols
from archdsl.weights.parse import parse_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.elaborate.program import Library, Program
    from archdsl.frontend.ast import Binding
    from archdsl.weights.tree import WeightMap


def find_map(program: Program, source: str, library: Library, option: str) -> WeightMap:
    """Return the map of a source for a spec; `option` is the option that named the source, for diagnostics.

    Raises:
        SpecError: if there is none, or it has faults.
    """
    texts = [t for t in _texts(program, library) if re.search(rf"\b{re.escape(source)}\b", t.text)]
    for weights in _nearest(_parsed(texts, transfers=False), program):
        if weights.source.text == source:
            return weights
    known = [w.source.text for w in all_maps(program, library)]
    label = f"no weight map of `{source}` is for `{program.header.name.id}`"
    place = Span(Source(option, source), 0, len(source))
    hint = did_you_mean(source, known) or "put a map of your own into `weights/` beside the spec"
    raise Reporter().fatal("E0801", place, label, hint=hint)


def all_maps(program: Program, library: Library) -> list[WeightMap]:
    """Return the map of each source that has one for a spec, in alphabetical order of sources.

    Raises:
        SpecError: if one of the considered maps has faults.
    """
    return _nearest(_parsed(_texts(program, library), transfers=False), program)


def find_transfer(base: Program, program: Program, library: Library) -> WeightMap | None:
    """Return the name map for a transfer between two specs; None if the names are the same.

    The map's source is the base, or else the nearest spec that the base extends. No map is used if the base itself
    extends a spec that the map is for.

    Raises:
        SpecError: if one of the considered maps has faults.
    """
    maps = _nearest(_parsed(_texts(program, library), transfers=True), program)
    lineage = names_of(base)
    for index, name in enumerate(lineage):
        for weights in maps:
            if weights.source.text == name and not {w.text for w in weights.specs} & set(lineage[:index]):
                return weights
    return None


def _parsed(texts: Sequence[Source], *, transfers: bool) -> list[WeightMap]:
    """Parse the texts, and return the maps of one kind."""
    kind = re.compile(r"^transfer\b" if transfers else r"^(?!transfer\b)\w", re.MULTILINE)
    return [m for t in texts if kind.search(t.text) and (m := parse_map(t)).transfers == transfers]


def _texts(program: Program, library: Library) -> list[Source]:
    """Return the map files that mention the spec or one of its bases; only these can apply, and parsing takes time."""
    names = re.compile(rf"\b(?:{'|'.join(map(re.escape, names_of(program)))})\b")
    return [t for t in library.maps([f.source for f in program.files]) if names.search(t.text)]


def _nearest(maps: Sequence[WeightMap], program: Program) -> list[WeightMap]:
    """Return for each source the map for the spec itself, or else for its nearest base; of equals, the first."""
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
            note = Note("and this one", best[name][1].span)
            label = f"two maps of `{name}` are for `{lineage[distance]}`: this one"
            raise Reporter().fatal("E0203", weights.span, label, [note])
        if name not in best or distance < best[name][0]:
            best[name] = distance, weights
    return [best[name][1] for name in sorted(best)]


def _beside(one: WeightMap, other: WeightMap) -> bool:
    """Return True if two maps are in one folder, so that neither has precedence."""
    return re.sub(r"[^/\\]*$", "", one.text.name) == re.sub(r"[^/\\]*$", "", other.text.name)


def names_of(program: Program) -> list[str]:
    """Return the names of the spec, its base, the base of that, and so on."""
    return [f.header.name.id for f in program.files if f.header is not None]


class Needed(NamedTuple):
    """A parameter value that a source needs; it can be overridden unless it is `fixed`."""

    binding: Binding
    fixed: bool


def needs_of(weights: WeightMap, program: Program) -> list[Needed]:
    """Return the parameter values that a source needs; if a map has several for a parameter, that of the nearest spec.

    The declaration of a parameter in a nearer spec overrides a value that is not fixed.
    """
    lineage = names_of(program)
    own = min((lineage.index(w.text) for w in weights.specs if w.text in lineage), default=len(lineage))
    best: dict[str, tuple[int, Needed]] = {}
    for need in weights.needs:
        distances = [lineage.index(w.text) for w in need.specs if w.text in lineage]
        if need.specs and not distances:
            continue
        distance = min(distances, default=len(lineage))
        for binding in need.bindings:
            name = binding.name.id
            declared = _declared(program, name)
            if not need.fixed and declared is not None and declared < min(distance, own):
                continue
            if name not in best or distance < best[name][0]:
                best[name] = distance, Needed(binding, need.fixed)
    return [needed for _, needed in best.values()]


def _declared(program: Program, name: str) -> int | None:
    """Return the index, in the chain of bases, of the spec whose declaration of a parameter is effective."""
    declaration = program.declarations.get(name)
    sources = [file.source for file in program.files]
    return next((i for i, s in enumerate(sources) if declaration is not None and s is declaration.span.source), None)


def changing(
    needs: Sequence[Binding], program: Program, settings: Sequence[Binding], parameters: Mapping[str, Any]
) -> list[Binding]:
    """Return the needs whose values differ from the network's parameters."""
    scope = _scope(program, settings, Reporter())
    plain = {need.name.id: scope.find(need.name.id) for need in needs}
    return [n for n in needs if (own := plain[n.name.id]) is None or own.value != parameters[n.name.id]]


def _scope(program: Program, settings: Sequence[Binding], reporter: Reporter) -> ParameterScope:
    """Return the parameters of a spec, with settings applied."""
    chosen = {b.name.id: b for b in settings}
    evaluator = Evaluator(reporter, known_symbols(program))
    return ParameterScope(program.declarations, chosen, evaluator, reporter, program.functions)


def published(needs: Sequence[Needed], settings: Sequence[Binding]) -> list[Binding]:
    """Return the settings of the network with published checkpoints: the source's needs override the user's."""
    return [*settings, *(needed.binding for needed in needs)]


def required(needs: Sequence[Needed], settings: Sequence[Binding]) -> list[Binding]:
    """Return the user's settings, overridden by the fixed needs of the source only."""
    usual, fixed = ([n.binding for n in needs if n.fixed == kind] for kind in (False, True))
    return [*usual, *settings, *fixed]


def check_needs(
    weights: WeightMap,
    program: Program,
    settings: Sequence[Binding],
    parameters: Mapping[str, Any],
    like: str | None = None,
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """Return errors for parameters that differ from the source's needs, and warnings for needs that are not fixed.

    Args:
        weights: the map of the source.
        program: the spec.
        settings: the user's settings, and those adopted for another source.
        parameters: the values in the network.
        like: another source that the network was adapted to, if any.

    Raises:
        SpecError: if the map has a value that the spec does not accept.
    """
    needs = needs_of(weights, program)
    reporter = Reporter()
    usual = _scope(program, published(needs, settings), Reporter())  # the user's settings may contradict it
    strict = _scope(program, required(needs, settings), reporter)
    strict.check()
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    chosen = {b.name.id: b for b in settings}
    source = weights.source.text
    other = like if like != source else None
    faults, warnings = Reporter(), Reporter()
    for binding, fixed in needs:
        name = binding.name.id
        needed = (strict if fixed else usual).find(name)
        if needed is None or isinstance(needed.value, Unknown) or needed.value == parameters[name]:
            continue
        notes = [Note("set here", chosen[name].span)] if name in chosen else []
        values = describe(needed.value), describe(parameters[name])
        if not fixed and name in chosen:
            label = f"checkpoints of `{source}` have {name} = {values[0]}; this network has {values[1]}"
            hint = "correct if your checkpoint's configuration has this value"
            warnings.report("W0801", binding.span, label, notes, hint)
        else:
            label = f"checkpoints of `{source}` need {name} = {values[0]}; this network has {values[1]}"
            faults.report("E0806", binding.span, label, notes, _hint(source, other, chosen, binding, fixed))
    return faults.diagnostics, warnings.diagnostics


def _hint(source: str, other: str | None, chosen: Mapping[str, Binding], binding: Binding, fixed: bool) -> str:
    if other is not None:
        return f"the networks of `{other}` and `{source}` differ, so the weights cannot be converted between them"
    hint = f'`--like {source}`, in Python `like="{source}"`, sets the values that its checkpoints need'
    if binding.name.id in chosen:
        return f"do not set it: {hint}"
    return hint if fixed else f"{hint}; `--set {binding.name.id}=…` sets another value, if your checkpoint has it"
