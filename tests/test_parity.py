"""The generated SlowFast computes what the published implementation does.

`parity/*.json` record the logits and the outputs of inner modules of PySlowFast with the weights and the clip of
`parity_weights.py`, and where that code is from.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from parity_weights import clip, weight

import archdsl

ROOT = Path(__file__).parent.parent
RECORD: dict[str, Any] = json.loads((ROOT / "tests/parity/psf_slowfast_8x8_r50_small.json").read_text("utf-8"))
PATHS = ("slow", "fast")
# A name of ours, and PySlowFast's: `{p}` is the number of the path.
NAMES = (
    (r"(slow|fast)\.conv1\.(.*)", r"s1.pathway{p}_stem.\2"),
    (r"(slow|fast)\.res(\d)\.(\d+)\.shortcut\.conv\.(.*)", r"s\2.pathway{p}_res\3.branch1.\4"),
    (r"(slow|fast)\.res(\d)\.(\d+)\.shortcut\.bn\.(.*)", r"s\2.pathway{p}_res\3.branch1_bn.\4"),
    (r"(slow|fast)\.res(\d)\.(\d+)\.conv([123])\.(.*)", r"s\2.pathway{p}_res\3.branch2.{\4}.\5"),
    (r"(slow|fast)\.res(\d)\.(\d+)\.bn([123])\.(.*)", r"s\2.pathway{p}_res\3.branch2.{\4}_bn.\5"),
    (r"fast_to_slow\.(?:conv|res)(\d)\.conv\.(.*)", r"s\1_fuse.conv_f2s.\2"),
    (r"fast_to_slow\.(?:conv|res)(\d)\.bn\.(.*)", r"s\1_fuse.bn.\2"),
    (r"head\.linear\.(.*)", r"head.projection.\1"),
)


def theirs(name: str) -> str:
    """PySlowFast's name for a tensor of ours."""
    for pattern, replacement in NAMES:
        match = re.fullmatch(pattern, name)
        if match is not None:
            path = str(PATHS.index(match[1])) if match[1] in PATHS else ""
            text = match.expand(replacement).replace("{p}", path)
            return re.sub(r"\{([123])\}", lambda m: "abc"[int(m[1]) - 1], text)
    raise KeyError(name)


class Run(NamedTuple):
    """What our module gives for the record's weights and clip."""

    logits: torch.Tensor
    features: dict[str, torch.Tensor]


def translated(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Our state dict, filled with the record's weights under the names that they have there."""
    state: dict[str, torch.Tensor] = {}
    used: set[str] = set()
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = tensor
            continue
        original = theirs(name)
        assert RECORD["state_dict"][original] == list(tensor.shape), (name, original)
        used.add(original)
        state[name] = weight(original, tuple(tensor.shape))
    assert used == set(RECORD["state_dict"])
    return state


@pytest.fixture(scope="module")
def run() -> Run:
    """The module of the spec, for a small clip."""
    shape = tuple(RECORD["inputs"]["clip"])
    model = archdsl.load(ROOT / "specs" / "slowfast_r50.arch", clip=shape[1:]).build().eval()
    model.load_state_dict(translated(model), strict=True)
    clips = clip(shape)
    with torch.no_grad():
        return Run(model(clips), model.forward_features(clips))


def test_logits(run: Run) -> None:
    expected = torch.tensor(RECORD["output"]).reshape(run.logits.shape)
    assert (run.logits - expected).abs().max() <= 2e-5 * expected.abs().max()


def test_tensors_are_as_many() -> None:
    assert archdsl.load(ROOT / "specs" / "slowfast_r50.arch").params == RECORD["params"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stage", ["conv1", "res2", "res3", "res4", "res5"])
def test_stage(run: Run, stage: str, path: str) -> None:
    """A fault in an early layer can hide below what is asked of the logits, so every stage is held to its record."""
    same(run.features[f"{path}.{stage}"], RECORD["taps"][f"s{stage[-1]}"][PATHS.index(path)])


@pytest.mark.parametrize("stage", ["conv1", "res2", "res3", "res4"])
def test_lateral(run: Run, stage: str) -> None:
    """What the slow path holds behind a lateral connection: its own channels first, then those of the fast path."""
    fused = torch.cat([run.features[f"slow.{stage}"], run.features[f"fast_to_slow.{stage}"]], dim=1)
    same(fused, RECORD["taps"][f"s{stage[-1]}_fuse"][0])


def same(value: torch.Tensor, record: dict[str, Any]) -> None:
    """The same shape, mean, standard deviation and norm as float32 can give."""
    value = value.double()
    assert list(value.shape) == record["shape"]
    scale = record["l2"] / value.numel() ** 0.5
    assert value.mean().item() == pytest.approx(record["mean"], rel=0, abs=1e-5 * scale)
    assert value.std().item() == pytest.approx(record["std"], rel=1e-5)
    assert value.norm().item() == pytest.approx(record["l2"], rel=1e-5)
