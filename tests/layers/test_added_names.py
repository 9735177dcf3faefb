"""Names that the code of added layers and the rest of a module use for different things."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from added_layers import EXP, add, archdsl, done, write_spec

from archdsl.targets.torch.imports import bound, clash, import_blocks

CALLS = "{% macro apply(x) %}APPLY{% endmacro %}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHDSL_LAYERS", "own")
    write_spec(tmp_path, "conv(4) -> bn -> new")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "from torch.utils.checkpoint import checkpoint",
        "import numpy as torch",
        "from os.path import split as F",
        "from collections import Counter, ChainMap as Mapping",
    ],
)
def test_an_import_takes_no_name_of_the_module(folder: Path, line: str) -> None:
    add(folder, "new", f'    imports = ("{line}",)', EXP)
    code, printed = archdsl("compile", "s.arch")
    assert code == 1
    assert "error[E0902]" in printed
    assert "own/new.py:11:5" in printed
    assert "of the generated module" in printed


def test_two_layers_import_one_name_from_two_places(folder: Path) -> None:
    template = CALLS.replace("APPLY", "torch.exp({{ x }}) * len(split('a'))")
    add(folder, "new", '    imports = ("from os.path import split",)', template)
    add(folder, "other", '    imports = ("from shlex import split",)', template)
    write_spec(folder, "conv(4) -> new -> other")
    code, printed = archdsl("compile", "s.arch")
    assert code == 1
    assert "error[E0902]" in printed
    assert "`from os.path import split`" in printed
    assert "import it under another name, as in `from shlex import split as my_split`" in printed


def test_imports_are_in_the_order_of_ruff(folder: Path) -> None:
    template = CALLS.replace("APPLY", "rearrange({{ x }}, 'b c t h w -> b c t h w') * math.pi * len(os.path.sep) * e")
    add(
        folder,
        "new",
        '    imports = ("import os.path, math", "from math import e", "from einops import rearrange")',
        template,
    )
    done("compile", "s.arch")
    lines = [line for line in Path("s.py").read_text("utf-8").split("\n") if line.startswith(("import ", "from "))]
    assert lines == [
        "from __future__ import annotations",
        "import math",
        "import os.path",
        "from contextlib import nullcontext",
        "from math import e",
        "from typing import Any, Literal, get_args",
        "import torch",
        "from einops import rearrange",
        "from torch import Tensor, nn",
        "from torch.nn import functional as F",
        "from torch.utils import checkpoint",
    ]


def test_functions_of_templates_and_of_the_module_differ(folder: Path) -> None:
    """Both are called `checkpointed`, `check_clip` and `BuffersKept`, and the module is compared with its spec."""
    support = """
{% macro support() %}
def checkpointed(x: Tensor) -> Tensor:
    \"\"\"Twice x.\"\"\"
    return x + x


def check_clip(x: Tensor) -> Tensor:
    \"\"\"Twice x, twice.\"\"\"
    return checkpointed(x + x)


class BuffersKept:
    \"\"\"One.\"\"\"

    one = 1
{% endmacro %}
"""
    add(folder, "new", "", support + CALLS.replace("APPLY", "check_clip({{ x }}) * BuffersKept.one"))
    done("compile", "s.arch")
    tree = ast.parse(Path("s.py").read_text("utf-8"))
    names = [n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    assert len(names) == len(set(names))
    assert {"checkpointed", "check_clip", "BuffersKept"} < set(names)


def test_a_class_of_a_block_gives_way_to_an_import(folder: Path) -> None:
    """`block b` would be the class B."""
    add(folder, "new", '    imports = ("from math import e as B",)', CALLS.replace("APPLY", "{{ x }} * B"))
    done("compile", "s.arch")
    names = [n.name for n in ast.parse(Path("s.py").read_text("utf-8")).body if isinstance(n, ast.ClassDef)]
    assert "B" not in names


def test_names_of_tensors_can_have_numbers(folder: Path) -> None:
    body = '    def weights(self, x): return {"parts.0.weight": (x.channels, 4), "parts.1": (2,)}\n'
    template = """
{% macro support() %}
class New(nn.Module):
    \"\"\"A list of two.\"\"\"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.parts = nn.ParameterList([torch.ones(2)])
        self.parts.insert(0, nn.Linear(4, channels, bias=False))
{% endmacro %}
"""
    add(folder, "new", body, template + EXP)
    _, printed = archdsl("check", "s.arch")
    assert "as the name of a tensor" not in printed


@pytest.mark.parametrize(
    ("line", "name"),
    [("import a.b", "a"), ("import a.b as c", "c"), ("from a import b", "b"), ("from a import b as c", "c")],
)
def test_name_of_an_import(line: str, name: str) -> None:
    assert bound(line) == name


@pytest.mark.parametrize(
    ("line", "other", "is_clash"),
    [
        ("import torch.fft", "import torch", False),
        ("from a import b", "from a import b", False),
        ("import a.b as b", "from a import b", False),
        ("from c import b", "from a import b", True),
        ("import c as torch", "import torch", True),
        ("import b", "from a import b", True),
    ],
)
def test_clash_of_imports(line: str, other: str, is_clash: bool) -> None:
    assert (clash(line, [other]) == other) is is_clash


def test_nothing_is_imported() -> None:
    assert import_blocks([]) == []
