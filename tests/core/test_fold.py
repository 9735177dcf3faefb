"""Names of tensors, folded: `{0..3}` for numbers in a row, `{a,b}` for words."""

from __future__ import annotations

from small import SPECS, full

from archdsl.core.fold import folded


def test_folded_names_stand_for_all() -> None:
    for path in SPECS[::5]:
        names = list(full(path).tensors.items())
        rows = folded(names)
        assert len(rows) < len(names) / 2
        assert sorted((n, s) for text, s, _ in rows for n in unfolded(text)) == sorted(names)
        assert sum(count for *_, count in rows) == len(names)


def unfolded(text: str) -> list[str]:
    """Every name that a folded one stands for."""
    head, brace, rest = text.partition("{")
    if not brace:
        return [text]
    inner, _, tail = rest.partition("}")
    found: list[str] = []
    for word in inner.split(","):
        first, dots, last = word.partition("..")
        found += map(str, range(int(first), int(last) + 1)) if dots else [word]
    return [f"{head}{word}{end}" for word in found for end in unfolded(tail)]
