"""`archdsl draw`: a diagram in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.files import UsageError, write_atomically

if TYPE_CHECKING:
    import argparse

    from archdsl.graph.model import Network

FORMAT_OF = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot"}


def command(arguments: argparse.Namespace) -> int:
    """Draws one spec."""
    from archdsl.commands.common import analysed, show_diagnostics

    output = Path(arguments.output)
    _format(output)
    analysis = analysed(arguments.spec, arguments)
    draw(analysis.network, output, arguments.level)
    show_diagnostics(analysis.warnings)
    return 0


def draw(network: Network, output: Path, level: str) -> None:
    """Writes the diagram of a network, in the format that the file's name ends in.

    Raises:
        UsageError: if that is none of the formats, or the picture cannot be made or written.
    """
    from archdsl.lowering import without_identities
    from archdsl.targets.dot import diagram
    from archdsl.targets.render_dot import RenderError

    format_ = _format(output)
    try:
        picture = diagram(without_identities(network), level).picture(format_)
    except RenderError as error:
        raise UsageError(f"{output}: {error}") from None
    write_atomically(output, picture)


def _format(output: Path) -> str:
    known = FORMAT_OF.get(output.suffix.lower())
    if known is None:
        *most, last = FORMAT_OF
        raise UsageError(f"{output}: a diagram's name ends in {', '.join(most)} or {last}")
    return known
