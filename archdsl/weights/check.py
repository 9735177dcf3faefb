"""Checks of a map that need no network: inconsistent captures and axes, duplicates, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import Note, did_you_mean

if TYPE_CHECKING:
    from archdsl.core.report import Reporter
    from archdsl.core.source import Span
    from archdsl.weights.tree import Alias, Axes, Capture, Number, Rule, Tensors, WeightMap

MAX_CAPTURES = 6  # of one pattern; the cost of matching grows with their number
MAX_DOTTED = 2
MAX_NUMBERED = 8  # patterns of one `number`
MAX_ALIASES = 200  # lines, each of which applies to all tensors


def check_rules(weights: WeightMap, reporter: Reporter) -> None:
    """Report every fault of a map."""
    for number in weights.numbers.values():
        _check_number(number, weights, reporter)
    for rule in weights.rules:
        _check_rule(rule, weights, reporter)
    for alias in weights.aliases:
        _check_alias(alias, weights, reporter)
    if len(weights.aliases) > MAX_ALIASES:
        reporter.report("E0704", weights.aliases[MAX_ALIASES].span, f"at most {MAX_ALIASES} lines `also` and `or`")
    for tensors in weights.drops:
        _check_limits(tensors, weights, reporter)
    _check_words(weights, reporter)
    _check_needs(weights, reporter)


def _check_number(number: Number, weights: WeightMap, reporter: Reporter) -> None:
    name = number.name.text
    if len(number.patterns) > MAX_NUMBERED:
        reporter.report("E0802", number.span, f"at most {MAX_NUMBERED} patterns")
    if name in weights.words:
        note = Note("words here", weights.words[name].name.span)
        reporter.report("E0203", number.name.span, f"`{name}` has `words` already", [note])
    captured = {c.name for rule in weights.rules for tensors in rule.ours for c in tensors.captures}
    if name not in captured:
        hint = did_you_mean(name, captured)
        reporter.report("E0802", number.name.span, f"no rule captures `{name}`", hint=hint)
    for tensors in number.patterns:
        _check_limits(tensors, weights, reporter)
        _check_twice(tensors, reporter)
        for capture in tensors.captures:
            if capture.dotted:
                reporter.report("E0802", capture.span, "a capture of `number` matches digits, so it has no `*`")
            if capture.name in weights.numbers:
                reporter.report("E0802", capture.span, f"`{capture.name}` has a `number` of its own")


def _check_rule(rule: Rule, weights: WeightMap, reporter: Reporter) -> None:
    for tensors in rule.ours:
        _check_limits(tensors, weights, reporter)
        _check_twice(tensors, reporter)
    for tensors in rule.theirs:
        _check_known(tensors, rule.ours[0], "left", reporter)
    if rule.axes is not None:
        _check_axes(rule.axes, reporter)
    if len(rule.ours) > 1 and len(rule.theirs) > 1:
        reporter.report("E0103", rule.span, "only one side of a rule can have parts `{a|b}`")


def _check_alias(alias: Alias, weights: WeightMap, reporter: Reporter) -> None:
    for tensors in (alias.name, alias.of):
        _check_limits(tensors, weights, reporter)
    _check_twice(alias.of, reporter)
    _check_known(alias.name, alias.of, "right", reporter)


def _check_known(tensors: Tensors, other: Tensors, side: str, reporter: Reporter) -> None:
    """Report captures that the other side, which determines their text, does not have."""
    known = {c.name for c in other.captures}
    for capture in tensors.captures:
        if capture.name not in known:
            label = f"the {side} side does not capture `{capture.name}`"
            reporter.report("E0802", capture.span, label, hint=did_you_mean(capture.name, known))


def _check_limits(tensors: Tensors, weights: WeightMap, reporter: Reporter) -> None:
    """Report a pattern with too many captures, which would be expensive to match."""
    captures = tensors.captures
    if sum(_weight(c, weights) for c in captures) > MAX_CAPTURES or sum(c.dotted for c in captures) > MAX_DOTTED:
        label = f"at most {MAX_CAPTURES} captures, {MAX_DOTTED} of them with dots"
        heavy = next((f"`{c.name}` counts as {n}" for c in captures if (n := _weight(c, weights)) > 1), "")
        reporter.report("E0802", tensors.span, label, hint=heavy)


def _weight(capture: Capture, weights: WeightMap) -> int:
    """Return the number of captures that a capture counts as; with a `number`, the captures in its longest pattern."""
    number = weights.numbers.get(capture.name)
    return max(1, *(len(p.captures) for p in number.patterns)) if number is not None else 1


def _check_twice(tensors: Tensors, reporter: Reporter) -> None:
    seen: dict[str, Capture] = {}
    for capture in tensors.captures:
        first = seen.setdefault(capture.name, capture)
        if first is not capture:
            label = f"`{capture.name}` is captured twice"
            reporter.report("E0802", capture.span, label, [Note("first here", first.span)])


def _check_axes(axes: Axes, reporter: Reporter) -> None:
    sides = [[a for group in side for a in group if a != "1"] for side in (axes.ours, axes.theirs)]
    for side in sides:
        for axis in side:
            if axis.isdecimal():
                _axes_fault(axes, f"`{axis}`: an axis needs a name, unless its size is 1", reporter)
            elif side.count(axis) > 1:
                _axes_fault(axes, f"`{axis}` appears twice on one side", reporter)
    lone = sorted(set(sides[0]) ^ set(sides[1])) + sorted(axes.sizes.keys() - set(sides[0]) - set(sides[1]))
    if lone:
        _axes_fault(axes, f"`{lone[0]}` does not appear on both sides", reporter)
    for group in axes.ours:
        unknown = [a for a in group if a != "1" and a not in axes.sizes]
        if len(unknown) > 1:
            _axes_fault(axes, f"the sizes of `{unknown[0]}` and `{unknown[1]}` are unknown", reporter)


def _axes_fault(axes: Axes, label: str, reporter: Reporter) -> None:
    hint = "write our axes, then theirs: `o i -> o i 1 1 1`; `with n = 2` sets a size"
    reporter.report("E0803", axes.span, label, hint=hint)


def _check_words(weights: WeightMap, reporter: Reporter) -> None:
    patterns = [
        *(tensors for rule in weights.rules for tensors in rule.ours),
        *(tensors for number in weights.numbers.values() for tensors in number.patterns),
        *(alias.of for alias in weights.aliases),
        *weights.drops,
    ]
    captured = {c.name for tensors in patterns for c in tensors.captures}
    for name, words in weights.words.items():
        if name not in captured:
            hint = did_you_mean(name, captured)
            reporter.report("E0802", words.name.span, f"no rule captures `{name}`", hint=hint)
        seen: dict[str, Span] = {}
        for ours, _ in words.spellings:
            if ours.text in seen:
                note = Note("first here", seen[ours.text])
                reporter.report("E0203", ours.span, f"a second spelling of `{ours.text}`", [note])
            seen.setdefault(ours.text, ours.span)


def _check_needs(weights: WeightMap, reporter: Reporter) -> None:
    seen: dict[tuple[str, str], Span] = {}
    for need in weights.needs:
        for spec in [w.text for w in need.specs] or [""]:
            for binding in need.bindings:
                key = spec, binding.name.id
                if key in seen:
                    note = Note("first here", seen[key])
                    reporter.report("E0203", binding.name.span, f"a second value of `{binding.name.id}`", [note])
                seen.setdefault(key, binding.name.span)
