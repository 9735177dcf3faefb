"""`archdsl diff`: what differs between two networks."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.analysis.compare import compare, difference_json
from archdsl.commands.common import analysed_pair, show_diagnostics

if TYPE_CHECKING:
    import argparse

    from archdsl.analysis.compare import Difference
    from archdsl.pipeline import Analysis


def command(arguments: argparse.Namespace) -> int:
    """Tells what differs between two networks, and draws them side by side."""
    output = Path(arguments.output) if arguments.output is not None else None
    if output is not None:
        from archdsl.commands.draw import picture_format

        picture_format(output)
    base, arch = analysed_pair(arguments)
    difference = compare(base.network, arch.network, base.parameters, arch.parameters)
    sides = _made_of(arguments.base, base), _made_of(arguments.spec or arguments.base, arch)
    if arguments.json:
        print(json.dumps(_json(difference, *sides), indent=2, ensure_ascii=False))
    else:
        from archdsl.commands.diff_text import difference_lines

        print("\n".join(difference_lines(difference, *map(shlex.join, sides))))
    if output is not None:
        from archdsl.commands.draw import write_picture
        from archdsl.targets.dot.diff import difference_diagram

        write_picture(difference_diagram(difference, base.network, arch.network, arguments.level), output)
    show_diagnostics(dict.fromkeys([*base.warnings, *arch.warnings]))
    return int(arguments.check and difference.differ)


def _json(difference: Difference, base: list[str], arch: list[str]) -> dict[str, object]:
    data = difference_json(difference)
    for side, words in (("base", base), ("arch", arch)):
        data[side] = {"spec": words[0], "options": words[1:], **data[side]}
    return data


def _made_of(spec: str, analysis: Analysis) -> list[str]:
    """A spec's file, and the options that make this network of it."""
    words = [spec]
    if analysis.like is not None:
        words += ["--like", analysis.like.source.text]
    for binding in analysis.settings:
        words += ["--set", f"{binding.name.id}={binding.value.span.text.strip()}"]
    if analysis.clip is not None:
        words += ["--clip", "x".join(map(str, analysis.clip))]
    return words
