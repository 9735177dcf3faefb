"""Layers by name, and faults of names in chains that no layer has, with what may have been meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note
from archdsl.core.names import why_refused
from archdsl.core.source import Span
from archdsl.elaborate.cures import layer_cure, with_arguments
from archdsl.elaborate.earlier import refuses_settings
from archdsl.elaborate.meanings import ADDING, LAYERS, layer_meaning
from archdsl.frontend import ast, labels
from archdsl.frontend.translate import plain
from archdsl.ir.regions import Head
from archdsl.layers.attention_arguments import LINE_BRACES
from archdsl.layers.bias import Bias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.elaborate.context import Context, Referred
    from archdsl.elaborate.fault_reporter import FaultReporter
    from archdsl.layers.base import Layer

LATER = "a value is known below the line that names it: move this line down"


class LayerNames:
    """The names that stand for layers in chains.

    `hidden` are names of values given in the middle of a line that is over, `dropped` those of the paths that a variant
    drops, `stages` those of stages, `ended` the paths of the stages whose lines are over, `by_name` inputs that layers
    refer to: a diagnostic for one of them in a chain explains why it is no value.
    """

    def __init__(
        self, layers: Mapping[str, type[Layer]], by_name: Mapping[str, Referred], faults: FaultReporter
    ) -> None:
        self.layers = layers
        self.by_name = by_name
        self.faults = faults
        self.hidden: set[str] = set()
        self.dropped: Mapping[str, ast.Name] = {}
        self.stages: Mapping[str, ast.Label] = {}  # those that are expanded
        self.ended: dict[str, Sequence[str]] = {}

    def find(self, name: str) -> type[Layer] | None:
        """Return the layer of a name that a spec can write."""
        cls = self.layers.get(name)
        return None if cls is None or cls.internal else cls

    def bias(self, name: str) -> type[Bias] | None:
        """Return the bias of scores of a name."""
        cls = self.find(name)
        return cls if cls is not None and issubclass(cls, Bias) else None

    def check_label(self, label: ast.Name, context: Context, known: Span | None) -> None:
        """Report a name behind `as` that is refused or taken; `known` is the place of the value that has it."""
        reporter = self.faults.reporter
        refused = why_refused(label.id)
        if not refused and (label.id in self.layers or label.id in context.module.blocks):
            refused = f"`{label.id}` is a layer or a block"
        if refused:
            reporter.report("E0204", label.span, refused)
        if label.id in context.values:
            again = known == label.span
            notes = [Note("first here", known)] if known is not None and not again else []
            hint = _numbered(label.id, context) if again else ""
            reporter.report("E0203", label.span, f"`{label.id}` is defined before", notes, hint)

    def report_unknown(self, link: ast.Layer, context: Context, *, first: bool) -> None:
        """Report a name in a chain that no layer, block or value has; `first` where it begins the chain."""
        name, span = link.name.id, link.name.span
        if self.faults.knows("E0202", span):
            return
        if self.faults.reporter.is_crowded:
            self.faults.report("E0202", span, f"no layer, block or value is called `{name}`")
            return
        could_be_value = first and link.arguments is None
        what = "layer, block or value" if could_be_value else "layer or block"
        hint, notes = self._meaning(link.name, context, could_be_value=could_be_value)
        cure = layer_cure(link)
        hint, notes = (cure, []) if cure else (with_arguments(hint, link), notes)
        if cure:
            self.faults.reporter.withdraw("E0103", link.span)  # a tuple in it, which is a list in the cure
        if name in self.stages:
            hint, notes = self._stage(link, context), [Note("the stage", self.stages[name].span)]
        if line := self.faults.places.replaced_line:
            notes = [*notes, Note("the base's stage begins with this line", line)]
        if name in self.hidden:
            hint = "only the last value of a line can be used in other lines: end the line, or the stage, at `as`"
        if name in self.dropped:
            hint = "the variant needs a line, or a `head`, of its own that does without the path"
            notes = [*notes, Note("the path is dropped here", self.dropped[name].span)]
        self.faults.report("E0202", span, f"no {what} is called `{name}`", hint, notes)

    def _stage(self, link: ast.Layer, context: Context) -> str:
        """Return the reason why the label of a stage is no value in a chain, and what to write."""
        name = link.name.id
        if context.opened:
            return f"a block sees no stages: a parameter `{name}: value` is given one, as in `up(8, {name})`"
        if name not in self.ended:
            return "a line goes on from the one before; the value behind a stage is known below it"
        if link.arguments is not None:
            return f"a stage is a value, with which a chain begins: `{name} -> …`"
        paths = self.ended[name] or ["PATH"]
        runs = f"the paths {' and '.join(f'`{p}`' for p in paths)} run through it" if len(paths) > 1 else "no path ends"
        return f"{runs}: name the value of one, `… as {name}_{paths[0]}`, at the end of its line"

    def as_merge(self, label: ast.Label) -> ast.Merge | None:
        """Return a join of one branch, `grid{relu}`, whose text is like a label; None for the label of a value."""
        join, branch = labels.as_call(label) or ("", "")
        cls = self.layers.get(join)
        if join not in LINE_BRACES and (cls is None or not cls.many):
            return None
        span = label.span
        step = ast.Step(span, ast.Layer(span, ast.Name(span, branch), None), None, None)
        return ast.Merge(span, ast.Name(span, join), None, (ast.Chain(span, (step,)),))

    def _meaning(self, written: ast.Name, context: Context, *, could_be_value: bool) -> tuple[str, list[Note]]:
        """Return a hint and notes on what an unknown name was meant to be."""
        name = written.id
        if could_be_value and (below := named_below(written.span)):
            return LATER, [Note("named here", below)]
        if could_be_value and context.scope.find(name) is None and (inside := _named_inside(written.span)):
            hint = "a name given in a block, a shortcut, or the braces of an `if`, is known there alone"
            return hint, [Note("named here", inside)]
        library = context.module.elsewhere(name)
        if name in self.by_name:
            referred = self.by_name[name]
            return f"{referred.noun} are given to a layer by name: `{referred.example.format(name)}`", []
        if context.scope.find(name) is not None:
            return f"`{name}` is a value, which stands in the arguments of a layer", []
        if context.scope.find_function(name) is not None:
            return f"`{name}` is a function of values, called in the arguments of a layer: `conv({name}(…))`", []
        if library:
            return _of_library(name, library), []
        values = (*context.values, *context.stages) if could_be_value else ()
        known = {*context.module.blocks, *self._written(), *values}
        hint, could_be_added = layer_meaning(name, self._written(), known)
        return hint, [Note(ADDING)] if could_be_added else []

    def report_value(self, link: ast.Layer | ast.Label) -> None:
        """Report the name of a value behind `->`."""
        hint = "to join values, write `concat { a, b }` or `add { a, b }`"
        label = f"the value `{link.span.text}` can only begin a chain"
        self.faults.reporter.report("E0105", link.span, label, hint=hint)

    def report_entering(self, link: ast.Entering) -> None:
        """Report `in` behind `->`, or repeated."""
        hint = "the value that enters is the branch `in` of a join: `concat { in, conv(8) }`; `residual { … }` adds it"
        self.faults.reporter.report("E0105", link.span, "`in` can only begin a chain", hint=hint)

    def is_refused(self, cls: type[Layer], link: ast.Layer) -> bool:
        """Return True for a layer that cannot be a link of a chain, which is reported."""
        if cls.many:
            self._report_without_branches(link)
        elif issubclass(cls, Bias):
            self._report_bias(link)
        elif cls.takes_lines:
            return refuses_settings(link, self.faults)
        return cls.many or issubclass(cls, Bias)

    def _report_bias(self, link: ast.Layer) -> None:
        """Report a bias of scores that stands in a chain."""
        lined = " and ".join(f"`{k}`" for k, c in self._written().items() if c.takes_lines)
        hint = f"in the braces of {lined} the line `bias: {link.span.text}` adds it to the scores"
        self.faults.report(
            "E0105", link.name.span, f"`{link.name.id}` is a bias of scores, not a link of a chain", hint
        )

    def _report_without_branches(self, link: ast.Layer) -> None:
        """Report a layer that joins values, in a chain without the braces of its branches."""
        name = link.name.id
        inside = ", ".join(a.span.text for a in link.arguments or ()) if link.arguments else "a -> …, b -> …"
        hint = f"braces hold the branches: `{name} {{ {inside} }}`"
        if any(a.name is not None and a.name.id in ("dim", "axis", "keepdim") for a in link.arguments or ()):
            hint = "`avgpool` takes the mean over all positions; " + f"`{name} {{ a, b }}` that of several values"
        if any(isinstance(a.value, (ast.Number, ast.List)) for a in link.arguments or ()):
            pools = "`avgpool` and `maxpool` have a kernel; " if self._written()[name].category == "merge" else ""
            hint = f"{pools}braces hold values: `{name} {{ a, b }}`"
        label, cls = f"`{name}` takes several values", self.layers[name]
        if cls.passes_tokens:
            label, hint = f"`{name}` takes a chain", f"braces hold the chain: `{name} {{ conv(8, 3) }}`"
        elif cls.attributes:
            hint = f"braces hold the values: `{link.span.text} {{ in, … }}`"
        self.faults.reporter.report("E0405", link.span, label, hint=hint)

    def report_no_join(self, link: ast.Merge, context: Context) -> None:
        """Report that a name before braces is none of a layer that joins values."""
        if self.faults.knows("E0202", link.name.span):
            return
        name = link.name.id
        lined = " and ".join(f"`{k}`" for k, c in self._written().items() if c.takes_lines)
        if name in LINE_BRACES:
            label = f"`{name}` stands in the lines of {lined}"
            self.faults.report("E0105", link.name.span, label, f"`{name} {{ … }}` is a part of a line such as `qk: …`")
            return
        cls = self.find(name)
        if cls is not None and cls.takes_lines:
            hint = f"its lines have names: `qkv: {link.branches[0].span.text}`"
            self.faults.report("E0405", link.name.span, f"`{name}` takes lines, not branches", hint)
            return
        several = {k: c for k, c in self._written().items() if c.many and not c.passes_tokens}
        joins = [k for k, c in several.items() if c.category == "merge"]
        known = " and ".join([", ".join(f"`{k}`" for k in joins[:-1]), f"`{joins[-1]}`"])
        if name in self._written() or name in context.module.blocks:
            hint = (
                f"branches are joined by {known}; `{name}` stands in one of them, or behind: `concat {{ … }} -> {name}`"
            )
            self.faults.report("E0405", link.name.span, f"`{name}` takes one value, not several branches", hint)
            return
        hint, could_be_added = layer_meaning(name, several, several)
        notes = [Note(ADDING)] if could_be_added else []
        self.faults.report("E0202", link.name.span, f"no layer that joins values is called `{name}`", hint, notes)

    def report_nothing_in_hand(self, link: ast.Link | ast.Chain, context: Context) -> None:
        """Report a chain, or a link of one, that has no value to be applied to."""
        label = "no value is in hand here" + (", several are known" if len(context.values) > 1 else "")
        if isinstance(link, ast.Chain):
            label = "this begins with no value, and makes none"
        self.faults.reporter.report("E0602", link.span, label, hint=lambda: _beginnings(context, self.ended))

    def _written(self) -> dict[str, type[Layer]]:
        """Return the layers that a chain can name."""
        return {k: c for k, c in self.layers.items() if not (c.internal or issubclass(c, Bias))}


def _of_library(name: str, library: str) -> str:
    """Return what to write for a block of a library that is not imported."""
    meaning = LAYERS.get(plain(name), "")
    more = f"; without it, {meaning}" if " " in meaning and "import" not in meaning else ""
    return f"`import {library}` brings this block{more}"


def _beginnings(context: Context, ended: Mapping[str, Sequence[str]]) -> str:
    """Return what a chain can begin with; a head, with the ends of the paths that run through stages."""
    paths = dict.fromkeys(path for through in ended.values() for path in through if path in context.values)
    if isinstance(context.region, Head) and len(paths) > 1:
        pooled = ", ".join(f"{path} -> avgpool" for path in paths)
        return f"the head begins with the ends of the paths: `concat {{ {pooled} }} -> linear(400)`"
    names = [f"`{n}`" for n in sorted(context.values)]
    return "begin the chain with " + " or ".join(names if len(names) < 12 else [*names[:11], "…"])


def _numbered(name: str, context: Context) -> str:
    """Return what to write for a name that a line has given in another round."""
    number = "index" if context.scope.find("index") is not None else "i"
    return f"each round needs a name of its own, as in `as {name}{{{number}}}`"


def named_below(name: Span) -> Span | None:
    """Return the place below the name of a value where `as`, or a stage, gives it, if there is one."""
    source, word = name.source, re.escape(name.text)
    given = rf"^[^#\n]*?\b(?:as|(?<!\w)stage)[ \t]+({word})(?![\w{{])"
    found = re.compile(given, re.MULTILINE).search(source.text, name.end)
    return Span(source, *found.span(1)) if found is not None else None


def _named_inside(name: Span) -> Span | None:
    """Return the place above a name that is no value here where `as` gives it to one, if there is one."""
    given = re.compile(rf"^[^#\n]*?\bas[ \t]+({re.escape(name.text)})(?![\w{{])", re.MULTILINE)
    found = given.search(name.source.text, 0, name.start)
    return Span(name.source, *found.span(1)) if found is not None else None
