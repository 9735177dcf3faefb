"""Transfer plans: the origin of each tensor of a variant in its base, and the steps that adapt its shape."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.ir.regions import Head
from archdsl.layers.axes import Axis, Extent, Heads, In, Inner, Offsets, Out
from archdsl.transfer.branches import Parts, bases_of, joined, parts_text
from archdsl.transfer.channels import REPEAT, Channels, Segment, inner_sources, source_channels, value_sources
from archdsl.transfer.frozen import frozen_at_random
from archdsl.transfer.meanings import are_regrouped, axes_of_both, mismatch, step_of_rows, step_of_values
from archdsl.transfer.pairs import Pair, pairs
from archdsl.transfer.places import Place, places
from archdsl.transfer.reasons import are_pairable, reasons
from archdsl.transfer.steps import (
    AVERAGE,
    BICUBIC,
    BILINEAR,
    CENTRE,
    EXTENDED,
    JOINED,
    NEAREST,
    NEW,
    REPEATED,
    SLICED,
    Centre,
    Inflate,
    Lengthen,
    Resample,
    Select,
    Step,
    Stretch,
    Sum,
    least_faithful,
    regrouping,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.ir.network import Network
    from archdsl.weights.plan import Plan

Shape = tuple[int, ...]
REQUESTED = "requested by "
UNITS = {"t": "frames", "h": "rows", "w": "columns"}


@dataclass(frozen=True)
class Rules:
    """User options of a transfer.

    `inflate`: inflation of filters from one frame to several, `average` or `centre`; `width` and `depth`: `repeat` to
    initialise added channels and blocks from those of the base, or `new`; `new`: name patterns of tensors to
    initialise anew; `classes`: for each class, its index among those of the base, −1 for a new class; by default a head
    of another number of classes is new; `positions`: interpolation of vectors of positions over space, `bicubic`,
    `bilinear` or `nearest`.
    """

    inflate: str = AVERAGE
    width: str = REPEAT
    depth: str = REPEAT
    new: tuple[str, ...] = ()
    classes: tuple[int, ...] | None = None
    positions: str = BICUBIC

    def __post_init__(self) -> None:
        for name, value, known in (
            ("inflate", self.inflate, (AVERAGE, CENTRE)),
            ("width", self.width, (REPEAT, NEW)),
            ("depth", self.depth, (REPEAT, NEW)),
            ("positions", self.positions, (BICUBIC, BILINEAR, NEAREST)),
        ):
            if value not in known:
                raise ValueError(f"{name} = {value!r}: expected {' or '.join(map(repr, known))}")
        given: object = self.new
        if isinstance(given, str) or not hasattr(given, "__iter__"):  # iterating a string yields letters
            raise TypeError(f"new = {given!r}: expected a tuple of patterns, as in ('head.*',)")


@dataclass(frozen=True)
class Entry:
    """One tensor of the variant.

    `how` is `copied`, `joined`, `converted`, `interpolated`, `inflated`, `sliced`, `padded`, `repeated`, `extended`
    (partly new) or `new`; `why` describes the steps, or the reason for `new`.
    """

    name: str
    shape: Shape
    base: str  # empty if it is new; the first one of `parts`
    base_shape: Shape | None
    how: str
    why: str
    steps: tuple[Step, ...] = ()
    parts: Parts = ()  # the rows that it consists of, if it is not one tensor of the base

    @property
    def bases(self) -> tuple[str, ...]:
        """The names of its origins in the base; none if it is new."""
        return bases_of(self.base, self.parts) if self.base else ()


@dataclass(frozen=True, repr=False)
class TransferPlan:
    """The origin of every tensor of a variant, and the unused tensors of the base."""

    base: str
    network: str
    entries: tuple[Entry, ...]
    unused: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    why_unused: Mapping[str, str] = field(default_factory=dict[str, str])  # for tensors without a partner
    is_pairable: bool = False  # both have tensors of one kind without a partner in one stage
    warnings: tuple[Diagnostic, ...] = ()

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of tensors for each value of `how`: copied, interpolated and so on."""
        counts: dict[str, int] = {}
        for entry in self.entries:
            counts[entry.how] = counts.get(entry.how, 0) + 1
        return counts

    def __repr__(self) -> str:
        counts = "".join(f", {count:,} {how}" for how, count in self.counts.items())
        return f"<TransferPlan of {self.network} from {self.base}{counts}; {len(self.unused):,} unused>"

    @property
    def is_empty(self) -> bool:
        """True if no tensor is initialised from the base."""
        return not any(entry.base for entry in self.entries)

    @property
    def is_complete(self) -> bool:
        """True if every tensor is initialised from the base, and every tensor of the base is used."""
        return not self.unused and not {"new", "extended"} & self.counts.keys()


