"""A transfer plan as text."""

from __future__ import annotations

import json as json_format
import re
from typing import TYPE_CHECKING

from archdsl.core.fold import folded
from archdsl.core.table import aligned
from archdsl.transfer.plan import plan_json
from archdsl.transfer.steps import COPIED, VERBS
from archdsl.weights.shapes import shape_text

if TYPE_CHECKING:
    from archdsl.transfer.plan import Entry, TransferPlan

_HINT = (
    "To pair what is left on both sides: `as NAME` gives a layer of {0.network} the name that it has in {0.base}, and\n"
    "a map `transfer {0.base} for {0.network}` pairs other names (docs/variants.md)."
)


def show_plan(found: TransferPlan, *, json: bool) -> None:
    """Print a transfer plan, as text or as JSON."""
    if json:
        print(json_format.dumps(plan_json(found), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))


def _lines(found: TransferPlan) -> list[str]:
    counts = [f"{n} {verb}" for verb in reversed(VERBS) if (n := found.counts.get(verb, 0))]
    left = f"; {len(found.unused)} of {found.base} not used" if found.unused else ""
    renamed = sum(bool(_origin(entry)) for entry in found.entries)
    counts[-1] += f"; {renamed} of another name in {found.base}" if renamed else ""
    nothing = "nothing is transferred; " * found.is_empty
    lines = [f"{found.base} → {found.network}: {nothing}{len(found.entries)} tensors: {', '.join(counts)}{left}"]
    for verb in VERBS:
        entries = [e for e in found.entries if e.how == verb]
        if entries:
            lines += ["", verb, *_table(entries)]
    if found.unused:
        unused = folded((name, (shape_text(s), found.why_unused.get(name, ""))) for name, s in found.unused.items())
        rows = [(f"  {name}", *key) for name, key, _ in unused]
        lines += ["", f"not used of {found.base}", *(line.rstrip() for line in aligned(rows, numbers=0))]
    if found.is_pairable or (found.is_empty and found.base != found.network):
        lines += ["", _HINT.format(found)]
    return lines


def _table(entries: list[Entry]) -> list[str]:
    rows = [(f"  {name}", *key) for name, key, _ in folded((e.name, _key(e)) for e in entries)]
    return [line.rstrip() for line in aligned(rows, numbers=0)]


def _key(entry: Entry) -> tuple[str, str]:
    """Return the shape and the origin of a tensor, as text."""
    why = "; ".join(text for text in (_origin(entry), entry.why) if text)
    if entry.how == COPIED:
        return "", why
    changed = entry.base_shape is not None and entry.base_shape != entry.shape
    before = f"{shape_text(entry.base_shape or ())} → " if changed else ""
    return f"{before}{shape_text(entry.shape)}", why


def _origin(entry: Entry) -> str:
    """Return the difference between a tensor's name and its name in the base, as text."""
    ours, theirs = (re.sub(r"(?<=\.)\d+(?=\.)", "{i}", name).split(".") for name in (entry.name, entry.base))
    while ours and theirs and ours[-1] == theirs[-1]:
        ours.pop()
        theirs.pop()
    if ours == theirs or len(entry.bases) != 1:
        return ""
    return f"from `{'.'.join(theirs)}`" if theirs else f"without `{'.'.join(ours)}`"
