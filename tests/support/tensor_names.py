"""Names and shapes of the tensors of all specs, as tests/data/tensor_names.txt keeps them.

A line is a spec and, for each first part of the names (`slow`, `res3`, `head`), the number of tensors and the first ten
digits of a hash of their names and shapes. `python tests/support/tensor_names.py FOLDER` prints the lines for the specs
in a folder.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def digests(tensors: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Return the number and the hash of the tensors below each first part of their names."""
    found: dict[str, str] = {}
    for part, names in groupby(sorted(tensors, key=lambda name: (first_part(name), name)), key=first_part):
        lines = [f"{name} {'x'.join(map(str, tensors[name]))}\n" for name in names]
        found[part] = f"{len(lines)}:{sha256(''.join(lines).encode()).hexdigest()[:10]}"
    return found


def first_part(name: str) -> str:
    return name.partition(".")[0]


def spec_files(folder: Path) -> dict[str, Path]:
    """Return the specs of a folder and those for images below it, by their names."""
    return {p.stem: p for p in (*sorted(folder.glob("*.arch")), *sorted(folder.glob("images/*.arch")))}


def lines_of(folder: Path) -> Iterator[str]:
    import archdsl

    for name, path in spec_files(folder).items():
        yield " ".join([name, *(f"{part}={value}" for part, value in digests(archdsl.load(path).tensors).items())])


def read(path: Path) -> dict[str, dict[str, str]]:
    """Return what `digests` gave of each spec."""
    rows = [line.split() for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {name: dict(part.split("=") for part in parts) for name, *parts in rows}


if __name__ == "__main__":
    print(*lines_of(Path(sys.argv[1])), sep="\n")
