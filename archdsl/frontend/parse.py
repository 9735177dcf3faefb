"""Text to syntax tree, by Lark's LALR(1) parser over `grammar.lark`."""

from __future__ import annotations

import re
import sys
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lark import Lark, Token, UnexpectedCharacters

from archdsl.core.cache import cache_folder
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import MAX_CHARACTERS, Source, Span
from archdsl.core.work import MAX_STEPS, TOKEN
from archdsl.frontend import ast
from archdsl.frontend.build import build_binding, build_bindings, build_statements
from archdsl.frontend.labels import with_labels
from archdsl.frontend.quick import QuickParser
from archdsl.frontend.recovery import MAX_PENDING, MAX_SYNTAX_ERRORS, TolerantParser
from archdsl.frontend.syntax_faults import CLOSE, OPEN, STATEMENTS, diagnostic, foreign_character, not_closed, span_of
from archdsl.frontend.tuples import tuples_as_lists

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.core.work import Work

MAX_TOKENS = 50_000
MAX_NAME = 100  # characters of a name: of modules, files and classes that are called as it
MAX_NESTING = 60
MAX_KEPT = 128  # trees of a process, which other specs are made of as well
MAX_KEPT_TOKENS = 5_000  # of each

_GOES_ON = {"ARROW", "ELSE", "SHORTCUT"}
_NAMES = {"NAME", "LABEL"}

_parsed: dict[Source, tuple[ast.File, int]] = {}  # trees without faults and their numbers of tokens, the last used last


def _tokens(source: Source, text: str) -> list[Token]:
    """Return the tokens of a text, without the line ends that do not separate statements.

    Raises:
        SpecError: at a character that begins no token, or where brackets stand too deep inside each other.
    """
    kept: list[Token] = []
    opened: list[Token] = []
    pending: Token | None = None
    for token in lexed(parser(), source, text):
        if token.type == "_NL":
            pending = token
            continue
        inside_values = bool(opened) and opened[-1].type != "LBRACE"
        begins = token.type in STATEMENTS - {"FOR"} and kept and kept[-1].type != "COLON"  # `norm: block`
        if pending is not None and inside_values and begins:
            raise SpecError([not_closed(source, opened[-1], token)])
        if pending is not None and token.type not in _GOES_ON and not inside_values:
            kept.append(pending)
        pending = None
        if token.type in OPEN:
            opened.append(token)
            if len(opened) > MAX_NESTING:
                label = f"more than {MAX_NESTING} brackets inside each other"
                raise SpecError([diagnostic("E0702", span_of(source, token), label)])
        elif opened and CLOSE.get(token.type) == opened[-1].type:
            opened.pop()
        kept.append(token)
    return kept if pending is None else [*kept, pending]


def lexed(lark: Any, source: Source, text: str) -> list[Token]:
    """Return the tokens of a text at the same place in the source. Raise SpecError with what begins no token."""
    faults: list[Diagnostic] = []
    while True:
        try:
            tokens: list[Token] = list(islice(with_labels(lark.lex(text)), MAX_TOKENS + 1))
        except UnexpectedCharacters as error:
            at: int = error.pos_in_stream
            fault = foreign_character(source, at)
            if all(f.span.text != fault.span.text for f in faults):
                faults.append(fault)
            if faults[-1].code == "E0104" or len(faults) == MAX_SYNTAX_ERRORS:
                raise SpecError(faults) from None
            text = _without(text, source.text, fault.span.start, fault.span.text)
        else:
            break
    if faults:
        raise SpecError(faults)
    _check_tokens(source, tokens)
    return tokens


def _check_tokens(source: Source, tokens: list[Token]) -> None:
    """Refuse too many tokens, and names that are too long."""
    if len(tokens) > MAX_TOKENS:
        label = f"more than {MAX_TOKENS:,} words, numbers and signs; the rest begins here"
        raise SpecError([diagnostic("E0704", span_of(source, tokens[-1]), label)])
    long = next((t for t in tokens if t.type in _NAMES and len(t) > MAX_NAME), None)
    if long is not None:
        label = f"a name of {len(long):,} characters, at most {MAX_NAME} are allowed"
        raise SpecError([diagnostic("E0204", span_of(source, long), label)])


def _without(text: str, whole: str, start: int, fault: str) -> str:
    """Return a part of a text with spaces for each word, from `start` on, that holds what begins no token.

    The rest of such a word would be a fault of its own, which says no more. `whole` has the words as they were.
    """
    kept = list(text)
    end = at = start
    while start <= at < len(text):
        begin = at
        while begin > end and _in_word(whole[begin - 1]):
            begin -= 1
        end = at + len(fault)
        while end < len(whole) and _in_word(whole[end - 1]) and _in_word(whole[end]):
            end += 1
        kept[begin:end] = " " * (min(end, len(text)) - begin)
        at = whole.find(fault, end)
    return "".join(kept)


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def make_parser(grammar: Path, start: list[str]) -> Any:  # Lark, whose types are incomplete
    """Return an LALR(1) parser; its tables are kept in the cache, under the name of the grammar."""
    options: dict[str, Any] = {"parser": "lalr", "lexer": "basic", "start": start, "propagate_positions": True}
    folder = cache_folder()
    if folder is not None:
        options["cache"] = str(folder / f"{grammar.stem}.{sys.implementation.cache_tag}.tables")
    lark: Any = Lark(grammar.read_text("utf-8"), **options)
    lark.lexer = lark._build_lexer()  # which Lark makes again for each text otherwise
    return lark


