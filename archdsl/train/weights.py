"""Initial weights of a run, and trained weights."""

# Much of what it calls has no types.
# pyright: reportUnknownVariableType=false

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from archdsl.architecture import load
from archdsl.core.render import render_text
from archdsl.files import UsageError, WeightsError
from archdsl.state_dicts import transfer_weights
from archdsl.train.run import WEIGHTS
from archdsl.weights.checkpoint import read_checkpoints
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
    """A checkpoint that a run begins with."""

    file: str
    source: str = OWN  # whose tensor names it has
    spec: str | None = None  # of the network that it is of; None: the spec of the run, as published


def starting_weights(arch: Architecture, checkpoint: Checkpoint, spec: str) -> Tensors:
    """Return a checkpoint as tensors of an architecture: of the same network, or made of those of its base.

    The base is that of the checkpoint, else `spec` as it is published; another head is initialised.

    Raises:
        SpecError: if the tensors are not those of the base.
        UsageError: if they cannot be read.
    """
    file, source = checkpoint.file, checkpoint.source
    if source == OWN and checkpoint.spec is None:
        found, told = read_checkpoints([("", file)], arch.tensors)
        if {name: tuple(tensor.shape) for name, tensor in found.items()} == arch.tensors:
            _show(told)
            return dict(found)
    base = load(checkpoint.spec or spec, like=None if source == OWN else source)
    tensors, told = read_checkpoints([("", file)], base.plan_weights(source).theirs)
    _show(told)
    return transfer_weights(base, tensors, arch, source)


def _show(diagnostics: Sequence[Diagnostic]) -> None:
    """Print diagnostics about the checkpoint."""
    if diagnostics:
        print(render_text(diagnostics, color=sys.stderr.isatty()), end="", file=sys.stderr)


def trained(run: Run, folder: Path, weights: str | None) -> torch.nn.Module:
    """Return the module of a run, with the weights of its last epoch, or with others.

    Raises:
        UsageError: if there are none.
        SpecError: if the file cannot be read.
        WeightsError: if they do not fit.
    """
    path = Path(weights) if weights is not None else folder / WEIGHTS
    if not path.exists():
        raise UsageError(f"{path}: no such file" + ("; no epoch of the run has ended yet" if weights is None else ""))
    model = run.model()
    tensors, told = read_checkpoints([("", str(path))], model.state_dict())
    _show(told)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path}: are no weights of {run.name}: {str(error).splitlines()[0]}") from None
    return model
