"""Calls of version 0.1, upgraded: the tensors and the cost that they had, and the values that they gave.

`calls.txt` has the record, made by the layer of version 0.1: `python tests/upgrade/test_upgraded_calls.py` prints it
anew if archdsl is that of the commit that the file names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
import torch
from reference import compute

import archdsl
from archdsl.core.source import Source
from archdsl.layers.groups import AXES, groups
from archdsl.upgrade.rewrite import rewritten

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD = Path(__file__).with_name("calls.txt")
LINES = [line.split(" | ") for line in RECORD.read_text("utf-8").splitlines() if not line.startswith("#")]
BY_HAND = 50  # the first ones
CASES = [
    pytest.param(*line, marks=() if number < BY_HAND or number % 4 == 0 else pytest.mark.records, id=" ".join(line[:2]))
    for number, line in enumerate(LINES)
]


def spec(place: str, call: str) -> str:
    """A network of one attention; `place` is a grid, perhaps with a class token: `4×8×6 clip`."""
    size, _, token = place.partition(" ")
    steps = ["linear(8)", *([f"class_token({token})"] if token else []), "layernorm", call]
    return f"arch x\ninput clip: video[3, {size.replace('×', ', ')}]\nstage s {{ {' -> '.join(steps)} }}\n"


def figures(text: str, outputs: Callable[..., torch.Tensor] | None = None) -> list[str]:
    """The attention's tensors, its cost, and two sums of the outputs for a random clip and random weights.

    `outputs` are those of the module, unless they are computed otherwise from network, module and clip.
    """
    arch = archdsl.loads(text)
    tensors = {n.removeprefix("s.attention."): s for n, s in arch.tensors.items() if n.startswith("s.attention.")}
    shapes = " ".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in sorted(tensors.items()))
    model = arch.build().double().eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(drawn(value.shape, name) / 2)
        [size] = re.findall(r"video\[3, (.*)\]", text)
        clip = drawn((2, 3, *map(int, size.split(", "))), "clip")
        output = model(clip) if outputs is None else outputs(arch, model, clip)
    return [
        shapes,
        str(arch.macs),
        f"{output.square().mean():.12g} {(output * drawn(output.shape, 'sum')).mean():.12g}",
    ]


def drawn(shape: tuple[int, ...], name: str) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(crc32(name.encode())), dtype=torch.float64)


@pytest.mark.parametrize(("place", "call", "tensors", "macs", "values"), CASES)
def test_call(place: str, call: str, tensors: str, macs: str, values: str) -> None:
    made = rewritten(Source("<text>", spec(place, call)))
    assert not made.left
    found, cost, numbers = figures(made.text)
    assert found == tensors
    assert [float(n) for n in numbers.split()] == pytest.approx([float(n) for n in values.split()], rel=1e-9)
    weights = [(n, int(h) * int(w)) for n, h, w, _ in re.findall(r"\b(\w+)\.weight:(\d+)x(\d+)( |$)", tensors)]
    result = sum(size for name, size in weights if name == "proj")
    entering = sum(size for name, size in weights if set(name) <= set("qkv"))
    more = copies(place, call)
    assert int(macs) - int(cost) in {0, more * result, more * (result + entering)}


@pytest.mark.parametrize(("place", "call", "values"), [(p, c, v) for p, c, _, _, v in LINES[::6]])
def test_definition(place: str, call: str, values: str) -> None:
    """What attentions are compared with elsewhere is what version 0.1 computed."""

    def defined(arch: archdsl.Architecture, model: torch.nn.Module, clip: torch.Tensor) -> torch.Tensor:
        return compute(arch, dict(model.state_dict()), {"clip": clip})[0][""]

    *_, numbers = figures(rewritten(Source("<text>", spec(place, call))).text, defined)
    assert [float(n) for n in numbers.split()] == pytest.approx([float(n) for n in values.split()], rel=1e-9)


def sizes(text: str) -> tuple[int, int, int]:
    """A size over t, h and w as written; 0 for `all`."""
    items = [int(n) for n in text.replace("all", "0").strip("[]").split(", ")]
    t, h, w = items if len(items) == 3 else items * 3
    return t, h, w


def copies(place: str, call: str) -> int:
    """Copies of class tokens that groups of positions bring: version 0.1 counted a projection of each."""
    size, _, token = place.partition(" ")
    t, h, w = map(int, size.split("×"))
    given = dict(re.findall(r"(\w+) = (\[.*?\]|\w+)", call))
    if not token or "band" in given:
        return 0
    window, shift, dilation = (sizes(given.get(k, n)) for k, n in (("window", "0"), ("shift", "0"), ("dilation", "1")))
    grid = (1, h, w) if token == "frame" else (t, h, w)
    found = groups(AXES[given.get("over", "space_time")], grid, window, dilation, shift)
    return (t if token == "frame" else 1) * (found.number - 1)


def test_the_record_has_every_setting() -> None:
    text = RECORD.read_text("utf-8")
    assert set(re.findall(r"(\w+) = ", text)) >= SETTINGS


SETTINGS = set(
    """
    dim out over half_over window shift dilation band score scale pool q_pool q_stride kv_pool kv_stride kv_pool_first
    pool_norm eps add_query position position_grid table_prefix token_projections bias proj_bias
    """.split()
)  # all but initialisers, and dropout

if __name__ == "__main__":
    for place, call, *_ in LINES:
        print(" | ".join([place, call, *figures(spec(place, call))]))
