"""Calls of version 0.1 in lines, and `archdsl fmt --upgrade`; the networks are in test_upgraded_specs.py."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest

import archdsl
from archdsl.cli import main
from archdsl.core.source import Source
from archdsl.frontend.format import format_text
from archdsl.upgrade.rewrite import rewritten

if TYPE_CHECKING:
    from pathlib import Path


def upgraded(text: str) -> str:
    """A text of version 0.1 in lines, all of it."""
    made = rewritten(Source("x.arch", text))
    assert not made.left
    return format_text(made.text, "x.arch")


def chain(call: str, head: str = "arch x") -> str:
    """A spec with one call."""
    return f"{head}\nstage s {{\n    {call}\n}}\n"


# Settings, and the arguments and lines that stand for them.
LINES = {
    "init = xavier": ("8", "qkv: linear(in.channels, init = xavier)\nproj: linear(in.channels, init = xavier)"),
    "dim = 64, bias = off, proj_init = zeros": (
        "8", "qkv: linear(64, bias = off)\nproj: linear(in.channels, init = zeros)"
    ),
    "64, 32, time": ("8, over = time", "qkv: linear(64)\nproj: linear(32)"),
    "dim = 0, window = [all, 7, 7]": (
        "8, window = [all, 7, 7]", "qkv: linear(in.channels)\nproj: linear(in.channels)"
    ),
    "over = time, half_over = space": (
        "8, over = [time, space]", "qkv: linear(in.channels)\nproj: linear(in.channels)"
    ),
    "half_over = same": ("8, over = space_time", "qkv: linear(in.channels)\nproj: linear(in.channels)"),
    "score = embedded_gaussian": ("8", "qkv: linear(in.channels)\nproj: linear(in.channels)"),
    "score = dot_product, proj_bias = off": (
        "8, score = dot_product", "qkv: linear(in.channels)\nproj: linear(in.channels, bias = off)"
    ),
    "score = gaussian, kv_pool = 2, kv_pool_first = on": (
        "8, scale = off",
        "qk: in\nkv: grid { maxpool(2, stride = 2, padding = valid) }\nv: linear(in.channels)\n"
        "proj: linear(in.channels)",
    ),
    "kv_pool = [1, 2, 2], kv_pool_first = on": (
        "8",
        "kv: grid { maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid) }\nqkv: linear(in.channels)\n"
        "proj: linear(in.channels)",
    ),
    "q_pool = 3, q_stride = [1, 2, 2], add_query = on": (
        "8",
        "qkv: linear(in.channels)\nq: grid { maxpool(3, stride = [1, 2, 2]) }\n"
        "proj: add { in, q -> select(grid) } -> linear(in.channels)",
    ),
    "pool = avg, kv_pool = [1, 3, 3], kv_stride = [1, 2, 2], pool_norm = on, eps = 1e-6": (
        "8",
        "qkv: linear(in.channels)\nkv: each_head {\n"
        "    grid { avgpool([1, 3, 3], stride = [1, 2, 2], padding = half) } -> layernorm(eps = 1e-6) as norm\n}\n"
        "proj: linear(in.channels)",
    ),
    "kv_pool = 1, q_pool = [1, 1, 1], q_stride = 0, add_query = off, position = none": (
        "8", "qkv: linear(in.channels)\nproj: linear(in.channels)"
    ),
    "position = table, table_prefix = on, position_init = zeros": (
        "8", "qkv: linear(in.channels)\nbias: table(prefix = on, init = zeros)\nproj: linear(in.channels)"
    ),
    "position = decomposed, position_grid = [8, 56, 56], kv_pool = [1, 4, 4], q_pool = [1, 2, 2]": (
        "8",
        "qkv: linear(in.channels)\nq: grid { maxpool([1, 2, 2], stride = [1, 2, 2], padding = valid) }\n"
        "kv: grid { maxpool([1, 4, 4], stride = [1, 4, 4], padding = valid) }\n"
        "bias: decomposed(made_for = [8, 56//min(2, 4), 56//min(2, 4)]) as relative\nproj: linear(in.channels)",
    ),
    "over = time, band = 8, token_projections = on, dim = 16": (
        "8, over = time, band = 8",
        "qkv: linear(16)\ntoken_q: linear(16)\ntoken_kv: linear(16)\nproj: linear(in.channels)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("settings", LINES)
def test_settings_in_lines(settings: str) -> None:
    arguments, lines = LINES[settings]
    call = f"attention({arguments}) {{\n{indent(lines, '    ')}\n}}"
    assert upgraded(chain(f"attention(8, {settings})")) == format_text(chain(call))


# Parameters of a block, a setting, and the lines that stand for it.
VALUES = {
    "relative: bool": (
        "position = table if relative else none", "if relative { bias: table }"
    ),
    "kind: none | table | decomposed": (
        "position = kind",
        "if kind == table { bias: table } else if kind == decomposed { bias: decomposed as relative }",
    ),
    "kv: int": (
        "kv_pool = [1, kv, kv]",
        "if kv > 1 { kv: grid { maxpool([1, kv, kv], stride = [1, kv, kv], padding = valid) } }",
    ),
    "q = 1": (
        "q_pool = [1, q + 1, q + 1], q_stride = [1, q, q], pool_norm = q > 1",
        "if q + 1 > 1 or q > 1 {\n    q: each_head {\n        grid { maxpool([1, q + 1, q + 1], stride = [1, q, q]) }\n"
        "        -> if q > 1 { layernorm as norm }\n    }\n}",
    ),
    "pooled: bool, s = 2": (
        "q_pool = [1, 3, 3] if pooled else 1, q_stride = [1, s, s] if pooled else 1",
        "if pooled { q: grid { maxpool([1, 3, 3], stride = [1, s, s], padding = half if s != 3 else valid) } }",
    ),
    "window: list": (
        "kv_pool = window, kv_pool_first = on",
        "if window != [1, 1, 1] { kv: grid { maxpool(window, stride = window, padding = valid) } }",
    ),
    "own: bool": (
        "band = 4, over = time, token_projections = own",
        "if own { token_q: linear(in.channels)\n    token_kv: linear(in.channels) }",
    ),
}  # fmt: skip
BEFORE = ("kv_pool_first",)


@pytest.mark.parametrize("parameter", VALUES)
def test_values_that_a_block_is_given(parameter: str) -> None:
    setting, lines = VALUES[parameter]
    kept = ", band = 4, over = time" if "band" in setting else ""
    parts = ["qkv: linear(in.channels)", lines]
    parts = parts[::-1] if any(b in setting for b in BEFORE) else parts
    body = "\n".join([*parts, "proj: linear(in.channels)"])
    block = "block b({}) {{\n    attention(2{}){}\n}}\n"
    expected = block.format(parameter, kept, f" {{\n{body}\n}}")
    assert upgraded(block.format(parameter, f", {setting}", "")) == format_text(expected)


def test_numbers_that_may_be_zero() -> None:
    """0 stood for the channels of the input."""
    made = upgraded("block b(dim = 0, out = 8) { attention(2, dim = dim, out = out) }\n")
    assert "qkv: linear(dim if dim > 0 else in.channels)" in made
    assert "proj: linear(out)" in made


def test_scores_of_non_local_blocks() -> None:
    """A parameter with a word of version 0.1; the others are words of today."""
    made = upgraded(
        "block b(kind: embedded_gaussian | gaussian | dot_product = gaussian, scale: bool = on) {\n"
        "    attention(2, score = kind, scale = scale)\n}\n"
    )
    assert "score = softmax if kind == embedded_gaussian or kind == gaussian else kind" in made
    assert "scale = scale and kind != gaussian" in made
    assert made.index("if kind == gaussian { qk: in }") < made.index("v: linear(in.channels)")


def test_pooling_by_convolution_brings_its_block_once() -> None:
    """Its weights keep their names: `q_pool.conv`, `kv_pool.conv`."""
    head = "arch x\ninput clip: video[3, 4, 16, 16]\n"
    call = "attention(2, pool = conv, kv_pool = [1, 3, 3], kv_stride = [1, 2, 2], pool_norm = on, init = xavier)"
    old = f"{head}stage s {{ linear(8) -> {call} -> {call} }}\nhead: avgpool -> linear(2)\n"
    new = upgraded(old)
    assert new.count("block pool(") == 1
    assert new.count("kv: each_head { pool([1, 3, 3], [1, 2, 2], init = xavier) -> layernorm as norm }") == 2
    tensors = archdsl.loads(new).tensors
    assert {n: s for n, s in tensors.items() if "attention1.kv" in n or "attention1.k_" in n} == {
        "s.attention1.kv_pool.conv.weight": (8, 1, 1, 3, 3),
        "s.attention1.k_norm.weight": (4,),
        "s.attention1.k_norm.bias": (4,),
    }


def test_all_else_stays() -> None:
    """Comments are kept: behind or above arguments, or above the lines that these have become."""
    old = dedent("""\
        # The head of the file
        block b(rate = 0) {  # a block
            layernorm -> attention(
                8,  # parts
                # half of the channels
                dim = in.channels//2,
                # frame by frame
                over = space,
                position = table,  # Liu et al.
            ) -> drop_path(rate)  # behind
        }
        """)
    new = upgraded(old)
    assert new == dedent("""\
        # The head of the file
        block b(rate = 0) {  # a block
            layernorm -> attention(
                8,  # parts
                # frame by frame
                over = space,
            ) {
                # half of the channels
                qkv: linear(in.channels//2)
                # Liu et al.
                bias: table
                proj: linear(in.channels)
            } -> drop_path(rate)  # behind
        }
        """)


LEFT = {
    "position = kind": ("can be any of its words", "`kind: none | table | decomposed`"),
    "kv_pool = kind": ("a number or a list", "`int` or `list`"),
    "pool = conv, kv_pool = 3, kv_stride = [1, 3, 3]": ("padded on some axes", "by hand"),
    "pool = conv, kv_pool = [1, 3, 3], kv_pool_first = on": ("no filters", ""),
    "dim = 8, dim = 9": ("given twice", ""),
    "dim = 8, widht = 9": ("no such setting", ""),
}


@pytest.mark.parametrize("settings", LEFT)
def test_what_the_text_does_not_decide_is_left(settings: str) -> None:
    text = f"block b(kind) {{ attention(2, {settings}) }}\n"
    made = rewritten(Source("x.arch", text))
    assert (made.text, made.number) == (text, 0)
    [remark] = made.left
    assert remark.code == "E0406"
    assert LEFT[settings][0] in remark.label
    assert LEFT[settings][1] in remark.help


def test_padding_that_depends_on_values_is_pointed_at() -> None:
    call = "attention(2, kv_pool = [k, k, k], kv_stride = [1, s, s])"
    made = rewritten(Source("x.arch", f"block b(k = 3, s = 2) {{ {call} }}\n"))
    assert [d.code for d in made.doubts] == ["W0112"]
    assert "`kv_pool` has half padding" in made.doubts[0].label


# --- the command -----------------------------------------------------------------------------------------------------

OLD = "block b() {\n    attention(8, init = xavier)\n}\n"
NEW = """\
block b() {
    attention(8) {
        qkv: linear(in.channels, init = xavier)
        proj: linear(in.channels, init = xavier)
    }
}
"""


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = tmp_path / "old.arch", tmp_path / "same.arch"
    path.write_text(OLD, "utf-8")
    other.write_text("block  b() { relu }\n", "utf-8")  # not in canonical form
    assert main(["fmt", "--upgrade", "--check", "--diff", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "+        qkv: linear(in.channels, init = xavier)\n" in output
    assert f"{path}: would be upgraded\n" in output
    assert path.read_text("utf-8") == OLD
    assert main(["fmt", "--upgrade", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{path}: upgraded, 1 call in lines\n{other}: nothing to upgrade\n"
    assert path.read_text("utf-8") == NEW
    assert other.read_text("utf-8") == "block  b() { relu }\n"
    assert main(["fmt", "--upgrade", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: nothing to upgrade\n"


def test_command_shows_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.arch"
    path.write_text("block b(kind) {\n    attention(8, dim = 4) -> attention(8, position = kind)\n}\n", "utf-8")
    assert main(["fmt", "--upgrade", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"{path}: upgraded, 1 call in lines\n"
    assert f"{path}:2:" in captured.err
    assert "attention(8, position = kind)" in path.read_text("utf-8")
    assert main(["fmt", "--upgrade", str(path)]) == 1
    assert capsys.readouterr().out == f"{path}: nothing is upgraded\n"
