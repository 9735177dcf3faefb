"""Rows of blocks: stages, or parts of stages, that are a sequence of blocks."""

from __future__ import annotations

from archdsl.ir.regions import Block, Region


def row_of_blocks(region: Region) -> list[Block] | None:
    """Return the blocks of a region that is a sequence of blocks, each reading the previous one; otherwise None."""
    blocks = [i for i in region.items if isinstance(i, Block)]
    if not blocks or len(blocks) != len(region.items) or any(b.explicit for b in blocks):
        return None
    chained = [b.entry for b in blocks[1:]] == [b.exit for b in blocks[:-1]]
    return blocks if chained and region.exit == blocks[-1].exit else None


def stage_row(region: Region) -> list[Block] | None:
    """Return the blocks of a region that is a sequence of numbered blocks; otherwise None."""
    row = row_of_blocks(region)
    return row if row is not None and all(b.label.isdigit() for b in row) else None


def sole_block(region: Region) -> Block | None:
    """Return the block of a region that consists of a single block with the region's name; otherwise None."""
    row = row_of_blocks(region)
    return row[0] if row is not None and not row[0].label else None
