"""Variants: statements that replace those of the base, and faults and warnings where one would have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meta import assert_as_predicted

import archdsl
from archdsl.files import FileLibrary, read_source
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from pathlib import Path

BASE = """\
arch two as Two
param frames = 8, classes = 5, second = on
input clip: video[3, frames, 16, 16]
path slow = clip -> every(4)
path fast = clip
for i in 1..3 {
    stage s{i} {
        slow: conv(8*i, [1, 3, 3])
        fast: conv(2*i, [3, 3, 3])
        if second {
            lateral fast => slow: conv(4, [5, 1, 1], stride = [4, 1, 1])
        }
    }
}
head: concat { slow -> avgpool, fast -> avgpool } -> linear(classes)
"""
FLAT = BASE.replace("arch two as Two", "arch flat")


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "two.arch").write_text(BASE, "utf-8")
    return tmp_path


def load(folder: Path, text: str, base: str = "two", name: str = "variant") -> archdsl.Architecture:
    """A variant of `base`, in a file of its own."""
    file = folder / f"{name}.arch"
    file.write_text(f"arch {name} extends {base}\n{text}", "utf-8")
    return archdsl.load(file)


def codes(folder: Path, text: str, base: str = "two") -> list[str]:
    """The codes of all diagnostics of a variant, warnings included."""
    (folder / "variant.arch").write_text(f"arch variant extends {base}\n{text}", "utf-8")
    return codes_of(folder / "variant.arch")


def codes_of(file: Path) -> list[str]:
    try:
        return [d.code for d in analyse(read_source(str(file)), FileLibrary()).warnings]
    except archdsl.SpecError as error:
        return [d.code for d in error.diagnostics]


def stages(arch: archdsl.Architecture) -> list[tuple[str, int]]:
    """The convolutions by their place, and how many channels they give."""
    return [(name, data["shape"][0]) for name, data in arch.graph.nodes(data=True) if data["kind"] == "conv"]


STATEMENTS = {
    "param": "param frames = 8\n",
    "recipe": "recipe epochs = 3\n",
    "published": "published params = 1M\n",
    "input": "input clip: video[3, frames, 16, 16]\n",
    "path": "path slow = clip -> every(4)\n",
    "stage": "stage s2 {{\n    slow: conv({0}, [1, 3, 3])\n    fast: conv({0}, [3, 3, 3])\n}}\n",
    "head": "head: concat {{ slow -> avgpool, fast -> avgpool }} -> linear({0})\n",
    "block": "block b() {{ conv({0}) }}\n",
    "drop": "drop path fast\n",
}


@pytest.mark.parametrize("kind", STATEMENTS)
def test_a_statement_stands_once(kind: str, specs: Path) -> None:
    first, second = STATEMENTS[kind].format(4), STATEMENTS[kind].format(6)
    assert "E0203" not in codes(specs, first)
    assert "E0203" in codes(specs, first + second)
    if kind == "stage":
        assert "E0203" in codes(specs, f"if second {{\n{first}}}\nfor i in 2..2 {{\n{second.replace('s2', 's{i}')}}}\n")
    if kind != "drop":  # a root has no base
        (specs / "flat.arch").write_text(FLAT + first + second, "utf-8")
        assert "E0203" in codes_of(specs / "flat.arch")


def test_a_stage_replaced_at_two_levels(specs: Path) -> None:
    both = "    slow: conv({0}, [1, 3, 3])\n    fast: conv({0}, [3, 3, 3])\n"
    lateral = "    lateral fast => slow: conv(4, [5, 1, 1], stride = [4, 1, 1])\n"
    load(specs, f"stage s2 {{\n{both.format(10)}{lateral}}}\n", name="middle")
    arch = load(specs, f"stage s2 {{\n{both.format(12)}{lateral}}}\n", base="middle")
    assert ("slow.s2.conv", 12) in stages(arch)
    assert ("fast.s1.conv", 2) in stages(arch)
    assert codes_of(specs / "variant.arch") == []
    assert_as_predicted(arch)


def test_a_line_that_is_left_out_is_reported_at_the_base_stage(specs: Path) -> None:
    lean = "stage s2 {\n    slow: conv(12, [1, 3, 3])\n    fast: conv(3)\n}\n"
    assert codes(specs, lean) == ["W0106"]  # the lateral
    assert codes(specs, "param second = off\n" + lean) == []
    load(specs, lean, name="middle")
    assert codes(specs, "param classes = 3\n", base="middle") == ["W0106"]
    assert codes(specs, lean.replace("12", "16"), base="middle") == []  # the lateral was gone before
    assert (
        codes(specs, "drop path fast\nhead: avgpool -> linear(classes)\n" + lean.replace("    fast: conv(3)\n", ""))
        == []
    )


def test_loops_and_conditions_choose_stages_of_a_variant(specs: Path) -> None:
    text = """\
