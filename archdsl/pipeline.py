"""Read this first: how a text becomes a module. Each step is a function from one form to the next.

    text ── parse ──▶ syntax tree ── resolve ──▶ program ── expand ──▶ network ── lower ──▶ lowered ── print ──▶ code
            frontend               elaborate              elaborate               lowering             targets

`expand` makes the networkx graph and infers the shapes in it; a fault in any step is a `Diagnostic`, and all that could
be found are raised together in a `SpecError`. Nothing here reads or writes a file; a `Library` finds the other files
that a spec names.

Weights come from the side: `weights` binds the names of another code base to the tensors of the network, `transfer`
makes them of the weights of another network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.report import Reporter
from archdsl.core.sizes import exact_size
from archdsl.core.source import STDIN
from archdsl.core.work import Work
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.expand import expand
from archdsl.elaborate.parameters import ParameterScope, setting
from archdsl.elaborate.program import Program, Resolver
from archdsl.elaborate.published import read_published
from archdsl.elaborate.recipe import read_recipe
from archdsl.elaborate.symbols import known_symbols
from archdsl.elaborate.unused import warn_unused
from archdsl.ir.tensors import tensors

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from archdsl.core.source import Source
    from archdsl.elaborate.inputs import Clip
    from archdsl.elaborate.program import Library
    from archdsl.frontend.ast import Binding
    from archdsl.ir.network import Fitted, Network
    from archdsl.targets.torch.select import OpNetwork
    from archdsl.transfer.plan import Rules, TransferPlan
    from archdsl.weights.plan import Plan
    from archdsl.weights.tree import WeightMap


@dataclass(frozen=True, eq=False)
class Analysis:
    """A spec without faults, and the warnings about it."""

    program: Program
    network: Network
    parameters: dict[str, Any]
    warnings: tuple[Diagnostic, ...]
    settings: tuple[Binding, ...] = ()
    clip: Clip | None = None
    like: WeightMap | None = None
    taken_on: tuple[Binding, ...] = ()  # what the checkpoints of that source need


def analyse(  # noqa: PLR0913, PLR0917  # all that a user can say of a spec
    source: Source,
    library: Library,
    settings: Sequence[Binding] = (),
    clip: Clip | None = None,
    like: str | None = None,
    recipe: Sequence[Binding] = (),
) -> Analysis:
    """Text to network.

    Args:
        source: the spec.
        library: finds the files that it names.
        settings: values for its parameters.
        clip: the size of its input, if it is not the declared one.
        like: a source of published weights; what these need of the parameters counts where nothing is set.
        recipe: values for its recipe.

    Raises:
        SpecError: with every fault that could be found.
    """
    reporter = Reporter()
    work = Work()
    program = Resolver(library, reporter, work).resolve(source)
    evaluator = Evaluator(reporter, known_symbols(program), work)
    weights, needs = _needs(program, library, like) if like else (None, [])
    chosen: Mapping[str, Binding] = {b.name.id: b for b in (*needs, *settings)}
    scope = ParameterScope(program.declarations, chosen, evaluator, reporter)
    scope.check()
    warn_unused(program, reporter)
    told = read_recipe(program, recipe, evaluator, scope)
    given = {b.span.source for b in (*chosen.values(), *recipe)}
    if any(d.span.source in given for d in reporter.diagnostics):
        raise SpecError(reporter.diagnostics)
    network = expand(program, scope, evaluator, reporter, clip)
    network.published = read_published(program, evaluator, scope)
    network.recipe = told
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    values = {name: b.value for name in program.declarations if (b := scope.find(name)) is not None}
    taken_on = tuple(b for b in needs if chosen[b.name.id] is b)
    return Analysis(program, network, values, tuple(reporter.diagnostics), tuple(settings), clip, weights, taken_on)


def _needs(program: Program, library: Library, like: str) -> tuple[WeightMap, list[Binding]]:
    from archdsl.weights.sources import find_map, needs_of

    weights = find_map(program, like, library, "--like")
    return weights, [needed.binding for needed in needs_of(weights, program)]


def plan_weights(analysis: Analysis, library: Library, source: str, option: str) -> Plan:
    """Which tensors of a source are which of the network; `option` is where the user has named the source.

    Raises:
        SpecError: if there is no map for it, the map has faults or does not fit, or the network is not what it needs.
    """
    from dataclasses import replace
    from functools import partial

    from archdsl.weights.plan import OWN, bind, own_plan
    from archdsl.weights.sources import all_maps, check_needs, find_map, needs_of, published, required

    program, network = analysis.program, analysis.network
    if source == OWN:
        plan, rules = own_plan(network.name, tensors(network)), dict[str, str]()
    else:
        weights = find_map(program, source, library, option)
        like = analysis.like.source.text if analysis.like is not None else None
        settings = [*analysis.taken_on, *analysis.settings]
        faults, warnings = check_needs(weights, program, settings, analysis.parameters, like)
        needs = needs_of(weights, program)
        if faults and not _is_with(analysis, library, required(needs, settings)):
            raise SpecError(faults)
        if warnings and _is_with(analysis, library, published(needs, settings)):
            warnings = []
        plan = replace(bind(weights, network.name, tensors(network)), warnings=tuple(warnings))
        rules = {n.binding.name.id: n.binding.value.span.text for n in needs}
    suggestions = _Suggestions(analysis, library, source, option)
    return replace(
        plan,
        parameters=analysis.parameters,
        others=partial(all_maps, program, library),
        rules=rules,
        changed=suggestions.changed,
        alike=suggestions.alike,
    )


@dataclass(frozen=True)
class _Suggestions:
    """Other networks that a checkpoint could be of, made only where it does not fit."""

    analysis: Analysis
    library: Library
    source: str
    option: str

    def changed(self, name: str, value: int) -> Plan | None:
        """Return the plan with another value of a parameter; None if that is not possible."""
        like = self.analysis.like.source.text if self.analysis.like is not None else None
        own = self.analysis.program.files[0].source
        try:
            settings = [*self.analysis.settings, setting(name, value)]
            found = analyse(own, self.library, settings, self.analysis.clip, like)
            return plan_weights(found, self.library, self.source, self.option)
        except SpecError:
            return None

    def alike(self, given: Mapping[str, Any]) -> str:
        """Return what to say of other specs whose tensors these are; of our own names, of this spec without `like`."""
        from archdsl.weights.plan import OWN
        from archdsl.weights.siblings import alike

        like = self.analysis.like
        plain = ""
        if self.source == OWN and like is not None:
            listed = ", ".join(f"{b.name.id} = {b.value.span.text.strip()}" for b in self.analysis.taken_on)
            plain = (
                f"they are of `{self.analysis.network.name}` as it is, and `{like.source.text}` needs it with {listed}"
            )
        return alike(given, self.analysis.program, self.library, self._planned, plain)

    def _planned(self, spec: Source) -> Plan:
        from archdsl.weights.plan import OWN

        own = spec is self.analysis.program.files[0].source
        like = None if self.source == OWN else self.source
        found = analyse(spec, self.library, self.analysis.settings if own else (), like=like)
        return plan_weights(found, self.library, self.source, self.option)


def plan_transfer(base: Analysis, analysis: Analysis, library: Library, rules: Rules) -> TransferPlan:
    """How the tensors of a network come from those of another one, which it is a variant of.

    Raises:
        SpecError: if a map between the two specs has faults.
    """
    from archdsl.transfer.names import renaming
    from archdsl.transfer.plan import plan_transfer
    from archdsl.weights.sources import find_transfer

    weights = find_transfer(base.program, analysis.program, library)
    rename = renaming(weights, tensors(analysis.network))
    return plan_transfer(base.network, analysis.network, rename, rules)


def _is_with(analysis: Analysis, library: Library, settings: Sequence[Binding]) -> bool:
    """Return whether other settings of the spec make the same network."""
    try:
        other = analyse(analysis.program.files[0].source, library, settings, analysis.clip).network
    except SpecError:
        return False
    return _same(analysis.network, other)


def _same(one: Network, other: Network) -> bool:
    """Whether two networks compute the same: a parameter can have another value and change nothing."""

    def nodes(network: Network) -> list[Any]:
        return [(n.name, n.layer.kind, n.layer.values(), n.inputs, n.shape) for n in network.all_nodes()]

    return nodes(one) == nodes(other)


def fit_memory(analysis: Analysis, limit: int, batch: int, without: Collection[str] = ()) -> Fitted:
    """The stages whose blocks training computes again, so that activations fit into memory.

    Args:
        analysis: the spec.
        limit: bytes for the activations that are kept until the backward pass.
        batch: the number of clips.
        without: passes of the lowering to leave out.

    Raises:
        TooLarge: if no choice of stages is enough.
    """
    from archdsl.targets.torch.checkpoints import fit
    from archdsl.targets.torch.lower import lower

    return fit(lower(analysis.network, without), limit, batch)


def module_text(
    analysis: Analysis, without: Collection[str] = (), target: str = "train", fitted: Fitted | None = None
) -> str:
    """Network to code: the text of the PyTorch module for a target, without passes of the lowering if they are named.

    What is `fitted` becomes the default of checkpointing.

    Raises:
        ValueError: if there is no such target, or no such pass.
    """
    from archdsl.targets.torch.lower import TRAIN, check_options, lower
    from archdsl.targets.torch.module import Origin, generate

    program = analysis.program
    sources = [f.source for f in program.files] + program.imported
    if analysis.like is not None:
        sources.append(analysis.like.text)
    spec = PurePath(program.files[0].source.name).name
    network = analysis.network
    check_options(without, target)
    told = command(spec, analysis) + (f" --target {target}" if target != "train" else "")
    told += "".join(f" --no-pass {name}" for name in without)
    lowered = lower(network, without, target)
    if fitted is not None:
        lowered.fitted = fitted
        told += f" --max-activation {exact_size(fitted.limit)} --batch {fitted.batch}"
    origin = Origin(spec, digest(sources), told)
    text = generate(network, lowered, origin, trains=target == TRAIN)
    if any(node.layer.added_by for node in lowered.all_nodes()):
        _verify(network, lowered, text)
    return text


def _verify(network: Network, lowered: OpNetwork, text: str) -> None:
    """Hold a module with added layers against the graph, where torch is installed."""
    from importlib.util import find_spec

    if find_spec("torch") is not None:
        from archdsl.targets.torch.verify import verify

        verify(network, lowered, text)


def digest(sources: Sequence[Source]) -> str:
    """One sha256 of all texts that a module is made of."""
    import hashlib

    total = hashlib.sha256()
    for source in sources:
        total.update(hashlib.sha256(source.text.encode()).digest())
    return total.hexdigest()


def command(spec: str, analysis: Analysis) -> str:
    """The command that makes the same text again, whatever folder it is called from."""
    import shlex

    options = [f" --like {analysis.like.source.text}"] if analysis.like is not None else []
    options += [f" --set {shlex.quote(b.name.id + '=' + b.value.span.text.strip())}" for b in analysis.settings]
    if analysis.clip is not None:
        options.append(" --clip " + "x".join(map(str, analysis.clip)))
    name = "-" if spec == STDIN else shlex.quote(spec)
    return f"archdsl compile {name}{''.join(options)}"
