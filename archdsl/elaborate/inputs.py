"""Inputs of a spec: videos, of the size that the user has set or that is declared, and what comes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.grid import MAX_ELEMENTS, SIZE_HINT, Grid, count_text
from archdsl.core.names import why_no_input
from archdsl.core.record import record
from archdsl.core.values import UNKNOWN, Unknown
from archdsl.elaborate.clip_order import usual_order, video_cure
from archdsl.elaborate.context import Referred
from archdsl.ir.regions import InputPlace
from archdsl.layers import vocabulary
from archdsl.layers.input import BOXES, INDEX, MASK, SPECTROGRAM, VECTOR, VIDEO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.elaborate.clip import Clip
    from archdsl.elaborate.context import Flow
    from archdsl.elaborate.expansion import Expansion
    from archdsl.elaborate.scope import Scope
    from archdsl.frontend import ast
    from archdsl.ir.regions import Shape


@record
class _Kind:
    """A kind of input other than a video."""

    layer: str
    noun: str  # for what is in it
    sizes: int  # in brackets
    rule: str  # that says so
    declared: str  # an example
    grid: tuple[int, int, int, int]  # the shape of its value; −1 is the first size in brackets, −2 the second, …
    example: str = ""  # of a layer that refers to it, where no chain begins with it


_KINDS = {
    "index": _Kind(
        INDEX, "frames", 1, "an index has one size, the frames",
        "`input frame_index: index[frames]`, behind that of the video",
        (1, -1, 1, 1), "position(time, frames = {})",
    ),
    "vector": _Kind(
        VECTOR, "numbers", 1, "a vector has one size", "as in `input embedding: vector[512]`",
        (-1, 1, 1, 1),
    ),
    "spectrogram": _Kind(
        SPECTROGRAM, "sound", 3, "a spectrogram has three sizes [channels, frames, bins]",
        "as in `input sound: spectrogram[1, 128, 80]`", (-1, -2, 1, -3),
    ),
    "boxes": _Kind(
        BOXES, "boxes", 1, "boxes have one size, their number",
        "`input people: boxes[10]`, behind that of the video",
        (4, -1, 1, 1), "roi_align({})",
    ),
    "mask": _Kind(
        MASK, "masks", 3, "a mask has three sizes [t, h, w], those of the grid whose positions it hides",
        "`input mask: mask[8, 14, 14]`, behind that of the video",
        (1, -1, -2, -3), "keep({}, 160)",
    ),
}  # fmt: skip

_MEANINGS = {
    **dict.fromkeys(("audio", "sound", "mel", "melspectrogram"), "sound is `spectrogram[1, FRAMES, BINS]`"),
    **dict.fromkeys(("text", "embedding", "features", "vec"), "numbers of each clip are `vector[512]`"),
    **dict.fromkeys(("image", "images", "frame"), "an image is a video of one frame: `video[3, 1, 224, 224]`"),
    **dict.fromkeys(("flow", "depth"), "it is a video of 2 channels, or of 1: `video[2, 16, 224, 224]`"),
    **dict.fromkeys(("clip", "frames", "rgb"), "a clip is `video[3, 16, 224, 224]`"),
    **dict.fromkeys(("bbox", "bboxes", "rois", "box"), "boxes in each clip are `boxes[10]`"),
}


class InputDeclarer:
    """Expansion of inputs; `clip` is the user's size for the first of them."""

    def __init__(self, expansion: Expansion, clip: Clip | None) -> None:
        self.expansion = expansion
        self.evaluator = expansion.evaluator
        self.reporter = expansion.reporter
        self.clip = clip
        self.declared: tuple[int | Unknown, ...] = ()  # frames, height and width of the first input, as the spec has it

    def declare(self, statement: ast.Input, scope: Scope) -> None:
        """Add an input to the network."""
        kind = statement.kind
        if kind.id in _KINDS:
            self._other(_KINDS[kind.id], statement, scope)
            return
        if kind.id != "video":
            hint = _MEANINGS.get(kind.id.lower()) or did_you_mean(kind.id, ["video", *_KINDS])
            self.reporter.report("E0301", kind.span, f"unknown kind of input `{kind.id}`", hint=hint)
            if self.expansion.videos and len(statement.shape.items) != 4:
                self._check_new(statement)
                self.expansion.inputs[statement.name.id] = self._node(VECTOR, UNKNOWN, statement)
                return
        flow = self._node(VIDEO, self._clip_shape(statement, scope), statement)
        self._check_new(statement)
        self.expansion.inputs[statement.name.id] = self.expansion.videos[statement.name.id] = flow

    def _check_new(self, statement: ast.Input) -> None:
        expansion, name = self.expansion, statement.name
        existing = expansion.inputs | {n: referred.flows[0] for n, referred in expansion.by_name.items()}
        expansion.check_new(name, existing, why_no_input(name.id))

    def _other(self, kind: _Kind, statement: ast.Input, scope: Scope) -> None:
        """Add an input that is no video."""
        expansion, name, span = self.expansion, statement.name.id, statement.shape.span
        sizes = [self.evaluator.whole(e, scope, minimum=1) for e in statement.shape.items]
        if kind.example and not expansion.videos:
            self.reporter.report("E0301", span, f"no video is declared before its {kind.noun}", hint=kind.declared)
            return
        fits = len(sizes) == kind.sizes
        if not fits:
            self.reporter.report("E0301", span, f"{kind.rule}, found {len(sizes)}", hint=kind.declared)
        self._check_new(statement)
        shape = self._shape(kind, sizes, statement) if fits else UNKNOWN
        flow = self._node(kind.layer, shape, statement)
        if not kind.example:
            expansion.inputs[name] = flow
            return
        noun = "numbers of frames" if kind.layer == INDEX else kind.noun
        expansion.by_name[name] = Referred(
            kind.layer, noun, kind.example, (flow, next(iter(expansion.videos.values())))
        )

    def _shape(self, kind: _Kind, sizes: list[int | Unknown], statement: ast.Input) -> Grid | Unknown:
        if kind.layer == INDEX and sizes[0] in self.declared[:1]:
            sizes = [self._frames()]
        if kind.layer == MASK:
            sizes = self._of_clip(sizes)
        if kind.layer == SPECTROGRAM:
            sizes[1] = self._of_sound(sizes[1])
        known = [size for size in sizes if not isinstance(size, Unknown)]
        if len(known) < len(sizes):
            return UNKNOWN
        c, t, h, w = (known[-n - 1] if n < 0 else n for n in kind.grid)
        return self._held(Grid(c, t, h, w), statement)

    def _of_clip(self, sizes: Sequence[int | Unknown]) -> list[int | Unknown]:
        """Return the sizes of a grid for the user's clip: each that divides the declared one is the same part of it."""
        return [
            n
            if self.clip is None or isinstance(n, Unknown) or isinstance(all_, Unknown) or all_ % n
            else own * n // all_
            for n, all_, own in zip(sizes, self.declared, (self.clip or (0,) * 4)[1:], strict=True)
        ]

    def _of_sound(self, n: int | Unknown) -> int | Unknown:
        """Return the frames of a spectrogram beside the user's clip: as many for each of the clip, if all have some."""
        all_ = self.declared[0] if self.declared else UNKNOWN
        if self.clip is None or isinstance(n, Unknown) or isinstance(all_, Unknown) or n % all_:
            return n
        return n // all_ * self.clip[1]

    def _node(self, kind: str, shape: Shape, statement: ast.Input) -> Flow:
        return self.expansion.nodes.add_node(vocabulary()[kind](), (), shape, InputPlace(), statement.span)

    def _frames(self) -> int | Unknown:
        """Return the frames of the first video, as the user has set them or as they are declared."""
        shape = next(iter(self.expansion.videos.values())).shape
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
        first = not self.expansion.videos
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
