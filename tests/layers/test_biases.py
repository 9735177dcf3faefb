"""Biases of scores: values and gradients by definition, costs and memory, wherever attention looks; what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from error_documents import fences
from meta import assert_as_predicted
from programs import Program
from programs.attentions import check_attention
from repository import ROOT
from saved_memory import measured

import archdsl
from archdsl.cli import main
from archdsl.core.diagnostics import SpecError
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import memory_of

pytestmark = pytest.mark.usefixtures("two_threads")
HEAD = "arch biases\ninput clip: video[3, 4, 32, 32]\n"
EMBED = "conv(24, [2, 8, 8], stride = [2, 8, 8], padding = valid, bias = on)"  # 24×2×4×4
POOLED = "qkv: linear(24); kv: maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid)"
# Biases behind arguments and other lines, by what stands before the attention.
CASES = {
    "": [
        "(4) { qkv: linear(24); bias: alibi",
        "(4, window = [2, 3, 3], shift = [0, 1, 2]) { qkv: linear(24); bias: continuous(8)",
        "(3, over = space) { qkv: linear(24); bias: continuous(8, made_for = [1, 8, 3]) as cpb; bias: alibi",
        "(4, window = [1, 2, 2]) { " + POOLED + "; bias: continuous(8); bias: table",
        "(2, over = width, dilation = [1, 1, 2]) { qkv: linear(24); bias: alibi",
        "(4, over = time, causal = on, kv_heads = 2) { q: linear(24); kv: linear(12); bias: alibi",
        "(4) { " + POOLED + "; bias: decomposed as one; bias: decomposed(made_for = 3); bias: alibi",
        "(4, window = [2, 2, 3], shift = [1, 1, 0], score = cosine) { qkv: linear(24); bias: continuous(8)",
        "(4, window = 2) { qkv: linear(24); bias: table as one; bias: table as other",
    ],
    " -> class_token": [
        "(4) { qkv: linear(24); bias: alibi; bias: decomposed",
        "(4, window = [2, 2, 2], shift = [0, 1, 1]) { qkv: linear(24); bias: continuous(8); bias: alibi",
        "(2, over = height) { qkv: linear(24); bias: continuous(8)",
    ],
    " -> class_token(frame)": ["(4, over = space) { qkv: linear(24); bias: alibi; bias: continuous(4)"],
}
NETWORKS = [
    HEAD
    + f"stage embed {{ {EMBED}{token} }}\n"
    + "".join(
        f"stage s{i} {{ residual {{ layernorm -> attention{text}; proj: linear(24) }} }} }}\n".replace(";", "\n")
        for i, text in enumerate(texts)
    )
    for token, texts in CASES.items()
]


def load(text: str) -> archdsl.Architecture:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{text.split()[1]}.arch"
        path.write_text(text, "utf-8")
        return archdsl.load(path)


@pytest.mark.parametrize("text", NETWORKS)
def test_biases_compute_what_they_say(text: str) -> None:
    """Values, gradients, names of tensors; shapes, parameters and multiply-adds."""
    assert check_attention(Program("biases", {"biases": text})) == "accepted"
    assert_as_predicted(load(text))


@pytest.mark.parametrize("text", NETWORKS)
def test_memory_of_biases_is_predicted(text: str) -> None:
    arch = load(text)
    kept = measured(arch.build(), (torch.randn(3, 3, 4, 32, 32),))
    assert memory_of(lower(arch._analysis.network), 3).total == pytest.approx(kept, rel=0.01)


def test_biases_run_in_each_setting() -> None:
    """Under autocast, traced, and without what only training needs."""
    text = NETWORKS[1]
    torch.manual_seed(0)
    model: Any = load(text).build().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    clip = torch.randn(2, 3, 4, 32, 32)
    expected = model(clip)
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(clip), expected, rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(clip)
    assert (found - expected).norm() < 0.05 * expected.norm()
    infer: Any = load(text).build(target="infer").eval()
    infer.load_state_dict(model.state_dict())
    torch.testing.assert_close(infer(clip), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.records
@pytest.mark.parametrize("text", NETWORKS[:2])
@pytest.mark.parametrize("form", ["torch-export", "onnx"])
def test_biases_are_exported(form: str, text: str, tmp_path: Path) -> None:
    from archdsl.train.export import Argument, export
    from archdsl.train.formats import SUFFIXES

    if form == "onnx":
        pytest.importorskip("onnxruntime")
    model: Any = load(text).build(target="infer")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    assert export(model, [Argument((3, 4, 32, 32))], form, tmp_path / f"biases{SUFFIXES[form]}") < 1e-4


PLAIN = "qkv: linear(24)"
REFUSED = {
    f"attention(4) {{ {PLAIN}; bias: alibi; bias: alibi": "E0404 the bias `alibi` again",
    f"attention(4) {{ {PLAIN}; bias: relu": "E0202 this is no bias of scores",
    f"attention(4) {{ {PLAIN}; bias: alibi -> relu": "E0202 this is no bias of scores",
    f"attention(4) {{ {PLAIN}; bias: alibi as heads": "E0204 an attention has `heads` already",
    f"attention(4) {{ {PLAIN}; bias: alibi as proj": "E0204 an attention has `proj` already",
    f"attention(4, over = time, band = 2) {{ {PLAIN}; bias: alibi": "E0510 a band takes its distances from a table",
    f"attention(4, over = [time, space]) {{ {PLAIN}; bias: alibi": "E0510 parts of the heads look along whole axes",
    f"attention(4, score = dot_product) {{ {PLAIN}; bias: alibi": "E0510 `bias` is for scores with a softmax",
    f"attention(4) {{ {PLAIN}; bias: table; bias: table(on) as other": "E0510 `other` and `table` read their distances",
    f"attention(4) {{ {PLAIN}; kv: maxpool([1, 1, 2], stride = 1, padding = valid); bias: continuous": (
        "E0506 3 keys over w do not lie 2 apart on the 4 positions of the input"
    ),
    "alibi -> attention(4) { qkv: linear(24)": "E0105 `alibi` is a bias of scores, not a link of a chain",
    "attention(4) { qkv: table": "E0105 `table` is a bias of scores, not a link of a chain",
}


@pytest.mark.parametrize("lines", REFUSED)
def test_biases_are_refused_at_their_line(lines: str) -> None:
    text = f"{HEAD}stage s {{ {EMBED} -> {lines.replace(';', chr(10))} }} }}\n"
    with pytest.raises(SpecError) as refused:
        load(text)
    [fault] = refused.value.diagnostics
    assert f"{fault.code} {fault.label}".startswith(REFUSED[lines])
    assert re.search("bias|alibi|table|proj|heads|relu", fault.span.text), "the place"


OWN = "arch own\ninput clip: video[6, 5, 1, 1]\nstage s {{ attention(2, over = time) {{\n{lines}\n}} }}\n"


def test_a_bias_is_added_by_one_file_and_one_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/layers.md, whose values are computed here from the queries and keys that enter."""
    for fence in fences((ROOT / "docs" / "layers.md").read_text("utf-8")):
        name = fence.options.get("file", "")
        if name.startswith("my_biases/"):
            (tmp_path / name.removeprefix("my_biases/")).write_text(fence.text, "utf-8")
    monkeypatch.setenv("ARCHDSL_LAYERS", str(tmp_path))
    lines = "qkv: in\nbias: decay(init = 2) as mine\nbias: alibi"
    model = load(OWN.format(lines=lines)).build()
    assert {k: tuple(v.shape) for k, v in model.state_dict().items()} == {"s.attention.mine.slopes": (2,)}
    assert main(["layers", "check", str(tmp_path / "decay.py")]) == 0
    x = torch.randn(1, 6, 5, 1, 1)
    heads = x.flatten(2).unflatten(1, (2, 3)).transpose(2, 3)
    distance = (torch.arange(5)[:, None] - torch.arange(5)).abs()
    slopes = torch.tensor([2.0**-4, 2.0**-8])[:, None, None]
    bias = 2 * (1 + distance).log() - slopes * distance
    expected = (heads @ heads.transpose(2, 3) / 3**0.5 + bias).softmax(-1) @ heads
    torch.testing.assert_close(model(x).flatten(2), expected.transpose(2, 3).flatten(1, 2), rtol=1e-5, atol=1e-5)


FAULTS = {  # the class, a line of its file, and what is reported instead
    "Layer": ("class Decay(Bias)", "class Decay(Layer)", "the category `bias` is for subclasses of `Bias`"),
    "weights": ('"slopes": (self', '"slopes": (1 + self', "differs from the graph: `s.attention.decay.slopes`"),
    "check": (
        "def weights",
        "def check(self):\n        return 1\n\n    def weights",
        "`check` of the layer `decay` returned 1",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_added_biases_are_reported_in_their_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, message = FAULTS[name]
    for fence in fences((ROOT / "docs" / "layers.md").read_text("utf-8")):
        if fence.options.get("file", "").startswith("my_biases/"):
            text = fence.text.replace(old, new).replace("import layer\n", "import Layer, layer\n")
            (tmp_path / fence.options["file"].removeprefix("my_biases/")).write_text(text, "utf-8")
    monkeypatch.setenv("ARCHDSL_LAYERS", str(tmp_path))
    lines = "qkv: linear(6)\nbias: decay"
    with pytest.raises(SpecError) as refused:
        load(OWN.format(lines=lines)).source()
    assert message in (refused.value.diagnostics[0].label or "")
    assert refused.value.diagnostics[0].span.source.name.endswith("decay.py")
