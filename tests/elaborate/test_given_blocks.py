"""Layers and blocks as arguments of blocks: which file's they are, and the names and numbers of what they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import archdsl
from archdsl.files import FileLibrary, read_source
from archdsl.pipeline import analyse

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = """
block after() { relu }
block unit(width, act: block = after, norm: block = bn) { conv(width) -> norm -> act }
"""
SPEC = """arch net
import parts
block after() { gelu }
block pair(width) { unit(width, norm = groupnorm(width // 4)) -> unit(3 * width, act = after) }
block never(act: block = sigmoid) { conv(8) }
input clip: video[3, 2, 4, 4]
stage one { unit(8) -> unit(8, act = after) }
stage two { pair(8) -> pair(16) }
"""


def test_arguments_are_the_callers_and_defaults_the_librarys(tmp_path: Path) -> None:
    (tmp_path / "parts.arch").write_text(LIBRARY, "utf-8")
    (tmp_path / "net.arch").write_text(SPEC, "utf-8")
    analysis = analyse(read_source(str(tmp_path / "net.arch")), FileLibrary())
    nodes = {node.name: node.layer for node in analysis.network.all_nodes()}
    assert {name: layer.kind for name, layer in nodes.items() if name.startswith("one.")} == {
        "one.0.conv": "conv", "one.0.bn": "bn", "one.0.after.relu": "relu",
        "one.1.conv": "conv", "one.1.bn": "bn", "one.1.after.gelu": "gelu",
    }  # fmt: skip
    groups = {name: layer.values()["groups"] for name, layer in nodes.items() if layer.kind == "groupnorm"}
    assert groups == {"two.0.unit1.groupnorm": 2, "two.1.unit1.groupnorm": 4}
    assert [d.code for d in analysis.warnings] == ["W0104", "W0101"]


def test_blocks_of_joins_without_spaces_are_called() -> None:
    """`concat{left}` is read as a label at first, like `x{i}`; so are values of such names."""
    text = "arch net\ninput clip: video[3, 4, 8, 8]\nblock left() { conv(8) }\n"
    text += "block up(skip1: value) { conv(8) -> concat{in, skip1} -> relu }\n"
    text += "stage one { conv(8) -> concat{left} }\nstage two { up(one) }\nhead: avgpool -> linear(3)\n"
    assert archdsl.loads(text).warnings == ()


def test_a_size_is_a_number_or_a_list(tmp_path: Path) -> None:
    """Of calls that differ, and as a default."""
    text = "arch net\ninput clip: video[3, 4, 8, 8]\nblock unit(k: size, s: size = 1) { conv(8, k, s) }\n"
    text += "stage one { unit(3) -> unit([1, 3, 3], [1, 2, 2]) -> unit(1) }\nhead: avgpool -> linear(2)\n"
    (tmp_path / "net.arch").write_text(text, "utf-8")
    arch = archdsl.load(tmp_path / "net.arch")
    assert [shape[2:] for name, shape in arch.tensors.items() if "conv" in name] == [(3, 3, 3), (1, 3, 3), (1, 1, 1)]
    assert "class Unit(" in arch.source()
