"""Trees that are kept: a file is parsed once in a process, and counts as work each time that it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archdsl.core.diagnostics import SpecError
from archdsl.core.work import MAX_STEPS, Work
from archdsl.files import read_source
from archdsl.frontend import parse as module
from archdsl.frontend.parse import parse

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.core.diagnostics import Diagnostic

TEXT = "arch net\ninput clip: video[3, 4, 16, 16]\nstage one { conv(8, 3) }\nhead: avgpool -> linear(5)\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "net.arch"
    path.write_text(text, "utf-8")
    return path


def test_a_file_is_parsed_again_when_its_text_is_another(tmp_path: Path) -> None:
    first = parse(read_source(write(tmp_path, TEXT)))
    assert parse(read_source(tmp_path / "net.arch")) is first
    other = parse(read_source(write(tmp_path, TEXT.replace("linear(5)", "linear(6)"))))
    assert other != first
    assert parse(read_source(write(tmp_path, TEXT))) is first


def test_a_tree_that_is_kept_counts_as_work(tmp_path: Path) -> None:
    source = read_source(write(tmp_path, TEXT))
    new, kept, spent = Work(), Work(), Work()
    parse(source, new)
    parse(source, kept)
    assert kept.steps == new.steps > 0
    spent.steps = MAX_STEPS
    with pytest.raises(SpecError, match="more than 3,000,000 steps"):
        parse(source, spent)


def test_mended_faults_are_reported_each_time(tmp_path: Path) -> None:
    source = read_source(write(tmp_path, TEXT.replace("conv(8, 3)", "conv(8, (3, 3, 3))")))
    for _ in range(2):
        mended: list[Diagnostic] = []
        parse(source, mended=mended)
        assert len(mended) == 1
        with pytest.raises(SpecError):
            parse(source)


def test_few_trees_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    monkeypatch.setattr(module, "_parsed", {})
    one, two, three = (read_source(write(tmp_path, TEXT.replace("net", name))) for name in ("one", "two", "three"))
    trees = [parse(source) for source in (one, two, one, three)]
    assert parse(one) is trees[0]
    assert parse(two) is not trees[1]