let wide = 20
drop path fast
if frames == 8 {
    for i in 2..3 {
        let width = wide + i
        stage s{i} { slow: conv(width) }
    }
} else {
    stage s1 { slow: conv(1) }
}
head: avgpool -> linear(wide)
"""
    arch = load(specs, text)
    assert stages(arch) == [("slow.s1.conv", 8), ("slow.s2.conv", 22), ("slow.s3.conv", 23)]
    assert arch.cost()["output"][0] == 20
    assert codes(specs, text.replace("2..3", "3..4")) == ["E0604"]


def test_names_of_a_variant_are_its_own(specs: Path) -> None:
    load(specs, "let wide = 20\nstage s3 {\n    slow: conv(wide, [1, 3, 3])\n    fast: conv(6)\n}\n", name="middle")
    assert "E0201" in codes(specs, "stage s2 { slow: conv(wide) }\n", base="middle")


def test_an_input_and_a_path_can_be_added(specs: Path) -> None:
    text = """\
input flow: video[2, frames, 16, 16]
path motion = flow -> every(2)
stage s3 {
    slow: conv(24, [1, 3, 3])
    fast: conv(6, [3, 3, 3])
    motion: conv(5, 3)
    lateral motion => slow: every(2)
    lateral fast => slow: every(4)
}
"""
    arch = load(specs, text)
    assert codes_of(specs / "variant.arch") == []
    assert list(arch.cost()["input"]) == ["clip", "flow"]
    assert_as_predicted(arch)
    unread = text.replace("    lateral motion => slow: every(2)\n", "")
    assert codes(specs, unread) == ["E0608", "E0608"]


@pytest.mark.parametrize("text", ["path other = clip\n", "input other: video[1, 4, 4, 4]\n", "input other: index[8]\n"])
def test_what_nothing_reads(text: str, specs: Path) -> None:
    assert codes(specs, text) == ["E0608"]
    head = FLAT.index("for i in")
    (specs / "flat.arch").write_text(FLAT[:head] + text + FLAT[head:], "utf-8")
    assert codes_of(specs / "flat.arch") == ["W0108"]


def test_a_path_that_only_its_base_reads(specs: Path) -> None:
    assert codes(specs, "head: slow -> avgpool -> linear(classes)\n") == []  # by its lateral in s3
    assert codes(specs, "param second = off\nhead: slow -> avgpool -> linear(classes)\n") == ["W0108"]
    last = "stage s3 {\n    slow: conv(8)\n    fast: conv(8)\n}\n"
    assert codes(specs, last + "head: slow -> avgpool -> linear(classes)\n") == ["W0106", "W0108"]


@pytest.mark.parametrize(
    "text",
    [
        "drop path fast\npath fast = clip\n",
        "path fast = clip\ndrop path fast\n",
        "drop path fast\nstage s1 {\n    slow: conv(8)\n    fast: conv(8)\n}\n",
        "drop path fast\nfor i in 1..1 {\n    stage s{i} {\n        if second {\n    fast: relu\n}\n}\n}\n",
        "drop path fast\nstage s1 {\n    slow: conv(8)\n    lateral fast => slow: conv(8)\n}\n",
    ],
)
def test_a_dropped_path_is_gone(text: str, specs: Path) -> None:
    head = "head: slow -> avgpool -> linear(classes)\n"
    assert "E0607" in codes(specs, text + head)
    load(specs, "drop path fast\n" + head, name="middle")
    if text.startswith("drop"):
        assert "E0607" in codes(specs, text.removeprefix("drop path fast\n"), base="middle")


def test_a_lateral_goes_with_a_path_that_it_reads(specs: Path) -> None:
    arch = load(specs, "drop path fast\nhead: avgpool -> linear(classes)\n")
    assert codes_of(specs / "variant.arch") == []
    assert {name.split(".")[0] for name, _ in stages(arch)} == {"slow"}


LIBRARY = """\
block two(width) { unit(width) -> unit(width) }
block unit(width) { conv(width, 1) -> bn -> relu }
"""
LAYERED = """\
arch layered
import over
input clip: video[3, 4, 16, 16]
stage s1 { deep(8) }
head: avgpool -> linear(5)
"""


@pytest.fixture
def layered(tmp_path: Path) -> Path:
    (tmp_path / "mine.arch").write_text(LIBRARY, "utf-8")
    (tmp_path / "over.arch").write_text("import mine\nblock deep(width) { two(width) }\n", "utf-8")
    (tmp_path / "layered.arch").write_text(LAYERED, "utf-8")
    return tmp_path


def kernels(arch: archdsl.Architecture) -> list[tuple[int, ...]]:
    """The kernels of all convolutions, in the order of data flow."""
    return [tuple(d["attributes"]["kernel"]) for _, d in arch.graph.nodes(data=True) if d["kind"] == "conv"]


def test_a_block_of_a_variant_reaches_the_libraries_of_its_base(layered: Path) -> None:
    text = "block unit(width) { conv(width, [1, 3, 3]) -> relu }\n"
    arch = load(layered, text, base="layered", name="middle")
    assert codes_of(layered / "middle.arch") == []
    assert kernels(arch) == [(1, 3, 3)] * 2
    assert_as_predicted(arch)
    assert kernels(load(layered, "param more = 1\n", base="middle")) == [(1, 3, 3)] * 2
    assert kernels(load(layered, text.replace("3, 3", "5, 5"), base="middle")) == [(1, 5, 5)] * 2


def test_imports_of_a_variant_leave_the_base_alone(layered: Path) -> None:
    (layered / "other.arch").write_text("block deep(width) { conv(width, 3) }\n", "utf-8")
    assert kernels(load(layered, "import other\n", base="layered")) == [(1, 1, 1)] * 2
    text = "import other\nstage s1 { deep(8) }\n"
    assert kernels(load(layered, text, base="layered")) == [(3, 3, 3)]


def test_an_import_of_a_variant_that_nothing_uses(layered: Path) -> None:
    assert codes(layered, "import mine\n", base="layered") == ["W0103"]


def test_many_blocks_that_nothing_calls_take_seconds(tmp_path: Path) -> None:
    blocks = "".join(f"block b{i}(w) {{ conv(w, [1, 3, 3]) -> bn -> relu -> b{i + 1}(w) }}\n" for i in range(1000))
    blocks += "block b1000(w) { conv(w) }\n"
    text = f"arch many\ninput clip: video[3, 4, 16, 16]\n{blocks}head: avgpool -> linear(5)\n"
    (tmp_path / "many.arch").write_text(text, "utf-8")
    found = codes_of(tmp_path / "many.arch")
    assert set(found) == {"W0104"}
    assert len(found) >= 199  # of 1,001; the reporter bounds how many are shown
