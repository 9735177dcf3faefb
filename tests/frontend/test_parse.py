"""Trees that are kept: a file is parsed once in a process, and counts as work each time that it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from programs import program
from repository import ROOT

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.core.work import MAX_STEPS, Work
from archdsl.files import read_source
from archdsl.frontend import parse as module
from archdsl.frontend.parse import parse
from archdsl.frontend.quick import QuickParser

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


def with_places(tree: Any) -> list[tuple[str, int, int]]:
    """Each node of a parse tree that takes characters, and where it begins and ends."""
    nodes = [node for node in tree.iter_subtrees_topdown() if not node.meta.empty]
    return [(str(node.data), node.meta.start_pos, node.meta.end_pos) for node in nodes]


def test_texts_without_faults_give_larks_own_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the places of its parts; brackets around a value, empty parts and lines that go on are among them."""
    specs = [read_source(str(path)) for path in sorted(ROOT.glob("specs/**/*.arch"))]
    drawn = [Source(name, text) for seed in range(60) for name, text in program(seed).texts.items()]
    quick = [module._run(source, "file", source.text) for source in specs + drawn]
    with monkeypatch.context() as patch:
        patch.setattr(QuickParser, "tree", lambda *_: None)
        for source, (tree, count) in zip(specs + drawn, quick, strict=True):
            other, tokens = module._run(source, "file", source.text)
            assert (tree, count) == (other, tokens)
            assert with_places(tree) == with_places(other)
