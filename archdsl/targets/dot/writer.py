"""Diagrams: a network to DOT with the positions of everything, which Graphviz only renders."""

from __future__ import annotations

from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import graphviz  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

from archdsl.targets.dot.drawing import Drawing
from archdsl.targets.dot.labels import heading, notes
from archdsl.targets.dot.layout import lay_out
from archdsl.targets.dot.look import PAGE_HEIGHT, Choices
from archdsl.targets.dot.marks import UNMARKED
from archdsl.targets.dot.page import Page, TooWide
from archdsl.targets.dot.render import render
from archdsl.targets.dot.style import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archdsl.ir.network import Network
    from archdsl.targets.dot.layout import Layout
    from archdsl.targets.dot.look import Look
    from archdsl.targets.dot.text import Text


class Diagram(graphviz.Source):
    """DOT text that renders in a notebook, with or without Graphviz's `dot` on the machine.

    `size` is the width and height of the picture in points.
    """

    def __init__(self, source: str, size: tuple[float, float], choices: Choices) -> None:
        super().__init__(source)  # pyright: ignore[reportUnknownMemberType]
        self.size = size
        self.choices = choices

    def picture(self, format: str = "svg") -> bytes:
        """Return the diagram as svg, png, pdf or dot.

        Raises:
            ValueError: if there is no such format, or the picture has too many arrows.
            RenderError (a RuntimeError): if Graphviz is missing or fails.
        """
        source: Any = self.source
        return render(source, format, self.choices.theme)

    def _repr_image_svg_xml(self) -> str:
        return self.picture().decode()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict[str, bytes | str]:
        del include, exclude
        return {"image/svg+xml": self._repr_image_svg_xml()}


def diagram(network: Network, level: str = "stage", **choices: Any) -> Diagram:
    """Return the diagram of a network; the arguments are those of `Choices`.

    Raises:
        ValueError: if there is no such level, direction, theme or stage, or the picture cannot be as narrow as `width`.
    """
    chosen = Choices(level=level, **choices)
    layout = lay_out(network, level, only=chosen.stages)

    def draft_of(look: Look) -> Draft:
        drawing = Drawing(network, layout, look, UNMARKED)

        def page() -> Page:
            page = Page(identifier(network.name), chosen, look)
            page.add(drawing)
            page.head(*_heading(network, chosen, look, page, layout))
            return page

        return Draft(drawing.width + 2 * look.edge, drawing.height + 2 * look.edge, page)

    return fitted(chosen, draft_of)


class Draft(NamedTuple):
    """A page that is not written yet, which is at least so wide and high."""

    width: float
    height: float
    page: Callable[[], Page]


def fitted(chosen: Choices, draft_of: Callable[[Look], Draft], *, beside: bool = False) -> Diagram:
    """Return the diagram in the most generous look that fits the width and a page, or else the lowest of that width.

    Layers are not tried for height. Pages are written, which takes most of the time, as long as they may be the one.

    Raises:
        TooWide: if no look fits the width; `beside` is true for two networks.
    """
    drafts = _Drafts(inf if chosen.most is None else chosen.most)
    for number, look in enumerate(chosen.looks()):
        draft = draft_of(look)
        if draft.height > PAGE_HEIGHT and chosen.level != "layer":
            drafts.wait(number, draft)
        elif (page := drafts.written(number, draft)) and (page.size[1] <= PAGE_HEIGHT or chosen.level == "layer"):
            return Diagram(page.source(), page.size, chosen)
    best = drafts.lowest()
    if best is None:
        raise TooWide(chosen, drafts.narrowest, beside=beside)
    return Diagram(best.source(), best.size, chosen)


class _Drafts:
    """Drafts of a picture in several looks, of which as few as possible are written."""

    def __init__(self, most: float) -> None:
        self.most = most  # the largest width
        self.narrowest = inf  # of those that are too wide
        self._waiting: list[tuple[float, int, Draft]] = []
        self._best: tuple[float, int, Page] | None = None  # with its height and number

    def wait(self, number: int, draft: Draft) -> None:
        """Keep a draft for the case that no picture is as low as a page."""
        if draft.width <= self.most:
            self._waiting.append((draft.height, number, draft))
        else:
            self.narrowest = min(self.narrowest, draft.width)

    def written(self, number: int, draft: Draft) -> Page | None:
        """Return the page of a draft, unless it is too wide."""
        page = draft.page() if draft.width <= self.most else None
        width = draft.width if page is None else page.size[0]
        if page is None or width > self.most:
            self.narrowest = min(self.narrowest, width)
            return None
        if self._best is None or (page.size[1], number) < self._best[:2]:
            self._best = page.size[1], number, page
        return page

    def lowest(self) -> Page | None:
        """Return the lowest page, the first of several; None if all are too wide."""
        for height, number, draft in sorted(self._waiting, key=itemgetter(0, 1)):
            if self._best is None or height <= self._best[0]:
                self.written(number, draft)
        return None if self._best is None else self._best[2]


def _heading(network: Network, chosen: Choices, look: Look, page: Page, layout: Layout) -> tuple[Sequence[Text], Text]:
    """Return the title, and the notes."""
    title = heading(network, look, page.room, only=chosen.stages) if chosen.title else ()
    return title, notes(look, layout.notes, page.room, explained=chosen.title)
