"""Poolings of queries, and of keys and values, as lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from archdsl.frontend import ast
from archdsl.upgrade.sizes import (
    Facts,
    Triple,
    are_equal,
    exceeds_one,
    is_odd,
    may_be_zero,
    odd_test,
    triples,
    with_fact,
)
from archdsl.upgrade.syntax import (
    IN_CHANNELS,
    NOWHERE,
    Left,
    any_of,
    argument,
    binary,
    both,
    chain,
    layer,
    line,
    merge,
    name,
    number,
    sizes_list,
    step,
    value_of,
)
from archdsl.upgrade.trees import (
    Branch,
    Statements,
    Steps,
    as_steps,
    as_test,
    as_value,
    choose,
    combined,
    leaves,
    mapped,
)

if TYPE_CHECKING:
    from archdsl.upgrade.scopes import Names
    from archdsl.upgrade.settings import Settings, Word

BLOCK = "pool"  # the block of a pooling by convolution, so that its weights are called `pool.conv`
HALF, VALID, ANY = "half", "valid", "any"
NORMAL = ast.Call(NOWHERE, name("normal"), (argument(ast.Number(NOWHERE, Fraction(1, 100), "0.01")),))  # of version 0.1


_POOLS = {"max": ("maxpool", HALF), "avg": ("avgpool", VALID), "conv": (BLOCK, HALF)}  # and their usual padding


@dataclass(frozen=True)
class Sizes:
    """A window and its step, as written."""

    kernel: ast.Expr
    stride: ast.Expr


@dataclass
class Window:
    """A window with its step on one axis, where some facts are known."""

    kernel: ast.Expr
    stride: ast.Expr
    facts: Facts
    names: Names

    @property
    def is_one(self) -> bool | None:
        found = exceeds_one(self.kernel, self.names, self.facts)
        return None if found is None else not found

    def exists(self) -> ast.Expr | bool:
        """Return the condition that it does something."""
        tests: list[ast.Expr] = []
        for size in (self.kernel, self.stride):
            found = exceeds_one(size, self.names, self.facts)
            if found:
                return True
            if found is None:
                tests.append(binary(size, ">", number(1)))
        return any_of(tests) if tests else False

    def suits_valid(self) -> bool | None:
        """Return whether it was not padded: where it is as large as its step, even, or 1."""
        odd = is_odd(self.kernel, self.names)
        return _or(are_equal(self.kernel, self.stride, self.names), None if odd is None else not odd, self.is_one)

    def suits_half(self, *, by_conv: bool) -> bool | None:
        """Return whether it was padded as `half` does; a convolution pads even kernels, too."""
        apart = _not(are_equal(self.kernel, self.stride, self.names))
        odd = is_odd(self.kernel, self.names)
        return _or(self.is_one, _and(odd, apart) if by_conv else _or(apart, _not(odd)))

    def padding(self, *, by_conv: bool) -> str | Branch[str]:
        """Return the padding of a window whose size decides it."""
        sides = (self.kernel, self.stride) if value_of(self.kernel) is None else (self.stride, self.kernel)
        apart = binary(sides[0], "!=", sides[1])
        is_apart = are_equal(self.kernel, self.stride, self.names) is False
        if not by_conv:
            return choose(is_apart or apart, HALF, VALID)
        odd = odd_test(self.kernel, self.names)
        return choose(odd if is_apart else both(odd, apart), HALF, VALID)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _or(*values: bool | None) -> bool | None:
    return True if True in values else None if None in values else False


def _and(*values: bool | None) -> bool | None:
    return _not(_or(*map(_not, values)))


@dataclass
class PoolingWriter:
    """Writer of the poolings of one call."""

    settings: Settings
    doubts: dict[str, None] = field(default_factory=dict[str, None])  # a set, in order
    needs_block: bool = False

    # --- facts ---

    def sizes(self, key: str) -> Sizes | Branch[Sizes]:
        """Return window and step of `q` or `kv` as written, apart where the settings themselves have an `if`."""
        kernel, stride = self.settings.value(f"{key}_pool"), self.settings.value(f"{key}_stride")
        kernels = _apart(kernel) if kernel is not None else number(1)
        strides = _apart(stride) if stride is not None else number(0)
        return combined(lambda k, s: Sizes(k, self._step(k, s)), kernels, strides)

    def _step(self, kernel: ast.Expr, stride: ast.Expr) -> ast.Expr:
        """Return the step of a window as written; a step of 0 is its size."""
        names = self.settings.names
        found = names.value(stride)
        if value_of(found) == 0:
            return kernel
        if not _has_zero(found, names):
            return stride

        def steps(size: Triple, window: Triple) -> ast.Expr:
            return sizes_list([_stepped(s, k, names) for s, k in zip(size, window, strict=True)])

        return as_value(combined(steps, triples(stride, names), triples(kernel, names)))

    def steps(self, key: str) -> Triple:
        """Return the step on each axis; 1 where nothing is pooled."""
        tree = mapped(lambda sizes: triples(sizes.stride, self.settings.names), self.sizes(key))
        t, h, w = (as_value(mapped(lambda found, i=i: found[i], tree)) for i in range(3))
        return t, h, w

    def windows(self, sizes: Sizes) -> list[Window] | Branch[list[Window]]:
        """Return the windows on the three axes, under the conditions that they depend on."""
        names = self.settings.names
        kernel, stride = triples(sizes.kernel, names), triples(sizes.stride, names)
        return _with_facts(combined(lambda k, s: (k, s), kernel, stride), {}, names)

    # --- lines ---

    def lines(self, key: str, *, first: bool) -> Statements | Branch[Statements]:
        """Return the lines of a pooling, in front of the projections or behind them."""
        return mapped(lambda sizes: self._lines(key, sizes, first=first), self.sizes(key))

    def _lines(self, key: str, sizes: Sizes, *, first: bool) -> Statements | Branch[Statements]:
        windows = self.windows(sizes)
        exists = as_test(mapped(_exists, windows))
        if exists is False:
            return ()
        kinds = self.settings.words("pool")
        steps = as_steps(mapped(lambda kind: self._pooling(kind, key, sizes, first=first), kinds))
        norm = () if first else self._norm()
        if not first and (norm or any(kind.word == "conv" for kind in leaves(kinds))):
            steps = (step(merge("each_head", chain(*steps, *norm))),)
        made: Statements = (line(key, *steps),)
        return choose(exists, made, ())

    def _pooling(self, kind: Word, key: str, sizes: Sizes, *, first: bool) -> Steps:
        """Return the pooling; a convolution has filters for the channels of a head, so that it stands behind."""
        by_conv = kind.word == "conv"
        if by_conv and first:
            message = "a pooling by convolution in front of the projection has no filters for its channels"
            raise Left(message)
        self.needs_block = self.needs_block or by_conv
        word, usual = _POOLS[kind.word]
        padding = self._padding(self.windows(sizes), key, by_conv=by_conv, usual=usual)
        if by_conv:
            return (step(layer(word, sizes.kernel, sizes.stride, padding=padding, init=self.settings.value("init"))),)
        pool = layer(word, sizes.kernel, stride=sizes.stride, padding=padding)
        return (step(merge("grid", chain(step(pool)))),)

    def _norm(self) -> Steps:
        norm = step(layer("layernorm", eps=self.settings.value("eps")), "norm")
        flag = self.settings.flag("pool_norm", default=False)
        if isinstance(flag, bool):
            return (norm,) if flag else ()
        return as_steps(Branch[Steps](flag, (norm,), ()))

    def _padding(
        self, windows: list[Window] | Branch[list[Window]], key: str, *, by_conv: bool, usual: str
    ) -> ast.Expr | None:
        """Return the padding of windows, unless it is the usual one."""
        found = _settled(mapped(lambda leaf: self._padding_of(leaf, key, by_conv=by_conv), windows))
        return None if found in {usual, ANY} else as_value(mapped(name, found))

    def _padding_of(self, windows: list[Window], key: str, *, by_conv: bool) -> str | Branch[str]:
        """Return the padding of windows: `half` or `valid`, which version 0.1 chose for each axis by itself."""
        valid = _and(*(w.suits_valid() for w in windows))
        half = _and(*(w.suits_half(by_conv=by_conv) for w in windows))
        if valid and half and any(are_equal(w.kernel, w.stride, w.names) is not True for w in windows):
            return ANY
        if valid or half:
            return VALID if valid else HALF
        windows = _distinct(windows)
        if len(windows) == 1 and not (valid is half is False):
            return windows[0].padding(by_conv=by_conv)
        if half is False:
            message = f"`{key}_pool` is padded on some axes and not on others, which no layer does"
            raise Left(message, "write the pooling by hand", self.settings.given[f"{key}_pool"].span)
        had = "as in version 0.1 where a window is odd and not as large as its step"
        self.doubts[f"`{key}_pool` has half padding, {had}"] = None
        return HALF


def _settled(tree: str | Branch[str]) -> str | Branch[str]:
    """Return a tree of paddings without those that make no difference."""
    if not isinstance(tree, Branch):
        return tree
    then, otherwise = _settled(tree.then), _settled(tree.otherwise)
    if ANY in {then, otherwise}:
        return otherwise if then == ANY else then
    return choose(tree.test, then, otherwise)


def _distinct(windows: list[Window]) -> list[Window]:
    """Return windows that differ, without those of one position, which no padding changes."""
    found = {(w.kernel, w.stride): w for w in windows if w.is_one is not True}
    return list(found.values())


def _exists(windows: list[Window]) -> ast.Expr | bool:
    whole = _of_one_list([w.kernel for w in windows])
    conditions = [w.exists() for w in windows]
    if True in conditions:
        return True
    tests = [c for c in conditions if not isinstance(c, bool)]
    if whole is not None and all(w.kernel == w.stride for w in windows):
        return binary(whole, "!=", sizes_list([number(1)] * 3))
    return any_of(tests) if tests else False


def _of_one_list(items: list[ast.Expr]) -> ast.Expr | None:
    """Return the list that these are all elements of."""
    first = items[0]
    if isinstance(first, ast.Index) and all(isinstance(i, ast.Index) and i.value == first.value for i in items):
        return first.value
    return None


def _apart(expr: ast.Expr) -> ast.Expr | Branch[ast.Expr]:
    if isinstance(expr, ast.Conditional):
        return choose(expr.test, _apart(expr.then), _apart(expr.otherwise))
    return expr


def _has_zero(expr: ast.Expr, names: Names) -> bool:
    items = expr.items if isinstance(expr, ast.List) else (expr,)
    return any(value_of(i) == 0 or may_be_zero(i, names) for i in items)


def _stepped(stride: ast.Expr, kernel: ast.Expr, names: Names) -> ast.Expr:
    if value_of(stride) == 0 or stride == kernel:
        return kernel
    if not may_be_zero(stride, names):
        return stride
    return ast.Conditional(NOWHERE, kernel, binary(stride, "==", number(0)), stride)


def _with_facts(
    tree: tuple[Triple, Triple] | Branch[tuple[Triple, Triple]], facts: Facts, names: Names
) -> list[Window] | Branch[list[Window]]:
    """Return the windows of sizes and steps, with what the conditions around them tell."""
    if isinstance(tree, Branch):
        then = _with_facts(tree.then, with_fact(facts, tree.test, holds=True), names)
        otherwise = _with_facts(tree.otherwise, with_fact(facts, tree.test, holds=False), names)
        return Branch(tree.test, then, otherwise)
    return [Window(k, s, facts, names) for k, s in zip(*tree, strict=True)]


def pooling_block() -> ast.Block:
    """Return the block of a pooling by convolution, one filter for each channel."""
    padding = ast.Type(NOWHERE, (name(HALF), name(VALID)), is_choice=True)
    parameters = (
        ast.Declaration(NOWHERE, name("kernel"), None, None, None),
        ast.Declaration(NOWHERE, name("stride"), None, None, None),
        ast.Declaration(NOWHERE, name("padding"), padding, name(HALF), None),
        ast.Declaration(NOWHERE, name("init"), ast.Type(NOWHERE, (name("symbol"),)), NORMAL, None),
    )
    conv = layer(
        "conv", IN_CHANNELS, name("kernel"), stride=name("stride"), padding=name("padding"), groups=IN_CHANNELS,
        init=name("init"),
    )  # fmt: skip
    doc = ast.String(NOWHERE, "The positions under a window become one.")
    body = chain(step(merge("grid", chain(step(conv)))))
    return ast.Block(NOWHERE, name(BLOCK), parameters, None, doc, (), body)
