"""What the commands share: reading specs with the user's settings, showing faults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.core.source import Source
from archdsl.files import EnvironmentFault, FileLibrary, read_source
from archdsl.frontend.parse import parse_binding
from archdsl.pipeline import Analysis, analyse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.elaborate.expand import Clip
    from archdsl.frontend.ast import Binding


def settings(texts: Sequence[str], option: str = "--set") -> list[Binding]:
    """The values of an option such as `--set`. Raises SpecError if one is not NAME=VALUE."""
    return [parse_binding(Source(option, text)) for text in texts]


def analysed(spec: str, arguments: argparse.Namespace, clip: Clip | None = None, like: str | None = None) -> Analysis:
    """One spec with the user's settings and clip, like a source of weights if one is named.

    Raises:
        SpecError: if it has faults.
        UsageError: if it cannot be read.
    """
    chosen = settings(arguments.set)
    recipe = settings(getattr(arguments, "recipe", ()), "--recipe")
    return analyse(read_source(spec), FileLibrary(), chosen, clip or arguments.clip, like or arguments.like, recipe)


def base_analysed(arguments: argparse.Namespace, like: str | None = None) -> Analysis:
    """BASE, with the options that are for it."""
    chosen = settings(arguments.base_set)
    source = read_source(arguments.base)
    return analyse(source, FileLibrary(), chosen, arguments.base_clip, like or arguments.base_like)


def analysed_pair(arguments: argparse.Namespace) -> tuple[Analysis, Analysis]:
    """BASE with the options that are for it, and SPEC, or BASE again, with those for the other.

    Raises:
        SpecError: if one of them has faults.
        UsageError: if it cannot be read.
    """
    return base_analysed(arguments), analysed(arguments.spec or arguments.base, arguments)


def missing_packages(*names: str) -> None:
    """Raises EnvironmentFault if what moves tensors is not installed."""
    from importlib.util import find_spec

    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(f"tensors are moved by {' and '.join(missing)}: pip install 'archdsl[torch]'")


def same_file(output: Path, file: str) -> bool:
    """Whether what shall be written is what is read."""
    return output.exists() and Path(file).exists() and output.samefile(file)


def show_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """Prints faults for a person, on standard error."""
    shown = tuple(diagnostics)
    if shown:
        from archdsl.core.render import render_text

        print(render_text(shown, color=sys.stderr.isatty()), end="", file=sys.stderr)
