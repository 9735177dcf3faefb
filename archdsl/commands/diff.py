"""`archdsl diff`: comparison of two networks."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.analysis.compare import compare, difference_json
from archdsl.commands.common import analysed_pair
from archdsl.commands.diagnostics import show_diagnostics
from archdsl.commands.options import PairOptions, pair_arguments
from archdsl.commands.pictures import PictureOptions, picture_arguments, picture_format, write_picture

if TYPE_CHECKING:
    from archdsl.analysis.compare import Difference
    from archdsl.commands.parser import Parser
    from archdsl.pipeline import Analysis


EXAMPLES = (
    ("diff slow_r50 slowfast_r50 --summary", "Compare two networks in a few lines."),
    (
        "diff my_model.arch --set width=96 -o wider.svg",
        "Compare a network with a wider one, and draw both.",
    ),
)


def arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    pair_arguments(parser, "The other network (default: BASE, with --set, --clip and --like).")
    output = parser.group("output")
    output.add_argument("--check", action="store_true", help="Exit with 1 if the networks differ.")
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="Print JSON in place of text.")
    form.add_argument("--summary", action="store_true", help="Print a few lines in place of all differences.")
    output.add_argument(
        "-o", "--output", metavar="FILE", help="Also draw both networks side by side: .svg, .png, .pdf or .dot."
    )
    picture_arguments(parser)


@dataclass(frozen=True, kw_only=True)
class Options(PairOptions, PictureOptions):
    """Options of `archdsl diff`."""

    check: bool
    json: bool
    summary: bool
    output: str | None


def run(options: Options) -> int:
    """Print the differences between two networks, and draw them side by side."""
    output = Path(options.output) if options.output is not None else None
    if output is not None:
        picture_format(output)
    base, arch = analysed_pair(options)
    difference = compare(base.network, arch.network, base.parameters, arch.parameters)
    sides = _made_of(options.base, base), _made_of(options.spec or options.base, arch)
    if options.json:
        print(json.dumps(_json(difference, *sides), indent=2, ensure_ascii=False))
    else:
        from archdsl.commands.diff_text import difference_lines, summary_lines

        lines = summary_lines if options.summary else difference_lines
        print("\n".join(lines(difference, *map(shlex.join, sides))))
    if output is not None:
        from archdsl.targets.dot.diff import difference_diagram

        write_picture(
            lambda: difference_diagram(difference, base.network, arch.network, **options.choices()),
            output,
            quiet=options.quiet,
            beside=True,
        )
    show_diagnostics(dict.fromkeys([*base.warnings, *arch.warnings]))
    return int(options.check and difference.differ)


def _json(difference: Difference, base: list[str], arch: list[str]) -> dict[str, object]:
    data = difference_json(difference)
    for side, words in (("base", base), ("arch", arch)):
        data[side] = {"spec": words[0], "options": words[1:], **data[side]}
    return data


def _made_of(spec: str, analysis: Analysis) -> list[str]:
    """Return the spec of a network, and the options that were applied to it."""
    words = [spec]
    if analysis.like is not None:
        words += ["--like", analysis.like.source.text]
    for binding in analysis.settings:
        words += ["--set", f"{binding.name.id}={binding.value.span.text.strip()}"]
    if analysis.clip is not None:
        words += ["--clip", "x".join(map(str, analysis.clip))]
    return words
