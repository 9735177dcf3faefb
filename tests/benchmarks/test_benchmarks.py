"""Tables and figures of the benchmarks, made of measurements that are given; nothing is timed here."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from repository import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from typing import TYPE_CHECKING

import alternatives
import ceiling
import goals
import measure
import pass_gains
import pretraining
import table

if TYPE_CHECKING:
    from pathlib import Path

ROW = table.Row(
    "cpu", "a", "3x8x64x64", "torchvision", "train", "f32", 1, False,
    ours=2.0, ours_spread=0.1, shipped=4.0, shipped_spread=0.2, tuned=3.0, tuned_spread=0.3,
    shipped_ratio=2.0, tuned_ratio=1.5, ours_mib=60.0, shipped_mib=100.0, tuned_mib=80.0,
    difference=1e-7, runs=5, machine="a machine",
)  # fmt: skip
ALONE = table.Row("cpu", "b", "3x8x64x64", "", "infer", "bf16", 2, True, 0.0123, 0.0004)


def test_spread_is_half_of_the_range_between_the_quartiles() -> None:
    assert table.spread([5, 1, 3, 2, 4]) == 1.0  # from 2 to 4
    assert table.spread([7]) == 0.0


def test_ratio_does_not_see_what_slows_a_round_down() -> None:
    assert table.ratio([2, 20, 2], [1, 10, 1]) == 2.0
    assert table.ratio([2, 9, 4], [1, 3, 1]) == 3.0


def test_rows_come_back_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "speed.csv"
    assert table.read(path) == []
    table.write(path, [ROW, ALONE])
    assert table.read(path) == [ROW, ALONE]


def test_a_row_is_replaced_where_it_stands() -> None:
    again, other = replace(ROW, ours=1.0, machine="another"), replace(ROW, batch=2)
    assert table.merged([ROW, ALONE], [other, again]) == [again, ALONE, other]


def test_tuned_is_the_better_of_both() -> None:
    assert (ROW.time_ratio("shipped"), ROW.time_ratio("tuned")) == (2.0, 1.5)
    assert (ROW.memory_ratio("shipped"), ROW.memory_ratio("tuned")) == (0.6, 0.75)
    slowed = replace(ROW, tuned_ratio=3.0, tuned_mib=200.0)
    assert (slowed.time_ratio("tuned"), slowed.memory_ratio("tuned")) == (2.0, 0.6)
    assert ALONE.time_ratio("tuned") is ALONE.memory_ratio("tuned") is None


def figures(rows: list[table.Row]) -> dict[tuple[str, str], list[str]]:
    """The share of each goal that was measured."""
    lines = goals.goal_lines(rows)
    return {(line[0], line[1]): line[2:] for line in lines if line[-1] != "not measured"}


def test_goals_are_means_over_models() -> None:
    # A model's peers and batches are one figure: √(1 · 4) = 2, and √(2 · 4.5) = 3 over both models.
    rows = [
        replace(ROW, shipped_ratio=1.0, tuned_ratio=1.0, ours_mib=50.0, shipped_mib=50.0, tuned_mib=50.0),
        replace(ROW, shipped_ratio=4.0, tuned_ratio=4.0, batch=2),
        replace(ROW, shipped_ratio=4.5, tuned_ratio=0.5, model="b", ours_mib=None),
        ALONE,
    ]
    train, memory = "time: CPU, training step, float32, eager", "memory: CPU, training step"
    assert figures(rows) == {
        (train, "as shipped"): ["≥ 1.5", "3.00", "`a`, 2.00", "yes"],
        (train, "tuned"): ["≥ 1.1", "1.00", "`b`, 0.50", "no"],
        (memory, "as shipped"): ["≤ 0.75", "0.77", "`a`, 0.77", "no"],  # √(1 · 0.6)
        (memory, "tuned"): ["≤ 0.9", "0.87", "`a`, 0.87", "yes"],  # √(1 · 0.75)
    }
    assert len(goals.goal_lines([])) == 2 * len(goals.GOALS)


def test_no_model_may_be_slower() -> None:
    rows = [replace(ROW, shipped_ratio=9.0), replace(ROW, model="b", shipped_ratio=0.9)]
    reached = figures(rows)["time: CPU, training step, float32, eager", "as shipped"]
    assert reached[1:] == ["2.85", "`b`, 0.90", "no"]


def test_tables_are_by_setting() -> None:
    assert table.speed_tables([ROW, ALONE]) == (
        "a machine: training step, float32, eager.\n\n"
        "| model | peer | clip | batch | ours | as shipped | tuned | as shipped / ours | tuned / ours "
        "| MiB ours | as shipped | tuned |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        "| `a` | torchvision | 3×8×64×64 | 1 | 2.000 ± 0.100 s | 4.000 ± 0.200 s | 3.000 ± 0.300 s | 2.00 | 1.50 "
        "| 60 | 100 | 80 |\n\n"
        ": inference, bf16, compiled.\n\n"
        "| model | peer | clip | batch | ours | as shipped | tuned | as shipped / ours | tuned / ours |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        "| `b` | – | 3×8×64×64 | 2 | 12.30 ± 0.40 ms | – | – | – | – |\n"
    )


def test_page_shows_the_results() -> None:
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    rows = goals.rows_of(ROOT / "benchmarks" / "results" / "speed.csv")
    assert rows
    shares = table.read_lines(ROOT / "benchmarks" / "results" / "ceiling_cpu.csv")
    assert shares
    for mark, made in {**goals.tables(rows), "ceiling": ceiling.summary(shares)}.items():
        assert goals.marked(text, mark, made) == text, (
            "python benchmarks/model_speed.py --write-docs brings it up to date"
        )


def test_page_shows_what_passes_and_forms_gain() -> None:
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    for mark, script in (("passes", pass_gains), ("alternatives", alternatives)):
        lines = table.shown_lines(script.RESULTS)
        assert lines
        assert goals.marked(text, mark, script.markdown(lines)) == text, "--write-docs brings it up to date"


def test_page_shows_what_pre_training_gains() -> None:
    text, made = pretraining.PAGE.read_text("utf-8"), pretraining.markdown(pretraining.read())
    assert made
    assert goals.marked(text, "pretraining", made) == text, "--write-docs brings it up to date"


def test_a_page_is_not_emptied() -> None:
    before = goals.PAGE.read_text("utf-8")
    with pytest.raises(SystemExit, match="nothing was measured for the table of passes"):
        goals.write_page(passes=pass_gains.markdown([]))
    assert goals.PAGE.read_text("utf-8") == before


def test_peak_memory_counts_what_is_held_at_a_time() -> None:
    quarter = measure.MIB // 4  # of floats, so 1 MiB

    def run() -> None:
        kept = torch.empty(quarter)
        several = [torch.empty(quarter) for _ in range(4)]
        del several
        torch.empty(2 * quarter)
        del kept

    assert measure.cpu_peak(run) == 5 * measure.MIB


def test_a_step_finds_weights_momenta_and_the_clip() -> None:
    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(1024, 256, bias=False)  # 1 MiB

        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            return self.linear(clip)

    setting = measure.Setting("cpu", "train", "f32", 256, compiled=False)
    step = measure.runner("ours", Flat(), torch.zeros(256, 1024), setting)
    assert step.resident() == 2 * measure.MIB
    step.run()
    assert step.resident() == 3 * measure.MIB


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aten::mkldnn_convolution", "convolutions"), ("aten::convolution_backward", "convolutions"),
        ("aten::addmm", "matrix products"), ("aten::bmm", "matrix products"), ("aten::baddbmm_", "matrix products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "attention"),
        ("aten::native_layer_norm", "norms"), ("aten::_softmax_backward_data", "softmax"),
        ("aten::max_pool3d_with_indices", "pooling"), ("aten::copy_", "copies"), ("aten::cat", "copies"),
        ("aten::add_", "elementwise"), ("aten::gelu_backward", "elementwise"), ("aten::empty", "other"),
    ],
)  # fmt: skip
def test_operators_have_classes(name: str, expected: str) -> None:
    assert ceiling.operator_class(name) == expected


def test_traffic_is_what_operators_read_and_write() -> None:
    a, b = torch.ones(256), torch.ones(256)  # 1 KiB each

    def run() -> None:
        torch.add(a, b).view(16, 16)  # reads two, writes one; the view does neither
        a.mul_(2)  # reads and writes one

    assert ceiling.traffic(run) == 5 * 1024
