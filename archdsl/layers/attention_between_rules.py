"""Rules of what happens between positions: class tokens, scores, parts of the heads, causal attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.grid import CLIP, FRAME
from archdsl.layers.attention_arguments import BIAS_LINE, COSINE, LETTERS, SOFTMAX, TOKEN
from archdsl.layers.attention_line_faults import TITLES, LineFault, axes_of, differ, later

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Lines

BESIDE_POSITIONS = ("tokens", "class_token", "without", "token_type")  # layers that leave positions as they are


def check_token(lines: Lines) -> None:
    """Check that class tokens can look where the arguments say."""
    x, between = lines.entering, lines.between
    q, k = (lines.shapes[n].token for n in "qk")
    if q and k and q != k:
        raise differ(lines, "q", "k", "E0511", "tokens of both are of the clip, or all of each frame")
    of_frames = next((n for n in "qk" if lines.shapes[n].token == FRAME), "over" if x.token == FRAME else "")
    if of_frames and "t" in axes_of(lines) and not _crosses_frames(lines):
        message = f"tokens of each frame cannot look along time, as `{', '.join(between.over)}` does"
        hint = "`over = space` is their frame alone; `select(grid)` leaves them out; tokens of the clip look everywhere"
        if lines.crosses_frames:
            message = "tokens of each frame can look along time where nothing else is between positions"
        raise LineFault(message, "over", of_frames, code="E0511", hint=hint)
    own = next((n for n in lines.branches if n.startswith(TOKEN)), "")
    if own and x.token != CLIP:
        message = f"{x} has no class token that could have lines of its own"
        raise LineFault(message, own, code="E0511", hint="`class_token` in front brings one")
    if between.band and x.token == FRAME:
        message = "a band is for a clip's class token, and here each frame has one"
        raise LineFault(message, "band", code="E0511", hint="`select(grid)` leaves the class tokens out")
    if between.band and x.token:
        at = "thw".index(min(axes_of(lines)))
        if x.positions != x.size[at] or between.dilation[at] != 1:
            message = "a class token sees all of one row of positions, and there are several"
            raise LineFault(message, "band", code="E0511", hint="`select(grid)` leaves the class token out")


def _crosses_frames(lines: Lines) -> bool:
    """Return True if tokens look along time as positions do: nothing but lines of single positions is there."""
    between, x = lines.between, lines.entering
    grids = {(lines.shapes[n].size, lines.shapes[n].tokens) for n in "qk"}
    more = lines.biases, any(between.window), any(d != 1 for d in between.dilation), between.band, between.causal
    return (
        lines.crosses_frames
        and grids == {(x.size, x.tokens)}
        and not any(more)
        and all(a.is_by_position() and not a.tokens for a in lines.applications)
        and not lines.externals
    )


def check_token_lines(lines: Lines) -> None:
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


def check_score(lines: Lines) -> None:
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


def check_cap(lines: Lines) -> None:
    """Check that capped scores are products of queries and keys along whole axes."""
    between = lines.between
    if not between.cap:
        return
    if between.score != SOFTMAX:
        message = f"`cap` limits products of queries and keys, and these scores are `{between.score}`"
        raise LineFault(message, "cap", "score", hint="leave out one of them")
    words = {"window": any(between.window), "dilation": any(d != 1 for d in between.dilation), "band": between.band}
    words |= {"over": len(between.over) > 1, BIAS_LINE: lines.biases}
    words |= {name: name.startswith(TOKEN) for name in lines.branches if name.startswith(TOKEN)}
    for word, is_asked in words.items():
        if is_asked:
            message = f"capped scores look along whole axes with all heads alike, without `{word}`"
            raise LineFault(message, word, "cap", hint=f"leave out `cap` or `{word}`")


def check_list(lines: Lines) -> None:
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


def check_causal(lines: Lines) -> None:
    """Check that later frames can be told, for each query and key."""
    between, q, k = lines.between, lines.shapes["q"], lines.shapes["k"]
    if not between.causal:
        return
    if "t" not in axes_of(lines):
        message = f"`{', '.join(between.over)}` does not look along time, so no position sees another frame"
        raise LineFault(message, "causal", hint="leave out `causal`, or look along time, too")
    if q.token:
        message = "a class token sees all frames, and positions see it"
        raise LineFault(message, "causal", code="E0511", hint="`select(grid)` leaves the class token out")
    if int(q.t) != int(k.t):
        last, first = later(lines, "q", "k")
        message = f"queries have {int(q.t)} frames, keys {int(k.t)}, so none is the later one"
        notes = [(f"the {TITLES[first]} come from here", first)]
        raise LineFault(message, last, "causal", hint="a stride of 1 over time, or leave out `causal`", notes=notes)
