"""What a map of names says, with the place of every part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.core.source import Source, Span
    from archdsl.frontend.ast import Binding


@dataclass(frozen=True)
class Word:
    """A word or a quoted text."""

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
    """A pattern of names of tensors: texts and captures, in turn."""

    span: Span
    parts: tuple[str | Capture, ...]

    @property
    def captures(self) -> tuple[Capture, ...]:
        return tuple(p for p in self.parts if isinstance(p, Capture))


@dataclass(frozen=True)
class Axes:
    """`o i -> o i 1 1 1`: the axes of ours and of theirs, those that are one axis in a group."""

    span: Span
    ours: tuple[tuple[str, ...], ...]
    theirs: tuple[tuple[str, ...], ...]
    sizes: dict[str, int]


@dataclass(frozen=True)
class Rule:
    """Tensors of ours that are the same as tensors of theirs. Several on one side are parts of the one on the other."""

    span: Span
    ours: tuple[Tensors, ...]
    theirs: tuple[Tensors, ...]
    axes: Axes | None


@dataclass(frozen=True)
class Words:
    """The texts that a capture can stand for, and how theirs are spelled."""

    span: Span
    name: Word
    spellings: tuple[tuple[Word, Word], ...]


@dataclass(frozen=True)
class Number:
    """A capture that stands for what one of the patterns matches on our side, and for its number on theirs."""

    span: Span
    name: Word
    patterns: tuple[Tensors, ...]


@dataclass(frozen=True)
class Alias:
    """Another name of a tensor of theirs: a second one beside it, or one that can be in its place."""

    span: Span
    second: bool
    name: Tensors
    of: Tensors


@dataclass(frozen=True)
class Need:
    """Values of parameters that the checkpoints need, of all specs or of those named.

    What is not `fixed` is a setting of the source's configurations: published checkpoints have it, others need not.
    """

    specs: tuple[Word, ...]
    bindings: tuple[Binding, ...]
    fixed: bool = True


@dataclass(frozen=True)
class WeightMap:
    """One file: the names that one source of checkpoints has for the tensors of some specs.

    Or the names that the tensors which these begin from have in another spec, the source of a `transfer`.
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