def plan_transfer(
    base: Network, network: Network, rename: Callable[[str], str | None], rules: Rules | None = None
) -> TransferPlan:
    """Plan the initialisation of a network's tensors from those of another network.

    Args:
        base: the network that the weights are of.
        network: the network to initialise.
        rename: maps the name of a tensor to its name in the base, block numbers unchanged; None if it has no origin.
        rules: the user's options.

    Raises:
        ValueError: if a pattern in `rules.new` matches no tensor.
    """
    rules = rules or Rules()
    planner = _Planner(base, network, rename, rules)
    for pattern in rules.new:
        if not any(fnmatchcase(name, pattern) for name in planner.ours):
            raise ValueError(f"new: no tensor of {network.name} matches the pattern {pattern!r}")
    theirs, ours = planner.theirs, planner.ours
    missing = [pair.name for pair in planner.pairs if pair.is_missing]
    paired = {name for pair in planner.pairs for name in pair.bases}
    left = [name for name in theirs if name not in paired]
    why = reasons(missing, ours, left, theirs, planner.base)
    entries = tuple(planner.entry(replace(p, reason=why.get(p.name, p.reason))) for p in planner.pairs)
    used = {name for entry in entries for name in entry.bases}
    unused = {name: place.shape for name, place in theirs.items() if name not in used}
    variant = network.name if network.name != base.name else "the variant"
    why_unused = reasons(left, theirs, missing, ours, variant) | _left_out(planner.pairs, entries, unused)
    pairable = are_pairable(missing, ours, left, theirs)
    warnings = tuple(frozen_at_random(ours, [e.name for e in entries if e.how in (NEW, EXTENDED)]))
    return TransferPlan(base.name, network.name, entries, unused, why_unused, pairable, warnings)


def check_not_empty(plan: TransferPlan, origin: str) -> None:
    """Check that something is initialised from the base, whose weights are those of `origin`.

    Raises:
        SpecError: if all tensors are new.
    """
    if plan.is_empty:
        label = f"all tensors of `{plan.network}` would be new: none begins from one of `{plan.base}`"
        hint = (
            "`archdsl weights plan` says why, tensor by tensor; a map `transfer BASE for SPEC` pairs layers with other "
            "names (docs/variants.md)"
        )
        raise Reporter().fatal("E0814", Span(Source(origin, ""), 0, 0), label, hint=hint)


def _left_out(pairs: Iterable[Pair], entries: Iterable[Entry], unused: Collection[str]) -> dict[str, str]:
    """Return the reason for each unused tensor of the base whose partner is new."""
    partners = {pair.name: pair.bases for pair in pairs}
    found: dict[str, str] = {}
    for entry in entries:
        asked = entry.why.startswith(REQUESTED)
        why = f"left out by `--new '{entry.why.removeprefix(REQUESTED).strip('`')}'`" if asked else entry.why
        found |= dict.fromkeys((origin for origin in partners[entry.name] if origin in unused), why)
    return found


