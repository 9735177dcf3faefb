"""Words of other libraries: each hint names something that exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from repository import ROOT

import archdsl
from archdsl.core.diagnostics import SpecError, closest
from archdsl.core.source import Source
from archdsl.elaborate.functions import FUNCTIONS as KNOWN_FUNCTIONS
from archdsl.elaborate.meanings import FUNCTIONS, LAYERS, plain
from archdsl.files import FileLibrary
from archdsl.layers import vocabulary
from archdsl.pipeline import analyse
from archdsl.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = {name: cls for name, cls in vocabulary().items() if not cls.internal}
CATEGORIES = {cls.category for cls in WRITTEN.values()}
BLOCKS = {
    library.stem: set(re.findall(r"^block (\w+)", library.read_text("utf-8"), re.MULTILINE))
    for library in (resource("specs") / "lib").glob("*.arch")
}
SPEC = "arch net\ninput clip: video[3, 8, 56, 56]\nstage conv1 {{ conv(16, 3) -> {} }}\nhead: avgpool -> linear(10)\n"

# As users of PyTorch, TensorFlow and timm call layers, and what they need to read.
MEANT = {
    "ReLU": "did you mean `relu`?",
    "GELU": "did you mean `gelu`?",
    "QuickGELU": "gelu(quick = on)",
    "elu": "activations here: `gelu`, `hardsigmoid`, `hardswish`, `relu`, `relu6`, `sigmoid`, `silu`, `softmax`",
    "SiLU": "did you mean `silu`?",
    "Swish": "did you mean `silu`?",
    "ReLU6": "did you mean `relu6`?",
    "SwiGLU": "`multiply { linear(width), linear(width) ->",
    "Hardswish": "did you mean `hardswish`?",
    "h_sigmoid": "did you mean `hardsigmoid`?",
    "LeakyReLU": "activations here",
    "leaky_relu": "activations here",
    "BatchNorm3d": "did you mean `bn`?",
    "batch_norm": "did you mean `bn`?",
    "LayerNorm": "did you mean `layernorm`?",
    "GroupNorm": "did you mean `groupnorm`?",
    "LRN": "norms here: `bn`, `groupnorm`, `l2norm`, `layernorm`, `rmsnorm`, `scale`",
    "LayerScale": "did you mean `scale`?",
    "normalize": "did you mean `l2norm`?",
    "InstanceNorm3d": "has a group for each",
    "Conv3d": "did you mean `conv`?",
    "conv2d": "did you mean `conv`?",
    "ConvTranspose3d": "did you mean `conv_transpose`?",
    "DeformConv": "convolutions here: `conv`",
    "depthwise": "groups = in.channels",
    "Dense": "did you mean `linear`?",
    "fc": "did you mean `linear`?",
    "AdaptiveAvgPool3d": "did you mean `avgpool`?",
    "GlobalAveragePooling3D": "did you mean `avgpool`?",
    "MaxPool3d": "did you mean `maxpool`?",
    "Dropout3d": "did you mean `dropout`?",
    "DropPath": "did you mean `drop_path`?",
    "stochastic_depth": "did you mean `drop_path`?",
    "flatten": "shapes need no layers",
    "Sequential": "(a -> b) * 3",
    "Identity": "leave it out",
    "LogSoftmax": "ends in the logits",
    "interpolate": "did you mean `upsample`?",
    "MultiheadAttention": "did you mean `attention`?",
    "mha": "did you mean `attention`?",
    "TransformerEncoder": "`import transformer` brings `encoder(heads)`",
    "mlp": "`import transformer` brings this block",
    "MLP": "`import transformer` brings `mlp",
    "cls_token": "class_token",
    "PatchEmbed": "stride = [1, 16, 16]",
    "pos_embed": "did you mean `position`?",
    "RoPE": "did you mean `rotary`?",
    "query_tokens": "did you mean `latents`?",
    "se": "`multiply { in, avgpool -> linear(width) -> relu",
    "squeeze_excitation": "`import movinet` brings this block",
    "maximum": "did you mean `max`?",
    "cat": "did you mean `concat`?",
    "mul": "did you mean `multiply`?",
    "matmul": "no layer yet",
    "LSTM": "no layer has a state",
    "x": "input has no name",
    "TimeMixer": "`archdsl layers` lists all layers",
    "TemporalShift": "did you mean `shift`?",
    "rellu": "did you mean `relu`?",
}


def hint_of(text: str) -> tuple[str, str, tuple[str, ...]]:
    """The code, the hint and the notes of the first fault of a spec."""
    with pytest.raises(SpecError) as caught:
        analyse(Source("net.arch", text), FileLibrary())
    first = caught.value.diagnostics[0]
    return first.code, first.help, tuple(n.message for n in first.notes)


@pytest.mark.parametrize("name", MEANT)
def test_layer_of_another_library(name: str) -> None:
    for written in (name, f"{name}()"):
        code, hint, _ = hint_of(SPEC.format(written))
        assert code == "E0202"
        assert MEANT[name] in hint


@pytest.mark.parametrize("name", ["elu", "lrn", "DeformConv", "TimeMixer"])
def test_what_is_missing_can_be_added(name: str) -> None:
    *_, notes = hint_of(SPEC.format(name))
    assert any("docs/layers.md, “Add a layer”" in note for note in notes)
    assert "## Add a layer" in (ROOT / "docs" / "layers.md").read_text("utf-8")


@pytest.mark.parametrize("word", LAYERS)
def test_each_meaning_of_a_layer_exists(word: str) -> None:
    assert plain(word) == word
    assert word not in WRITTEN
    meaning = LAYERS[word]
    if " " not in meaning:
        assert meaning in WRITTEN or meaning in CATEGORIES
    for library, block in re.findall(r"`import (\w+)` brings `(\w+)", meaning):
        assert block in BLOCKS[library]


@pytest.mark.parametrize("word", FUNCTIONS)
def test_no_function_of_the_language_is_called_another(word: str) -> None:
    assert word not in KNOWN_FUNCTIONS
    code, hint, _ = hint_of(SPEC.format(f"conv({word}(3))"))
    assert code == "E0209"
    assert hint.endswith(FUNCTIONS[word]) or word in ("range", "arange")


@pytest.mark.parametrize(
    ("expression", "hint"),
    [("range(3)", "write `0..2`"), ("range(2, 6)", "write `2..5`"), ("range(n)", "write `0..n - 1`")],
)
def test_range(expression: str, hint: str) -> None:
    stages = f"param n = 3\nfor i in {expression} {{ stage s{{i}} {{ conv(8) }} }}\nhead: avgpool\n"
    code, said, _ = hint_of(f"arch net\ninput clip: video[3, 8, 56, 56]\n{stages}")
    assert (code, said.startswith(hint)) == ("E0209", True)


@pytest.mark.parametrize(
    ("join", "code", "said"),
    [
        ("hadamard", "E0202", "did you mean `multiply`?"), ("Concatenate", "E0202", "did you mean `concat`?"),
        ("sum", "E0202", "did you mean `add`?"), ("adds", "E0202", "did you mean `add`?"),
        ("sequential", "E0202", "a -> b -> c"), ("glue", "E0202", "`add`, `beside`, `blend`, `concat`, `max`"),
        ("conv", "E0405", "joined by `add`, `beside`, `blend`, `concat`, `max`, `mean` and `multiply`"),
    ],
)  # fmt: skip
def test_unknown_join(join: str, code: str, said: str) -> None:
    found, hint, _ = hint_of(SPEC.format(f"{join} {{ conv(8), conv(8) }}"))
    assert found == code
    assert said in hint


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("n", ["on"], []), ("x", ["t"], []), ("linaer", ["linear", "link"], ["linear"]), ("flatten", ["attention"], []),
        ("range", ["frame"], []), ("int", ["min"], []), ("kernel_size", ["kernel", "size"], ["kernel"]),
        ("num_heads", ["heads", "head_dim"], ["heads"]), ("widht", ["width", "depth"], ["width"]),
        ("RELU", ["relu", "gelu"], ["relu", "gelu"]), ("a" * 10**6, ["b" * 10**6], []),
    ],
)  # fmt: skip
def test_a_slip_is_a_few_letters_or_a_part(name: str, known: list[str], found: list[str]) -> None:
    assert closest(name, known) == found


def test_files_beside_a_spec_give_hints_and_no_errors_of_their_own(tmp_path: Path) -> None:
    """Libraries are searched for an unknown block: one that is no text, or a spec, holds none."""
    (tmp_path / "broken.arch").write_bytes(b"\xff")
    (tmp_path / "another.arch").write_text("arch another\nblock bottleneck(w) { conv(w) }\n")
    spec = tmp_path / "net.arch"
    spec.write_text("arch net\ninput clip: video[3, 8, 32, 32]\nhead: bottleneck(8) -> avgpool\n")
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(spec)
    assert [(d.code, d.help) for d in caught.value.diagnostics] == [("E0202", "`import resnet` brings this block")]
