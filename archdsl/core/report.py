"""Where the passes put the faults that they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, Note, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.source import Span

MAX_DIAGNOSTICS = 200
# What nothing seems to use may be what an unknown name was meant to be.
_EXPLAINS = (("E0201", "W0101"), ("E0202", "W0103"))


class Reporter:
    """Collects diagnostics; the same fault at the same place, found again in a repetition, is kept once."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []
        self._seen: set[tuple[str, int, int, int]] = set()

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Errors, then warnings, in the order of each file, without the warnings that an error explains."""
        codes = {d.code for d in self._found}
        explained = {warning for error, warning in _EXPLAINS if error in codes}
        files = list(dict.fromkeys(id(d.span.source) for d in self._found))
        kept = [d for d in self._found if d.code not in explained]
        return sorted(kept, key=lambda d: (not d.is_error, files.index(id(d.span.source)), d.span.start))

    def report(self, code: str, span: Span, label: str = "", notes: Sequence[Note] = (), hint: str = "") -> None:
        key = (code, id(span.source), span.start, span.end)
        if key in self._seen:
            return
        self._seen.add(key)
        self._found.append(Diagnostic(code, TITLES[code], span, label, tuple(notes), hint))
        if len(self._found) >= MAX_DIAGNOSTICS:
            self.stop()

    def extend(self, error: SpecError) -> None:
        """Takes over the faults of a pass that stopped."""
        self._found.extend(error.diagnostics)

    def fatal(self, code: str, span: Span, label: str = "", notes: Sequence[Note] = (), hint: str = "") -> SpecError:
        """Reports a fault after which nothing sensible can be found, to be raised by the caller."""
        self.report(code, span, label, notes, hint)
        return SpecError(self.diagnostics)

    @property
    def errors(self) -> int:
        """The number of errors reported so far."""
        return sum(d.is_error for d in self._found)

    @property
    def failed(self) -> bool:
        return any(d.is_error for d in self._found)

    def stop(self) -> None:
        raise SpecError(self.diagnostics)
