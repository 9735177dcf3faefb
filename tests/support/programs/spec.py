"""Random specs: parameters, blocks, inputs, paths, stages, laterals, heads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from programs.blocks import Blocks
from programs.chains import Chains
from programs.draw import Draw, function, written
from programs.masks import masked
from programs.values import STILL, BlockKind, Grid, Move, Place, State

if TYPE_CHECKING:
    from collections.abc import Sequence

MOVES: list[Move] = [STILL, STILL, STILL, (1, 2, 2), (1, 2, 2), (2, 1, 1), (1, 1, 2), (2, 2, 2)]

BOXES = ["", ", 2", ", 3, sampling_ratio = 2", ", 2, aligned = off", ", 2, stride = 4", ", 1", ", 2, 1, off, 3"]
OF_BOXES = [" -> avgpool", " -> maxpool([1, all, all])", ""]  # of all boxes, of each box, and bins of each


@dataclass
class StageKind:
    """A stage as a variant can replace it: what came in and what went out, of each path."""

    label: str
    before: dict[str, State]
    after: dict[str, State]


@dataclass
class LoopKind:
    """A loop over stages as a variant can replace them: its lines are drawn anew for the same paths and moves."""

    header: str
    label: str
    names: list[str]
    last: str | None  # the name of the channels that each round ends with
    before: dict[str, State]  # what came in, of each path that has lines
    moves: dict[str, Move]
    stem: str = ""  # of the names of the values of its first path


@dataclass
class Spec:
    """A spec and what its variants need to know of it."""

    name: str
    lines: list[str] = field(default_factory=list[str])
    libraries: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    inputs: dict[str, State] = field(default_factory=dict[str, State])
    clips: dict[str, tuple[int, Grid]] = field(default_factory=dict[str, "tuple[int, Grid]"])
    others: dict[str, State] = field(default_factory=dict[str, State])  # inputs that are no videos
    boxes: list[str] = field(default_factory=list[str])
    indices: list[tuple[str, int]] = field(default_factory=list["tuple[str, int]"])
    mask: tuple[Grid, int] | None = None  # the grid of the input `hidden`, and how many positions it leaves
    paths: dict[str, State] = field(default_factory=dict[str, State])
    begins: dict[str, State] = field(default_factory=dict[str, State])  # of paths, before the first stage
    named: dict[str, State] = field(default_factory=dict[str, State])
    stages: list[StageKind] = field(default_factory=list[StageKind])
    loops: list[LoopKind] = field(default_factory=list[LoopKind])
    blocks: list[BlockKind] = field(default_factory=list[BlockKind])
    parameters: dict[str, int] = field(default_factory=dict[str, int])
    flags: dict[str, bool] = field(default_factory=dict[str, bool])
    labelled: dict[str, tuple[str, int]] = field(default_factory=dict[str, "tuple[str, int]"])  # `x3` as `x{i}` of 3
    touched: set[str] = field(default_factory=set[str])  # paths with lines, and named values
    classes: int = 3

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


class Specs:
    """Draws a spec."""

    def __init__(self, draw: Draw, name: str = "net") -> None:
        self.draw = draw
        self.spec = Spec(name)
        self.chains = Chains(draw, self.spec.blocks, draw.pick([6, 10, 15, 20, 35]))
        self.blocks = Blocks(draw, self.chains)
        self.number = 0  # of the stages
        self.laterals = set[tuple[str, str]]()  # of the stage

    def drawn(self) -> Spec:
        spec, d = self.spec, self.draw
        spec.lines.append(f"arch {spec.name}" + d.pick(["", "", " as Family"]))
        if d.chance(0.3):
            spec.lines.append('"A network."')
        self.functions()
        self.parameters()
        self.inputs()
        self.libraries()
        for _ in range(d.pick([0, 1, 1, 2, 2, 3]) if d.has("block") else 0):
            spec.lines += self.blocks.drawn(knows=True)
        if d.chance(0.3):
            spec.lines.append(self.let())
        self.paths()
        self.stages()
        self.head()
        if d.chance(0.1):
            spec.lines.append("recipe lr = 0.2, epochs = 4")
        return spec

    # --- what stands above ---

    def parameters(self) -> None:
        d, spec = self.draw, self.spec
        if not d.has("param", 0.7):
            return
        for name in d.rng.sample(["filters", "depth", "rate_of", "alpha", "kk"], d.whole(1, 3)):
            value = d.whole(1, 8)
            kind = d.pick(["", "", ": int", ": number"])
            where = d.pick(["", "", f" where {name} > 0", f" where {name} <= {value} or {name} == 9"])
            spec.lines.append(f"param {name}{kind} = {d.number(value, 0.6)}{where}")
            spec.parameters[name] = d.names[name] = value
        if d.chance(0.4):
            spec.flags["wide"] = d.flags["wide"] = d.chance()
            spec.lines.append(f"param wide{d.pick(['', ': bool'])} = {written(spec.flags['wide'])}")
        if d.chance(0.3):
            spec.lines.append("param mode: slow | fast = slow")
            spec.lines.append(f"let is_slow = mode {d.pick(['==', '!='])} slow")
            d.flags["is_slow"] = "==" in spec.lines[-1]

    def functions(self) -> None:
        for number in range(self.draw.pick([0, 0, 1, 2]) if self.draw.has("function") else 0):
            self.spec.lines.append(function(self.draw, f"f{number}"))

    def let(self) -> str:
        d = self.draw
        value = d.whole(1, 9)
        text = f"let m{len(d.names)} = {d.number(value, 0.2)}"
        d.names[f"m{len(d.names)}"] = value
        return text

    def inputs(self) -> None:
        d, spec = self.draw, self.spec
        grid: Grid = (d.pick([1, 2, 3, 4, 4, 5, 8]), d.pick([1, 4, 5, 6, 8, 8, 9]), d.pick([1, 4, 6, 7, 8, 8]))
        count = d.pick([1, 1, 1, 2, 2, 3]) if d.has("inputs") else 1
        for name in ["clip", "flow", "audio"][:count]:
            channels = d.pick([1, 2, 3, 3, 4])
            own = grid if d.chance(0.75) else (grid[0], d.pick([4, 8]), d.pick([4, 6]))
            sizes = ", ".join(d.number(n, 0.9) for n in (channels, *own))
            spec.lines.append(f"input {name}: video[{sizes}]")
            spec.inputs[name] = State("in.channels", channels, own)
            spec.clips[name] = (channels, own)
        self.other_inputs()
        if d.has("index_input", 0.15):
            spec.lines.append(f"input when: index[{grid[0]}]")
            spec.indices.append(("when", grid[0]))

    def other_inputs(self) -> None:
        """A vector, a spectrogram, boxes, a mask."""
        spec, apart = self.spec, Random("\n".join(self.spec.lines) + "inputs")  # as `head_lines`
        for name in ("vector", "spectrogram", "boxes"):
            if f"{name}_input" in self.draw.without or apart.random() > 0.12:
                continue
            n, t, f = (apart.randrange(1, most) for most in (6, 7, 9))
            if name == "boxes":
                spec.lines.append(f"input people: boxes[{n}]")
                spec.boxes.append("people")
                continue
            size, own = (f"{n}", (1, 1, 1)) if name == "vector" else (f"{n}, {t}, {f}", (t, 1, f))
            spec.lines.append(f"input a_{name}: {name}[{size}]")
            spec.others[f"a_{name}"] = State("in.channels", n, own)
            spec.touched.add(f"a_{name}")
        if "mask_input" not in self.draw.without and apart.random() < 0.25:
            grid = next(iter(spec.inputs.values())).moved(apart.choice(MOVES)).grid
            assert grid is not None
            spec.mask = grid, apart.randint(1, math.prod(grid))
            spec.lines.append(f"input hidden: mask[{', '.join(map(str, grid))}]")

    def place(self, names: Sequence[str] = (), values: bool = True) -> Place:
        spec = self.spec
        known = {**spec.inputs, **spec.others, **spec.paths, **spec.named} if values else {}
        known.pop("", None)
        return Place(
            {n: replace(s, text=None) for n, s in known.items()},
            tuple(names),
            indices=tuple(spec.indices),
            mask=spec.mask,
        )

    def libraries(self) -> None:
        """Blocks in a file of their own, which sees no parameters."""
        d, spec = self.draw, self.spec
        if not d.has("library", 0.25):
            return
        spec.lines.append("import parts")
        lines = spec.libraries["parts"] = []
        own, d.functions = d.functions, []
        if d.has("function", 0.5):
            lines += [function(d, "least"), function(d, "rounded")]
            d.of_library = d.functions[-1].name
        for _ in range(d.whole(1, 2)):
            lines += self.blocks.drawn(knows=False)
        d.functions, d.of_library = own + d.functions, ""

    # --- paths ---

    def paths(self) -> None:
        d, spec = self.draw, self.spec
        if len(spec.inputs) == 1 and not d.has("paths", 0.6):
            [(_, state)] = spec.inputs.items()
            spec.paths[""] = state
            spec.begins = dict(spec.paths)
            return
        names = ["p", "q", "r"][: d.pick([1, 2, 2, 3]) if len(spec.inputs) == 1 else d.whole(2, 3)]
        for name in names:
            options = {**spec.inputs, **(spec.paths if d.has("path_of_path", 0.3) else {})}
            source = d.pick(list(options))
            state = replace(options[source], text="in.channels" if len(spec.inputs) == 1 else None)
            place = self.place()
            length = d.pick([0, 0, 0, 1, 2])
            move: Move = d.pick([STILL, STILL, STILL, (2, 1, 1)]) if length else STILL
            place = replace(place, in_hand=len(spec.inputs) == 1)
            text, state = self.chains.chain(place, replace(state, text=None), length, move=move, begin=source)
            if d.has("latents", 0.08):
                n, channels = d.whole(1, 6), str(d.whole(1, 8))
                init = d.pick(["", f", init = {self.chains.initialiser(Place({}), weight=False)}"])
                text += f" -> latents({n}, {channels}{init})"
                state = replace(state.with_channels(channels), grid=(1, 1, n), origin="", steps=STILL)
            spec.lines.append(f"path {name} = {text}")
            spec.paths[name] = replace(state, text="in.channels")
            self._remember(text, state)
        spec.begins = dict(spec.paths)

    def _remember(self, text: str, state: State) -> None:
        """Names given at the end of a line can be used in others."""
        steps = text.rpartition(" as ")
        if steps[1] and steps[2].isalnum():
            self.spec.named[steps[2]] = replace(state, text=None)
            self.spec.touched.add(steps[2])

    # --- stages ---

    def stages(self) -> None:
        d = self.draw
        for _ in range(d.pick([1, 1, 1, 2, 2, 3])):
            kind = d.weighted([(6, "stage"), (2, "loop"), (1, "if")])
            if kind == "loop" and d.has("for"):
                self.loop()
            elif kind == "if" and d.has("if"):
                self.chosen_stages()
            else:
                self._stage_as_value()
            if d.has("late_path", 0.1) and "" not in self.spec.paths:
                self.late_path()

    def _stage_as_value(self) -> None:
        """A stage, with whose value chains can begin if it has lines of one path, under no condition."""
        d, spec = self.draw, self.spec
        before, number = dict(spec.paths), self.number
        lines = self.stage()
        spec.lines += lines
        changed = [p for p, s in spec.paths.items() if s is not before[p]]
        if len(changed) == 1 and d.has("stage_values", 0.4) and not any(" if " in f" {line}" for line in lines):
            spec.named[f"s{number + 1}"] = replace(spec.paths[changed[0]], text=None)
            spec.touched.add(f"s{number + 1}")

    def late_path(self) -> None:
        """A path that begins with a value that the stages above gave a name, often in their middle."""
        spec = self.spec
        name = next((n for n in ("x", "y", "z") if n not in spec.paths), None)
        if name is None or not spec.named:
            return
        source = self.draw.pick(list(spec.named))
        spec.lines.append(f"path {name} = {source}")
        spec.paths[name] = replace(spec.named[source], text="in.channels")

    def label(self) -> str:
        self.number += 1
        return f"s{self.number}"

    def stage(self, label: str | None = None, indent: str = "") -> list[str]:
        """A stage of lines, laterals and conditions."""
        d, spec = self.draw, self.spec
        label = label or self.label()
        before, known = dict(spec.paths), dict(d.names)
        self.laterals.clear()
        lines = [f"{indent}stage {label}{self._frozen()} {{"]
        if d.has("let", 0.1):
            lines.append(f"{indent}    {self.let()}")
        apart = Random(repr((spec.lines, lines)))  # so that other programs stay those of their seeds
        count = d.pick([0, 1, 1, 1, 2, 2, 3]) if len(spec.paths) > 1 else d.pick([0, 1, 1, 1, 2])
        if len(spec.paths) > 1 and "crossing" not in d.without and apart.random() < 0.1:
            lines += [f"{indent}    {line}" for line in self.crossing()]
            count = 0
        for _ in range(count):
            lines += [f"{indent}    {line}" for line in self.item()]
        if spec.labelled and d.chance(0.5):
            name, (stem, value) = d.pick(list(spec.labelled.items()))
            at = f"{indent}    let k = {d.number(value)}"
            lines = [lines[0], at, *(re.sub(rf"\b{name}\b", f"{stem}{{k}}", line) for line in lines[1:])]
        lines.append(indent + "}")
        d.names = known  # without the variables of the stage
        spec.stages.append(StageKind(label, before, dict(spec.paths)))
        return lines

    def _frozen(self) -> str:
        d = self.draw
        return d.weighted([(12, ""), (1, " frozen"), (1, f" frozen if {d.condition(d.chance())}")])

    def item(self, depth: int = 1) -> list[str]:
        d = self.draw
        options = [(6, "line")]
        options += [(4, "lateral")] if len(self.spec.paths) > 1 and d.has("lateral") else []
        options += [(1, "if")] if depth and d.has("if") else []
        kind = d.weighted(options)
        if kind == "lateral":
            return [line] if (line := self.lateral()) else self.line_of(d.pick(list(self.spec.paths)))
        if kind == "if":
            return self.chosen_items(depth)
        return self.line_of(d.pick(list(self.spec.paths)))

    def line_of(
        self,
        path: str,
        names: Sequence[str] = (),
        move: Move | None = None,
        end: str | None = None,
        *,
        repeated: bool = False,
    ) -> list[str]:
        d, spec = self.draw, self.spec
        state = replace(spec.paths[path], text="in.channels")
        place = replace(self.place(names), repeated=repeated)
        begin = ""
        if path and d.has("other_begin", 0.12) and move is None:
            fitting = [n for n, s in place.values.items() if s.fits(state) and n != path]
            begin = d.pick(fitting) if fitting else ""
            state = replace(place.values[begin], text=None) if begin else state
        if begin and end is None and d.has("name_alone", 0.4):
            spec.paths[path] = replace(state, text="in.channels")
            spec.touched.add(path)
            return [f"{path}: {begin}"]
        move = d.pick(MOVES) if move is None else move
        if state.token or (state.grid is not None and any(n == 1 < s for n, s in zip(state.grid, move, strict=True))):
            move = STILL
        text, behind = self.chains.chain(place, state, d.whole(1, 3), move=move, begin=begin, end=end)
        if not path and text.startswith("if "):
            text = f"({text})"
        if not path and text.startswith("(if ") and not text.endswith(")"):
            text = "relu -> " + text
        if end is None and d.has("open_token", 0.06) and not state.token:
            text, behind = self._with_token(text, behind)
        spec.paths[path] = replace(behind, text="in.channels")
        spec.touched.add(path)
        self._remember(text, behind)
        return [f"{path}: {text}" if path else text]

    def _with_token(self, text: str, state: State) -> tuple[str, State]:
        d = self.draw
        text += d.pick([" -> class_token", " -> class_token -> position(space)", " -> class_token(frame)"])
        state = replace(state, token="frame" if "(frame)" in text.rpartition("class_token")[2] else "clip")
        if d.chance(0.5):
            more, state = self.chains.chain(Place({}, depth=1), replace(state, text=None), d.whole(1, 2))
            text = f"{text} -> {more}"
        if d.chance(0.6):
            part = d.pick(["token", "grid", "all"])
            grid = state.grid
            if part == "all" and grid is not None:
                t = grid[0] if state.token == "frame" else 1
                grid = (t, 1, 1 + math.prod(grid) // t)
            if part == "token" and grid is not None:
                grid = (grid[0] if state.token == "frame" else 1, 1, 1)
            return f"{text} -> select({part})", replace(state, token="", grid=grid)
        return text, state

    def crossing(self) -> list[str]:
        """Two lines of a path, and between them one of another path that reads the first, and is read by the second."""
        d, spec = self.draw, self.spec
        one, other = d.rng.sample(list(spec.paths), 2)
        lines: list[str] = []
        begin, state = "", spec.paths[one]
        for path, name in ((one, f"c{self.number}"), (other, f"d{self.number}"), (one, "")):
            state = replace(state, text=None if begin else "in.channels")
            text, state = self.chains.chain(self.place(), state, d.whole(1, 2), begin=begin)
            text = f"({text})" if text.startswith("if ") else text
            if name:
                text += f" -> linear({d.whole(3, 6)}) as {name}"
                state = state.with_channels(None)
            lines.append(f"{path}: {text}")
            spec.paths[path] = replace(state, text="in.channels")
            spec.touched.add(path)
            begin = name
        return lines

    def lateral(self) -> str:
        """One path joined to another one; empty if their grids cannot be made one."""
        d, spec = self.draw, self.spec
        source, target = d.pick(list(spec.paths)), d.pick(list(spec.paths))
        one, other = spec.paths[source], spec.paths[target]
        is_twice = (source, target) in self.laterals and d.chance(0.9)
        if one.token or other.token or is_twice or (source == target and d.chance(0.7)):
            return ""
        fusion = d.pick(["", " by concat", " by sum", " by sum if on else concat", " by product", " by max"])
        if any(word in fusion for word in ("sum", "product", "max")):
            end = str(other.channels)
        else:
            end = str(d.whole(1, 4)) if other.channels is None or other.channels > 20 else None
        linked = None if end == "None" else self._linked(one, other, end)
        if linked is None:
            return ""
        text, state = linked
        total = None if other.channels is None or state.channels is None else other.channels + state.channels
        if not any(word in fusion for word in ("sum", "product", "max")):
            spec.paths[target] = other.with_channels("in.channels", total)
        self.laterals.add((source, target))
        return f"lateral {source} => {target}{fusion}: {text}"

    def _linked(self, one: State, other: State, end: str | None) -> tuple[str, State] | None:
        """A chain that brings a value to the grid of another one."""
        if one.grid is None or other.grid is None:
            return None
        d = self.draw
        place = replace(self.place(), depth=1)
        state = replace(one, text="in.channels")
        if other.grid == (1, 1, 1) and one.grid != (1, 1, 1):
            text, state = self.chains.chain(place, replace(state, grid=other.grid), d.whole(0, 1), end=end or "3")
            return f"avgpool -> {text}", state
        t, h, w = (-(-n // m) for n, m in zip(one.grid, other.grid, strict=True))
        if one.moved((t, h, w)).grid != other.grid:
            return None
        if max(t, h, w) > 2:
            text, state = self.chains.ending(state, end or "3")
            return f"maxpool(1, stride = {[t, h, w]}) -> {text}", state
        text, state = self.chains.chain(place, state, d.whole(0, 2), end=end, move=(t, h, w))
        return f"({text})" if text.startswith("if ") else text, state

    def chosen_items(self, depth: int) -> list[str]:
        """Lines of which a condition chooses."""
        d = self.draw
        truth = d.chance()
        taken = [line for _ in range(d.whole(1, 2)) for line in self.item(depth - 1)]
        kept, named = dict(self.spec.paths), dict(self.spec.named)
        other = [line for _ in range(d.whole(0, 1)) for line in self.item(depth - 1)]
        self.spec.paths, self.spec.named = kept, named
        first, second = (taken, other) if truth else (other, taken)
        lines = [f"if {d.condition(truth)} {{", *(f"    {line}" for line in first), "}"]
        if second or d.chance(0.2):
            lines += ["else {", *(f"    {line}" for line in second), "}"]
        return lines

    def chosen_stages(self) -> None:
        d, spec = self.draw, self.spec
        truth = d.chance()
        taken = self.stage(indent="    ")
        kept, named, stages = dict(spec.paths), dict(spec.named), list(spec.stages)
        other = self.stage(indent="    ") if d.chance(0.5) else []
        spec.paths, spec.named, spec.stages = kept, named, stages
        first, second = (taken, other) if truth else (other, taken)
        spec.lines += [f"if {d.condition(truth)} {{", *first, "}"]
        if second:
            spec.lines += ["else {", *second, "}"]

    def loop(self) -> None:
        """Stages in a row, each with numbers of its own."""
        d, spec = self.draw, self.spec
        rounds = d.pick([1, 2, 2, 3])
        first = d.whole(1, 3)
        widths = [d.whole(2, 9) for _ in range(rounds)]
        header, names, last = d.pick(LOOPS)(first, widths)
        self.number += 1
        moving = [p for p in spec.paths if d.chance(0.6)] or [next(iter(spec.paths))]
        move = d.pick([STILL, STILL, (1, 2, 2)])
        label = f"t{self.number}_{{i}}"
        lines = [header, f"    stage {label}{self._frozen()} {{"]
        if d.chance(0.3):
            lines.append("        let v = i + 1")
            names = [*names, "v"]
        before = dict(spec.paths)
        tokens = {p for p, s in before.items() if s.token}
        moves = {p: STILL if p in tokens else move for p in moving}
        stem = f"l{self.number}_" if d.has("as_in_loop", 0.3) else ""
        spec.loops.append(LoopKind(header, label, names, last, {p: before[p] for p in moving}, moves, stem))
        lines += self.loop_lines(spec.loops[-1])
        lateral = [p for p in moving if p not in tokens and before[p].grid is not None]
        if len(lateral) > 1 and before[lateral[0]].grid == before[lateral[1]].grid and d.has("lateral", 0.6):
            one, other = lateral[:2]
            lines.append(f"        if {d.condition(True)} {{ lateral {one} => {other}: {self._link()} }}")
        lines += ["    }", "}"]
        for path in moving:
            state = before[path]
            for _ in range(rounds):
                state = state if path in tokens else state.moved(move)
            known = widths[-1] if last is not None and path not in lateral[1:2] else None
            spec.paths[path] = replace(state, text="in.channels", channels=known)
        if stem:
            name = f"{stem}{first + rounds - 1}"
            spec.named[name] = replace(spec.paths[moving[0]], text=None)
            spec.labelled[name] = stem, first + rounds - 1
            spec.touched.add(name)
        spec.lines += lines

    def loop_lines(self, loop: LoopKind) -> list[str]:
        """A line for each path of a loop, which sees no values but those of paths."""
        values, self.spec.named = self.spec.named, {}
        lines: list[str] = []
        for number, (path, state) in enumerate(loop.before.items()):
            self.spec.paths[path] = state.lost(f"loop {loop.label} {path}")
            lines += self.line_of(path, loop.names, loop.moves[path], loop.last, repeated=True)
            if loop.stem and not number:
                lines[-1] += f" as {loop.stem}{{i}}"
        self.spec.named = values
        return [f"        {line}" for line in lines]

    def _link(self) -> str:
        return self.draw.pick(["conv(2)", "relu -> linear(3)", "conv(in.channels // 2 + 1) -> bn", "conv(i, 3)"])

    # --- heads ---

    def head(self) -> None:
        d, spec = self.draw, self.spec
        if len(spec.paths) == 1 and d.has("no_head", 0.08):
            return
        spec.lines += self.head_lines()

    def head_lines(self) -> list[str]:
        """One head without a name, or several, of which some have their name twice in the spec."""
        d = self.draw
        apart = Random("\n".join(self.spec.lines))  # so that other programs stay those of their seeds
        if "heads" in d.without or apart.random() > 0.12:
            return [self.head_line("head")]
        names = d.rng.sample(["verb", "noun", "s1", "linear", "p"], d.pick([2, 2, 3]))
        return [self.head_line(f"head{d.pick(['', '', ' dense'])} {name}") for name in names]

    def head_line(self, word: str) -> str:
        d, spec = self.draw, self.spec
        sources = {n: s for n, s in {**spec.inputs, **spec.others, **spec.paths, **spec.named}.items() if n}
        if not d.has("head_of_untouched"):
            sources = {n: s for n, s in sources.items() if n in spec.touched}
            if not sources and len(spec.paths) > 1:
                spec.lines += [f"stage {self.label()} {{", *self.line_of(next(iter(spec.paths)), move=STILL), "}"]
                sources = {n: s for n, s in spec.paths.items() if n in spec.touched}
        if len(spec.paths) == 1 and (not sources or d.chance(0.55)):
            [state] = spec.paths.values()
            steps = self._entering_head(state, OF_BOXES) or ["relu"]
        else:
            count = min(len(sources), d.pick([1, 2, 2, 3]))
            chosen = d.rng.sample(list(sources), count)
            kind = d.pick(["concat", "concat", "concat", "add", "mean", "multiply", "max"])
            out = d.whole(2, 6)
            branches: list[str] = []
            for name in chosen:
                ends = OF_BOXES if count == 1 else OF_BOXES[:1] if kind == "concat" else OF_BOXES[:2]
                text = " -> ".join([name, *self._entering_head(sources[name], ends)])
                branches.append(text if kind == "concat" else f"{text} -> linear({out})")
            steps = [f"{kind} {{ {', '.join(branches)} }}"] if count > 1 or d.chance(0.5) else [branches[0]]
        if d.chance(0.3):
            steps.append(d.pick(["dropout(0.5)", "relu", "layernorm", "dropout(0)", "(linear(4) -> relu) * 2"]))
        if d.chance(0.9):
            steps.append(f"linear({d.number(spec.classes)})")
        text = " -> ".join(steps)
        return f"{word}: {text}"

    def _entering_head(self, state: State, ends: Sequence[str]) -> list[str]:
        """Blocks at times, and what takes the positions together; `ends` can stand behind the features of boxes."""
        steps: list[str] = []
        if self.spec.mask is not None and not state.token and state.grid == self.spec.mask[0]:
            return [*masked(self.spec.mask, Random(repr(self.spec.lines)), ends=True), "avgpool"]
        state = state if len(self.spec.paths) == 1 else replace(state, text=None)
        if self.draw.has("blocks_in_head", 0.2):
            place = replace(self.place(values=False), in_hand=len(self.spec.paths) == 1)
            text, state = self.chains.call(place, state)
            steps.append(text)
        apart = Random(repr((self.spec.lines, steps)))
        if self.spec.boxes and not state.token and apart.random() < 0.7:
            boxes = f"roi_align({self.spec.boxes[0]}{apart.choice(BOXES)})"
            return [*steps, f"avgpool([all, 1, 1]) -> {boxes}{apart.choice(ends)}"]
        pooled = self._pooled(state)
        return [*steps, pooled] if pooled else steps

    def _pooled(self, state: State) -> str:
        d = self.draw
        if state.token:
            return d.pick(["select(token)", "layernorm -> select(token)", "select(grid) -> avgpool"]) + (
                " -> avgpool" if state.token == "frame" else ""
            )
        if state.grid == (1, 1, 1):
            return d.pick(["", "relu", "avgpool"])
        if d.has("token_head", 0.1):
            return d.pick(["class_token -> attention(1) -> select(token)", "class_token -> select(all) -> avgpool"])
        return d.pick(["avgpool", "avgpool", "avgpool", "avgpool([all, 1, 1]) -> avgpool", "conv(3) -> bn -> avgpool"])


def _by_range(first: int, widths: list[int]) -> tuple[str, list[str], str | None]:
    return f"for i in {first}..{first + len(widths) - 1} {{", ["i"], None


def _by_zip(first: int, widths: list[int]) -> tuple[str, list[str], str | None]:
    return f"for i, w in zip({first}.., {widths}) {{", ["i", "w"], "w"


def _by_list(first: int, widths: list[int]) -> tuple[str, list[str], str | None]:
    numbers = list(range(first, first + len(widths)))
    return f"for i, w, n in zip({numbers}, {widths}, [1 for x in {widths}]) {{", ["i", "w", "n"], "w"


def _by_comprehension(first: int, widths: list[int]) -> tuple[str, list[str], str | None]:
    return f"for i in [x + {first} for x in 0..9 if x < {len(widths)}] {{", ["i"], None


def _by_pairs(first: int, widths: list[int]) -> tuple[str, list[str], str | None]:
    pairs = [[first + at, w] for at, w in enumerate(widths)]
    return f"for i, w in {pairs} {{", ["i", "w"], "w"


LOOPS = [_by_range, _by_zip, _by_zip, _by_list, _by_comprehension, _by_pairs]
