"""Random chains of layers that fit the value in hand, whose shape is followed as far as it is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from programs import lines, odd_lines, sharing
from programs.draw import written
from programs.masks import masked
from programs.values import STILL, BlockKind, Move, Place, State, Values, given_block

if TYPE_CHECKING:
    from collections.abc import Callable

    from programs.draw import Draw

MOST_CHANNELS = 40
BY_INDEX = ["index == 0", "index == 1", "index > 0", "index != 1"]


class Chains(Values):
    """Draws chains, each with the state of the value behind it."""

    def __init__(self, draw: Draw, blocks: list[BlockKind], budget: int = 60) -> None:
        super().__init__(draw)
        self.blocks = blocks
        self.budget = budget  # layers that are still to be made
        self.labels = 0

    # --- chains ---

    def chain(
        self, place: Place, state: State, length: int, *, end: str | None = None, move: Move = STILL, begin: str = ""
    ) -> tuple[str, State]:
        """Layers in a row; at the end a value of `end` channels, if they are asked for, on a grid moved by `move`."""
        steps = [begin] if begin else []
        at = self.draw.whole(0, max(0, length - 1)) if move != STILL else -1
        for number in range(max(length, 1 if move != STILL else 0)):
            if number == at:
                text, state = self.move(place, state, move)
            else:
                text, state = self.step(place, state)
            steps.append(text)
            place = self.named(place, state, steps)
        if end is not None and (state.text != end or not steps):
            text, state = self.ending(state, end)
            steps.append(text)
        if not steps:
            text, state = self.simple(place, state)
            steps.append(text)
        return " -> ".join(steps), state

    def named(self, place: Place, state: State, steps: list[str]) -> Place:
        """Gives the last step a name now and then."""
        d = self.draw
        if place.repeated or not d.has("as", 0.08):
            return place
        self.labels += 1
        name = (d.pick(["", "", "u"]) and f"u{self.labels}") or f"{d.pick(['kept', 'mid', 'raw', 'y'])}{self.labels}"
        if steps[-1].rpartition(" ")[2] == name or " as " in steps[-1].rpartition(")")[2]:
            return place
        steps[-1] += f" as {name}"
        return replace(place, values={**place.values, name: replace(state, text=None)})

    def ending(self, state: State, out: str) -> tuple[str, State]:
        """A layer that gives so many channels."""
        d = self.draw
        if state.token or d.chance(0.4):
            text = f"linear({out})"
        else:
            text = f"conv({out}{d.pick(['', ', 3', ', [3, 1, 1]', ', [1, 3, 3]', ', 1, bias = on'])})"
            text += f" -> {d.pick(NORMS)}" if d.chance(0.2) else ""
        return text, state.with_channels(out)

    def step(self, place: Place, state: State) -> tuple[str, State]:
        d = self.draw
        self.budget -= 1
        if self.budget <= 0:
            return self.simple(place, state)
        options: list[tuple[float, Callable[[Place, State], tuple[str, State]]]] = [(5, self.simple), (2, self.linear)]
        options += [(0.6, self.rotated), (0.6, self.part), (1.3, self.formed)]
        if not state.token:
            options += [(6, self.conv), (1, self.idle), (1.2, self.attention), (0.5, self.joined_names)]
            options += [(2.5, self.over_time)]
            options += [(1.3, self.placed)] if d.has("position") else []
            options += [(1.2, self.tokens)] if d.has("tokens") else []
        else:
            options += [(2, self.beside)]
            options += [(3, partial(sharing.shared, self))] if state.token == "frame" else []
        if place.depth > 0:
            options += [(0.4, partial(sharing.frozen, self)), (0.8, partial(sharing.shared, self))]
            options += [(1.2, self.residual), (1.2, self.merge), (1, self.repeat), (1, self.choose), (0.3, self.group)]
        options += [(3.5, self.call)] if self.usable(state) else []
        if place.mask is not None and not (place.local or state.token) and state.grid == place.mask[0]:
            apart = Random(f"{self.budget} {state}")  # so that other programs stay those of their seeds
            if apart.random() < 0.3:
                return " -> ".join(masked(place.mask, apart)), state
        text, behind = d.weighted(options)(place, state)
        if behind.channels is not None and behind.channels > MOST_CHANNELS:
            more, behind = self.ending(behind, str(d.whole(2, 9)))
            text = f"{text} -> {more}"
        return text, behind

    # --- single layers ---

    def simple(self, place: Place, state: State) -> tuple[str, State]:
        """A layer that changes no shape."""
        d = self.draw
        options = [
            "relu",
            "relu",
            "layernorm",
            "gelu",
            "sigmoid",
            "gelu(tanh = on)",
            "layernorm(eps = 1e-6)",
            "layernorm(zero_centred = on)",
            "layernorm(beta = 0.02)",
        ]
        options += [d.pick(["rmsnorm", "rmsnorm(eps = 1e-6)"]), "l2norm"]
        options += [d.pick(ACTIVATIONS), d.pick(ACTIVATIONS)]
        options += [f"dropout({self.rate(place)})", f"drop_path({self.rate(place)})"]
        options += [f"layernorm(eps = {self.rate(place)} / 7 + 1/9)"] * (4 if place.rates or place.index else 0)
        options += [f"rmsnorm(eps = {self.rate(place)} / 9 + 1/8)"] * (2 if place.rates or place.index else 0)
        if not state.token:
            options += [d.pick(["softmax(time)", "softmax(space)", "softmax(space_time)"]), "groupnorm(1)"]
            is_one = state.grid == (1, 1, 1)  # of which torch takes no norm for one clip
            options += [f"groupnorm({state.text}, eps = 0.1)"] if state.text and not is_one else []
            options += ["bn", "bn", "bn(gamma = 0)", "bn(eps = 1e-3, momentum = 0.2)", f"bn(gamma = {d.whole(0, 1)})"]
            options += ["maxpool(3)", "maxpool([1, 3, 3])", "maxpool(2, padding = same)", "maxpool([3, 1, 1])"]
            inside = ["avgpool(3, padding = half)", *["avgpool(3, padding = 1, count_padding = off)"] * 3]
            is_wide = state.grid is not None and min(state.grid) > 2
            options += inside if is_wide else []
            options += ["avgpool([1, 3, 1], padding = half)"] if state.grid is not None and state.grid[1] > 2 else []
            options += [f"upsample([1, 2, 1]{d.pick(['', ', linear'])}) -> maxpool(3, stride = [1, 2, 1])"]
            around, ends = (EVERY_PADDING, AT_THE_END) if is_wide else (AT_THE_END[:2], AT_THE_END[:2])
            options += [f"avgpool(3, padding = {d.pick(around)}{d.pick(COUNTS)})"]
            options += [f"maxpool(3, padding = {d.pick(PADDINGS)})"]
            options += [f"avgpool([3, 2, 3], padding = {d.pick(ends)}, count_padding = off)"]
        elif state.token == "clip":
            options += [
                "token_type",
                "position",
                "position(token = off)",
                "position(apart = on)",
                "maxpool([1, 3, 3])",
            ] * 2
            options += ["position(space)", "position(time)", "token_type(init = zeros)", "position(token = off)"] * 2
        else:
            options += ["position(space)", "position(space, token = off)"]
        if state.token or d.chance(0.1):
            options += ["grid { conv(in.channels, 3) -> bn }", "grid { relu }"]
        frames = state.grid[0] if state.grid is not None else 0
        for name, count in place.indices:
            if count == frames and not place.local:
                options += [f"position(time, frames = {name}, table = {frames + d.whole(3, 9)})"] * 2
        return d.pick(options), state

    def idle(self, place: Place, state: State) -> tuple[str, State]:
        """A layer that does nothing, or nothing in a module for inference."""
        if not self.draw.has("idle"):
            return self.simple(place, state)
        d = self.draw
        text = d.pick(
            [
                *["drop_path(0)", "dropout(0)", "maxpool(1)", "every(1)", "avgpool(1)", "space_to_channel(1)"],
                *["(conv(3) -> bn) * 0", "if off { conv(4) }", "relu * 0", "time_to_channel(1)", "conv(2) * (1 - 1)"],
                *["drop_path(0) * 2", "if on { dropout(0.1) }", "(dropout(0.2) -> drop_path(0)) * 2"],
            ]
        )
        return text, state

    def over_time(self, place: Place, state: State) -> tuple[str, State]:  # noqa: ARG002
        """Layers that look from frame to frame, and change no shape."""
        d = self.draw
        frames = state.grid[0] if state.grid is not None else 1
        far, ends = d.pick(["", f", distance = {d.whole(1, frames)}"]), d.pick(["", ", ends = repeat"])
        shifts = [f"shift(0, 1{far})", f"shift(1, 0{ends})", "shift(0)"]
        if state.text is not None:
            text = state.text
            shifts += [f"shift({text} // {d.whole(2, 4)}{far}{ends})", f"shift({text} // 2, {text} // 2{far}{ends})"]
            shifts += [f"shift({text}, 0{ends})", f"shift({text} // 4{ends})"]
        ways = [shifts, shifts, ["cumulative_mean"]]
        if frames > 1 and state.grid is not None:
            distance, more = d.whole(1, frames - 1), d.pick(["", ", mode = linear"])
            valid = f"difference({distance}, ends = valid) -> upsample(size = {list(state.grid)}{more})"
            ways += [[f"difference({distance})", "difference"], [valid]]
        if state.grid is not None:
            kernel = f"avgpool([1, all, all]) -> swap -> linear({d.pick([1, 3, 3, 5])}) -> swap"
            _, h, w = state.grid
            ways += [[f"temporal_filter {{ in, {kernel} }}"], [f"swap -> linear({frames}) -> swap"]]
            ways.append([f"swap(space) -> linear({h * w}) -> gelu -> swap(space, rows = {h})"])
        return d.pick(d.pick(ways)), state

    def formed(self, place: Place, state: State) -> tuple[str, State]:  # noqa: ARG002
        """Forms of activations, and factors."""
        return self.draw.pick(self.draw.pick([ACTIVATIONS, SCALES, SCALES])), state

    def placed(self, place: Place, state: State) -> tuple[str, State]:
        """Positions are added, learned or not."""
        d = self.draw
        text = d.pick(POSITIONS)
        frames = state.grid[0] if state.grid is not None else 0
        rows = [name for name, count in place.indices if count == frames and not place.local]
        if rows and d.chance():
            text = f"position(time, frames = {rows[0]}, table = {frames + d.whole(3, 9)})"
        given = text.partition(" ->")[0]
        return text, state.with_channels(given[7:-1]) if given.startswith("linear") else state

    def part(self, place: Place, state: State) -> tuple[str, State]:
        """Some of the channels."""
        d = self.draw
        if state.text is None:
            return self.simple(place, state)
        if state.channels is not None and d.chance(0.5):
            start = d.whole(0, state.channels - 1)
            n = d.whole(1, state.channels - start)
            return f"channels({start}, {n})", state.with_channels(str(n))
        half = state.channels - state.channels // 2 if state.channels is not None else None
        text = f"channels({state.text} // 2, {state.text} - {state.text} // 2)"
        return text, state.with_channels(None, half)

    def conv(self, place: Place, state: State) -> tuple[str, State]:
        d = self.draw
        out = self.free(place)
        if state.text is not None and d.chance(0.2):
            out, settings = self._grouped(state.text)
        else:
            settings = [d.pick(KERNELS)] if d.chance(0.75) else []
        if d.chance(0.12):
            return self._transposed(place, state, out, settings)
        if state.grid is not None and min(state.grid[1:]) > 2 and d.chance(0.06):
            text = f"conv(4, [1, 3, {d.whole(1, 3)}], padding = valid) -> upsample(size = {list(state.grid)})"
            return text, state.with_channels("4")
        is_padded = d.chance(0.2)
        if is_padded:
            settings.append(f"padding = {d.pick([*PADDINGS, CAUSAL])}")
        if d.chance(0.6 if is_padded else 0.1):
            settings.append(f"dilation = {d.pick(['2', '[1, 2, 3]', '[2, 1, 1]'])}")
        settings += [f"bias = {self.flag(place)}"] if d.chance(0.4) else []
        settings += [f"init = {self.initialiser(place, kernel=True)}"] if d.chance(0.15) else []
        settings += self.bias()
        first = f"out = {out}" if d.chance(0.06) and settings and "=" in settings[0] else out
        label = out if " " not in out else f"({out})"
        norm = f" -> {d.pick(NORMS)}" if d.chance(0.15) else ""
        return f"conv({', '.join([first, *settings])}){norm}", state.with_channels(None if "index" in label else label)

    def _transposed(self, place: Place, state: State, out: str, settings: list[str]) -> tuple[str, State]:
        """A transposed convolution that gives twice as many rows, of which a half stays."""
        sizes = "[1, 2, 3], stride = [1, 2, 1], padding = [0, 0, 1]"
        more = [s for s in settings if s.startswith("groups")] + [f"bias = {self.flag(place)}"]
        more += [f"init = {self.initialiser(place, kernel=True)}"] if self.draw.chance(0.3) else []
        more += self.bias()
        label = out if " " not in out else f"({out})"
        text = f"conv_transpose({out}, {sizes}, {', '.join(more)}) -> maxpool(1, stride = [1, 2, 1])"
        return text, state.with_channels(None if "index" in label else label)

    def _grouped(self, text: str) -> tuple[str, list[str]]:
        d = self.draw
        factor = d.pick([1, 1, 2])
        out = text if factor == 1 else f"{factor} * {text}"
        return out, [d.pick(["3", "[1, 3, 3]", "[3, 1, 1]", "1"]), f"groups = {text}"]

    def linear(self, place: Place, state: State) -> tuple[str, State]:
        d = self.draw
        out = self.free(place)
        settings = [f"bias = {self.flag(place)}"] if d.chance(0.3) else []
        settings += [f"init = {self.initialiser(place)}"] if d.chance(0.15) else []
        settings += self.bias()
        label = out if " " not in out else f"({out})"
        return f"linear({', '.join([out, *settings])})", state.with_channels(None if "index" in label else label)

    # --- attention and class tokens ---

    def attention(self, place: Place, state: State) -> tuple[str, State]:
        d = self.draw
        if not d.has("attention"):
            return self.simple(place, state)
        if not d.has("plain_attention", 0.3):
            return self.lines(place, state)
        text = lines.plain(d, state.token)
        steps = f"residual {{ layernorm -> {text} }}" if d.chance(0.3) else text
        return f"linear(8) -> {steps}", state.with_channels("8")

    def beside(self, place: Place, state: State) -> tuple[str, State]:
        """Attention beside a class token."""
        d = self.draw
        if not d.has("attention"):
            return self.simple(place, state)
        if not d.has("plain_attention", 0.3):
            return self.lines(place, state)
        return f"linear(8) -> residual {{ layernorm -> {lines.plain(d, state.token)} }}", state.with_channels(None)

    def rotated(self, place: Place, state: State) -> tuple[str, State]:  # noqa: ARG002
        """Rotary positions, which need a pair of channels for each axis."""
        d = self.draw
        options = ["rotary", "rotary(over = space)", "rotary(over = time, frequencies = tiled)", "rotary(base = 100)"]
        channels = str(d.whole(6, 9))
        return f"linear({channels}) -> {d.pick(options)}", state.with_channels(channels)

    def lines(self, place: Place, state: State) -> tuple[str, State]:
        """Attention in lines, on a grid that it leaves as it is."""
        d = self.draw
        if state.grid is None or state.token == "any":
            over = "space" if state.token == "any" else d.pick(["space_time", "space", "time", "width"])
            text, out = lines.fitting(d, d.pick([1, 2, 4]), over), 8
        else:
            others = {
                n: lines.Branch(s.channels or 1, s.grid, s.token) for n, s in place.values.items() if s.grid is not None
            }
            drawn = lines.Attention(d, 8, state.grid, state.token, others=others, knows=place.knows).drawn()
            if d.has("odd_lines", 0.2) and state.token in ("", "clip"):
                drawn = odd_lines.drawn(d, 8, state.grid, state.token)
            if drawn.grid != state.grid or drawn.token != state.token:
                return self.simple(place, state)
            text, out = drawn.text, drawn.out
        if out == 8 and (state.token or d.chance(0.3)):
            text = f"residual {{ layernorm -> {text} }}"
        return f"linear(8) -> {text}", state.with_channels(str(out))

    def tokens(self, place: Place, state: State) -> tuple[str, State]:
        """A class token comes and goes, at times with tokens of other names."""
        d = self.draw
        scope = d.pick(["", "(frame)", "(frame)", "(frame)", "(clip)", "(init = zeros)", "(init = normal(0.1))"])
        token = "frame" if "frame" in scope else "clip"
        begin, end = f"class_token{scope}", "select(grid)"
        way = d.pick(["several", "several", "class_token", "class_token", "one", "one"])
        if way == "one":
            mean = f"avgpool([{'1' if token == 'frame' else 'all'}, all, all])"
            options = [f"tokens(token, 1, scope = {token}, init = normal(0.1))", f"tokens(token, 1, {token})"]
            begin = d.pick([d.pick(options), f"beside(token, scope = {token}) {{ in, {mean} }}"])
        if way == "several":
            begin, end = self._several(begin, token)
            place = replace(place, indices=())  # a table of frames has no rows for several tokens
        inside, behind = self.chain(place, replace(state, token=token), d.whole(0, 3))
        if token == "frame" and way != "several" and d.chance(0.9):
            more, behind = sharing.shared(self, place, behind)
            inside = f"{inside} -> {more}"
        behind = replace(behind, token="")
        return f"{begin} -> {inside} -> {end}", behind.with_channels("8") if "linear(8)" in end else behind

    def _several(self, class_token: str, scope: str) -> tuple[str, str]:
        """Tokens of several names come beside a class token, before or behind it; and they go."""
        d = self.draw
        mean = f"select(grid) -> avgpool([{'1' if scope == 'frame' else 'all'}, all, 1])"
        other = f"tokens(registers, {d.whole(1, 3)}, {scope}{d.pick(['', ', init = zeros'])})"
        other = d.pick([other, f"beside(registers, {scope}) {{ in, {mean} }}"])
        begin = f"{class_token} -> {other}"
        if other.startswith("tokens") and d.chance(0.4):
            begin = f"{other} -> {class_token}"
        ends = ["select(grid)", "without(registers) -> select(grid)", "without(token) -> without(registers)"]
        if d.chance(0.5):  # positions look at what is left
            gone = d.pick(["token", "registers"])
            return begin, f"without({gone}) -> linear(8) -> attention(2, over = space) -> select(grid)"
        end = d.pick([*ends, "without(token) -> select(grid)"])
        return begin, end

    # --- forms ---

    def residual(self, place: Place, state: State) -> tuple[str, State]:
        d = self.draw
        inner = place.inner()
        hand = state if state.text == "in.channels" else replace(state, text="in.channels")
        if d.chance(0.55):
            text, _ = self.chain(replace(inner, in_hand=True), hand, d.whole(0, 2), end="in.channels")
            if text.endswith("in.channels"):
                text = f"relu -> {text}"
            return f"residual {{ {text} }}", replace(state, token=state.token)
        out = str(d.whole(1, 9)) if d.chance(0.6) or not place.names else d.pick(place.names)
        body, _ = self.chain(replace(inner, in_hand=True), hand, d.whole(0, 2), end=out)
        condition = d.pick(["", f" if in.channels != {out}", f" if in.channels != {out} or {self.condition(place)}"])
        around, _ = self.chain(replace(inner, in_hand=True, local=True), hand, d.whole(0, 1), end=out)
        if not condition and state.text == out and d.chance(0.2):
            around, _ = self.simple(place, hand)
        return f"residual {{ {body} }} shortcut{condition} {{ {around} }}", state.with_channels(out)

    def merge(self, place: Place, state: State) -> tuple[str, State]:
        d = self.draw
        kind = d.pick(["concat", "concat", "concat", "add", "add", "mean", "multiply", "max"])
        inner = replace(place.inner(), in_hand=True)
        hand = replace(state, text="in.channels")
        branches: list[str] = []
        total: int | None = 0
        out = str(d.whole(1, 6))
        for _ in range(d.pick([1, 2, 2, 3])):
            begin = "in" if d.has("identity", 0.15) else ""
            if kind == "concat":
                text, behind = self.chain(inner, hand, d.whole(0 if begin else 1, 2), begin=begin)
                count = behind.channels if behind.text != "in.channels" else state.channels
                total = None if count is None or total is None else total + count
            else:
                text, behind = self.chain(inner, hand, d.whole(0, 2), end=out, begin=begin)
            branches.append(text)
        if d.chance(0.15):
            branches.append(branches[0] if " as " not in branches[0] else "relu")
            total = None
            if kind != "concat":
                branches[-1] = f"linear({out})"
        if kind != "concat":
            self._repeat_one(kind, branches, state, out)
        body = self._separated(branches)
        if kind != "concat":
            kind = "blend" if kind in ("mean", "add") and len(branches) == 2 and d.has("blend", 0.4) else kind
            return f"{kind} {{ {body} }}", state.with_channels(out)
        text = f"concat {{ {body} }}"
        behind = state.with_channels(None, total)
        if total is None and d.chance(0.7):  # else they grow from block to block
            more, behind = self.ending(state, str(d.whole(2, 9)))
            text = f"{text} -> {more}"
        return text, behind

    def _repeat_one(self, kind: str, branches: list[str], state: State, out: str) -> None:
        """A branch that is repeated along some axes: a gate, or a mean."""
        d = self.draw
        grid = "select(grid) -> " if state.token else ""
        beside = kind in ("mean", "max") or len(branches) > 2  # of tokens, where single grids do not go
        if len(branches) < 2 or not d.has("repeated", 0.35) or (state.token and beside):
            return
        pools = ["avgpool", "avgpool"] if state.token else ["avgpool", "avgpool([1, all, all])", "avgpool([all, 1, 1])"]
        gate = d.pick(["", f" -> linear({out}) -> sigmoid", f" -> linear({out}) -> sigmoid", " -> linear(1)"])
        at = d.whole(0, len(branches) - 1) if not state.token else 1
        branches[at] += f" -> {grid}{d.pick([*pools, 'linear(1)'])}{gate}"

    def _separated(self, branches: list[str]) -> str:
        return ", ".join(branches) if self.draw.chance(0.7) else "\n" + "\n".join(branches) + "\n"

    def joined_names(self, place: Place, state: State) -> tuple[str, State]:
        """The value in hand with one that has a name."""
        d = self.draw
        fitting = {n: s for n, s in place.values.items() if s.fits(state)}
        if not fitting or not d.has("named"):
            return self.simple(place, state)
        name = d.pick(list(fitting))
        out = str(d.whole(1, 8))
        kind = d.pick(["concat", "add", "mean", "multiply", "max", "blend"])
        if kind == "concat":
            return f"concat {{ {name}, {d.pick(['relu', 'bn', f'conv({out})'])} }}", state.with_channels(None)
        return f"{kind} {{ {name} -> conv({out}), linear({out}) }}", state.with_channels(out)

    def repeat(self, place: Place, state: State) -> tuple[str, State]:
        """A group of layers again and again."""
        d = self.draw
        count = d.pick([0, 1, 2, 2, 3])
        inner = replace(place.inner(), index=True, repeated=True)
        lost = replace(state, text=None, channels=None)
        text, behind = self.chain(inner, lost, d.whole(1, 2))
        behind = state if not count else replace(behind, text=None, channels=None)
        return f"({text}) * {self.count(place, count)}", behind

    def count(self, place: Place, value: int) -> str:
        d = self.draw
        if value and d.chance(0.15) and place.index:
            return f"({value} + index // 9)"
        if d.chance(0.6) or not place.knows:
            return str(value)
        text = d.number(value, 0.3)
        return text if text.isalnum() or (text.startswith(("max(", "min(", "[")) and text[0] != "[") else f"({text})"

    def choose(self, place: Place, state: State) -> tuple[str, State]:
        d = self.draw
        inner = place.inner()
        parts = [self.chain(replace(inner, repeated=True), state, d.whole(1, 2)) for _ in range(d.pick([1, 2, 2, 3]))]
        texts = [f"{{ {text} }}" for text, _ in parts]
        text = f"if {self.condition(place)} {texts[0]}"
        text += "".join(f" else if {self.condition(place)} {more}" for more in texts[1:-1])
        text += f" else {texts[-1]}" if len(texts) > 1 else ""
        same = len(
            {(s.text, s.channels) for _, s in parts} | ({(state.text, state.channels)} if len(parts) < 2 else set())
        )
        return text, parts[0][1] if same == 1 else replace(state, text=None, channels=None)

    def group(self, place: Place, state: State) -> tuple[str, State]:
        text, behind = self.chain(replace(place.inner(), repeated=True), state, self.draw.whole(1, 2))
        return f"({text})", behind

    # --- calls ---

    def usable(self, state: State) -> list[BlockKind]:
        return [b for b in self.blocks if b.tokens or not state.token]

    def call(self, place: Place, state: State, move: Move = STILL, again: BlockKind | None = None) -> tuple[str, State]:
        """A block, or a row of blocks: `again` if it is given."""
        d = self.draw
        wanted = {STILL: ("still", "stride"), (1, 2, 2): ("stride", "down")}[move]
        fitting = [n for n, s in place.values.items() if s.fits(state)]
        blocks = [b for b in self.usable(state) if b.moves in wanted and (fitting or not b.reads)]
        if not blocks:
            return self.simple(place, state)
        rare = [b for b in blocks if b.alternates or "kernels" in dict(b.parameters).values()]
        block = again if again in blocks else d.pick([*blocks, *rare, *rare])
        self.budget -= 3
        count = 1 if not d.has("rows", 0.35) else d.pick([0, 1, 2, 2, 3]) if move == STILL else d.pick([1, 2])
        alternates = block.alternates and move == STILL and d.chance(0.7)
        count = d.pick([2, 3]) if alternates else count
        is_row = count != 1 or d.chance(0.15)
        inner = replace(place, index=place.index or is_row)
        arguments, width = self._arguments(block, inner, move, d.pick(fitting) if block.reads else "")
        text = block.name + (f"({', '.join(arguments)})" if arguments or d.chance(0.1) else "")
        if is_row:
            text += f" * {self.count(place, count)}"
        if not count:
            return text, state
        behind = state.moved(move) if block.moves != "down" or count == 1 else state.lost(f"row of {block.name}")
        if block.channels != "same":
            known = width if block.channels == "width" and width is not None and "index" not in width else None
            known = known if known is None or " " not in known else f"({known})"
            behind = behind.with_channels(known)
        has_lists = "kernels" in dict(block.parameters).values() and d.chance(0.5)
        if move == STILL and (has_lists or (is_row and d.has("row_behind_row", 0.3))):
            more, behind = self.call(place, behind, again=block if has_lists and block in self.usable(behind) else None)
            text = f"{text} -> {more}"
        return text, behind

    def given(self, block: BlockKind, place: Place) -> list[str]:
        """Arguments of a block that reads no other value, and stays on its grid."""
        return self._arguments(block, place, STILL, "")[0]

    def _arguments(self, block: BlockKind, place: Place, move: Move, read: str) -> tuple[list[str], str | None]:
        d = self.draw
        given: list[tuple[str, str]] = []
        width = None
        for name, role in block.parameters:
            optional = name in block.defaults and not (role == "stride" and move != STILL)
            if optional and d.chance(0.2 if role == "kernels" or (place.index and role == "flag") else 0.5):
                continue
            value = read if role == "value" else self._value(role, place, move)
            if name == "deep" and block.alternates and place.index and d.chance(0.7):
                value = d.pick(BY_INDEX)
            width = value if name == "filters" else width
            given.append((name, value))
        by_name = d.whole(0, len(given))
        named, positions = False, [n for n, _ in block.parameters]
        texts: list[str] = []
        for at, (name, value) in enumerate(given):
            named = named or at >= by_name or positions[at] != name
            texts.append(f"{name} = {value}" if named else value)
        return texts, width

    def _value(self, role: str, place: Place, move: Move) -> str:
        d = self.draw
        if role == "width":
            return self.free(place)
        if role == "kernel":
            return d.pick(["1", "3", "3", "1 + 2", "5 if index == 0 else 3" if place.index else "3"])
        if role == "stride":
            if move == STILL:
                return d.pick(["1", "1", "2 - 1"])
            return "2 if index == 0 else 1" if place.index else d.pick(["2", "2", "1 + 1"])
        if role == "flag":
            by_index = [lambda: d.pick(BY_INDEX)] * 10
            ways = [lambda: self.condition(place)] * 2 + [lambda: self.flag(place)] * 3
            return d.pick([*ways, *(by_index if place.index else [])])()
        if role == "rate":
            return self.rate(place)
        if role in ("kernels", "list"):
            values = range(d.pick([3, 4, 4])) if role == "kernels" else range(2)
            return written([d.pick([1, 3]) if role == "kernels" else d.whole(1, 8) for _ in values])
        given = [*place.given, given_block(d, self.free(place))]
        return d.pick(given) if role == "block" else str(d.whole(0, 2))  # a count

    # --- moves ---

    def move(self, place: Place, state: State, move: Move) -> tuple[str, State]:
        """Something that makes the grid smaller by known steps."""
        d = self.draw
        behind = state.moved(move)
        out = str(d.whole(2, 9))
        size = str(list(move)) if len(set(move)) > 1 else d.pick([str(list(move)), str(move[0])])
        options: list[tuple[str, State]] = [
            (
                f"conv({out}, {d.pick(['1', '3', '[1, 3, 3]', '[3, 5, 1]'])}, stride = {size})",
                behind.with_channels(out),
            ),
            (f"conv({out}, {d.whole(1, 4)}, stride = {size}, padding = same)", behind.with_channels(out)),
            (f"maxpool({d.pick(['1', '3', '[1, 3, 3]'])}, stride = {size})", behind),
            (f"maxpool({d.whole(1, 4)}, stride = {size}, padding = same)", behind),
            (f"avgpool(1, stride = {size})", behind),
            (
                f"conv({out}, {d.whole(1, 3)}, stride = {size}, dilation = 2, padding = [causal, same, causal])",
                behind.with_channels(out),
            ),
            (f"{d.pick(['max', 'avg'])}pool({size}, stride = {size}, padding = valid, ceil = on)", behind),
            (f"avgpool(3, stride = {size}, padding = {d.pick(EVERY_PADDING)}, ceil = {d.pick(['on', 'off'])})", behind),
            (f"linear(8) -> {lines.moving(size)}", behind.with_channels("8")),
        ]
        if state.grid is not None and min(state.grid) > 2:
            options.append((f"avgpool({d.pick(['3', '[1, 3, 3]'])}, stride = {size}, padding = half)", behind))
        if move[1] == move[2] == 2 and move[0] == 1:
            options.append(("space_to_channel(2)", behind.with_channels(None, 4 * (state.channels or 20))))
            if self.usable(state) and any(b.moves != "still" for b in self.usable(state)):
                options += [self.call(place, state, move)] * 3
        if move[1] == move[2] == 1:
            n = move[0]
            if n > 1 and state.grid is not None and state.grid[0] % n == 0:
                packed = behind.with_channels(None, n * (state.channels or 20))
                options += [(f"every({n})", behind), *[(f"time_to_channel({n})", packed)] * 3]
            options += [(f"every({n}, rule = stride)", behind)] * 2
        if place.depth > 0:
            options += [self._moved_residual(place, state, move), self._moved_merge(place, state, move)]
        text, behind = d.pick(options)
        if behind.channels is not None and behind.channels > MOST_CHANNELS:
            return f"{text} -> linear({out})", state.moved(move).with_channels(out)
        return text, behind

    def _moved_residual(self, place: Place, state: State, move: Move) -> tuple[str, State]:
        d = self.draw
        out = str(d.whole(2, 9))
        inner = replace(place.inner(), depth=0, in_hand=True)
        hand = replace(state, text="in.channels")
        body, _ = self.chain(inner, hand, d.whole(1, 3), end=out, move=move)
        around, _ = self.chain(inner, hand, 1, end=out, move=move)
        return f"residual {{ {body} }} shortcut {{ {around} }}", state.moved(move).with_channels(out)

    def _moved_merge(self, place: Place, state: State, move: Move) -> tuple[str, State]:
        inner = replace(place.inner(), depth=0, in_hand=True)
        hand = replace(state, text="in.channels")
        branches = [self.chain(inner, hand, self.draw.whole(1, 2), move=move)[0] for _ in range(2)]
        return f"concat {{ {self._separated(branches)} }} -> linear(6)", state.moved(move).with_channels("6")


ACTIVATIONS = [
    *["silu", "tanh", "hardsigmoid", "hardsigmoid(slope = 0.2)", "hardswish", "relu6", "softmax(channels)"],
    "gelu(quick = on)",
]
SCALES = [
    "scale(0.5)",
    "scale(0.1, per = value)",
    "scale",
    "scale(softplus = on)",
    "scale(0.5, softplus = on, per = value)",
    "scale(-0.5, learned = off)",
]
NORMS = ["bn", "bn", "bn(eps = 0.2)", "bn(eps = 1e-3, momentum = 0.2)", "bn(eps = 1/20)"]
CAUSAL = "[causal, half, half]"
PADDINGS = ["same", "same", "causal", CAUSAL, "[half, same, same]"]  # that preserve the grid
EVERY_PADDING = [*(p for p in PADDINGS if "half" not in p), "1", "[causal, 1, same]"]  # of averages of 3
COUNTS = ["", ", count_padding = off"]
AT_THE_END = ["same", "causal", "[causal, same, 1]"]
KERNELS = ["1", "3", "3", "[1, 3, 3]", "[3, 1, 1]", "[5, 3, 1]", "[1, 1, 3]", "kernel = 3", "kernel = [1, 3, 3]"]
POSITIONS = [
    *["position", "position(space)", "position(time)", "position(apart = on)", "position(init = zeros)"],
    *["position(space, init = normal(0.1))", "linear(4) -> position(time, vectors = sinusoid) -> relu"],
    *["linear(6) -> position(vectors = sinusoid)", "linear(16) -> position(vectors = axial_sinusoid)"],
    *["linear(4) -> position(space, axial_sinusoid)", "linear(2) -> position(space, sinusoid, made_for = [0, 3, 2])"],
    *["linear(16) -> position(vectors = axial_sinusoid, made_for = [0, 5, 0])"],
]
