"""Shared steps of the commands that convert and transfer weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.common import spec_source
from archdsl.core.report import Reporter
from archdsl.core.values import describe
from archdsl.elaborate.resolve import Resolver
from archdsl.files import FileLibrary, UsageError
from archdsl.weights.plan import OWN
from archdsl.weights.sources import changing, find_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archdsl.pipeline import Analysis

KEY = "Entry of the checkpoint to read, e.g. model_ema, or a.b for b in a (default: the raw weights of the model)."
OUTPUT = "File to write, in the safetensors format."


def output_of(text: str, inputs: Iterable[str]) -> Path:
    """Return the safetensors file to write.

    Raises:
        UsageError: if it has another suffix, or is one of the input files.
    """
    output = Path(text)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: expected a safetensors file, such as {output.with_suffix('.safetensors')}")
    if any(output.exists() and Path(file).exists() and output.samefile(file) for file in inputs):
        raise UsageError(f"{output}: is the checkpoint to read; choose another file with -o")
    return output


def check_sources(spec: str, named: Sequence[tuple[str, str]]) -> None:
    """Raise SpecError if a source, named by an option, has no map for a spec; a fast check before slow steps."""
    others = [(source, option) for source, option in named if source != OWN]
    program = Resolver(FileLibrary(), Reporter()).resolve(spec_source(spec)) if others else None
    for source, option in others:
        assert program is not None
        find_map(program, source, FileLibrary(), option)


def adopted_values(analysis: Analysis) -> str:
    """Return the parameter values that come from the source of the weights, as text."""
    changed = changing(analysis.adopted, analysis.program, analysis.settings, analysis.parameters)
    return ", ".join(f"{b.name.id} = {b.value.span.text.strip()}" for b in changed)


def parameter_texts(analysis: Analysis) -> dict[str, str]:
    """Return the values of the parameters as text, for the metadata of safetensors files."""
    return {k: describe(v).replace("`", "") for k, v in analysis.parameters.items()}


def clip_text(analysis: Analysis) -> str:
    """Return the user's clip size, as for `--clip`; empty for the declared size."""
    return "x".join(map(str, analysis.clip)) if analysis.clip is not None else ""
