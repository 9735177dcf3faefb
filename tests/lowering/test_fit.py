"""The choice of stages to checkpoint so that the activations of a batch fit into memory."""

from __future__ import annotations

import copy
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from repository import ROOT
from saved_memory import measured
from small import inputs, small

from archdsl.analysis.cost import region_cost
from archdsl.cli import main
from archdsl.core.sizes import exact_size, parse_size, size_text
from archdsl.ir.regions import Stage
from archdsl.targets.torch.checkpoints import TooLarge, blocks_of
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import held, memory_of

if TYPE_CHECKING:
    import archdsl

pytestmark = pytest.mark.usefixtures("two_threads")
SPECS = ROOT / "specs"
NAMES = "i3d_inception_rgb mvit_b_16x4 slowfast_r50 swin3d_t".split()
BATCH = 3
TINY = """arch tiny
input clip: video[3, 4, 16, 16]
stage one { conv(8, 3) -> bn -> relu }
stage two { conv(8, 3) -> bn -> relu }
stage three { conv(16, 3) -> bn -> relu }
head: avgpool -> linear(2)
"""


def limit_of(arch: archdsl.Architecture) -> int:
    return memory_of(lower(arch._analysis.network), BATCH).total * 7 // 10


@pytest.mark.parametrize("name", NAMES)
def test_what_is_chosen_fits(name: str) -> None:
    arch = small(SPECS / f"{name}.arch")
    fitted = arch.fit_memory(limit_of(arch), BATCH)
    assert fitted.stages
    assert fitted.kept + fitted.again <= fitted.limit < fitted.plain
    model: Any = arch.build(fitted=fitted)
    assert model.checkpointing == "fit"
    assert measured(model, inputs(arch, BATCH)) == pytest.approx(fitted.kept, rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_cheaper_fits(name: str) -> None:
    arch = small(SPECS / f"{name}.arch")
    network, limit = lower(arch._analysis.network), limit_of(arch)
    memory = memory_of(network, BATCH)
    stages = [part for part in network.regions if isinstance(part, Stage)]
    fitting = [
        sum(region_cost(network, s).macs for s in some)
        for n in range(len(stages) + 1)
        for some in combinations(stages, n)
        if sum(held(memory, [b for s in some for b in blocks_of(s)])) <= limit
    ]
    assert arch.fit_memory(limit, BATCH).macs == min(fitting)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_fitted_model_gives_the_same(compiled: bool) -> None:
    arch = small(SPECS / "slowfast_r50.arch")
    torch.manual_seed(0)
    fitted: Any = arch.build(fitted=arch.fit_memory(limit_of(arch), BATCH)).eval()
    plain = copy.deepcopy(fitted)
    plain.checkpointing = "none"
    torch.compiler.reset()
    if compiled:
        fitted.compile(fullgraph=True, backend="aot_eager")
    for model in (plain, fitted):
        model(*inputs(arch, BATCH)).square().sum().backward()
    for one, two in zip(plain.parameters(), fitted.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-4)


def test_too_little_memory_is_reported_with_the_least_that_is_enough() -> None:
    arch = small(SPECS / "slowfast_r50.arch")
    with pytest.raises(TooLarge, match=r"3 clips take .* KiB at least"):
        arch.fit_memory("10kB", BATCH)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY, "utf-8")
    # A map of 8 channels is 128 KiB. Of one and of two, two maps are kept, beside the clip of 48 KiB; of three, whose
    # maps are twice as large, 512 KiB. Checkpointed, one and two leave their results, and a map while it is made again.
    assert main(["compile", "tiny.arch", "--max-activation", "950KiB", "--batch", "4"]) == 0
    told = capsys.readouterr().out
    assert "4 clips: " in told
    assert "checkpointed: one, two; " in told
    text = Path("tiny.py").read_text("utf-8")
    assert "archdsl compile tiny.arch --max-activation 950KiB --batch 4\n" in text
    assert "return [self.one, self.two]" in text
    assert main(["compile", "tiny.arch", "--max-activation", "1GiB", "--batch", "4", "--force"]) == 0
    assert "no checkpointing needed" in capsys.readouterr().out
    assert '"fit"' not in Path("tiny.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--max-activation", "8GiB"], 2, "--max-activation and --batch need each other"),
        (["--batch", "8"], 2, "--max-activation and --batch need each other"),
        (["--max-activation", "1kB", "--batch", "8"], 1, "tiny.arch: activations of 8 clips take"),
        (["--max-activation", "8G", "--batch", "8"], 2, "'8G' is not a size of memory, as in 8GiB or 500MB"),
        (["--max-activation", "8GiB", "--batch", "0"], 2, "'0' is not a whole number from 1"),
    ],
)
def test_faults_of_the_command(
    options: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY, "utf-8")
    try:
        found = main(["compile", "tiny.arch", *options])
    except SystemExit as error:  # argparse
        found = error.code
    assert found == code
    assert message in capsys.readouterr().err


def test_sizes() -> None:
    assert [parse_size(t) for t in ("8GiB", "500MB", "1.5 kB", "12B")] == [8 * 2**30, 500_000_000, 1500, 12]
    for text in ("", "8", "GiB", "8G", "-1GB", "0MB", "1e3MB", "8GiBs"):
        with pytest.raises(ValueError, match="is not a size of memory"):
            parse_size(text)
    assert [exact_size(parse_size(t)) for t in ("8GiB", "500MB", "1.5GiB", "7B")] == ["8GiB", "500MB", "1536MiB", "7B"]
    assert [size_text(n) for n in (12, 2**20, 3 * 2**29)] == ["12 B", "1 MiB", "1.5 GiB"]
