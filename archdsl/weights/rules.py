"""Matching of a map's rules with tensor names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.weights.tree import Capture, Rule, Tensors, WeightMap

NO_NAME = re.compile(r"(?!)")
_NUMBER = r"[0-9]+"


@dataclass(frozen=True)
class Match:
    """The match of a rule with a tensor of ours: the index of the part, and the captured text by name."""

    rule: Rule
    part: int
    captured: dict[str, str]


class Matcher:
    """The rules of one map.

    A `number` numbers captured texts in the order of their first match, so call `matches` in the network's order.
    """

    def __init__(self, weights: WeightMap) -> None:
        self.words = weights.words
        self.numbers: dict[str, dict[str, int]] = {name: {} for name in weights.numbers}
        self.patterns = [
            (rule, part, re.compile(expression(tensors, weights, 0)))
            for rule in weights.rules
            for part, tensors in enumerate(rule.ours)
        ]

    def matches(self, name: str) -> list[Match]:
        """Return the matches of all rules with a tensor of ours."""
        results = ((rule, part, pattern.fullmatch(name)) for rule, part, pattern in self.patterns)
        matches = [Match(rule, part, m.groupdict()) for rule, part, m in results if m is not None]
        for capture, numbers in self.numbers.items():
            for match in matches:
                if capture in match.captured:
                    numbers.setdefault(match.captured[capture], len(numbers))
        return matches

    def ours(self, match: Match) -> tuple[str, ...]:
        """Return the names of our tensors for a match; several if they are parts of one of theirs."""
        return tuple(spelled(tensors, match.captured) for tensors in match.rule.ours)

    def theirs(self, match: Match) -> tuple[str, ...]:
        """Return the names of the source's tensors for a match."""
        captured = {name: self._theirs(name, text) for name, text in match.captured.items()}
        return tuple(spelled(tensors, captured) for tensors in match.rule.theirs)

    def _theirs(self, capture: str, text: str) -> str:
        if capture in self.numbers:
            return str(self.numbers[capture][text])
        words = self.words.get(capture)
        return text if words is None else next(t.text for o, t in words.spellings if o.text == text)


def any_of(patterns: Iterable[Tensors], weights: WeightMap) -> re.Pattern[str]:
    """Return a regular expression that matches the source's names for any of the patterns."""
    texts = [f"(?:{expression(tensors, weights, 1, named=False)})" for tensors in patterns]
    return re.compile("|".join(texts)) if texts else NO_NAME


def expression(tensors: Tensors, weights: WeightMap, side: int, *, named: bool = True) -> str:
    """Return a pattern as a regular expression; `side` is 0 for our spelling of words, 1 for theirs."""
    texts: list[str] = []
    for part in tensors.parts:
        if isinstance(part, str):
            texts.append(re.escape(part))
            continue
        inner = _capture_expression(part, weights, side)
        texts.append(f"(?P<{part.name}>{inner})" if named else f"(?:{inner})")
    return "".join(texts)


def _capture_expression(capture: Capture, weights: WeightMap, side: int) -> str:
    """Return a regular expression for the text that a capture matches."""
    number = weights.numbers.get(capture.name)
    if number is not None:
        return _NUMBER if side else "|".join(_numbered(pattern, weights) for pattern in number.patterns)
    return _word(capture, weights, side, r".+" if capture.dotted else r"[^.]+")


def _numbered(pattern: Tensors, weights: WeightMap) -> str:
    """Return a regular expression for a pattern of a `number`; captures in it match digits, or their words."""
    parts = (re.escape(p) if isinstance(p, str) else _word(p, weights, 0, _NUMBER) for p in pattern.parts)
    return "".join(f"(?:{part})" for part in parts)


def _word(capture: Capture, weights: WeightMap, side: int, otherwise: str) -> str:
    """Return a regular expression for the words of a capture; `otherwise` if it has none."""
    words = weights.words.get(capture.name)
    return "|".join(re.escape(pair[side].text) for pair in words.spellings) if words is not None else otherwise


def spelled(tensors: Tensors, captured: Mapping[str, str]) -> str:
    """Return the name of a pattern with the captured texts inserted."""
    return "".join(p if isinstance(p, str) else captured[p.name] for p in tensors.parts)
