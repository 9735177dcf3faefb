"""Random programs, held against their definition, and mutated texts; `support/fuzz.py` tries fresh ones."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import fuzz
import pytest
import torch
from given import given
from programs import Program, program
from programs.check import MOST_ELEMENTS, Texts, check
from programs.mutations import check_text, mutated
from repository import TESTS
from saved_memory import measured

import archdsl
from archdsl.core.source import Source
from archdsl.pipeline import analyse
from archdsl.targets.torch.lower import lower
from archdsl.targets.torch.memory import memory_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNKS = 6  # which processes share among them
PROGRAMS, TEXTS = 40, 50  # of each
ACCEPTED = 0.75  # of a chunk, where nine of ten are: fewer only if the generator has lost its way


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_programs(chunk: int) -> None:
    """Most are accepted; each is refused with diagnostics, or right in all that is made of it."""
    outcomes = Counter[str]()
    for seed in range(chunk * PROGRAMS, (chunk + 1) * PROGRAMS):
        case = program(seed)
        try:
            outcomes[check(case)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}\n{case.text}")
            raise
    assert outcomes["accepted"] >= ACCEPTED * PROGRAMS, outcomes


@pytest.mark.usefixtures("two_threads")
def test_kept_bytes_are_predicted() -> None:
    """Within 10 %, but for one of a hundred of these tiny networks, in which a layer keeps what another one does."""
    wrong: list[str] = []
    count = 0
    for seed in range(2 * PROGRAMS):
        case = program(seed)
        try:
            analysis = analyse(Source(f"{case.name}.arch", case.texts[case.name]), Texts(case.texts))
        except archdsl.SpecError:
            continue
        if sum(int(node.shape.elements) for node in analysis.network.all_nodes()) > MOST_ELEMENTS:
            continue
        model = archdsl.Architecture(analysis).build()
        found = measured(model, tuple(given(analysis.network, 2, torch.float32).values()))
        said = memory_of(lower(analysis.network), 2).total
        count += 1
        if abs(found - said) > 1024 + 0.1 * found:
            wrong.append(f"seed {seed}: {found} bytes are kept, {said} predicted")
    assert count > PROGRAMS
    assert len(wrong) <= 0.02 * count, wrong


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_mutated_texts(chunk: int) -> None:
    for seed in range(chunk * TEXTS, (chunk + 1) * TEXTS):
        case = mutated(seed)
        try:
            check_text(case)
        except Exception as error:
            error.add_note(f"seed {seed}\n{case.text[:5000]}")
            raise


def test_a_program_is_that_of_its_seed() -> None:
    """And of nothing that a process brings along, such as the order of sets."""
    code = "from programs import program; print(program(7).text, end='')"
    environment = {"PYTHONPATH": str(TESTS / "support"), "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == program(7).text


def test_a_fault_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As a case, as short as it goes, and the command fails."""

    def planted(case: Program, *, thorough: bool) -> str:
        del thorough
        if "relu" in case.texts[case.name]:
            raise KeyError(12)
        return "accepted"

    monkeypatch.setattr(fuzz, "check", planted)
    monkeypatch.setattr(fuzz, "OUT", tmp_path / "out")
    words = ["--count", "20", "--texts", "0", "--attentions", "0", "--seed", "1"]
    assert fuzz.main(words) == 1
    output = capsys.readouterr().out
    [saved] = (tmp_path / "out").iterdir()
    text = saved.read_text().split("\n", 2)[2].split("# file")[0].strip()
    assert "relu" in text
    assert len(text) < 40
    assert "seeds 1 to 20" in output
    assert "KeyError: N" in output
    monkeypatch.setattr(fuzz, "check", lambda case, *, thorough: "accepted")  # noqa: ARG005
    assert fuzz.main(words) == 0
