"""Attention in lines as nobody would write it: chains of all layers, wherever they fit, in all lines.

`lines.py` draws what the literature could have; here a line is any chain that gives a shape with which attention works.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from programs.draw import Draw, written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from programs.lines import Drawn, Plan

Size = tuple[int, int, int]
Kinds = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Shape:
    """What is known of a value; in `each_head` the channels are those of one head."""

    channels: int
    grid: Size
    kinds: Kinds = ()  # of tokens
    scope: str = ""  # of these

    @property
    def parts(self) -> tuple[int, Size, Kinds]:
        return self.channels, self.grid, self.kinds


@dataclass(frozen=True)
class Site:
    """Where a chain stands."""

    heads: int  # of the line
    has_heads: bool = True  # whether its branches have as many
    by_head: bool = False
    in_grid: bool = False
    depth: int = 0
    still: bool = False  # whether it keeps the shape
    reads: bool = True  # whether it can read other values
    alone: bool = False  # whether its positions are treated on their own, as windows are filled up
    one: bool = True  # whether it is a line of one branch

    @property
    def inner(self) -> Site:
        return replace(self, depth=self.depth + 1)


class Chains:
    """Draws chains.

    Args:
        d: draws.
        plan: the arguments of the attention.
        values: what chains can begin with, by name.
    """

    def __init__(self, d: Draw, plan: Plan, values: Mapping[str, Shape]) -> None:
        self.d, self.plan, self.values = d, plan, dict(values)
        self.named = 0
        self.made: list[tuple[str, Shape, Shape, Site]] = []  # layers with names: what enters and leaves, and where

    def chain(self, x: Shape, site: Site, most: int = 3) -> tuple[str, Shape]:
        """A chain of some links."""
        links: list[str] = []
        for _ in range(self.d.whole(1, most)):
            text, x = self._link(x, site)
            links.append(text)
        return " -> ".join(links), x

    def to(self, x: Shape, channels: int, site: Site) -> tuple[str, Shape]:
        """A layer that gives so many channels."""
        d = self.d
        options = [f"linear({channels})", f"linear({channels}, bias = off)", f"linear({channels}, init = xavier)"]
        if not x.kinds or site.in_grid:
            options += [f"conv({channels}, 1)", f"conv({channels}, 1, bias = on)"]
            options += [] if site.alone else [f"conv({channels}, {self._kernel()})"]
        y = replace(x, channels=channels)
        return self._kept(d.pick(options), x, y, site), y

    def still(self, x: Shape, site: Site) -> str:
        """A chain that gives the shape that it gets."""
        text, y = self.chain(x, replace(site.inner, still=True), 2)
        if y.channels != x.channels:
            more, y = self.to(y, x.channels, site)
            text = f"{text} -> {more}"
        return text

    # --- links ---

    def _link(self, x: Shape, site: Site) -> tuple[str, Shape]:
        d = self.d
        ways: list[tuple[float, Callable[[Shape, Site], tuple[str, Shape]]]] = [
            (3, self._simple), (3, self._norm), (2, self._project),
        ]  # fmt: skip
        if site.depth < 2:
            ways += [(1.5, self._join), (0.7, self._residual), (0.3, self._if), (0.3, self._block), (0.8, self._frozen)]
            is_whole = site.by_head or not site.has_heads or x.channels % site.heads > 0
            ways += [] if is_whole else [(1.5, self._each_head)]
            ways += [(1.5 if x.kinds else 0.3, self._grid)]
        ways += [(1, self._rotary), (0.4, self._position)] if not site.alone else []
        if not site.alone and (site.in_grid or not x.kinds):
            ways += [(2, self._conv), (0.5, self._pool)]
        ways += [(1.5, self._again)] if self._shareable(x, site) else []
        if x.kinds and not site.in_grid:
            ways += [(0.3, self._token_type)] if x.scope == "clip" and len(x.kinds) == 1 else []
            ways += [(0.15, self._select)] if not site.still else []
        return d.weighted(ways)(x, site)

    def _called(self, text: str) -> str:
        """A layer with a name of its own, as two lines cannot name tensors alike."""
        if self.d.chance(0.08):
            return text
        self.named += 1
        return f"{text} as u{self.named}"

    def _kept(self, text: str, x: Shape, y: Shape, site: Site) -> str:
        """A layer that can be applied once more."""
        text = self._called(text)
        if " as " in text and (site.one or self.d.chance(0.1)):
            self.made.append((text.rpartition(" ")[2], x, y, site))
        return text

    def _shareable(self, x: Shape, site: Site) -> list[tuple[str, Shape]]:
        """Layers that can be applied to a value once more, with what they give."""
        like = x.channels, x.kinds, x.scope, site.by_head, site.in_grid, site.heads
        return [
            (name, y) for name, a, y, there in self.made
            if like == (a.channels, a.kinds, a.scope, there.by_head, there.in_grid, there.heads)
            and (site.one or self.d.chance(0.1)) and (not site.still or y.channels == x.channels)
        ]  # fmt: skip

    def _again(self, x: Shape, site: Site) -> tuple[str, Shape]:
        name, y = self.d.pick(self._shareable(x, replace(site, one=True)))
        return f"share {name}", replace(x, channels=y.channels)

    def _kernel(self) -> str:
        return self.d.pick(["3", "[1, 3, 3]", "[3, 1, 1]", "[1, 1, 3]"])

    def _simple(self, x: Shape, site: Site) -> tuple[str, Shape]:
        del site
        return self.d.pick(["gelu", "relu", "sigmoid", "dropout(0.1)", "drop_path(0.1)", "dropout(0)"]), x

    def _norm(self, x: Shape, site: Site) -> tuple[str, Shape]:
        options = ["layernorm", "rmsnorm", "l2norm", "layernorm(eps = 1e-3)"]
        if (site.in_grid or not x.kinds) and self.d.has("bn"):
            options.append("bn")
        text = self.d.pick(options)
        return (text if text == "l2norm" else self._kept(text, x, x, site)), x

    def _project(self, x: Shape, site: Site) -> tuple[str, Shape]:
        one = [1, 2, 3, 4, 6] if site.by_head else [site.heads * n for n in (1, 2, 3, 4)]
        keeps = site.still or site.in_grid or self.d.chance()
        return self.to(x, x.channels if keeps else self.d.pick(one), site)

    def _conv(self, x: Shape, site: Site) -> tuple[str, Shape]:
        d = self.d
        groups = d.pick([1, x.channels, x.channels, *(n for n in (2, 3) if x.channels % n == 0)])
        more = d.pick(["", "", ", bias = on", ", init = xavier"]) + (f", groups = {groups}" if groups > 1 else "")
        text = d.pick(["in.channels", str(x.channels)])
        return self._kept(f"conv({text}, {self._kernel()}{more})", x, x, site), x

    def _pool(self, x: Shape, site: Site) -> tuple[str, Shape]:
        del site
        return self.d.pick([f"maxpool({self._kernel()})", f"avgpool({self._kernel()}, padding = half)"]), x

    def _rotary(self, x: Shape, site: Site) -> tuple[str, Shape]:
        del site
        options = ["rotary(over = time)"]
        options += ["rotary(over = space, base = 10)"] if x.channels >= 4 else []
        options += ["rotary", "rotary(base = 100, frequencies = tiled)"] if x.channels >= 6 else []
        return self.d.pick(options), x

    def _position(self, x: Shape, site: Site) -> tuple[str, Shape]:
        del site
        options = ["position", "position(init = normal(0.1))", "position(space)"]
        options += ["position(time)"] if not x.kinds else []
        return self._called(self.d.pick(options)), x

    def _token_type(self, x: Shape, site: Site) -> tuple[str, Shape]:
        del site
        return self._called("token_type"), x

    def _select(self, x: Shape, site: Site) -> tuple[str, Shape]:
        del site
        d = self.d
        name, n = d.pick(x.kinds)
        if d.chance(0.3):
            kinds = tuple(k for k in x.kinds if k[0] != name)
            return f"without({name})", replace(x, kinds=kinds, scope=x.scope if kinds else "")
        if d.chance(0.5):
            return "select(grid)", replace(x, kinds=(), scope="")
        t = x.grid[0] if x.scope == "frame" else 1
        if d.has("all_selected", 0.3):
            rows = prod(x.grid) // t + sum(number for _, number in x.kinds)
            return "select(all)", Shape(x.channels, (t, 1, rows))
        return f"select({name})", Shape(x.channels, (t, 1, n))

    # --- what holds chains ---

    def _residual(self, x: Shape, site: Site) -> tuple[str, Shape]:
        return f"residual {{ {self.still(x, site)} }}", x

    def _frozen(self, x: Shape, site: Site) -> tuple[str, Shape]:
        text, y = self.chain(x, site.inner, 2)
        return f"frozen{self.d.pick(['', '', ' if in.channels > 4'])} {{ {text} }}", y

    def _each_head(self, x: Shape, site: Site) -> tuple[str, Shape]:
        inner = replace(x, channels=x.channels // site.heads)
        text, y = self.chain(inner, replace(site.inner, by_head=True))
        if site.still and y.channels != inner.channels:
            more, y = self.to(y, inner.channels, replace(site, by_head=True))
            text = f"{text} -> {more}"
        return f"each_head {{ {text} }}", replace(y, channels=y.channels * site.heads)

    def _grid(self, x: Shape, site: Site) -> tuple[str, Shape]:
        inner = replace(x, kinds=(), scope="")
        keeps = site.still or bool(x.kinds)
        inside = replace(site.inner, in_grid=site.in_grid or bool(x.kinds), still=keeps)
        text, y = self.chain(inner, inside, 2)
        if keeps and y.channels != x.channels:
            more, y = self.to(y, x.channels, inside)
            text = f"{text} -> {more}"
        return f"grid {{ {text} }}", replace(y, kinds=x.kinds, scope=x.scope)

    def _if(self, x: Shape, site: Site) -> tuple[str, Shape]:
        return f"if in.channels > {self.d.whole(0, 9)} {{ {self.still(x, site)} }} else {{ {self.still(x, site)} }}", x

    def _block(self, x: Shape, site: Site) -> tuple[str, Shape]:
        c = x.channels
        options = [f"lora(2, {c})", "normed", "normed(active = on)", f"deep({c})", "turned", "turned * 2", "normed * 2"]
        options += [f"held({c})"]
        fitting = self._fitting(x, site)
        options += [f"mixed({self.d.pick(fitting)})"] * 2 if fitting and not site.by_head and not site.in_grid else []
        return self._called(self.d.pick(options)), x

    def _fitting(self, x: Shape, site: Site) -> list[str]:
        """Values of this shape."""
        if not site.reads:
            return []
        heads = site.heads if site.by_head else 1
        whole = x.channels * heads, x.grid
        known = self.values.items()
        return [n for n, v in known if (v.channels, v.grid) == whole and (site.in_grid or v.kinds == x.kinds)]

    def _operand(self, x: Shape, site: Site) -> str:
        """A chain of a join, which may begin with another value."""
        d = self.d
        fitting = self._fitting(x, site)
        if fitting and d.chance(0.4):
            name = d.pick(fitting)
            return name if d.chance() else f"{name} -> {self.still(x, site)}"
        if x.kinds and not site.in_grid and d.chance(0.15):
            return f"select(grid) -> {self.still(replace(x, kinds=(), scope=''), site)}"
        return "in" if d.chance(0.4) else self.still(x, site)

    def _join(self, x: Shape, site: Site) -> tuple[str, Shape]:
        d = self.d
        first = "in" if d.chance(0.4) else self.still(x, site)
        operands = [first, self._operand(x, site)]
        if d.chance(0.3):
            d.rng.shuffle(operands)
        kind = d.pick(["add", "add", "multiply", "mean", "max", "concat"])
        text = f"{kind} {{ {', '.join(operands)} }}"
        if kind != "concat":
            return text, x
        more, y = self.to(replace(x, channels=2 * x.channels), x.channels, site)
        return f"{text} -> {more}", y


class OddLines:
    """Draws the lines of an attention."""

    def __init__(self, d: Draw, plan: Plan, x: Shape, others: Mapping[str, Shape], *, keeps: bool = False) -> None:
        self.d, self.plan, self.x, self.keeps = d, plan, x, keeps
        self.chains = Chains(d, plan, others)
        self.lines: list[str] = []
        self.letters = dict.fromkeys("qkv", x)
        self.written: set[str] = set()

    def drawn(self) -> list[str]:
        d = self.d
        if not self.keeps:
            self._tokens()
        for _ in range(d.whole(1, 3)):
            self._line(d.pick(["q", "k", "v", "qk", "kv", "qv", "qkv", "qkv", "kv"]))
        if not self.keeps:
            self._latents()
            self._pool("q", 0.3)
        self._pool("kv", 0.4)
        self._match()
        for _ in range(d.pick([0, 0, 1, 2])):
            self._line(d.pick(["q", "k", "v", "qk", "kv", "qv", "qkv"]), still=True)
        self._token_lines()
        self._biases()
        self._result()
        return self.lines

    def _site(self, name: str) -> Site:
        both = bool(self.plan.kv_heads) and "q" in name and len(name) > 1
        heads = self.plan.heads if "q" in name or name == "proj" else self.plan.heads_of_keys
        return Site(heads, has_heads=not both, alone=self.plan.is_padded, one=len(name) == 1 or name == "proj")

    def _alike(self, name: str) -> bool:
        return len({self.letters[n] for n in name}) == 1

    def _line(self, name: str, *, still: bool = False) -> None:
        d = self.d
        if not self._alike(name):
            return
        x, site = self.letters[name[0]], self._site(name)
        if still:
            text, y = self.chains.still(x, site), x
        else:
            text, y = self.chains.chain(x, replace(site, still=len(name) < 2 and d.chance(0.7)), 2)
        if len(name) == 1 and d.chance(0.15) and y.parts == x.parts:
            text = f"{text} as kept{len(self.lines)}" if " as " not in text.rsplit("->", 1)[-1] else text
        self._write(name, text, y)

    def _write(self, name: str, text: str, y: Shape) -> None:
        line = f"{name}: {text}"
        if self.d.chance(0.06):
            line = f"if on {{ {line} }}"
        self.lines.append(line)
        self.letters |= dict.fromkeys(name, y)
        self.written |= set(name)
        if len(name) == 1:
            self.chains.values[name] = y
        else:
            self.chains.values |= dict.fromkeys(name, y)

    def _tokens(self) -> None:
        """Tokens that keys and values have alone, or queries lack."""
        d, x = self.d, self.x
        if not d.has("own_tokens", 0.15):
            return
        scope = x.scope or "clip"
        t, h, w = x.grid
        n = d.whole(1, 3)
        rows = [(f"tokens(sinks, {n}, scope = {scope})", n)]
        rows += [(f"beside(sinks, scope = {scope}) {{ in, select(grid) -> avgpool([1, all, all]) }}", 1)]
        rows[1] = (rows[1][0], 1 if scope == "frame" else t) if x.kinds else rows[0]
        text, n = d.pick(rows)
        self._write(d.pick(["kv", "kv", "qkv"]), text, replace(x, kinds=(*x.kinds, ("sinks", n)), scope=scope))
        del h, w

    def _latents(self) -> None:
        """Learned queries."""
        d, plan = self.d, self.plan
        is_along = all(len(steps) > 1 or n == 1 for steps, n in zip(plan.steps, self.x.grid, strict=True))
        if is_along and plan.over == "space_time" and "window" not in plan.settings and d.has("latents", 0.3):
            n = d.whole(1, 4)
            self._write("q", self.chains._called(f"latents({n})"), Shape(self.letters["q"].channels, (1, 1, n)))

    def _token_lines(self) -> None:
        """Queries, keys and values of the class token's own."""
        d = self.d
        if self.x.kinds != (("token", 1),) or self.x.scope != "clip" or not d.has("token_lines", 0.12):
            return
        for letter in "qkv":
            text, _ = self.chains.to(self.x, self.letters[letter].channels, self._site(letter))
            self.lines.append(f"token_{letter}: {d.pick(['', 'layernorm -> '])}{text}")

    def _pool(self, name: str, part: float) -> None:
        """A layer that makes the grid smaller."""
        d = self.d
        x = self.letters[name[0]]
        if not self.plan.may_pool or not d.chance(part) or not self._alike(name) or x.grid != self.x.grid:
            return
        rows = zip(x.grid, self.plan.steps, strict=True)
        step = [min(d.pick(steps), n) for n, steps in rows]
        if x.scope == "frame":
            step[0] = 1
        t, h, w = (-(-n // s) for n, s in zip(x.grid, step, strict=True))
        odd = written([3 if s == 2 else s if s % 2 else 1 for s in step])
        stride = f"stride = {written(step)}"
        inner = [f"maxpool({odd}, {stride})", f"conv(in.channels, {odd}, {stride}, groups = in.channels)"]
        inner += [f"conv(in.channels, {odd}, {stride})", f"avgpool(1, {stride})"]
        inner += ["avgpool"] if step == list(x.grid) else []
        text = self.chains._called(d.pick(inner))
        text = f"grid {{ {text} }}" if x.kinds else text
        site = self._site(name)
        is_by_head = d.chance(0.3) and site.has_heads and x.channels % site.heads == 0
        text = f"each_head {{ {text} }}" if is_by_head else text
        self._write(name, text, replace(x, grid=(t, h, w)))

    def _match(self) -> None:
        """Lines behind which queries, keys and values go together."""
        d, plan = self.d, self.plan
        if self.letters["k"].parts[1:] != self.letters["v"].parts[1:] or d.chance(0.05):
            self._write("v", "k", self.letters["k"])
        one = d.pick([self.x.channels // plan.heads, 2, 3, 4, 6])
        widths = {"q": plan.heads * one, "k": plan.heads_of_keys * one}
        widths["v"] = plan.heads_of_keys * d.pick([one, one, 2, 5])
        for name in d.pick([["q", "k", "v"], ["qk", "v"], ["q", "kv"], ["qkv"], ["qv", "k"]]):
            same = len({widths[n] for n in name}) == 1 and self._alike(name)
            for letters in [name] if same else list(name):
                x = self.letters[letters[0]]
                if x.channels == widths[letters[0]] and set(letters) <= self.written and d.chance(0.4):
                    continue
                text, y = self.chains.to(x, widths[letters[0]], self._site(letters))
                self._write(letters, text, y)

    def _biases(self) -> None:
        d = self.d
        if not self.plan.has_bias:
            return
        kinds = ["table", "decomposed", "alibi", "continuous(3)", "table(init = normal(0.1))", "decomposed(0)"]
        for number in range(d.pick([0, 0, 0, 1, 2, 3])):
            kind = "table" if "band" in self.plan.settings else d.pick(kinds)
            kind = d.pick([kind, kind, kind, f"frozen {{ {kind} }}"])
            self.lines.append(f"bias: {kind} as b{number}")

    def _result(self) -> None:
        d = self.d
        q, v = self.letters["q"], self.letters["v"]
        if d.chance(0.1) and not self.keeps:
            return
        x = replace(q, channels=v.channels // self.plan.heads_of_keys * self.plan.heads)
        if d.chance(0.3):
            text, _ = self.chains.to(x, self.x.channels, self._site("proj"))
        else:
            text, y = self.chains.chain(x, replace(self._site("proj"), still=self.keeps), 2)
            if self.keeps or d.chance():
                more, _ = self.chains.to(y, self.x.channels, self._site("proj"))
                text = f"{text} -> {more}"
        self.lines.append(f"proj: {text}")


def drawn(d: Draw, channels: int, grid: Size, token: str) -> Drawn:
    """An attention that leaves channels, grid and a class token as they are."""
    from programs.lines import Drawn, Plans

    x = Shape(channels, grid, (("token", 1),) if token else (), token)
    plan = Plans(d, channels, grid, token).drawn()
    body = OddLines(d, plan, x, {}, keeps=True).drawn()
    return Drawn(_text(plan, body), channels, grid, token)


def _text(plan: Plan, lines: Sequence[str]) -> str:
    items = plan.settings.items()
    arguments = [str(plan.heads), *(f"{k} = {v if isinstance(v, str) else written(v)}" for k, v in items)]
    body = "\n".join(f"        {line}" for line in lines)
    return f"attention({', '.join(arguments)}) {{\n{body}\n    }}"


def tokens(d: Draw, token: str) -> tuple[str, Kinds]:
    """The layers that bring tokens, and these."""
    if not token:
        return "", ()
    scope = ", scope = frame" if token == "frame" else ""
    n = d.whole(1, 3)
    ways = {"token": (f"class_token({token}) -> ", 1), "registers": (f"tokens(registers, {n}{scope}) -> ", n)}
    names: Sequence[str] = d.pick([["token"], ["token"], ["registers"], ["token", "registers"]])
    return "".join(ways[name][0] for name in names), tuple((name, ways[name][1]) for name in names)


def odd_program(seed: int, without: Sequence[str] = ()) -> str:
    """A spec of one attention."""
    from programs.lines import Plans, with_blocks

    d = Draw(f"odd attention {seed}", without)
    channels = d.pick([6, 8, 12])
    grid: Size = d.pick([1, 2, 3, 4]), d.pick([2, 3, 4, 6, 4]), d.pick([2, 3, 4, 4, 6])
    token = d.weighted([(0.55, ""), (0.3, "clip"), (0.15, "frame")])
    begin, kinds = tokens(d, token)
    x = Shape(channels, grid, kinds, token)
    plan = Plans(d, channels, grid, token).drawn()
    others: dict[str, Shape] = {}
    if d.chance(0.3):
        t, h, w = (n // s if n % (s := d.pick(steps)) == 0 else n for n, steps in zip(grid, plan.steps, strict=True))
        others["other"] = Shape(channels, d.pick([grid, (t, h, w)]))
    text = _text(plan, OddLines(d, plan, x, others).drawn())
    lines = ["arch net", f"input clip: video[{channels}, {', '.join(map(str, grid))}]"]
    for name, other in others.items():
        lines += [f"input {name}: video[{other.channels}, {', '.join(map(str, other.grid))}]", "path main = clip"]
    lines += [f"stage a {{\n    {'main: ' if others else ''}{begin}{text}\n}}"]
    return with_blocks("\n".join(lines))
