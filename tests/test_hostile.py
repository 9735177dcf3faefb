"""Specs from strangers: no text, name or number becomes code, leaves its folder, or keeps the compiler busy.

Texts are tried by compiling a harmless spec and variants of it with hostile ones; the generated modules must have the
same syntax tree but for docstrings. Names are tried in each place where a spec gives one, a spec with another one in
each: a name is refused, or the module works, computes what the harmless one does, and has the names asked for in its
state dict.
"""

from __future__ import annotations

import ast
import keyword
import os
import re
import subprocess
import sys
import time
import unicodedata
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import torch
from repository import ROOT
from torch import nn

import archdsl
from archdsl.cli import main
from archdsl.core import names as rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archdsl.core.diagnostics import Diagnostic

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

# --- texts -----------------------------------------------------------------------------------------------------------

TEXTS = """
# {comment}
arch net as Net
{doc}
cite {cite}
published params = 1M, gflops = 1 from {source}
param kernel = [1, 3, 3]
input clip: video[3, 4, 8, 8]
block unit(width) {{
    {block_doc}
    conv(width, kernel) -> bn -> relu
}} # {comment}
stage one {{ unit(4) -> every(2) }}
head: avgpool -> linear(3) # {comment}
"""
PAYLOADS = {
    "quotes": 'a """ b',
    "quotes at the end": 'a"',
    "three quotes at the end": 'a"""',
    "four quotes": '""""',
    "five quotes": '"""""x"""""',
    "single quotes": "''' + __import__('os') + '''",
    "backslash at the end": "a\\",
    "two backslashes at the end": "a\\\\",
    "backslash and quotes": '\\""" \\\\""" \\',
    "code": '"""\nimport os\n"""',
    "code in a class": '"""\n    import os\n    x = """',
    "code after a carriage return": "a\rimport os\r",
    "code after a form feed": "a\x0cimport os",
    "template expression": "{{ 7*7 }} {{ cls.__class__ }}",
    "template statement": "{% raw %} {% endraw %} {% for x in y %}",
    "template comment": "{# a #} {#",
    "f-string": "{__import__('os')} {found} {0!r:>{1}} {",
    "format": "%s %(x)s $x ${x}",
    "NUL": "a\0b",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "right to left": "a \u202e b \u2066 c \u2069 \u200f",
    "no width": "a\u200bb\ufeffc\u00adx",
    "line separators": "a\u2028import os\u2029import os\x85import os",
    "escapes as text": "\\u202e \\x00 \\N{BULLET} \\ud800 \\777 \\\n",
    "private and unassigned": "\ue000 \U000e0001 \U0010ffff \ufffe",
    "one long word": "w" * 5000,
    "many words": "w " * 5000,
    "long word and quotes": "w" * 83 + '"""' + "w" * 83 + "\\" * 83,
    "comment": "# type: ignore # noqa # -*- coding: utf-7 -*-",
    "header": "# text sha256 0",
    "empty": "",
    "blank": " \t ",
    "astral": "𝔘𝔫𝔦 é ﷽ 👩‍👩‍👧",
}


def quoted(text: str) -> str:
    """A string of the language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def write(folder: Path, text: str, name: str = "net.arch") -> Path:
    """A spec on disk."""
    path = folder / name
    path.write_bytes(text.lstrip("\n").encode())
    return path


def spec_text(**texts: str) -> str:
    """The spec with some of its texts replaced."""
    places = dict.fromkeys(("doc", "cite", "source", "block_doc"), "harmless")
    comment = re.sub(r"[\n]", " ", texts.pop("comment", "harmless"))
    return TEXTS.format(comment=comment, **{k: quoted(v) for k, v in (places | texts).items()})


def tree(code: str, *, strings: bool = True) -> str:
    """The syntax tree of a module, its docstrings left out, and other strings too unless they are to be kept."""
    module = ast.parse(code)
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
        if not strings and isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(module)


def assert_harmless(code: str, expected: str, *, strings: bool = True) -> None:
    """The code differs from the harmless one in its docstrings and comments alone."""
    assert tree(code, strings=strings) == tree(expected, strings=strings)
    compile(code, "net", "exec")
    hidden = {c for c in code if c != "\n" and unicodedata.category(c) in HIDDEN}
    assert not hidden, sorted(map(hex, map(ord, hidden)))
    code.encode("utf-8")


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The module of the spec with harmless texts."""
    return archdsl.load(write(tmp_path_factory.mktemp("harmless"), spec_text())).source()


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_text_stays_text(payload: str, harmless: str, tmp_path: Path) -> None:
    """In all places of a text at once, and in comments."""
    path = write(tmp_path, spec_text(**dict.fromkeys(("doc", "cite", "source", "block_doc", "comment"), payload)))
    assert_harmless(archdsl.load(path).source(), harmless)


