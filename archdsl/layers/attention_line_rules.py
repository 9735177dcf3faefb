"""Rules of the lines of an attention: what queries, keys, values, arguments and biases must have in common."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from archdsl.core.grid import CLIP, FRAME, grid_text
from archdsl.layers.attention_lines import BIAS_LINE, COSINE, LETTERS, RESULT, RESULT_LINE, SOFTMAX, TOKEN, Lines
from archdsl.layers.base import ShapeError, divisors
from archdsl.layers.groups import AXES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.core.source import Span
    from archdsl.layers.attention_lines import BiasLine

BESIDE_POSITIONS = ("tokens", "class_token", "without", "token_type")  # layers that leave positions as they are
TITLES = {"q": "queries", "k": "keys", "v": "values"}
SIZES = ("frames", "rows", "columns")


class LineFault(Exception):
    """A fault of lines.

    Args:
        message: what is wrong.
        at: names of arguments and of branches, of which the first that is written is to blame.
        code: of the diagnostic.
        hint: what to do.
        index: of the element to point at, if an argument is a list.
        notes: texts, each for the line of a branch.

    `line` is the place to blame, where it is not that of a name.
    """

    line: Span | None = None

    def __init__(
        self, message: str, *at: str, code: str = "E0510", hint: str = "", index: int | None = None,
        notes: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.message, self.at, self.code, self.hint, self.index, self.notes = message, at, code, hint, index, notes


def check(lines: Lines) -> None:
    """Check lines against each other, the arguments and what enters.

    Raises:
        LineFault: for the first fault.
    """
    rules: tuple[Callable[[Lines], None], ...] = (
        _check_heads, _check_shapes, _check_axes, _check_windows, _check_filling, _check_band, _check_token,
        _check_token_lines, _check_score, _check_list, _check_causal, _check_result,
    )  # fmt: skip
    for rule in rules:
        rule(lines)


# --- branches ---


def _later(lines: Lines, one: str, other: str) -> tuple[str, str]:
    """Return two branches, the one that a line has changed last first."""
    starts = [lines.places[n].start if n in lines.places else -1 for n in (one, other)]
    return (one, other) if starts[0] > starts[1] else (other, one)


def _differ(lines: Lines, one: str, other: str, code: str, hint: str) -> LineFault:
    """Return the fault of two branches that do not go together, at the line that changed one of them last."""
    last, first = _later(lines, one, other)
    texts = [f"{TITLES[n]} {_shape_text(lines, n, code)}" for n in (one, other)]
    verb = "have " if code == "E0501" else "are "
    message = f"{texts[0].replace(' ', f' {verb}', 1)}, {texts[1]}"
    return LineFault(message, last, code=code, hint=hint, notes=[(f"the {TITLES[first]} come from here", first)])


def _shape_text(lines: Lines, branch: str, code: str) -> str:
    shape = lines.shapes[branch]
    return f"{int(shape.channels)} channels" if code == "E0501" else str(shape)


def _check_heads(lines: Lines) -> None:
    between = lines.between
    for branch in "qkv":
        name = "kv_heads" if between.kv_heads and branch != "q" else "heads"
        channels, heads = lines.shapes[branch].channels, getattr(between, name)
        if channels % heads:
            message = f"{int(channels)} channels of {TITLES[branch]} cannot be split into {int(heads)} heads"
            hint = divisors(name, channels, nearest=heads)
            notes = [(f"the {TITLES[branch]} come from here", branch)]
            raise LineFault(message, name, branch, code="E0508", hint=hint, notes=notes)
    if between.kv_heads and between.heads % between.kv_heads:
        message = (
            f"{int(between.kv_heads)} heads of keys and values do not divide {int(between.heads)} heads of queries"
        )
        raise LineFault(message, "kv_heads", code="E0508", hint=divisors("kv_heads", between.heads))


def _check_shapes(lines: Lines) -> None:
    q, k, v = (lines.shapes[n] for n in "qkv")
    heads = lines.between.heads
    if int(q.channels) // heads != int(k.channels) // (lines.between.kv_heads or heads):
        hint = "scores are products of queries and keys: give each head of both the same channels"
        raise _differ(lines, "q", "k", "E0501", hint)
    if tuple(map(int, k.size)) != tuple(map(int, v.size)):
        raise _differ(lines, "k", "v", "E0502", "each key has a value: pool both in one line, `kv: …`")
    if k.tokens != v.tokens:
        raise _differ(lines, "k", "v", "E0511", "each key has a value: `kv: …` changes both")


def _check_result(lines: Lines) -> None:
    """Check that the line of the result reads what attention computes."""
    waiting, known = [lines.branches[RESULT_LINE]], set[int]()
    while waiting:
        origin = waiting.pop()
        if origin.application == RESULT:
            return
        if origin.application >= 0 and origin.application not in known:
            known.add(origin.application)
            waiting += [o for part in lines.applications[origin.application].inputs for o in part]
    hint = "`proj` begins with the result; `add { in, q }` there adds the queries to it"
    raise LineFault("this line leaves out what attention computes", RESULT_LINE, hint=hint)


# --- axes and windows ---


def _axes(lines: Lines) -> set[str]:
    return {a for name in lines.between.over for a in AXES[name]}


def _check_axes(lines: Lines) -> None:
    """Check that windows, shifts, dilations and changes of the grid are on attended axes only."""
    between = lines.between
    hint = "on this axis, or look along it, too"
    q, k = lines.shapes["q"], lines.shapes["k"]
    for over, (index, axis) in product(between.over, enumerate("thw")):
        told = f"`{over}` does not look along"
        if axis in AXES[over]:
            continue
        if int(q.size[index]) != int(k.size[index]):
            last, first = _later(lines, "q", "k")
            sizes = f"queries have {int(q.size[index])} {SIZES[index]}, keys {int(k.size[index])}"
            notes = [(f"the {TITLES[first]} come from here", first)]
            message = f"{told} {axis}, and {sizes}"
            raise LineFault(message, last, code="E0509", hint="a stride of 1 " + hint, notes=notes)
        if len(between.over) > 1:  # it takes none of what follows
            continue
        if between.window[index] > 1:
            message = f"{told} {axis}, so it has no window there"
            raise LineFault(message, "window", code="E0509", hint=f"`all` or 1 {hint}", index=index)
        if between.shift[index]:
            message = f"{told} {axis}, so no window can be shifted there"
            raise LineFault(message, "shift", code="E0509", hint=f"0 {hint}", index=index)
        if between.dilation[index] != 1:
            message = f"{told} {axis}, so nothing is dilated there"
            raise LineFault(message, "dilation", code="E0509", hint=f"1 {hint}", index=index)


def _check_windows(lines: Lines) -> None:
    between = lines.between
    for index, (axis, k, s) in enumerate(zip("thw", between.window, between.shift, strict=True)):
        if s and not k:
            message = f"a shift of {int(s)} over {axis}, where there is no window to shift"
            raise LineFault(message, "shift", hint="`window = [t, h, w]` says one", index=index)
        if s and s >= k:
            message = f"a window of {int(k)} over {axis} that is moved by {int(s)} would be another window"
            raise LineFault(message, "shift", hint=f"shifts below the window: 0 to {int(k) - 1}", index=index)
    found = lines.groups(between.over[0])
    if between.band or len(between.over) > 1:
        return
    if found.is_shifted and any(d != 1 for d in found.dilation):
        message = "windows whose positions lie apart cannot be shifted"
        raise LineFault(message, "shift", hint="leave out `shift` or `dilation`")
    for branch in "qk":
        _check_cut(lines, branch)


def _check_cut(lines: Lines, branch: str) -> None:
    """Check that a branch of another grid is cut into windows as the grid that enters is."""
    found, left = lines.groups(lines.between.over[0]), lines.shapes[branch].size
    if tuple(map(int, left)) == tuple(map(int, lines.x.size)):
        return
    if any(d != 1 for d in found.dilation):
        raise LineFault("pooled positions cannot lie apart", "dilation", hint="leave out `dilation` or the pooling")
    title, sizes = TITLES[branch], zip(*(lines.shapes[n].size for n in "qk"), strict=True)
    finest = [max(map(int, pair)) for pair in sizes]
    is_resized = any(a.shape.size != a.shapes[0].size for a in lines.applications if a.letters != RESULT_LINE)
    for index, (axis, n, k, s, m) in enumerate(zip("thw", found.padded, found.window, found.shift, left, strict=True)):
        is_finer = int(m) % n == 0 and finest[index] % int(m) == 0  # its windows are as much finer
        if k == n or axis not in found.over or is_finer:
            continue
        own = found.grid[index]
        if own % k and is_resized:
            message = f"windows must divide the grid where {title} have another one: {int(k)} over {axis} of {own}"
            raise LineFault(message, "window", code="E0512", hint=divisors("windows", own), index=index)
        if n % int(m) or k % (step := n // int(m)):
            message = f"{title} of {int(m)} {SIZES[index]} cannot be cut as {int(n)} into windows of {int(k)}"
            raise LineFault(message, branch, "window", code="E0512", hint=divisors("strides", k), index=index)
        if s % step:
            message = f"a shift by {int(s)} over {axis} does not go with {title} pooled by {int(step)}"
            raise LineFault(message, "shift", code="E0512", hint=f"shifts that are multiples of {step}", index=index)


def _check_filling(lines: Lines) -> None:
    """Check that lines treat positions on their own where the grid is filled with zeros for its windows."""
    if not lines.is_filled:
        return
    between = lines.between
    window, dilation = ("×".join(str(int(n) or "all") for n in size) for size in (between.window, between.dilation))
    cut = f"windows of {window}" if any(between.window) else ""
    if any(d > 1 for d in between.dilation):
        cut = f"{cut} with a dilation of {dilation}" if cut else f"a dilation of {dilation}"
    verb = "do" if any(between.window) else "does"
    for application in lines.applications:
        if application.is_by_position() or application.layer.kind in BESIDE_POSITIONS:
            continue
        kind, grid = application.layer.kind, grid_text(lines.entering.size)
        message = f"`{kind}` looks beyond a position, and {cut} {verb} not divide {grid}"
        hint = "windows that divide the grid; else it is filled with zeros, in front of all lines"
        if application.letters == RESULT_LINE:
            hint = "behind the attention, which is cut back to the grid; or windows that divide it"
        fault = LineFault(message, code="E0512", hint=hint)
        fault.line = application.region.top.span
        raise fault


def _check_band(lines: Lines) -> None:
    band, axes = lines.between.band, _axes(lines)
    if not band:
        return
    if len(axes) != 1:
        name = lines.between.over[0] if len(lines.between.over) == 1 else ", ".join(lines.between.over)
        message = f"`{name}` looks along {len(axes)} axes, a band lies along one"
        hint = "`over = time`, `height` or `width`; of several axes take a `window`"
        raise LineFault(message, "band", hint=hint)
    at = "thw".index(min(axes))
    dilation = lines.between.dilation[at]
    if lines.between.window[at]:
        raise LineFault("a band and a window both say what is seen", "band", hint="leave out one of them")
    if band % 2:
        message = f"{int(band)} positions are not as many before as behind"
        raise LineFault(message, "band", hint="an even number, as in Longformer's attention window")
    for branch in "qk":
        if tuple(map(int, lines.shapes[branch].size)) != tuple(map(int, lines.entering.size)):
            message = f"a band sees single positions, and {TITLES[branch]} have another grid"
            raise LineFault(message, branch, "band", hint="leave out `band`, or the layer that changes the grid")
    smaller = next((b for b in lines.biases if b.layer.takes_first_rows), None)
    if smaller is not None:
        fault = LineFault("a band has no window that could become smaller", hint="leave out `prefix`")
        fault.line = smaller.span
        raise fault
    bias = next((b for b in lines.biases if not b.layer.takes_band), None)
    if bias is not None:
        fault = LineFault("a band takes its distances from a table", hint="`bias: table`: on one axis it says as much")
        fault.line = bias.span
        raise fault
    if lines.entering.size[at] % dilation:
        message = f"a dilation of {int(dilation)} does not divide {int(lines.entering.size[at])} positions"
        hint = divisors("dilations", lines.entering.size[at])
        raise LineFault(message, "dilation", code="E0512", hint=hint, index=at)


# --- biases ---


def check_biases(lines: Lines) -> None:
    """Check the biases, whose geometry is known by now.

    Raises:
        LineFault: for the first fault.
    """
    tables = [b for b in lines.biases if b.layer.in_windows]
    for other in tables[1:]:
        if other.layer.takes_first_rows != tables[0].layer.takes_first_rows:
            message = f"`{other.label}` and `{tables[0].label}` read their distances differently"
            fault = LineFault(message, hint="the same `prefix` for both")
            fault.line = other.span
            raise fault
    for bias in lines.biases:
        _check_first_rows(bias, lines)
        try:
            bias.layer.check()
        except ShapeError as error:
            fault = LineFault(error.message, code=error.code, hint=error.hint)
            fault.line = bias.span
            raise fault from error


def _check_first_rows(bias: BiasLine, lines: Lines) -> None:
    """Refuse the first rows of a larger window's index where windows have no such index."""
    found = bias.layer.geometry
    is_pooled = found.strided or found.queries != found.keys
    if bias.layer.takes_first_rows and (is_pooled or lines.between.band):
        what = "are pooled" if is_pooled else "are in a band"
        message = f"`prefix` counts the positions of a window, and these {what}"
        fault = LineFault(
            message, hint="leave out `prefix`, or what pools them" if is_pooled else "leave out one of them"
        )
        fault.line = bias.span
        raise fault


