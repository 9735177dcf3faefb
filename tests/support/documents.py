"""The examples and the tables of README.md and docs/."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from error_documents import Fence, fences
from repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# All but the pages of single specs, which the site's build makes.
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "gallery"),
]
LANGUAGE = ROOT / "docs" / "language.md"


def page_id(page: Path) -> str:
    """A page in the names of tests."""
    return page.stem


def examples() -> list[Any]:
    """Each ```arch fence with the library files that stand above it on its page."""
    found: list[Any] = []
    for page in PAGES:
        files: list[Fence] = []
        for number, fence in enumerate(f for f in fences(page.read_text("utf-8")) if f.kind == "arch"):
            if "file" in fence.options:
                files.append(fence)
            else:
                found.append(pytest.param(fence, list(files), id=f"{page.stem}-{number}"))
    return found


def whole(text: str) -> str:
    """A fragment as a spec: what every spec needs is put around it where it is missing."""
    if re.search(r"^arch ", text, re.MULTILINE):
        return text
    before = ["arch example"]
    if not re.search(r"^input ", text, re.MULTILINE):
        before.append("input clip: video[3, 32, 64, 64]")
    after = [] if re.search(r"^head[ a-z]*:", text, re.MULTILINE) else ["head: avgpool -> linear(10)"]
    return "\n".join([*before, text, *after]) + "\n"


def rows(page: Path, name: str) -> list[list[str]]:
    """The cells of the table between two marks, without its head."""
    text = page.read_text("utf-8").split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
