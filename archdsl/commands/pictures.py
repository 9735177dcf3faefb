"""Writing of diagrams to files, and the options for their appearance."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archdsl.files import EnvironmentFault, UsageError, write_atomically
from archdsl.targets.dot.look import DIRECTIONS, LEVELS, PAGE_HEIGHT, THEMES, points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from archdsl.commands.parser import Parser
    from archdsl.ir.network import Network
    from archdsl.targets.dot.writer import Diagram

FORMAT_OF = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot"}


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """Choices of how a diagram is drawn."""

    level: str = "stage"
    direction: str = "tb"
    title: bool = True
    costs: bool = True
    width: float | None = None
    theme: str = "auto"
    quiet: bool = False

    def choices(self) -> dict[str, Any]:
        """Return the arguments of `diagram`, which have the same names."""
        names = ("level", "direction", "title", "costs", "width", "theme")
        return {name: getattr(self, name) for name in names}


def picture_arguments(parser: Parser) -> None:
    """Declare the choices of how a diagram is drawn."""
    group = parser.group("the diagram")
    group.add_argument(
        "--level", choices=LEVELS, default="stage", help="Draw stages, blocks or layers (default: stage)."
    )
    group.add_argument(
        "--direction", choices=DIRECTIONS, default="tb",
        help="Draw from top to bottom (tb) or from left to right (lr; default: tb).",
    )  # fmt: skip
    group.add_argument(
        "--width", type=_width, metavar="WIDTH",
        help="Largest width, e.g. 237pt, 8.4cm or 3.3in: the diagram is laid out for it, in type of 7 pt or more.",
    )  # fmt: skip
    group.add_argument("--no-title", dest="title", action="store_false", help="Leave out the name, size and legend.")
    group.add_argument("--no-costs", dest="costs", action="store_false", help="Leave out parameters and multiply-adds.")
    group.add_argument(
        "--theme", choices=THEMES, default="auto",
        help="Draw for light or dark pages; in an SVG, auto adapts to the page (default: auto).",
    )  # fmt: skip
    group.add_argument("-q", "--quiet", action="store_true", help="Do not report what was written.")


def _width(text: str) -> float:
    try:
        return points(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def draw(network: Network, output: Path, *, only: Sequence[str] = (), quiet: bool = True, **choices: Any) -> None:
    """Write the diagram of a network, in the format of the file name's suffix; `choices` are those of `diagram`.

    Raises:
        UsageError: if that is none of the formats, there is no such stage, or there can be no such file.
        EnvironmentFault: if the picture cannot be made or written.
    """
    from archdsl.lowering import without_identities
    from archdsl.targets.dot.writer import diagram

    picture_format(output)
    write_picture(lambda: diagram(without_identities(network), only=only, **choices), output, quiet=quiet)


def write_picture(make: Callable[[], Diagram], output: Path, *, quiet: bool, beside: bool = False) -> None:
    """Make and write a diagram, `beside` one of two networks, and report it on standard error.

    Raises:
        UsageError: if the name ends in none of the formats, there can be no such file or picture, or it is too large.
        EnvironmentFault: if the picture cannot be made or written.
    """
    from archdsl.targets.dot.render import RenderError

    format_ = picture_format(output)
    try:
        picture = make()
        data = picture.picture(format_)
    except ValueError as error:
        raise UsageError(f"{output}: {error}") from None
    except RenderError as error:
        raise EnvironmentFault(f"{output}: {error}") from None
    write_atomically(output, data)
    if not quiet:
        width, height = picture.size
        tall, cures = "", picture.choices.cures(beside=beside)
        if height > PAGE_HEIGHT and picture.choices.width:
            tall = f"; taller than a page of {PAGE_HEIGHT:.0f} pt" + (f": smaller with {cures}" if cures else "")
        print(f"wrote {output} ({picture.choices.level} level, {width:.0f}×{height:.0f} pt{tall})", file=sys.stderr)


def picture_format(output: Path) -> str:
    """Return the format of a file name's suffix.

    Raises:
        UsageError: if that is none of the formats.
    """
    known = FORMAT_OF.get(output.suffix.lower())
    if known is None:
        *most, last = FORMAT_OF
        raise UsageError(f"{output}: a diagram's name ends in {', '.join(most)} or {last}")
    return known
