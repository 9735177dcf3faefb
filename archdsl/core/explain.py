"""Explanations of diagnostic codes: the sections of `explain.md`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path


@cache
def sections() -> dict[str, str]:
    """Return the Markdown text of each section, without its heading, by code."""
    text = Path(__file__).with_name("explain.md").read_text("utf-8")
    parts = re.split(r"^## ([EW]\d{4})\n", text, flags=re.MULTILINE)
    return {code: body.strip() for code, body in zip(parts[1::2], parts[2::2], strict=True)}


def explain(code: str) -> str | None:
    """Return the explanation of a diagnostic code and its remedies, in Markdown; None for an unknown code."""
    text = sections().get(code.upper())
    # options after the language of a code fence are for the tests
    return text and re.sub(r"^(```arch) (?:only|repeat|encoding)=\S+$", r"\1", text, flags=re.MULTILINE)
