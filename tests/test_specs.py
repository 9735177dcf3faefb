"""Lengths of the specs."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "docs"))

from generate import originals

if TYPE_CHECKING:
    from pathlib import Path

SPECS = ROOT / "specs"


def lines(path: Path) -> int:
    """The lines of a file, blank ones and comments with the others."""
    return len(path.read_text(encoding="utf-8").splitlines())


HEADER = re.compile(r'arch |cite |published |"')


def lines_beside_the_header(path: Path) -> int:
    """The lines of a variant that say what it changes."""
    return sum(not HEADER.match(line) for line in path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("spec", sorted([*SPECS.glob("*.arch"), *SPECS.glob("images/*.arch")]), ids=lambda p: p.stem)
def test_specs_are_short(spec: Path) -> None:
    extends = re.search(r"^arch \w+( as \w+)? extends ", spec.read_text(encoding="utf-8"), re.MULTILINE)
    assert (lines_beside_the_header(spec) <= 6) if extends else (lines(spec) <= 45)


@pytest.mark.parametrize("row", originals.originals(), ids=lambda row: row["family"])
def test_families_are_shorter_than_their_originals(row: dict[str, str]) -> None:
    """With all their variants, and the blocks that they are made of; those of PySlowFast take a fifth of its lines."""
    texts = [path.read_text("utf-8") for path in originals.specs_of(row)]
    own = originals.used("\n".join(texts), originals.library("\n".join(texts)))
    total = sum(map(originals.lines, [*texts, *(block.text for block in own)]))
    assert texts
    assert total * (5 if row["repository"] == "facebookresearch/SlowFast" else 1) < int(row["lines"])


def test_blocks_that_a_text_calls() -> None:
    blocks = [
        originals.Block(name, text) for name, text in {"a": "{ b(3) -> c }", "b": "{ bn }", "c": "{ d * 2 }"}.items()
    ]
    blocks += [originals.Block("d", "{ relu }"), originals.Block("e", "")]
    text = 'param e = 1\n"e(1)" # e(2)\nstage x { a(1) }\n'
    assert {block.name for block in originals.used(text, blocks)} == {"a", "b", "c", "d"}
