"""Weight plans: a map bound to one network, with the name and shape in the source of each of its tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.diagnostics import Note, SpecError
from archdsl.core.report import Reporter
from archdsl.weights.aliases import Aliases, bind_aliases
from archdsl.weights.rules import NO_NAME, Match, Matcher, any_of
from archdsl.weights.shapes import AxesFault, Change, Shape, change, shape_text

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping, Sequence

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.core.source import Span
    from archdsl.weights.tree import Rule, WeightMap

OWN = "archdsl"  # the source with our own names
MAX_LISTED = 8


class Tensor(NamedTuple):
    """A tensor of a state dict."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Move:
    """Corresponding tensors of both state dicts.

    Several tensors on one side are parts of a single tensor on the other side, along its first axis. `change` converts
    a part from our layout to theirs.
    """

    ours: tuple[Tensor, ...]
    theirs: tuple[Tensor, ...]
    change: Change | None = None


def _unknown(_name: str, _value: int) -> None:
    """Return None: a plan made without a spec has no parameters."""


def _no_hint(_tensors: Mapping[str, Shape]) -> str:
    return ""


@dataclass(frozen=True, repr=False)
class Plan:
    """The correspondence of all tensors between a network and a source of checkpoints."""

    source: str
    network: str
    moves: tuple[Move, ...]
    weights: WeightMap | None = None  # none for our own names
    aliases: Aliases = field(default_factory=Aliases)
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])  # of the network
    others: Callable[[], Sequence[WeightMap]] = tuple  # returns the maps of all sources, for hints
    option: str = "--set"  # the option for the network's parameters, for hints
    rules: Mapping[str, str] = field(default_factory=dict[str, str])  # formulas of the map's parameters, as text
    changed: Callable[[str, int], Plan | None] = _unknown  # returns the plan for another value of a parameter
    other_spec: Callable[[Mapping[str, Shape]], str] = _no_hint  # returns a hint at specs with a checkpoint's tensors
    warnings: tuple[Diagnostic, ...] = ()  # about parameters that differ from published checkpoints

    def __repr__(self) -> str:
        ours, theirs = f"{len(self.ours):,} tensors", f"{len(self.theirs):,} of {self.source}"
        return f"<Plan of {self.network}: {ours}, {theirs}>"

    @cached_property
    def ours(self) -> dict[str, Shape]:
        """The tensors of our state dict."""
        return dict(tensor for move in self.moves for tensor in move.ours)

    @cached_property
    def theirs(self) -> dict[str, Shape]:
        """The tensors that a checkpoint must have, without aliases and without the tensors that the map drops."""
        return dict(tensor for move in self.moves for tensor in move.theirs)

    @cached_property
    def counters(self) -> set[str]:
        """Names of the source's `num_batches_tracked`, which a checkpoint may lack, as in `load_state_dict`."""
        return {t.name for m in self.moves if m.ours[0].name.endswith(".num_batches_tracked") for t in m.theirs}

    @cached_property
    def dropped(self) -> re.Pattern[str]:
        """The pattern for names of the source that the map drops."""
        return any_of(self.weights.drops, self.weights) if self.weights is not None else NO_NAME


def own_plan(network: str, tensors: Mapping[str, Shape]) -> Plan:
    """Return the plan for our own names."""
    pairs = ((Tensor(name, shape),) for name, shape in tensors.items())
    return Plan(OWN, network, tuple(Move(pair, pair) for pair in pairs))


def bind(weights: WeightMap, network: str, tensors: Mapping[str, Shape]) -> Plan:
    """Bind a map to the tensors of a network.

    Raises:
        SpecError: if a tensor of the network has no rule or several, or if the axes of a rule do not match its tensors.
    """
    binder = _Binder(weights, tensors)
    binder.bind()
    aliases = bind_aliases(weights, binder.taken, binder.reporter)
    for drop in weights.drops:
        pattern = any_of([drop], weights)
        needed = next((name for name in binder.taken if pattern.fullmatch(name)), None)
        if needed is not None:
            note = Note("this rule needs it", binder.taken[needed])
            binder.reporter.report("E0805", drop.span, f"`{needed}` cannot be dropped", [note])
    if binder.reporter.failed:
        raise SpecError(binder.reporter.diagnostics)
    return Plan(weights.source.text, network, tuple(binder.moves), weights, aliases)


