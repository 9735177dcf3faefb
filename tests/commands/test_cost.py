"""`archdsl cost`: specs side by side, the formats of its tables, the plot."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from archdsl.analysis.cost_table import brief_size, in_one_unit
from archdsl.commands import cost_plot
from archdsl.core.latex import COLUMN, PAGE, as_latex
from archdsl.core.table import Table, as_markdown

if TYPE_CHECKING:
    from command_line import Shell

PAIR = ("tiny.arch", "slow_r50")
# Of the spec's `published` line, which is for a clip of 3×8×256×256.
PUBLISHED = {"params": 32_450_000, "macs": 54_500_000_000}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_several_specs_stand_in_one_table(shell: Shell) -> None:
    lines = shell("cost", *PAIR).out.splitlines()
    assert re.split(r"  +", lines[0]) == [
        "spec", "clip", "parameters (M)", "multiply-adds (G)", "published (M)", "published (G)",
    ]  # fmt: skip
    assert re.split(r"  +", lines[2]) == ["tiny", "3×8×32×32", "0.00246", "0.00243", "–", "–"]
    assert re.split(r"  +", lines[3])[0:2] == ["slow_r50", "3×8×256×256"]
    assert re.split(r"  +", lines[3])[4:] == ["32.45", "54.5"]


def test_a_row_agrees_with_the_spec_alone(shell: Shell) -> None:
    alone = json.loads(shell("cost", "slow_r50", "--json").out)
    row = rows_of(shell("cost", *PAIR, "--format", "csv").out)[1]
    assert int(row["params"]) == alone["published"]["counted"]["params"]
    assert int(row["macs"]) == alone["published"]["counted"]["macs"]
    assert {k: int(row[f"published_{k}"]) for k in PUBLISHED} == PUBLISHED
    assert row["clip"] == "3x8x256x256"


def test_published_figures_stand_beside_counts_of_their_own_clip_alone(shell: Shell) -> None:
    row = rows_of(shell("cost", *PAIR, "--clip", "3x8x64x64", "--format", "csv").out)[1]
    assert (row["clip"], row["published_params"], row["published_macs"]) == ("3x8x64x64", "", "")
    assert int(row["macs"]) == json.loads(shell("cost", "slow_r50", "--clip", "3x8x64x64", "--json").out)["macs"]
    same = rows_of(shell("cost", *PAIR, "--clip", "3x8x256x256", "--format", "csv").out)[1]
    assert int(same["published_macs"]) == PUBLISHED["macs"]
    changed = shell("cost", "slow_r50", "slow_r50", "--set", "classes=7")
    assert "published" not in changed.out


def test_memory_is_a_column(shell: Shell) -> None:
    rows = rows_of(shell("cost", *PAIR, "--batch", "2", "--clip", "3x8x32x32", "--format", "csv").out)
    alone = json.loads(shell("cost", "tiny.arch", "--batch", "2", "--json").out)
    assert int(rows[0]["memory"]) == alone["memory"]
    assert "kept in training" in shell("cost", *PAIR, "--batch", "2", "--clip", "3x8x32x32").out


@pytest.mark.parametrize("level", ["stage", "layer"])
def test_rows_of_csv_are_those_of_json(shell: Shell, level: str) -> None:
    rows = rows_of(shell("cost", "tiny.arch", "--by", level, "--batch", "2", "--format", "csv").out)
    data = json.loads(shell("cost", "tiny.arch", "--by", level, "--batch", "2", "--json").out)[f"{level}s"]
    assert [(r["spec"], r["name"], int(r["params"]), int(r["macs"]), int(r["memory"])) for r in rows] == [
        ("tiny", d["name"], d["params"], d["macs"], d["memory"]) for d in data
    ]
    assert [r["shape"] for r in rows] == ["x".join(map(str, d["shape"])) for d in data]


def test_levels_of_several_specs_are_tables_of_their_own(shell: Shell) -> None:
    both = shell("cost", *PAIR, "--by", "stage").out
    alone = [shell("cost", spec).out for spec in PAIR]
    assert both == "\n".join(alone)
    rows = rows_of(shell("cost", *PAIR, "--by", "stage", "--format", "csv").out)
    assert {row["spec"] for row in rows} == {"tiny", "slow_r50"}


def test_format_json_is_json(shell: Shell) -> None:
    assert shell("cost", *PAIR, "--format", "json").out == shell("cost", *PAIR, "--json").out


def test_tables_of_markdown(shell: Shell) -> None:
    table, _, notes = shell("cost", *PAIR, "--format", "markdown").out.partition("\n\n")
    lines = table.splitlines()
    assert lines[1] == "| --- | --- | ---: | ---: | ---: | ---: |"
    assert {line.count("|") for line in lines} == {7}
    assert "FLOPs are 2 × multiply-adds" in notes
    assert as_markdown(Table(("a",), (("x|y",),), 0)).splitlines()[2] == r"| x\|y |"


def test_tables_of_latex(shell: Shell) -> None:
    text = shell("cost", *PAIR, "--format", "latex").out
    assert r"slow\_r50 & 8$\times$256$^2$ & 32.45 & 54.52 & 32.45 & 54.5 \\" in text
    assert text.count(r"\begin{tabular}{@{}llrrrr@{}}") == text.count(r"\end{tabular}") == 1
    assert text.isascii()
    stages = shell("cost", "tiny.arch", "--format", "latex").out
    assert r"\midrule" in stages.split("total")[0].splitlines()[-2]
    body = [line for line in stages.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in body} == {4}


def test_tables_of_latex_fit_a_column_or_a_page(shell: Shell) -> None:
    """The width in the first line is reckoned with Computer Modern's widths, and LaTeX agrees where it is installed."""
    tables = [
        shell("cost", *PAIR, "--format", "latex").out,
        shell("cost", "slowfast_r50", "--format", "latex").out,
        shell("cost", "slowfast_r50", "--by", "block", "--format", "latex").out,
        shell("cost", "slowfast_r50", "--batch", "8", "--format", "latex").out,
    ]
    found = [re.search(r"about (\d+) pt wide, for (a column|a page)\n", text) for text in tables]
    widths = [int(match[1]) for match in found if match]
    assert len(widths) == len(tables)
    assert max(widths[:3]) <= COLUMN
    assert widths[3] <= PAGE
    if shutil.which("pdflatex"):
        assert _measured(tables) == pytest.approx(widths, rel=0.06)


