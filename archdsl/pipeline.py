"""Read this first: how a text becomes a module. Each step is a function from one form to the next.

    text ── parse ──▶ syntax tree ── resolve ──▶ program ── expand ──▶ network ── lower ──▶ lowered ── print ──▶ code
            frontend                 graph                  graph                 lowering             targets

`expand` makes the networkx graph and infers the shapes in it; a fault in any step is a `Diagnostic`, and all that could
be found are raised together in a `SpecError`. Nothing here reads or writes a file; a `Library` finds the other files
that a spec names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.report import Reporter
from archdsl.graph.evaluate import Evaluator
from archdsl.graph.expand import expand
from archdsl.graph.parameters import ParameterScope
from archdsl.graph.program import Program, Resolver
from archdsl.graph.published import read_published
from archdsl.graph.symbols import known_symbols
from archdsl.graph.unused import warn_unused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.core.source import Source
    from archdsl.frontend.ast import Binding
    from archdsl.graph.expand import Clip
    from archdsl.graph.model import Network
    from archdsl.graph.program import Library


@dataclass(frozen=True, eq=False)
class Analysis:
    """A spec without faults, and the warnings about it."""

    program: Program
    network: Network
    parameters: dict[str, Any]
    warnings: tuple[Diagnostic, ...]
    settings: tuple[Binding, ...] = ()
    clip: Clip | None = None


def analyse(source: Source, library: Library, settings: Sequence[Binding] = (), clip: Clip | None = None) -> Analysis:
    """Text to network.

    Raises:
        SpecError: with every fault that could be found.
    """
    reporter = Reporter()
    program = Resolver(library, reporter).resolve(source)
    evaluator = Evaluator(reporter, known_symbols(program))
    chosen: Mapping[str, Binding] = {s.name.id: s for s in settings}
    scope = ParameterScope(program.declarations, chosen, evaluator, reporter)
    scope.check()
    warn_unused(program, reporter)
    if any(d.span.source.name == "--set" for d in reporter.diagnostics):
        raise SpecError(reporter.diagnostics)
    network = expand(program, scope, evaluator, reporter, clip)
    network.published = read_published(program, evaluator, scope)
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    values = {name: b.value for name in program.declarations if (b := scope.find(name)) is not None}
    return Analysis(program, network, values, tuple(reporter.diagnostics), tuple(settings), clip)


def module_text(analysis: Analysis) -> str:
    """Network to code: the text of the PyTorch module."""
    from archdsl.lowering import lower
    from archdsl.targets.torch import generate

    program = analysis.program
    sources = [f.source for f in program.files] + program.imported
    spec = PurePath(program.files[0].source.name).name
    network = analysis.network
    return generate(network, lower(network), spec, digest(sources), command(spec, analysis))


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

    options = [f" --set {shlex.quote(b.name.id + '=' + b.value.span.text.strip())}" for b in analysis.settings]
    if analysis.clip is not None:
        options.append(" --clip " + "x".join(map(str, analysis.clip)))
    return f"archdsl compile {shlex.quote(spec)}{''.join(options)}"
