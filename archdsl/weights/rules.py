"""Rules of a map against names of tensors."""

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
    """A tensor of ours that a rule is for: as which of its parts, and what the captures hold."""

    rule: Rule
    part: int
    captured: dict[str, str]


class Matcher:
    """The rules of one map.

    What a `number` is for gets the next one when it is first matched, so names are asked for in the network's order.
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
        """The rules that are for a tensor of ours."""
        found = ((rule, part, pattern.fullmatch(name)) for rule, part, pattern in self.patterns)
        matches = [Match(rule, part, m.groupdict()) for rule, part, m in found if m is not None]
        for capture, numbers in self.numbers.items():
            for match in matches:
                if capture in match.captured:
                    numbers.setdefault(match.captured[capture], len(numbers))
        return matches

    def ours(self, match: Match) -> tuple[str, ...]:
        """The names of our tensors that the match speaks of: more than one where they are parts of one of theirs."""
        return tuple(spelled(tensors, match.captured) for tensors in match.rule.ours)

    def theirs(self, match: Match) -> tuple[str, ...]:
        """The names that theirs have."""
        captured = {name: self._theirs(name, text) for name, text in match.captured.items()}
        return tuple(spelled(tensors, captured) for tensors in match.rule.theirs)

    def _theirs(self, capture: str, text: str) -> str:
        if capture in self.numbers:
            return str(self.numbers[capture][text])
        words = self.words.get(capture)
        return text if words is None else next(t.text for o, t in words.spellings if o.text == text)


def any_of(patterns: Iterable[Tensors], weights: WeightMap) -> re.Pattern[str]:
    """What matches the names that theirs have by one of several patterns."""
    texts = [f"(?:{expression(tensors, weights, 1, named=False)})" for tensors in patterns]
    return re.compile("|".join(texts)) if texts else NO_NAME


def expression(tensors: Tensors, weights: WeightMap, side: int, *, named: bool = True) -> str:
    """A pattern as a regular expression; `side` is 0 for our words, 1 for theirs."""
    texts: list[str] = []
    for part in tensors.parts:
        if isinstance(part, str):
            texts.append(re.escape(part))
            continue
        inner = _held(part, weights, side)
        texts.append(f"(?P<{part.name}>{inner})" if named else f"(?:{inner})")
    return "".join(texts)


def _held(capture: Capture, weights: WeightMap, side: int) -> str:
    """What a capture can hold, as a regular expression."""
    number = weights.numbers.get(capture.name)
    if number is not None:
        return _NUMBER if side else "|".join(_numbered(pattern, weights) for pattern in number.patterns)
    return _word(capture, weights, side, r".+" if capture.dotted else r"[^.]+")


def _numbered(pattern: Tensors, weights: WeightMap) -> str:
    """What a `number` is for; its captures hold digits, but for those that have words."""
    parts = (re.escape(p) if isinstance(p, str) else _word(p, weights, 0, _NUMBER) for p in pattern.parts)
    return "".join(f"(?:{part})" for part in parts)


def _word(capture: Capture, weights: WeightMap, side: int, otherwise: str) -> str:
    """One of the words that a capture has; what it holds otherwise, if it has none."""
    words = weights.words.get(capture.name)
    return "|".join(re.escape(pair[side].text) for pair in words.spellings) if words is not None else otherwise


def spelled(tensors: Tensors, captured: Mapping[str, str]) -> str:
    """The name that a pattern gives."""
    return "".join(p if isinstance(p, str) else captured[p.name] for p in tensors.parts)