def test_text_of_triple_quotes_stays_text(harmless: str, tmp_path: Path) -> None:
    raw = '"""one\nimport os\n\'\'\' \\"\\"\\" \u202e\n    two \\\\"""'
    text = spec_text(doc="DOC").replace('"DOC"', raw)
    assert_harmless(archdsl.load(write(tmp_path, text)).source(), harmless)


@pytest.mark.parametrize(
    "stem",
    [
        'a"+__import__("os").getcwd()+"b',
        "a\\",
        'a\\"',
        "a\nimport os\nb",
        "a\rimport os",
        "{{ 7*7 }}{% raw %}",
        "{found} {t}",
        "a'; import os; '",
        "\u202eb\u2028c",
        "$(touch x) `touch x`",
        "-o",
        "#",
        os.fsdecode(b"a\xff\xfeb"),
        "w" * 200,
    ],
)
def test_file_name_stays_text(stem: str, harmless: str, tmp_path: Path) -> None:
    try:
        path = write(tmp_path, spec_text(), f"{stem}.arch")
    except OSError:
        pytest.skip("this disk has no such names")
    code = archdsl.load(path).source()
    assert_harmless(code, harmless, strings=False)
    assert all(line.startswith("#") for line in code.splitlines()[:4])


@pytest.mark.parametrize(
    "payload", ['"""\nimport os\n"""', "\u202e\u2028import os", "{{ 7*7 }}", "\\", "\x0bimport os"]
)
def test_settings_stay_text(payload: str, harmless: str, tmp_path: Path) -> None:
    lines = "\n".join(f"# {line}" for line in payload.split("\n"))
    code = archdsl.load(write(tmp_path, spec_text()), kernel=f"[1, 3, {lines}\n 3]").source()
    assert_harmless(code, harmless)
    assert all(line.startswith("#") for line in code.splitlines()[:4])


def test_a_setting_of_code_is_refused(tmp_path: Path) -> None:
    for text in ("__import__('os')", "1; import os", "[1, 3, 3] if 1 else exec('1')", '"x"', "1\nimport os", "kernel"):
        with pytest.raises(archdsl.SpecError):
            archdsl.load(write(tmp_path, spec_text()), kernel=text)


# --- names -----------------------------------------------------------------------------------------------------------

PLACES = {
    "arch": "net_x",
    "family": "NetX",
    "input": "clip_x",
    "path": "path_x",
    "stage": "stage_x",
    "block": "block_x",
    "parameter": "width_x",
    "label": "label_x",
    "lateral": "lateral_x",
    "line": "line_x",
    "head": "head_x",
    "param": "rate_x",
    "let": "let_x",
}
NAMES = """
arch {arch} as {family}
param {param} = 2
input {input}: video[3, 4, 8, 8]
path {path} = {input} -> every({param})
path other = {input}
block {block}({parameter}, k = 1, s = 1) {{
    let {let} = 2*{parameter}
    residual {{
        conv({let}, [k, 3, 3], stride = [1, s, s]) -> bn -> relu -> conv({parameter}, 1) as {label}
    }} shortcut if s > 1 or in.channels != {parameter} {{ conv({parameter}, 1, stride = [1, s, s]) -> bn }} -> relu
}}
stage {stage} {{
    {path}: {block}(4, k = 3) * 2
    other: {block}(6) -> {block}(8, s = 2) -> conv(5) as {line}
    lateral other => {path} by concat: conv(3) -> maxpool(1, stride = [{param}, 1, 1]) -> conv(3) as {lateral}
}}
head: concat {{ {path} -> avgpool, other -> avgpool }} -> linear(3) as {head}
"""
SMALL = NAMES.replace("s = 2", "s = 1").replace("{block}(8, s = 1)", "{block}(8, k = 3)")
IN_STATE = ("path", "stage", "block", "label", "lateral", "line", "head")
OWNED = sorted({n for m in (nn.Module(), nn.Sequential(), nn.ModuleDict({})) for n in dir(m)})
WORDS = sorted({*keyword.kwlist, *keyword.softkwlist, "None", "True", "False", "__debug__"})


