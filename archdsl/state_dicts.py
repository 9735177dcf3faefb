"""The Python interface to weights: state dicts converted between code bases, and transferred to variants."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from archdsl.architecture import Architecture, transfer_plan, weights_plan
from archdsl.core.arguments import require, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from archdsl.transfer.plan import TransferPlan
    from archdsl.weights.plan import Plan

_STATE_DICT = "the state dict"
_ARCHITECTURE = "an architecture, as archdsl.load returns it"


def convert_weights(
    arch: Architecture, state_dict: Mapping[str, Any], source: str, to: str = "archdsl", key: str = ""
) -> dict[str, torch.Tensor]:
    """Convert a state dict of another code base to our names, for `load_state_dict(…, strict=True)`.

    Args:
        arch: the network that the weights are for.
        state_dict: the tensors by the names of the source, or a checkpoint with them, as `torch.load` returns it.
        source: the code base of the names, such as `"torchvision"`; `"archdsl"` for our own.
        to: the code base to convert to.
        key: the entry of a checkpoint to read, such as `"model_ema"`; empty for the model's state dict, with a Python
            warning if the checkpoint also has averages of the weights.

    Raises:
        SpecError: if a tensor is missing, not needed or of another shape, the network is not the one that the source
            needs, or tensors are not real numbers.
    """
    from archdsl.weights.convert import convert

    require("arch", arch, Architecture, _ARCHITECTURE)
    plan = weights_plan(arch, source, "source", "convert_weights")
    tensors = _loaded(state_dict, plan, key)
    return convert(tensors, plan, weights_plan(arch, to, "to", "convert_weights"), _STATE_DICT)


def _loaded(state_dict: Mapping[str, Any], plan: Plan, key: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint, and issue its warnings as Python warnings."""
    from archdsl.weights.checkpoint import state_dict_of
    from archdsl.weights.convert import not_finite

    require("key", key, str, "the name of an entry of the checkpoint, such as 'model_ema'")
    if not hasattr(state_dict, "items"):  # as a checkpoint's other types of mappings have
        of_module = callable(getattr(state_dict, "state_dict", None))
        how = "state_dict() of the module" if of_module else "torch.load of the file"
        message = f"state_dict = {shown(state_dict)}: expected tensors by name, as {how} returns them"
        raise TypeError(message)
    tensors, diagnostics = state_dict_of(state_dict, _STATE_DICT, key, plan.theirs)
    for diagnostic in (*plan.warnings, *diagnostics, *not_finite(tensors, _STATE_DICT)):
        text = "; ".join(filter(None, (diagnostic.label, diagnostic.help)))
        warnings.warn(f"{diagnostic.code}: {text}", stacklevel=3)
    return tensors


def revert_weights(arch: Architecture, state_dict: Mapping[str, Any], source: str) -> dict[str, torch.Tensor]:
    """Convert a state dict with our names to those of another code base: the inverse of `convert_weights`."""
    from archdsl.weights.convert import convert

    require("arch", arch, Architecture, _ARCHITECTURE)
    plan, to = weights_plan(arch, "archdsl", "source", ""), weights_plan(arch, source, "source", "revert_weights")
    return convert(_loaded(state_dict, plan, ""), plan, to, _STATE_DICT)


def transfer_weights(
    base: Architecture,
    state_dict: Mapping[str, Any],
    arch: Architecture,
    source: str = "archdsl",
    key: str = "",
    **rules: Any,
) -> dict[str, torch.Tensor]:
    """Initialise the weights of a variant from those of a base, for `load_state_dict(…, strict=True)`.

    Tensors without an origin are initialised as in `arch.build()`, with the current state of torch's generator.

    Args:
        base: the network that the weights are of.
        state_dict: its tensors, or a checkpoint with them, as `torch.load` returns it.
        arch: the network to initialise.
        source: the code base of the names, such as `"torchvision"`; `"archdsl"` for our own.
        key: the entry of a checkpoint to read; empty for the model's state dict.
        rules: as in `Architecture.plan_transfer`.

    Raises:
        SpecError: if the tensors are not those of the base (unused ones may be missing), or not real
            numbers, or a map of names has faults; if all tensors would be new.
        ValueError: if a rule has an unknown value.
    """
    require("base", base, Architecture, _ARCHITECTURE)
    require("arch", arch, Architecture, _ARCHITECTURE)
    plan = transfer_plan(base, arch, rules, "transfer_weights")
    for warning in plan.warnings:
        warnings.warn(f"{warning.code}: {warning.label}; {warning.help}", stacklevel=2)
    names = weights_plan(base, source, "source", "transfer_weights")
    return transferred(plan, names, _loaded(state_dict, names, key), arch)


def transferred(
    plan: TransferPlan, names: Plan, tensors: Mapping[str, torch.Tensor], arch: Architecture, origin: str = _STATE_DICT
) -> dict[str, torch.Tensor]:
    """Return the weights of `arch` by a plan; `names` maps the tensors, those of `origin`, to the base of the plan."""
    from archdsl.transfer.apply import transfer
    from archdsl.transfer.plan import check_not_empty, unneeded
    from archdsl.weights.convert import convert
    from archdsl.weights.plan import own_plan

    check_not_empty(plan, origin)
    own = convert(tensors, names, own_plan(names.network, names.ours), origin, unneeded(plan, names))
    return transfer(plan, own, arch.build().state_dict())
