"""The package `layers` says what words mean, in terms of the language: no word of PyTorch stands in it."""

from __future__ import annotations

import ast
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


def compared_kinds(tree: ast.AST) -> set[str]:
    """The words that some `.kind` is compared with."""
    found: set[str] = set()
    for node in ast.walk(tree):
        sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in sides):
            found |= {n.value for side in sides for n in ast.walk(side) if isinstance(n, ast.Constant)}
    return found


def test_no_other_code_treats_layers_by_their_names() -> None:
    """Traits tell: a new layer is treated right without an edit elsewhere."""
    assert compared_kinds(ast.parse('a.kind == "bn" or b.layer.kind in {"add", "concat"}')) == {"bn", "add", "concat"}
    words = {kind for kind, cls in vocabulary().items() if not cls.internal}
    for file in (ROOT / "archdsl").rglob("*.py"):
        if file not in LAYERS:
            named = compared_kinds(ast.parse(file.read_text("utf-8"))) & words
            assert not named, f"{file} compares `.kind` with {named}"


def test_ops_take_class_tokens_where_their_layers_do() -> None:
    for kind, cls in vocabulary().items():
        layouts = op_class(cls).layouts
        assert cls.elementwise or (TOKENS in layouts) == cls.takes_tokens, kind
