"""Each pass of the lowering changes how a network is computed, and never what."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small import inputs, small

from archdsl.cli import main
from archdsl.lowering import PASSES, SWITCHABLE, lowered_with_counts

SPECS = Path(__file__).parent.parent / "specs"
NAMES = """
    i3d_inception_rgb i3d_r50_nl5 mvit_b_16x4 mvitv2_s_shifted r2plus1d_18 slowfast_4x16_r50_ttoc slowfast_r50
    swin3d_t_factorized timesformer_ts vivit_b_fe vtn_r50
""".split()
TINY = """arch tiny
input clip: video[3, 4, 8, 8]
stage one { conv(4) -> bn -> relu -> dropout(0) }
head: avgpool -> linear(2)
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("left_out", SWITCHABLE)
def test_without_a_pass_the_same_is_computed(name: str, left_out: str) -> None:
    arch = small(SPECS / f"{name}.arch")
    plain, other = arch.build().eval(), arch.build(without=[left_out]).eval()
    other.load_state_dict(plain.state_dict(), strict=True)
    clips = inputs(arch, 2)
    with torch.no_grad():
        torch.testing.assert_close(other(*clips), plain(*clips), rtol=1e-5, atol=1e-6)


def test_every_pass_does_something_somewhere() -> None:
    counts = [lowered_with_counts(small(SPECS / f"{n}.arch")._analysis.network)[1] for n in NAMES]
    assert all(any(count[p.name] for count in counts) for p in PASSES)


def test_passes_are_told_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.arch").write_text(TINY, "utf-8")
    assert main(["compile", "tiny.arch", "--print", "lowered", "--no-pass", "inplace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "# identities: layers without effect that are taken out: 1",
        "# layouts: conversions between layouts in memory: 0",
        "# inplace: left out",
    ]
    assert main(["compile", "tiny.arch", "--no-pass", "inplace"]) == 0
    text = Path("tiny.py").read_text("utf-8")
    assert "inplace=True" not in text
    assert "archdsl compile tiny.arch --no-pass inplace" in text
    assert main(["compile", "tiny.arch", "--no-pass", "layouts"]) == 2
    assert "the passes that can be left out are identities, inplace" in capsys.readouterr().err