def named(**chosen: str) -> str:
    """The spec with some of its names replaced."""
    return SMALL.format(**(PLACES | chosen))


@cache
def reference(folder: Path) -> tuple[nn.Module, torch.Tensor, str]:
    """The network with names that mean no harm: its module, a result, its text."""
    folder.mkdir(exist_ok=True)
    arch = archdsl.load(write(folder, named()))
    torch.manual_seed(0)
    model = arch.build().eval()
    return model, model(torch.ones(1, 3, 4, 8, 8)), arch.source()


def used_by_code(code: str) -> set[str]:
    """Every identifier in a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "self":
            continue  # `F.relu` does not care what else is called `relu`
        words = [getattr(node, field, None) for field in ("id", "attr", "arg", "name", "module")]
        found.update(w for w in words if isinstance(w, str) and w.isidentifier())
    return found


# The codes for a word of the language, a name given twice, and what follows from these.
FOR_NAMES = {"E0103", "E0105", "E0203", "E0204", "E0207", "E0404"}


def refused(folder: Path, chosen: dict[str, str]) -> set[str]:
    """Those of the names that are refused, by what is underlined, else tried alone; a test fails at other refusals."""
    diagnostics: list[Diagnostic] = []
    try:
        archdsl.load(write(folder, named(**chosen)))
    except archdsl.SpecError as error:
        diagnostics = list(error.diagnostics)
    codes = {d.code for d in diagnostics}
    assert codes <= FOR_NAMES or codes & {"E0103", "E0203", "E0204"}, f"{chosen}: {diagnostics}"
    if len(chosen) == 1 or not diagnostics:
        return set(chosen.values()) if diagnostics else set()
    shown = set(chosen.values()) & {d.span.text for d in diagnostics if d.span}
    return shown or {n for place, n in chosen.items() if refused(folder, {place: n})}


def assert_works(folder: Path, chosen: dict[str, str]) -> None:
    """The module of the spec with these names computes what the harmless one does, and has them in its state dict."""
    model, expected, _ = reference(folder / "reference")
    while wrong := refused(folder, chosen):
        chosen = {place: name for place, name in chosen.items() if name not in wrong}
    made = archdsl.load(write(folder, named(**chosen))).build().eval()
    made.load_state_dict(dict(zip(made.state_dict(), model.state_dict().values(), strict=True)))
    torch.testing.assert_close(made(torch.ones(1, 3, 4, 8, 8)), expected)
    with pytest.raises(ValueError, match="expected"):
        made(torch.ones(1, 3, 3, 8, 8))
    assert list(made.state_dict()) == [_renamed(n, chosen) for n in model.state_dict()], chosen


def _renamed(tensor: str, chosen: dict[str, str]) -> str:
    names = {PLACES[place]: name for place, name in (PLACES | chosen).items() if place in IN_STATE}
    ends = re.compile(rf"(?<![A-Za-z])({'|'.join(names)})(\d*)$")
    return ".".join(ends.sub(lambda m: names[m[1]] + m[2], part) for part in tensor.split("."))


def hostile_names(folder: Path) -> list[str]:
    """Names that could collide: the code's own identifiers, Python's words, torch's attributes."""
    _, _, code = reference(folder / "reference")
    own = used_by_code(code) - set(PLACES.values())
    more = (
        "x2 x3 y u v t h w n i frames kept picks found blocks Projection Projection2 BlockX2 Head Other lambda_ tensor"
    )
    more += " slow_fast net Net netX module Module check_clip_x check_other spread_frames other_to_path_x T B C model"
    errors = ["ValueError", "NotImplemented", "print", "vars"]
    found = {*own, *more.split(), *errors, *WORDS, "__init__", "__class__", "_modules", "_"}
    return sorted(found - {"k", "s"})  # which the block has as parameters


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For networks so small that threads would spend their time on waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Half of the names in each place, another half in the next one; the others by `make records`.
HALVES = [pytest.param(0, id="half"), pytest.param(1, id="other half", marks=pytest.mark.records)]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("part", range(4))
def test_names_are_refused_or_work(part: int, half: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each name in each place once; a spec has another hostile name in each of its places."""
    folder = tmp_path_factory.mktemp("names")
    names = hostile_names(folder)
    assert len(names) > 50
    for first in range(half + 2 * part, len(names), 8):
        assert_works(folder, {place: names[(first + 11 * k) % len(names)] for k, place in enumerate(PLACES)})


def half_of(names: list[str], place: str, half: int) -> list[str]:
    return names[(list(PLACES).index(place) + half) % 2 :: 2]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("place", ["path", "stage", "label", "lateral", "line", "head", "block"])
def test_names_that_torch_owns_are_refused(place: str, half: int, tmp_path: Path) -> None:
    for name in half_of([*OWNED, *keyword.kwlist], place, half):
        path = write(tmp_path, named(**{place: name}))
        with pytest.raises(archdsl.SpecError) as caught:
            archdsl.load(path)
        assert {d.code for d in caught.value.diagnostics} & {"E0103", "E0204"}, name


def test_the_list_of_torchs_names_is_complete() -> None:
    """And holds no name without a reason: those of other versions of torch, and the model's own methods."""
    public = {n for n in OWNED if not n.startswith("_")}
    assert public <= rules._MODULE
    made = {"forward_features", "init_weights"}
    others = {"insert", "extend", "append", "ipu", "mtia", "set_submodule", "register_module", "get_extra_state"}
    assert rules._MODULE - public <= made | others


def test_functions_that_templates_define_are_refused_as_names() -> None:
    for template in (ROOT / "templates" / "layers").glob("*.j2"):
        for name in re.findall(r"^(?:def|class) (\w+)", template.read_text("utf-8"), re.MULTILINE):
            assert rules.why_refused(name), f"{name} of {template.name} is missing in archdsl/core/names.py"


COLLISIONS = {
    "one class name for four blocks": (
        "block my_unit(n) { conv(n) -> bn }\nblock my__unit(n) { conv(n) -> relu }\n"
        "block myUnit(n) { conv(n, 3) -> relu }\nblock MyUnit(n) { conv(n, 3) -> bn }\n"
        "stage s { my_unit(4) -> my__unit(3) -> myUnit(5) -> MyUnit(5) }"
    ),
    "blocks called as what the module imports": (
        "block tensor(n) { conv(n) -> bn }\nblock f(n) { conv(n) -> bn -> relu }\nblock value_error(n) { conv(n, 3) }\n"
        "block none(n) { conv(n, 3) -> relu }\nblock true(n) { conv(n) -> relu -> bn }\n"
        "stage s { tensor(4) -> f(4) -> value_error(4) -> none(4) -> true(3) }"
    ),
    "blocks called as other classes": (
        "block projection(n) { residual { conv(n) } shortcut if in.channels != n { conv(n) } }\n"
        "block head(n) { conv(n) -> bn }\nblock net(n) { conv(n) -> relu }\nblock s(n) { conv(n, 3) -> bn }\n"
        "stage s { projection(4) -> projection(4) -> hed(4) -> net(4) -> s(4) -> relu }"
    ).replace("head(", "hed("),
    "parameters called as classes": (
        "block unit(Inner, Projection) { inner(Inner) -> inner(Projection) -> inner(Inner, s = 2) }\n"
        "block inner(n, s = 1) { residual { conv(n, stride = s) } shortcut if in.channels != n or s > 1 "
        "{ conv(n, stride = s) } }\nstage s { unit(4, 6) -> unit(3, 5) }"
    ),
    "parameters called as the channels": (
        "block unit(channels, in_channels = 3) { conv(channels) -> bn -> conv(in_channels, 3) }\n"
        "stage s { unit(4) -> unit(5, in_channels = 7) -> unit(8, in_channels = 2) }"
    ),
    "parameters called as layers": (
        "block unit(conv, bn, out, kernel) { conv(conv, [kernel, 1, 1]) -> bn -> conv(out) -> conv(bn) }\n"
        "stage s { unit(4, 3, 2, 1) -> unit(5, 4, 3, 3) }"
    ),
    "paths numbered as the inputs of a class": (
        "path p = clip\npath p1 = clip\nstage s {\n    p: conv(4) as first\n    p1: conv(5)\n}\n"
        "stage t {\n    p: conv(6)\n}\nhead: concat { first -> avgpool, p -> avgpool, p1 -> avgpool } -> linear(2)"
    ),
    "a stage called as its path": "path s = clip\nstage s { s: conv(4) -> bn }",
}


@pytest.mark.parametrize("body", COLLISIONS.values(), ids=COLLISIONS.keys())
def test_collisions_are_resolved(body: str, tmp_path: Path) -> None:
    from meta import assert_as_predicted

    head = "" if "head:" in body else "\nhead: avgpool -> linear(2)"
    arch = archdsl.load(write(tmp_path, f"arch net\ninput clip: video[3, 4, 8, 8]\n{body}{head}\n"))
    assert_as_predicted(arch)
    with pytest.raises(ValueError, match="expected"):
        arch.build()(torch.ones(1, 2, 4, 8, 8))


@pytest.mark.parametrize("name", ["Net", "f", "tensor", "value_error", "none", "true", "Projection", "S"])
def test_arch_called_as_a_class(name: str, tmp_path: Path) -> None:
    body = (
        "block u(n) { residual { conv(n) } shortcut if in.channels != n { conv(n) } }\nstage s { u(4) -> u(4) -> bn }"
    )
    arch = archdsl.load(
        write(tmp_path, f"arch {name}\ninput clip: video[3, 4, 8, 8]\n{body}\nhead: avgpool -> linear(2)\n")
    )
    model = arch.build()
    assert model(torch.ones(1, 3, 4, 8, 8)).shape == (1, 2)
    assert isinstance(model, nn.Module)


TWICE = {
    "two laterals": "    lateral p => q: conv(3)\n    lateral p => q: conv(5)",
    "laterals without layers": "    lateral p => q: relu * 0\n    p: conv(2)\n    lateral p => q: relu * 0",
    "a lateral and one without layers": "    lateral p => q: relu * 0\n    lateral p => q: conv(4)",
    "a lateral without layers as a path": "    lateral p => q: relu * 0\n    p_to_q: conv(3)",
    "a layer as a block": "    p: conv(4) -> conv1(5) -> conv(6)",
    "a layer as a row of blocks": "    p: conv1(4) * 2 -> conv(6) as blocks",
    "a lateral as a path": "    lateral p => q: conv(3)\n    p_to_q: conv(3)",
}


@pytest.mark.parametrize("lines", TWICE.values(), ids=TWICE.keys())
def test_two_things_of_one_name_are_refused(lines: str, tmp_path: Path) -> None:
    text = (
        "arch net\ninput clip: video[3, 4, 8, 8]\nblock conv1(n) { conv(n) -> bn }\n"
        f"path p = clip\npath q = clip\npath p_to_q = clip\nstage s {{\n{lines}\n}}\n"
        "head: concat { p -> avgpool, q -> avgpool, p_to_q -> avgpool } -> linear(3)\n"
    )
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(write(tmp_path, text))
    assert {d.code for d in caught.value.diagnostics if d.is_error} == {"E0203"}


# --- budgets ---------------------------------------------------------------------------------------------------------

DOUBLING = "\n".join(f"param l{i} = l{i - 1} + l{i - 1}" for i in range(1, 45))
BLOCKS = "\n".join(f"block b{i}(n) {{ b{i + 1}(n) -> b{i + 1}(n) }}" for i in range(30)) + "\nblock b30(n) { conv(n) }"
NESTED = "x"
for _letter in "abcdef":
    NESTED = f"[{NESTED} for {_letter} in 1..99]"
ENDLESS = {
    "a large repeat": "stage s { conv(4) * 100000000 }",
    "a huge repeat": "stage s { conv(4) * 1000000000000000000000000 }",
    "repeats in repeats": "stage s { (((((conv(4) * 99) * 99) * 99) * 99) * 99) * 99 }",
    "empty repeats in repeats": "stage s { (((((conv(4) * 0) * 9999) * 9999) * 9999) * 9999) * 9999 }",
    "repeats of a block": "block b(n) { conv(n) * 99999 }\nstage s { b(4) * 99999 }",
    "doubling lists": f"param l0 = [1, 2]\n{DOUBLING}\nstage s {{ conv(len(l44)) }}",
    "doubling numbers": "\n".join(["param n0 = 10", *(f"param n{i} = n{i - 1}*n{i - 1}" for i in range(1, 45))])
    + "\nstage s { conv(n44) }",
    "doubling fractions": "\n".join(["param n0 = 1/7", *(f"param n{i} = n{i - 1}*n{i - 1}" for i in range(1, 45))])
    + "\nstage s { conv(n44) }",
    "doubling blocks": f"{BLOCKS}\nstage s {{ b0(4) }}",
    "comprehensions in comprehensions": f"let x = 1, y = {NESTED}\nstage s {{ conv(len(y)) }}",
    "lists of lists": "let y = [[1..9999 for a in 1..9999] for b in 1..9999]\nstage s { conv(len(y)) }",
    "loops in loops": "for a in 1..9999 { for b in 1..9999 { for c in 1..9999 { if a == 0 { stage s { relu } } } } }",
    "a long range": "for a in 1..999999999999 { let b = a }",
    "an endless range": "for a in 1.. { let b = a }",
    "a large number": "stage s { conv(1e999999999) }",
    "a number of many digits": f"stage s {{ conv({'9' * 100_000}) }}",
    "a number of many decimals": f"stage s {{ dropout(0.{'1' * 100_000}) }}",
    "a fraction of many digits": f"stage s {{ conv(1/{'7' * 5000}*{'7' * 5000}) }}",
    "a block in itself": "block b(n) { b(n) }\nstage s { b(4) }",
    "blocks in each other": "block b(n) { c(n) }\nblock c(n) { residual { b(n) } }\nstage s { b(4) }",
    "parameters in each other": "param a = b, b = a\nstage s { conv(a) }",
    "deep parentheses": f"stage s {{ conv({'(' * 50_000}1{')' * 50_000}) }}",
    "deep lists": f"stage s {{ conv({'[' * 50_000}1{']' * 50_000}) }}",
    "deep chains": f"stage s {{ {'(' * 50_000}relu{')' * 50_000} }}",
    "deep residuals": f"stage s {{ {'residual { ' * 5000}relu{' }' * 5000} }}",
    "many minuses": f"stage s {{ conv({'-' * 100_000}1) }}",
    "many nots": f"stage s {{ conv(1, bias = {'not ' * 100_000}on) }}",
    "a long sum": f"stage s {{ conv({'1+' * 100_000}1) }}",
    "many elses": f"stage s {{ conv({'1 if off else ' * 50_000}1) }}",
    "many ifs": f"{'if off { } else ' * 20_000} {{ }}",
    "many indices": f"let l = [1]\nstage s {{ conv(l{'[0]' * 50_000}) }}",
    "opened and never closed": "{" * 100_000,
    "closed and never opened": "}" * 100_000,
    "a string never closed": '"' + "x" * 900_000,
    "a file of 2 MB": "# " + "x" * 2_000_000,
    "many lines": "stage s { relu }\n" * 10_000,
    "many faults": "stage s { unknown(4) }\n" * 5_000,
    "many arguments": f"stage s {{ conv({', '.join(['4'] * 50_000)}) }}",
    "many branches": f"stage s {{ concat {{ {', '.join(['relu'] * 200_000)} }} }}",
}


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS.keys())
def test_compiling_ends(body: str, tmp_path: Path) -> None:
    """With a diagnostic, in seconds, in bounded memory, in a process that could end in other ways."""
    text = f"arch net\ninput clip: video[3, 4, 8, 8]\n{body}\nhead: avgpool -> linear(3)\n"
    path = write(tmp_path, text)
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "from archdsl.cli import main\n"
        "sys.exit(main(['check', sys.argv[1]]))"
    )
    if sys.platform != "linux":
        code = "import sys\nfrom archdsl.cli import main\nsys.exit(main(['check', sys.argv[1]]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, timeout=60, check=False
    )
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 1, output[-2000:]
    assert re.search(r"^error\[E\d{4}\]", output), output[:2000]
    assert "Traceback" not in output
    assert len(output) < 300_000


