"""Breaks lines of generated code as `ruff format` does, so that it leaves them as they are."""

from __future__ import annotations

WIDTH = 88
_OPEN, _CLOSE = "([{", ")]}"


def fit(code: str, indent: int) -> list[str]:
    """A statement, or an element of a call, as lines of at most 88 columns where its brackets allow."""
    line = " " * indent + code
    if len(line) <= WIDTH:
        return [line]
    bracket = _last_bracket(code)
    if bracket is None:
        return [line]
    start, end = bracket
    head, body, tail = code[: start + 1], code[start + 1 : end], code[end:]
    inner = " " * (indent + 4) + body
    parts = split_arguments(body)
    if len(inner) <= WIDTH:
        middle = [inner]
    elif len(parts) == 1 and not parts[0].startswith("*"):
        middle = fit(body, indent + 4)
    else:
        middle = [text for part in parts for text in fit(part + ",", indent + 4)]
    return [" " * indent + head, *middle, " " * indent + tail]


def split_arguments(body: str) -> list[str]:
    """The parts of a list between its commas, those inside brackets and strings left alone."""
    parts: list[str] = []
    depth, start = 0, 0
    for position, char in _code_characters(body):
        depth += (char in _OPEN) - (char in _CLOSE)
        if char == "," and depth == 0:
            parts.append(body[start:position].strip())
            start = position + 1
    parts.append(body[start:].strip())
    return [p for p in parts if p]


def is_primary(code: str) -> bool:
    """Whether an expression can be followed by `.name` or `[…]` without brackets around it."""
    depth = 0
    for _, char in _code_characters(code):
        depth += (char in _OPEN) - (char in _CLOSE)
        if depth == 0 and char in " +-*/%":
            return False
    return True


def _last_bracket(code: str) -> tuple[int, int] | None:
    """The positions of the last pair of brackets that stands in no other."""
    depth, start, found = 0, -1, None
    for position, char in _code_characters(code):
        if char in _OPEN:
            start = position if depth == 0 else start
            depth += 1
        elif char in _CLOSE:
            depth -= 1
            if depth == 0 and position > start + 1:
                found = (start, position)
    return found


def _code_characters(code: str) -> list[tuple[int, str]]:
    """Positions and characters outside string literals."""
    found: list[tuple[int, str]] = []
    quote = ""
    for position, char in enumerate(code):
        if quote:
            quote = "" if char == quote and code[position - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        else:
            found.append((position, char))
    return found