# --- tokens and scores ---


def _check_token(lines: Lines) -> None:
    x, between = lines.entering, lines.between
    q, k = (lines.shapes[n].token for n in "qk")
    if q and k and q != k:
        raise _differ(lines, "q", "k", "E0511", "tokens of both are of the clip, or all of each frame")
    of_frames = next((n for n in "qk" if lines.shapes[n].token == FRAME), "over" if x.token == FRAME else "")
    if of_frames and "t" in _axes(lines):
        message = f"a class token a frame cannot look along time, as `{', '.join(between.over)}` does"
        hint = "`select(token)` makes a grid of the tokens, `select(grid)` leaves them out"
        raise LineFault(message, "over", of_frames, code="E0511", hint=hint)
    own = next((n for n in lines.branches if n.startswith(TOKEN)), "")
    if own and x.token != CLIP:
        message = f"{x} has no class token that could have lines of its own"
        raise LineFault(message, own, code="E0511", hint="`class_token` in front brings one")
    if between.band and x.token == FRAME:
        message = "a band is for a clip's class token, and here each frame has one"
        raise LineFault(message, "band", code="E0511", hint="`select(grid)` leaves the class tokens out")
    if between.band and x.token:
        at = "thw".index(min(_axes(lines)))
        if x.positions != x.size[at] or between.dilation[at] != 1:
            message = "a class token sees all of one row of positions, and there are several"
            raise LineFault(message, "band", code="E0511", hint="`select(grid)` leaves the class token out")


