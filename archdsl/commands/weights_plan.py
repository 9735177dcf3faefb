"""`archdsl weights plan`: the origin of each tensor of a variant in a base network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from archdsl.commands.common import analysed_pair
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import PairOptions, pair_arguments
from archdsl.commands.transfer_rules import VARIANT, RuleOptions, planned, rule_arguments
from archdsl.commands.transfer_text import show_plan

if TYPE_CHECKING:
    from archdsl.commands.parser import Parser

EXAMPLES = (
    ("weights plan slowfast_r50 my_slowfast.arch", "Show how the weights of a variant are initialised."),
    ("weights plan swin3d_t --set crop=320 --strict", "Exit with 1 if a tensor is new or unused."),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    pair_arguments(parser, VARIANT, like=False)
    rule_arguments(parser)


@dataclass(frozen=True, kw_only=True)
class Options(PairOptions, RuleOptions):
    """Options of `archdsl weights plan`."""


def run(options: Options) -> int:
    """Print how each tensor of a variant is made from those of a base."""
    base, variant = analysed_pair(options)
    show_diagnostics([*base.warnings, *variant.warnings])
    found = planned(base, variant, options)
    show_diagnostics(found.warnings)
    show_plan(found, json=options.json)
    return int(options.strict and not found.is_complete)
