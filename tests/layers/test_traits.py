"""What other parts of archdsl ask of a layer are its traits: one that is added has them without an edit elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import archdsl
from archdsl.planning.memory import Sizes
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.ops.sites import PLAIN
from archdsl.transfer.channels import Channels

if TYPE_CHECKING:
    from pathlib import Path

# As `add` and `concat` are, under other names; the second one declares its op beside the layer.
TOTAL = """
from archdsl.layers.base import VALUES, Layer, SavedForBackward, layer

@layer("total", category="merge")
class Total(Layer):
    many = True
    elementwise = True
    joins = VALUES
    hands_on_gradient = True

    def saved_for_backward(self, use):
        return SavedForBackward()
"""
STACK = """
from archdsl.layers.base import ANY_LAYOUT, CHANNELS, CHANNELS_LAST, Layer, Op, SavedForBackward, TOKENS, layer, op

@layer("stack", category="merge")
class Stack(Layer):
    many = True
    joins = CHANNELS
    hands_on_gradient = True

    def infer(self, *inputs):
        return inputs[0]._replace(channels=sum((x.channels for x in inputs[1:]), inputs[0].channels))

@op("stack")
class StackOp(Op):
    layouts = ANY_LAYOUT

    def saved_for_backward(self, step):
        return SavedForBackward()

    def variables(self, site):
        return {"axis": -1 if site.layout in (CHANNELS_LAST, TOKENS) else 1}
"""
TEMPLATES = {
    "total": '{% macro apply() %}{{ varargs | join(" + ") }}{% endmacro %}',
    "stack": '{% macro apply() %}torch.cat([{{ varargs | join(", ") }}], dim={{ axis }}){% endmacro %}',
}
SPEC = """\
arch joined
input clip: video[3, 4, 16, 16]
stage one { conv(8, 3) -> bn -> relu -> JOIN { conv(8), conv(8, 3) -> bn } -> bn -> relu }
stage two { conv(8) -> JOIN { conv(8), conv(8, 3) -> relu } -> layernorm -> linear(8) }
head: avgpool -> linear(5)
"""
TWINS = {"total": "add", "stack": "concat"}


@pytest.fixture(params=TWINS)
def twins(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, str, str]:
    """Two networks that differ in the name of a layer alone, and the two names."""
    for kind, code in {"total": TOTAL, "stack": STACK}.items():
        (tmp_path / f"{kind}.py").write_text(code, "utf-8")
        (tmp_path / f"{kind}.py.j2").write_text(TEMPLATES[kind], "utf-8")
    monkeypatch.setenv("ARCHDSL_LAYERS", str(tmp_path))
    archs: list[Any] = []
    for name in (request.param, TWINS[request.param]):
        (tmp_path / "joined.arch").write_text(SPEC.replace("JOIN", name), "utf-8")
        archs.append(archdsl.load(tmp_path / "joined.arch"))
    return archs[0], archs[1], request.param, TWINS[request.param]


def test_memory_is_that_of_its_twin(twins: tuple[Any, Any, str, str]) -> None:
    ours, theirs, *_ = twins
    assert ours.memory(3) == theirs.memory(3)
    sizes = [Sizes(lower(arch._analysis.network), PLAIN) for arch in (ours, theirs)]
    assert sizes[0].activations(3, "none") == sizes[1].activations(3, "none")


def test_channels_come_from_the_same_layers(twins: tuple[Any, Any, str, str]) -> None:
    ours, theirs = (Channels(arch._analysis.network).origins for arch in twins[:2])
    assert ours == theirs
    assert any(len(segments) > 1 for segments in ours.values()) == (twins[2] == "stack")


def test_drawing_is_that_of_its_twin(twins: tuple[Any, Any, str, str]) -> None:
    ours, theirs, kind, twin = twins
    assert ours.diagram("layer").source.replace(kind, twin) == theirs.diagram("layer").source


def test_code_is_that_of_its_twin(twins: tuple[Any, Any, str, str]) -> None:
    ours, theirs, kind, twin = twins
    one, other = (arch.source().split("class ", 1)[1] for arch in (ours, theirs))
    assert one.replace(f"→ {kind} →", f"→ {twin} →") == other
