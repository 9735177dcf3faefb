"""Choices of the user for a diagram, and what follows from them: sizes of type, gaps, lengths of lines, colours."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archdsl.ir.regions import Head

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from archdsl.ir.regions import Part

LEVELS = ("stage", "block", "layer")
DIRECTIONS = ("tb", "lr")
THEMES = ("auto", "light", "dark")

TYPE_SIZES = (11.0, 10.0, 9.0, 8.0, 7.0)  # in points; smaller type is not readable in print
PAGE_HEIGHT = 640.0  # of the text on a page of a paper, in points
LINE_LENGTHS = (30, 24, 20, 16, 12, 10)  # characters


_UNITS = {"pt": 1.0, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "": 1.0}


def points(width: str | float) -> float:
    """Return a width in points: of a number, or of text such as `240pt`, `8.5cm` or `3.3in`.

    Raises:
        ValueError: if it is no width above 0.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(pt|in|cm|mm|)", str(width).strip())
    value = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not value > 0:
        message = f"width = {width!r}: expected points, as in 240pt, or cm, mm or in"
        raise ValueError(message)
    return value


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Choices of how a diagram is drawn.

    Args:
        level: a box for each stage, block or layer.
        direction: from top to bottom (`tb`) or from left to right (`lr`).
        title: whether the name, the size and the legend stand above.
        costs: whether parameters and multiply-adds are shown.
        only: the stage to draw, or several; none for the whole network.
        width: the largest width of the picture, in points (1/72 inch) or as `"8.5cm"`; None for any. Type is at least 7
            points, for figures 6: the largest in which the picture fits the width and, if it can, a page.
        theme: `light`, `dark`, or `auto`: light, and in an SVG dark where the page is.

    Raises:
        ValueError: if one of them has a value that it cannot have.
    """

    level: str = "stage"
    direction: str = "tb"
    title: bool = True
    costs: bool = True
    only: str | Collection[str] | None = None
    width: str | float | None = None
    theme: str = "auto"

    def __post_init__(self) -> None:
        for what, value, known in (
            ("level", self.level, LEVELS), ("direction", self.direction, DIRECTIONS), ("theme", self.theme, THEMES),
        ):  # fmt: skip
            if value not in known:
                message = f"{what} = {value!r}: expected {' or '.join(map(repr, known))}"
                raise ValueError(message)
        if self.width is not None:
            points(self.width)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages to draw; none for the whole network."""
        return (self.only,) if isinstance(self.only, str) else tuple(self.only or ())

    def cures(self, *, beside: bool = False) -> str:
        """Return the options that make the picture smaller, of those that are not chosen yet; `beside`: of two."""
        level = "`--level stage`" if self.level == "block" else "`--level block`"
        options = {
            level: self.level != "stage", "`--no-costs`": self.costs, "`--no-title`": self.title,
            "`--only STAGE`": not self.stages and not beside,
        }  # fmt: skip
        return ", ".join(option for option, helps in options.items() if helps)

    @property
    def most(self) -> float | None:
        """The largest width in points."""
        return None if self.width is None else points(self.width)

    def looks(self) -> Iterator[Look]:
        """Yield the looks to try until the picture fits into the width, the most generous first."""
        base = Look(
            wide=self.direction == "lr", costs=self.costs, dark=self.theme == "dark", layers=self.level == "layer"
        )
        if self.width is None:
            yield base
            return
        for size in TYPE_SIZES:
            for length in LINE_LENGTHS:
                yield replace(base, type_size=size, line_length=length, edge=1.0)


@dataclass(frozen=True, kw_only=True)
class Look:
    """Sizes of a drawing, in points."""

    wide: bool = False  # the flow is from left to right
    costs: bool = True
    dark: bool = False
    layers: bool = False
    type_size: float = 11.0
    line_length: int = 30  # characters

    edge: float = 6.0  # around the picture

    @property
    def centred(self) -> bool:
        """True if shapes stand on the lines instead of beside them, which takes less width."""
        return self.line_length <= 16 and not self.wide

    @property
    def small(self) -> float:
        """The type size of figures and shapes."""
        return max(6.0, self.type_size - 2)

    @property
    def cell(self) -> float:
        """The type size of a layer's cell."""
        return max(6.5, self.type_size - 1)

    @property
    def scale(self) -> float:
        """The size of gaps and margins, as a part of the full ones."""
        return self.type_size / TYPE_SIZES[0] * (0.6 if self.centred else 0.8 if self.edge < 6 else 1)


def is_chosen(part: Part, only: Sequence[str]) -> bool:
    """Return whether a part is one of some stages, or of heads such as `head.verb`."""
    return part.stage in only or (isinstance(part, Head) and part.name in only)
