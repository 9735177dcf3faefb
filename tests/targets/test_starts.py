"""What fresh modules begin with, against the rules in the authors' code of families that have rules of their own.

The rules are said here by names of our tensors, and hold for all numbers of a tensor.
"""

from __future__ import annotations

import re
from math import prod, sqrt
from typing import Any

import pytest
import torch

import archdsl

SURE = 6.0  # deviations of the spread of normally distributed numbers
WIDE = {"dim": 64, "depth": 3, "heads": 2}
OWN, SCALED, EQUAL = "own", "scaled", "equal"
# By spec: small parameters, and rules by patterns of names, of which the first that matches holds. A rule is a spread;
# one that is divided by √(2n) in the n-th block of a row; a value that all numbers have; or torch's own way, evenly
# between ±1/√fan-in. No rule: what comes from a checkpoint in any case.
RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "vjepa2_l": (
        {**WIDE, "freeze": False},
        {  # src/models/vision_transformer.py and attentive_pooler.py: _init_weights, _rescale_blocks
            r"(?:head\.)?blocks\.(\d+)\.(?:attention\.proj|mlp\.linear2)\.weight": (SCALED, 0.02),
            r"head\.reader\.mlp\.linear2\.weight": 0.02 / sqrt(2 * 3),
            r".*norm\w*\.weight": (EQUAL, 1),
            r".*bias": (EQUAL, 0),
            r".*": 0.02,
        },
    ),
    "internvideo2_s": (
        {**WIDE, "pool_heads": 2, "pool_dim": 64},
        {  # single_modality/models/internvideo2.py: _init_weights, fix_init_weight, init_pos_embed
            r"blocks\.(\d+)\.(?:attention\.proj|mlp\.linear2)\.weight": (SCALED, 0.02),
            r".*norm\w*\.weight": (EQUAL, 1),
            r".*scale\d?\.weight": (EQUAL, 1e-5),
            r"embed\.conv\..*": OWN,
            r"embed\.position.*": None,  # sinusoids, which tests/layers hold
            r"head\.linear\.weight": 0.02 / 1000,
            r".*bias": (EQUAL, 0),
            r".*": 0.02,
        },
    ),
    "hiera_b": (
        {"dim": 32, "heads": 1, "depths": [1, 2, 1, 1], "unit": 4},
        {  # hiera/hiera.py: _init_weights, head_init_scale
            r"embed\.conv\.bias": OWN,
            r".*norm\w*\.weight": (EQUAL, 1),
            r"head\.linear\.bias": (EQUAL, 0.02 / 1000),
            r"head\.linear\.weight": 0.02 / 1000,
            r".*bias": (EQUAL, 0.02),
            r".*": 0.02,
        },
    ),
    "uniformer_s": (
        {"widths": [16, 16, 32, 32], "depths": [1, 2, 1, 1], "head_width": 16},
        {  # slowfast/models/uniformer.py: _init_weights, which leaves convolutions alone
            r".*(?:bn|norm)\w*\.(?:weight|running_var)": (EQUAL, 1),
            r".*(?:conv|place|around)\d?\.(?:weight|bias)": OWN,
            r".*(?:bias|running_mean|tracked)": (EQUAL, 0),
            r".*": 0.02,
        },
    ),
    "st_adapter_b": (
        {**WIDE, "width": 32},
        {  # models_adapter.py: Adapter
            r"blocks\.\d\.adapter\d\.linear\d\.weight": OWN,
            r"blocks\.\d\.adapter\d\..*": (EQUAL, 0),
            r"head\.linear\.weight": 0.02,
            r"head\.linear\.bias": (EQUAL, 0),
            r".*": None,  # CLIP's tower
        },
    ),
    "videofocalnet_t": (
        {"width": 32, "depths": [1, 2, 1, 1]},
        {  # classification/videofocalnet.py: _init_weights, which leaves convolutions and `h` alone
            r".*(?:conv\d?|in_space\.out|in_time\.out)\.(?:weight|bias)": OWN,
            r".*norm\w*\.weight": (EQUAL, 1),
            r".*bias": (EQUAL, 0),
            r".*": 0.02,
        },
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_starts_of_a_family(name: str) -> None:
    parameters, rules = RULES[name]
    torch.manual_seed(0)
    tensors = archdsl.load(name, clip=(3, 4, 64, 64), **parameters).build().state_dict()
    unused = set(rules)
    for tensor_name, tensor in tensors.items():
        pattern = next(p for p in rules if re.fullmatch(p, tensor_name))
        unused.discard(pattern)
        rule, values = rules[pattern], tensor.double()
        match rule:
            case None:
                continue
            case ("equal", value):
                assert torch.allclose(values, torch.full_like(values, value), rtol=1e-6, atol=0), tensor_name
                continue
            case "own":
                fans = tensors[re.sub("bias$", "weight", tensor_name)].shape
                limit = 1 / sqrt(prod(fans[1:]))
                assert 0.9 * limit * (1 - 4 / values.numel()) < values.abs().max() <= limit * (1 + 1e-6), tensor_name
                spread = limit / sqrt(3)
            case ("scaled", std):
                number = re.fullmatch(pattern, tensor_name)
                assert number is not None
                spread = std / sqrt(2 * (int(number[1]) + 1))
            case _:
                spread = rule
        found = values.square().mean().sqrt() / spread
        assert abs(found - 1) < SURE / sqrt(2 * values.numel()), f"{tensor_name}: {found:.3f} of {spread:.3g}"
    assert not unused
