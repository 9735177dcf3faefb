"""Options of the test run."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest
from error_documents import REWRITTEN
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tests keep many networks for each other, and Python would go through all of them again and again in search of cycles.
gc.set_threshold(100_000, 10, 10)
if "PYTEST_XDIST_WORKER" in os.environ:  # each of several processes has one core, and torch counts all of them
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-errors` rewrites what the documents in tests/errors expect."""
    parser.addoption("--update-errors", action="store_true", help="rewrite the expected text of tests/errors/*.md")


def pytest_configure(config: pytest.Config) -> None:
    """Nobody reads what is rewritten on a build machine, so it is refused there."""
    if config.getoption("--update-errors") and os.environ.get("CI"):
        message = "--update-errors is refused where CI is set: read the texts before you accept them"
        raise pytest.UsageError(message)
    config.stash[REWRITTEN] = []
    # The same examples each time, however slow the machine is: a test fails for its code alone.
    quiet = list(HealthCheck)
    settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=quiet, database=None)
    settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with long tests, for which the other processes would wait in the end.

    Refuse sets in the names of tests: their order differs between processes, which then share no list of tests.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    for item in items:
        callspec = getattr(item, "callspec", None)
        values = callspec.params.values() if callspec else ()
        if any(isinstance(value, set | frozenset) and len(value) > 1 and repr(value) in item.name for value in values):
            message = f"{item.nodeid}: a set is part of the name, in an order of this process; write text or a list"
            raise pytest.UsageError(message)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says which documents `--update-errors` has changed: they are to be read before they are committed."""
    for name in config.stash[REWRITTEN]:
        terminalreporter.write_line(f"rewritten, read it: tests/errors/{name}")


@pytest.fixture
def two_threads() -> Iterator[None]:
    """With one thread alone, torch 2.13 takes other convolutions on a CPU, which put channels first in memory.

    What compiles a model does not know that, and what predicts its memory does not either.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
