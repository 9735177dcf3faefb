"""`benchmarks/gpu.py`: a dry run of every step on a CPU, killed in the middle; nothing that it times is looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from repository import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import alternatives
import goals
import gpu_folder
import gpu_forms
import gpu_prepare
import gpu_report
import gpu_run
import gpu_steps
import gpu_worker
from gpu_journal import ALONE, COLUMNS, FAILED, MEASURED, SKIPPED, Journal, Outcome, file_of, lines_of

import archdsl

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ("--device", "cpu", "--backend", "eager")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder in which an import of archdsl fails."""
    to = tmp_path_factory.mktemp("gpu") / "folder"
    gpu_prepare.prepare(to, 2, tiny=True)
    (to / "archdsl.py").write_text("raise ImportError('archdsl is not needed here')\n", "utf-8")
    return to


def environment() -> dict[str, str]:
    """One thread, and no path to the repository."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}


def start(folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(folder / "gpu.py"), "run", "--out", str(out), *COMMAND, *more]
    return subprocess.Popen(
        command, env=environment(), cwd=folder.parent, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def written(out: Path) -> list[str]:
    """The whole lines of all files but their heads."""
    found = [file_of(out, step) for step in COLUMNS]
    return [line for path in found if path.exists() for line in path.read_text("utf-8").splitlines()[1:]]


def test_every_step_runs_and_goes_on_after_a_kill(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    first = start(folder, out)
    end = time.monotonic() + 900
    while len(written(out)) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    before = written(out)
    assert len(before) >= 3
    with file_of(out, "correctness").open("a", encoding="utf-8") as file:
        file.write("cpu,cut off in the mid")  # as a machine that loses power leaves it

    second = start(folder, out, "--minutes", "60", "--row-limit", "900")
    shown = second.communicate()[0]
    assert second.returncode == 0, shown
    after = written(out)
    assert set(before) <= set(after), "what was measured is not measured again"
    rows = json.loads((folder / "manifest.json").read_text("utf-8"))["rows"]
    assert len(after) == sum(map(len, rows.values()))
    for step in COLUMNS:
        lines = lines_of(out, step)
        assert len(lines) == len(rows[step]) > 0, step
        others = [(line.get("form"), line["status"], line["note"]) for line in lines if line["status"] != MEASURED]
        assert others == ([("CUDA graph", SKIPPED, "needs a GPU")] if step == "alternatives" else [])
    checks = {line["check"]: line for line in lines_of(out, "correctness")}
    assert {line["holds"] for line in checks.values()} == {"yes"}
    assert float(checks["train f32"]["difference"]) <= 2e-5
    speeds = lines_of(out, "speed")
    assert {(line["mode"], line["compiled"]) for line in speeds} == {("train", "no"), ("infer", "no"), ("train", "yes")}
    assert all(float(line[k]) > 0 for line in speeds for k in ("ours", "shipped", "tuned", "tuned_ratio"))
    memory = [float(line["ratio"]) for line in lines_of(out, "memory")]
    assert all(0.5 < ratio < 2 for ratio in memory)


def test_what_does_not_fit_the_time_is_written_down(folder: Path, tmp_path: Path) -> None:
    with start(folder, tmp_path, "--minutes", "0.0001") as run:
        run.communicate()
    assert run.returncode == 0
    rows = json.loads((folder / "manifest.json").read_text("utf-8"))["rows"]
    for step in COLUMNS:
        lines = lines_of(tmp_path, step)
        assert len(lines) == len(rows[step])
        assert {(line["status"], line["note"]) for line in lines} == {(SKIPPED, gpu_run.LATE)}


# A worker without torch: the name of a row says what becomes of it.
FAKE = """
import json, os, sys, time
print(json.dumps({"machine": "a machine", "memory": 0, "device": "cpu"}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    name = command["row"].get("record") or command["row"].get("model")
    if name == "dies":
        os._exit(3)
    if name == "hangs":
        time.sleep(60)
    if command["wait"]:
        print(json.dumps({"ready": True}), flush=True)
        assert json.loads(sys.stdin.readline()) == {"go": True}
    print(json.dumps({"status": "measured", "values": {}, "note": "", "seconds": 0.1}), flush=True)
"""


def test_a_row_that_ends_or_stops_its_process_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "gpu.py").write_text(FAKE, "utf-8")
    rows: dict[str, list[dict[str, Any]]] = {step: [] for step in COLUMNS}
    key = {"spec": "s", "check": "train f32"}
    rows["correctness"] = [{"record": name, **key} for name in ("one", "dies", "two", "hangs", "three")]
    speed = {"clip": "", "peer": "", "mode": "train", "dtype": "bf16", "batch": 1}
    rows["speed"] = [
        {"model": name, "compiled": how, **speed} for how in (True, False) for name in ("one", "dies", "hangs")
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"rows": rows}), "utf-8")
    options = gpu_run.Options(tmp_path, tmp_path / "cache", "cpu", "eager")
    out = tmp_path / "results"
    run = gpu_run.Run(options, out, gpu_run.Limits(whole=9, row=0.5))
    gpu_run.measure_all(run)
    ended, slow = "the process ended with 3", "took more than 0.5 s"
    assert [(line["record"], line["status"], line["note"]) for line in lines_of(out, "correctness")] == [
        ("one", MEASURED, ""), ("dies", FAILED, ended), ("two", MEASURED, ""), ("hangs", FAILED, slow),
        ("three", MEASURED, ""),
    ]  # fmt: skip
    assert {(line["model"], line["compiled"], line["status"], line["note"]) for line in lines_of(out, "speed")} == {
        ("one", "no", MEASURED, ""), ("dies", "no", FAILED, ended), ("hangs", "no", FAILED, slow),
        ("one", "yes", MEASURED, ""), ("dies", "yes", FAILED, ended), ("hangs", "yes", SKIPPED, gpu_run.LATE),
    }  # fmt: skip


def test_compiled_rows_are_timed_before_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row never gets ready: it costs neither the one before it nor the one that would come behind it."""
    monkeypatch.setattr(gpu_run, "LEAST", 1.0)
    monkeypatch.setattr(gpu_run, "ENDS", dict.fromkeys(gpu_run.ENDS, 0.0) | {"training": 1.0})
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    (tmp_path / "gpu.py").write_text(FAKE, "utf-8")
    rows: dict[str, list[dict[str, Any]]] = {step: [] for step in COLUMNS}
    rows["speed"] = [{"model": name, "compiled": True} for name in ("hangs", "one", "two", "three")]
    rows["speed"] = [r | dict.fromkeys(("clip", "peer", "mode", "dtype", "batch"), "") for r in rows["speed"]]
    (tmp_path / "manifest.json").write_text(json.dumps({"rows": rows}), "utf-8")
    options = gpu_run.Options(tmp_path, tmp_path / "cache", "cpu", "eager")
    run = gpu_run.Run(options, tmp_path / "results", gpu_run.Limits(whole=12, row=5))
    monkeypatch.setattr(run, "memory", 9 * gpu_run.EACH)
    gpu_run.measure_all(run)
    found = {line["model"]: line["status"] for line in lines_of(tmp_path / "results", "speed")}
    assert found == {"hangs": SKIPPED, "one": MEASURED, "two": MEASURED, "three": MEASURED}


def bench(folder: Path) -> gpu_steps.Bench:
    return gpu_steps.Bench(gpu_folder.Folder(folder), "cpu", "eager")


def row_of(folder: Path, step: str) -> dict[str, Any]:
    """The first row of a step, as a command."""
    row = json.loads((folder / "manifest.json").read_text("utf-8"))["rows"][step][0]
    return {"step": step, "row": row | {"device": "cpu"}, "wait": False}


def test_a_peer_that_does_not_agree_is_not_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_folder, "converted", lambda theirs, _: {n: t * 2 for n, t in theirs.items()})
    answer = gpu_worker.measure(bench(folder), row_of(folder, "speed"))
    assert answer["status"] == FAILED
    assert "of the largest, so nothing was timed" in answer["note"]


def test_ours_is_timed_alone_where_the_peer_cannot_be_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_folder.Folder, "peer", lambda *_: None)
    answer = gpu_worker.measure(bench(folder), row_of(folder, "speed"))
    assert (answer["status"], answer["note"]) == (ALONE, "plain is not installed")
    assert answer["values"]["ours"] > 0
    assert "shipped" not in answer["values"]


