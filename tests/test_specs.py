"""Lengths of the specs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SPECS = ROOT / "specs"
# Lines of PySlowFast's ResNet, stem, head, non-local and model-builder files.
PYSLOWFAST = 2500


def lines(path: Path) -> int:
    """The lines of a file, blank ones and comments with the others."""
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("spec", sorted([*SPECS.glob("*.arch"), *SPECS.glob("images/*.arch")]), ids=lambda p: p.stem)
def test_specs_are_short(spec: Path) -> None:
    extends = re.search(r"^arch \w+( as \w+)? extends ", spec.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines(spec) <= (6 if extends else 45)


def test_networks_of_pyslowfast_take_a_fifth_of_its_lines() -> None:
    """C2D, I3D, Slow, Fast and SlowFast with all their variants, and the blocks that they are made of."""
    family = [path for names in ("c2d_*", "i3d_r*", "slow*", "fast*") for path in SPECS.glob(f"{names}.arch")]
    total = sum(map(lines, [*family, SPECS / "lib" / "resnet.arch"]))
    print(f"{total} lines in {len(family) + 1} files")
    assert 5 * total < PYSLOWFAST
