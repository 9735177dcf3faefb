"""The compiler's networks equal those of the language's executable definition, and that agrees with its pages."""

from __future__ import annotations

from collections import ChainMap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from definition import Definition
from definition.compare import difference
from definition.values import evaluate
from documents import LANGUAGE, examples, rows, whole
from programs.check import Texts
from programs.mutations import corpus
from repository import ROOT
from small import ALL, param

from archdsl.core.source import Source
from archdsl.core.values import describe, normal
from archdsl.frontend.parse import parse_binding
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from error_documents import Fence

SPECS = ROOT / "specs"


def compared(name: str, texts: dict[str, str]) -> str:
    network = analyse(Source(f"{name}.arch", texts[name]), Texts(texts)).network
    return difference(Definition(name, texts), network)


@pytest.mark.parametrize("path", [*ALL, *map(param, sorted(SPECS.glob("images/*.arch")))])
def test_specs_are_as_defined(path: Path) -> None:
    assert compared(path.stem, corpus()) == ""


@pytest.mark.parametrize(("fence", "files"), examples())
def test_examples_of_the_pages_are_as_defined(fence: Fence, files: list[Fence]) -> None:
    libraries = {Path(f.options["file"]).stem: f.text for f in files}
    assert compared("spec", {**corpus(), **libraries, "spec": whole(fence.text)}) == ""


@pytest.mark.parametrize(("expression", "value"), rows(LANGUAGE, "values"))
def test_values_are_as_the_page_says(expression: str, value: str) -> None:
    found = evaluate(parse_binding(Source("--set", f"x = {expression.strip('`')}")).value, ChainMap())
    assert describe(plain(found)).strip("`") == value.strip("`")


def plain(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value if isinstance(value, bool | str) else normal(value)


def test_names_follow_the_rules_of_the_page() -> None:
    """Each rule once, with the names that it gives written out."""
    text = """
arch net
input clip: video[3, 4, 8, 8]
path p = clip -> conv(4)
path q = clip
block unit(width) { conv(width) -> bn -> relu }
block pair(width) { unit(width) -> unit(width) }
stage one { p: unit(4) }
stage two { p: unit(4) * 2 -> unit(8) }
stage three { p: conv(4) -> conv(4) as last -> unit(8) * 2 -> bn -> unit(8) * 1 }
stage four { q: pair(4) -> residual { conv(4) } shortcut { conv(4) as again } }
stage five { lateral q => p: conv(4) }
head: p -> unit(4) -> avgpool -> linear(2)
"""
    weights = [a.name for a in Definition("net", {"net": text}).applied if a.kind in ("conv", "linear")]
    assert weights == [
        "p.input.conv",
        "p.one.conv",
        "p.two.0.conv", "p.two.1.conv", "p.two.2.conv",
        "p.three.conv", "p.three.last", "p.three.blocks1.0.conv", "p.three.blocks1.1.conv", "p.three.blocks2.0.conv",
        "q.four.pair.unit1.conv", "q.four.pair.unit2.conv", "q.four.conv", "q.four.shortcut.again",
        "q_to_p.five.conv",
        "head.unit.conv", "head.linear",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("conv(8)", "conv(9)"),
        ("bn -> relu", "relu -> bn"),
        ("conv(8)", "conv(8) as other"),
        ("stage one", "stage one frozen"),
        ("-> linear(5)", "-> linear(5) -> relu"),
        ("bias = on", "bias = off"),
        ("3, 4, 8, 8", "3, 4, 8, 9"),
        ("shortcut if off", "shortcut if 1 == 1 and off"),
        ("shortcut if off", "shortcut if on"),
    ],
)
def test_a_network_of_another_text_differs(old: str, new: str) -> None:
    text = """
arch net
input clip: video[3, 4, 8, 8]
stage one { conv(8) -> bn -> relu -> residual { conv(in.channels, bias = on) } shortcut if off { relu } }
head: avgpool -> linear(5)
"""
    assert old in text
    network = analyse(Source("net.arch", text), Texts({})).network
    is_same = new == "shortcut if 1 == 1 and off"
    assert (difference(Definition("net", {"net": text.replace(old, new)}), network) == "") is is_same
