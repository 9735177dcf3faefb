"""Read this first: the compilation of a spec to a module. Each step is a function from one form to the next.

    text ── parse ──▶ syntax tree ── resolve ──▶ program ── expand ──▶ network ── lower ──▶ lowered ── print ──▶ code
            frontend               elaborate              elaborate               lowering             targets

`expand` builds the networkx graph and infers its shapes. A fault in any step is a `Diagnostic`; all of them are raised
together in a `SpecError`. Nothing here reads or writes a file; a `Library` finds the other files that a spec names.

Weights: `weights` binds the names of another code base to the tensors of the network, `transfer` initialises them from
the weights of another network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.report import Reporter
from archdsl.core.sizes import exact_size
from archdsl.core.source import STDIN, TEXT
from archdsl.core.work import Work
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.expand import expand
from archdsl.elaborate.parameters import ParameterScope, setting
from archdsl.elaborate.published import read_published
from archdsl.elaborate.recipe import read_recipe
from archdsl.elaborate.resolve import Resolver
from archdsl.elaborate.symbols import known_symbols
from archdsl.elaborate.unused import warn_unused
from archdsl.ir.tensors import tensors
from archdsl.resources import bundled_specs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from archdsl.core.source import Source
    from archdsl.elaborate.clip import Clip
    from archdsl.elaborate.program import Library, Program
    from archdsl.frontend.ast import Binding
    from archdsl.ir.network import Fitted, Network
    from archdsl.targets.torch.select import OpNetwork
    from archdsl.transfer.plan import Rules, TransferPlan
    from archdsl.weights.plan import Plan
    from archdsl.weights.tree import WeightMap


@dataclass(frozen=True, eq=False, repr=False)
class Analysis:
    """A spec without faults, and the warnings about it."""

    program: Program
    network: Network
    parameters: dict[str, Any]
    warnings: tuple[Diagnostic, ...]
    settings: tuple[Binding, ...] = ()
    clip: Clip | None = None
    like: WeightMap | None = None
    adopted: tuple[Binding, ...] = ()  # parameter values that `like` needs

    def __repr__(self) -> str:
        return f"<Analysis {self.network.name}>"


def analyse(  # noqa: PLR0913, PLR0917  # all options for a spec
    source: Source,
    library: Library,
    settings: Sequence[Binding] = (),
    clip: Clip | None = None,
    like: str | None = None,
    recipe: Sequence[Binding] = (),
    like_option: str = "--like",
) -> Analysis:
    """Check a spec, and expand it to a network.

    Args:
        source: the spec.
        library: finds the files that it names.
        settings: values for its parameters.
        clip: the size of its input, instead of the declared one.
        like: a source of published weights, whose parameter values apply unless `settings` override them.
        recipe: values for its recipe.
        like_option: the option or argument that gave `like`, for diagnostics.

    Raises:
        SpecError: with every fault of the spec.
    """
    reporter = Reporter()
    work = Work()
    program = Resolver(library, reporter, work).resolve(source)
    evaluator = Evaluator(reporter, known_symbols(program), work)
    weights, needs = _needs(program, library, like, like_option) if like else (None, [])
    chosen: Mapping[str, Binding] = {b.name.id: b for b in (*needs, *settings)}
    scope = ParameterScope(program.declarations, chosen, evaluator, reporter, program.functions)
    scope.check()
    warn_unused(program, reporter)
    hyperparameters = read_recipe(program, recipe, evaluator, scope)
    options = {b.span.source for b in (*chosen.values(), *recipe)}
    if any(d.span.source in options for d in reporter.diagnostics):
        raise SpecError(reporter.diagnostics)
    network = expand(program, scope, evaluator, reporter, clip)
    network.published = read_published(program, evaluator, scope)
    network.recipe = hyperparameters
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    values = {name: b.value for name in program.declarations if (b := scope.find(name)) is not None}
    adopted = tuple(b for b in needs if chosen[b.name.id] is b)
    return Analysis(program, network, values, tuple(reporter.diagnostics), tuple(settings), clip, weights, adopted)


def _needs(program: Program, library: Library, like: str, option: str) -> tuple[WeightMap, list[Binding]]:
    from archdsl.weights.sources import find_map, needs_of

    weights = find_map(program, like, library, option)
    return weights, [needed.binding for needed in needs_of(weights, program)]


def plan_weights(analysis: Analysis, library: Library, source: str, option: str) -> Plan:
    """Return the correspondence of a network's tensors with a source's; `option` named the source, for diagnostics.

    Raises:
        SpecError: if there is no map for it, the map has faults or does not fit, or the source needs another network.
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
        settings = [*analysis.adopted, *analysis.settings]
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
        other_spec=suggestions.other_spec,
    )


