"""Cures for choices as Python writes them: `if a: b else: c` on one line, and `b if a else c` between layers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from archdsl.frontend.translate import chain_of, value_of
from archdsl.frontend.unexpected import Cure, closing

if TYPE_CHECKING:
    from archdsl.frontend.unexpected import Unexpected


class _Branch(NamedTuple):
    word: str  # `if CONDITION`, `else if CONDITION` or `else`
    body: str


def choice(fault: Unexpected) -> Cure | None:
    """Return the cure for a choice on one line, or between layers; None for other faults."""
    return _one_line(fault) or _between_layers(fault)


def _one_line(fault: Unexpected) -> Cure | None:
    """Recognise `if a: b elif c: d else: e`."""
    begun = next((t for t in reversed(fault.phrase) if t.type == "IF"), None)
    if fault.token.type != "COLON" or begun is None or "LBRACE" not in fault.accepted:
        return None
    branches = _branches(_text_from(fault, begun.start_pos or 0))
    if len(branches) < 2:
        return None
    value = _assigned(branches)
    if value:
        return Cure(f"a condition chooses the value: `{value}`")
    inside = " ".join(f"{b.word} {{ {chain_of(b.body) or b.body} }}" for b in branches)
    return Cure(f"braces hold what belongs to it: `{inside}`")


def _text_from(fault: Unexpected, start: int) -> str:
    """Return the rest of the line, up to the brace that closes around it."""
    text = fault.source.text[start : fault.line_start + len(fault.line_text)]
    if not fault.opened:
        return text
    end = closing("{" + text, 0) - 1
    return text[: end - 1] if end <= len(text) and text[end - 1 : end] == "}" else text


def _branches(text: str) -> list[_Branch]:
    """Return the branches of a choice; empty if one of them has no colon."""
    found: list[_Branch] = []
    for part in re.split(r"\b(?=else\s*:|else\s+if\b|elif\b)", re.sub(r"(?<=else) (?=if\b)", "", text)):
        head, colon, body = part.partition(":")
        if not colon or not body.strip():
            return []
        word = re.sub(r"^(?:elif|elseif)\b", "else if", head.strip())
        found.append(_Branch(_condition(word), body.strip()))
    return found


def _assigned(branches: list[_Branch]) -> str:
    """Return `let NAME = a if CONDITION else b` for branches that give one name its value; else nothing."""
    given = [re.fullmatch(r"(?:let\s+|param\s+)?(\w+)\s*=(?!=)\s*(.+)", b.body) for b in branches]
    if branches[-1].word != "else" or len({g[1] if g else "" for g in given}) > 1 or given[0] is None:
        return ""
    values = [value_of(g[2]) or g[2] for g in given if g]
    tests = [b.word.removeprefix("else ").removeprefix("if ") for b in branches[:-1]]
    chosen = [f"{v} if {t} else" for v, t in zip(values, tests, strict=False)]
    return f"let {given[0][1]} = {' '.join(chosen)} {values[-1]}"


def _condition(text: str) -> str:
    """Return a condition with the words of the language: `on` for `True`, `off` for `False`."""
    return re.sub(r"\b(?:True|False|true|false)\b", lambda m: "on" if m[0].lower() == "true" else "off", text)


def _between_layers(fault: Unexpected) -> Cure | None:
    """Recognise `a if CONDITION else b` where a and b are chains."""
    if fault.token.type != "IF" or not fault.in_chain or not fault.phrase:
        return None
    before = [t for t in fault.phrase if t.type == "COLON"]
    start = (before[-1].end_pos if before else fault.phrase[0].start_pos) or 0
    found = re.fullmatch(r"\s*(.+?)\s+if\s+(.+?)\s+else\s+(.+?)\s*", _text_from(fault, start))
    if not found:
        return None
    first, test, second = found[1], _condition(found[2]), found[3]
    if second in ("None", "identity", "Identity()", "nn.Identity()"):
        return Cure(f"a choice of layers has braces: `if {test} {{ {chain_of(first) or first} }}`")
    branches = f"if {test} {{ {chain_of(first) or first} }} else {{ {chain_of(second) or second} }}"
    return Cure(f"a choice of layers has braces: `{branches}`")