def _check_token_lines(lines: Lines) -> None:
    """Check that lines of a class token give it a query, and keys and values with which it goes."""
    own = [n for n in (TOKEN + letter for letter in LETTERS) if n in lines.branches]
    if not own:
        return
    q, k, v = (lines.shapes[n] for n in own)
    heads = lines.between.heads
    few = lines.between.kv_heads or heads
    result = int(lines.shapes["v"].channels) // few
    for name, shape, parts in zip(own, (q, k, v), (heads, few, few), strict=True):
        if shape.channels % parts:
            message = f"{int(shape.channels)} channels of `{name}` cannot be split into {int(parts)} heads"
            raise LineFault(message, name, code="E0508", hint="a multiple of the heads")
    if q.tokens != lines.entering.tokens:
        message = f"`{own[0]}` is {q}, without the tokens of {lines.entering}"
        raise LineFault(message, own[0], code="E0511", hint="a class token looks with its own row: keep it")
    if int(q.channels) // heads != int(k.channels) // few:
        message = f"`{own[0]}` has {int(q.channels) // heads} channels a head, `{own[1]}` {int(k.channels) // few}"
        raise LineFault(message, own[1], own[0], code="E0501", hint="scores are products of these: the same channels")
    if (k.size, k.tokens) != (v.size, v.tokens):
        message = f"`{own[1]}` is {k}, `{own[2]}` {v}"
        raise LineFault(message, own[2], own[1], code="E0502", hint="each key has a value")
    if int(v.channels) // few != result:
        message = f"`{own[2]}` has {int(v.channels) // few} channels a head, the values of positions {result}"
        raise LineFault(message, own[2], "v", code="E0501", hint="both become the result: the same channels")


