"""Optimizer and learning-rate schedule of a recipe, with parameter groups for weight decay and layer decay."""

# Libraries without types.
# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.recipe import Recipe

HEAD = "head"


def optimiser(model: nn.Module, recipe: Recipe, blocks: Sequence[str], batch: int) -> torch.optim.Optimizer:
    """Return the optimizer of a model's trainable parameters.

    Args:
        model: the generated module.
        recipe: the hyperparameters.
        blocks: names of its blocks in the order of data flow, for layer-wise learning-rate decay.
        batch: clips per step, over all devices.
    """
    rate = recipe.lr * (batch / recipe.lr_batch if recipe.lr_batch else 1.0)
    groups = [{**group, "lr": rate * group["scale"]} for group in groups_of(model, recipe, blocks)]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(recipe.betas[0], recipe.betas[1]))
    nesterov = recipe.nesterov and recipe.momentum > 0
    return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=nesterov)


class Schedule(torch.optim.lr_scheduler.LambdaLR):
    """Learning-rate schedule, of whose saved state only the number of steps counts: groups and rates can change."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the number of steps."""
        self.last_epoch, self._step_count = state_dict["last_epoch"], state_dict["_step_count"]


def with_own_settings(optimizer: torch.optim.Optimizer, saved: dict[str, Any], *, sharded: bool) -> dict[str, Any]:
    """Return a saved state with this optimizer's groups and hyperparameters; a hook of `load_state_dict`.

    Args:
        optimizer: the optimizer that loads the state.
        saved: the state, with the names of parameters in each group.
        sharded: torch has sharded the state for FSDP, whose keys, as `params` of its groups, are names of weights in
            the order of this optimizer.
    """
    own = optimizer.state_dict()["param_groups"]
    if sharded:
        named = [{**group, "params": other["params"]} for group, other in zip(own, saved["param_groups"], strict=True)]
        return {**saved, "param_groups": named}
    number = {name: i for group in own for name, i in zip(group["names"], group["params"], strict=True)}
    moved: dict[Any, Any] = {}
    for group in saved["param_groups"]:
        if "names" in group:
            moved |= {i: number[n] for n, i in zip(group["names"], group["params"], strict=True) if n in number}
    return {**saved, "state": {moved.get(i, i): state for i, state in saved["state"].items()}, "param_groups": own}


def groups_of(model: nn.Module, recipe: Recipe, blocks: Sequence[str]) -> list[dict[str, Any]]:
    """Return groups of trainable parameters with equal weight decay and learning-rate factor (`scale`), and `names`."""
    groups: dict[tuple[float, float], dict[str, nn.Parameter]] = {}
    for owner, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                decay = recipe.weight_decay if _decays(module, name, parameter, recipe) else 0.0
                key = decay, rate_scale(f"{owner}.{name}", recipe, blocks)
                groups.setdefault(key, {})[f"{owner}.{name}"] = parameter
    return [
        {"params": list(group.values()), "names": list(group), "weight_decay": decay, "scale": scale}
        for (decay, scale), group in groups.items()
    ]


def _decays(module: nn.Module, name: str, parameter: nn.Parameter, recipe: Recipe) -> bool:
    """Return True for weights of convolutions and linear layers, and for what the recipe adds to them.

    What else has several axes is a class token, a position embedding or a table of biases; norms and biases have one.
    """
    if recipe.decay_norms or (recipe.decay_positions and parameter.ndim > 1):
        return True
    return name == "weight" and isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)


def rate_scale(name: str, recipe: Recipe, blocks: Sequence[str]) -> float:
    """Return the factor of a parameter's learning rate: 1 in the head, decayed for each block before it.

    Layers are counted as in BEiT (Bao et al. 2022): all parameters before the first block form the first layer, the
    head is the last layer.
    """
    if name.split(".", maxsplit=1)[0] == HEAD:
        return 1.0
    scale = recipe.backbone_lr
    if recipe.layer_decay < 1:
        inside = [i for i, block in enumerate(blocks) if name == block or name.startswith(f"{block}.")]
        scale *= recipe.layer_decay ** (len(blocks) - (inside[0] if inside else 0))
    return scale


def factor(recipe: Recipe, epoch: float, epochs: float) -> float:
    """Return the factor of the learning rate at a (fractional) epoch of a run of `epochs`.

    The warm-up is linear (Goyal et al. 2017). It replaces the start of the schedule, as in the code of SlowFast; with
    `cosine_after_warmup`, as in that of MViT, the cosine (Loshchilov and Hutter 2017) begins at its end.
    """
    if recipe.schedule == "cosine":
        begin = min(recipe.warmup, epochs) if recipe.cosine_after_warmup else 0.0
        share = min(1.0, (epoch - begin) / (epochs - begin)) if epochs > begin else 0.0
        scale = recipe.final_lr + (1 - recipe.final_lr) * (1 + math.cos(math.pi * share)) / 2
    elif recipe.schedule == "steps":
        scale = recipe.gamma ** sum(epoch >= step for step in recipe.steps)
    else:
        scale = 1.0
    warmup = min(recipe.warmup, epochs)
    if epoch < warmup:
        end = factor(recipe, warmup, epochs)
        return recipe.warmup_start + (end - recipe.warmup_start) * epoch / warmup
    return scale
