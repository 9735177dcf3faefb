"""What `gpu.py run` does: which rows are measured when, within a limit of time. Needs nothing but Python.

    untimed   correctness, memory        while other processes compile
    timed     eager rows, compiled rows, passes, forms of code, training; nothing else runs beside them

Compiling takes minutes, so a process for each compiled row does that from the start, and keeps what it compiled until
it is told to time it. A row that does not fit the time of its step is written down as skipped, and measured at the next
start.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from gpu_journal import COLUMNS, FAILED, MANIFEST, SKIPPED, Journal, Outcome, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# The part of the time at which each step ends, if those before it took all of theirs.
ENDS = {
    "correctness": 0.16, "memory": 0.28, "compiling": 0.42, "eager": 0.64, "compiled": 0.74, "passes": 0.84,
    "alternatives": 0.93, "training": 1.0,
}  # fmt: skip
EACH = 5 * 2**30  # bytes of the GPU for a process that compiles
START = 240.0  # seconds within which a process must have started
LEAST = 20.0  # seconds with which it is worth while to begin to compile
LATE = "no time was left; start again to measure it"


class Limits(NamedTuple):
    """Seconds: of the whole run, and of a row that is measured alone."""

    whole: float
    row: float


class Options(NamedTuple):
    """How processes are started."""

    folder: Path
    cache: Path
    device: str
    backend: str


class Worker:
    """A process that measures rows, from outside."""

    def __init__(self, options: Options, threads: int = 0) -> None:
        cache = {"TORCHINDUCTOR_CACHE_DIR": options.cache / "inductor", "TRITON_CACHE_DIR": options.cache / "triton"}
        environment = {**os.environ, **{name: str(path) for name, path in cache.items()}}
        if threads:
            environment |= {"TORCHINDUCTOR_COMPILE_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, str(options.folder / "gpu.py"), "worker"]
        command += ["--device", options.device, "--backend", options.backend]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        code = self.process.wait()
        self.answers.put({"status": FAILED, "note": f"the process ended with {code}", "ended": True})

    def tell(self, **command: Any) -> None:
        """Send a command; the answer tells of a process that has ended."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """Return the next answer, None if there is none within this time."""
        try:
            return self.answers.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return None

    def kill(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def outcome(answer: dict[str, Any]) -> Outcome:
    """Return what a worker's answer says of a row."""
    return Outcome(answer["status"], answer.get("values", {}), answer["note"], answer.get("seconds", 0.0))


class Run:
    """One run: its results, its clock, and the process that measures rows one by one."""

    def __init__(self, options: Options, out: Path, limits: Limits, again: Iterable[str] = ()) -> None:
        self.options, self.limits = options, limits
        self.begin = time.monotonic()
        self.worker: Worker | None = Worker(options)
        hello = self.worker.answer(START)
        if hello is None or "machine" not in hello:
            self.worker.kill()
            raise SystemExit(f"{options.folder / 'gpu.py'} worker does not start: {hello or f'{START:.0f} s are over'}")
        self.machine, self.memory = hello["machine"], hello["memory"]
        self.journal = Journal(out, self.machine, list(again))
        rows = json.loads((options.folder / MANIFEST).read_text("utf-8"))["rows"]
        self.rows: dict[str, list[Row]] = {s: [r | {"device": hello["device"]} for r in rows[s]] for s in COLUMNS}

    def at(self, step: str) -> float:
        """Return the seconds that are left until the end of a step."""
        return self.begin + ENDS[step] * self.limits.whole - time.monotonic()

    def left(self, step: str, wanted: Callable[[Row], bool] = bool) -> list[Row]:
        """Return the rows of a step that are not measured yet."""
        return [row for row in self.rows[step] if wanted(row) and not self.journal.done(step, row)]

    def add(self, step: str, row: Row, found: Outcome) -> None:
        """Write a row down, and say so."""
        self.journal.add(step, row, found)
        name = " ".join(str(row[k]) for k in COLUMNS[step][0][1:])
        print(f"{time.monotonic() - self.begin:6.1f} s  {step}: {name}: {found.status} {found.note}"[:200], flush=True)

    def measure(self, step: str, rows: Iterable[Row], end: str, between: Callable[[], None] | None = None) -> None:
        """Measure rows one by one, as many as fit; `between` is called before each."""
        for row in rows:
            if between is not None:
                between()
            seconds = min(self.limits.row, self.at("training"))
            if self.at(end) <= 0 or seconds <= 0:
                return
            if self.worker is None:
                self.worker = Worker(self.options)
                if self.worker.answer(min(START, self.at("training"))) is None:
                    self.worker.kill()
                    self.worker = None
                    return
            self.worker.tell(step=step, row=row, wait=False)
            answer = self.worker.answer(seconds)
            if answer is None or answer.get("ended"):
                self.worker.kill()
                self.worker = None
            if answer is None and seconds < self.limits.row:
                return  # the time of the run is over, which is no fault of the row
            late = Outcome(FAILED, {}, f"took more than {seconds:.3g} s", seconds)
            self.add(step, row, late if answer is None else outcome(answer))

    def skip(self) -> None:
        """Write down what is left."""
        for step in COLUMNS:
            for row in self.left(step):
                self.journal.add(step, row, Outcome(SKIPPED, {}, LATE))

    def close(self) -> None:
        """End the process."""
        if self.worker is not None:
            self.worker.kill()


