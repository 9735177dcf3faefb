"""Text to syntax tree, by Lark's LALR(1) parser over `grammar.lark`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lark import Lark, Token, UnexpectedCharacters, UnexpectedToken

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import Source, Span
from archdsl.frontend import ast
from archdsl.frontend.build import build_binding, build_statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lark.parsers.lalr_interactive_parser import InteractiveParser

MAX_CHARACTERS = 1_000_000
MAX_NESTING = 60
MAX_SYNTAX_ERRORS = 20

_OPEN = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_CLOSE = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}
_GOES_ON = {"ARROW", "ELSE", "SHORTCUT"}
_READABLE = {
    "NAME": "a name", "NUMBER": "a number", "STRING": "a string", "_NL": "the end of the line", "$END": "the end",
    "LABEL": "a label", "COMPARE": "a comparison",
}  # fmt: skip


def _tokens(source: Source) -> list[Token]:
    """The tokens of a text, without the line ends that do not separate statements.

    Raises:
        SpecError: at a character that begins no token, or where brackets stand too deep inside each other.
    """
    kept: list[Token] = []
    opened: list[str] = []
    pending: Token | None = None
    for token in _lexed(source):
        if token.type == "_NL":
            pending = token
            continue
        inside_values = bool(opened) and opened[-1] != "LBRACE"
        if pending is not None and token.type not in _GOES_ON and not inside_values:
            kept.append(pending)
        pending = None
        if token.type in _OPEN:
            opened.append(token.type)
            if len(opened) > MAX_NESTING:
                raise _at_token("E0702", source, token, f"more than {MAX_NESTING} brackets inside each other")
        elif opened and _CLOSE.get(token.type) == opened[-1]:
            opened.pop()
        kept.append(token)
    return kept if pending is None else [*kept, pending]


def _lexed(source: Source) -> Iterator[Token]:
    try:
        yield from parser().lex(source.text)
    except UnexpectedCharacters as error:
        at = error.pos_in_stream
        char = source.text[at]
        if char == '"':
            raise _fault("E0104", source, at, at + 1, "no closing quote") from None
        shown = char if char.isprintable() else f"U+{ord(char):04X}"
        raise _fault("E0106", source, at, at + 1, f"`{shown}` is not part of the language") from None


def _table_file() -> str:
    """Where Lark keeps its parse tables: beside Python's own compiled files, else in the user's cache."""
    beside = Path(__file__).parent / "__pycache__"
    if not (beside.is_dir() and os.access(beside, os.W_OK)) and not (beside / "grammar.tables").is_file():
        beside = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archdsl"
        beside.mkdir(parents=True, exist_ok=True)
    return str(beside / "grammar.tables")


def _make_parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text("utf-8")
    options: dict[str, Any] = {
        "parser": "lalr",
        "lexer": "basic",
        "start": ["file", "binding"],
        "propagate_positions": True,
    }
    try:
        return Lark(grammar, cache=_table_file(), **options)
    except OSError:
        return Lark(grammar, **options)


_parser: Lark | None = None


def parser() -> Lark:
    """The one parser of the process, made when it is first asked for."""
    global _parser
    if _parser is None:
        _parser = _make_parser()
    return _parser


def parse(source: Source) -> ast.File:
    """The syntax tree of a spec or a block library.

    Raises:
        SpecError: with every fault of the text that could be told apart.
    """
    if len(source.text) > MAX_CHARACTERS:
        raise _fault("E0704", source, 0, 0, f"{len(source.text):,} characters, at most {MAX_CHARACTERS:,} are read")
    if not source.text.strip():
        raise _fault("E0102", source, 0, 0, "a spec begins with `arch NAME`")
    tree = _run(source, "file")
    return ast.File(source, build_statements(tree, source), tuple(_comments(source)))


def parse_binding(source: Source) -> ast.Binding:
    """A setting as `--set` has it: `NAME=VALUE`.

    Raises:
        SpecError: if the text is not a name and one value.
    """
    return build_binding(_run(source, "binding"), source)


def _run(source: Source, start: str) -> Any:
    """Parse; after a fault go on behind its line, so that one run shows every line that is wrong."""
    faults: list[Diagnostic] = []
    interactive = parser().parse_interactive(start=start)
    tokens = _tokens(source)
    position, resumed = 0, -1
    while position < len(tokens) and len(faults) < MAX_SYNTAX_ERRORS:
        try:
            interactive.feed_token(tokens[position])
            position += 1
        except UnexpectedToken as error:
            if position == resumed:
                break
            faults.append(_unexpected(source, error))
            position = resumed = _skip_line(tokens, position, interactive)
    if not faults:
        try:
            return interactive.feed_eof(tokens[-1] if tokens else None)
        except UnexpectedToken as error:
            faults.append(_unclosed(source, tokens) or _unexpected(source, error))
    raise SpecError(faults)


def _skip_line(tokens: list[Token], position: int, interactive: InteractiveParser) -> int:
    """Where to go on: at the line end after a fault, with the parser in a state that takes one; else at the end."""
    depth = 0
    while position < len(tokens) and not (tokens[position].type == "_NL" and depth <= 0):
        depth += (tokens[position].type in _OPEN) - (tokens[position].type in _CLOSE)
        position += 1
    state = interactive.parser_state
    while state.state_stack and "_NL" not in state.parse_conf.parse_table.states[state.state_stack[-1]]:
        state.state_stack.pop()
        if state.value_stack:
            state.value_stack.pop()
    return position if state.state_stack else len(tokens)


def _unclosed(source: Source, tokens: list[Token]) -> Diagnostic | None:
    opened: list[Token] = []
    for token in tokens:
        if token.type in _OPEN:
            opened.append(token)
        elif token.type in _CLOSE and opened:
            opened.pop()
    if not opened:
        return None
    start, end = opened[-1].start_pos or 0, opened[-1].end_pos or 0
    return _diagnostic("E0107", source, start, end, f"no `{_OPEN[opened[-1].type]}` closes this", "")


def _unexpected(source: Source, error: UnexpectedToken) -> Diagnostic:
    token = error.token
    if token.type == "$END":
        at = len(source.text.rstrip())
        return _diagnostic("E0103", source, at, at, f"the text ends here; {_expected(error)}", "")
    shown = "the line ends here" if token.type == "_NL" else f"`{token}` cannot stand here"
    start = token.start_pos or 0
    end = start if token.type == "_NL" else token.end_pos or start
    return _diagnostic("E0103", source, start, end, f"{shown}; {_expected(error)}", _hint(token))


def _hint(token: Token) -> str:
    if token.type not in _READABLE and re.fullmatch(r"[a-z]+", token):
        return f"`{token}` is a word of the language and cannot be a name"
    return ""


def _expected(error: UnexpectedToken) -> str:
    terminals = parser().terminals
    words = {t.name: f"`{t.pattern.value}`" for t in terminals if t.pattern.type == "str"}
    names = sorted(_READABLE.get(n) or words.get(n, n.lower()) for n in error.accepts or error.expected)
    if len(names) > 8:
        return "expected another part of the spec"
    return "expected " + (" or ".join(names) if len(names) < 3 else ", ".join(names[:-1]) + " or " + names[-1])


def _comments(source: Source) -> Iterator[ast.Comment]:
    """The comments of a text that parses: `#` outside strings."""
    for match in re.finditer(r'"""(?:[^\\]|\\.)*?"""|"(?:[^"\\\n]|\\.)*"|(#[^\n]*)', source.text, re.DOTALL):
        if match[1] is not None:
            yield ast.Comment(Span(source, match.start(1), match.end(1)), match[1].rstrip())


def _diagnostic(code: str, source: Source, start: int, end: int, label: str, hint: str) -> Diagnostic:
    return Diagnostic(code, TITLES[code], Span(source, start, end), label, (), hint)


def _fault(code: str, source: Source, start: int, end: int, label: str) -> SpecError:
    return SpecError([_diagnostic(code, source, start, end, label, "")])


def _at_token(code: str, source: Source, token: Token, label: str) -> SpecError:
    return _fault(code, source, token.start_pos or 0, token.end_pos or 0, label)


