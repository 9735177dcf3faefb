"""The index of error codes: titles and explanations, as `archdsl explain` prints them."""

from __future__ import annotations

import re

from archdsl.core import codes
from archdsl.core.explain import explain


def groups() -> dict[str, str]:
    """Return the title of each group of codes by their first letters, as the docstring of `codes` has them."""
    found = re.findall(r"(E\d\d) ([a-z][^,.;]*)", codes.__doc__ or "")
    return {**dict(found), "W": "warnings"}


def reference() -> str:
    """Return a section for each code, below a heading for each group."""
    lines: list[str] = []
    for prefix, title in groups().items():
        lines += [f"## {prefix}: {' '.join(title.split())}", ""]
        for code, text in codes.TITLES.items():
            if code.startswith(prefix):
                lines += [f"({code.lower()})=", f"### {code}: {text}", "", explain(code) or "", ""]
    return "\n".join(lines)
