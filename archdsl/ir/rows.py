"""Blocks in a row: a stage, or a part of one, that is nothing but blocks one behind the other."""

from __future__ import annotations

from archdsl.ir.regions import Block, Region


def row_of_blocks(region: Region) -> list[Block] | None:
    """Return the blocks of a region that is nothing but blocks in a row, one after the other; else None."""
    blocks = [i for i in region.items if isinstance(i, Block)]
    if not blocks or len(blocks) != len(region.items) or any(b.explicit for b in blocks):
        return None
    chained = [b.entry for b in blocks[1:]] == [b.exit for b in blocks[:-1]]
    return blocks if chained and region.exit == blocks[-1].exit else None


def stage_row(region: Region) -> list[Block] | None:
    """Return the numbered blocks that a part of a stage consists of, if it does."""
    row = row_of_blocks(region)
    return row if row is not None and all(b.label.isdigit() for b in row) else None


def sole_block(region: Region) -> Block | None:
    """Return the block that a part of a stage consists of, if it has the stage's own name."""
    row = row_of_blocks(region)
    return row[0] if row is not None and not row[0].label else None
