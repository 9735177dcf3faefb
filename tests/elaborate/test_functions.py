"""Functions of numbers: which of them an expression sees, and the work that calls of them may cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import archdsl
from archdsl.core.diagnostics import SpecError
from archdsl.elaborate.parameters import setting
from archdsl.files import FileLibrary, read_source
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = """
let double(x) = 2 * x
let quadruple(x) = double(double(x))
block wide(width) { conv(quadruple(width)) }
"""
BASE = """arch base
import sizes
let double(x) = 10 * x
param width = later(2)
let later(x) = double(x) + more
param more = 1
input clip: video[3, 2, 4, 4]
stage one { conv(width) }
stage two { conv(quadruple(width)) }
stage three { wide(width) }
"""
VARIANT = """arch variant extends base
let double(x) = 3 * x
param more = double(1)
"""
CALLS = """arch net
let f0(x) = x + 1
{functions}
input clip: video[3, 2, 4, 4]
stage one {{ conv({call}) }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"sizes": LIBRARY, "base": BASE, "variant": VARIANT}.items():
        (tmp_path / f"{name}.arch").write_text(text, "utf-8")
    return tmp_path


def shapes(path: Path, **settings: object) -> list[int]:
    """The channels behind each convolution."""
    network = analyse(read_source(str(path)), FileLibrary(), [setting(n, v) for n, v in settings.items()]).network
    return [int(node.shape.channels) for node in network.all_nodes() if node.layer.kind == "conv"]


def test_a_function_of_a_spec_hides_that_of_its_library_only_there(folder: Path) -> None:
    assert shapes(folder / "base.arch") == [21, 84, 84]  # the library's own functions stay as they are


def test_a_function_of_a_variant_takes_the_place_of_its_bases(folder: Path) -> None:
    assert shapes(folder / "variant.arch") == [9, 36, 36]  # 3 · 2 + 3


def test_a_setting_can_call_a_function(folder: Path) -> None:
    assert shapes(folder / "base.arch", width="double(more) + 2") == [12, 48, 48]


def test_calls_are_work(tmp_path: Path) -> None:
    """Each function calls the one before it twice."""
    functions = "\n".join(f"let f{n}(x) = f{n - 1}(x) + f{n - 1}(x)" for n in range(1, 40))
    path = tmp_path / "net.arch"
    path.write_text(CALLS.format(functions=functions, call="f39(1)"), "utf-8")
    with pytest.raises(SpecError) as caught:
        archdsl.load(path)
    assert [d.code for d in caught.value.diagnostics] == ["E0705"]


@pytest.mark.parametrize(("depth", "codes"), [(30, []), (1000, ["E0702"])])
def test_calls_inside_each_other(tmp_path: Path, depth: int, codes: list[str]) -> None:
    functions = "\n".join(f"let f{n}(x) = f{n - 1}(x) + 0" for n in range(1, depth + 1))
    path = tmp_path / "net.arch"
    path.write_text(CALLS.format(functions=functions, call=f"f{depth}(1)"), "utf-8")
    if codes:
        with pytest.raises(SpecError) as caught:
            archdsl.load(path)
        assert [d.code for d in caught.value.diagnostics] == codes
    else:
        assert shapes(path) == [2]


def test_a_library_of_functions_can_be_imported_twice(folder: Path) -> None:
    """The functions of both statements are the same ones."""
    (folder / "twice.arch").write_text(BASE.replace("import sizes", "import sizes\nimport sizes"), "utf-8")
    assert shapes(folder / "twice.arch") == shapes(folder / "base.arch")


def test_parameters_of_a_function_can_have_names_that_generated_code_uses() -> None:
    text = "arch net\nlet longest(list, min) = max(len(list), min)\ninput clip: video[3, 2, 4, 4]\n"
    arch = archdsl.loads(text + "stage one { conv(longest([1, 2, 3], 2)) }\n")
    assert arch.build().one.conv.out_channels == 3
