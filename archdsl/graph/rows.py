"""Blocks in a row: a stage, or a part of one, that is nothing but blocks one behind the other."""

from __future__ import annotations

from archdsl.graph.model import Unit


def row_of_blocks(unit: Unit) -> list[Unit] | None:
    """The blocks of a unit that is nothing but blocks in a row, one after the other; else None."""
    blocks = [i for i in unit.items if isinstance(i, Unit) and i.kind == "block"]
    if not blocks or len(blocks) != len(unit.items) or any(b.explicit for b in blocks):
        return None
    before = [unit.entry, *(b.exit for b in blocks[:-1])]
    return blocks if [b.entry for b in blocks] == before and unit.exit == blocks[-1].exit else None


def stage_row(unit: Unit) -> list[Unit] | None:
    """The numbered blocks that a stage's part consists of, if it does."""
    row = row_of_blocks(unit)
    return row if row is not None and row[0].label else None