class _Binder:
    def __init__(self, weights: WeightMap, tensors: Mapping[str, Shape]) -> None:
        self.weights = weights
        self.tensors = tensors
        self.matcher = Matcher(weights)
        self.reporter = Reporter()
        self.moves: list[Move] = []
        self.taken: dict[str, Span] = {}  # names of the source, with the span of their rule

    def bind(self) -> None:
        without: list[str] = []
        for name in self.tensors:
            matches = self.matcher.matches(name)
            if not matches:
                without.append(name)
            elif len(matches) == 1:
                self._move(name, matches[0])
            else:
                first, second = (m.rule.ours[m.part].span for m in matches[:2])
                note = Note("and this one", first)
                self.reporter.report("E0805", second, f"two rules match `{name}`: this one", [note])
        if without:
            self._report_missing(without)

    def _report_missing(self, names: Sequence[str]) -> None:
        label = f"no rule for `{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        notes = [Note(f"no rule for `{name}`") for name in names[1:MAX_LISTED]]
        self.reporter.report("E0804", self.weights.span, label, notes, "a rule is `OURS = THEIRS`")

    def _move(self, name: str, match: Match) -> None:
        ours = self.matcher.ours(match)
        absent = [n for n in ours if n not in self.tensors]
        if absent:
            label = f"the network has no `{absent[0]}`, which this rule joins with it"
            self.reporter.report("E0803", match.rule.span, f"for `{name}`: {label}")
        elif match.part == 0:
            self._add(match.rule, [Tensor(n, self.tensors[n]) for n in ours], self.matcher.theirs(match))

    def _add(self, rule: Rule, ours: Sequence[Tensor], names: Sequence[str]) -> None:
        for name in names:
            if name in self.taken:
                note = Note("and in this rule", self.taken[name])
                label = f"`{name}` stands for two tensors: here for `{ours[0].name}`"
                self.reporter.report("E0805", rule.span, label, [note])
                return
            self.taken[name] = rule.span
        try:
            self.moves.append(_join(rule, ours, names) if len(ours) > 1 else _split(rule, ours[0], names))
        except AxesFault as fault:
            place = rule.axes.span if rule.axes is not None else rule.span
            self.reporter.report("E0803", place, f"for `{ours[0].name}`: {fault}")


def _join(rule: Rule, ours: Sequence[Tensor], names: Sequence[str]) -> Move:
    """Return the move for several tensors of ours that are parts of one of theirs."""
    if rule.axes is not None and any(t.shape != ours[0].shape for t in ours):
        message = "with axes, all parts must have the same shape"
        raise AxesFault(message)
    step = change(rule.axes, ours[0].shape) if rule.axes is not None else None
    parts = [step.end if step is not None else t.shape for t in ours]
    if any(not p or p[1:] != parts[0][1:] for p in parts):
        message = f"{' and '.join(shape_text(p) for p in parts)} cannot be joined along the first axis"
        raise AxesFault(message)
    joined = (sum(p[0] for p in parts), *parts[0][1:])
    return Move(tuple(ours), (Tensor(names[0], joined),), step)


def _split(rule: Rule, ours: Tensor, names: Sequence[str]) -> Move:
    """Return the move for one tensor of ours, which corresponds to one of theirs or to several equal parts."""
    part, count = ours.shape, len(names)
    if count > 1:
        if not part or part[0] % count:
            message = f"{shape_text(part)} cannot be split into {count} equal parts along the first axis"
            raise AxesFault(message)
        part = (part[0] // count, *part[1:])
    step = change(rule.axes, part) if rule.axes is not None else None
    return Move((ours,), tuple(Tensor(n, step.end if step is not None else part) for n in names), step)
