"""What values mean: another form of the same is converted, and the tensors of a layer of another kind are new."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest
import torch

import archdsl
from archdsl.core.diagnostics import SpecError
from archdsl.layers import vocabulary
from archdsl.layers.attributes import Attribute, Choice, Flag

if TYPE_CHECKING:
    from archdsl.layers.base import Layer

CHAIN = """arch net
input clip: video[3, 4, 8, 8]
stage stem { conv(8, 4, stride = 4, bias = on) -> %s }
head: avgpool -> linear(5)
"""


def fresh(arch: archdsl.Architecture) -> torch.nn.Module:
    torch.manual_seed(0)
    return arch.build().eval()


def output(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1)))


def random(arch: archdsl.Architecture) -> torch.nn.Module:
    """A module of random weights; statistics of variance stay positive."""
    model = fresh(arch)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(2)) + 0.1)
    return model


def loaded(line: str) -> archdsl.Architecture | None:
    """The network of a line; None if the layer does not take these attributes."""
    try:
        return archdsl.loads(CHAIN % line)
    except SpecError:
        return None


def values_of(attribute: Attribute[object]) -> list[str]:
    match attribute:
        case Flag():
            return ["off", "on"]
        case Choice(choices=choices):
            return list(choices)
        case _:
            return []


def forms(layer: type[Layer]) -> list[tuple[str, archdsl.Architecture]]:
    """The networks of each value of a layer's flags and choices."""
    found = [
        (name, loaded(f"{layer.kind}({name} = {value})"))
        for name, attribute in layer.attributes.items()
        for value in values_of(attribute)
    ]
    return [(name, arch) for name, arch in found if arch is not None]


def test_layers_that_begin_the_same_with_other_values_are_converted() -> None:
    """Two forms of a layer whose fresh modules compute the same of other weights store these in another form."""
    met = set[str]()
    for kind, layer in vocabulary().items():
        for (name, one), (other_name, other) in permutations(forms(layer), 2):
            models = fresh(one), fresh(other)
            before, after = (model.state_dict() for model in models)
            if name != other_name or {k: v.shape for k, v in before.items()} != {k: v.shape for k, v in after.items()}:
                continue
            is_same = all(torch.equal(before[key], after[key]) for key in before)
            if is_same or not torch.allclose(output(models[0]), output(models[1]), atol=1e-6):
                continue
            met.add(f"{kind}({name})")
            check(one, other)
    assert met == {"layernorm(zero_centred)", "scale(softplus)"}


def check(base: archdsl.Architecture, arch: archdsl.Architecture) -> None:
    """The same is computed, or the tensor is new."""
    model, made = random(base), fresh(arch)
    made.load_state_dict(archdsl.transfer_weights(base, model.state_dict(), arch))
    if any(entry.how == "new" for entry in arch.plan_transfer(base).entries):
        return
    torch.testing.assert_close(output(made), output(model), rtol=1e-4, atol=1e-5)


ATTENTION = "attention(2) {{ q: linear(8) -> {} as norm\n kv: linear(8)\n proj: linear(8) }}"


@pytest.mark.parametrize(
    ("base", "line", "how", "why"),
    [
        ("layernorm", "layernorm(zero_centred = on)", "converted", "`weight` → `1 + weight`"),
        ("layernorm(zero_centred = on)", "layernorm", "converted", "`1 + weight` → `weight`"),
        ("scale(softplus = on)", "scale", "converted", "`softplus(weight) / log 2` → `weight`"),
        ("scale", "scale(softplus = on)", "new", "used as `weight`, here as `softplus(weight) / log 2`"),
        ("bn as norm", "layernorm as norm", "new", "`bn` (8), here `layernorm` (8)"),
        ("layernorm as norm", "rmsnorm as norm", "new", "`layernorm` (8), here `rmsnorm` (8)"),
        (ATTENTION.format("layernorm"), ATTENTION.format("rmsnorm"), "new", "`layernorm` (8), here `rmsnorm` (8)"),
        (
            ATTENTION.format("layernorm"),
            ATTENTION.format("layernorm(zero_centred = on)"),
            "converted",
            "`weight` → `1 + weight`",
        ),
        ("layernorm(eps = 1e-6)", "layernorm(eps = 1e-3)", "copied", ""),  # `archdsl diff` says what else differs
    ],
)
def test_a_scale(base: str, line: str, how: str, why: str) -> None:
    one, other = archdsl.loads(CHAIN % base), archdsl.loads(CHAIN % line)
    entries = [e for e in other.plan_transfer(one).entries if e.name.startswith("stem.") and e.shape == (8,)]
    [entry] = [e for e in entries if e.name.endswith(("norm.weight", "scale.weight"))]
    assert (entry.how, entry.why) == (how, why)
    if how == "converted":
        check(one, other)
