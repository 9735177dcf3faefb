"""Diagnostics as data, which the renderers print."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.core.source import Span

MAX_CANDIDATES = 100  # names that a misspelt one is compared with


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that explains the first, or a remark without a place."""

    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """A text to write in the place of another, which is empty for one to add."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Diagnostic:
    """One fault of a spec.

    `code` is stable (`archdsl explain CODE`), `title` says what is wrong in general, `label` what is wrong here.
    `replacements` are the texts that cure it, if they are longer than a few words.
    """

    code: str
    title: str
    span: Span
    label: str = ""
    notes: tuple[Note, ...] = ()
    help: str = ""
    replacements: tuple[Replacement, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.code.startswith("E")

    @property
    def severity(self) -> str:
        return "error" if self.is_error else "warning"

    def __repr__(self) -> str:
        return f"<{self.severity} {self.code} at {self.span.place}: {self.label or self.title}>"


# What explains a fault; as a function, it is worked out only for a fault that is not known yet.
Hint = str | Callable[[], str]
Notes = Sequence[Note] | Callable[[], Sequence[Note]]


class SpecError(Exception):
    """A spec has faults; `diagnostics` holds every one of them, warnings included."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from archdsl.core.render import render_text

        return render_text(self.diagnostics)

    def __repr__(self) -> str:
        codes = dict.fromkeys(d.code for d in self.diagnostics)
        return f"{type(self).__name__}({', '.join(codes)})"


def one_of(words: Sequence[str]) -> str:
    """`a`, `b` or `c`."""
    quoted = [f"`{w}`" for w in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


class LayerError(SpecError):
    """A layer from ARCHDSL_LAYERS is wrong: a fault of its author, shown in its own file."""


MAX_NAMES = 2  # suggested at once
MAX_LENGTH = 60  # of names that are compared letter by letter


def closest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that a name can be a slip of, the nearest first: a few wrong letters, or a part of one."""
    wanted = name.lower()
    found: list[tuple[int, str]] = []
    for candidate in _alike(name, set(known)):
        other = candidate.lower()
        short, long = sorted((len(wanted), len(other)))
        if wanted == other:
            found.append((0, candidate))
        elif short > 2 and long <= MAX_LENGTH:
            most = max(1, short // 3)
            is_part = _is_part(wanted, other)
            distance = _distance(wanted, other) if is_part or long - short <= most else long
            if distance <= most or is_part:
                found.append((distance, candidate))
        elif short == 2 and long == 3 and wanted[:2] == other[:2]:
            found.append((1, candidate))
    nearest = sorted(found, key=lambda f: (f[0], abs(_letters(f[1]) - _letters(wanted)), f[1]))[:MAX_NAMES]
    return [c for d, c in nearest if d <= nearest[0][0] + 1]


def _letters(name: str) -> int:
    """A number that is near for words of like letters: it makes `res5` nearer to `res6` than `res2`."""
    return sum(map(ord, name.lower()))


def _is_part(one: str, other: str) -> bool:
    """Tell whether a name begins as the other does, or has it between underscores: `parameters`, `num_heads`."""
    long, short = (one, other) if len(one) > len(other) else (other, one)
    common = next((i for i, (a, b) in enumerate(zip(long, short, strict=False)) if a != b), len(short))
    return common >= max(3 if short == other else 4, 0.8 * len(short)) or short in long.split("_")


def _distance(one: str, other: str) -> int:
    """Return the edit distance of two words, with transpositions of neighbouring letters."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one):
        current = [i + 1]
        for j, b in enumerate(other):
            cost = min(row[j + 1] + 1, current[j] + 1, row[j] + (a != b))
            if i and j and a == other[j - 1] and one[i - 1] == b:
                cost = min(cost, before[j - 1] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1]


def _alike(name: str, known: set[str]) -> list[str]:
    """The known names, in order; of very many, those with the most letters in common."""
    if len(known) <= MAX_CANDIDATES:
        return sorted(known)
    from heapq import nsmallest

    letters = set(name)
    return sorted(nsmallest(MAX_CANDIDATES, known, lambda k: (len(letters ^ set(k)), abs(len(name) - len(k)), k)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A help line that names the nearest known names, or lists them when they are few."""
    candidates = sorted(set(known))
    close = closest(name, candidates)
    if close:
        return "did you mean " + " or ".join(f"`{c}`" for c in close) + "?"
    if 0 < len(candidates) <= 12:
        return "known here: " + ", ".join(f"`{c}`" for c in candidates)
    return ""
