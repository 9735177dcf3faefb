"""Freezing of parts of a model by patterns of names, in all epochs or in the first ones."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import torch

from archdsl.core.diagnostics import did_you_mean
from archdsl.files import UsageError
from archdsl.train.optim import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from archdsl.train.run import Run

ALL_BUT_HEAD = ""  # the pattern of `--freeze` without one


class Freezing:
    """The frozen part of a model: it takes no gradients, and its norms keep their statistics.

    Frozen are the modules whose names match a pattern, with all in them, and the weights whose names do. A module whose
    weights are all frozen is frozen, too. What the spec freezes stays frozen in any case.

    Args:
        model: the generated module; with `epochs` None the frozen weights no longer require gradients.
        patterns: as for `fnmatch`, where `*` also matches dots; `ALL_BUT_HEAD`.
        epochs: the number of epochs, from the first one, in which the part is frozen; None for all.
        single: the run has one process. In several, DDP and FSDP have settled which weights take gradients before the
            first epoch, so that gradients of these epochs are computed and dropped.
    """

    def __init__(self, model: nn.Module, patterns: Sequence[str], epochs: int | None, *, single: bool = True) -> None:
        self.model, self.epochs, self.single = model, epochs, single
        self.weights = {n for n, p in model.named_parameters() if p.requires_grad and matches(n, patterns)}
        self.modules = {
            name
            for name, module in model.named_modules()
            if name and (matches(name, patterns) or self._holds(f"{name}.", module))
        }
        if epochs is None:
            self._require_gradients(required=False)

    def _holds(self, prefix: str, module: nn.Module) -> bool:
        """Return True if a module has weights, and all of them are frozen."""
        names = [f"{prefix}{name}" for name, _ in module.named_parameters()]
        return bool(names) and self.weights.issuperset(names)

    def _require_gradients(self, *, required: bool) -> None:
        for _, parameter in self._frozen():
            parameter.requires_grad_(required)

    def _frozen(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the frozen weights; sharding replaces the objects, not their names."""
        return ((name, p) for name, p in self.model.named_parameters() if name in self.weights)

    def begin_epoch(self, epoch: int) -> None:
        """Set the modes of the model's modules for an epoch, counted from 0."""
        self.model.train()
        active = self._is_active(epoch)
        if self.epochs is not None and self.single:
            self._require_gradients(required=not active)
        for name, module in self.model.named_modules():
            if active and name in self.modules:
                module.eval()

    def drop_gradients(self, epoch: int) -> None:
        """Drop the gradients of frozen weights before a step."""
        if self.weights and self._is_active(epoch):
            for _, parameter in self._frozen():
                parameter.grad = None

    def _is_active(self, epoch: int) -> bool:
        return self.epochs is None or epoch < self.epochs


def add_missing_states(optimizer: dict[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
    """Add the states of weights that were frozen until now to a saved optimizer: zeros, as at its beginning.

    Args:
        optimizer: the state dict of the optimizer, whose groups have `names`.
        weights: the weights by these names.
    """
    states: dict[Any, Any] = optimizer.get("state", {})
    if not states:  # not the first process
        return
    known: dict[str, Any] = next(iter(states.values()))
    for group in optimizer["param_groups"]:
        for name, number in zip(group.get("names", ()), group["params"], strict=False):
            new = {k: torch.zeros_like(weights[name] if v.ndim else v) for k, v in known.items() if hasattr(v, "ndim")}
            states.setdefault(number, {**known, **new})


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return True if a pattern is for a dotted name, or for a module around it."""
    parts = name.split(".")
    around = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(
        parts[0] != HEAD if pattern == ALL_BUT_HEAD else any(fnmatchcase(n, pattern) for n in around)
        for pattern in patterns
    )


def check_freezing(run: Run) -> None:
    """Check the patterns of a run, and the number of epochs.

    Raises:
        UsageError: if a pattern matches nothing, if nothing is left to train, or the epochs are those of the run.
    """
    with torch.device("meta"):
        model = run.model()
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        raise UsageError(f"{run.name}: has nothing to train: its spec freezes all layers with weights, or has none")
    for pattern in run.frozen:
        if not any(matches(name, [pattern]) for name in names):
            if pattern == ALL_BUT_HEAD:
                raise UsageError(f"--freeze: the spec of {run.name} freezes all but the head itself; omit it")
            raise UsageError(
                f"--freeze '{pattern}': {run.name} has no trainable weights of such a name{_near(pattern, names)}"
            )
    if all(matches(name, run.frozen) for name in names):
        raise UsageError(f"--freeze: freezes all weights of {run.name}, so that none are left to train")
    if run.freeze_epochs is not None and run.freeze_epochs >= run.recipe.epochs:
        raise UsageError(
            f"--freeze-epochs {run.freeze_epochs}: the run has {run.recipe.epochs} epochs; name fewer, "
            "or omit it to freeze in all of them"
        )


def _near(pattern: str, names: Sequence[str]) -> str:
    """Return a hint with the names most similar to a pattern, or else the parts of the model."""
    parts = [name.split(".") for name in names]
    known = dict.fromkeys(".".join(part[:end]) for part in parts for end in range(1, len(part) + 1))
    text = did_you_mean(re.sub(r"[*?\[\]]", "", pattern).strip("."), known)
    return f"; {text}" if text else f"; its parts are {', '.join(dict.fromkeys(part[0] for part in parts))}"