# Texts that are refused, each with the budget that its work meets.
_DOUBLED = "\n".join(f"let a{i} = [a{i - 1}, a{i - 1}]" for i in range(1, 41))
_PARAMETERS = "\n".join(f"param p{i} = p{i + 1}" for i in range(1_000))
_MANY = ", ".join(f"a{i} = {i}" for i in range(1000))
REFUSED = {
    "parameters of a row of blocks": (f"block b({_MANY}) {{ relu }}\nstage s {{ b * 4000 }}", "E0705"),
    "a typo in a row": ("stage s { foo * 4999 }", "E0202"),
    "a typo in a row of rows": ("stage s { (conv(foo) * 4999) * 4999 }", "E0705"),
    "lists that double": (f"let a0 = [1, 2]\n{_DOUBLED}\nstage s {{ conv(a40) }}", "E0703"),
    "deep lists": ("let a0 = [1]\n" + "\n".join(f"let a{i} = [a{i - 1}]" for i in range(1, 1000)), "E0702"),
    "the largest of long lists": ("let a = 1..90000, b = [max(a) for i in 1..9999]", "E0705"),
    "long lists side by side": ("let a = 1..90000, b = [zip(a, a) for i in 1..9999]", "E0703"),
    "equality of long lists": ("let a = 1..90000, b = [a == a for i in 1..9999]", "E0705"),
    "a chain of parameters": (f"{_PARAMETERS}\nparam p1000 = 1\nstage s {{ conv(p0) }}", "E0702"),
    "blocks without a layer": ("block b(n) { relu * 0 }\nstage s { (b(4) * 4999) * 4999 }", "E0705"),
    "a long name": (f"stage {'x' * 500_000} {{ relu }}", "E0204"),
    "many words": (f"let l = [{'1,' * 30_000}]", "E0704"),
    "a literal beyond arithmetic": ("stage s { conv(1e30) }", "E0703"),
    "a sum beyond arithmetic": ("stage s { conv(sum([1e15, 1])) }", "E0703"),
    "a width beyond layers": ("stage s { conv(1e12) }", "E0703"),
    "channels that double": ("stage s { concat { relu, relu } * 60 }", "E0707"),
    "padding beyond memory": ("stage s { maxpool(1e9, padding = same) }", "E0707"),
    "two hundred faults": (f"stage s {{ concat {{ {', '.join(f'a{i}' for i in range(300))} }} }}", "E0706"),
}


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_work_meets_its_budget(body: str, code: str, tmp_path: Path) -> None:
    text = f"arch net\ninput clip: video[3, 4, 8, 8]\n{body}\nhead: avgpool -> linear(3)\n"
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(write(tmp_path, text))
    assert code in {d.code for d in caught.value.diagnostics}
    assert len(str(caught.value)) < 300_000


