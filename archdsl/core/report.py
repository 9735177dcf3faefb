"""Where the passes put the faults that they find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, Hint, Note, Notes, SpecError

if TYPE_CHECKING:
    from archdsl.core.source import Span

MAX_DIAGNOSTICS = 200  # errors, and warnings
MAX_HINTS = 20  # that are worked out
# What nothing seems to use may be what an unknown name was meant to be.
_EXPLAINS = (("E0201", "W0101"), ("E0202", "W0103"), ("E0202", "W0104"))


class Reporter:
    """Collects diagnostics; the same fault at the same place, found again in a repetition, is kept once."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []
        self._seen: set[tuple[str, int, int, int]] = set()
        self._errors = 0
        self._warnings = 0

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Errors, then warnings, in the order of each file, without the warnings that an error explains."""
        codes = {d.code for d in self._found}
        explained = {warning for error, warning in _EXPLAINS if error in codes}
        files = list(dict.fromkeys(id(d.span.source) for d in self._found))
        kept = [d for d in self._found if d.code not in explained]
        kept.sort(key=lambda d: (not d.is_error, files.index(id(d.span.source)), d.span.start))
        more = self._warnings - MAX_DIAGNOSTICS
        if more > 0 and kept and not kept[-1].is_error:
            kept[-1] = replace(kept[-1], notes=(*kept[-1].notes, Note(f"{more:,} more warnings are not shown")))
        return kept

    def report(self, code: str, span: Span, label: str = "", notes: Notes = (), hint: Hint = "") -> None:
        """Keep a fault, if it is new. After the last of MAX_DIAGNOSTICS errors, SpecError is raised."""
        if self.knows(code, span):
            return
        self._seen.add((code, id(span.source), span.start, span.end))
        is_error = code.startswith("E")
        self._errors += is_error
        self._warnings += not is_error
        if self._warnings > MAX_DIAGNOSTICS and not is_error:
            return
        details = tuple(notes() if callable(notes) else notes)
        if callable(hint):
            hint = "" if self.is_crowded else hint()
        self._found.append(Diagnostic(code, TITLES[code], span, label, details, hint))
        if self._errors == MAX_DIAGNOSTICS:
            label = f"after {MAX_DIAGNOSTICS} faults the spec is not read on; there may be more"
            raise self.fatal("E0706", span, label, hint="mend the first ones: others may follow from them")

    def extend(self, error: SpecError) -> None:
        """Takes over the faults of a pass that stopped."""
        self._found.extend(error.diagnostics)

    def fatal(self, code: str, span: Span, label: str = "", notes: Notes = (), hint: Hint = "") -> SpecError:
        """Reports a fault after which nothing sensible can be found, to be raised by the caller."""
        self.report(code, span, label, notes, hint)
        return SpecError(self.diagnostics)

    @property
    def errors(self) -> int:
        """The number of errors reported so far."""
        return sum(d.is_error for d in self._found)

    def knows(self, code: str, span: Span) -> bool:
        """Tell whether a fault was found at its place before."""
        return (code, id(span.source), span.start, span.end) in self._seen

    @property
    def is_crowded(self) -> bool:
        """Tell whether so many faults are known that hints for further ones are not worked out."""
        return len(self._found) >= MAX_HINTS

    @property
    def failed(self) -> bool:
        return any(d.is_error for d in self._found)
