"""Hints for words and signs of the language in a place that has another form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.frontend.unexpected import OTHER_LANGUAGE, Cure, closing

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.frontend.unexpected import Unexpected

_SYNTAX = "E0103"
_CHOSEN = re.compile(
    r"if\s+(?P<condition>[^{}]+?)\s*(?:\{|\bthen\b|:)\s*(?P<value>[^{}]+?)\s*\}?\s*"
    r"else\s*(?:\{|:)?\s*(?P<other>[^{}]+?)\s*\}?\s*$"
)


def own_form(fault: Unexpected) -> Cure | None:
    """Return the message for a part of the language that is written otherwise here; None if none is known."""
    return next((found for rule in _RULES if (found := rule(fault)) is not None), None)


def _label(fault: Unexpected) -> Cure | None:
    """Recognise `x{i - 1}` and `x{1}`: the labels of values hold names alone."""
    if not fault.opened or fault.opened[-1].type != "LBRACE" or fault.token.type == "RBRACE":
        return None
    text = fault.source.text
    start, end = fault.inside()
    name = re.search(r"(?<!\w)[A-Za-z_]\w*$", text[:start])
    held = re.fullmatch(r"\{\s*(\d+|\w+\s*[-+*/]+\s*\w+)\s*\}", text[start:end])
    if name is None or held is None or text[: name.start()].split()[-1:] == ["stage"]:
        return None
    if held[1].isdigit():
        hint = f"outside of the loop its name is `{name[0]}{held[1]}`"
    else:
        hint = f"braces in a name hold names: `let before = {held[1]}` in the loop, and `{name[0]}{{before}}`"
    return Cure(hint, code=_SYNTAX, part=(name.start(), end))


def _function(fault: Unexpected) -> Cure | None:
    """Recognise a second function in one `let`, and one inside braces."""
    kinds = [token.type for token in fault.phrase]
    if kinds[:1] != ["LET"]:
        return None
    if any(bracket.type == "LBRACE" for bracket in fault.opened):
        if kinds == ["LET", "NAME"] and fault.token.type == "LPAR":
            return Cure("functions stand outside of all braces: put this line in front of them", code=_SYNTAX)
        return None
    following = re.match(r",?\s*(\w+\([^()]*\)\s*=[^=\n]*)$", fault.rest if fault.token.type == "COMMA" else "")
    if kinds[:3] == ["LET", "NAME", "LPAR"] and following is not None:
        return Cure(f"each function has a line of its own: `let {following[1].strip()}`", code=_SYNTAX)
    if kinds[:3] == ["LET", "NAME", "EQUAL"] and fault.token.type == "LPAR" and "EQUAL" in fault.accepted:
        return Cure(f"each function has a line of its own: `let {fault.before}{fault.rest}`", code=_SYNTAX)
    return None


def _chain_as_argument(fault: Unexpected) -> Cure | None:
    """Recognise `unit(body = conv(16) -> relu)`."""
    if fault.token.type != "ARROW" or not fault.opened or fault.opened[-1].type != "LPAR":
        return None
    start, end = fault.inside()
    argument = re.search(r"(?:(\w+)\s*=\s*)?([^,=]*->[^,]*)$", fault.source.text[start + 1 : end - 1])
    if argument is None or "COMMA" not in fault.accepted:
        return None
    if not re.match(r"[A-Za-z_]\w*[ (]", argument[2].strip()):
        called = re.search(r"\w*$", fault.source.text[:start])
        before, after = (part.strip() for part in argument[2].split("->", 1))
        return Cure(f"the arguments end before it: `{called[0] if called else ''}({before}) -> {after}`", code=_SYNTAX)
    name, given = argument[1] or "part", argument[2].strip()
    given_by = f"{argument[1]} = {name}" if argument[1] else name
    hint = f"an argument is one layer or block: `block {name}() {{ {given} }}`, and `{given_by}` in the call"
    return Cure(hint, code=_SYNTAX)


def _head(fault: Unexpected) -> Cure | None:
    """Recognise a head with braces."""
    kinds = [token.type for token in fault.line]
    if kinds[:1] != ["HEAD"] or "NAME" in kinds[3:]:
        return None
    names = [str(token) for token in fault.line if token.type == "NAME"]
    if fault.token.type != "LBRACE":
        return None
    start = fault.token.start_pos or 0
    text = fault.source.text[start:]
    inside = re.match(r"\{\s*([^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*?)\s*\}", text)
    chain = inside[1].strip() if inside is not None and inside[1] else "avgpool -> linear(classes)"
    written = " ".join(["head", *(name.rstrip(":") for name in names)])
    return Cure(f"a head has no braces: `{written}: {chain}`", code=OTHER_LANGUAGE)


def _value_of_a_round(fault: Unexpected) -> Cure | None:
    """Recognise `for i in 1..3 as x`."""
    if fault.token.type != "AS" or fault.first != "FOR" or fault.after is None or len(fault.line) < 2:
        return None
    name = f"{fault.after}{{{fault.line[1]}}}"
    return Cure(f"what a chain gives in each round is named behind it: `conv(64) as {name}`", code=_SYNTAX)


def _choice_of_values(fault: Unexpected) -> Cure | None:
    """Recognise `let out = if c { 4 } else { 8 }`."""
    if fault.token.type != "IF" or "NUMBER" not in fault.accepted:
        return None
    is_inside = bool(fault.opened) and fault.opened[-1].type != "LBRACE"
    begin = fault.token.start_pos or 0
    text = fault.source.text[begin : fault.inside()[1] - 1] if is_inside else fault.rest
    found = _CHOSEN.match(text)
    if found is None:
        return Cure("a value is chosen by `4 if CONDITION else 8`", code=_SYNTAX)
    before = "" if is_inside else fault.source.text[fault.line_start : begin]
    return Cure(f"write `{before}{found['value']} if {found['condition']} else {found['other']}`", code=_SYNTAX)


def _frozen(fault: Unexpected) -> Cure | None:
    """Recognise `frozen stage x { … }`, `frozen(conv(8) -> bn)`, `frozen conv(8) -> bn`, and an `else` of `frozen`."""
    stage = re.match(r"frozen\s+stage\s+([\w{}]+)", fault.rest)
    if fault.token.type == "FROZEN" and "STAGE" in fault.accepted and stage is not None:
        name = stage[1].removesuffix("{") if stage[1].count("{") > stage[1].count("}") else stage[1]
        return Cure(f"it stands behind the name: `stage {name} frozen{' { … }' * ('{' in fault.rest)}`", code=_SYNTAX)
    if fault.token.type == "ELSE" and _ends_freezing(fault):
        hint = "where the condition does not hold its layers are trained; `if CONDITION { a } else { b }` is a choice"
        return Cure(hint, code=_SYNTAX)
    if fault.previous != "FROZEN" or not fault.opened:
        return None
    text = fault.rest
    chain = text[1 : closing(text, 0) - 1] if text.startswith("(") else re.split(r"\s*\}", text, maxsplit=1)[0]
    line = re.match(r"(\w+:)(.*)", chain)  # of an attention
    before, inside = (f"{line[1]} ", line[2]) if line is not None else ("", chain)
    written = f"`{before}frozen {{ {inside.strip() or 'CHAIN'} }}`"
    return Cure(f"braces hold the layers that are not trained: {written}", code=_SYNTAX)


def _ends_freezing(fault: Unexpected) -> bool:
    """Return True behind the braces of `frozen if CONDITION { … }`."""
    position, depth = fault.position, 0
    while position > 0:
        position -= 1
        kind = fault.tokens[position].type
        depth += (kind == "RBRACE") - (kind == "LBRACE")
        if depth < 0 or (depth == 0 and kind == "IF"):
            break
    return position > 0 and fault.tokens[position - 1].type == "FROZEN"


def _dense(fault: Unexpected) -> Cure | None:
    """Recognise `dense head: …`."""
    if str(fault.token) != "dense" or fault.after is None or fault.after.type != "HEAD" or fault.line:
        return None
    return Cure("`dense` stands behind `head`: " + f"`head dense{fault.rest.partition('head')[2]}`", code=_SYNTAX)


def _arguments(fault: Unexpected) -> Cure | None:
    """Recognise `conv 64, 3` and `channels 0, 32`."""
    if fault.token.type != "NUMBER" or fault.previous != "NAME" or not {"LPAR", "ARROW"} <= fault.accepted:
        return None
    given = re.match(r"[\w.]+(?:\s*,\s*[\w.]+)*", fault.rest)
    return given and Cure(f"parentheses hold arguments: `{fault.before}({given[0]})`", code=_SYNTAX)


_RULES: tuple[Callable[[Unexpected], Cure | None], ...] = (
    _label, _function, _chain_as_argument, _head, _value_of_a_round, _choice_of_values, _frozen, _dense, _arguments,
)  # fmt: skip
