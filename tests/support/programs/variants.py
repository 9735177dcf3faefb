"""Random variants: specs that replace parts of another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from programs.draw import written
from programs.spec import StageKind
from programs.values import STILL, Move, State

if TYPE_CHECKING:
    from programs.draw import Draw
    from programs.spec import Spec, Specs


class Variants:
    """Draws variants of a spec that was drawn."""

    def __init__(self, specs: Specs) -> None:
        self.specs = specs
        self.draw: Draw = specs.draw
        self.base: Spec = specs.spec
        self.draw.names = dict(self.base.parameters)  # a variant sees no variables of its base
        self.draw.flags = dict(self.base.flags)
        specs.chains.budget = 15
        self.wants_head = False

    def drawn(self, name: str, base: str) -> str:
        d = self.draw
        lines = [f"arch {name} extends {base}"]
        options = {
            "param": 2,
            "stage": 4,
            "loop": 3,
            "head": 2,
            "path": 2,
            "input": 1,
            "drop": 1.5,
            "block": 2,
            "new": 0.7,
        }
        kinds = [k for k in options if d.has(f"variant_{k}")]
        chosen = {d.weighted([(options[k], k) for k in kinds]) for _ in range(d.pick([1, 1, 2, 3]))}
        for kind in ("param", "new", "block", "input", "drop", "path", "stage", "loop", "head"):
            if kind in chosen or (kind == "head" and self.wants_head):
                lines += getattr(self, f"_{kind}")()
        return "\n".join(lines) + "\n"

    def _param(self) -> list[str]:
        d, base = self.draw, self.base
        if not base.parameters and not base.flags:
            return []
        name = d.pick([*base.parameters, *base.flags])
        if name in base.flags:
            base.flags[name] = d.flags[name] = not base.flags[name]
            return [f"param {name} = {written(base.flags[name])}"]
        value = d.pick([9, base.parameters[name]])
        d.names[name] = value
        return [f"param {name} = {value}" + d.pick(["", f" where {name} > 0"])]

    def _new(self) -> list[str]:
        """A parameter that the base does not have."""
        value = self.draw.whole(2, 9)
        self.draw.names["extra"] = value
        return [f"param extra: int = {value}"]

    def _stage(self) -> list[str]:
        d = self.draw
        if not self.base.stages:
            return []
        stage: StageKind = d.pick(self.base.stages)
        if d.chance(0.2):
            return [f"stage {stage.label} frozen" + d.pick(["", " if 1 < 2", " if 2 < 1"])]
        specs = self.specs
        lines: list[str] = []
        kept = set(specs.spec.paths)
        specs.spec.paths = dict(stage.before)
        specs.spec.named = {}
        for path, after in stage.after.items():
            before = stage.before.get(path)
            if before is None or before == after:
                continue
            move = _between(before, after)
            if move is None or before.token != after.token:
                return []
            end = None if after.channels is None else str(after.channels)
            lines += specs.line_of(path, (), move, end, repeated=True)
        last = self.base.stages[-1].after
        specs.spec.paths = {n: s for n, s in last.items() if n in kept}
        return [f"stage {stage.label} {{", *(f"    {line}" for line in lines), "}"] if lines else []

    def _loop(self) -> list[str]:
        """All stages of a loop, in a loop."""
        d, specs = self.draw, self.specs
        loops = [loop for loop in self.base.loops if loop.before.keys() <= self.base.paths.keys()]
        if not loops:
            return []
        loop = d.pick(loops)
        kept = dict(specs.spec.paths)
        names = [n for n in loop.names if n != "v"]  # that stands in the replaced stage
        lines = specs.loop_lines(replace(loop, names=names))
        specs.spec.paths = kept
        return [loop.header, f"    stage {loop.label} {{", *lines, "    }", "}"]

    def _head(self) -> list[str]:
        return self.specs.head_lines() if self.base.paths else []

    def _path(self) -> list[str]:
        d = self.draw
        if "" in self.base.begins or not self.base.begins:
            return []
        name = d.pick(list(self.base.begins))
        was = self.base.begins[name]
        sources = [n for n, s in self.base.inputs.items() if _between(s, was) is not None]
        if not sources:
            return []
        source = d.pick(sources)
        move = _between(self.base.inputs[source], was) or STILL
        state = replace(self.base.inputs[source], text=None)
        place = replace(self.specs.place(values=False), repeated=True, in_hand=len(self.base.inputs) == 1)
        end = None if was.channels is None else str(was.channels)
        text, _ = self.specs.chains.chain(place, state, d.whole(0, 2), end=end, move=move, begin=source)
        return [f"path {name} = {text}"]

    def _input(self) -> list[str]:
        d = self.draw
        name = d.pick(list(self.base.clips))
        channels, grid = self.base.clips[name]
        sizes = [d.whole(1, 5), *grid] if d.chance(0.7) else [channels, *(2 * n for n in grid)]
        return [f"input {name}: video{sizes}"]

    def _drop(self) -> list[str]:
        d, base = self.draw, self.base
        if len(base.paths) < 2:
            return []
        name = d.pick(list(base.paths))
        base.paths = {n: s for n, s in base.paths.items() if n != name}
        base.named = {}
        base.begins.pop(name, None)
        base.stages = [
            StageKind(s.label, {n: x for n, x in s.before.items() if n != name}, s.after) for s in base.stages
        ]
        self.wants_head = True
        return [f"drop path {name}"]

    def _block(self) -> list[str]:
        d, base = self.draw, self.base
        if not base.blocks:
            return []
        at = d.whole(0, len(base.blocks) - 1)
        own, base.blocks[:] = list(base.blocks), base.blocks[:at]  # those before it, so that none contains itself
        lines = self.specs.blocks.drawn(knows=True, like=own[at])
        base.blocks[:] = own
        return lines


def _between(before: State, after: State) -> Move | None:
    """The move that leads from one grid to another."""
    if before.grid is None or after.grid is None:
        return STILL if before.fits(after) else None
    t, h, w = (-(-n // m) for n, m in zip(before.grid, after.grid, strict=True))
    if max(t, h, w) > 2 or before.moved((t, h, w)).grid != after.grid:
        return None
    return t, h, w
