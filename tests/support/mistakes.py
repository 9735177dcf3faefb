"""Mistakes of beginners, from tests/mistakes, with the text that each is shown in and what archdsl says of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from repository import TESTS

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = TESTS / "mistakes"


@dataclass(frozen=True)
class Mistake:
    """A mistake in a spec, the phrases of its cure, and what to write instead."""

    kind: str  # the name of the file
    name: str
    around: str
    wrong: str
    right: str
    at: str
    cures: tuple[str, ...]

    def text(self, part: str) -> str:
        """Return the whole spec, with `part` in the place of the mistake."""
        return self.around.replace("@@", part)

    @property
    def place(self) -> int:
        """The character of the whole spec that the message must point at."""
        text = self.text(self.wrong)
        found = text.find(self.at, self.around.index("@@"))
        return found if found >= 0 else text.index(self.at)

    def diagnose(self, part: str) -> tuple[Diagnostic, ...]:
        """Return the diagnostics, warnings included, of the spec with `part` in the place of the mistake."""
        try:
            return analyse(Source("spec.arch", self.text(part)), FileLibrary()).warnings
        except SpecError as error:
            return error.diagnostics


@cache
def mistakes(*kinds: str) -> tuple[Mistake, ...]:
    """Return the mistakes of these files, of tests/mistakes."""
    return tuple(m for kind in kinds for m in _read(FOLDER / f"{kind}.toml"))


def _read(path: Path) -> list[Mistake]:
    document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    around: dict[str, str] = document["around"]
    found: list[Mistake] = []
    for entry in document["mistake"]:
        cure = entry["cure"]
        found.append(
            Mistake(
                path.stem,
                entry["name"],
                around.get(entry["around"], entry["around"]),
                entry["wrong"].strip("\n"),
                entry["right"].strip("\n"),
                entry["at"],
                tuple(cure) if isinstance(cure, list) else (cure,),
            )
        )
    return found
