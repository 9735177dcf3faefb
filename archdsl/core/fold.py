"""Many names in few words: `res3.{0..3}.conv1.weight`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

K = TypeVar("K", bound="Hashable")


def folded(names: Iterable[tuple[str, K]]) -> list[tuple[str, K, int]]:
    """Names of one key that differ in one part become one, which says every name that it stands for, and how many.

    Args:
        names: names with parts between dots, and a key of each, in order.
    """
    rows = [(tuple((part,) for part in name.split(".")), key) for name, key in names]
    longest = max((len(parts) for parts, _ in rows), default=0)
    for at in range(longest):
        rows = _merged(rows, at)
    return [(_written(parts), key, _count(parts)) for parts, key in rows]


def _merged(
    rows: Sequence[tuple[tuple[tuple[str, ...], ...], K]], at: int
) -> list[tuple[tuple[tuple[str, ...], ...], K]]:
    found: dict[tuple[object, ...], list[str]] = {}
    first: dict[tuple[object, ...], tuple[tuple[tuple[str, ...], ...], K]] = {}
    for parts, key in rows:
        inner = parts[at] if at < len(parts) else ()
        group = (key, len(parts), *parts[:at], None, *parts[at + 1 :])
        found.setdefault(group, []).extend(inner)
        first.setdefault(group, (parts, key))
    return [
        ((*parts[:at], tuple(found[group]), *parts[at + 1 :]) if at < len(parts) else parts, key)
        for group, (parts, key) in first.items()
    ]


def _count(parts: tuple[tuple[str, ...], ...]) -> int:
    total = 1
    for inner in parts:
        total *= len(inner)
    return total


def _written(parts: tuple[tuple[str, ...], ...]) -> str:
    return ".".join(inner[0] if len(inner) == 1 else f"{{{','.join(_runs(inner))}}}" for inner in parts)


def _runs(inner: tuple[str, ...]) -> list[str]:
    """Return numbers as text, with three or more consecutive ones as a range `0..3`."""
    found: list[list[str]] = []
    for part in inner:
        last = found[-1] if found else [""]
        if part.isdecimal() and last[-1].isdecimal() and int(part) == int(last[-1]) + 1:
            last.append(part)
        else:
            found.append([part])
    return [t for run in found for t in ([f"{run[0]}..{run[-1]}"] if len(run) > 2 else run)]
