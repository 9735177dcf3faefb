"""Shared steps of the commands: reading specs with the user's changes, showing errors."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from archdsl.core.source import STDIN, Source
from archdsl.files import MAX_BYTES, EnvironmentFault, FileLibrary, read_spec, source_of
from archdsl.frontend.parse import parse_binding
from archdsl.pipeline import Analysis, analyse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.commands.options import BaseOptions, PairOptions, SpecOptions
    from archdsl.elaborate.clip import Clip
    from archdsl.frontend.ast import Binding


def settings(texts: Sequence[str], option: str = "--set") -> list[Binding]:
    """Parse the values of an option such as `--set`; raise SpecError if one is not NAME=VALUE."""
    return [parse_binding(Source(option, text)) for text in texts]


@cache
def _standard_input() -> Source:
    return source_of(STDIN, sys.stdin.buffer.read(MAX_BYTES + 1))


def spec_source(spec: str) -> Source:
    """Return the text of a spec: a file, a bundled spec by its name, or standard input for `-`.

    Raises:
        SpecError: if it is not UTF-8.
        UsageError: if the file cannot be read.
    """
    return _standard_input() if spec == "-" else read_spec(spec)


def analysed(spec: str, options: SpecOptions, clip: Clip | None = None, like: str | None = None) -> Analysis:
    """Return the analysis of a spec with the user's changes.

    Args:
        spec: as for `spec_source`.
        options: the changes.
        clip: the size of the clip, which overrides `options.clip`.
        like: a source of weights, which overrides `options.like`.

    Raises:
        SpecError: if the spec has errors.
        UsageError: if the spec cannot be read.
    """
    chosen = settings(options.settings)
    recipe = settings(options.recipe, "--recipe")
    return analyse(spec_source(spec), FileLibrary(), chosen, clip or options.clip, like or options.like, recipe)


def base_analysed(options: BaseOptions, like: str | None = None) -> Analysis:
    """Return the analysis of BASE, with the changes to it."""
    chosen = settings(options.base_settings)
    source = spec_source(options.base)
    return analyse(source, FileLibrary(), chosen, options.base_clip, like or options.base_like)


def analysed_pair(options: PairOptions) -> tuple[Analysis, Analysis]:
    """Return the analyses of BASE and SPEC; SPEC defaults to BASE with the changes to SPEC.

    Raises:
        SpecError: if a spec has errors.
        UsageError: if a spec cannot be read.
    """
    return base_analysed(options), analysed(options.spec or options.base, options)


def missing_packages(*names: str) -> None:
    """Raise EnvironmentFault if a package is not installed."""
    from importlib.util import find_spec

    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(f"missing packages: {', '.join(missing)}; pip install 'archdsl[torch]'")