# Texts whose work is small, though a number or a formula in them is large.
FINE = {
    "named values that the head joins": "".join(f"stage s{i} {{ conv(2) as a{i} }}\n" for i in range(300))
    + f"head: concat {{ {', '.join(f'a{i}' for i in range(300))} }} -> avgpool -> linear(3)",
    "blocks that nothing calls": "".join(f"block b{i}(n) {{ relu }}\n" for i in range(1000)) + "stage s { conv(4) }",
    "strides of a billion": "stage s { concat { maxpool(1, stride = 1e9), maxpool(3, stride = 1e9) } -> conv(2) }",
    "formulas that double": "block b(n) {\n    let a0 = n"
    + "".join(f", a{i} = a{i - 1} + a{i - 1} - a{i - 1}" for i in range(1, 60))
    + "\n    conv(a59) -> conv(4)\n}\nstage s { b(1) -> b(2) }",
}


@pytest.mark.parametrize("body", FINE.values(), ids=FINE.keys())
def test_small_work_is_done(body: str, tmp_path: Path) -> None:
    head = "" if "head:" in body else "head: avgpool -> linear(3)"
    arch = archdsl.load(write(tmp_path, f"arch net\ninput clip: video[3, 4, 8, 8]\n{body}\n{head}\n"))
    with torch.device("meta"):
        assert sum(p.numel() for p in arch.build().parameters()) == arch.params


