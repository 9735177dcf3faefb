"""Syntax tree of a weight map, with the span of every part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.core.source import Source, Span
    from archdsl.frontend.ast import Binding


@dataclass(frozen=True)
class Word:
    """A word or a quoted string."""

    span: Span
    text: str


@dataclass(frozen=True)
class Capture:
    """`{name}`: any text without a dot; `{name*}`: any text."""

    span: Span
    name: str
    dotted: bool


@dataclass(frozen=True)
class Tensors:
    """A pattern for tensor names: a sequence of texts and captures."""

    span: Span
    parts: tuple[str | Capture, ...]

    @property
    def captures(self) -> tuple[Capture, ...]:
        return tuple(p for p in self.parts if isinstance(p, Capture))


@dataclass(frozen=True)
class Axes:
    """`o i -> o i 1 1 1`: the axes of our tensor and of theirs; axes in a group are merged."""

    span: Span
    ours: tuple[tuple[str, ...], ...]
    theirs: tuple[tuple[str, ...], ...]
    sizes: dict[str, int]


@dataclass(frozen=True)
class Rule:
    """Corresponding tensors; several on one side are parts of a single one on the other side."""

    span: Span
    ours: tuple[Tensors, ...]
    theirs: tuple[Tensors, ...]
    axes: Axes | None


@dataclass(frozen=True)
class Words:
    """The words that a capture matches, with their spelling on the other side."""

    span: Span
    name: Word
    spellings: tuple[tuple[Word, Word], ...]


@dataclass(frozen=True)
class Number:
    """A capture that matches one of the patterns on our side, and is replaced by a running number on theirs."""

    span: Span
    name: Word
    patterns: tuple[Tensors, ...]


@dataclass(frozen=True)
class Alias:
    """An alias of a source's tensor: a second name in the same state dict, or an alternative name."""

    span: Span
    second: bool
    name: Tensors
    of: Tensors


@dataclass(frozen=True)
class Need:
    """Parameter values that the checkpoints need, for all specs or for the named ones.

    Values that are not `fixed` are those of the published checkpoints; other checkpoints of the source may differ.
    """

    specs: tuple[Word, ...]
    bindings: tuple[Binding, ...]
    fixed: bool = True


@dataclass(frozen=True)
class WeightMap:
    """A weight map: the names of the tensors of some specs in one source of checkpoints.

    With `transfers`, the source is another spec, whose tensors initialise the tensors of these specs.
    """

    text: Source
    span: Span
    source: Word
    specs: tuple[Word, ...]
    excluded: tuple[Word, ...]
    doc: str
    needs: tuple[Need, ...]
    words: dict[str, Words]
    numbers: dict[str, Number]
    rules: tuple[Rule, ...]
    aliases: tuple[Alias, ...]
    drops: tuple[Tensors, ...]
    transfers: bool = False
