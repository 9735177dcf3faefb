"""`archdsl explain CODE`: the explanation of an error code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import did_you_mean
from archdsl.files import UsageError

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser


EXAMPLES = (
    ("explain E0501", "Explain an error that `archdsl check` has reported."),
    ("explain", "List all codes."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "code", nargs="?", metavar="CODE", help="Code of an error or a warning, e.g. E0501 (default: list all codes)."
    )


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `archdsl explain`."""

    code: str | None


def run(options: Options) -> int:
    """Print the explanation of a code, or all codes with their titles."""
    if options.code is None:
        print("\n".join(f"{code}  {title}" for code, title in TITLES.items()))
        print("\n`archdsl explain CODE` says more about one of them.")
        return 0
    from archdsl.core.explain import explain

    code = options.code.upper()
    text = explain(code)
    if text is None:
        hint = did_you_mean(code, TITLES)
        raise UsageError(f"unknown code {options.code}" + (f"; {hint}" if hint else ""))
    print(f"{code}: {TITLES[code]}\n\n{text}")
    return 0
