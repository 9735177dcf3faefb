"""Weights and clips that are a function of a name and a shape alone, so that a record of what a published model
computes with them needs no weights beside it.

Only the raw output of numpy's Philox generator is used, which is the same in every version of numpy.
"""

from __future__ import annotations

import math
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping


KEPT = 100_000_000  # numbers, for records whose networks have tensors of the same names and shapes
CHUNK = 1 << 14  # numbers that are made at a time, so that they stay in the cache of a core


class _Kept:
    """Tensors of the last names that were asked for."""

    def __init__(self) -> None:
        self.tensors: dict[tuple[str, tuple[int, ...]], torch.Tensor] = {}
        self.numbers = 0

    def uniform(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        tensor = self.tensors.pop((name, shape), None)
        if tensor is None:
            tensor = _drawn(name, shape)
            self.numbers += tensor.numel()
        self.tensors[name, shape] = tensor
        while self.numbers > KEPT:
            self.numbers -= self.tensors.pop(next(iter(self.tensors))).numel()
        return tensor


_kept = _Kept()


def uniform(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform in [-√3, √3), so of mean 0 and variance 1; the name is the seed. It is given again: copy to change it."""
    return _kept.uniform(name, shape)


def _drawn(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    generator = np.random.Philox(key=int.from_bytes(sha256(name.encode()).digest()[:8], "little"))
    result = np.empty(math.prod(shape), np.float32)
    for part in (result[start : start + CHUNK] for start in range(0, result.size, CHUNK)):
        raw = generator.random_raw(part.size)
        raw >>= np.uint64(11)
        values = raw.astype(np.float64)
        for step, number in ((np.multiply, 2.0**-52), (np.subtract, 1.0), (np.multiply, math.sqrt(3))):
            step(values, number, out=values)
        part[:] = values
    return torch.from_numpy(result.reshape(shape))


def weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor `name` of a state dict: kernels of variance 1 / fan-in, factors near 1, biases and means near 0."""
    values = uniform(name, shape)
    if name.endswith("running_var"):
        return 1 + 0.25 * values
    if len(shape) > 1:
        return values / math.sqrt(math.prod(shape[1:]))
    return 1 + 0.1 * values if name.endswith("weight") else 0.1 * values


def clip(shape: tuple[int, ...]) -> torch.Tensor:
    """The clip (B, C, T, H, W) that the records were made with."""
    return uniform("input:clip", shape)


def inputs_of(record: Mapping[str, Any]) -> list[torch.Tensor]:
    """The clip of a record, its sound, and what else it was given: numbers of its frames, boxes in it, a mask."""
    others = [torch.tensor(record[name]) for name in ("position_ids", "boxes") if name in record]
    others += [torch.tensor([record["mask"]]).bool()] if "mask" in record else []
    return [*(clip(tuple(record["inputs"][name])) for name in ("clip", "sound") if name in record["inputs"]), *others]


def weights_of(record: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights that a record was made with, some times a factor where plain ones leave what float32 can hold."""
    theirs = {name: weight(name, tuple(shape)) for name, shape in record["state_dict"].items()}
    for pattern, factor in dict(record.get("weight_scale", {})).items():
        theirs.update((name, tensor * factor) for name, tensor in theirs.items() if re.search(pattern, name))
    return theirs
