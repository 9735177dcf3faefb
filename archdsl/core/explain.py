"""More about a code than its title: the sections of `explain.md`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path


@cache
def sections() -> dict[str, str]:
    """The text of each section, in Markdown and without its heading, by its code."""
    text = Path(__file__).with_name("explain.md").read_text("utf-8")
    parts = re.split(r"^## ([EW]\d{4})\n", text, flags=re.MULTILINE)
    return {code: body.strip() for code, body in zip(parts[1::2], parts[2::2], strict=True)}


def explain(code: str) -> str | None:
    """What a fault means and how it is mended; None if there is no such code."""
    text = sections().get(code.upper())
    # the rest of a fence's first line tells the tests how to use the example
    return text and re.sub(r"^(```arch) (?:only|repeat|encoding)=\S+$", r"\1", text, flags=re.MULTILINE)