def test_too_little_memory_is_a_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(*_: Any) -> Any:
        message = "2 GiB"
        raise torch.OutOfMemoryError(message)

    monkeypatch.setitem(gpu_steps.STEPS, "memory", step)
    answer = gpu_worker.measure(bench(folder), row_of(folder, "memory"))
    assert answer == {"status": FAILED, "note": "not enough memory: 2 GiB"}


def test_gradients_must_be_finite(folder: Path) -> None:
    class Root(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(3))

        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            return (self.weight * clip).sqrt()  # whose slope at 0 is infinite

    with pytest.raises(ValueError, match="no finite gradient for 1 weights: weight"):
        gpu_steps.gradients_finite(bench(folder), Root(), [torch.zeros(3)], "f32")


@pytest.mark.parametrize("record", ["swin_t_small", "tv_mvit_v1_b_small", "psf_slowfast_8x8_r50_small"])
def test_weights_are_moved_as_archdsl_moves_them(record: str) -> None:
    from parity_cases import CASES

    case = next(c for c in CASES if c.record == record)
    known = json.loads((ROOT / "tests/parity" / f"{record}.json").read_text("utf-8"))
    clip = tuple(known["inputs"]["clip"][1:])
    arch = archdsl.load(ROOT / "specs" / f"{case.spec}.arch", clip=clip, like=case.source, **dict(case.params))
    theirs = {name: torch.randn(shape) for name, shape in known["state_dict"].items()}
    expected = archdsl.convert_weights(arch, theirs, case.source)
    found = gpu_folder.converted(theirs, json.loads(json.dumps(gpu_prepare.moves(arch, case.source))))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("case", list(gpu_forms.cases(tiny=True)), ids=lambda c: c[0])