@dataclass(frozen=True)
class _Suggestions:
    """Other networks that a checkpoint could be for, computed only if it does not fit."""

    analysis: Analysis
    library: Library
    source: str
    option: str

    def changed(self, name: str, value: int) -> Plan | None:
        """Return the plan with another value of a parameter; None if the value is invalid."""
        like = self.analysis.like.source.text if self.analysis.like is not None else None
        own = self.analysis.program.files[0].source
        try:
            settings = [*self.analysis.settings, setting(name, value)]
            analysis = analyse(own, self.library, settings, self.analysis.clip, like)
            return plan_weights(analysis, self.library, self.source, self.option)
        except SpecError:
            return None

    def other_spec(self, tensors: Mapping[str, Any]) -> str:
        """Return a hint that names other specs with these tensors, or, for our own names, this spec without `like`."""
        from archdsl.weights.plan import OWN
        from archdsl.weights.siblings import hint_at_siblings

        like = self.analysis.like
        plain = ""
        if self.source == OWN and like is not None:
            listed = ", ".join(f"{b.name.id} = {b.value.span.text.strip()}" for b in self.analysis.adopted)
            name = self.analysis.network.name
            plain = f"the checkpoint matches `{name}` without `like`; `{like.source.text}` needs it with {listed}"
        return hint_at_siblings(tensors, self.analysis.program, self.library, self._plan_for, plain)

    def _plan_for(self, spec: Source) -> Plan:
        from archdsl.weights.plan import OWN

        own = spec is self.analysis.program.files[0].source
        like = None if self.source == OWN else self.source
        analysis = analyse(spec, self.library, self.analysis.settings if own else (), like=like)
        return plan_weights(analysis, self.library, self.source, self.option)


def plan_transfer(base: Analysis, analysis: Analysis, library: Library, rules: Rules) -> TransferPlan:
    """Plan the initialisation of a network's tensors from those of its base.

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
    """Return True if the spec with other settings is the same network."""
    try:
        other = analyse(analysis.program.files[0].source, library, settings, analysis.clip).network
    except SpecError:
        return False
    return _same(analysis.network, other)


def _same(one: Network, other: Network) -> bool:
    """Return True if two networks are the same: not every change of a parameter has an effect."""

    def nodes(network: Network) -> list[Any]:
        return [(n.name, n.layer.kind, n.layer.values(), n.inputs, n.shape) for n in network.all_nodes()]

    return nodes(one) == nodes(other)


def fit_memory(analysis: Analysis, limit: int, batch: int, without: Collection[str] = ()) -> Fitted:
    """Choose the stages to checkpoint, so that activations fit into memory.

    Args:
        analysis: the spec.
        limit: limit of the activation memory, in bytes.
        batch: the number of clips.
        without: passes of the lowering to leave out.

    Raises:
        TooLarge (a ValueError): if activations exceed the limit even with every stage checkpointed.
    """
    from archdsl.targets.torch.checkpoints import fit
    from archdsl.targets.torch.lower import lower

    return fit(lower(analysis.network, without), limit, batch)


def module_text(
    analysis: Analysis,
    without: Collection[str] = (),
    target: str = "train",
    fitted: Fitted | None = None,
    output: str | None = None,
) -> str:
    """Return the source code of the PyTorch module for a target.

    Args:
        analysis: the spec.
        without: passes of the lowering to leave out.
        target: what the module is for.
        fitted: its stages become the default of checkpointing.
        output: the file or folder that the module was asked to be written to, for the command in its first lines.

    Raises:
        ValueError: if there is no such target, or no such pass.
    """
    from archdsl.targets.torch.lower import TRAIN, check_options, lower
    from archdsl.targets.torch.module import Origin, generate

    source = analysis.program.files[0].source
    spec = spec_name(source)
    network = analysis.network
    check_options(without, target)
    options = command(spec, analysis) + (f" --target {target}" if target != "train" else "")
    options += "".join(f" --no-pass {name}" for name in without)
    lowered = lower(network, without, target)
    if fitted is not None:
        lowered.fitted = fitted
        options += f" --max-activation {exact_size(fitted.limit)} --batch {fitted.batch}"
    options += _quoted(" -o ", output) if output is not None else ""
    origin = Origin(PurePath(spec).name, digest(source), options)
    text = generate(network, lowered, origin, trains=target == TRAIN)
    if any(layer.added_by for n in lowered.all_nodes() for layer in (n.layer, *n.layer.layers_inside())):
        _verify(network, lowered, text)
    return text


def _verify(network: Network, lowered: OpNetwork, text: str) -> None:
    """Verify a module with added layers against the graph, if torch is installed."""
    from importlib.util import find_spec

    if find_spec("torch") is not None:
        from archdsl.targets.torch.verify import verify

        verify(network, lowered, text)


def digest(spec: Source) -> str:
    """Return the sha256 of a spec's own file; an edit of a library changes only modules whose code it changes."""
    import hashlib

    return hashlib.sha256(spec.text.encode()).hexdigest()


def spec_name(spec: Source) -> str:
    """Return what a command takes for a spec where it was read: its path, or the name of a bundled one."""
    path = Path(spec.name)
    bundled = bundled_specs().get(path.stem)
    return path.stem if bundled is not None and bundled.resolve() == path.resolve() else spec.name


def command(spec: str, analysis: Analysis) -> str:
    """Return the command line that compiles a spec, as `spec_name` gives it, in the folder where it was read."""
    options = [f" --like {analysis.like.source.text}"] if analysis.like is not None else []
    options += [_quoted(" --set ", f"{b.name.id}={b.value.span.text.strip()}") for b in analysis.settings]
    if analysis.clip is not None:
        options.append(" --clip " + "x".join(map(str, analysis.clip)))
    name = _quoted(" ", "-" if spec in (STDIN, TEXT) else spec)
    return f"archdsl compile{name}{''.join(options)}"


def _quoted(option: str, value: str) -> str:
    """Return an option with its value, which a shell would take apart."""
    import shlex

    return option + shlex.quote(value)
