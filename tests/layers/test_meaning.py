"""The package `layers` says what words mean, in terms of the language: no word of PyTorch stands in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from repository import ROOT

from archdsl.layers import vocabulary
from archdsl.targets.torch.ops.layouts import TOKENS
from archdsl.targets.torch.select import op_class

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = sorted((ROOT / "archdsl" / "layers").glob("*.py"))
WORD = re.compile(r"[Tt]orch|\bnn\.|\bF\.|einops|autograd|autocast|jinja")


@pytest.mark.parametrize("file", LAYERS, ids=lambda p: p.name)
def test_no_layer_speaks_of_torch(file: Path) -> None:
    lines = file.read_text("utf-8").split("\n")
    assert [line for line in lines if WORD.search(line)] == []


def test_ops_take_class_tokens_where_their_layers_do() -> None:
    for kind, cls in vocabulary().items():
        layouts = op_class(cls).layouts
        assert cls.elementwise or (TOKENS in layouts) == cls.takes_tokens, kind
