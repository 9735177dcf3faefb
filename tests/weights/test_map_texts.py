"""Mutated maps of names: any text ends in a plan or in diagnostics, in bounded time.

`python tests/weights/test_map_texts.py SEED COUNT` tries as many texts as one likes.
"""

from __future__ import annotations

import random
import re
import sys
import time
from functools import cache
from typing import TYPE_CHECKING

import pytest
from repository import ROOT

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.elaborate.parameters import setting
from archdsl.files import FileLibrary, read_source
from archdsl.pipeline import analyse, plan_transfer, plan_weights
from archdsl.transfer.plan import Rules
from archdsl.weights.fit import check_tensors
from archdsl.weights.parse import parse_map

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archdsl.pipeline import Analysis

ROOT = ROOT / "specs"
OUT = ROOT / "out" / "fuzz"
MAPS = sorted((ROOT / "weights").glob("*.weights"))
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
SECONDS = 10  # of CPU time for one text
SMALL = {"depths": "[1, 1, 1, 1]", "fast_depths": "[1, 1, 1, 1]", "depth": "2", "layers": "1"}
ODD = [
    "", " ", "\n", "{", "}", "{x}", "{x*}", "{a|b}", "|", "*", ".", ",", ":", "=", "->", "(", ")", "1", "0", '"', "#",
    "param ", "default ", "param for ", "words ", "number ", "also ", "or ", "drop ", "with ", "except ", "weights ",
    "transfer ", "if ", "else ", "9" * 40, "1e99", "\x00", "\ufeff", "\u202e", "é", "None", "[[[[", "(?P<x>", "\\",
]  # fmt: skip


class OneMap(FileLibrary):
    """The specs of archdsl, and one map."""

    def __init__(self, text: str) -> None:
        self.text = Source("weights/mutated.weights", text)

    def maps(self, specs: Sequence[Source]) -> list[Source]:
        del specs
        return [self.text]


@cache
def tokens() -> list[str]:
    return sorted({token for file in MAPS for token in TOKEN.findall(file.read_text("utf-8"))})


def mutated(text: str, chosen: random.Random) -> str:
    """The text with some tokens or characters put in, taken out, exchanged or repeated."""
    for _ in range(chosen.choice([1, 1, 1, 2, 3, 8])):
        parts = TOKEN.findall(text) if chosen.random() < 0.7 else list(text)
        at = chosen.randrange(len(parts) + 1)
        other = chosen.randrange(len(parts) + 1)
        low, high = min(at, other), min(max(at, other), min(at, other) + 40)
        match chosen.randrange(7):
            case 0:
                parts[at : at + 1] = []
            case 1:
                parts.insert(at, chosen.choice(ODD))
            case 2:
                parts[at : at + 1] = [chosen.choice(tokens())]
            case 3:
                parts[low:high] = parts[low:high] * 2
            case 4:
                parts[low:high] = []
            case 5:
                parts[at : at + 1] = [chosen.choice(parts)] if parts else []
            case _:
                parts[low:high] = [chosen.choice(ODD)]
        text = "".join(parts)
    return text


@cache
def spec_of(file: Path) -> tuple[Source, str]:
    """A spec that a bundled map is for, and the source of the map."""
    weights = parse_map(read_source(file))
    name = weights.specs[0].text
    path = next(p for p in (ROOT / f"{name}.arch", ROOT / "images" / f"{name}.arch") if p.exists())
    return read_source(path), weights.source.text


@cache
def analysed(spec: Source) -> Analysis:
    """A spec with few blocks."""
    declared = analyse(spec, FileLibrary()).program.declarations
    return analyse(spec, FileLibrary(), [setting(n, v) for n, v in SMALL.items() if n in declared])


def tried(file: Path, text: str) -> None:
    """Go all the way that commands go with a map, or to its diagnostics."""
    spec, source = spec_of(file)
    library = OneMap(text)
    begun = time.process_time()
    try:
        if file.stem.startswith("transfer_"):
            plan_transfer(analysed(library.find(source, spec) or spec), analysed(spec), library, Rules())
        else:
            like = analyse(spec, library, analysed(spec).settings, like=source)
            plan = plan_weights(like, library, source, "--from")
            check_tensors(plan, {f"module.{n}": s for n, s in plan.theirs.items()} | {"x.y": (1,)}, "x.pth")
    except SpecError as error:
        shown = str(error)
        assert shown
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize("seed", range(0, 100, 10))
def test_any_map_ends_in_a_plan_or_in_diagnostics(seed: int) -> None:
    for one in range(seed, seed + 10):
        chosen = random.Random(one)
        file = MAPS[one % len(MAPS)]
        text = mutated(file.read_text("utf-8"), chosen)
        try:
            tried(file, text)
        except Exception as error:
            error.add_note(f"seed {one}, {file.name}:\n{text}")
            raise


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("weights a for b\n" + "x = y\n" * 100_000, "E0704"),
        ("weights a for b\n" + "x = y : a -> a with a = " + "9" * 5000, "E0103"),
        ("weights a for b\n" + "{x}" * 100_000 + " = y", "E0802"),
        ("weights a for b\nx = y : " + "(a " * 20_000 + "-> a", "E0103"),
        ("weights a for b\nparam x = " + "(" * 10_000, "E0702"),
        ("weights a for b\nparam x = " + "1+" * 10_000 + "1", "E0702"),
    ],
    ids=["lines", "digits", "captures", "groups", "brackets", "sum"],
)
def test_long_maps_end_in_time(text: str, code: str) -> None:
    begun = time.process_time()
    with pytest.raises(SpecError) as caught:
        parse_map(Source("map", text))
    assert caught.value.diagnostics[0].code == code
    assert time.process_time() - begun < SECONDS


if __name__ == "__main__":
    start, count = map(int, sys.argv[1:])
    for number in range(start, start + count):
        if number % 100 == 0:
            print(f"seed {number}", flush=True)
        map_file = MAPS[number % len(MAPS)]
        map_text = mutated(map_file.read_text("utf-8"), random.Random(number))
        try:
            tried(map_file, map_text)
        except Exception as fault:
            OUT.mkdir(parents=True, exist_ok=True)
            (OUT / f"map-{number}.weights").write_text(map_text, errors="replace")
            print(f"seed {number}, {map_file.name}: {type(fault).__name__}: {fault}", flush=True)
    print(f"{count} texts from seed {start} on")
