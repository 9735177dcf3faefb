"""Files of version 0.1 with their attentions in lines; all else, comments included, stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, Replacement
from archdsl.core.source import Source, Span
from archdsl.frontend import ast
from archdsl.frontend.parse import parse
from archdsl.upgrade.lines import LINE_OF, Upgraded, upgraded
from archdsl.upgrade.pooling import BLOCK, pooling_block
from archdsl.upgrade.scopes import calls
from archdsl.upgrade.settings import old_arguments
from archdsl.upgrade.syntax import Left, printed, printed_value
from archdsl.upgrade.words import ORDER, WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.upgrade.scopes import Call, Names


DOUBTFUL = "look at its `padding` if other windows occur"


@dataclass(frozen=True)
class Rewritten:
    """The text of a file with attentions in lines, not yet in canonical form.

    `number` counts them. `left` are the calls that stay as they are, `doubts` lines that their author should look at.
    """

    text: str
    number: int
    left: tuple[Diagnostic, ...]
    doubts: tuple[Diagnostic, ...]

    @property
    def remarks(self) -> list[Diagnostic]:
        """The diagnostics to show."""
        return [*self.left, *self.doubts]


@dataclass(frozen=True)
class _Edit:
    span: Span
    text: str


def rewritten(source: Source) -> Rewritten:
    """Return a file with attentions in lines.

    Raises:
        SpecError: if it does not parse.
    """
    file = parse(source)
    edits: list[_Edit] = []
    left: list[Diagnostic] = []
    doubts: list[Diagnostic] = []
    with_block: ast.Statement | None = None
    for call, names, statement in calls(file, WORD):
        if not old_arguments(call, names):
            continue
        try:
            made = _upgraded(call, names, file)
        except Left as reason:
            left.append(_remark("E0406", reason.span or call.span, reason.message, reason.hint))
            continue
        doubts += [_remark("W0112", call.name.span, d, DOUBTFUL) for d in made.doubts]
        edits.append(_Edit(call.span, call_text(call, made, file.comments)))
        with_block = with_block or (statement if made.needs_block else None)
    number = len(edits)
    if with_block is not None:
        edits.append(_Edit(_behind(with_block), f"\n\n{printed(pooling_block())}\n"))
    return Rewritten(_edited(source.text, edits), number, tuple(left), tuple(doubts))


def _upgraded(call: Call, names: Names, file: ast.File) -> Upgraded:
    """Return a call in lines. Raise Left if it is to stay as it is."""
    made = upgraded(call, names)
    taken = next((s for s in file.statements if isinstance(s, ast.Block) and s.name.id == BLOCK), None)
    if not made.needs_block or taken is None:
        return made
    if taken != pooling_block():
        message = f"its pooling by convolution becomes a block `{BLOCK}`, and there is one of that name"
        raise Left(message, "give that block another name, and try again")
    return replace(made, needs_block=False)


def _remark(code: str, span: Span, label: str, hint: str) -> Diagnostic:
    return Diagnostic(code, TITLES[code], span, label, help=hint)


@dataclass(frozen=True)
class Replaced:
    """A call with settings of version 0.1: the first of them, and what stands for the call; else a hint why not."""

    setting: tuple[str, Span]
    replacements: tuple[Replacement, ...] = ()
    hint: str = ""


def replaced(call: Call, file: ast.File) -> Replaced | None:
    """Return what stands for a call of a file; None if it has no settings of version 0.1."""
    for other, names, statement in calls(file, WORD):
        if other.span.start != call.span.start:
            continue
        old = old_arguments(other, names)
        if not old:
            return None
        setting = old[0][0], old[0][1].span
        try:
            made = _upgraded(other, names, file)
        except Left as reason:
            return Replaced(setting, hint=": ".join(p for p in (reason.message, reason.hint) if p))
        found = [Replacement(call.span, printed(_as_line(made)))]
        if made.needs_block:
            found.append(Replacement(_behind(statement), printed(pooling_block())))
        return Replaced(setting, tuple(found))
    return None


def _as_line(made: Upgraded) -> ast.Statement:
    link = made.link
    step = ast.Step(link.span, link, None, None)
    return ast.PathLine(link.span, None, ast.Chain(link.span, (step,)))


def _behind(statement: ast.Statement) -> Span:
    """Return the place behind the lines of a statement."""
    source = statement.span.source
    end = source.text.find("\n", statement.span.end)
    end = len(source.text) if end < 0 else end
    return Span(source, end, end)


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    for edit in sorted(edits, key=lambda e: e.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


# --- the text of a call, with its comments ---


def call_text(call: Call, made: Upgraded, comments: Sequence[ast.Comment]) -> str:
    """Return a call in lines; comments stand above the lines that their settings have become."""
    inside = [c for c in comments if call.span.start <= c.span.start < call.span.end]
    if not inside:
        return printed(_as_line(made))
    above, behind = _by_setting(call, inside)
    rows = [f"{WORD}("]
    for key, argument in made.arguments:
        label = f"{argument.name.id} = " if argument.name is not None else ""
        rows += above.pop(key, [])
        rows.append("  ".join([f"{label}{printed_value(argument.value)},", *behind.pop(key, [])[:1]]))
    rows.append(") {")
    moved: dict[str, list[str]] = {}
    for own in (above, behind):
        for key, texts in own.items():
            moved.setdefault(LINE_OF.get(key, ""), []).extend(texts)
    rows += moved.pop("", [])
    for key, part in made.parts:
        rows += [*moved.pop(key, []), *(printed(s) for s in part)]
    rows += [text for texts in moved.values() for text in texts]
    return "\n".join([*rows, "}"])


def _by_setting(call: Call, comments: Sequence[ast.Comment]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the comments inside of a call, by the settings that they stand above, and behind."""
    above: dict[str, list[str]] = {}
    behind: dict[str, list[str]] = {}
    arguments = list(call.arguments or ())
    for comment in comments:
        source, start = comment.span.source, comment.span.start
        before = [a for a in arguments if a.span.end <= start]
        after = [a for a in arguments if a.span.start > start]
        is_behind = bool(before) and source.position(before[-1].span.end)[0] == source.position(start)[0]
        chosen = before[-1] if is_behind or not after else after[0]
        key = chosen.name.id if chosen.name is not None else ORDER[arguments.index(chosen)]
        into = behind if is_behind and key not in behind else above
        into.setdefault(key, []).append(comment.text)
    return above, behind
