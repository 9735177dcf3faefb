"""Diagnostics for syntax errors."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, Note, did_you_mean
from archdsl.core.source import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lark import Token

    from archdsl.core.source import Source
    from archdsl.frontend.unexpected import Unexpected

MAX_SHOWN = 40  # characters of the text in a label
OPEN = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
CLOSE = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}
# Reserved words that begin a statement, and so never occur inside parentheses or a list.
STATEMENTS = {
    "ARCH", "IMPORT", "CITE", "PUBLISHED", "RECIPE", "PARAM", "INPUT", "PATH", "DROP", "BLOCK", "HEAD", "STAGE", "FOR",
    "LET", "LATERAL",
}  # fmt: skip

_WORDS = {
    "EXTENDS",
    "AS",
    "WHERE",
    "FROZEN",
    "ELSE",
    "BY",
    "SHORTCUT",
    "IN",
    "FROM",
    "AT",
    "IF",
}  # inside of statements
_READABLE = {
    "NAME": "a name", "NUMBER": "a number", "STRING": "a string", "_NL": "the end of the line", "$END": "the end",
    "COMPARE": "a comparison", "AFTER": "`after`", "SHARE": "`share`",
}  # fmt: skip
_OPERATORS = {
    "PLUS", "MINUS", "STAR", "POWER", "SLASH", "FLOOR", "PERCENT", "COMPARE", "IN", "AND", "OR", "LSQB", "IF",
}  # fmt: skip
_VALUES = {"NUMBER", "NAME", "STRING", "LSQB"}
# Names for groups of expected tokens: the tokens that must all be expected, and those that the name covers.
_GROUPS: tuple[tuple[str, set[str], set[str]], ...] = (
    ("a statement", {"STAGE", "PARAM"}, {*STATEMENTS, "IF", "STRING", "_NL", "$END"}),
    ("a value", _VALUES, {*_VALUES, "LPAR", "MINUS", "IN", "NOT"}),
    ("a layer", {"NAME", "LPAR", "RESIDUAL"}, {"NAME", "LPAR", "RESIDUAL", "IF", "IN", "FROZEN", "SHARE"}),
    ("an operator", {"PLUS", "STAR"}, _OPERATORS),
)


def diagnostic(code: str, span: Span, label: str, hint: str = "", notes: Sequence[Note] = ()) -> Diagnostic:
    """Return a syntax diagnostic."""
    return Diagnostic(code, TITLES[code], span, label, tuple(notes), hint)


def foreign_character(source: Source, at: int) -> Diagnostic:
    """Return the diagnostic for a character that begins no token."""
    char = source.text[at]
    if char == '"':
        long = source.text.startswith('"""', at)
        label = "no closing quotes" if long else "no closing quote"
        return diagnostic("E0104", Span(source, at, at + (3 if long else 1)), label)
    span = Span(source, at, at + 1)
    if char.isdecimal() and char.isascii():
        return _number(source, at)
    if source.text.startswith("<!--", at - 1):
        return diagnostic("E0106", span, f"`{char}` is not part of the language", "a comment begins with `#`")
    if char.isprintable():
        from archdsl.frontend.foreign_characters import foreign_text

        foreign = foreign_text(source, at)
        span = Span(source, at, foreign.end)
        return diagnostic("E0106", span, f"`{_short(span.text)}` is not part of the language", foreign.hint)
    name = unicodedata.name(char, "a control character")
    label = f"U+{ord(char):04X} ({name.lower()}) is not part of the language"
    return diagnostic("E0106", span, label, "delete it; it may look like a space, or like nothing")


def _number(source: Source, at: int) -> Diagnostic:
    """Return the diagnostic for digits followed by letters, which are neither a number nor a name."""
    start = at
    while start and (source.text[start - 1].isalnum() or source.text[start - 1] == "_"):
        start -= 1
    match = re.compile(r"\w+").match(source.text, start)
    text = match[0] if match is not None else source.text[at]
    hint = "a name begins with a letter, as in `s3d`; a number is written `64`, `0.5`, `1e-5` or `64K`"
    digits = re.fullmatch(r"(\d[^\W_]*)_?(\w*)", text)
    if digits and re.search(r"(^|\n)[ \t]*(arch|stage|path|block|param|let)[ \t]+$", source.text[:start]):
        word = source.text[:start].split()[-1]
        hint = f"a name begins with a letter, as in `{word} {digits[2] or 'net'}_{digits[1]}`"
    elif re.fullmatch(r"\d+([xX]\d+)+", text) and not text.startswith("0x"):
        hint = f"sizes are written as a list: `[{', '.join(re.split('[xX]', text))}]`"
    elif re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", text):
        hint = f"numbers are decimal: `{int(text, 16)}`"
    elif re.fullmatch(r"\d+[kmg]", text):
        hint = f"write `{text.upper()}`: `K`, `M` and `G` are 10³, 10⁶ and 10⁹"
    return diagnostic("E0106", Span(source, start, start + len(text)), f"`{text}` is no number and no name", hint)


