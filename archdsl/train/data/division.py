"""Random division of a data set into training and validation."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.files import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from archdsl.train.data.sources.source import Entry


def grouped(entries: Sequence[Entry], pattern: str | None) -> tuple[list[Entry], str]:
    """Return entries with their groups, by a pattern if there is one, and a note on groups.

    Raises:
        UsageError: if the pattern is no regular expression, or matches no path.
    """
    entries = list(entries)
    if pattern is not None:
        try:
            found = [re.search(pattern, entry.path) for entry in entries]
        except re.error as error:
            raise UsageError(f"--group {pattern}: is not a regular expression: {error}") from None
        if not any(found):
            raise UsageError(f"--group {pattern}: matches none of the paths, such as {entries[0].path}")
        matches = ["" if m is None else m[1] if m.re.groups else m[0] for m in found]
        entries = [e._replace(group=match or "") for e, match in zip(entries, matches, strict=True)]
    groups = {e.group for e in entries if e.group}
    return entries, f"the videos of each of {len(groups)} groups stay together" * bool(groups)


def divided(entries: Sequence[Entry], labels: Sequence[int], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Split off a share of each class for validation; return the positions of both parts, in order.

    The segments of a video, and the videos of a group, stay together. A class of two or more groups has at least one of
    them in validation, unless all of them hold the last group of another class; each class has one for training.
    """
    groups: dict[str, list[int]] = {}
    for position, entry in enumerate(entries):
        groups.setdefault(entry.group or f"\0{entry.path}", []).append(position)
    keys = {name: min(_random_key(entries[p], labels[p], seed) for p in own) for name, own in groups.items()}
    order = sorted(groups, key=lambda name: (keys[name], entries[groups[name][0]].path))
    of_class = {label: [g for g in order if any(labels[p] == label for p in groups[g])] for label in set(labels)}
    held: set[str] = set()
    for label in sorted(of_class):
        size = {g: sum(labels[p] == label for p in groups[g]) for g in of_class[label]}
        missing = max(1, round(share * sum(size.values()))) - sum(size[g] for g in size if g in held)
        for group, videos in size.items():
            if (
                missing > 0
                and group not in held
                and _is_spare(group, {labels[p] for p in groups[group]}, of_class, held)
            ):
                held.add(group)
                missing -= videos
    validation = {p for group in held for p in groups[group]}
    return [p for p in range(len(entries)) if p not in validation], sorted(validation)


def _is_spare(group: str, labels: set[int], of_class: Mapping[int, Sequence[str]], held: set[str]) -> bool:
    """Return True if every class of a group has another group for training."""
    return all(any(g not in held and g != group for g in of_class[label]) for label in labels)


def _random_key(entry: Entry, label: int, seed: int) -> bytes:
    """Return a sort key for a random order of the videos of a class, independent of the folder of the files."""
    name = Path(entry.path).name if entry.stored is None else "/".join(Path(entry.path).parts[-2:])
    text = f"{seed}\0{label}\0{name}\0{entry.start}\0{entry.end}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