def _measured(tables: list[str]) -> list[float]:
    boxes = "".join(f"\\setbox0=\\hbox{{%\n{text}}}\\typeout{{wide \\the\\wd0}}\n" for text in tables)
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    Path("wide.tex").write_text(head + "\n" + boxes + r"\end{document}", "utf-8")
    command = ["pdflatex", "-interaction=batchmode", "wide.tex"]
    subprocess.run(command, capture_output=True, check=True)
    log = Path("wide.log").read_text("utf-8", errors="replace")
    return [float(width) for width in re.findall(r"^wide ([\d.]+)pt", log, re.MULTILINE)]


def test_a_column_has_one_unit() -> None:
    assert in_one_unit("params", [34_566_488, 9_536, 0, 300], {"M": 10**6}) == [
        "params (M)", "34.566", "0.010", "0", "<0.001",
    ]  # fmt: skip
    assert in_one_unit("memory", [3 * 2**30, 2**29], {"GiB": 2**30, "MiB": 2**20}) == ["memory (GiB)", "3.000", "0.500"]
    assert [brief_size(s) for s in ("64×8×56×56", "3×8×9×16", "400×1×1×1")] == ["64×8×56²", "3×8×9×16", "400"]


def test_different_clips_are_pointed_out(shell: Shell) -> None:
    """In each format, in the notes of the table or on standard error; not where all clips are of one size."""
    for format_ in ("text", "markdown", "latex", "csv", "json"):
        ran = shell("cost", *PAIR, "--format", format_)
        where = ran.err if format_ in ("csv", "json") else ran.out
        assert where.count("note: the clips differ in size") == 1, format_
        assert "--clip 3x8x256x256 " in where
        same = shell("cost", *PAIR, "--clip", "3x8x64x64", "--format", format_)
        assert "clips differ" not in same.out + same.err
    ran = shell("cost", *PAIR, "--plot", "pair.svg")
    assert "note: the clips differ in size" in ran.err
    texts = re.findall(r">([^<>]+)</text>", Path("pair.svg").read_text("utf-8"))
    assert {"tiny (8×32²)", "slow_r50 (8×256²)"} <= set(texts)