class Compilers:
    """Processes that each compile what a row needs, and wait until they are told to time it."""

    def __init__(self, run: Run, rows: list[Row]) -> None:
        self.run = run
        cores = os.cpu_count() or 1
        self.room = max(1, run.memory // EACH if run.memory else 2)
        self.most = max(1, cores - 2)  # at work, so that those of most worth are ready soon
        self.threads = max(1, round(cores / min(self.most, self.room, len(rows) or 1)))
        self.pending = list(rows)
        self.working: dict[int, tuple[Row, Worker]] = {}
        self.ready: list[tuple[Row, Worker]] = []
        self.begin()

    def begin(self) -> None:
        """Start as many as there are cores and memory for."""
        while self.pending and len(self.working) < self.most and len(self.working) + len(self.ready) < self.room:
            row = self.pending.pop(0)
            worker = Worker(self.run.options, self.threads)
            worker.tell(step="speed", row=row, wait=True)
            self.working[id(row)] = row, worker

    def look(self) -> None:
        """Take notice of those that are ready, or have failed, and start others."""
        for key, (row, worker) in list(self.working.items()):
            while (answer := worker.answer(0)) is not None:
                if "machine" in answer:
                    continue
                del self.working[key]
                if "ready" in answer:
                    self.ready.append((row, worker))
                else:
                    self.run.add("speed", row, outcome(answer))
                    worker.kill()
                break
        self.begin()

    def compile(self, seconds: float) -> None:
        """Wait until all are ready, or the time is over, and end those that are not."""
        end = time.monotonic() + seconds
        self.look()
        while self.working and time.monotonic() < end:
            time.sleep(0.1)
            self.look()
        for _, worker in self.working.values():  # the next start finds part of that in its cache
            worker.kill()
        self.working, self.pending = {}, []

    def time(self) -> None:
        """Let those that are ready time their rows, one after the other."""
        for row, worker in self.ready:
            seconds = min(self.run.limits.row, self.run.at("training"))
            if seconds > 0:
                worker.tell(go=True)
                if (answer := worker.answer(seconds)) is not None:
                    self.run.add("speed", row, outcome(answer))
            worker.kill()
        self.ready = []

    def close(self) -> None:
        """End all processes."""
        for _, worker in (*self.working.values(), *self.ready):
            worker.kill()


def compiled(row: Row) -> bool:
    """Tell whether a row is of compiled modules."""
    return bool(row["compiled"])


def eager(row: Row) -> bool:
    """Tell whether a row is of modules as they are."""
    return not row["compiled"]


def measure_all(run: Run) -> None:
    """Measure what is left, in the order of the module's docstring."""
    compilers = Compilers(run, run.left("speed", compiled))
    try:
        for step in ("correctness", "memory"):
            run.measure(step, run.left(step), step, compilers.look)
        compilers.compile(run.at("compiling"))
        run.measure("speed", run.left("speed", eager), "eager")
        compilers.time()
        for step in ("passes", "alternatives", "training"):
            run.measure(step, run.left(step), step)
        run.measure("speed", run.left("speed", eager), "training")  # what did not fit its share
        for step in ("correctness", "memory", "passes", "alternatives"):
            run.measure(step, run.left(step), "training")
        while (rest := run.left("speed", compiled)) and run.at("training") > LEAST:
            compilers = Compilers(run, rest)
            compilers.compile(run.at("training") * 0.8)
            compilers.time()
    finally:
        compilers.close()
        run.skip()
        run.close()
