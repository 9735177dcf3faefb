"""The faults in tests/planted can be planted again: `make plant` does, which takes minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plant import applies, patches

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("patch", patches(), ids=lambda p: p.stem)
def test_a_planted_fault_applies(patch: Path) -> None:
    assert patch.read_text("utf-8").startswith("# "), "its first line says what is wrong"
    assert not applies(patch)