class _Planner:
    def __init__(
        self,
        base: Network,
        network: Network,
        rename: Callable[[str], str | None],
        rules: Rules,
    ) -> None:
        self.theirs, self.ours = places(base), places(network)
        self.base = base.name if base.name != network.name else "the base"
        self.rules = rules
        self.pairs = pairs(self.theirs, self.ours, rename, rules.depth, self.base)
        self.channels, self.base_channels = Channels(network), Channels(base)
        names = {node.name: node.id for node in base.all_nodes()}
        self.partners = {node.id: names[node.name] for node in network.all_nodes() if node.name in names}
        for pair in self.pairs:
            if pair.base:
                self.partners[self.ours[pair.name].node.id] = self.theirs[pair.base].node.id
        ends = (self.channels.origins[output] for output in network.outputs.values())
        self.classifiers = {segment.node for segments in ends for segment in segments}

    def entry(self, pair: Pair) -> Entry:
        here = self.ours[pair.name]
        if not pair.base:
            return Entry(pair.name, here.shape, "", None, NEW, pair.reason)
        pattern = next((p for p in self.rules.new if fnmatchcase(pair.name, p)), None)
        if pattern is not None:
            return Entry(pair.name, here.shape, "", None, NEW, f"{REQUESTED}`{pattern}`")
        there = joined(here, pair.parts, self.theirs) if pair.parts else self.theirs[pair.base]
        if isinstance(there, str):
            return Entry(pair.name, here.shape, "", None, NEW, there)
        in_head = here.node.id in self.classifiers or isinstance(here.node.region.top, Head)
        if in_head and not self._reads_alike(here, there):
            return Entry(pair.name, here.shape, "", None, NEW, f"it reads other features than {self.base}'s")
        steps = self._steps(here, there)
        if isinstance(steps, str):
            return Entry(pair.name, here.shape, "", None, NEW, steps)
        texts = [f"like `{pair.repeats}`"] if pair.repeats else []
        texts += [parts_text(here, pair.parts)] if pair.parts else []
        texts += [s.text for s in steps]
        verbs = [SLICED if len(pair.bases) == 1 else JOINED] if pair.parts else []
        verbs += [REPEATED] if pair.repeats and not steps else []
        how = least_faithful([*verbs, *(s.verb for s in steps)])
        shape = there.shape if len(pair.bases) > 1 else self.theirs[pair.base].shape
        return Entry(pair.name, here.shape, pair.base, shape, how, "; ".join(texts), tuple(steps), pair.parts)

    def _reads_alike(self, here: Place, there: Place) -> bool:
        """Return whether a layer that computes what one here reads has a partner that the base's reads, too."""
        if not here.node.inputs or not there.node.inputs:
            return True
        ours, theirs = self.channels.writers(here.node.inputs[0]), self.base_channels.writers(there.node.inputs[0])
        return any(self.partners.get(number) in theirs for number in ours)

    def _steps(self, here: Place, there: Place) -> list[Step] | str:
        """Return the steps that adapt a tensor of the base to the shape of ours, or the reason why it is impossible."""
        values = step_of_values(here, there)
        if isinstance(values, str):
            return values
        steps = [values] if values else []
        axes = axes_of_both(here, there, classifies=here.node.id in self.classifiers)
        if axes is None:
            return steps if here.shape == there.shape else mismatch(here, there)
        one, other = axes
        for axis, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            size, of = here.shape[axis], there.shape[axis]
            step = self._step(axis, (mine, theirs), (size, of), (here, there))
            if isinstance(step, str):
                return step
            if step is not None:
                steps.append(step)
        return steps

    def _classes(self, size: int, of: int) -> Step | str | None:
        """Return the step for the rows of a classifier, None if they are those of the base, or the reason for none."""
        sources = self.rules.classes
        if sources is None:
            return None if size == of else f"{of} classes, here {size}"
        if len(sources) != size or max(sources) >= of:
            return f"{of} classes, here {size}, which are not those of the rule `classes`"
        return self._select(0, sources, of, "classes") if max(sources) >= 0 else "no class of the base is one here"

    def _step(
        self, axis: int, meanings: tuple[Axis, Axis], sizes: tuple[int, int], places: tuple[Place, Place]
    ) -> Step | str | None:
        size, of = sizes
        match meanings:
            case Out(), Out() if axis == 0 and places[0].node.id in self.classifiers:
                return self._classes(size, of)
            case Out(), Out():
                values = places[0].node.id, places[1].node.id
                return self._channels(axis, values, sizes, "output channels")
            case In(), In():
                values = places[0].node.inputs[0], places[1].node.inputs[0]
                return self._channels(axis, values, sizes, "input channels", share=True)
            case Inner() as inner, Inner() as old if are_regrouped(inner, old):
                return regrouping(axis, inner.parts, size // inner.parts, (inner.heads, old.heads))
            case Inner(parts=parts, heads=ours), Inner(heads=theirs):
                sources = inner_sources(size, of, parts, (ours, theirs), self.rules.width)
                return self._select(axis, sources, of, "channels", share=axis > 0)
            case Heads(), Heads():
                return self._select(axis, source_channels(size, of, self.rules.width), of, "heads")
            case Extent() as extent, Extent():
                return self._extent(axis, extent, size, of)
            case _:
                return self._rows(axis, meanings, sizes, places[0])

    def _channels(
        self, axis: int, values: tuple[int, int], sizes: tuple[int, int], what: str, *, share: bool = False
    ) -> Step | str | None:
        """Return the step for an axis with one element per channel of a value, or the reason why there is none."""
        ours, theirs = self.channels.origins[values[0]], self.base_channels.origins[values[1]]
        size, of = sizes
        if (size, of) != (_count(ours), _count(theirs)):  # an added layer that names the wrong axis
            return None if size == of else f"size {of}, here {size}, which is not the number of {what}"
        if size != of and self.channels.are_frames(values[0]) and self.base_channels.are_frames(values[1]):
            return (
                Stretch(axis, size, of, UNITS["t"], of_patches=False) if share else Lengthen(axis, size, of, "frames")
            )
        if size != of and (self.channels.are_positions(values[0]) or self.base_channels.are_positions(values[1])):
            return f"{of} positions of a frame, here {size}"
        return self._select(axis, value_sources(ours, theirs, self.partners, self.rules.width), of, what, share=share)

    def _rows(self, axis: int, meanings: tuple[Axis, Axis], sizes: tuple[int, int], here: Place) -> Step | str | None:
        """Return the step for a table with one row per position or the like, or the reason why there is none."""
        step = step_of_rows(axis, meanings, sizes, self.rules.positions)
        along_t, along_space = self.channels.along(here.node.inputs[0]) if here.node.inputs else (False, False)
        match step, meanings[0]:
            case Resample(grid=grid, of=old), _:
                are_channels = (along_t and grid[0] != old[0]) or (along_space and grid[1:] != old[1:])
            case Lengthen(), Offsets(axis=along):
                are_channels = along_t if along == "t" else along_space
            case _:
                are_channels = False
        return f"{sizes[1]} rows, here {sizes[0]}, along an axis of channels" if are_channels else step

    def _select(self, axis: int, sources: tuple[int, ...], of: int, what: str, *, share: bool = False) -> Step | None:
        if sources == tuple(range(of)):
            return None
        return Select(axis, sources, of, what, share)

    def _extent(self, axis: int, extent: Extent, size: int, of: int) -> Step | None:
        name = UNITS[extent.axis]
        if size == of:
            return None
        if extent.axis == "t" and of == 1:
            return Inflate(axis, size, self.rules.inflate)
        if extent.axis == "t" and size == 1:
            return Sum(axis, of)
        return Stretch(axis, size, of, name) if extent.patches else Centre(axis, size, of, name)


def _count(segments: tuple[Segment, ...]) -> int:
    return sum(segment.channels for segment in segments)


def unneeded(plan: TransferPlan, names: Plan) -> set[str]:
    """Return the names of a checkpoint's tensors that initialise nothing, so that they may be missing.

    `names` maps the checkpoint to the base.
    """
    needed = {name for entry in plan.entries for name in entry.bases}
    return {t.name for move in names.moves if not any(o.name in needed for o in move.ours) for t in move.theirs}


def plan_json(plan: TransferPlan) -> dict[str, Any]:
    """Return the plan as JSON data."""
    return {
        "base": plan.base,
        "arch": plan.network,
        "counts": plan.counts,
        "tensors": [
            {
                "name": e.name,
                "shape": list(e.shape),
                "how": e.how,
                "from": (e.bases[0] if len(e.bases) == 1 else list(e.bases)) if e.base else None,
                "from_shape": list(e.base_shape) if e.base_shape is not None else None,
                "why": e.why or None,
            }
            for e in plan.entries
        ],
        "unused": [{"name": n, "shape": list(s), "why": plan.why_unused.get(n)} for n, s in plan.unused.items()],
        "warnings": [warning.label for warning in plan.warnings],
    }
