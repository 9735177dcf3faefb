"""Lines of specs beside those of the code that they describe; `originals.csv` has its files, commits and lengths."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SPECS = HERE.parent.parent / "specs"
LINKS = {"torchvision": "https://github.com/pytorch/vision/tree/v0.28.0"}


class Block(NamedTuple):
    """A block of a library, with its text from its name to its last brace."""

    name: str
    text: str


def originals() -> list[dict[str, str]]:
    """Return the rows of originals.csv."""
    with (HERE / "originals.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def specs_of(row: dict[str, str]) -> list[Path]:
    """Return the specs of a family."""
    return sorted({path for pattern in row["specs"].split() for path in SPECS.glob(f"{pattern}.arch")})


def lines(text: str) -> int:
    """Return the number of lines, blank ones and comments with the others, as those of the originals."""
    return len(text.splitlines())


def library(text: str) -> list[Block]:
    """Return the blocks of the libraries that a text imports, and that these import."""
    read: dict[str, str] = {}
    texts = [text]
    while texts:
        names = set(re.findall(r"^import (\w+)$", texts.pop(), re.MULTILINE)) - read.keys()
        read |= {name: (SPECS / "lib" / f"{name}.arch").read_text("utf-8") for name in names}
        texts += [read[name] for name in names]
    pattern = re.compile(r"^block (\w+)\(.*?^\}$", re.MULTILINE | re.DOTALL)
    return [Block(match[1], match[0]) for library_text in read.values() for match in pattern.finditer(library_text)]


def used(text: str, blocks: list[Block]) -> set[Block]:
    """Return the blocks that a text calls, and those that they call."""
    found: set[Block] = set()
    texts = [text]
    while texts:
        code = re.sub(r'"[^"]*"|#.*|^(?:block|param|import|arch) \w+', "", texts.pop(), flags=re.MULTILINE)
        calls = set(re.findall(r"\w+(?=\()|(?<=\{ )\w+|(?<=-> )\w+|^ *\w+(?= \*)", code, re.MULTILINE))
        new = {block for block in blocks if block.name in {call.strip() for call in calls}} - found
        found |= new
        texts += [block.text for block in new]
    return found


def table() -> str:
    """Return the table of the page."""
    rows = [
        "| family | specs | lines | blocks | their lines | original | files | lines |",
        "|---|--:|--:|--:|--:|---|--:|--:|",
    ]
    for row in originals():
        texts = [path.read_text("utf-8") for path in specs_of(row)]
        own = used("\n".join(texts), library("\n".join(texts)))
        counts = [len(texts), sum(map(lines, texts)), len(own), sum(lines(block.text) for block in own)]
        link = LINKS.get(row["repository"], f"https://github.com/{row['repository']}/tree/{row['commit']}")
        cells = [row["family"], *map(str, counts), f"[{row['repository']}]({link})", str(len(row["files"].split()))]
        rows.append("| " + " | ".join([*cells, f"{int(row['lines']):,}"]) + " |")
    return "\n".join(rows)
