"""Labels with names in braces, and words before braces that hold a chain."""

from __future__ import annotations

import pytest

from archdsl.core.source import Source
from archdsl.frontend import ast
from archdsl.frontend.format import format_text
from archdsl.frontend.parse import parse

LABELS = ["x{i}", "x{i}_{j}", "x{i}y", "x1{i}"]
# Texts without spaces in which braces hold a chain, with their canonical form.
CHAINS = [
    ("head: if wide{relu}else{gelu}", "head: if wide { relu } else { gelu }"),
    ("head: residual{relu}shortcut{gelu}", "head: residual { relu } shortcut { gelu }"),
    ("head: concat{in}", "head: concat { in }"),
    ("block f() as conv{relu}", "block f() as conv { relu }"),
    ("stage s frozen if wide{relu}", "stage s frozen if wide { relu }"),
    ("for i in few{stage s{relu }}", "for i in few { stage s { relu } }"),
]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(
    "text",
    [
        "stage {} {{ relu }}",
        "head: {} -> relu",
        "head: conv(8) as {} -> relu",
        "head: concat {{ {}, {} }}",
        "head: ({} -> relu) * 2",
        "head: up({}, skip = {})",
        "path p = {}",
    ],
)
def test_a_label(text: str, label: str) -> None:
    whole = text.replace("{}", label).replace("{{", "{").replace("}}", "}")
    assert format_text(whole) == f"{whole}\n"


def test_a_label_is_the_name_of_a_value() -> None:
    [head] = parse(Source("net", "head: x{i} -> relu as y{i}")).statements
    assert isinstance(head, ast.Head)
    first, last = head.chain.steps
    assert isinstance(first.link, ast.Label)
    assert first.link.text == "x{i}"
    assert last.label is not None
    assert last.label.text == "y{i}"


@pytest.mark.parametrize(("text", "canonical"), CHAINS)
def test_braces_of_a_chain(text: str, canonical: str) -> None:
    assert format_text(text) == f"{canonical}\n"
