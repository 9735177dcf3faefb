"""Parser of weight maps, which also reports every fault that can be found without a network."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lark import Token, UnexpectedToken
from lark.visitors import Transformer_NonRecursive

from archdsl.core.diagnostics import Note, SpecError
from archdsl.core.report import Reporter
from archdsl.core.source import MAX_CHARACTERS, Span
from archdsl.frontend.parse import lexed, make_parser, parse_bindings
from archdsl.frontend.syntax_faults import diagnostic, expected_text, span_of
from archdsl.weights.check import check_rules
from archdsl.weights.tree import Alias, Axes, Capture, Need, Number, Rule, Tensors, WeightMap, Word, Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archdsl.core.source import Source

MAX_LINES = 5000  # of a map; each line applies to all tensors of a network
MAX_DIGITS = 9  # of a size

_GOES_ON = {"EQUAL", "COLON"}
_READABLE = {
    "WORD": "a name", "TENSORS": "a pattern of names", "STRING": "a string", "PARAM": "`param` or `default`",
    "$END": "the line's end",
}  # fmt: skip
_JOINED = re.compile(r"\{([^}]*\|[^}]*)\}")
_PIECE = re.compile(r"(?P<text>[^{]+)|\{(?P<name>\w+)(?P<dotted>\*?)\}|\{[^}]*\}")
_OF_PARAM = re.compile(r"(?P<kind>param|default)[ \t]+(?:for\b(?P<specs>[^=:]*)(?P<colon>:?))?")


@cache
def _parser() -> Any:  # Lark, whose types are incomplete
    return make_parser(Path(__file__).with_name("weights.lark"), ["line"])


@lru_cache(maxsize=64)
def parse_map(source: Source) -> WeightMap:
    """Parse a map, once in a process.

    Raises:
        SpecError: with every fault of the text.
    """
    reporter = Reporter()
    if len(source.text) > MAX_CHARACTERS:
        label = f"the file has {len(source.text):,} characters; at most {MAX_CHARACTERS:,} are allowed"
        raise reporter.fatal("E0704", Span(source, 0, 0), label)
    if source.text.count("\n") > MAX_LINES:
        raise reporter.fatal("E0704", Span(source, 0, 0), f"a map has at most {MAX_LINES:,} lines")
    statements: list[Any] = []
    for tokens in _lines(lexed(_parser(), source, source.text)):
        try:
            statements.append(_MapBuilder(source).transform(_statement(source, tokens)))
        except SpecError as error:
            reporter.extend(error)
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    if not statements:
        raise reporter.fatal("E0102", Span(source, 0, 0), "a map begins with `weights SOURCE for SPEC`")
    result = _collected(source, statements, reporter)
    check_rules(result, reporter)
    if reporter.failed:
        raise SpecError(reporter.diagnostics)
    return result


def _lines(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the tokens of each statement."""
    line: list[Token] = []
    ended = False
    for token in tokens:
        if token.type == "_NL":
            ended = True
            continue
        if ended and line and token.type not in _GOES_ON:
            yield line
            line = []
        ended = False
        line.append(token)
    if line:
        yield line


def _statement(source: Source, tokens: Sequence[Token]) -> Any:
    """Return the parse tree of one statement.

    Raises:
        SpecError: at the first token that is a syntax error.
    """
    interactive: Any = _parser().parse_interactive(start="line")
    state = interactive.parser_state
    for token in tokens:
        stacks = state.state_stack[:], state.value_stack[:]
        try:
            interactive.feed_token(token)
        except UnexpectedToken:
            state.state_stack, state.value_stack = stacks  # as they were before the token
            label = f"`{token}` cannot stand here; {_expected(interactive.accepts())}"
            raise SpecError([diagnostic("E0103", span_of(source, token), label)]) from None
    stacks = state.state_stack[:], state.value_stack[:]
    try:
        return interactive.feed_eof(tokens[-1])
    except UnexpectedToken:
        state.state_stack, state.value_stack = stacks
        end = tokens[-1].end_pos or 0
        label = f"the line ends here; {_expected(interactive.accepts())}"
        raise SpecError([diagnostic("E0103", Span(source, end, end), label)]) from None


def _expected(accepted: set[str]) -> str:
    words = {t.name: f"`{t.pattern.value}`" for t in _parser().terminals if t.pattern.type == "str"}
    return expected_text(accepted - {"_NL"}, words | _READABLE)


@dataclass(frozen=True)
class _Header:
    span: Span
    source: Word
    specs: tuple[Word, ...]
    excluded: tuple[Word, ...]
    transfers: bool = False


@dataclass(frozen=True)
class _Doc:
    span: Span
    text: str


