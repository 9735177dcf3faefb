"""Diagrams: a network to DOT with the positions of everything, which Graphviz only renders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

    def page_of(look: Look) -> Page | float:
        drawing = Drawing(network, layout, look, UNMARKED)
        width = drawing.width + 2 * look.edge
        if chosen.most is not None and width > chosen.most:
            return width
        page = Page(identifier(network.name), chosen, look)
        page.add(drawing)
        page.head(*_heading(network, chosen, look, page, layout))
        return page

    return fitted(chosen, page_of)


def fitted(chosen: Choices, page_of: Callable[[Look], Page | float], *, beside: bool = False) -> Diagram:
    """Return the diagram in the most generous look that fits the width and a page, or else the lowest of that width.

    `page_of` returns the page in a look, or its width where that is too large already. Layers are not tried for height.

    Raises:
        TooWide: if no look fits the width; `beside` is true for two networks.
    """
    best: Page | None = None
    narrowest = 0.0
    for look in chosen.looks():
        page = page_of(look)
        width = page.size[0] if isinstance(page, Page) else page
        if not isinstance(page, Page) or (chosen.most is not None and width > chosen.most):
            narrowest = min(narrowest or width, width)
            continue
        if best is None or page.size[1] < best.size[1]:
            best = page
        if best.size[1] <= PAGE_HEIGHT or chosen.level == "layer":
            break
    if best is None:
        raise TooWide(chosen, narrowest, beside=beside)
    return Diagram(best.source(), best.size, chosen)


def _heading(network: Network, chosen: Choices, look: Look, page: Page, layout: Layout) -> tuple[Sequence[Text], Text]:
    """Return the title, and the notes."""
    title = heading(network, look, page.room, only=chosen.stages) if chosen.title else ()
    return title, notes(look, layout.notes, page.room, explained=chosen.title)
