"""A second target begins with a folder of its own: a default op, a registry, and a file for each layer that differs.

The target here prints a network as lines of numpy. It rests on the graph, the layers and the registry of ops alone.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

import archdsl
from archdsl.ir.tensors import own_tensors
from archdsl.layers import vocabulary
from archdsl.lowering import without_identities
from archdsl.targets.registry import Registry

SPEC = """\
arch tiny
input clip: video[3, 4, 8, 8]
stage stem { conv(8) -> relu -> gelu }
head: avgpool -> linear(5)
"""


class Line:
    """The default: a function with the name of the layer."""

    def __init__(self, node: Any) -> None:
        self.node = node

    def text(self, *inputs: str) -> str:
        tensors = [f"weights[{f'{self.node.name}.{name}'!r}]" for name in own_tensors(self.node)]
        return f"{self.node.layer.kind}({', '.join([*inputs, *tensors])})"


OPS: Registry[Line] = Registry("numpy_target")


def printed(network: Any) -> list[str]:
    """One line for each layer, in the order of data flow: a name, an expression, and the shape as a comment."""
    names = {number: name for name, number in network.inputs.items()}
    lines: list[str] = []
    for node in without_identities(network).all_nodes():
        if node.inputs:
            names[node.id] = node.name.replace(".", "_")
            op = (OPS.of(type(node.layer)) or Line)(node)
            lines.append(f"{names[node.id]} = {op.text(*(names[i] for i in node.inputs))}  # {node.shape}")
    return lines


@pytest.fixture(autouse=True)
def _package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the target: `numpy_target/relu.py` and `numpy_target/linear.py`."""
    ReLU = type("ReLU", (Line,), {"text": lambda self, x: f"np.maximum({x}, 0)"})  # noqa: ARG005, N806

    class Linear(Line):
        def text(self, *inputs: str) -> str:
            weight, bias = (f"weights['{self.node.name}.{name}']" for name in ("weight", "bias"))
            return f"{inputs[0]} @ {weight}.T + {bias}"

    monkeypatch.setattr(OPS, "by_kind", {"relu": ReLU, "linear": Linear})
    monkeypatch.setattr(OPS, "_found", {})
    monkeypatch.setitem(sys.modules, "numpy_target", types.ModuleType("numpy_target"))
    sys.modules["numpy_target"].__path__ = []


def test_a_second_target_prints_a_network(tmp_path: Any) -> None:
    (tmp_path / "tiny.arch").write_text(SPEC, "utf-8")
    network = archdsl.load(tmp_path / "tiny.arch")._analysis.network
    assert printed(network) == [
        "stem_conv = conv(clip, weights['stem.conv.weight'])  # 8×4×8×8",
        "stem_relu = np.maximum(stem_conv, 0)  # 8×4×8×8",
        "stem_gelu = gelu(stem_relu)  # 8×4×8×8",
        "head_avgpool = avgpool(stem_gelu)  # 8×1×1×1",
        "head_linear = head_avgpool @ weights['head.linear.weight'].T + weights['head.linear.bias']  # 5×1×1×1",
    ]


def test_a_derived_layer_has_the_op_of_its_base() -> None:
    derived = type("Leaky", (vocabulary()["relu"],), {"kind": "leaky"})
    assert OPS.of(derived) is OPS.by_kind["relu"]
    assert OPS.of(vocabulary()["gelu"]) is None
