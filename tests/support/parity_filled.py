"""Modules whose tensors are all given, built without drawing initial values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from archdsl import Architecture

DRAWN = "kaiming_normal_ kaiming_uniform_ normal_ trunc_normal_ uniform_ xavier_uniform_".split()


def filled(arch: Architecture, state: dict[str, torch.Tensor], **how: Any) -> torch.nn.Module:
    """The module of a network in evaluation with all of its tensors given: none is drawn first, which takes long."""
    with pytest.MonkeyPatch.context() as patch:
        for name in DRAWN:
            patch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
        model = arch.build(**how).eval()
    model.load_state_dict(state, strict=True)
    return model
