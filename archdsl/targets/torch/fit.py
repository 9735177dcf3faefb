"""Breaks lines of generated code as `ruff format` does, so that it leaves them as they are."""

from __future__ import annotations

from textwrap import wrap

WIDTH = 88
_OPEN, _CLOSE = "([{", ")]}"


def fit(code: str, indent: int) -> list[str]:
    """A statement, or an element of a call, as lines of at most 88 columns where its brackets allow."""
    line = " " * indent + code
    if len(line) <= WIDTH:
        return [line]
    bracket = _first_bracket(code) if code.startswith("def ") else _last_bracket(code)
    if bracket is None:
        return [line]
    start, end = bracket
    head, body, tail = code[: start + 1], code[start + 1 : end], code[end:]
    inner = " " * (indent + 4) + body
    parts = split_arguments(body)
    is_literal = len(parts) > 1 and _loop(body) < 0 and head[-1] in "([" and (head[-2:-1] in ("", " ", "("))
    if len(inner) <= WIDTH and not is_literal:
        middle = [inner]
    elif (loop := _loop(body)) >= 0:
        middle = [*fit(body[:loop], indent + 4), *fit(body[loop + 1 :], indent + 4)]
    elif len(parts) == 1 and not parts[0].startswith("*"):
        middle = fit(body, indent + 4)
    else:
        middle = [text for part in parts for text in fit(part + ",", indent + 4)]
    return [" " * indent + head, *middle, " " * indent + tail]


def _loop(body: str) -> int:
    """Where the ` for ` of a comprehension begins; -1 where there is none."""
    depth = 0
    for position, char in _code_characters(body):
        depth += (char in _OPEN) - (char in _CLOSE)
        if depth == 0 and body.startswith(" for ", position):
            return position
    return -1


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


def _first_bracket(code: str) -> tuple[int, int] | None:
    """The positions of the first pair of brackets: the parameters of a function."""
    depth, start = 0, -1
    for position, char in _code_characters(code):
        start = position if char in _OPEN and start < 0 else start
        depth += (char in _OPEN) - (char in _CLOSE)
        if start >= 0 and depth == 0:
            return start, position
    return None


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


def reflow(text: str) -> str:
    """Text of a template with its statements broken as they must be, whatever lines the template wrote them on."""
    lines: list[str] = []
    open_: list[str] = []
    quoted = False
    for line in text.split("\n"):
        code = line.strip()
        quoted ^= code.count('"""') % 2 == 1
        if not open_ and (quoted or '"""' in code or code.startswith("#")):
            lines.extend(_wrapped(line.rstrip()))
            continue
        open_.append(code if open_ else line.rstrip())
        if _depth(" ".join(open_)) > 0:
            continue
        indent = len(open_[0]) - len(open_[0].lstrip())
        lines.extend(fit(_joined(open_), indent) if len(open_) > 1 or len(line) > WIDTH else [line.rstrip()])
        open_ = []
    return "\n".join(lines)


def _wrapped(line: str) -> list[str]:
    """A docstring of one line, on several if it is too long."""
    text = line.lstrip()
    if len(line) <= WIDTH or not (text.startswith('"""') and text.endswith('"""')):
        return [line]
    indent = line[: len(line) - len(text)]
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _depth(code: str) -> int:
    return sum((char in _OPEN) - (char in _CLOSE) for _, char in _code_characters(code.partition("  # ")[0]))


def _joined(lines: list[str]) -> str:
    """The lines of one statement as one line."""
    code = lines[0].strip()
    for line in lines[1:]:
        if line[:1] and line[0] in _CLOSE:
            code = code.removesuffix(",") + line
        else:
            code += line if code[-1] in _OPEN else f" {line}"
    return code
