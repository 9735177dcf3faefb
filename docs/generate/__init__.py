"""Sphinx extension of the site: it makes what follows from the code, so that no page holds a copy of it.

A page says `<!-- NAME -->`, a line for those who read the file itself, and `<!-- end of NAME -->`; what stands between
is replaced when the site is built. The pages of single specs, below `gallery/`, are files that git ignores; the option
`-t shortened` of `sphinx-build` makes those of the first spec of each family.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generate import commands, errors, gallery, mistakes, originals, tables
from generate.lexer import ArchLexer, WeightsLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent.parent
PARTS = {
    "layers": tables.layer_tables,
    "recipe": tables.recipe_table,
    "budgets": tables.budget_table,
    "commands": commands.reference,
    "errors": errors.reference,
    "mistakes": mistakes.tables,
    "gallery": gallery.overview,
    "originals": originals.table,
}
# A picture that follows the reader's theme: on a code host by HTML, on the site by Furo's classes.
PICTURE = re.compile(r'<picture>\s*<source [^>]*>\s*<img alt="([^"]*)"\s+src="([^"]*)-light.svg"[^>]*>\s*</picture>')


def page(text: str, docname: str = "index") -> str:
    """Return a page with its generated parts, and with links that the site can follow."""
    for name in re.findall(r"^<!-- end of (\w+) -->$", text, re.MULTILINE):
        if name in PARTS:
            begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
            before, rest = text.split(begin)
            text = before + PARTS[name]() + "\n" + rest.split(end)[1]
    text = PICTURE.sub(r"![\1](\2-light.svg){.diagram .only-light}\n![\1](\2-dark.svg){.diagram .only-dark}", text)
    return re.sub(r"\[([^\]]+)\]\((\.\./[^)\s]*)\)", lambda m: _link(m, docname), text)


def _link(match: re.Match[str], docname: str) -> str:
    """A link out of docs/ as the site has it: files can be downloaded, folders and other Markdown are only named."""
    target = (ROOT / "docs" / docname).parent / match[2]
    outside = not target.resolve().is_relative_to(ROOT / "docs")
    return match[1] if target.is_dir() or (outside and target.suffix == ".md") else match[0]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_lexer("arch", ArchLexer)
    app.add_lexer("weights", WeightsLexer)
    if app.tags.has("shortened"):
        PARTS["gallery"] = partial(gallery.overview, shortened=True)
    app.connect(
        "builder-inited",
        lambda app: gallery.write_pages(ROOT / "docs" / "gallery", shortened=app.tags.has("shortened")),
    )
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    del app
    source[0] = page(source[0], docname)