def test_words_of_any_characters_end(tmp_path: Path) -> None:
    """A fault in a word is found once: what is left of the word is no fault of its own, and is not sought again."""
    random = Random(0)
    for _ in range(1500):
        words = ["".join(random.choices('ax3_é²→"x9٣ §\n', k=random.randrange(1, 9))) for _ in range(6)]
        with pytest.raises(archdsl.SpecError) as caught:
            archdsl.load(write(tmp_path, f"arch é{words[0]}\ninput clip: video[3, 4, 8, 8]\n{' '.join(words[1:])}\n"))
        found = [d for d in caught.value.diagnostics if d.is_error]
        assert len({(d.span.start, d.code) for d in found}) == len(found)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_what_is_no_file_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.arch")
    (tmp_path / "zero.arch").symlink_to("/dev/zero")
    (tmp_path / "nowhere.arch").symlink_to(tmp_path / "nothing")
    for name, said in (("pipe", "is a pipe"), ("zero", "is a device"), ("nowhere", "no such file")):
        assert main(["check", str(tmp_path / f"{name}.arch")]) == 2
        assert said in capsys.readouterr().err


def test_a_large_file_is_read_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.arch"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # takes no room on the disk
    assert main(["check", str(path)]) == 1
    assert "E0704" in capsys.readouterr().err


