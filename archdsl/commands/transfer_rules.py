"""Rules of a weight transfer, as `weights plan` and `weights transfer` take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.files import FileLibrary, UsageError
from archdsl.pipeline import plan_transfer
from archdsl.transfer.channels import REPEAT
from archdsl.transfer.plan import Rules
from archdsl.transfer.steps import AVERAGE, BICUBIC, BILINEAR, CENTRE, NEAREST, NEW

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser
    from archdsl.pipeline import Analysis
    from archdsl.transfer.plan import TransferPlan

VARIANT = "The variant (default: BASE, with --set and --clip)."


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """Rules of a weight transfer."""

    inflate: str
    width: str
    depth: str
    positions: str
    new: tuple[str, ...]  # patterns of tensor names
    strict: bool
    json: bool


def rule_arguments(parser: Parser) -> None:
    """Declare the rules of a weight transfer."""
    rules = parser.group("rules")
    rules.add_argument(
        "--inflate", choices=(AVERAGE, CENTRE), default=AVERAGE,
        help="Inflate filters of one frame by averaging over all frames (default), or into the centre frame.",
    )  # fmt: skip
    rules.add_argument(
        "--width", choices=(REPEAT, NEW), default=REPEAT,
        help="Repeat the channels of BASE where the variant has more (the default), or initialise new ones.",
    )  # fmt: skip
    rules.add_argument(
        "--depth", choices=(REPEAT, NEW), default=REPEAT,
        help="Repeat the blocks of BASE where the variant has more (the default), or initialise new ones.",
    )  # fmt: skip
    rules.add_argument(
        "--positions", choices=(BICUBIC, BILINEAR, NEAREST), default=BICUBIC,
        help="How vectors of positions are interpolated over space (default: bicubic).",
    )  # fmt: skip
    rules.add_argument(
        "--new", action="append", default=[], metavar="PATTERN",
        help="Initialise the tensors of these names, e.g. 'head.*'; may be repeated.",
    )  # fmt: skip
    rules.add_argument("--strict", action="store_true", help="Exit with 1 if a tensor is new or unused.")
    parser.group("report").add_argument("--json", action="store_true", help="Print JSON in place of text.")


def planned(base: Analysis, variant: Analysis, options: RuleOptions) -> TransferPlan:
    """Return the plan of a transfer.

    Raises:
        SpecError: if a map of names between the two specs has errors.
        UsageError: if the rules are invalid.
    """
    rules = Rules(options.inflate, options.width, options.depth, options.new, positions=options.positions)
    try:
        return plan_transfer(base, variant, FileLibrary(), rules)
    except ValueError as error:
        raise UsageError(f"--{error}") from None
