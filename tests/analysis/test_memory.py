"""Activation memory: predicted from the graph, and measured by autograd's own hooks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT
from saved_memory import LAYERS, TINY, measured
from small import inputs, small

import archdsl
from archdsl.analysis.cost import LEVELS, cost_rows
from archdsl.cli import main
from archdsl.targets.torch.checkpoints import stages_of
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import held, memory_of, memory_rows

pytestmark = pytest.mark.usefixtures("two_threads")
SPECS = ROOT / "specs"
# A family each, and those whose attention has another form.
NAMES = """
    aim_b i3d_inception_rgb i3d_r50_nl5 mvit_b_16x4 mvitv2_s_16x4 mvitv2_s_shifted r2plus1d_18 slow_r50_nl
    slowfast_4x16_r50_ttoc slowfast_4x16_r50_tsample slowfast_r50 slowfast_r50_attention st_adapter_b swin3d_t
    swin3d_t_factorized swin3d_t_pooled_keys timesformer_lg timesformer_s timesformer_ts timesformer_ts_banded
    vivit_b_fdp vivit_b_fe vivit_b_fsa vtn_deit_b vtn_r50
""".split()
BATCH = 3


def memory(arch: archdsl.Architecture, batch: int = BATCH) -> Any:
    return memory_of(lower(arch._analysis.network), batch)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_predicted(name: str) -> None:
    arch = small(SPECS / f"{name}.arch")
    kept = measured(arch.build(), inputs(arch, BATCH))
    assert memory(arch).total == pytest.approx(kept, rel=0.01)


@pytest.mark.parametrize("layers", LAYERS)
def test_layers_that_specs_have_not(layers: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.arch"
    path.write_text(TINY.replace("LAYERS", layers), "utf-8")
    arch = archdsl.load(path)
    kept = measured(arch.build(), inputs(arch, BATCH))
    assert memory(arch).total == pytest.approx(kept, rel=0.05)


@pytest.mark.parametrize("name", ["i3d_inception_rgb", "mvit_b_16x4", "slowfast_r50", "swin3d_t", "vtn_r50"])
def test_rows_are_those_of_costs(name: str) -> None:
    arch = small(SPECS / f"{name}.arch")
    for level in LEVELS:
        kept = memory_rows(memory(arch), level)
        assert sum(row.bytes for row in kept) == arch.memory(BATCH)
        named = {(row.path, row.name) for row in cost_rows(arch._analysis.network, level)}
        assert {(row.path, row.name) for row in kept} <= named


def test_more_clips_keep_more() -> None:
    arch = small(SPECS / "slowfast_r50.arch")
    assert arch.memory(2) < arch.memory(4) <= 2 * arch.memory(2)


def test_the_table_of_costs_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY.replace("LAYERS", "conv(16)"), "utf-8")
    assert main(["cost", "tiny.arch", "--batch", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    # The clip (24 KiB), the maps of 8 channels before the norm and after it (64 KiB each), two numbers of 8 channels.
    assert next(line.split()[-1] for line in lines if line.startswith("one ")) == f"{152 + 2 * 8 * 4 / 1024:.2f}"
    assert any("KiB" in line for line in lines if line.startswith("stage "))
    assert main(["cost", "tiny.arch", "--batch", "2", "--json", "--by", "layer"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["batch"] == 2
    assert data["memory"] == sum(r["memory"] for r in data["stages"]) == sum(r["memory"] for r in data["layers"])


@pytest.mark.parametrize("name", ["slowfast_r50", "swin3d_t", "mvit_b_16x4", "i3d_inception_rgb", "i3d_r50_nl5"])
def test_what_is_kept_of_checkpointed_stages_is_predicted(name: str) -> None:
    arch = small(SPECS / f"{name}.arch")
    model: Any = arch.build()
    model.checkpointing = "stage"
    network = lower(arch._analysis.network)
    kept, again = held(memory_of(network, BATCH), stages_of(network))
    assert kept == pytest.approx(measured(model, inputs(arch, BATCH)), rel=0.02)
    assert 0 < again < memory(arch).total


@pytest.mark.parametrize(
    ("channels", "layers"),
    [
        (3, "rmsnorm -> linear(8) -> gelu"),
        (3, "multiply { in, avgpool([1, all, all]) -> linear(3), sigmoid } -> linear(8) -> gelu"),
        (3, "max { in, conv(3) } -> linear(8) -> gelu"),
        (3, "temporal_filter { in, avgpool([1, all, all]) -> swap -> linear(3) -> swap } -> conv(8)"),
        (1, "conv(8, [1, 3, 3]) -> bn -> concat { conv(4), conv(4) } -> bn"),
    ],
)
def test_layers_of_a_clip(channels: int, layers: str, tmp_path: Path) -> None:
    """Which takes no gradient, and lies otherwise in memory if it has one channel."""
    path = tmp_path / "tiny.arch"
    text = TINY.replace("LAYERS", layers).replace("stage one { conv(8, 3) -> bn -> relu }\n", "")
    path.write_text(text.replace("video[3", f"video[{channels}"), "utf-8")
    arch = archdsl.load(path)
    kept = measured(arch.build(), inputs(arch, BATCH))
    assert memory(arch).total == pytest.approx(kept, rel=0.01)


def test_frozen_stages_keep_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tiny.arch"
    path.write_text(TINY.replace("LAYERS", "conv(8)").replace("stage one", "stage one frozen"), "utf-8")
    arch = archdsl.load(path)
    assert memory(arch).total == pytest.approx(measured(arch.build(), inputs(arch, BATCH)), rel=0.01)


@pytest.mark.parametrize("name", ["aim_b", "st_adapter_b"])
def test_adapters_and_head_alone_get_gradients(name: str) -> None:
    """And training keeps as much less as is predicted, which `test_what_is_kept_is_predicted` holds."""
    arch = small(SPECS / f"{name}.arch")
    model = arch.build().train()
    model(*inputs(arch, BATCH)).sum().backward()
    trained = {key for key, weight in model.named_parameters() if weight.grad is not None}
    own = r".*adapter\w*\..*|head\.linear\..*" + (
        r"|embed\.position2\..*|head\.layernorm\..*" if name == "aim_b" else ""
    )
    assert trained == {key for key, _ in model.named_parameters() if re.fullmatch(own, key)}
    kept = measured(model, inputs(arch, BATCH))
    model.requires_grad_(True)
    assert kept < 0.9 * measured(model, inputs(arch, BATCH))