@cache
def parser() -> Any:
    """Return the one parser of specs of the process, made when it is first asked for."""
    return make_parser(Path(__file__).with_name("grammar.lark"), ["file", "binding", "bindings"])


@cache
def _quick() -> QuickParser:
    return QuickParser(parser(), MAX_PENDING)


def parse(source: Source, work: Work | None = None, mended: list[Diagnostic] | None = None) -> ast.File:
    """Return the syntax tree of a spec or a block library; what it takes to parse counts as `work`.

    Faults that leave no doubt about what is meant are added to `mended`, if that is given: the tree is that of the text
    without them.

    Raises:
        SpecError: with every fault of the text that could be told apart.
    """
    known = _parsed.pop(source, None)
    if known is None:
        return _parse_new(source, work, mended)
    _parsed[source] = known  # the last of those that are kept
    file, count = known
    _spend(work, count, source)
    return file


def _parse_new(source: Source, work: Work | None, mended: list[Diagnostic] | None) -> ast.File:
    """Parse a text, and keep the tree if the text has no faults."""
    if not source.text.strip():
        raise _fault("E0102", source, "a spec begins with `arch NAME`")
    faults: list[Diagnostic] = []
    tree, count = _run(source, "file", source.text, work, None if mended is None else faults)
    statements = build_statements(tree, source)
    if not statements:
        raise _fault("E0102", source, "there are comments, and nothing else")
    file = ast.File(source, statements, tuple(_comments(source)))
    if mended is not None:
        mended.extend(faults)
    if not faults and count <= MAX_KEPT_TOKENS:
        _parsed[source] = file, count
    if len(_parsed) > MAX_KEPT:
        del _parsed[next(iter(_parsed))]
    return file


def parse_binding(source: Source) -> ast.Binding:
    """Return a setting as `--set` has it: `NAME=VALUE`.

    Raises:
        SpecError: if the text is not a name and one value.
    """
    return build_binding(_run(source, "binding", source.text)[0], source)


def parse_bindings(place: Span) -> tuple[ast.Binding, ...]:
    """Return settings in a part of another text: `NAME=VALUE, NAME=VALUE`.

    Raises:
        SpecError: if that part is something else.
    """
    text = " " * place.start + place.text  # so that every token knows its place in the whole text
    return build_bindings(_run(place.source, "bindings", text)[0], place.source)


def _run(
    source: Source, start: str, text: str, work: Work | None = None, mended: list[Diagnostic] | None = None
) -> tuple[Any, int]:
    """Return the parse tree of a text and its number of tokens; one run shows every line that is wrong."""
    if len(text) > MAX_CHARACTERS:
        raise _fault("E0704", source, f"{len(text):,} characters, at most {MAX_CHARACTERS:,} are read")
    tokens = _tokens(source, text)
    _spend(work, len(tokens), source)
    count = len(tokens)
    tokens, faults = tuples_as_lists(source, tokens)
    tree = _quick().tree(start, tokens)
    try:
        if tree is None:
            tree = TolerantParser(source, parser().parse_interactive(start=start), tokens, _words).tree()
    except SpecError as error:
        raise SpecError(_merged(faults, error.diagnostics)) from None
    if faults and mended is None:
        raise SpecError(faults)
    if mended is not None:
        mended.extend(faults)
    return tree, count


def _spend(work: Work | None, count: int, source: Source) -> None:
    """Count the work of parsing tokens. Raise SpecError if it is more than the budget."""
    if work is not None and not work.spend(TOKEN * count):
        raise _fault("E0705", source, f"with the files that it names, more than {MAX_STEPS:,} steps of work")


def _merged(mended: Sequence[Diagnostic], faults: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return faults by their places, without the mended ones of lines for which another fault has the cure."""

    def line(fault: Diagnostic) -> int:
        return fault.span.source.position(fault.span.start)[0]

    lines = {line(f) for f in faults}
    return sorted([*faults, *(f for f in mended if line(f) not in lines)], key=lambda f: f.span.start)


def _words() -> dict[str, str]:
    """Return the spelling of each terminal that has one alone."""
    return {t.name: f"`{t.pattern.value}`" for t in parser().terminals if t.pattern.type == "str"}


def _comments(source: Source) -> Iterator[ast.Comment]:
    """Yield the comments of a text that parses: `#` outside strings."""
    for match in re.finditer(r'"""(?:[^\\]|\\.)*?"""|"(?:[^"\\\n]|\\.)*"|(#[^\n]*)', source.text, re.DOTALL):
        if match[1] is not None:
            yield ast.Comment(Span(source, match.start(1), match.end(1)), match[1].rstrip())


def _fault(code: str, source: Source, label: str) -> SpecError:
    """Return a fault of the whole text."""
    return SpecError([diagnostic(code, Span(source, 0, 0), label)])
