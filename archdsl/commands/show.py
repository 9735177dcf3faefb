"""`archdsl show`: the text of a spec or of a library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.files import read_source, read_spec
from archdsl.resources import bundled_specs, resource

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("show slowfast_r50 > my_slowfast.arch", "Copy a bundled spec to a file, to edit it."),
    ("show resnet", "Print a library of blocks, which specs import."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "spec", metavar="NAME", help="Name of a bundled spec (`archdsl list` shows them) or library, or a file."
    )


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl show`."""

    spec: str


def run(options: Options) -> int:
    """Print the text of a spec or of a library."""
    library = resource("specs") / "lib" / f"{options.spec}.arch"
    is_library = options.spec.isidentifier() and library.is_file() and options.spec not in bundled_specs()
    print((read_source(library) if is_library else read_spec(options.spec)).text, end="")
    return 0
