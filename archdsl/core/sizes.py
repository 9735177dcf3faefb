"""Parsing and formatting of memory sizes and of large counts."""

from __future__ import annotations

import re

_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40
}  # fmt: skip


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `8GiB` or `1.5 GB`.

    Raises:
        ValueError: if the text is not a size.
    """
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([A-Za-z]+)\s*", text)
    if match is None or match[2] not in _UNITS or float(match[1]) == 0.0:
        raise ValueError(f"{text!r} is not a size of memory, as in 8GiB or 500MB")
    return int(float(match[1]) * _UNITS[match[2]])


def size_text(size: int) -> str:
    """Format bytes, rounded: `7.61 GiB`."""
    unit = next(u for u in ("GiB", "MiB", "KiB", "B") if size >= _UNITS[u] or u == "B")
    return f"{size / _UNITS[unit]:.3g} {unit}" if size < 1000 * _UNITS[unit] else f"{size / _UNITS[unit]:.0f} {unit}"


def exact_size(size: int) -> str:
    """Format bytes exactly, for `parse_size`: `8GiB`."""
    count, unit = min((size // n, unit) for unit, n in _UNITS.items() if size % n == 0)
    return f"{count}{unit}"


def quantity(count: int) -> str:
    """Format a count: `34.57 M`, `65.71 G`; exactly if it is below a million."""
    for unit, factor in (("G", 10**9), ("M", 10**6)):
        if count >= factor:
            return f"{count / factor:.2f} {unit}"
    return f"{count:,}"
