"""Source texts and ranges in them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

STDIN = "<stdin>"  # the name of a text from standard input
TEXT = "<text>"  # of one that a Python program passes
MAX_CHARACTERS = 1_000_000  # of a text that is read


@dataclass(frozen=True, eq=False)
class Source:
    """A named text: a spec file, or a value given on the command line."""

    name: str
    text: str = field(repr=False)
    starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0]
        starts.extend(i + 1 for i, char in enumerate(self.text) if char == "\n")
        object.__setattr__(self, "starts", starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both counted from 1, of a character offset."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line counted from 1, without its end."""
        start = self.starts[number - 1]
        end = self.starts[number] - 1 if number < len(self.starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


@dataclass(frozen=True, slots=True, repr=False)
class Span:
    """The characters from `start` up to, not including, `end` of a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def __repr__(self) -> str:
        return f"<Span {self.place}>"

    @property
    def place(self) -> str:
        """`FILE:LINE:COLUMN` of the first character."""
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"
