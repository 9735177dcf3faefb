"""Cures for layers as Python calls them: modules before names, sums, lists, loops, tuples."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.frontend.translate import chain_of, named_chain, repeat, value_of
from archdsl.frontend.unexpected import Cure, closing

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.frontend.unexpected import Unexpected

UNLESS_GIVEN = "; padding is half of the kernel, and there is no bias, unless given"


def translated(fault: Unexpected) -> Cure | None:
    """Return the cure for code of Python in a chain or in arguments, if it can be written as a chain or a value."""
    return next((found for rule in _RULES if (found := rule(fault)) is not None), None)


def remark(chain: str) -> str:
    """Return what to know of a translated convolution, whose defaults differ from those of PyTorch."""
    return UNLESS_GIVEN if "conv(" in chain else ""


def _phrase(fault: Unexpected) -> tuple[int, int]:
    """Return the characters of the chain around the token: from a brace or colon to the end of the line or braces."""
    before = [*fault.phrase, fault.token]
    colons = [i for i, t in enumerate(before) if t.type == "COLON"]
    start = before[colons[-1] + 1 if colons and colons[-1] + 1 < len(before) else 0].start_pos or 0
    end = fault.line_start + len(fault.line_text)
    text = "{" + fault.source.text[start:end]
    return start, start + len(text[1 : closing(text, 0)].rstrip(" }"))


def _dotted(fault: Unexpected) -> Cure | None:
    """Recognise `nn.Conv3d(3, 64, 3)`, `torch.cat([a, b])` and `self.conv1 = conv(64)`."""
    if fault.token.type != "DOT" or fault.previous != "NAME" or not fault.in_chain or fault.before is None:
        return None
    text, start = fault.source.text, fault.before.start_pos or 0
    name = re.compile(r"[\w.]+\s*").match(text, start)
    end = name.end() if name is not None else start
    if text[end : end + 1] == "=" and text[end + 1 : end + 2] != "=":
        first, last = _phrase(fault)
        chain = named_chain(text[first:last])
        hint = f"layers stand where they run, and `as` gives them a name: `{chain}`"
        return Cure(hint, part=(first, last)) if chain else None
    end = closing(text, end) if text[end : end + 1] == "(" else len(text[:end].rstrip())
    chain = chain_of(text[start:end])
    if chain is not None:
        return Cure(f"write `{chain}`{remark(chain)}", part=(start, end))
    bare = re.match(r"(?:nn|F|torch(?:\.nn(?:\.functional)?)?)\.(\w+)", text[start:end])
    if bare is None:
        return None
    hint = f"layers have one name, without a module: `{bare[1]}` may be one; `archdsl layers` lists them"
    return Cure(hint, part=(start, end))


def _sum(fault: Unexpected) -> Cure | None:
    """Recognise `x + f(x)` and `a + b`."""
    if fault.token.type != "PLUS" or not fault.in_chain:
        return None
    first, last = _phrase(fault)
    chain = chain_of(fault.source.text[first:last])
    return Cure(f"values are added in braces: `{chain}`", part=(first, last)) if chain else None


def _list_of_layers(fault: Unexpected) -> Cure | None:
    start = fault.token.start_pos or 0
    if fault.token.type != "LSQB" or "RESIDUAL" not in fault.accepted:
        return None
    end = closing(fault.source.text, start)
    times = re.compile(r"\s*\*\s*\w+").match(fault.source.text, end)
    end = times.end() if times else end
    chain = chain_of(fault.source.text[start:end])
    return Cure(f"a chain has no list: `{chain}`", part=(start, end)) if chain else None


def _slice(fault: Unexpected) -> Cure | None:
    """Recognise `clip[:, ::4]`, `x[:, 0]` and other indices of a value in a chain."""
    if fault.token.type != "LSQB" or not fault.in_chain or fault.previous != "NAME":
        return None
    name, start = fault.before, fault.token.start_pos or 0
    end = closing(fault.source.text, start)
    inside = fault.source.text[start + 1 : end - 1]
    part = (start, end)
    step = re.search(r"::\s*(\w+)", inside)
    if step:
        return Cure(f"one frame of {step[1]} is kept by a layer: `{name} -> every({step[1]})`", part=part)
    if ":" not in inside and not re.search(r"\d\s*$", inside):
        return None
    text = "`every(4)` keeps one frame of 4, `select(token)` the class token, `avgpool` the mean over positions"
    return Cure(f"values in a chain have no indices: {text}", part=part)


def _loop(fault: Unexpected) -> Cure | None:
    """Recognise a loop over layers in a stage."""
    text = fault.source.text
    start = fault.token.start_pos or 0
    found = re.compile(r"for\s+(\w+)\s+in\s+(range\(([^()]+)\)|0\s*\.\.\s*(\d+))\s*[:{]\s*([^\n]*)").match(text, start)
    if fault.token.type != "FOR" or "RESIDUAL" not in fault.accepted or not found:
        return None
    variable, _, count, last, body = found.groups()
    body = body[: closing("{" + body, 0) - 1].rstrip(" }") or next(iter(fault.below), "").rstrip(" }")
    chain = chain_of(body)
    if not chain or (count and "," in count):
        return None
    numbered = re.sub(rf"\b{variable}\b", "index", chain)
    return Cure(f"`for` stands around stages; layers are repeated by `{repeat(numbered, count or str(int(last) + 1))}`")


def _tuple(fault: Unexpected) -> Cure | None:
    if fault.token.type != "COMMA" or not fault.opened or fault.opened[-1].type != "LPAR":
        return None
    start, end = fault.inside()
    values = value_of(fault.source.text[start:end])
    if values is None or not values.startswith("["):
        return None
    return Cure(f"a list stands in square brackets: `{values}`", code="E0103", part=(start, end))


def _percent(fault: Unexpected) -> Cure | None:
    number = fault.tokens[fault.position - 2] if fault.position > 1 else None
    if fault.previous != "PERCENT" or number is None or not re.fullmatch(r"\d+(\.\d+)?", number):
        return None
    part = (number.start_pos or 0, (number.end_pos or 0) + 1)
    return Cure(f"a share is a number: `{float(number) / 100:g}`; `%` is the remainder of a division", part=part)


def _stars(fault: Unexpected) -> Cure | None:
    """Recognise `**options` in a call, and `*alias` of YAML."""
    name = re.compile(r"(\*{1,2})(\w+)").match(fault.source.text, fault.token.start_pos or 0)
    if (
        fault.token.type not in ("STAR", "POWER")
        or name is None
        or fault.previous not in ("LPAR", "COMMA", "EQUAL", "COLON")
    ):
        return None
    part = (name.start(), name.end())
    if fault.first == "BLOCK" or not name[2].isidentifier():
        return None
    if len(name[1]) == 2 or name[2] in ("args", "layers", "blocks"):
        return Cure("each argument is given by its name: `NAME = VALUE`, as in `kernel = 3`", part=part)
    return Cure(f"a value is named without a sign: `{name[2]}`", part=part)


_RULES: tuple[Callable[[Unexpected], Cure | None], ...] = (
    _dotted, _sum, _list_of_layers, _slice, _loop, _tuple, _percent, _stars,
)  # fmt: skip