def _check_score(lines: Lines) -> None:
    """Check that scores without a softmax have whole axes, and nothing else between positions."""
    between = lines.between
    if between.score in (SOFTMAX, COSINE):
        return
    words = {"band": between.band, "dropout": between.dropout, "over": len(between.over) > 1}
    words |= {"window": any(between.window), "dilation": any(d != 1 for d in between.dilation)}
    for word, is_asked in {BIAS_LINE: lines.biases, **words}.items():
        if is_asked:
            message = f"`{word}` is for scores with a softmax, and these are `{between.score}`"
            raise LineFault(message, word, hint="leave out one of them")
    if lines.entering.token:
        message = f"`{between.score}` is for grids without a class token"
        raise LineFault(message, "score", code="E0511", hint="`select(grid)` leaves it out; or take `softmax`")


def _check_list(lines: Lines) -> None:
    """Check that heads which look along axes of their own have equal parts, whole axes, and no biases."""
    between, parts = lines.between, len(lines.between.over)
    if parts == 1:
        return
    if between.heads % parts:
        message = f"{int(between.heads)} {'head' if between.heads == 1 else 'heads'} cannot be split into {parts} parts"
        hint = f"a number of heads that {parts} divides" if parts != 2 else "an even number of heads"
        raise LineFault(message, "heads", "over", code="E0508", hint=hint)
    words = {"window": any(between.window), "dilation": any(d != 1 for d in between.dilation), "band": between.band}
    for word, is_asked in {BIAS_LINE: lines.biases, **words}.items():
        if is_asked:
            message = f"parts of the heads look along whole axes, so there is no `{word}`"
            raise LineFault(message, word, hint="leave it out, or name one entry in `over`")
    if lines.entering.token:
        message = "parts of the heads would each have their own class token"
        raise LineFault(message, "over", code="E0511", hint="`select(grid)` leaves the class token out")


def _check_causal(lines: Lines) -> None:
    """Check that later frames can be told, for each query and key."""
    between, q, k = lines.between, lines.shapes["q"], lines.shapes["k"]
    if not between.causal:
        return
    if "t" not in _axes(lines):
        message = f"`{', '.join(between.over)}` does not look along time, so no position sees another frame"
        raise LineFault(message, "causal", hint="leave out `causal`, or look along time, too")
    if q.token:
        message = "a class token sees all frames, and positions see it"
        raise LineFault(message, "causal", code="E0511", hint="`select(grid)` leaves the class token out")
    if int(q.t) != int(k.t):
        last, first = _later(lines, "q", "k")
        message = f"queries have {int(q.t)} frames, keys {int(k.t)}, so none is the later one"
        notes = [(f"the {TITLES[first]} come from here", first)]
        raise LineFault(message, last, "causal", hint="a stride of 1 over time, or leave out `causal`", notes=notes)
