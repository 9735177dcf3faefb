"""`archdsl explain CODE`: what a fault means and how it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import did_you_mean
from archdsl.files import UsageError

if TYPE_CHECKING:
    import argparse


def command(arguments: argparse.Namespace) -> int:
    """Prints the explanation of a code."""
    from archdsl.core.explain import explain

    code = arguments.code.upper()
    text = explain(code)
    if text is None:
        hint = did_you_mean(code, TITLES)
        raise UsageError(f"no fault has the code {arguments.code}" + (f"; {hint}" if hint else ""))
    print(f"{code}: {TITLES[code]}\n\n{text}")
    return 0