def not_closed(source: Source, bracket: Token, token: Token | None = None) -> Diagnostic:
    """Return the diagnostic for a bracket that is not closed before `token`, or before the end."""
    notes = [Note("this cannot stand inside of it", span_of(source, token))] if token is not None else []
    return diagnostic("E0107", span_of(source, bracket), f"no `{OPEN[bracket.type]}` closes this", notes=notes)


class SyntaxFault(NamedTuple):
    """The diagnostic for an unexpected token, and the run of faults that it belongs to, if any."""

    diagnostic: Diagnostic
    run: str = ""


def unexpected(source: Source, fault: Unexpected, words: Mapping[str, str]) -> SyntaxFault:
    """Return the diagnostic for an unexpected token; `words` has the text of token kinds with a single spelling."""
    from archdsl.frontend.habits import cure  # no other text pays for it

    token, opened = fault.token, fault.opened
    habit = cure(fault)
    code = habit.code if habit is not None else "E0103"
    hint = habit.hint if habit is not None else _hint(fault)
    expected = expected_text(fault.accepted, words)
    if token.type in ("_NL", "$END"):
        what = "the line ends here" if token.type == "_NL" else "the text ends here"
        end = (fault.before.end_pos or 0) if fault.before is not None else 0
        return SyntaxFault(diagnostic(code, Span(source, end, end), f"{what}; {expected}", hint))
    if token.type in CLOSE and not opened:
        label = f"`{token}` closes nothing"
    else:
        label = f"`{token}` cannot stand here; {expected}"
    span = span_of(source, token)
    if habit is not None and habit.part is not None:
        span = Span(source, *habit.part)
        label = f"`{_short(span.text)}` cannot stand here"
    if habit is not None and habit.code != "E0103":
        label = habit.label or f"`{_short(span.text)}` cannot stand here"
    notes: list[Note] = []
    if opened and opened[-1].type != "LBRACE" and opened[-1].line != token.line:
        notes.append(Note("this is still open", span_of(source, opened[-1])))
    return SyntaxFault(diagnostic(code, span, label, hint, notes), habit.run if habit is not None else "")


def _short(text: str) -> str:
    """Return the beginning of a text, for a label."""
    line = text.partition("\n")[0]
    return line if line == text and len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN].rstrip()}…"


def span_of(source: Source, token: Token) -> Span:
    """Return the span of a token."""
    return Span(source, token.start_pos or 0, token.end_pos or 0)


def _hint(fault: Unexpected) -> str:
    token, before, accepted = fault.token, fault.before, fault.accepted
    previous = before.type if before is not None else ""
    if before is None and "ARCH" in accepted:
        return "a spec begins with `arch NAME`, a library with `block` or `import`"
    if token.type == "_NL" and previous == "ARROW":
        following = fault.source.text[before.end_pos if before is not None else 0 :].split("\n")[1:2]
        text = following[0].strip() if following and following[0].strip() else "…"
        return f"a chain goes on in a line that begins with `->`: leave it out here, and write `-> {text}` there"
    if token.type == "ARROW" and previous == "RBRACE" and "ELSE" in accepted:
        return "a line that begins with `if` is a condition on lines; a chain goes in parentheses: `(if … { … }) -> …`"
    if "ARROW" in accepted and token.type in ("NAME", "LPAR", "RESIDUAL"):
        return f"layers are joined by `->`: write `-> {token}`"
    if token.type == "COMMA" and ("RPAR" in accepted or not accepted & {"_NL", "RSQB", "RBRACE"}):
        return "a list stands in square brackets, as in `[1, 7, 7]`"
    if "NAME" in accepted and token.type not in _READABLE and re.fullmatch(r"[a-z]+", token):
        return f"`{token}` is a word of the language and cannot be a name"
    words = {w.lower() for w in accepted if w in STATEMENTS or w in _WORDS}
    close = did_you_mean(token, words) if token.type == "NAME" else ""
    if close.startswith("did you mean"):
        return close
    from archdsl.frontend.habits import form

    return form(fault)


def expected_text(accepted: set[str], words: Mapping[str, str]) -> str:
    """Return the list of expected tokens as text: `expected a value or `]``."""
    names, shown = set(accepted), list[str]()
    if "NAME" in names:  # of which a label is a form
        names.discard("LABEL")
    for group, needed, covered in _GROUPS:
        if needed <= names:
            shown.append(group)
            names -= covered
    shown += sorted(_READABLE.get(n) or words.get(n, n.lower()) for n in names)
    if len(shown) > 8:
        shown = [*shown[:7], "something else"]
    return "expected " + (" or ".join(shown) if len(shown) < 3 else ", ".join(shown[:-1]) + " or " + shown[-1])


def opened_brackets(stack: Sequence[Any]) -> list[Token]:
    """Return the brackets on a parser's stack that are not closed."""
    opened: list[Token] = []
    for value in stack:
        kind = getattr(value, "type", "")
        if kind in OPEN:
            opened.append(value)
        elif kind in CLOSE and opened:
            opened.pop()
    return opened
