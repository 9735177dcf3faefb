"""Commands in processes of their own, forked from one that has imported torch and Lightning.

A new interpreter takes seconds to import them, and how a run is trained, killed and resumed does not depend on that.
Lightning starts the other processes of a run with the command of the first; they are forked, too.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from tempfile import mkdtemp
from threading import Lock, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IMPORTED = ("lightning.pytorch", "av", "matplotlib.figure")
LAUNCHER = "lightning.pytorch.strategies.launchers.subprocess_script"


# --- who starts a command ---------------------------------------------------------------------------------------------


@cache
def server() -> str:
    """Return the address of the process that is forked, which ends with this one."""
    address = str(Path(mkdtemp()) / "socket")
    here = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = Popen([sys.executable, __file__, address], stdin=PIPE, stdout=PIPE, env=here)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(process.communicate)
    return address


class Forked:
    """`python -m archdsl …` or `python SCRIPT …`, with what Lightning calls of `subprocess.Popen`."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], cwd: str | None = None, *, out: int = 1, err: int = 2
    ) -> None:
        assert command[0] == sys.executable
        self.returncode: int | None = None
        self._lock = Lock()
        asked = {"arguments": command[1:], "environment": dict(env), "folder": cwd or os.getcwd()}
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(server())
        socket.send_fds(connection, [b"\n"], [out, err])
        self._connection = connection
        self._answers = connection.makefile("rw", encoding="utf-8")
        print(json.dumps(asked), file=self._answers, flush=True)
        self.pid = int(self._answers.readline())

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None before the end."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait for the exit code."""
        with self._lock:  # Lightning asks in two threads
            if self.returncode is None:
                self.returncode = int(self._answers.readline())
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process at once."""
        self.send_signal(signal.SIGKILL)


class Command:
    """A forked process whose output is read until it, and all that it started, have ended."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        ends, given = zip(os.pipe(), os.pipe(), strict=True)
        self._forked = Forked(command, env, out=given[0], err=given[1])
        for number in given:
            os.close(number)
        self._text = ["", ""]
        self._readers = [Thread(target=self._read, args=pair, daemon=True) for pair in enumerate(ends)]
        for reader in self._readers:
            reader.start()

    def _read(self, number: int, end: int) -> None:
        with os.fdopen(end, encoding="utf-8") as file:
            self._text[number] = file.read()

    def ended(self, seconds: float) -> tuple[int, str, str]:
        """Wait for the end; return the exit code, negative for a signal, and what was printed."""
        for reader in self._readers:
            reader.join(seconds)
            if reader.is_alive():
                self._forked.kill()
                raise TimeoutExpired("a forked command", seconds)
        return self._forked.wait(), self._text[0], self._text[1]


# --- the process that is forked ---------------------------------------------------------------------------------------


def serve(address: str) -> None:
    """Fork for each connection, until the process that started this one has ended."""
    for name in IMPORTED:
        importlib.import_module(name)
    globals()["server"] = lambda: address  # for the processes that a forked one starts
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    keep(connection)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def keep(connection: socket.socket) -> None:
    """Fork once more, and answer with the number of the process and its exit code."""
    _, streams, *_ = socket.recv_fds(connection, 1, 2)
    answers = connection.makefile("rw", encoding="utf-8")
    asked = json.loads(answers.readline())
    child = os.fork()
    if child == 0:
        answers.close()
        connection.close()
        os._exit(run(asked, streams))
    for stream in streams:
        os.close(stream)
    print(child, file=answers, flush=True)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError):  # who started it may have ended before
        print(code, file=answers, flush=True)
    os._exit(0)


def run(asked: Mapping[str, Any], streams: Sequence[int]) -> int:
    """Be the process of a command; return its exit code."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    vars(importlib.import_module(LAUNCHER))["subprocess"] = SimpleNamespace(Popen=Forked)
    first, *rest = asked["arguments"]
    try:
        if first == "-m":
            sys.path[0], sys.argv = "", rest
            runpy.run_module(rest[0].removesuffix(".__main__"), run_name="__main__", alter_sys=True)
        else:
            sys.path[0], sys.argv = str(Path(first).parent), [first, *rest]
            exec(compile(Path(first).read_text("utf-8"), first, "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