def test_a_large_picture_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    widths = " -> ".join(f"conv({n})" for n in range(1, 1600))
    path = write(tmp_path, f"arch net\ninput clip: video[3, 4, 8, 8]\nstage s {{ {widths} }}\n")
    assert main(["draw", str(path), "-o", str(tmp_path / "net.svg"), "--level", "layer"]) == 2
    assert "--level stage" in capsys.readouterr().err


def test_a_huge_string_compiles(tmp_path: Path, harmless: str) -> None:
    started = time.process_time()
    code = archdsl.load(write(tmp_path, spec_text(doc="word " * 150_000))).source()
    assert_harmless(code, harmless)
    assert time.process_time() - started < 30


# --- roots -----------------------------------------------------------------------------------------------------------

OUTSIDE = "block stolen(n) { conv(n) }\n"
VARIANT = "arch net extends {}\n"
USER = "arch net\nimport {}\ninput clip: video[3, 4, 8, 8]\nstage s {{ stolen(4) }}\nhead: avgpool -> linear(3)\n"
ELSEWHERE = [
    "..",
    "../secret",
    "/etc/passwd",
    '"../secret"',
    '"/etc/passwd"',
    "sub.secret",
    "sub/secret",
    "~",
    "secret.arch",
]


@pytest.mark.parametrize("text", [USER, VARIANT], ids=["import", "extends"])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_path_is_no_name(text: str, name: str, tmp_path: Path) -> None:
    write(tmp_path, OUTSIDE, "secret.arch")
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(write(inside, text.format(name)))
    assert {d.code for d in caught.value.diagnostics} & {"E0103", "E0106", "E0108", "E0205"}


