"""Random attention in lines for a grid that is known: arguments, lines, biases, values from outside.

Most are such as the language accepts; a few go against a rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from programs.draw import Draw, written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Size = tuple[int, int, int]
AXES = {"space_time": "thw", "space": "hw", "time": "t", "height": "h", "width": "w"}
WILD = 0.03  # the part of rules that are not kept
BLOCKS = {  # that lines call
    "lora": "block lora(rank, out) { linear(rank, bias = off) -> linear(out, bias = off) }",
    "pool": """block pool(k: list, s: list, init: symbol = xavier) {
    grid { conv(in.channels, k, stride = s, groups = in.channels, init = init) }
}""",
    "normed": "block normed(eps = 1e-3, active: bool = off) { layernorm(eps = eps) -> if active { gelu } }",
    "deep": "block deep(out) { residual { layernorm -> linear(in.channels) } -> linear(out) }",
    "held": "block held(out) { frozen { layernorm -> linear(out) } -> relu -> linear(out, bias = off) }",
    "turned": "block turned(out = in.channels) { gelu -> linear(out, bias = off) }",
    "mixed": "block mixed(one: value) { add { linear(in.channels), one -> linear(in.channels, bias = off) } }",
}


@dataclass(frozen=True)
class Branch:
    """What the generator knows of a letter."""

    channels: int
    grid: Size
    token: str


@dataclass(frozen=True)
class Drawn:
    """An attention: its text, what leaves it, the value `other` that it reads, and the blocks that it calls."""

    text: str
    out: int
    grid: Size
    token: str
    other: Branch | None = None
    blocks: frozenset[str] = frozenset()


@dataclass
class Plan:
    """The arguments, and what they allow."""

    heads: int
    over: str
    settings: dict[str, object] = field(default_factory=dict[str, object])
    kv_heads: int = 0
    is_padded: bool = False  # windows do not divide the grid, so that lines must treat positions on their own
    steps: list[list[int]] = field(default_factory=lambda: [[1], [1], [1]])  # of the grids of queries and keys
    has_bias: bool = True
    is_pooled: bool = False  # whether windows are drawn to be pooled

    @property
    def may_pool(self) -> bool:
        return not self.is_padded and "band" not in self.settings

    @property
    def heads_of_keys(self) -> int:
        return self.kv_heads or self.heads


class Plans:
    """Draws arguments."""

    def __init__(self, d: Draw, channels: int, grid: Size, token: str) -> None:
        self.d, self.grid, self.token = d, grid, token
        self.ends = list(zip("thw", grid, strict=True))
        heads = d.pick([n for n in (1, 2, 2, 2, 4) if channels % n == 0])
        axes = ["space", "height", "width"] if token == "frame" and not d.chance(WILD) else list(AXES)
        self.plan = Plan(heads, d.pick([*axes, axes[0]]))

    def drawn(self) -> Plan:
        d, plan = self.d, self.plan
        is_row = sum(n > 1 for _, n in self.ends) <= 1
        ways = [(4, self._plain), (5, self._windows), (1, self._dilated), (0.5, self._cosine)]
        if not self.token or d.chance(WILD):
            ways += [(0.8, self._band), (1, self._scored), (1, self._causal)]
            ways += [(0.6, self._listed)] if plan.heads > 1 or d.chance(WILD) else []
        elif is_row and self.token == "clip":
            ways += [(4, self._band)]
        d.weighted(ways)()
        if "score" not in plan.settings and d.chance(0.15):
            plan.settings["scale"] = False
        if plan.settings.keys() <= {"scale", "causal"} and d.has("caps", 0.1):
            plan.settings["cap"], plan.has_bias = d.pick(["1/2", 2, 50]), False
        if "score" not in plan.settings and d.chance(0.06):
            plan.settings["dropout"] = d.pick([0, 0.1])
        if plan.heads > 1 and d.has("kv_heads", 0.1):
            plan.kv_heads = d.pick([n for n in (1, 2) if plan.heads % n == 0])
            plan.settings["kv_heads"] = plan.kv_heads
        if "over" not in plan.settings and not (plan.over == "space_time" and d.chance(0.7)):
            plan.settings = {"over": plan.over} | plan.settings
        return plan

    def _along(self, axis: str) -> bool:
        return axis in AXES[self.plan.over]

    def _plain(self) -> None:
        self.plan.steps = [[1, 1, 2, 3] if self._along(a) and n > 1 else [1] for a, n in self.ends]

    def _windows(self) -> None:
        d, plan = self.d, self.plan
        window: list[object] = []
        shift: list[int] = []
        self.plan.is_pooled = is_pooled = d.chance(0.4)
        for index, (a, n) in enumerate(self.ends):
            if not self._along(a):
                window.append(2 if d.chance(WILD) else "all")
                shift.append(0)
                continue
            halves = [k for k in range(2, n, 2) if n % k == 0]
            if is_pooled and halves:
                k = d.pick([*halves, halves[-1]])
                s = d.pick(range(0, k, 2))
            else:
                whole = [k for k in range(1, n) if n % k == 0]
                k = d.pick([*whole, *whole, 2, 3, 4, "all", n])
                s = d.whole(0, k - 1) if isinstance(k, int) and d.chance(0.5) else 0
            is_cut = isinstance(k, int) and k < n
            plan.is_padded |= is_cut and n % k != 0
            steps = [f for f in (1, 2, 3) if not is_cut or (k % f == 0 and (s % f == 0 or d.chance(WILD)))]
            plan.steps[index] = [1, *steps[1:], *steps[1:], *steps[-1:]] if n > 1 else [1]
            window.append(k)
            shift.append(s)
        plan.settings["window"] = window
        if any(shift):
            plan.settings["shift"] = shift
        if plan.is_padded:
            plan.steps = [[1], [1], [1]]

    def _dilated(self) -> None:
        d, plan = self.d, self.plan
        dilation = [d.pick([1, 2]) if self._along(a) else 1 for a, _ in self.ends]
        plan.settings["dilation"] = dilation
        window = [d.pick([2, 3, "all"]) if self._along(a) else "all" for a, _ in self.ends]
        if d.chance():
            plan.settings["window"] = window
        else:
            window = ["all"] * 3
        for (a, n), k, f in zip(self.ends, window, dilation, strict=True):
            whole = -(-n // f)
            covered = f * (min(k, whole) if isinstance(k, int) else whole)
            plan.is_padded |= self._along(a) and n % covered != 0

    def _band(self) -> None:
        d, plan = self.d, self.plan
        longest = max(self.ends, key=lambda end: end[1])[0]
        names = {"t": "time", "h": "height", "w": "width"}
        plan.over = names[longest] if self.token else d.pick(list(names.values()))
        plan.settings["band"] = 3 if d.chance(WILD) else d.pick([2, 2, 4])
        [n] = [n for a, n in self.ends if self._along(a)]
        if n % 2 == 0 and not self.token and d.chance(0.3):
            plan.settings["dilation"] = [2 if self._along(a) else 1 for a, _ in self.ends]
        if plan.over == "time" and (not self.token or d.chance(WILD)) and d.has("causal_bands", 0.3):
            plan.settings["causal"] = True
        if d.has("cosine_bands", 0.15):
            plan.settings["score"] = "cosine"

    def _scored(self) -> None:
        self._plain()
        self.plan.settings["score"] = self.d.pick(["dot_product", "concatenation"])
        if self._along("t") and self.d.has("causal_scores", 0.25):
            self.plan.settings["causal"] = True
            self.plan.steps[0] = [1]
        self.plan.has_bias = self.d.chance(WILD)

    def _cosine(self) -> None:
        self.d.pick([self._plain, self._windows])()
        self.plan.settings["score"] = "cosine"

    def _listed(self) -> None:
        d, plan = self.d, self.plan
        number = d.pick([n for n in (2, 2, 4) if plan.heads % n == 0] or [2])
        names = [d.pick(list(AXES)) for _ in range(number)]
        plan.settings["over"] = f"[{', '.join(names)}]"
        plan.has_bias = d.chance(WILD)
        plan.steps = [[1, 1, 2] if all(a in AXES[n] for n in names) and size > 1 else [1] for a, size in self.ends]
        if any("t" in AXES[n] for n in names) and d.has("causal_parts", 0.25):
            plan.settings["causal"] = True
            plan.steps[0] = [1]
        if d.has("cosine_parts", 0.15):
            plan.settings["score"] = "cosine"

    def _causal(self) -> None:
        self.plan.over = self.d.pick(["time", "space_time"])
        self.d.pick([self._plain, self._windows, self._windows, self._dilated])()
        self.plan.steps[0] = [1]
        self.plan.settings["causal"] = True


class Attention:
    """Draws an attention for a value of so many channels on a grid.

    Args:
        d: draws.
        channels: of what enters.
        grid: of what enters.
        token: of what enters.
        others: values that keys and values can be of; without them a value `other` is assumed where one is wanted.
        knows: whether the parameters of the spec are known.
        kinds: names of the tokens that enter, if there are any.
    """

    def __init__(
        self,
        d: Draw,
        channels: int,
        grid: Size,
        token: str,
        *,
        others: Mapping[str, Branch] | None = None,
        knows: bool = True,
        kinds: Sequence[str] = ("token",),
    ) -> None:
        self.d, self.channels, self.grid, self.token = d, channels, grid, token
        self.plan = Plans(d, channels, grid, token).drawn()
        self.others, self.knows, self.kinds = others, knows, list(kinds)
        self.is_plain = d.chance(0.4)  # as the literature has it: one projection, poolings, one bias, a last projection
        self.other: Branch | None = None  # the value that was assumed
        self.read: str | None = None
        self.lines: list[str] = []
        self.named = 0
        self.is_uneven = False  # whether a step cannot be told from the sizes of grids
        self.values: dict[str, Branch] = {}
        self.letters = {n: Branch(channels, grid, token) for n in "qkv"}

    def drawn(self) -> Drawn:
        d = self.d
        if self.is_plain:
            out = self._plain()
        else:
            self._sinks()
            self._projections()
            self._token_lines()
            for _ in range(d.pick([0, 0, 1, 1, 2, 3])):
                self._more()
            self._poolings()
            self._biases()
            out = self._last()
        settings = self.plan.settings.items()
        arguments = [str(self.plan.heads), *(f"{k} = {v if isinstance(v, str) else written(v)}" for k, v in settings)]
        body = "\n".join(f"        {line}" for line in self.lines)
        text = f"attention({', '.join(arguments)}) {{\n{body}\n    }}"
        called = frozenset(name for name in BLOCKS if re.search(rf"\b{name}\b", body))
        return Drawn(text, out, self.letters["q"].grid, self.letters["q"].token, self.other, called)

    def _plain(self) -> int:
        """The lines of an attention of the literature; the channels of what it gives."""
        d, plan = self.d, self.plan
        width = self.channels if d.chance(0.7) else plan.heads * d.pick([3, 4, 6])
        more = d.pick(["", ", bias = off", ", init = xavier", ", init = xavier"])
        steps = {
            n: self._step(self.letters[n[0]], False) if d.chance(0.8 if plan.is_pooled else 0.5) else (1, 1, 1)
            for n in ("q", "kv")
        }
        pooled = [n for n in steps if steps[n] != (1, 1, 1) and plan.may_pool]
        way = d.pick(["maxpool", "conv", "conv"]) if self.token != "frame" else "conv"
        is_first = pooled == ["kv"] and way == "maxpool" and not self.token and d.chance(0.4)
        if is_first:
            self._pool(pooled[0], steps["kv"], way, "")
        widths = {"q": width, "kv": width // plan.heads * plan.heads_of_keys}
        same = widths["q"] == widths["kv"] and not is_first
        self.lines += [f"{n}: linear({k}{more})" for n, k in ({"qkv": width} if same else widths).items()]
        self.letters = {n: replace(b, channels=widths["q" if n == "q" else "kv"]) for n, b in self.letters.items()}
        if self.token == "clip" and "band" in plan.settings and d.chance(0.5):
            self.lines += [f"token_{n}: linear({k}{more})" for n, k in widths.items()]
        if not is_first:
            norm = d.pick(["", " -> layernorm as norm"]) if way == "conv" else ""
            for name in pooled:
                self._pool(name, steps[name], way, norm)
        if plan.has_bias and d.chance(0.6):
            kinds = ["table", "table", "table" if "band" in plan.settings else "decomposed as relative"]
            self.lines.append(f"bias: {kinds[2] if self.is_uneven else d.pick(kinds)}")
        out = self.channels if d.chance(0.8) else d.whole(2, 9)
        added = "add { in, q -> select(grid) } -> " if "q" in pooled and d.chance(0.5) else ""
        self.lines.append(f"proj: {added}linear({out}{d.pick(['', '', ', bias = off'])})")
        return out

    def _pool(self, name: str, step: Size, way: str, norm: str) -> None:
        branch = self.letters[name[0]]
        t, h, w = (-(-n // s) for n, s in zip(branch.grid, step, strict=True))
        kernel = [3 if s == 2 else s if s % 2 else 1 for s in step]
        text = f"maxpool({written(kernel)}, stride = {written(list(step))})"
        if way == "conv":
            text = f"each_head {{ pool({written(kernel)}, {written(list(step))}){norm} }}"
        self.lines.append(f"{name}: {text}")
        self._take(name, (t, h, w), step)

    def _take(self, name: str, grid: Size, step: Size) -> None:
        rows = zip(self.grid, grid, step, strict=True)
        self.is_uneven |= any(m > 1 and s > 1 and -(-n // m) != s for n, m, s in rows)
        self.letters |= {n: replace(self.letters[n], grid=grid) for n in name}

    # --- projections, a line each ---

    def _projections(self) -> None:
        d, plan = self.d, self.plan
        one = self.channels // plan.heads if d.chance(0.6) else d.pick([3, 4, 6])
        widths = {"q": plan.heads * one, "k": plan.heads_of_keys * one}
        widths["v"] = widths["k"] if not d.has("widths", 0.08) else plan.heads_of_keys * d.pick([2, 3, 5])
        is_outside = "causal" not in plan.settings and d.has("other", 0.1)
        partition = d.pick([p for p in PARTITIONS if p[0] == "q"] if is_outside else PARTITIONS)
        if d.chance(0.06):  # scores of what enters
            self.lines.append("qk: in")
            partition = ["v"]
            is_outside = False
        for name in partition:
            same = len({widths[n] for n in name}) == 1
            for letters in [name] if same else list(name):
                self._project(letters, widths[letters[0]], is_outside and letters != "q")
        if d.chance(0.3):
            d.rng.shuffle(self.lines)

    def _project(self, name: str, width: int, is_outside: bool) -> None:
        d = self.d
        branch = next((self.letters[n] for n in name if self.letters[n].token), self.letters[name[0]])
        tokens = {n: self.letters[n].token for n in name}
        steps: list[str] = []
        if is_outside:
            word, branch = self._outside(branch)
            tokens = dict.fromkeys(name, branch.token)
            steps += word
        if name == "q" and min(map(len, self.plan.steps)) > 1 and d.has("latents", 0.3):
            n = d.whole(1, 4)
            steps.append(f"latents({n})")
            branch = replace(branch, grid=(1, 1, n), token="")
            tokens = {name: ""}
        steps += [self._still(branch) for _ in range(d.pick([0, 0, 0, 1, 1, 2]))]
        steps.append(self._projection(branch, width))
        chain = " -> ".join(steps)
        branch = replace(branch, channels=width)
        if len(name) == 1 and d.chance(0.1):
            chain += f" as kept_{name}"
            self.values[f"kept_{name}"] = branch
        self.lines.append(f"{name}: {chain}")
        self.letters |= {n: replace(branch, token=tokens[n]) for n in name}

    def _outside(self, branch: Branch) -> tuple[list[str], Branch]:
        """The name of another value, on a grid that fits; no name if there is none."""
        rows = list(zip(self.grid, self.plan.steps, strict=True))
        if self.others is None:
            if self.other is None:
                t, h, w = (n // s if n % (s := self.d.pick(steps)) == 0 else n for n, steps in rows)
                self.other = Branch(self.d.pick([4, 6, 8]), (t, h, w), "")
            return ["other"], self.other
        sizes = [{n, *(n // s for s in steps if n % s == 0)} for n, steps in rows]
        fitting = [n for n, b in self.others.items() if all(m in s for m, s in zip(b.grid, sizes, strict=True))]
        if not fitting:
            return [], branch
        name = self.d.pick(fitting) if self.read is None else self.read
        self.read = name
        return [name], self.others[name]

    def _number(self, value: int, plain: float = 0.8) -> str:
        return self.d.number(value, plain) if self.knows else str(value)

    def _truth(self) -> str:
        return self.d.condition(True) if self.knows else "on"

    def _still(self, branch: Branch) -> str:
        """A layer that changes no shape."""
        d = self.d
        options = [
            "layernorm",
            "layernorm(eps = 1e-3, zero_centred = on)",
            "gelu",
            "relu",
            "dropout(0.1)",
            "drop_path(0)",
            "normed",
        ]
        options += ["normed(active = on)", "normed(0.1, on)", "residual { layernorm -> gelu }"]
        options += ["if in.channels > 2 { layernorm } else { relu }", "rmsnorm", "sigmoid"]
        if not self.plan.is_padded or d.chance(WILD):
            depthwise = f"conv({branch.channels}, [1, 3, 3], groups = {branch.channels})"
            kernels = [depthwise, *self._bn(), "maxpool(3)"]
            if branch.token:
                options += [f"grid {{ {s} }}" for s in kernels]
            else:
                options += [*kernels, f"residual {{ {depthwise} }}", "grid { gelu }"]
        return d.pick(options)

    def _bn(self) -> list[str]:
        return ["bn"] if self.d.has("bn") else []

    def _own(self) -> str:
        """A name that no other layer has."""
        self.named += 1
        return "" if self.d.has("same_names", WILD) else f" as u{self.named}"

    def _projection(self, branch: Branch, width: int) -> str:
        d = self.d
        out = "in.channels" if width == self.channels and d.chance(0.6) else self._number(width)
        options = [f"linear({out})", f"linear({out})", f"linear({out}, bias = off)", f"linear({out}, init = xavier)"]
        if d.chance(0.6):
            return d.pick(options)
        half = width // 2
        options += [
            f"add {{ linear({out}), lora(2, {out}) }}",
            f"add {{ frozen {{ linear({out}) }}, lora(2, {out}) }}",
            f"frozen {{ linear({out}) }}",
            f"linear({out}) -> gelu -> linear({width})",
            f"concat {{ linear({half}), linear({width - half}) }}",
            f"turned({out})",
            f"deep({out})",
            f"held({out})",
            f"frozen {{ deep({out}) }}",
            f"(linear({out}) -> relu) * 2",
            f"mean {{ linear({out}), gelu -> linear({out}) }}",
            f"if {self._truth()} {{ linear({out}) }} else {{ relu }}",
        ]
        if width == branch.channels:
            options += [f"residual {{ linear({out}) }}", f"add {{ in, linear({out}) }}"]
            options += ["turned * 2"] if branch.channels == self.channels else []
        if not branch.token:
            options += [f"conv({out}, 1)"]
            if not self.plan.is_padded or d.chance(WILD):
                options += [f"conv({out}, 3)", *(f"conv({out}, [3, 1, 1]) -> {n}" for n in [*self._bn(), "relu"])]
        return d.pick(options)

    def _sinks(self) -> None:
        """Tokens that keys and values have and queries lack."""
        if self.d.has("sinks", 0.06) and "band" not in self.plan.settings and "score" not in self.plan.settings:
            scope = ", scope = frame" if self.token == "frame" else ""
            self.lines.append(f"kv: tokens(sinks, {self.d.whole(1, 3)}{scope})")
            self.letters |= {n: replace(self.letters[n], token=f"{self.token or 'clip'} with sinks") for n in "kv"}

    def _token_lines(self) -> None:
        """Projections of the class token's own."""
        d = self.d
        if (
            self.token != "clip"
            or len(self.kinds) != 1
            or not d.has("token_lines", 0.4 if "band" in self.plan.settings else 0.15)
        ):
            return
        q, k, v = (self.letters[n].channels for n in "qkv")
        settings = d.pick(["", "", ", bias = off"])
        begin = d.pick(["", "", "layernorm -> ", "gelu -> ", "grid { gelu } -> "])
        end = d.pick(["", "", " -> relu", " -> each_head { layernorm }", " -> each_head { residual { layernorm } }"])
        if k != v:
            lines = [f"token_q: {begin}linear({q})", f"token_k: linear({k})", f"token_v: linear({v}){end}"]
        elif q == k:
            one = [f"token_qkv: {begin}linear({q})", *([f"token_q: {end[4:]}"] if end else [])]
            lines = d.pick([[f"token_q: {begin}linear({q}){end}", f"token_kv: linear({k}{settings})"], one])
            lines += d.pick([[], [], ["token_v: v"], ["token_k: in"] if k == self.channels else []])
        else:
            lines = [f"token_q: linear({q}{settings}){end}", f"token_kv: {begin}linear({k})"]
        self.lines += lines

    # --- more lines ---

    def _alike(self, names: list[str]) -> list[str]:
        """The lines whose letters have the same shape."""
        return [n for n in names if len({self.letters[x] for x in n}) == 1]

    def _more(self) -> None:
        """Another line for letters that have their projections."""
        d = self.d
        name = d.pick(self._alike(["q", "k", "v", "qk", "kv", "qv", "qkv", "qk", "kv"]))
        branch = self.letters[name[0]]
        options = [f"each_head {{ {self._of_head(branch, self._width(name))} }}"] * 4
        options += [d.pick(["gelu", "relu", f"layernorm{self._own()}", "dropout(0.2)", f"normed{self._own()}"])]
        options += [d.pick(["silu", "softmax(channels)", f"scale(0.5){self._own()}"])]
        if not self.plan.is_padded:
            kernel = d.pick(["3", "[3, 1, 1]"])
            options += [f"grid {{ conv({branch.channels}, {kernel}, groups = {branch.channels}){self._own()} }}"]
            options += [f"each_head {{ grid {{ conv(in.channels, {kernel}, groups = in.channels){self._own()} }} }}"]
        known = [n for n, b in self.values.items() if b == branch]
        known += [n for n in "qkv" if n not in name and self.letters[n] == branch and self._has_line(n)]
        if known:
            read = d.pick(known)
            options += [
                f"add {{ in, {read} }}",
                f"mean {{ {read} -> gelu, in }}",
                f"multiply {{ in, {read} -> sigmoid }}",
            ]
            grid, n = ("select(grid) -> " if branch.token else ""), branch.channels
            if not self.plan.is_padded:
                options += [f"multiply {{ in, {read} -> {grid}avgpool -> linear({n}) -> sigmoid }}"]
                options += ["grid { add { avgpool([1, all, all]), in } }"]
            options += [f"multiply {{ in, {read} -> linear(1) -> sigmoid }}"]
            options += [read] * 2 if len(name) == 1 else []
            options += [f"mixed({read}){self._own()}"] if branch.channels == self.channels else []
        if name == "q" and branch.token and self.kinds and d.has("without", 0.4):
            kind = self.kinds.pop()
            self.lines.append(f"q: without({kind})")
            self.letters["q"] = replace(branch, token=f"{branch.token} without {kind}" if self.kinds else "")
            return
        if branch == Branch(self.channels, self.grid, self.token):
            options += [f"residual {{ layernorm{self._own()} -> linear(in.channels){self._own()} }}"]
        line = f"{name}: {d.pick(options)}"
        if d.chance(0.08):
            other = f" else {{ {name}: gelu }}" if d.chance() else ""
            line = f"if {self._truth()} {{ {line} }}{other}"
        elif d.chance(0.05):
            self.lines.append(f"let size{len(self.lines)} = {self._number(branch.channels)}")
        self.lines.append(line)

    def _has_line(self, letter: str) -> bool:
        names = (line.partition(":")[0] for line in self.lines)
        return any(letter in name for name in names if set(name) <= set("qkv"))

    def _width(self, name: str) -> int:
        """The channels of one head."""
        branch = self.letters[name[0]]
        return max(1, branch.channels // (self.plan.heads if "q" in name else self.plan.heads_of_keys))

    def _of_head(self, branch: Branch, width: int) -> str:
        d = self.d
        own = self._own()
        options = ["layernorm as norm", f"layernorm{own}", f"layernorm{own}", "gelu", f"linear(in.channels){own}"]
        options += [f"linear({width}){own} -> layernorm as norm{own[5:]}"]
        options += [f"residual {{ layernorm as norm{own[5:]} -> linear(in.channels){own} }}"]
        options += [f"linear(in.channels, bias = off){own}", f"normed(active = on){own}", "l2norm"]
        options += [
            f"rmsnorm{own}",
            "rotary(over = time)",
            "rotary" if width >= 6 else "rotary(over = time, base = 10)",
        ]
        if not self.plan.is_padded and not branch.token:
            options += [f"conv(in.channels, 3, groups = in.channels){own} -> layernorm as norm", *self._bn()]
        return d.pick(options)

    # --- poolings ---

    def _poolings(self) -> None:
        """Layers that make grids smaller."""
        d = self.d
        if not self.plan.may_pool and not d.chance(WILD):
            return
        part = 0.6 if self.plan.is_pooled else 0.3
        for name in ("q", "kv", "qkv"):
            step = self._step(self.letters[name[0]], name == "qkv" and d.has("pooled_together"))
            if not self._alike([name]) or not d.chance(part if name != "qkv" else 0.1) or step == (1, 1, 1):
                continue
            branch = self.letters[name[0]]
            text, grid = self._pooling(branch, step)
            self.lines.append(f"{name}: {text}")
            self._take(name, grid, step)

    def _step(self, branch: Branch, everywhere: bool) -> Size:
        """A step along axes where queries and keys may have grids of their own, or along any for all of them."""
        found: list[int] = []
        rows = zip("thw", branch.grid, self.grid, self.plan.steps, strict=True)
        for axis, n, full, steps in rows:
            is_frames = axis == "t" and self.token == "frame"
            is_along = axis in AXES[self.plan.over]
            options = [1] if is_frames or n != full else [1, 2] if everywhere and not is_along else steps
            found.append(min(self.d.pick(options), n))
        t, h, w = found
        return t, h, w

    def _pooling(self, branch: Branch, step: Size) -> tuple[str, Size]:
        d = self.d
        divides = all(n % s == 0 for n, s in zip(branch.grid, step, strict=True))
        t, h, w = (-(-n // s) for n, s in zip(branch.grid, step, strict=True))
        size = written(list(step))
        odd = written([3 if s == 2 else s if s % 2 else 1 for s in step])
        conv = f"conv(in.channels, {odd}, stride = {size}, groups = in.channels){self._own()}"
        norm = d.pick(["", f" -> layernorm{self._own()}", f" -> layernorm{self._own()}"])
        options = [f"maxpool({odd}, stride = {size})", f"each_head {{ grid {{ {conv} }}{norm} }}"]
        options += [f"each_head {{ grid {{ {conv} -> {d.pick([*self._bn(), 'gelu'])} }} }}"]
        if divides:
            options += [f"maxpool({size}, stride = {size}, padding = valid)"] * 2
            options += [f"grid {{ avgpool({size}, stride = {size}) }}"]
        if not branch.token:
            options += [f"each_head {{ {conv} }}", f"avgpool(1, stride = {size})"]
        options += [f"each_head {{ pool({odd}, {size}){self._own()}{norm} }}"] * 2
        return d.pick(options), (t, h, w)

    # --- biases, and what follows the result ---

    def _biases(self) -> None:
        d = self.d
        if not self.plan.has_bias:
            return
        is_band = "band" in self.plan.settings
        kinds: list[str] = []
        for _ in range(d.pick([0, 0, 1, 1, 1, 2 if d.has("two_biases") else 1])):
            kind = "table" if is_band else d.pick(["table", "table", "decomposed", "alibi", "continuous"])
            kind = "decomposed" if self.is_uneven and not d.has("uneven_tables", WILD) else kind
            if kind in kinds and not d.chance(WILD):
                continue
            kinds.append(kind)
            names = d.pick(["", " as relative"]) if kind == "decomposed" else "", f" as my_{kind}"
            if kind == "table":
                is_smaller = any(self.letters[n].grid != self.grid for n in "qk")
                options = [
                    "",
                    "",
                    "(init = normal(0.1))",
                    *([] if is_smaller or is_band else ["(prefix = on)", "(on)"]),
                ]
            elif kind == "alibi":
                options = [""]
            else:
                made_for = f"made_for = {written([d.whole(2, 5) for _ in 'thw'])}"
                options = ["", "(init = normal(0.1))", "(0)", f"({made_for})"]
                if kind == "continuous":
                    options = ["(3)", f"(2, {made_for})", "(hidden = 5, init = normal(0.1))"]
            self.lines.append(f"bias: {kind}{d.pick(options)}{names[d.has('bias_names', 0.3)]}")

    def _last(self) -> int:
        """The line `proj`; what it gives."""
        d = self.d
        q, v = self.letters["q"], self.letters["v"]
        width = v.channels // self.plan.heads_of_keys * self.plan.heads
        if d.chance(0.12):
            return width
        out = self.channels if d.chance(0.8) else d.whole(2, 9)
        text = "in.channels" if out == self.channels and d.chance() else str(out)
        steps: list[str] = []
        if width == q.channels and d.chance(0.25):
            selected = "q -> select(grid)"
            steps.append(
                f"add {{ in, {d.pick(['q', selected]) if d.has('added_tokens') or not q.token else selected} }}"
            )
        elif width == q.channels and d.has("joined_results", 0.12):
            options = ["mean { in, q -> gelu }", "concat { q, in }", "multiply { in, q -> sigmoid }"]
            options += ["max { in, linear(1) }", "grid { multiply { in, avgpool([all, 1, 1]) } }"]
            steps.append(d.pick([*options, *(["add { in, v }"] if v == q else [])]))
        if d.chance(0.12):
            steps.append(d.pick(["gelu", "layernorm", "relu", "residual { layernorm }", "each_head { layernorm }"]))
        steps.append(f"linear({text}{d.pick(['', '', ', bias = off'])})")
        if d.chance(0.12):
            steps.append(d.pick(["gelu", "layernorm", f"linear({out})", "drop_path(0.1)", f"gelu -> linear({out})"]))
        self.lines.append(f"proj: {' -> '.join(steps)}")
        return out


PARTITIONS = [["qkv"], ["qkv"], ["qkv"], ["q", "kv"], ["q", "kv"], ["qk", "v"], ["qv", "k"], ["q", "k", "v"]]


FITTING = [  # for what `linear(8)` gives on nearly any grid
    "qkv: linear(8)\nproj: linear(8)",
    "qkv: linear(12)\nqk: each_head { layernorm as norm }\nbias: table\nproj: linear(in.channels)",
    "q: linear(8)\nkv: grid { maxpool([1, 3, 3], stride = [1, 2, 2]) } -> linear(8)",
    "qv: add { linear(in.channels), lora(2, in.channels) }\nk: linear(8, bias = off)\nproj: linear(8) -> gelu",
    "qkv: linear(8, init = xavier)\nq: relu as kept\nproj: add { in, kept -> select(grid) } -> linear(8)",
    "qk: in\nv: layernorm -> linear(8)\nproj: linear(8, bias = off)",
    "qkv: linear(8)\nkv: each_head { pool([1, 3, 3], [1, 2, 2]) -> layernorm as norm }\nbias: decomposed",
]


def fitting(d: Draw, heads: int, over: str) -> str:
    """An attention in lines for what `linear(8)` gives on a grid that is not known."""
    return f"attention({heads}, over = {over}) {{\n{d.pick(FITTING)}\n}}"


PLAIN = [  # for nearly any grid without tokens
    "window = [2, 4, 3], shift = [1, 2, 1]",
    "window = [2, 3, 2], shift = [1, 1, 1], scale = off",
    "over = space, window = [all, 3, 3], shift = [0, 1, 1], dropout = 1/10",
    "dilation = [1, 2, 2], window = 2",
    "over = [space, time]",
    "over = time, band = 2",
    "over = width, band = 4",
    "score = cosine",
    "score = dot_product",
    "score = concatenation",
    "over = time, causal = on",
]


def plain(d: Draw, token: str) -> str:
    """An attention without braces for what `linear(8)` gives on a grid that is not known."""
    if not token and d.chance(0.7):
        return f"attention({d.pick([2, 4])}, {d.pick(PLAIN)})"
    over = d.pick(["space", "height", "width"] if token else list(AXES))
    settings = [str(d.pick([1, 2, 4])), f"over = {over}", *(["scale = off"] if d.chance(0.2) else [])]
    return f"attention({', '.join(settings)})"


def moving(size: str) -> str:
    """An attention with a smaller grid of queries, for what `linear(8)` gives."""
    return f"attention(2) {{\nqkv: linear(8)\nq: conv(8, 3, stride = {size}, groups = 8)\nproj: linear(8)\n}}"


def with_blocks(text: str) -> str:
    """A file with the blocks that its lines call."""
    called = [t for n, t in BLOCKS.items() if re.search(rf"\b{n}\b", text) and f"block {n}(" not in text]
    return "\n".join([text.rstrip("\n"), *called]) + "\n"


# --- programs of one attention ---------------------------------------------------------------------------------------


def _tokens(d: Draw, token: str) -> tuple[str, list[str]]:
    """The layers that bring tokens, and the names of these."""
    if not token:
        return "", []
    scope = ", scope = frame" if token == "frame" else ""
    ways = {"token": f"class_token({token}) -> ", "registers": f"tokens(registers, {d.whole(1, 3)}{scope}) -> "}
    names = d.pick([["token"], ["token"], ["registers"], ["token", "registers"]] if d.has("tokens") else [["token"]])
    return "".join(ways[name] for name in names), names


def attention_program(seed: int, without: Sequence[str] = ()) -> str:
    """A spec of one attention, perhaps in a block."""
    d = Draw(f"attention {seed}", without)
    channels = d.pick([8, 8, 12])
    grid: Size = d.pick([1, 2, 3, 4, 4]), d.pick([2, 3, 4, 6, 6, 7, 8, 8]), d.pick([2, 3, 4, 4, 6, 5, 8, 8])
    if d.chance(0.08):
        grid = d.pick([(5, 1, 1), (1, 7, 1), (1, 1, 6), (4, 1, 1)])
    token = d.weighted([(0.66, ""), (0.22, "clip"), (0.12, "frame")])
    begin, kinds = _tokens(d, token)
    drawn = Attention(d, channels, grid, token, kinds=kinds).drawn()
    text, other = drawn.text, drawn.other
    lines = ["arch net", f"input clip: video[{channels}, {', '.join(map(str, grid))}]"]
    if other is not None:
        lines += [f"input other: video[{other.channels}, {', '.join(map(str, other.grid))}]", "path main = clip"]
    lines += [BLOCKS[name] for name in sorted(drawn.blocks)]
    is_still = drawn.out == channels and drawn.grid == grid and drawn.token == token
    if is_still and d.chance(0.5):
        text = f"residual {{ {d.pick(['layernorm -> ', ''])}{text} }}"
    elif d.chance(0.3):
        text = f"{text} -> layernorm"
    given = "" if other is None else "other"
    if d.chance(0.15):
        lines.append(f"block spelled({given and 'other: value'}) as attention {{\n    {drawn.text}\n}}")
        text = text.replace(drawn.text, f"spelled({given})")
    if d.chance(0.3):
        lines.append(f"block wrapped({given and 'other: value'}) {{\n    relu -> {text}\n}}")
        text = f"wrapped({given}){' * 2' if is_still and d.chance(0.5) else ''}"
    lines.append(f"stage a {{\n    {given and 'main: '}{begin}{text}\n}}")
    return "\n".join(lines) + "\n"
