"""Rules of a map against names of tensors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from archdsl.weights.tree import Rule, Tensors, WeightMap, Words


@dataclass(frozen=True)
class Match:
    """A tensor of ours that a rule is for: as which of its parts, and what the captures hold."""

    rule: Rule
    part: int
    captured: dict[str, str]


class Matcher:
    """The rules of one map."""

    def __init__(self, weights: WeightMap) -> None:
        self.words = weights.words
        self.patterns = [
            (rule, part, re.compile(_expression(tensors, weights.words, 0)))
            for rule in weights.rules
            for part, tensors in enumerate(rule.ours)
        ]

    def matches(self, name: str) -> list[Match]:
        """The rules that are for a tensor of ours."""
        found = ((rule, part, pattern.fullmatch(name)) for rule, part, pattern in self.patterns)
        return [Match(rule, part, m.groupdict()) for rule, part, m in found if m is not None]

    def ours(self, match: Match) -> tuple[str, ...]:
        """The names of our tensors that the match speaks of: more than one where they are parts of one of theirs."""
        return tuple(_spelled(tensors, match.captured) for tensors in match.rule.ours)

    def theirs(self, match: Match) -> tuple[str, ...]:
        """The names that theirs have."""
        spelled = {name: self._theirs(name, text) for name, text in match.captured.items()}
        return tuple(_spelled(tensors, spelled) for tensors in match.rule.theirs)

    def _theirs(self, capture: str, text: str) -> str:
        words = self.words.get(capture)
        return text if words is None else next(t.text for o, t in words.spellings if o.text == text)


def any_of(patterns: Iterable[Tensors], words: Mapping[str, Words]) -> re.Pattern[str]:
    """What matches the names that theirs have by one of several patterns."""
    texts = [f"(?:{_expression(tensors, words, 1, named=False)})" for tensors in patterns]
    return re.compile("|".join(texts) or r"(?!)")


def _expression(tensors: Tensors, words: Mapping[str, Words], side: int, *, named: bool = True) -> str:
    """A pattern as a regular expression; `side` is 0 for our words, 1 for theirs."""
    texts: list[str] = []
    for part in tensors.parts:
        if isinstance(part, str):
            texts.append(re.escape(part))
            continue
        inner = r".+" if part.dotted else r"[^.]+"
        if part.name in words:
            inner = "|".join(re.escape(pair[side].text) for pair in words[part.name].spellings)
        texts.append(f"(?P<{part.name}>{inner})" if named else f"(?:{inner})")
    return "".join(texts)


def _spelled(tensors: Tensors, captured: Mapping[str, str]) -> str:
    return "".join(p if isinstance(p, str) else captured[p.name] for p in tensors.parts)
