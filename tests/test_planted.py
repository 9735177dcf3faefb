"""The faults in tests/planted: each can be planted, and its edits change what they say and nothing else.

`make plant` plants each of them and looks for a random program that finds it, which takes minutes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import plant
import pytest
from repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CODE = """\
def one():
    first()
    second()


class Two:
    def one(self):
        first()
        if self:
            second()
"""


def lines_of(folder: Path) -> dict[str, list[str]]:
    """The lines of each file that edits can be made in, without indentation."""
    files = [path for part in plant.EDITED for path in (folder / part).rglob("*") if path.is_file()]
    texts = {p.relative_to(folder).as_posix(): p.read_text("utf-8") for p in files if "__pycache__" not in p.parts}
    return {name: [line.strip() for line in text.split("\n")] for name, text in texts.items()}


@pytest.mark.parametrize("path", plant.faults(), ids=lambda p: p.stem)
def test_a_fault_is_planted_and_nothing_else(path: Path, tmp_path: Path) -> None:
    fault = plant.read(path)
    plant.copied(tmp_path)
    plant.plant(fault, tmp_path)
    before, after = lines_of(ROOT), lines_of(tmp_path)
    assert before.keys() == after.keys()
    changes, said = Counter[str](), Counter[str]()
    for name in before:
        if before[name] != after[name]:
            changes.update(after[name])
            changes.subtract(before[name])
            if name.endswith(".py"):
                compile((tmp_path / name).read_text("utf-8"), name, "exec")
    for edit in fault.edits:
        said.update(line.strip() for line in edit.new)
        said.subtract(line.strip() for line in edit.old)
    assert changes == said
    assert before != after


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A compiler of one file."""
    (tmp_path / "archdsl").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "archdsl" / "code.py").write_text(CODE, "utf-8")
    return tmp_path


def planted(folder: Path, text: str) -> str:
    """The code with a fault of this text."""
    path = folder / "fault.txt"
    path.write_text(text, "utf-8")
    plant.plant(plant.read(path), folder)
    return (folder / "archdsl" / "code.py").read_text("utf-8")


def test_lines_are_found_at_any_depth_and_replaced_at_that(folder: Path) -> None:
    text = "# Reversed.\nreplace\n  if self:\n  second()\nby\n  if not self:\n      third()\n  fourth()\n"
    expected = CODE.replace(
        "        if self:\n            second()\n", "        if not self:\n            third()\n        fourth()\n"
    )
    assert planted(folder, text) == expected


def test_lines_are_taken_away(folder: Path) -> None:
    assert planted(folder, "# No check.\nreplace\n    if self:\nby\n").count("if self") == 0


def test_several_edits_are_made_in_the_code_as_it_was(folder: Path) -> None:
    """The second edit is found once, though the first one writes the same line again."""
    text = "# Exchanged.\nreplace\nclass Two:\nby\nif self:\nreplace\nif self:\nby\nif one:\n"
    assert planted(folder, text) == CODE.replace("if self:", "if one:").replace("class Two:", "if self:")


@pytest.mark.parametrize(
    ("lines", "where"),
    [("third()", "found nowhere"), ("second()", "found archdsl/code.py:3, archdsl/code.py:10")],
)
def test_lines_that_are_not_there_exactly_once_are_refused(folder: Path, lines: str, where: str) -> None:
    with pytest.raises(plant.FaultError, match=where):
        planted(folder, f"# Wrong.\nreplace\n    {lines}\nby\n    other()\n")


@pytest.mark.parametrize(
    "text",
    [
        "replace\n    a\nby\n    b\n",
        "# Wrong.\n",
        "# Wrong.\nby\n    b\n",
        "# Wrong.\nreplace\n    a\n",
        "# Wrong.\nreplace\nby\n    b\n",
        "# Wrong.\nsome words\nreplace\n    a\nby\n    b\n",
    ],
)
def test_other_formats_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fault.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(plant.FaultError):
        plant.read(path)
