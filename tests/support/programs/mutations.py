"""Mutated specs: parts deleted, doubled, exchanged or blown up."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from repository import ROOT

from archdsl.analysis.cost import cost_json
from archdsl.core.diagnostics import SpecError
from archdsl.core.render import render_text
from archdsl.core.render_json import render_json
from archdsl.core.render_sarif import render_sarif
from archdsl.core.source import Source
from archdsl.frontend.format import format_text
from archdsl.pipeline import analyse, module_text
from programs import program
from programs.check import Fault, Texts
from programs.draw import Draw
from programs.reduce import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

SPECS = ROOT / "specs"
SECONDS = 5.0  # of CPU time, for one text: half of what each command may take
SMALL = 400  # layers, up to which the code of an accepted text is written, too
NUMBERS = (
    "0 1 2 3 7 -1 1.5 0.1 1/3 -0 1e3 1e-9 100000 1e9 1e15 1e16 1e30 999999999999 1_000 34.5M 1G 0.30000000000000004"
).split()
WORDS = (
    "and arch as at block by cite drop else extends for from frozen head if import in input lateral let not or param "
    "path published recipe residual shortcut stage where on off true false index all concat add mean conv linear bn "
    "relu attention avgpool maxpool position class_token select every in.channels in.t in.h nothing x len max min zip "
    "sum floor round msra normal zeros spread stride half same valid space time table decomposed clip"
).split()
SIGNS = "-> => ( ) [ ] { } , : = == != <= >= < > + - * / // % .. . \" ' ; # \n".split(" ")
CHARACTERS = "abcxyz_019 \t\n\r\0\"'\\#{}[]()<>=-+*/%.,:;@$&|~^?!é×𝔘\u202e\ufeff\u2028\x7f"


class Slow(Exception):
    """A text took longer than it may."""


@dataclass(frozen=True)
class Mutated:
    """Texts by name, of which one is to be read."""

    name: str
    texts: dict[str, str]

    @property
    def text(self) -> str:
        return self.texts[self.name]


@cache
def corpus() -> dict[str, str]:
    """All specs and libraries of archdsl, by name."""
    files = sorted(p for folder in (SPECS, SPECS / "lib", SPECS / "images") for p in folder.glob("*.arch"))
    return {p.stem: p.read_text("utf-8") for p in files}


@cache
def _short() -> list[str]:
    """The shorter ones, and what they are made of, are drawn more often: they take less time."""
    return [name for name, text in corpus().items() if len(text) < 2500]


def mutated(seed: int) -> Mutated:
    """The text of a seed."""
    d = Draw(f"text {seed}")
    if d.chance(0.6):
        own = program(d.whole(0, 10**9))
        texts, name = {**corpus(), **own.texts}, d.pick([own.name, own.name, *own.texts])
    else:
        texts, name = dict(corpus()), d.pick(_short() if d.chance(0.7) else list(corpus()))
    text = _excerpt(d, texts[name]) if d.chance(0.6) else texts[name]
    for _ in range(d.pick([1, 1, 1, 2, 2, 3, 5])):
        text = d.pick(MUTATIONS)(d, text)[:60_000]
    return Mutated(name, {**texts, name: text})


def _excerpt(d: Draw, text: str) -> str:
    """The first statement and some of the others: a text that is read in less time."""
    first, *others = _statements(text) or [text]
    return "".join([first, *(s for s in others if d.chance(0.35))])


def _statements(text: str) -> list[str]:
    """The lines of a text, those between braces with the line that opens them."""
    found: list[str] = []
    depth = 0
    for line in text.splitlines(keepends=True):
        if depth > 0:
            found[-1] += line
        else:
            found.append(line)
        depth += sum(line.count(c) for c in "([{") - sum(line.count(c) for c in ")]}")
    return found


# --- mutations -------------------------------------------------------------------------------------------------------


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text) or [" "]


def _run(d: Draw, tokens: Sequence[str]) -> tuple[int, int]:
    start = d.whole(0, len(tokens) - 1)
    return start, min(len(tokens), start + d.pick([1, 1, 2, 3, 8, 30]))


def _delete(d: Draw, text: str) -> str:
    tokens = _tokens(text)
    start, end = _run(d, tokens)
    return "".join(tokens[:start] + tokens[end:])


def _double(d: Draw, text: str) -> str:
    tokens = _tokens(text)
    start, end = _run(d, tokens)
    times = d.pick([2, 2, 3, 20, 300])
    return "".join(tokens[:start] + tokens[start:end] * times + tokens[end:])


def _exchange(d: Draw, text: str) -> str:
    tokens = _tokens(text)
    one, other = d.whole(0, len(tokens) - 1), d.whole(0, len(tokens) - 1)
    tokens[one], tokens[other] = tokens[other], tokens[one]
    return "".join(tokens)


def _replaced(d: Draw, text: str) -> str:
    tokens = _tokens(text)
    at = d.pick([i for i, t in enumerate(tokens) if t.strip()] or [0])
    tokens[at] = d.pick([*NUMBERS, *SIGNS, *WORDS, *([t for t in tokens if t.strip()] or [" "])])
    return "".join(tokens)


def _like(d: Draw, text: str) -> str:
    """A number by a number, a word by a word: the syntax mostly holds."""
    tokens = _tokens(text)
    places = [i for i, t in enumerate(tokens) if t[0].isalnum()]
    if not places:
        return _replaced(d, text)
    for _ in range(d.pick([1, 1, 2])):
        at = d.pick(places)
        is_number = tokens[at][0].isdigit()
        tokens[at] = d.pick(NUMBERS if is_number else [*WORDS, *(tokens[i] for i in places)])
    return "".join(tokens)


def _inserted(d: Draw, text: str) -> str:
    tokens = _tokens(text)
    at = d.whole(0, len(tokens))
    return "".join([*tokens[:at], " ", d.pick([*NUMBERS, *SIGNS, *WORDS, *tokens]), " ", *tokens[at:]])


def _characters(d: Draw, text: str) -> str:
    at = d.whole(0, len(text))
    way = d.whole(0, 2)
    put = "" if way == 0 else d.pick(CHARACTERS)
    return text[:at] + put + text[at + (way != 1) :]


def _spliced(d: Draw, text: str) -> str:
    other = corpus()[d.pick(_short())]
    lines, others = text.split("\n"), other.split("\n")
    start = d.whole(0, len(others) - 1)
    part = others[start : start + d.pick([1, 1, 3, 10, 100])]
    at = d.whole(0, len(lines))
    return "\n".join([*lines[:at], *part, *lines[at + d.pick([0, 0, 1, 3]) :]])


def _nested(d: Draw, text: str) -> str:
    tokens = _tokens(text)
    start, end = _run(d, tokens)
    before, after = d.pick(
        [("(", ")"), ("[", "]"), ("{", "}"), ("residual { ", " }"), ("concat { ", ", relu }"), ("-", ""), ("not ", ""),
         ("max(", ")"), ("if on { ", " }"), ("1 if off else ", ""), ("[x for x in ", "]"), ("", "[0]"), ("2 * ", ""),
         ("", " -> relu")]
    )  # fmt: skip
    times = d.pick([1, 2, 5, 30, 200])
    return "".join([*tokens[:start], before * times, *tokens[start:end], after * times, *tokens[end:]])


def _rowed(d: Draw, text: str) -> str:
    """A layer, or a block, many times."""
    tokens = _tokens(text)
    places = [i for i, t in enumerate(tokens) if t in (")", "}", "relu", "bn", "avgpool")]
    at = d.pick(places or [0])
    return "".join(
        [
            *tokens[: at + 1],
            f" * {d.pick([*NUMBERS, '0', '1000', '99999', 'index', '[2, 3][index]'])}",
            *tokens[at + 1 :],
        ]
    )


def _named(d: Draw, text: str) -> str:
    """One word everywhere by another."""
    tokens = _tokens(text)
    words = sorted({t for t in tokens if t[0].isalpha()}) or ["x"]
    old, new = d.pick(words), d.pick([*words, *WORDS, "torch", "self", "__init__", "train", "class", "x" * 300])
    return "".join(new if t == old else t for t in tokens)


MUTATIONS: list[Callable[[Draw, str], str]] = [
    *[_delete] * 2, *[_double] * 2, _exchange, _replaced, *[_like] * 4, _inserted, *[_characters] * 2, _spliced,
    _nested, _rowed, _named,
]  # fmt: skip


# --- what must hold --------------------------------------------------------------------------------------------------


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raises Slow behind so much CPU time."""

    def over(_signal: int, _frame: FrameType | None) -> None:
        raise Slow(f"more than {seconds} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def check_text(case: Mutated) -> str:
    """The outcome, `accepted` or `refused`.

    Raises:
        Exception: any but SpecError that a text leads to; Slow if it takes too long.
    """
    with bounded(SECONDS):
        return _checked(case)


def _checked(case: Mutated) -> str:
    source, library = Source(f"{case.name}.arch", case.text), Texts(case.texts)
    try:
        analysis = analyse(source, library)
    except SpecError as error:
        if not any(d.is_error for d in error.diagnostics):
            raise Fault("refused without an error") from error
        render_text(error.diagnostics, color=True)
        render_json(error.diagnostics)
        render_sarif(error.diagnostics)
        _formats(case, refused=True)
        return "refused"
    _formats(case, refused=False)
    render_text(analysis.warnings, color=False)
    if len(analysis.network.graph) <= SMALL:
        cost_json(analysis.network, "layer")
        target = "train" if len(case.text) % 2 else "infer"
        compile(module_text(analysis, target=target), "<module>", "exec")
    return "accepted"


def _formats(case: Mutated, *, refused: bool) -> None:
    if refused and len(case.text) % 4:  # formatting takes as long as all else together
        return
    try:
        text = format_text(case.text, f"{case.name}.arch")
    except SpecError as error:
        if refused:
            return
        raise Fault("fmt: refuses what check accepts") from error
    if format_text(text, f"{case.name}.arch") != text:
        raise Fault("fmt: formatting again changes the text")
