"""The optimiser of a recipe: groups of parameters with a rate and a decay of their own, and the schedule over steps."""

# Much of what it calls has no types.
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
    """The optimiser for what of a model is trained.

    Args:
        model: the generated module.
        recipe: says how.
        blocks: names of its blocks in the order of data flow, for the decay of learning rates by layer.
        batch: clips that one step sees, over all devices.
    """
    rate = recipe.lr * (batch / recipe.lr_batch if recipe.lr_batch else 1.0)
    groups = [{**group, "lr": rate * group["scale"]} for group in groups_of(model, recipe, blocks)]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(recipe.betas[0], recipe.betas[1]))
    nesterov = recipe.nesterov and recipe.momentum > 0
    return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=nesterov)


def groups_of(model: nn.Module, recipe: Recipe, blocks: Sequence[str]) -> list[dict[str, Any]]:
    """Parameters that share a decay and a factor of the learning rate, `scale`; frozen ones are in none."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for owner, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                decay = recipe.weight_decay if recipe.decay_norms or _decays(module, name) else 0.0
                key = decay, rate_scale(f"{owner}.{name}", recipe, blocks)
                groups.setdefault(key, []).append(parameter)
    return [{"params": found, "weight_decay": decay, "scale": scale} for (decay, scale), found in groups.items()]


def _decays(module: nn.Module, name: str) -> bool:
    """Filters and matrices do; norms, biases, positions, tables and class tokens do not."""
    filters = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
    return name == "weight" and isinstance(module, filters)


def rate_scale(name: str, recipe: Recipe, blocks: Sequence[str]) -> float:
    """The factor of a parameter's learning rate: less before the head, and less for each block further from it.

    Layers are counted as in BEiT (Bao et al. 2022): what comes before the first block is one, the head the last.
    """
    if name.split(".", maxsplit=1)[0] == HEAD:
        return 1.0
    scale = recipe.backbone_lr
    if recipe.layer_decay < 1:
        inside = [i for i, block in enumerate(blocks) if name == block or name.startswith(f"{block}.")]
        scale *= recipe.layer_decay ** (len(blocks) - (inside[0] if inside else 0))
    return scale


def factor(recipe: Recipe, epoch: float, epochs: float) -> float:
    """What the learning rate is multiplied by, `epoch` (with a fraction) into a run of `epochs`.

    The warm-up is linear (Goyal et al. 2017), the cosine that of Loshchilov and Hutter 2017, cut off by the warm-up as
    in the code of SlowFast and MViT.
    """
    if recipe.schedule == "cosine":
        share = min(1.0, epoch / epochs) if epochs else 1.0
        found = recipe.final_lr + (1 - recipe.final_lr) * (1 + math.cos(math.pi * share)) / 2
    elif recipe.schedule == "steps":
        found = recipe.gamma ** sum(epoch >= step for step in recipe.steps)
    else:
        found = 1.0
    warmup = min(recipe.warmup, epochs)
    if epoch < warmup:
        end = factor(recipe.replace(warmup=0), warmup, epochs)
        return recipe.warmup_start + (end - recipe.warmup_start) * epoch / warmup
    return found
