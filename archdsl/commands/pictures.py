"""Diagrams in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.files import EnvironmentFault, UsageError, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.ir.network import Network
    from archdsl.targets.dot.writer import Diagram

FORMAT_OF = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot"}


def draw(network: Network, output: Path, level: str) -> None:
    """Write the diagram of a network, in the format of the file name's suffix.

    Raises:
        UsageError: if that is none of the formats, or there can be no such file.
        EnvironmentFault: if the picture cannot be made or written.
    """
    from archdsl.lowering import without_identities
    from archdsl.targets.dot.writer import diagram

    picture_format(output)
    write_picture(diagram(without_identities(network), level), output)


def write_picture(picture: Diagram, output: Path) -> None:
    """Write a diagram.

    Raises:
        UsageError: if the name ends in none of the formats, there can be no such file, or the picture is too large.
        EnvironmentFault: if the picture cannot be made or written.
    """
    from archdsl.targets.dot.render import PictureTooLarge, RenderError

    format_ = picture_format(output)
    try:
        data = picture.picture(format_)
    except PictureTooLarge as error:
        raise UsageError(f"{output}: {error}") from None
    except RenderError as error:
        raise EnvironmentFault(f"{output}: {error}") from None
    write_atomically(output, data)


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
