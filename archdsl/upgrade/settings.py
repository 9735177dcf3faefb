"""The settings of `attention` in version 0.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.frontend import ast
from archdsl.upgrade.syntax import Left, name
from archdsl.upgrade.trees import Branch, choose
from archdsl.upgrade.words import CHOICES, KEPT, OLD_SCORES, ORDER, WORD

if TYPE_CHECKING:
    from archdsl.upgrade.scopes import Call, Names

TRUE, FALSE = {"on", "true"}, {"off", "false"}


def old_arguments(call: Call, names: Names) -> list[tuple[str, ast.Argument]]:
    """Return the settings of version 0.1 in a call that are written otherwise today, in order."""
    found: list[tuple[str, ast.Argument]] = []
    for position, argument in enumerate(call.arguments or ()):
        if argument.name is not None:
            key = argument.name.id
        elif isinstance(call, ast.Lines) or not 0 < position < len(ORDER):
            continue
        else:
            key = ORDER[position]
        is_moved = argument.name is None  # the second argument is another one today
        is_old = key in ORDER and key not in KEPT
        if key == "score":  # beside lines, a parameter with a word of version 0.1 is for the lines
            is_old = not isinstance(call, ast.Lines) and _is_old_score(argument.value, names)
        if is_moved or is_old:
            found.append((key, argument))
    return found


def _is_old_score(expr: ast.Expr, names: Names) -> bool:
    """Return True if a value can be a word that no score is called by today."""
    found = names.value(expr)
    if isinstance(found, ast.Conditional):
        return _is_old_score(found.then, names) or _is_old_score(found.otherwise, names)
    meaning = names.find(found.id) if isinstance(found, ast.Name) else None
    kind = meaning.declaration.type if meaning is not None and meaning.declaration is not None else None
    if kind is not None:
        return any(n.id in OLD_SCORES for n in kind.names)
    return isinstance(found, ast.Name) and found.id in OLD_SCORES


@dataclass(frozen=True)
class Word:
    """One of the words of a choice, and the expression that has it."""

    word: str
    expr: ast.Expr


@dataclass(frozen=True)
class Settings:
    """The settings of a call."""

    given: dict[str, ast.Argument]
    names: Names

    @classmethod
    def of(cls, call: Call, names: Names) -> Settings:
        """Return the settings of a call. Raise Left if they are not those of version 0.1."""
        given: dict[str, ast.Argument] = {}
        for position, argument in enumerate(call.arguments or ()):
            key = argument.name.id if argument.name is not None else ORDER[position] if position < len(ORDER) else ""
            if key not in ORDER or key in given:
                message = f"`{WORD}` had no such setting" if key not in ORDER else f"`{key}` is given twice"
                raise Left(message, span=argument.span)
            given[key] = argument
        return cls(given, names)

    def value(self, key: str) -> ast.Expr | None:
        """Return the value of a setting as it is written; None for its default."""
        argument = self.given.get(key)
        return argument.value if argument is not None else None

    def flag(self, key: str, *, default: bool) -> ast.Expr | bool:
        """Return a condition, or whether it holds where that is known."""
        value = self.value(key)
        if value is None:
            return default
        found = self.names.value(value)
        if isinstance(found, ast.Name) and self.names.find(found.id) is None and found.id in TRUE | FALSE:
            return found.id in TRUE
        return value

    def words(self, key: str) -> Word | Branch[Word]:
        """Return the word of a choice, by the conditions that it depends on."""
        value = self.value(key)
        default = CHOICES[key][0]
        return Word(default, name(default)) if value is None else self._words(value, key)

    def _words(self, expr: ast.Expr, key: str) -> Word | Branch[Word]:
        found = self.names.value(expr)
        if isinstance(found, ast.Conditional):
            return choose(found.test, self._words(found.then, key), self._words(found.otherwise, key))
        if isinstance(found, ast.Name):
            meaning = self.names.find(found.id)
            if meaning is None and found.id in CHOICES[key]:
                return Word(found.id, found)
            kind = meaning.declaration.type if meaning is not None and meaning.declaration is not None else None
            if kind is not None and kind.is_choice:
                return _compared(found, [n.id for n in kind.names if n.id in CHOICES[key]], key)
        words = " | ".join(CHOICES[key])
        hint = f"give the parameter that has it a type, as in `{_parameter(found)}: {words}`, and try again"
        message = f"`{key} = {expr.span.text}` can be any of its words"
        raise Left(message, hint, self.given[key].span)


def _parameter(expr: ast.Expr) -> str:
    return expr.id if isinstance(expr, ast.Name) else "NAME"


def _compared(expr: ast.Name, words: list[str], key: str) -> Word | Branch[Word]:
    """Return the word that a parameter has."""
    if not words:
        message = f"`{expr.id}` has none of the words of `{key}`"
        raise Left(message, span=expr.span)
    *others, last = sorted(words, key=lambda w: w == "none")  # which has no line
    found: Word | Branch[Word] = Word(last, expr)
    for word in reversed(others):
        test = ast.Binary(expr.span, "==", expr, name(word))
        found = choose(test, Word(word, expr), found)
    return found
