"""Initial weights of a run, and trained weights."""

# Libraries without types.
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from archdsl.architecture import load
from archdsl.core.render import render_text
from archdsl.files import UsageError, WeightsError
from archdsl.state_dicts import transferred
from archdsl.train.run import WEIGHTS
from archdsl.weights.checkpoint import read_checkpoints
from archdsl.weights.convert import not_finite
from archdsl.weights.plan import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from archdsl.architecture import Architecture
    from archdsl.core.diagnostics import Diagnostic
    from archdsl.train.run import Run

Tensors: TypeAlias = "dict[str, torch.Tensor]"  # by name


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint that initialises a run."""

    file: str
    source: str = OWN  # the source whose tensor names it has
    spec: str | None = None  # the spec of its network; None for the spec of the run, as published


def starting_weights(arch: Architecture, checkpoint: Checkpoint, spec: str) -> Tensors:
    """Return the initial weights of an architecture: a checkpoint of the same network, or a transfer from its base.

    The base is the spec of the checkpoint, or else `spec` as published; a different head is initialised.

    Raises:
        SpecError: if the tensors do not match the base.
        UsageError: if the file cannot be read.
    """
    file, source = checkpoint.file, checkpoint.source
    if source == OWN and checkpoint.spec is None:
        own, warnings = read_checkpoints([("", file)], arch.tensors)
        if {name: tuple(tensor.shape) for name, tensor in own.items()} == arch.tensors:
            _show(warnings)
            return dict(own)
    base = load(checkpoint.spec or spec, like=None if source == OWN else source)
    names, plan = base.plan_weights(source), arch.plan_transfer(base)
    tensors, warnings = read_checkpoints([("", file)], names.theirs)
    _show([*warnings, *names.warnings, *not_finite(tensors, file), *plan.warnings])
    return transferred(plan, names, tensors, arch)


def _show(diagnostics: Sequence[Diagnostic]) -> None:
    """Print diagnostics about the checkpoint."""
    if diagnostics:
        print(render_text(diagnostics, color=sys.stderr.isatty()), end="", file=sys.stderr)


def trained(run: Run, folder: Path, weights: str | None) -> torch.nn.Module:
    """Return the module of a run, with the weights of its last epoch, or of the file `weights`.

    Raises:
        UsageError: if the file does not exist.
        SpecError: if the file cannot be read.
        WeightsError: if its tensors do not match the module.
    """
    path = Path(weights) if weights is not None else folder / WEIGHTS
    if not path.exists():
        raise UsageError(f"{path}: no such file" + ("; no epoch of the run has ended yet" if weights is None else ""))
    model = run.model()
    tensors, warnings = read_checkpoints([("", str(path))], model.state_dict())
    _show(warnings)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path}: not weights of {run.name}: {str(error).splitlines()[0]}") from None
    return model
