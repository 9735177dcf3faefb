"""The specs of version 0.1, upgraded: they are the networks that they were."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from repository import ROOT
from tensor_names import digests, read

import archdsl
from archdsl.core.source import Source
from archdsl.frontend.format import format_text
from archdsl.upgrade.rewrite import rewritten

if TYPE_CHECKING:
    from pathlib import Path

HERE = ROOT / "tests" / "upgrade"
FILES = {
    name: text
    for name, _, text in (part.partition("\n") for part in (HERE / "specs.txt").read_text("utf-8").split("\n=== ")[1:])
    for name, text in [(name, text.rstrip("\n") + "\n")]
}
TENSORS = read(ROOT / "tests" / "data" / "tensor_names.txt")
COSTS = json.loads((ROOT / "specs" / "index.json").read_text("utf-8"))
SPECS = sorted(n.removesuffix(".arch") for n in FILES if "/" not in n)
# One of each form: windows that are shifted or pooled, factorised, pooled by convolution, halves of the heads, a band
# beside a token, divided, and non-local blocks.
FEW = {
    "mvit_b24_32x3", "mvitv2_s_shifted", "slow_r50_nl", "swin3d_t_factorized", "swin3d_t_pooled_keys", "timesformer_ts",
    "vivit_b_fdp", "vtn_r50",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of version 0.1, upgraded."""
    path = tmp_path_factory.mktemp("upgraded")
    for name, text in FILES.items():
        made = rewritten(Source(name, text))
        assert not made.left
        assert made.number == text.count("attention(")
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(format_text(made.text, name) if made.number else text, "utf-8")
    return path


def test_all_calls_are_upgraded(folder: Path) -> None:
    """The libraries have them all; an upgraded file has nothing to upgrade."""
    calls = {p.name: p.read_text("utf-8").count("attention(") for p in folder.rglob("*.arch")}
    assert {n: c for n, c in calls.items() if c} == {
        "longformer.arch": 1, "mvit.arch": 1, "resnet.arch": 1, "swin.arch": 3, "transformer.arch": 4,
    }  # fmt: skip
    for path in folder.rglob("*.arch"):
        again = rewritten(Source(path.name, path.read_text("utf-8")))
        assert not again.number
        assert not again.left


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FEW else pytest.mark.records) for n in SPECS])
def test_same_network(name: str, folder: Path) -> None:
    """Tensors and costs are those of the records, the code that of the spec of today."""
    arch = archdsl.load(folder / f"{name}.arch")
    assert digests(arch.tensors) == TENSORS[name]
    assert (arch.params, arch.macs) == (COSTS[name]["params"], COSTS[name]["macs"])
    made = code(arch.source())
    if name.startswith(("swin3d", "timesformer")):  # their patches begin as the authors' have them since
        made = re.sub(r"^ +nn\.init\.\w+\(self\.embed\.conv\..*\n", "", made, flags=re.MULTILINE)
    assert made == code((ROOT / "generated" / f"{name}.py").read_text("utf-8"))


def code(text: str) -> str:
    """A module without its first lines, and with a bundled spec named like a file."""
    return re.sub(r"^# .*\n", "", text, flags=re.MULTILINE).replace(".arch with ", " with ")
