"""The work that one spec may cause, counted where it arises.

A step is about a microsecond of compilation. All that grows with the text, or with numbers in it, counts: tokens,
expressions, elements of lists, copies of a repeat, calls of blocks, layers and faults. So whatever a spec holds, and
wherever its limits multiply, the sum stays bounded.
"""

from __future__ import annotations

MAX_STEPS = 3_000_000
TOKEN = 30  # to lex, parse and build
FRACTION = 10  # arithmetic that is not of whole numbers
COPY = 5  # of a repeat
CALL = 100  # of a block: what it holds counts by itself
PARAMETER = 10  # of a block, for each call
LAYER = 200  # to infer, lower and print
FAULT = 50  # to describe, even where it is known already


class Work:
    """The steps of all files of one spec together."""

    def __init__(self) -> None:
        self.steps = 0

    def spend(self, count: int) -> bool:
        """Count steps. Return False when they are more than the budget."""
        self.steps += count
        return self.steps <= MAX_STEPS
