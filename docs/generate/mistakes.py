"""What people write who come from Python, PyTorch or YAML, and what to write instead, from tests/mistakes."""

from __future__ import annotations

import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "tests" / "mistakes"
TITLES = {"python": "Python", "pytorch": "PyTorch", "yaml": "YAML", "contact": "Other habits"}


def tables() -> str:
    """Return a table for each language, with its heading."""
    return "\n\n".join(_table(title, FOLDER / f"{kind}.toml") for kind, title in TITLES.items())


def _table(title: str, path: Path) -> str:
    entries: list[dict[str, str]] = tomllib.loads(path.read_text("utf-8"))["mistake"]
    rows = [f"| {e['name']} | {_code(e['wrong'])} | {_code(e['right'])} |" for e in entries]
    return "\n".join([f"## {title}", "", "| habit | you write | write instead |", "|---|---|---|", *rows])


def _code(text: str) -> str:
    """Return lines as code in a cell of a table."""
    lines = [line.replace("|", "\\|") for line in text.strip("\n").split("\n")]
    return "<br>".join(f"`` {line.replace('    ', '  ')} ``" for line in lines)