def test_forms_compute_the_same(case: alternatives.Case) -> None:
    alternatives.check(case, "cpu")


ROW = {
    "device": "cuda", "model": "m", "clip": "3x8x64x64", "batch": 2, "dtype": "bf16", "checkpointing": "none",
    "optimizer": "sgd",
}  # fmt: skip
FIGURES = {"predicted": 100 * 2**20, "measured": 80 * 2**20, "ratio": 1.25}


def test_rows_are_by_machine_and_can_be_measured_again(tmp_path: Path) -> None:
    Journal(tmp_path, "one card").add("memory", ROW, Outcome(MEASURED, FIGURES))
    other = Journal(tmp_path, "another card")
    assert not other.done("memory", ROW)
    other.add("memory", ROW, Outcome(FAILED, {}, "not\nenough, memory"))
    assert Journal(tmp_path, "one card").done("memory", ROW)
    assert Journal(tmp_path, "another card").done("memory", ROW)
    assert not Journal(tmp_path, "another card", [FAILED]).done("memory", ROW)
    found = [(line["machine"], line["measured"], line["note"]) for line in lines_of(tmp_path, "memory")]
    assert found == [("one card", str(80 * 2**20), ""), ("another card", "", "not enough, memory")]


def test_files_of_another_version_are_not_mixed(tmp_path: Path) -> None:
    file_of(tmp_path, "memory").write_text("device,model\ncuda,m\n", "utf-8")
    with pytest.raises(SystemExit, match="its columns are not those of this version"):
        Journal(tmp_path, "one card")


def test_page_takes_what_a_gpu_measured(tmp_path: Path) -> None:
    out, results = tmp_path / "out", tmp_path / "results"
    results.mkdir()
    assert gpu_report.section(results) == gpu_report.NOTHING
    journal = Journal(out, "a card")
    assert gpu_report.take_over(out, results) == 0
    journal.add("memory", ROW, Outcome(MEASURED, FIGURES))
    journal.add("memory", ROW | {"device": "cpu"}, Outcome(MEASURED, FIGURES))  # of a dry run
    journal.add("memory", ROW | {"batch": 64}, Outcome(FAILED, {}, "not enough memory"))
    key = {"device": "cuda", "record": "r", "spec": "s"}
    for check, off in (("train f32", 4e-5), ("train bf16", 0.01), ("infer f32", 1e-6)):
        limit = 3e-2 if "bf16" in check else 2e-5
        journal.add(
            "correctness", key | {"check": check},
            Outcome(MEASURED, {"difference": off, "tolerance": limit, "holds": off <= limit}),
        )  # fmt: skip
    journal.add("correctness", key | {"check": "gradients f32"}, Outcome(MEASURED, {"holds": True}))
    assert journal.wrong() == [key | {"check": "train f32"}]
    assert gpu_report.take_over(out, results) == 6
    section = gpu_report.section(results)
    assert "| `m` | 2 | bf16 | none | 100 | 80 | 1.25 |" in section
    assert "| logits | float32 | 0 of 1 | `s`, 4.0e-05 | ≤ 2e-05 |" in section
    assert "| gradients of a training step | float32 | 1 of 1 | – | finite |" in section
    assert "| memory | m 3x8x64x64 64 bf16 none sgd | not enough memory |" in section


def test_page_shows_the_results_of_a_gpu() -> None:
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert goals.marked(text, "gpu", gpu_report.section()) == text, "python benchmarks/gpu.py write-docs"
