"""A call of `attention` with the settings of version 0.1 as one with lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.frontend import ast
from archdsl.upgrade.pooling import PoolingWriter
from archdsl.upgrade.settings import Settings
from archdsl.upgrade.sizes import may_be_zero, triples
from archdsl.upgrade.syntax import (
    IN_CHANNELS,
    NOWHERE,
    Left,
    argument,
    binary,
    both,
    chain,
    layer,
    line,
    merge,
    name,
    negated,
    number,
    sizes_list,
    step,
    value_of,
)
from archdsl.upgrade.trees import as_statements, as_steps, as_test, as_value, choose, mapped
from archdsl.upgrade.words import OLD_SCORES, ORDER, WORD

if TYPE_CHECKING:
    from archdsl.upgrade.scopes import Call, Names
    from archdsl.upgrade.settings import Word
    from archdsl.upgrade.sizes import Triple
    from archdsl.upgrade.trees import Statements, Steps

# The line that each setting goes into; the rest are arguments.
LINE_OF = {
    "dim": "qkv", "bias": "qkv", "init": "qkv", "token_projections": "token", "out": "proj", "proj_bias": "proj",
    "proj_init": "proj", "add_query": "proj", "position": "bias", "position_grid": "bias", "table_prefix": "bias",
    "position_init": "bias", "q_pool": "q", "q_stride": "q", "pool": "kv", "kv_pool": "kv", "kv_stride": "kv",
    "kv_pool_first": "kv", "pool_norm": "kv", "eps": "kv",
}  # fmt: skip


@dataclass(frozen=True)
class Upgraded:
    """A call in lines.

    `parts` are its lines by what they are about; `doubts` say what is to be looked at, since the text does not decide
    it; `needs_block` is True if it calls the block of a pooling by convolution.
    """

    arguments: tuple[tuple[str, ast.Argument], ...]
    parts: tuple[tuple[str, Statements], ...]
    doubts: tuple[str, ...]
    needs_block: bool

    @property
    def link(self) -> ast.Lines:
        arguments = tuple(a for _, a in self.arguments)
        return ast.Lines(NOWHERE, name(WORD), arguments or None, tuple(s for _, part in self.parts for s in part))


def upgraded(call: Call, names: Names) -> Upgraded:
    """Return a call in lines. Raise Left if its text does not say which they are."""
    if isinstance(call, ast.Lines):
        message = "settings of version 0.1 beside lines"
        raise Left(message, "`archdsl explain E0406` lists the lines that stand for each setting", call.name.span)
    settings = Settings.of(call, names)
    writer = _Writer(settings)
    parts = writer.parts()
    return Upgraded(writer.arguments(), parts, tuple(writer.pooling.doubts), writer.pooling.needs_block)


class _Writer:
    """Writer of the arguments and lines of one call."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pooling = PoolingWriter(settings)
        scores = settings.words("score")
        self.scores = scores
        self.is_plain = as_test(mapped(lambda w: w.word == "gaussian", scores))  # scores of what enters

    # --- arguments ---

    def arguments(self) -> tuple[tuple[str, ast.Argument], ...]:
        """Return the arguments that stay, by the settings that they come from."""
        found: list[tuple[str, ast.Argument]] = []
        for key in [k for k in self.settings.given if k in ORDER] + ["scale"] * ("scale" not in self.settings.given):
            value = self._argument(key)
            if value is not None:
                found.append((key, argument(value, {"heads": "", "half_over": "over"}.get(key, key))))
        found.sort(key=lambda f: f[1].name is not None)
        return tuple(found)

    def _argument(self, key: str) -> ast.Expr | None:
        value = self.settings.value(key)
        match key:
            case "score":
                score = as_value(mapped(_score, self.scores))
                return None if score == name("softmax") else score
            case "scale":
                return self._scale(value)
            case "over" if "half_over" in self.settings.given:
                return None
            case "half_over":
                return self._over()
            case "heads" | "over" | "window" | "shift" | "dilation" | "band" | "dropout":
                return value
            case _:
                return None

    def _scale(self, value: ast.Expr | None) -> ast.Expr | None:
        """Return the argument `scale`, which the scores of what enters did not have."""
        if self.is_plain is False:
            return value
        if self.is_plain is True:
            return name("off")
        flag = self.settings.flag("scale", default=True)
        if isinstance(flag, bool):
            return negated(self.is_plain) if flag else name("off")
        return both(flag, negated(self.is_plain))

    def _over(self) -> ast.Expr:
        over = self.settings.value("over") or name("space_time")

        def axes(half: Word) -> ast.Expr:
            return over if half.word == "same" else sizes_list([over, half.expr])

        return as_value(mapped(axes, self.settings.words("half_over")))

    # --- lines ---

    def parts(self) -> tuple[tuple[str, Statements], ...]:
        """Return the lines, by what they are about."""
        first = self.settings.flag("kv_pool_first", default=False)
        none: Statements = ()
        ahead = none if first is False else self.pooling.lines("kv", first=True)
        behind = none if first is True else self.pooling.lines("kv", first=False)
        entering: Statements = (line("qk", step(ast.Entering(NOWHERE))),)
        found = [
            ("qkv", as_statements(choose(self.is_plain, entering, none))),
            ("kv", as_statements(choose(first, ahead, none))),
            ("qkv", self._projections()),
            ("token", self._token()),
            ("q", as_statements(self.pooling.lines("q", first=False))),
            ("kv", as_statements(choose(first, none, behind))),
            ("bias", self._bias()),
            ("proj", (line("proj", *self._added(), step(self._linear("out", "proj_bias", self._last_init()))),)),
        ]
        return tuple((key, part) for key, part in found if part)

    def _projections(self) -> Statements:
        linear = step(self._linear("dim", "bias", self.settings.value("init")))
        plain: Statements = (line("v", linear),)
        usual: Statements = (line("qkv", linear),)
        return as_statements(choose(self.is_plain, plain, usual))

    def _linear(self, width: str, bias: str, init: ast.Expr | None) -> ast.Layer:
        flag = self.settings.flag(bias, default=True)
        given = None if flag is True else name("off") if flag is False else flag
        return layer("linear", self._width(width), bias=given, init=init)

    def _width(self, key: str) -> ast.Expr:
        """Return a number of channels, where 0 stood for those of the input."""
        value = self.settings.value(key)
        if value is None or value_of(self.settings.names.value(value)) == 0:
            return IN_CHANNELS
        if may_be_zero(value, self.settings.names):
            return ast.Conditional(NOWHERE, value, binary(value, ">", number(0)), IN_CHANNELS)
        return value

    def _last_init(self) -> ast.Expr | None:
        return self.settings.value("proj_init") or self.settings.value("init")

    def _token(self) -> Statements:
        linear = step(self._linear("dim", "bias", self.settings.value("init")))
        made: Statements = (line("token_q", linear), line("token_kv", linear))
        none: Statements = ()
        return as_statements(choose(self.settings.flag("token_projections", default=False), made, none))

    def _added(self) -> Steps:
        query = chain(step(layer("q")), step(layer("select", name("grid"))))
        made: Steps = (step(merge("add", chain(step(ast.Entering(NOWHERE))), query)),)
        none: Steps = ()
        return as_steps(choose(self.settings.flag("add_query", default=False), made, none))

    def _bias(self) -> Statements:
        return as_statements(mapped(self._bias_of, self.settings.words("position")))

    def _bias_of(self, position: Word) -> Statements:
        init = self.settings.value("position_init")
        if position.word == "none":
            return ()
        if position.word == "table":
            prefix = self.settings.flag("table_prefix", default=False)
            given = None if prefix is False else name("on") if prefix is True else prefix
            return (line("bias", step(layer("table", prefix=given, init=init))),)
        return (line("bias", step(layer("decomposed", made_for=self._made_for(), init=init), "relative")),)

    def _made_for(self) -> ast.Expr | None:
        """Return the grid of decomposed tables in positions of the finer of both grids."""
        value, names = self.settings.value("position_grid"), self.settings.names
        if value is None or value_of(names.value(value)) == 0:
            return None
        steps = list(zip(self.pooling.steps("q"), self.pooling.steps("kv"), strict=True))
        finer = [_least(q, kv, names) for q, kv in steps]
        if all(value_of(n) == 1 for n in finer):
            return value

        def divided(size: Triple) -> ast.Expr:
            return sizes_list([_divided(n, by) for n, by in zip(size, finer, strict=True)])

        return as_value(mapped(divided, triples(value, names)))


def _score(word: Word) -> ast.Expr:
    return name("softmax") if word.word in OLD_SCORES else word.expr


def _least(q: ast.Expr, kv: ast.Expr, names: Names) -> ast.Expr:
    if 1 in {value_of(names.value(q)), value_of(names.value(kv))}:
        return number(1)
    return q if q == kv else ast.Call(NOWHERE, name("min"), (argument(q), argument(kv)))


def _divided(size: ast.Expr, by: ast.Expr) -> ast.Expr:
    if value_of(size) == 0 or value_of(by) == 1:
        return size
    return binary(size, "//", by)