@dataclass
class _Parts:
    """The statements of a map by kind."""

    header: _Header
    doc: str = ""
    needs: list[Need] = field(default_factory=list[Need])
    words: dict[str, Words] = field(default_factory=dict[str, Words])
    numbers: dict[str, Number] = field(default_factory=dict[str, Number])
    rules: list[Rule] = field(default_factory=list[Rule])
    aliases: list[Alias] = field(default_factory=list[Alias])
    drops: list[Tensors] = field(default_factory=list[Tensors])


def _collected(source: Source, statements: Sequence[Any], reporter: Reporter) -> WeightMap:
    header, *others = statements
    if not isinstance(header, _Header):
        raise reporter.fatal(
            "E0105", _place(header), "a map begins with `weights SOURCE for SPEC`, or `transfer SPEC for SPEC`"
        )
    parts = _Parts(header)
    for index, statement in enumerate(others):
        _add(parts, statement, index, reporter)
    result = WeightMap(
        source, header.span, header.source, header.specs, header.excluded,
        parts.doc, tuple(parts.needs), parts.words, parts.numbers,
        tuple(parts.rules), tuple(parts.aliases), tuple(parts.drops), header.transfers,
    )  # fmt: skip
    if header.transfers:
        _check_transfer(others, reporter)
    return result


def _check_transfer(statements: Sequence[Any], reporter: Reporter) -> None:
    """Report statements that are not allowed in a transfer map, which maps single names independently of shapes."""
    for statement in statements:
        plain = isinstance(statement, Rule) and len(statement.ours) == len(statement.theirs) == 1
        if not (isinstance(statement, (_Doc, Words)) or (plain and statement.axes is None)):
            label = "a map between two specs can have `words` and rules `OURS = THEIRS`, without parts and axes"
            reporter.report("E0105", _place(statement), label)


def _add(parts: _Parts, statement: Any, index: int, reporter: Reporter) -> None:
    match statement:
        case _Header():
            reporter.report("E0105", statement.span, "a second header")
        case _Doc():
            if index:
                reporter.report("E0105", statement.span, "the description belongs right below the header")
            parts.doc = statement.text
        case Words():
            _once(parts.words.setdefault(statement.name.text, statement), statement, "list of words", reporter)
        case Number():
            _once(parts.numbers.setdefault(statement.name.text, statement), statement, "`number`", reporter)
        case _:
            _add_line(parts, statement)


def _add_line(parts: _Parts, statement: Any) -> None:
    """Add a statement that a map can have any number of times."""
    match statement:
        case Need():
            parts.needs.append(statement)
        case Rule():
            parts.rules.append(statement)
        case Alias():
            parts.aliases.append(statement)
        case _:
            parts.drops.extend(statement)


def _once(first: Words | Number, statement: Words | Number, what: str, reporter: Reporter) -> None:
    """Report a second statement for the same capture."""
    if first is not statement:
        note = Note("first here", first.name.span)
        reporter.report("E0203", statement.name.span, f"a second {what} for `{statement.name.text}`", [note])


def _place(statement: Any) -> Span:
    if isinstance(statement, tuple):  # patterns of `drop`
        return cast("tuple[Tensors, ...]", statement)[0].span
    return statement.bindings[0].span if isinstance(statement, Need) else statement.span


