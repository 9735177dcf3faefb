"""Several heads: a dictionary of logits in the module, and what reads the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from saved_memory import measured

import archdsl
from archdsl.cli import main

BASE = """
arch base
param width = 8
input clip: video[3, 4, 16, 16]
stage one { conv(width, 3, stride = [1, 2, 2]) -> bn -> relu as early }
stage two { conv(width, 3) -> bn -> relu }
head: avgpool -> linear(5)
"""
TWO = """
arch two extends base
head verb: avgpool -> dropout(0.5) -> linear(6)
head noun: concat { avgpool, early -> avgpool } -> linear(4)
"""
OTHER = """
arch other extends two
head noun: concat { avgpool, early -> avgpool } -> linear(4)
head dense place: avgpool([1, all, all]) -> linear(2)
"""


@pytest.fixture(autouse=True)
def _specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in (BASE, TWO, OTHER):
        Path(f"{text.split()[1]}.arch").write_text(text, "utf-8")


def clips(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))


def test_the_module_gives_the_logits_of_each_head() -> None:
    arch = archdsl.load("two.arch")
    model, x = arch.build().eval(), clips()
    found = model(x)
    assert list(found) == ["verb", "noun"]
    features: Any = model.forward_features(x)
    pooled = {name: value.mean((2, 3, 4)) for name, value in features.items()}
    head: Any = model.head
    for name, given in (("verb", pooled["two"]), ("noun", torch.cat([pooled["two"], pooled["one"]], 1))):
        linear = head[name].linear
        torch.testing.assert_close(found[name], given @ linear.weight.T + linear.bias)
    quick = arch.build(target="infer")
    quick.load_state_dict(model.state_dict())
    torch.testing.assert_close(quick(x), found)


def test_heads_of_a_variant_take_the_place_of_all_of_its_base() -> None:
    outputs = archdsl.load("other.arch").build()(clips())
    assert {name: tuple(x.shape) for name, x in outputs.items()} == {"noun": (2, 4), "place": (2, 2, 4, 1, 1)}
    Path("one.arch").write_text("arch one extends other\nhead: avgpool -> linear(3)\n", "utf-8")
    assert archdsl.load("one.arch").build()(clips()).shape == (2, 3)


def test_figures_have_a_row_and_an_output_of_each_head() -> None:
    data = archdsl.load("other.arch").cost()
    assert data["output"] == {"logits.noun": [4], "logits.place": [2, 4, 1, 1]}
    rows = {row["name"]: (row["params"], row["macs"]) for row in data["stages"]}
    assert rows["head noun"] == (4 * 16 + 4, 4 * 16)
    assert rows["head place"] == (2 * 8 + 2, 4 * 2 * 8)


@pytest.mark.parametrize("level", ["stage", "block", "layer"])
def test_a_diagram_has_an_arrow_to_each_output(level: str) -> None:
    text = archdsl.load("two.arch").diagram(level).source
    assert text.count("logits.verb") == text.count("logits.noun") > 0


def test_a_head_that_moves_to_another_name_differs() -> None:
    Path("again.arch").write_text(TWO.replace("arch two", "arch again"), "utf-8")
    assert not archdsl.diff("two.arch", "again.arch").differ
    Path("again.arch").write_text(TWO.replace("arch two", "arch again").replace("noun", "object"), "utf-8")
    gone = [e.name for e in archdsl.diff("two.arch", "again.arch").tensors if e.status == "gone"]
    assert gone == ["head.noun.linear.weight", "head.noun.linear.bias"]


def test_the_backward_pass_keeps_what_is_predicted() -> None:
    arch = archdsl.load("two.arch")
    assert arch.memory(3) == measured(arch.build(), (clips(3),))


def test_weights_of_a_head_go_to_that_of_its_name() -> None:
    plan = archdsl.load("other.arch").plan_transfer(archdsl.load("two.arch"))
    origins = {e.name: e.base for e in plan.entries}
    assert origins["head.noun.linear.weight"] == "head.noun.linear.weight"
    assert not origins["head.place.linear.weight"]
    assert set(plan.unused) == {"head.verb.linear.weight", "head.verb.linear.bias"}


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_exported_files_have_an_output_of_each_head(suffix: str) -> None:
    assert main(["export", "two.arch", "-o", f"two{suffix}"]) == 0
    if suffix == ".onnx":
        session: Any = onnxruntime.InferenceSession("two.onnx")
        assert [output.name for output in session.get_outputs()] == ["logits.verb", "logits.noun"]
    else:
        outputs: Any = torch.export.load("two.pt2").module()(clips())
        assert {name: tuple(x.shape) for name, x in outputs.items()} == {"verb": (2, 6), "noun": (2, 4)}


def test_torch_compile_takes_the_module() -> None:
    model = archdsl.load("two.arch").build().eval()
    compiled: Any = torch.compile(model, backend="eager", fullgraph=True)  # pyright: ignore[reportUnknownMemberType]
    torch.testing.assert_close(compiled(clips()), model(clips()))


def test_no_argument_is_the_number_of_all_classes() -> None:
    with pytest.raises(ValueError, match=r"num_classes = 3: the heads verb, noun have"):
        archdsl.load("two.arch").build(num_classes=3)