def test_latex_escapes_what_has_a_meaning() -> None:
    cell = as_latex(Table((r"50% of $a_b & {c}#~^\d–",), (), 0)).splitlines()[4].strip()
    assert cell == (
        r"50\% of \$a\_b \& \{c\}\#\textasciitilde{}\textasciicircum{}\textbackslash{}d-- \\"
    )  # fmt: skip


# --- the plot ------------------------------------------------------------------------------------------------------


@pytest.fixture(name="small")
def two_small_specs(shell: Shell) -> tuple[str, str]:
    """Two specs, one of them with published figures."""
    del shell  # which has changed to a folder of its own
    text = Path("tiny.arch").read_text("utf-8").replace("arch tiny", "arch other")
    Path("other.arch").write_text(f"{text}published params = 2.4K, gflops = 0.0024 at [3, 8, 32, 32]\n")
    return "tiny.arch", "other.arch"


@pytest.mark.parametrize(("suffix", "start"), [(".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")])
def test_the_plot_is_written(shell: Shell, small: tuple[str, str], suffix: str, start: bytes) -> None:
    ran = shell("cost", *small, "--plot", f"cost{suffix}", "--json")
    assert ran.code == 0
    assert f"cost{suffix}: written" in ran.err
    assert len(json.loads(ran.out)) == 2
    assert Path(f"cost{suffix}").read_bytes().startswith(start)


def test_text_of_the_plot_is_text(shell: Shell, small: tuple[str, str]) -> None:
    shell("cost", *small, "--plot", "cost.svg")
    svg = Path("cost.svg").read_text("utf-8")
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert {"tiny", "other", "published", "parameters (M)", "multiply-adds for one clip (G)"} <= set(texts)
    shell("cost", *small, "--plot", "again.svg")
    assert Path("again.svg").read_text("utf-8") == svg


def test_one_point_and_equal_points_can_be_plotted(shell: Shell) -> None:
    assert shell("cost", "tiny.arch", "--plot", "one.svg").code == 0
    assert shell("cost", "tiny.arch", "tiny.arch", "--plot", "two.svg").code == 0


def test_a_network_without_parameters_can_be_plotted(shell: Shell) -> None:
    Path("bare.arch").write_text("arch bare\ninput clip: video[3, 8, 32, 32]\nhead: avgpool\n")
    ran = shell("cost", "bare.arch", "tiny.arch", "--plot", "bare.svg")
    assert ran.code == 0
    assert "bare: not in the plot" in ran.err


def test_names_cover_neither_names_nor_points() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure: Any = Figure(figsize=(6.4, 4.4))
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=(10, 100), ylim=(10, 100))
    points = [(30 * 1.02**i, 30 * 1.03**i) for i in range(8)]
    cost_plot.write_names(figure, axes, [f"network_{i}" for i in range(8)], [[p] for p in points])
    for text in axes.texts:
        text.update_positions(figure.canvas.get_renderer())
    boxes = [cost_plot.Box(*Text.get_window_extent(text).extents) for text in axes.texts]  # without lines to points
    assert len(boxes) == 8
    for i, box in enumerate(boxes):
        assert all(box.overlap(other) < 1 for other in boxes[:i])
        x, y = axes.transData.transform(points[i])
        assert box.overlap(cost_plot.Box(x - 2, y - 2, x + 2, y + 2)) == 0


def test_another_suffix_is_refused_before_anything_is_counted(shell: Shell) -> None:
    ran = shell("cost", "faulty.arch", "--plot", "cost.gif")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "archdsl: cost.gif: a plot's name ends in .svg, .pdf or .png\n"


def test_without_matplotlib_the_message_says_what_to_install(
    shell: Shell, small: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_plot, "find_spec", lambda name: None if name == "matplotlib" else util.find_spec(name))
    ran = shell("cost", *small, "--plot", "cost.svg")
    assert ran.code == 1
    assert "pip install 'archdsl[plot]'" in ran.err
    assert not Path("cost.svg").exists()


def test_help_says_flops_once(shell: Shell) -> None:
    text = shell("cost", "--help").out
    assert text.count("FLOPs") == 1
    assert "multiply-adds (FLOPs / 2)" in text
