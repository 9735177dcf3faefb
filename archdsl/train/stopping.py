"""Orderly ends of a run: the lock of its folder, and the signals SIGTERM and SIGINT (Ctrl-C)."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any

from archdsl.files import CommandError, UsageError, system_fault
from archdsl.train.run import LAST

try:
    import fcntl
except ImportError:  # Windows, where runs are not locked
    fcntl = None

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LOCK = ".lock"
AGAIN = 1.0  # seconds after which another signal is a second request; wrappers forward a signal of the terminal twice
GRACE = 30  # seconds that a data loading worker outlives SIGTERM
SIGNALS = (signal.SIGTERM, signal.SIGINT)


# --- lock ------------------------------------------------------------------------------------------------------------


@contextmanager
def locked(folder: Path, use: str = "trains this run") -> Generator[None]:
    """Hold the lock of a run's folder; the system releases it with the end of this process, kill −9 included.

    Args:
        folder: the folder.
        use: what the process that holds the lock does, for the message.

    Raises:
        UsageError: if another process holds it.
    """
    try:
        file = (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise system_fault(folder / LOCK, error) from None
    with file:
        try:
            if fcntl is not None:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EAGAIN}:
                file.seek(0)
                owner = file.read().strip() or "another process"
                hint = "wait for its end, stop it, or choose another folder (-o)"
                raise UsageError(f"{folder}: {owner} {use}; {hint}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Return True if a process trains the run of a folder."""
    try:
        file = (folder / LOCK).open(encoding="utf-8")
    except OSError:
        return False
    with file:
        try:
            if fcntl is not None:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in {errno.EACCES, errno.EAGAIN}
    return False


# --- signals ---------------------------------------------------------------------------------------------------------


class Stop(BaseException):
    """A signal ends the run; no `Exception`, since a video whose decoding it interrupts is not broken."""


class Terminated(CommandError):
    """SIGTERM has ended the run."""

    exit_code = 128 + signal.SIGTERM


class Interrupted(CommandError):
    """Ctrl-C has ended the run."""

    exit_code = 128 + signal.SIGINT


class Signals:
    """The handler of SIGTERM and SIGINT: they end a run at once, or during training at the end of a step.

    A second signal ends it at once in any case.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.at = 0.0  # time of the first signal
        self.deferred = False
        self.saved = ""  # the position of the last checkpoint that a signal has caused

    def __call__(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        del frame
        now = time.monotonic()
        if self.received is None:
            self.received, self.at = number, now
            if not self.deferred:
                raise Stop
        elif now - self.at > AGAIN:
            raise Stop

    def install(self) -> dict[int, Any]:
        """Install this handler, except for ignored signals; return the previous ones."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        previous: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
        previous = {number: old for number, old in previous.items() if old != signal.SIG_IGN}
        for number in previous:
            signal.signal(number, self)
        return previous


@contextmanager
def signals(folder: Path, *, child: bool) -> Generator[Signals]:
    """Handle signals while a run trains.

    Args:
        folder: the folder of the run.
        child: this process was started by the first one, which would take another exit code than 0 for a fault.

    Raises:
        Terminated: after SIGTERM.
        Interrupted: after SIGINT.
    """
    handler = Signals()
    previous = handler.install()
    try:
        yield handler
    except Stop:
        atexit.register(_end_workers)  # before multiprocessing ends them with SIGTERM, which they outlive for a while
        if child:
            raise SystemExit(0) from None
        fault = Interrupted if handler.received == signal.SIGINT else Terminated
        raise fault(f"stopped by {_name(handler)}{handler.saved}; {resume_text(folder)}") from None
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def _end_workers() -> None:
    for process in active_children():
        process.kill()


def _name(handler: Signals) -> str:
    return "Ctrl-C" if handler.received == signal.SIGINT else "SIGTERM"


def resume_text(folder: Path) -> str:
    """Return a clause that says how to resume a run."""
    if (folder / LAST).exists():
        return f"`archdsl train --resume {folder}` resumes from the last checkpoint"
    return f"no checkpoint exists yet; `archdsl train --resume {folder}` begins again"


@contextmanager
def signals_blocked() -> Generator[None]:
    """Block SIGTERM and SIGINT in this thread, and in processes that it starts until they call `outlive_signals`."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def outlive_signals(worker: int) -> None:
    """Let a data loading worker outlive the signals of its process group, so that a step can be completed."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):  # not on Windows
        signal.signal(signal.SIGTERM, _end_later)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _end_later(number: int, frame: Any) -> None:
    """End this process after some seconds."""
    del number, frame
    signal.alarm(GRACE)
