"""Inputs of a spec: videos, of the size that the user has set or that is declared, and numbers of their frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.grid import MAX_ELEMENTS, SIZE_HINT, Grid, count_text
from archdsl.core.names import why_no_input
from archdsl.core.values import UNKNOWN, Unknown
from archdsl.elaborate.clip_order import usual_order, video_cure
from archdsl.ir.regions import InputPlace
from archdsl.layers import vocabulary

if TYPE_CHECKING:
    from archdsl.elaborate.clip import Clip
    from archdsl.elaborate.context import Flow
    from archdsl.elaborate.expansion import Expansion
    from archdsl.elaborate.scope import Scope
    from archdsl.frontend import ast
    from archdsl.ir.regions import Shape

_INDEX_HINT = "`input frame_index: index[frames]`, behind that of the video"


class InputDeclarer:
    """Expansion of inputs; `clip` is the user's size for the first of them."""

    def __init__(self, expansion: Expansion, clip: Clip | None) -> None:
        self.expansion = expansion
        self.evaluator = expansion.evaluator
        self.reporter = expansion.reporter
        self.clip = clip
        self.declared: tuple[int | Unknown, ...] = ()  # frames, height and width of the first input, as the spec has it

    def declare(self, statement: ast.Input, scope: Scope) -> None:
        """Add a video, or an input of frame numbers."""
        kind = statement.kind
        if kind.id == "index":
            self._index(statement, scope)
            return
        if kind.id != "video":
            hint = did_you_mean(kind.id, ["video", "index"])
            self.reporter.report("E0301", kind.span, f"unknown kind of input `{kind.id}`", hint=hint)
        inputs = self.expansion.inputs
        self.expansion.check_new(statement.name, inputs, why_no_input(statement.name.id))
        inputs[statement.name.id] = self._node("input", self._clip_shape(statement, scope), statement)

    def _index(self, statement: ast.Input, scope: Scope) -> None:
        """Add numbers of the clip's frames, for layers that ask for them by name."""
        expansion = self.expansion
        sizes = [self.evaluator.whole(e, scope, minimum=1) for e in statement.shape.items]
        if not expansion.inputs:
            label = "no video is declared before its frames"
            self.reporter.report("E0301", statement.shape.span, label, hint=_INDEX_HINT)
            return
        if len(sizes) != 1:
            label = f"an index has one size, the frames, found {len(sizes)}"
            self.reporter.report("E0301", statement.shape.span, label, hint=_INDEX_HINT)
            return
        name = statement.name.id
        expansion.check_new(statement.name, {**expansion.inputs, **expansion.indices}, why_no_input(name))
        frames = self._frames() if sizes[0] in self.declared[:1] else sizes[0]
        shape = UNKNOWN if isinstance(frames, Unknown) else Grid(1, frames, 1, 1)
        expansion.indices[name] = self._node("index", shape, statement)

    def _node(self, kind: str, shape: Shape, statement: ast.Input) -> Flow:
        return self.expansion.nodes.add_node(vocabulary()[kind](), (), shape, InputPlace(), statement.span)

    def _frames(self) -> int | Unknown:
        """Return the frames of the first input, as the user has set them or as they are declared."""
        shape = next(iter(self.expansion.inputs.values())).shape
        return UNKNOWN if isinstance(shape, Unknown) else shape.t

    def _clip_shape(self, statement: ast.Input, scope: Scope) -> Grid | Unknown:
        sizes = [self.evaluator.whole(e, scope, minimum=1) for e in statement.shape.items]
        if len(sizes) != 4:
            label = f"a video has four sizes [channels, frames, height, width], found {len(sizes)}"
            self.reporter.report("E0301", statement.shape.span, label, hint=video_cure(statement.shape, sizes))
            return UNKNOWN
        order = usual_order(sizes)
        if order is not None and statement.shape.items[0].span.source is statement.span.source:
            hint = f"sizes are [channels, frames, height, width]: `video{order}`"
            self.reporter.report("W0110", statement.shape.span, "a clip in an unusual order", hint=hint)
        c, t, h, w = sizes
        first = not self.expansion.inputs
        if first:
            self.declared = (t, h, w)
        if self.clip is not None and first:
            self._check_own_order(self.clip, statement)
            return self._held(Grid(*self.clip), statement)
        if isinstance(c, Unknown) or isinstance(t, Unknown) or isinstance(h, Unknown) or isinstance(w, Unknown):
            return UNKNOWN
        if self.clip is not None and (t, h, w) == self.declared:
            _, t, h, w = self.clip
        return self._held(Grid(c, t, h, w), statement)

    def _check_own_order(self, clip: Clip, statement: ast.Input) -> None:
        """Warn of the user's own size of a clip in the order of another library."""
        order = usual_order(clip)
        if order is not None:
            sizes = "x".join(map(str, order))
            hint = f"sizes are channels, frames, height, width: `{sizes}`"
            label = f"the clip of {'×'.join(map(str, clip))} that was asked for is in an unusual order"
            self.reporter.report("W0110", statement.shape.span, label, hint=hint)

    def _held(self, shape: Grid, statement: ast.Input) -> Grid | Unknown:
        """Return the shape of a clip that a machine can hold, or UNKNOWN after a fault."""
        if shape.elements <= MAX_ELEMENTS:
            return shape
        label = f"a clip of {shape} has {count_text(shape.elements)} numbers, at most {MAX_ELEMENTS:,}"
        return self.evaluator.faults.report("E0707", statement.shape.span, label, SIZE_HINT)
