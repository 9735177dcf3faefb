"""Reduction of the text of a fault to as few lines and words as still show it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = re.compile(r"\"[^\"\n]*\"|\w+(?:\.\w+)?|->|=>|\.\.|[=!<>]=|//|\n\s*|[ \t]+|.", re.DOTALL)
OPEN, CLOSE = "([{", ")]}"
JOINTS = {"->", ",", "*", "as", "if", "else", "+", "-", "/", "//", "by", "where", ":", "=", "shortcut"}


def reduced(text: str, fails: Callable[[str], bool], most: int = 2000) -> str:
    """A part of a text that still `fails`, of which no part of a few tokens can be taken out."""
    left = most
    changed = True
    while changed and left > 0:
        changed = False
        at = 0
        tokens: list[str] = TOKEN.findall(text)
        while at < len(tokens) and left > 0:
            for shorter in _shorter(tokens, at):
                left -= 1
                if fails("".join(shorter)):
                    tokens, changed = shorter, True
                    break
                if left <= 0:
                    break
            else:
                at += 1
        text = "".join(tokens)
    return re.sub(r"[ \t]+\n|\n\s*\n", "\n", text)


def _shorter(tokens: list[str], start: int) -> Iterator[list[str]]:
    """The text without one of the balanced runs of tokens that begin here, the longest first; or without brackets."""
    if tokens[start].isspace():
        return
    ends: list[int] = []
    depth = 0
    for end in range(start, len(tokens)):
        depth += (tokens[end] in OPEN) - (tokens[end] in CLOSE)
        if depth < 0 or (ends and len(ends) > 40 and "\n" not in tokens[end]):
            break
        if depth == 0 and not tokens[end].isspace() and _joins(tokens, start, end + 1):
            ends.append(end + 1)
    if _begins_line(tokens, start):
        lines = [e for e in ends if e == len(tokens) or "\n" in tokens[e]]
        ends = lines + [e for e in ends if e not in lines and e - start < 60]
    else:
        ends = [e for e in ends if not any("\n" in t for t in tokens[start:e]) or e - start < 60]
    for end in sorted(ends, reverse=True):
        yield tokens[:start] + tokens[end:]
    if tokens[start] in OPEN and (close := _closing(tokens, start)) is not None:
        yield tokens[:start] + tokens[start + 1 : close] + tokens[close + 1 :]


def _begins_line(tokens: list[str], start: int) -> bool:
    return start == 0 or "\n" in tokens[start - 1]


def _joins(tokens: list[str], start: int, end: int) -> bool:
    """Tell whether a run begins or ends where parts are joined."""
    before = next((t for t in reversed(tokens[:start]) if t.strip(" \t")), "\n")
    after = next((t for t in tokens[end:] if t.strip(" \t")), "\n")
    if tokens[start] in JOINTS or tokens[end - 1] in {"->", ","}:
        return True
    borders = {"->", ",", *OPEN, *CLOSE}
    return (before in borders or "\n" in before) and (after in borders or "\n" in after)


def _closing(tokens: list[str], index: int) -> int | None:
    depth = 0
    for at in range(index, len(tokens)):
        depth += (tokens[at] in OPEN) - (tokens[at] in CLOSE)
        if depth == 0:
            return at
    return None