@pytest.mark.parametrize("text", [USER, VARIANT], ids=["import", "extends"])
@pytest.mark.parametrize("folder", [".", "lib"])
def test_a_link_leads_nowhere(text: str, folder: str, tmp_path: Path) -> None:
    secret = write(tmp_path, OUTSIDE if text is USER else USER, "secret.arch")
    inside = tmp_path / "inside"
    (inside / folder).mkdir(parents=True)
    (inside / folder / "link.arch").symlink_to(secret)
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(write(inside, text.format("link")))
    assert [d.code for d in caught.value.diagnostics] == ["E0205"]
    assert "stolen" not in str(caught.value).replace(text, "")


def test_a_linked_library_folder_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write(outside, OUTSIDE, "secret.arch")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "lib").symlink_to(outside)
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(write(inside, USER.format("secret")))
    assert "E0205" in [d.code for d in caught.value.diagnostics]


@pytest.mark.parametrize("name", ["..", "../net", "/net", "a/b", "a\\b", "~", ".hidden", '"../net"', "net.py", "a b"])
def test_a_module_stays_in_its_folder(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "inside" / "out"
    out.mkdir(parents=True)
    path = write(tmp_path / "inside", spec_text().replace("arch net as Net", f"arch {name}"))
    before = set(tmp_path.rglob("*"))
    assert main(["compile", str(path), "-o", str(out)]) == 1
    assert "error[E01" in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) == before


def nothing_else(folder: Path) -> Any:
    """Contents of a folder."""
    return sorted(p.name for p in folder.iterdir())


def test_a_module_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    """The link is replaced, not what it leads to."""
    target = tmp_path / "target.py"
    target.write_text("mine\n")
    out = tmp_path / "out"
    out.mkdir()
    (out / "net.py").symlink_to(target)
    path = write(tmp_path, spec_text())
    assert main(["compile", str(path), "-o", str(out)]) == 2
    assert main(["compile", str(path), "-o", str(out), "--force"]) == 0
    assert target.read_text() == "mine\n"
    assert nothing_else(out) == ["net.py"]
