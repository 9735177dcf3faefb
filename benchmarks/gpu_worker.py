"""A process that measures rows: commands come as lines of JSON, and so do answers.

A command is `{"step", "row", "wait"}`; with `wait` the process says `ready` once all is compiled, and waits for `go`
before it times anything. It ends when its input ends, so that none is left behind when the command is killed.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import torch
from gpu_folder import Folder
from gpu_journal import FAILED, MEASURED, SKIPPED
from gpu_steps import STEPS, Bench, Unavailable, no_wait
from measure import release, where

PATIENCE = 3  # tries, of a row that others leave too little memory
PAUSE = 4.0  # seconds between them


class Worker:
    """The process's ends of the two pipes."""

    def __init__(self) -> None:
        self.answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # libraries print what they like
        self.commands: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self.commands.put(json.loads(line))
        os._exit(0)

    def say(self, **answer: Any) -> None:
        """Write one answer."""
        print(json.dumps(answer), file=self.answers, flush=True)

    def wait(self) -> None:
        """Say that all is compiled, and wait until told to go on."""
        self.say(ready=True)
        self.commands.get()


def message(error: BaseException) -> str:
    """Return an error in one line, with the place in our code."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def measure(bench: Bench, command: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a row: its status, figures and note."""
    for attempt in range(PATIENCE):
        try:
            values = STEPS[command["step"]](bench, command["row"])
        except Unavailable as error:
            return {"status": SKIPPED, "note": str(error)}
        except torch.OutOfMemoryError as error:
            text = f"not enough memory: {error}"
            if not command["wait"] or attempt == PATIENCE - 1:
                return {"status": FAILED, "note": text}
        except Exception as error:  # a row that fails does not end the others
            traceback.print_exc()
            return {"status": FAILED, "note": message(error)}
        else:
            status, note = values.pop("status", MEASURED), values.pop("note", "")
            return {"status": status, "values": values, "note": note}
        release(bench.device)
        time.sleep(PAUSE)
    raise AssertionError


def serve(folder: Path, device: str, backend: str) -> None:
    """Measure the rows that come in, until no more do."""
    worker = Worker()
    torch.backends.cudnn.benchmark = True  # for all sides
    prepared = Folder(folder)
    prepared.use_libraries()
    cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    device = "cuda" if cuda else "cpu"
    worker.say(machine=where(device), device=device, memory=torch.cuda.mem_get_info()[0] if cuda else 0)
    bench = Bench(prepared, device, backend)
    while True:
        command = worker.commands.get()
        bench.wait = worker.wait if command["wait"] else no_wait
        start = time.perf_counter()
        answer = measure(bench, command)
        release(device)
        worker.say(seconds=round(time.perf_counter() - start, 2), **answer)
        if "CUDA error" in answer["note"]:
            os._exit(1)  # the GPU answers this process no more; another one takes the rows that are left
