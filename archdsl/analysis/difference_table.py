"""The differences of two networks as a table: edited parameters, totals, and how much is new, gone or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.changes import CHANGED, GONE, NEW, SAME
from archdsl.core.table import Table

if TYPE_CHECKING:
    from archdsl.analysis.compare import Difference, Entry

KINDS = ("inputs", "stages", "layers", "tensors")
MAX_NAMES = 2  # of entries of one status
NOTHING = "–"


def difference_table(difference: Difference) -> Table:
    """Return a row for each edited parameter, the totals of both networks, and the counts of what differs."""
    one, other = difference.base, difference.arch
    rows = [
        (e.name, _or_nothing(e.base), _or_nothing(e.arch), e.status) for e in difference.parameters if e.status != SAME
    ]
    for what, base, arch in (
        ("parameters", one.cost.params, other.cost.params),
        ("multiply-adds", one.cost.macs, other.cost.macs),
    ):
        rows.append((what, f"{base:,}", f"{arch:,}", _change(base, arch)))
    for kind in KINDS:
        entries: tuple[Entry[Any], ...] = getattr(difference, kind)
        found = [(status, [e.name for e in entries if e.status == status]) for status in (CHANGED, NEW, GONE)]
        before = sum(e.base is not None for e in entries)
        text = "; ".join(_listed(status, names) for status, names in found if names)
        rows.append((kind, f"{before:,}", f"{sum(e.arch is not None for e in entries):,}", text or "the same"))
    return Table(("", one.name, other.name, "change"), tuple(rows), numbers=0)


def _or_nothing(value: str | None) -> str:
    return NOTHING if value is None else value


def _change(base: int, arch: int) -> str:
    return f"{100 * (arch - base) / base:+.1f}%" if base and base != arch else "the same" if base == arch else "new"


def _listed(status: str, names: list[str]) -> str:
    more = ", …" if len(names) > MAX_NAMES else ""
    return f"{len(names):,} {status}: {', '.join(names[:MAX_NAMES])}{more}"
