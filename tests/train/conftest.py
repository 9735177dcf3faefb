"""Fixtures of the tests that train."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from training import TINY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute with one thread, as in started processes: results that are compared to the last digit are equal."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """The file of a tiny network."""
    path = tmp_path / "tiny.arch"
    path.write_text(TINY, "utf-8")
    return path


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve videos of each of two classes, three of each for validation."""
    pytest.importorskip("av")
    from archdsl.train import synthetic

    folder = tmp_path_factory.mktemp("videos")
    synthetic.make(folder / "all", 12)
    for split in ("train", "val"):
        (folder / "two" / split).mkdir(parents=True)
        for name in ("right", "left"):
            (folder / "all" / split / name).rename(folder / "two" / split / name)
    return folder / "two"
