"""Parameters and multiply-adds of each spec against what papers and model zoos print, within 1 %.

`data/paper_costs.csv` holds the figures with their sources. Multiply-adds are those of convolutions and linear layers,
for one clip at the crop that they were counted at. Where a source counts otherwise or contradicts itself, its row is
named below with the reason.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import archdsl

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.arch"))

# family | model | variant | frames | classes -> spec, settings. Frames, crop and classes are taken from the row.
BELONGS = """
SlowFast | SlowFast | R50 4x16 | 4+32 | 400 -> slowfast_4x16_r50
SlowFast | SlowFast | R50 8x8 | 8+32 | 400 -> slowfast_r50
SlowFast | SlowFast | R101 8x8 | 8+32 | 400 -> slowfast_r101_50_50
SlowFast | SlowFast | R101 16x8 | 16+64 | 400 -> slowfast_16x8_r101
SlowFast | SlowFast R50 4x16 | Slow-only R50 4x16 | 4 | 400 -> slow_4x16_r50
SlowFast | SlowFast R50 4x16 | Fast-only R50 (32 frames) | 32 | 400 -> fast_r50
SlowFast | SlowFast R50 4x16 | lateral TtoC, sum | 4+32 | 400 -> slowfast_4x16_r50_ttoc fusion=sum
SlowFast | SlowFast R50 4x16 | lateral TtoC, concat | 4+32 | 400 -> slowfast_4x16_r50_ttoc
SlowFast | SlowFast R50 4x16 | lateral T-sample | 4+32 | 400 -> slowfast_4x16_r50_tsample
SlowFast | SlowFast R50 4x16 | lateral T-conv | 4+32 | 400 -> slowfast_4x16_r50
SlowFast | SlowFast R50 4x16 | beta=1/4 | 4+32 | 400 -> slowfast_4x16_r50 beta=1/4
SlowFast | SlowFast R50 4x16 | beta=1/8 | 4+32 | 400 -> slowfast_4x16_r50 beta=1/8
SlowFast | SlowFast R50 4x16 | beta=1/16 | 4+32 | 400 -> slowfast_4x16_r50 beta=1/16
SlowFast | SlowFast R50 4x16 | beta=1/32 | 4+32 | 400 -> slowfast_4x16_r50 beta=1/32
SlowFast | Slow-only R101 16x8 (Charades) | R101 | 16 | 157 -> slow_r50 depths=[3,4,23,3] temporal=[3,4,6,3]
SlowFast | SlowFast R101 16x8 (Charades) | R101 | 16+64 | 157 -> slowfast_16x8_r101
SlowFast | SlowFast R50 8x8 | quoted by the MViT paper | 8+32 | 400 -> slowfast_r50
SlowFast | SlowFast R50 8x8 | quoted by the MViT paper | 8+32 | 174 -> slowfast_r50
SlowFast | SlowFast R50 8x8 | quoted by the MViT paper | 8+32 | 157 -> slowfast_r50
SlowFast | SlowFast R101 8x8 | quoted by the MViT paper | 8+32 | 400 -> slowfast_r101
SlowFast | SlowFast R101 8x8 | quoted by the MViT paper | 8+32 | 174 -> slowfast_r101_50_50
SlowFast | Slow R50 4x16 | meta | 4 | 400 -> slow_4x16_r50
SlowFast | Slow R50 8x8 | meta | 8 | 400 -> slow_r50
SlowFast | SlowFast R50 4x16 (fusion k=5) | meta | 4+32 | 400 -> slowfast_4x16_r50
SlowFast | SlowFast R50 8x8 (fusion k=7) | meta | 8+32 | 400 -> slowfast_r50
SlowFast | SlowFast R50 8x8 (fusion k=5, as the paper text) | meta | 8+32 | 400 -> slowfast_r50 lateral_kernel=5
SlowFast | SlowFast R50 16x8 (k=7) | meta | 16+64 | 400 -> slowfast_r50
SlowFast | SlowFast R101_50_50 8x8 | meta | 8+32 | 400 -> slowfast_r101_50_50
SlowFast | SlowFast R101_50_101 8x8 | meta | 8+32 | 400 -> slowfast_r101 temporal=[3,4,6,3]
SlowFast | SlowFast R101_101_101 8x8 | meta | 8+32 | 400 -> slowfast_r101
SlowFast | SlowFast R101_50_50 16x8 | meta | 16+64 | 400 -> slowfast_16x8_r101
pytorchvideo | Slow | R50 | 4 | 400 -> slow_4x16_r50
pytorchvideo | Slow | R50 | 8 | 400 -> slow_r50
pytorchvideo | Slow | R50 8x8 | 8 | 174 -> slow_r50
pytorchvideo | SlowFast | R50 4x16 | 4+32 | 400 -> slowfast_4x16_r50
pytorchvideo | SlowFast | R50 8x8 | 8+32 | 400 -> slowfast_r50
pytorchvideo | SlowFast | R50 8x8 | 8+32 | 174 -> slowfast_r50
pytorchvideo | SlowFast | R50 8x8 | 8+32 | 157 -> slowfast_r50
pytorchvideo | SlowFast | R101 8x8 | 8+32 | 400 -> slowfast_r101
pytorchvideo | SlowFast | R101_50_50 16x8 | 16+64 | 400 -> slowfast_16x8_r101
mmaction2 | SlowFast R50 4x16x1 | scratch | 4+32 | 400 -> slowfast_4x16_r50
mmaction2 | SlowFast R50 8x8x1 | scratch | 8+32 | 400 -> slowfast_r50
mmaction2 | SlowFast R101 8x8x1 | scratch | 8+32 | 400 -> slowfast_r101
mmaction2 | SlowFast R101(slow)+R50(fast) 4x16x1 | scratch | 4+32 | 400 -> \
slowfast_4x16_r50 depths=[3,4,23,3] fast_depths=[3,4,6,3]
mmaction2 | SlowOnly R50 4x16x1 |  | 4 | 400 -> slow_4x16_r50
mmaction2 | SlowOnly R50 8x8x1 |  | 8 | 400 -> slow_r50
mmaction2 | SlowOnly R101 8x8x1 |  | 8 | 400 -> slow_r50 depths=[3,4,23,3]
"""

NOT_EXPRESSIBLE = {
    "SlowFast | SlowFast R50 4x16 | SlowFast 4x16, no lateral | 4+32 | 400": "specs/ has no variant without laterals",
    "SlowFast | SlowFast R50 4x16 | beta=1/6 | 4+32 | 400": "a sixth of 64 channels is no whole number",
    "SlowFast | SlowFast R50 4x16 | beta=1/12 | 4+32 | 400": "a twelfth of 64 channels is no whole number",
}

BATCH_NORM = "counted with five operations for each number that a batch norm gives, beside the multiply-adds"
# (row, figure): why the source is not met, and what we count instead, in millions or billions.
DISAGREE = {
    ("SlowFast | SlowFast R50 4x16 | Fast-only R50 (32 frames) | 32 | 400", "gflops"): (
        6.90,
        "the same table gives 34.2 to both paths without laterals, 27.3 to the slow one: 6.9 are left for the fast one",
    ),
    ("SlowFast | SlowFast R50 4x16 | Fast-only R50 (32 frames) | 32 | 400", "params"): (
        0.617,
        "0.514 are convolutions and batch norms, and a linear layer of 256 × 400 on top of them has 0.103; the paper "
        "does not say what it counted",
    ),
    ("SlowFast | SlowFast R50 4x16 | beta=1/4 | 4+32 | 400", "gflops"): (
        53.60,
        "every other row of the table that can be built is met with laterals of kernel 5; kernel 7 would give 54.42",
    ),
    ("pytorchvideo | Slow | R50 | 4 | 400", "gflops"): (27.26, BATCH_NORM),
    ("pytorchvideo | Slow | R50 8x8 | 8 | 174", "gflops"): (54.52, BATCH_NORM),
    ("pytorchvideo | SlowFast | R50 4x16 | 4+32 | 400", "gflops"): (36.10, BATCH_NORM),
    ("pytorchvideo | SlowFast | R50 8x8 | 8+32 | 174", "gflops"): (65.71, BATCH_NORM),
    ("pytorchvideo | SlowFast | R50 8x8 | 8+32 | 157", "gflops"): (65.71, BATCH_NORM),
    ("pytorchvideo | SlowFast | R101 8x8 | 8+32 | 400", "gflops"): (125.91, BATCH_NORM),
    ("pytorchvideo | SlowFast | R101_50_50 16x8 | 16+64 | 400", "gflops"): (213.02, BATCH_NORM),
}

# Of the `published` lines in the specs themselves: the two figures of Table 5a, explained above.
PUBLISHED_OTHERWISE = {("fast_r50", "params"), ("fast_r50", "macs")}


class Row(NamedTuple):
    """One row of the table, with the spec and the settings that it belongs to."""

    key: str
    figures: dict[str, float]
    clip: tuple[int, int, int, int]
    classes: int
    spec: str
    settings: tuple[tuple[str, str], ...]


def read_rows() -> dict[str, Row]:
    """The rows of the table that belong to a spec."""
    belongs = dict(line.split(" -> ") for line in BELONGS.strip().splitlines())
    found: dict[str, Row] = {}
    with (ROOT / "tests" / "data" / "paper_costs.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = " | ".join(row[c] for c in ("family", "model", "variant", "frames", "classes"))
            if key in NOT_EXPRESSIBLE:
                continue
            spec, *settings = belongs[key].split()
            frames, crop = (int(re.findall(r"\d+", row[c])[-1]) for c in ("frames", "crop"))
            columns = {"params": "params_M", "gflops": "gflops_per_view"}
            figures = {name: float(row[column]) for name, column in columns.items() if row[column]}
            pairs = tuple((n, v) for n, _, v in (s.partition("=") for s in settings))
            found[key] = Row(key, figures, (3, frames, crop, crop), int(row["classes"]), spec, pairs)
    assert found.keys() == belongs.keys()
    return found


ROWS = read_rows()


@cache
def counted(key: str) -> dict[str, float]:
    """What archdsl counts for a row, in millions and billions."""
    row = ROWS[key]
    spec = ROOT / "specs" / f"{row.spec}.arch"
    arch = archdsl.load(spec, clip=row.clip, classes=row.classes, **dict(row.settings))
    return {"params": arch.params / 1e6, "gflops": arch.macs / 1e9}


@pytest.mark.parametrize(("key", "figure"), [(r.key, f) for r in ROWS.values() for f in r.figures])
def test_row(key: str, figure: str) -> None:
    said, ours = ROWS[key].figures[figure], counted(key)[figure]
    if (key, figure) in DISAGREE:
        expected, _reason = DISAGREE[key, figure]
        assert ours == pytest.approx(expected, rel=1e-3)
        assert ours != pytest.approx(said, rel=0.01), "the row agrees: it needs no reason"
    else:
        assert ours == pytest.approx(said, rel=0.01)


def test_every_reason_belongs_to_a_row() -> None:
    assert {key for key, _ in DISAGREE} <= ROWS.keys()


@pytest.mark.parametrize("spec", SPECS, ids=lambda p: p.stem)
def test_every_spec_has_a_row(spec: Path) -> None:
    """Both figures of the spec as it stands, nothing set, are compared with some source."""
    rows = [r for r in ROWS.values() if r.spec == spec.stem and not r.settings]
    assert any("gflops" in r.figures for r in rows)


def test_fast_path_is_what_the_table_leaves_for_it() -> None:
    """Both paths without laterals, less the slow path alone."""
    row = next(r for r in ROWS.values() if r.spec == "fast_r50")
    assert counted(row.key)["gflops"] == pytest.approx(34.2 - 27.3, abs=0.1)


@pytest.mark.parametrize("beta", ["1/6", "1/12"])
def test_half_a_channel_is_refused(beta: str) -> None:
    """These rows of Table 5b cannot be built: the paper does not say how it rounded."""
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.load(ROOT / "specs" / "slowfast_4x16_r50.arch", beta=beta)
    assert {d.code for d in caught.value.diagnostics} == {"E0302"}


@pytest.mark.parametrize("spec", SPECS, ids=lambda p: p.stem)
def test_published_figures_of_the_spec(spec: Path) -> None:
    """What the spec itself says is published, for the clip that it names."""
    published = archdsl.load(spec)._analysis.network.published
    assert published is not None
    assert published.source
    arch = archdsl.load(spec, clip=published.clip)
    for name, said, ours in (("params", published.params, arch.params), ("macs", published.macs, arch.macs)):
        if said is not None:
            agrees = ours == pytest.approx(said, rel=0.02)
            assert agrees is ((spec.stem, name) not in PUBLISHED_OTHERWISE), (name, said, ours)