class _MapBuilder(Transformer_NonRecursive):  # pyright: ignore[reportMissingTypeArgument]  # Lark's takes none at run time
    """Builder of the syntax tree (`tree.py`) from Lark's parse tree, bottom-up."""

    def __init__(self, source: Source) -> None:
        super().__init__(visit_tokens=False)
        self.source = source

    def transform(self, tree: Any) -> Any:
        return cast("Any", super()).transform(tree)  # Lark's types are incomplete

    def _call_userfunc(self, tree: Any, new_children: list[Any] | None = None) -> Any:
        children = tree.children if new_children is None else new_children
        span = Span(self.source, tree.meta.start_pos, tree.meta.end_pos)
        return getattr(self, f"on_{tree.data}")(span, *children)

    def _word(self, token: Token) -> Word:
        return Word(span_of(self.source, token), str(token))

    def on_names(self, _span: Span, *names: Token) -> tuple[Word, ...]:
        return tuple(self._word(n) for n in names)

    def on_header(self, span: Span, source: Token, specs: tuple[Word, ...], excluded: Any) -> _Header:
        return _Header(span, self._word(source), specs, excluded or ())

    def on_transfer(self, span: Span, source: Token, specs: tuple[Word, ...], excluded: Any) -> _Header:
        return _Header(span, self._word(source), specs, excluded or (), transfers=True)

    def on_doc(self, span: Span, text: Token) -> _Doc:
        return _Doc(span, _unquoted(text))

    def on_param(self, _span: Span, line: Token) -> Need:
        start = line.start_pos or 0
        match = _OF_PARAM.match(line)
        if match is None:
            raise AssertionError
        specs = list(self._specs(start + match.start("specs"), match["specs"])) if match["specs"] else []
        if match["specs"] is not None and not match["colon"]:
            end = start + match.start("specs") + len(match["specs"].rstrip())
            raise SpecError([diagnostic("E0103", Span(self.source, end, end), "expected `:` after the specs")])
        rest = Span(self.source, start + match.end(), line.end_pos or 0)
        if not rest.text.strip():
            raise SpecError([diagnostic("E0103", Span(self.source, rest.end, rest.end), "expected `NAME = VALUE`")])
        return Need(tuple(specs), parse_bindings(rest), match["kind"] == "param")

    def _specs(self, at: int, text: str) -> Iterator[Word]:
        """Yield the names in a comma-separated list of specs."""
        for name in text.split(","):
            place = Span(self.source, at + len(name) - len(name.lstrip()), at + len(name.rstrip()))
            if not re.fullmatch(r"\w+", place.text):
                raise SpecError([diagnostic("E0103", place, "expected the name of a spec, and `:` after the last one")])
            yield Word(place, place.text)
            at += len(name) + 1

    def on_spelled(self, span: Span, text: Token) -> Word:
        return Word(span, _unquoted(text) if text.type == "STRING" else str(text))

    def on_spelling(self, _span: Span, ours: Word, theirs: Word | None) -> tuple[Word, Word]:
        return ours, theirs or ours

    def on_words(self, span: Span, name: Token, *spellings: tuple[Word, Word]) -> Words:
        return Words(span, self._word(name), spellings)

    def on_number(self, span: Span, name: Token, *patterns: tuple[Tensors, ...]) -> Number:
        return Number(span, self._word(name), tuple(_whole(p, "a pattern of `number`") for p in patterns))

    def on_tensors(self, span: Span, token: Token) -> tuple[Tensors, ...]:
        """Return one pattern for each alternative of `{a|b}`, or a single one."""
        places = list(_JOINED.finditer(token))
        if len(places) > 1:
            raise SpecError([diagnostic("E0103", span, "a name can have parts `{a|b}` only once")])
        texts = places[0][1].split("|") if places else [""]
        return tuple(Tensors(span, tuple(self._parts(span, token, text))) for text in texts)

    def _parts(self, span: Span, token: Token, joined: str) -> Iterator[str | Capture]:
        """Yield the texts and captures of a pattern; `joined` replaces the alternatives."""
        for match in _PIECE.finditer(token):
            if match["name"] is not None:
                place = Span(self.source, span.start + match.start(), span.start + match.end())
                yield Capture(place, match["name"], bool(match["dotted"]))
            else:
                yield match[0] if match["text"] is not None else joined

    def on_group(self, _span: Span, *axes: Token) -> tuple[str, ...]:
        return tuple(map(str, axes))

    def on_groups(self, _span: Span, *groups: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return groups

    def on_size(self, _span: Span, name: Token, size: Token) -> tuple[str, int]:
        if not (size.isdecimal() and len(size) <= MAX_DIGITS and int(size)):
            label = f"`{size}` cannot stand here; expected a size of at most {MAX_DIGITS} digits"
            raise SpecError([diagnostic("E0103", span_of(self.source, size), label)])
        return str(name), int(size)

    def on_sizes(self, _span: Span, *sizes: tuple[str, int]) -> dict[str, int]:
        return dict(sizes)

    def on_axes(self, span: Span, ours: Any, theirs: Any, sizes: dict[str, int] | None) -> Axes:
        return Axes(span, ours, theirs, sizes or {})

    def on_rule(self, span: Span, ours: tuple[Tensors, ...], theirs: tuple[Tensors, ...], axes: Axes | None) -> Rule:
        return Rule(span, ours, theirs, axes)

    def on_also(self, span: Span, name: tuple[Tensors, ...], of: tuple[Tensors, ...]) -> Alias:
        return Alias(span, True, _whole(name, "an alias"), _whole(of, "a name with an alias"))

    def on_instead(self, span: Span, name: tuple[Tensors, ...], of: tuple[Tensors, ...]) -> Alias:
        return Alias(span, False, _whole(name, "an alias"), _whole(of, "a name with an alias"))

    def on_drop(self, _span: Span, tensors: tuple[Tensors, ...]) -> tuple[Tensors, ...]:
        return tensors


def _whole(tensors: tuple[Tensors, ...], what: str) -> Tensors:
    """Return the single pattern; raise SpecError for a name with parts."""
    first, *others = tensors
    if others:
        raise SpecError([diagnostic("E0103", first.span, f"{what} cannot have parts `{{a|b}}`")])
    return first


def _unquoted(token: Token) -> str:
    return re.sub(r"\\(.)", r"\1", str(token)[1:-1])
