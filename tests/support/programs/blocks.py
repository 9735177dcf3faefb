"""Random blocks, whose bodies fit whatever value enters them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from programs.values import BlockKind, Place, State, given_block

if TYPE_CHECKING:
    from programs.chains import Chains
    from programs.draw import Draw


class Blocks:
    """Draws blocks, and puts them to those that chains can call."""

    def __init__(self, draw: Draw, chains: Chains) -> None:
        self.draw = draw
        self.chains = chains
        self.kinds = chains.blocks

    def drawn(self, *, knows: bool, like: BlockKind | None = None) -> list[str]:
        """A block; `like` another one, which it can stand for."""
        d = self.draw
        name = like.name if like is not None else f"b{len(self.kinds)}"
        channels = like.channels if like is not None else d.pick(["width", "width", "same", "free"])
        moves = like.moves if like is not None else d.pick(["still", "still", "stride", "down"])
        tokens = like.tokens if like is not None else moves == "still" and d.chance(0.25)
        roles = {"filters": "width"} if channels == "width" or d.chance(0.2) else {}
        roles |= {"s": "stride"} if moves == "stride" else {}
        for parameter, role, part in PARAMETERS:
            if d.chance(part):
                roles[parameter] = role
        if d.has("given_blocks", 0.3):
            roles["act"] = "block"
        if moves == "still" and like is None and d.has("values", 0.25):
            roles = {"other": "value", **roles}
        order = list(roles)
        if like is not None:
            roles = {**roles, **dict(like.parameters)}
            order = [*(n for n, _ in like.parameters), *(n for n in roles if n not in dict(like.parameters))]
        texts, defaults = self._declared(order, roles, like, knows)
        kind = BlockKind(name, tuple((n, roles[n]) for n in order), frozenset(defaults), channels, moves, tokens)
        lines = [f"block {name}({', '.join(texts)}) {{"]
        if d.chance(0.2):
            lines.append('    "A part."')
        place = self._inside(order, roles, knows=knows, tokens=tokens)
        if d.has("let", 0.25):
            lines.append(f"    let mid = {self.chains.free(replace(place, index=False))}")
            place = replace(place, names=(*place.names, "mid"))
        body = self._body(kind, place)
        lines += [f"    {body}", "}"]
        if like is None:
            self.kinds.append(replace(kind, alternates=body.startswith("if deep")))
        return lines

    def _declared(
        self, order: list[str], roles: dict[str, str], like: BlockKind | None, knows: bool
    ) -> tuple[list[str], list[str]]:
        d = self.draw
        texts: list[str] = []
        defaults: list[str] = []
        for at, name in enumerate(order):
            old = like is not None and name in dict(like.parameters)
            with_default = name in like.defaults if like is not None and old else d.chance(0.6) or like is not None
            with_default = with_default and roles[name] != "value"
            if not with_default and defaults and any(n in defaults for n in order[:at]):
                with_default = True  # those without one stand first
            kind = d.pick(["", f": {TYPES[roles[name]]}"]) if roles[name] in TYPES else ""
            kind = f": {roles[name]}" if roles[name] in ("value", "block") else kind
            if not with_default:
                texts.append(f"{name}{kind}")
                continue
            defaults.append(name)
            texts.append(f"{name}{kind} = {self._default(roles[name], order[:at], roles, knows)}")
        return texts, defaults

    def _default(self, role: str, before: list[str], roles: dict[str, str], knows: bool) -> str:
        d = self.draw
        if role == "width":
            names = tuple(n for n in before if roles[n] == "width")
            return self.chains.free(Place({}, names, knows=knows, depth=0))
        return {
            "kernel": d.pick(["1", "3"]), "stride": "1", "flag": d.pick(["on", "off", "in.channels > 3"]),
            "count": d.pick(["0", "1", "2"]), "rate": d.pick(["0", "0.1", "1/4"]),
            "list": d.pick(["[2, 5]", "[1, 3, 4]"]), "block": given_block(d, "in.channels"),
            "kernels": d.pick(["[1, 3, 3]", "[3, 1, 1, 9]"]),
        }[role]  # fmt: skip

    def _inside(self, order: list[str], roles: dict[str, str], *, knows: bool, tokens: bool) -> Place:
        def of(role: str) -> tuple[str, ...]:
            return tuple(n for n in order if roles[n] == role)

        value = State(None, token="any" if tokens else "")
        return Place(
            dict.fromkeys(of("value"), value),
            of("width"),
            of("flag"),
            of("rate"),
            of("list"),
            of("block"),
            knows=knows,
            local=True,
            depth=self.draw.whole(0, 2),
        )

    def _body(self, kind: BlockKind, place: Place) -> str:
        d, chains = self.draw, self.chains
        state = State(token="any" if kind.tokens else "")
        end = {"width": "filters", "same": "in.channels", "free": None}[kind.channels]
        parts = dict(kind.parameters)
        steps: list[str] = []
        state = self._begin(kind, place, state, steps)
        if kind.moves == "stride":
            steps.append(self._by_stride(place, state))
            state = State(None).lost("stride")
        elif kind.moves == "down":
            text, state = chains.move(replace(place, depth=min(place.depth, 1)), state, (1, 2, 2))
            steps.append(text)
        if "k" in parts and not kind.tokens:
            steps.append(f"conv({chains.free(place)}, {d.pick(['k', '[1, k, k]', '[k, 1, 1]', 'k, bias = on'])})")
            state = replace(state, text=None)
        if "ks" in parts and not kind.tokens:
            steps.append(f"conv({chains.free(place)}, {d.pick(['[ks[0], ks[1], ks[2]]', '[1, ks[1], ks[0]]'])})")
            state = replace(state, text=None)
        if "n" in parts:
            inner = replace(place, index=True, repeated=True)
            text, _ = (self._tolerant if kind.tokens else chains.step)(inner, replace(state, text=None))
            steps.append(f"({text}) * n")
            state = replace(state, text=None)
        if end is not None and state.text != end:
            text, state = chains.ending(state, end)
            steps.append(text)
        steps += [d.pick(["act", "act", "act -> act", "residual { act }", "relu -> act"])] * ("act" in parts)
        body = " -> ".join(steps + (self._by_flag() if "deep" in parts and not kind.tokens else []))
        if kind.channels == "same" and kind.moves == "still" and d.chance(0.5):
            body = f"residual {{ {body} }}" + d.pick(["", " -> relu", " -> gelu"])
        elif kind.channels == "width" and kind.moves == "still" and d.chance(0.45):
            options = ["conv(filters)", "conv(filters) -> relu", "linear(filters)"]
            around = "linear(filters)" if kind.tokens else d.pick(options)
            around += f" -> {d.pick(['drop_path', 'dropout'])}(p)" if "p" in parts else ""
            body = f"residual {{ {body} }} shortcut if in.channels != filters {{ {around} }}"
        if "deep" in parts and kind.channels == "same" and kind.moves == "still" and d.chance(0.7):
            rows = " else { layernorm -> linear(in.channels) }"
            other = d.pick(["", rows, rows, rows, " else { conv(in.channels, 3) -> bn }"])
            body = f"if deep {{ {body} }}{other}"  # blocks of a row that have no code, or another layout
        return body

    def _begin(self, kind: BlockKind, place: Place, state: State, steps: list[str]) -> State:
        """The first steps of a body, which read its other value if it has one."""
        if kind.reads:
            text, state = self._reading(state)
            steps.append(text)
        length = self.draw.whole(0, 2)
        first, state = self._tolerant(place, state) if kind.tokens else self.chains.chain(place, state, length)
        steps.append(first)
        return state

    def _reading(self, state: State) -> tuple[str, State]:
        """A join of what enters with the other value of the block, on the same grid."""
        d = self.draw
        out = str(d.whole(2, 7))
        more = d.pick(["gelu", "layernorm", "relu"])
        text = d.pick(
            [
                f"add {{ linear({out}), other -> linear({out}) }}",
                f"mean {{ other -> {more} -> linear({out}), linear({out}) -> {more} }}",
                f"multiply {{ in -> linear({out}), other -> linear({out}) -> sigmoid }}",
                f"multiply {{ linear({out}), other -> linear(1) -> sigmoid }}",
                f"concat {{ in, other -> linear(3) }} -> linear({out})",
                f"concat {{ other, in -> {more} }} -> linear({out})",
            ]
        )
        return text, replace(state, text=out)

    def _by_flag(self) -> list[str]:
        """A choice of the value that a branch begins with, now and then; the channels stay."""
        d = self.draw
        if not d.chance(0.4):
            return []
        first, between = d.pick(["relu", "conv(in.channels)"]), d.pick(["linear(in.channels)", "conv(in.channels)"])
        more = d.pick(["gelu", "maxpool(3)", "conv(in.channels)"])
        branches = f"if deep {{ one -> {more} }} else {{ two -> {more} }}, {between}"
        return [f"{first} as one -> {between} as two", f"add {{ {branches} }}"]

    def _by_stride(self, place: Place, state: State) -> str:
        d = self.draw
        del state
        out = self.chains.free(place)
        one = d.pick(
            [
                "conv({}, 3, stride = [1, s, s])",
                "conv({}, stride = [1, s, s])",
                "conv({}, 3, stride = [1, s, s], padding = same)",
            ]
        )
        if d.chance(0.3):
            return f"residual {{ {one.format(5)} }} shortcut if s != 1 or in.channels != 5 {{ {one.format(5)} }}"
        if d.chance(0.2):
            return "maxpool([1, 3, 3], stride = [1, s, s])"
        return one.format(out)

    def _tolerant(self, place: Place, state: State) -> tuple[str, State]:
        """A layer that works beside a class token as without."""
        d = self.draw
        options = ["layernorm", "gelu", "relu", f"linear({self.chains.free(place)})", "linear(8) -> attention(2)"]
        options += [
            "residual { layernorm -> linear(6) -> gelu -> linear(in.channels) }",
            f"drop_path({self.chains.rate(place)})",
        ]
        options += ["linear(8) -> residual { attention(2, over = space) }", "grid { conv(in.channels, [1, 3, 3]) }"]
        text = " -> ".join(d.pick(options) for _ in range(d.whole(1, 2)))
        return text, replace(state, text=None)


PARAMETERS = [
    ("k", "kernel", 0.3), ("mid", "width", 0.25), ("deep", "flag", 0.35), ("n", "count", 0.2), ("p", "rate", 0.3),
    ("ws", "list", 0.1), ("ks", "kernels", 0.2),
]  # fmt: skip
TYPES = {
    "width": "int",
    "kernel": "int",
    "stride": "number",
    "flag": "bool",
    "count": "int",
    "rate": "number",
    "list": "list[int]",
    "kernels": "list[int]",
}
