"""Arguments of layers in other libraries: each has an answer of its own, and none the plain list of names."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from torch import nn

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.files import FileLibrary
from archdsl.pipeline import analyse

# PyTorch's layers with the layers here, as they are called with what they need.
OF_TORCH: dict[Any, str] = {
    nn.Conv3d: "conv(64, 3, {})",
    nn.Linear: "linear(64, {})",
    nn.BatchNorm3d: "bn({})",
    nn.LayerNorm: "layernorm({})",
    nn.MaxPool3d: "maxpool(3, {})",
    nn.AvgPool3d: "avgpool({})",
    nn.AdaptiveAvgPool3d: "avgpool({})",
    nn.Dropout: "dropout({})",
    nn.GELU: "gelu({})",
    nn.MultiheadAttention: "attention({})",
}
# Keras' Conv3D, Dense, BatchNormalization, MaxPooling3D and Dropout, from the documentation of version 3.
OF_KERAS = {
    "conv({})": "filters kernel_size strides padding data_format dilation_rate groups activation use_bias name "
    "kernel_initializer bias_initializer kernel_regularizer bias_regularizer activity_regularizer kernel_constraint",
    "linear({})": "units activation use_bias kernel_initializer bias_initializer input_shape name",
    "bn({})": "axis momentum epsilon center name",
    "maxpool({})": "pool_size strides padding data_format name",
    "dropout({})": "rate noise_shape seed name",
    "attention({})": "num_heads key_dim dropout use_bias",
}
PARAMETERS = [(call, p) for cls, call in OF_TORCH.items() for p in list(inspect.signature(cls).parameters)]
PARAMETERS += [(call, p) for call, names in OF_KERAS.items() for p in names.split()]


@pytest.mark.parametrize(("call", "name"), PARAMETERS)
def test_argument(call: str, name: str) -> None:
    text = f"arch net\ninput clip: video[3, 16, 64, 64]\nstage one {{ conv(64, 3) -> {call.format(f'{name} = 1')} }}\n"
    try:
        analyse(Source("spec.arch", text), FileLibrary())
    except SpecError as error:
        hints = [d.help for d in error.diagnostics if d.code == "E0401"]
        assert all(hints), name
        assert not any(hint.startswith("known here") for hint in hints), hints


def test_tuples_hide_no_other_fault() -> None:
    text = """\
arch net
input clip: video[3, 16, 64, 64]
param depths = (2, 2)
stage one { conv(64, (1, 3, 3)) * depths[0] -> rleu }
stage two { conv(widht, kernel = (3, 3, 3)) }
"""
    with pytest.raises(SpecError) as caught:
        analyse(Source("spec.arch", text), FileLibrary())
    found = [(d.code, d.span.text) for d in caught.value.diagnostics]
    tuples = [("E0103", "(2, 2)"), ("E0103", "(1, 3, 3)"), ("E0103", "(3, 3, 3)")]
    assert sorted(found) == sorted([*tuples, ("E0202", "rleu"), ("E0201", "widht")])


def test_faults_of_one_parameter_are_one() -> None:
    text = """\
arch net
param beta = 0.1
input clip: video[3, 16, 64, 64]
block unit(width) { conv(width * beta) }
stage one { conv(64 * beta) -> conv(640 * beta) -> conv(32 * beta) -> unit(8) }
"""
    with pytest.raises(SpecError) as caught:
        analyse(Source("spec.arch", text), FileLibrary())
    (fault,) = caught.value.diagnostics
    assert [n.span.text for n in fault.notes if n.span] == ["0.1", "32 * beta", "width * beta"]
