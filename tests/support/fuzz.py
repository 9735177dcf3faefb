"""Random programs, attentions in lines and mutated texts with fresh seeds: `make fuzz SECONDS=600`.

Attentions alone, 5,000 as the literature could have them and 5,000 as nobody would write them:
`python tests/support/fuzz.py --no-programs --texts 0 --count 1000`.

Each seed is printed before it is tried when a terminal, or `--verbose`, asks for it; a fault is printed with its seed,
and its text is saved, as short as it goes, to out/fuzz/. Such a text becomes a case in tests/cases/.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import SystemRandom

import torch
from repository import ROOT

sys.path.insert(0, str(ROOT))

from programs import Program, attention, odd_attention, program  # the tests are no package
from programs.attentions import check_attention
from programs.check import check
from programs.mutations import Mutated, check_text, mutated
from programs.reduce import reduced

OUT = ROOT / "out" / "fuzz"
TEXTS_PER_PROGRAM = 10
ATTENTIONS_PER_PROGRAM = 5
REDUCTION = 120.0  # seconds, at most, to make the text of a fault shorter


class Session:
    """Programs and texts that were tried, and the outcomes."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()  # why attentions were refused
        self.kinds: dict[str, list[int]] = {}

    def try_program(self, seed: int) -> None:
        drawn = program(seed, self.arguments.without)
        self._try(f"program {seed}", seed, lambda case: check(case, thorough=self.arguments.thorough), drawn)

    def try_text(self, seed: int) -> None:
        self._try(f"text {seed}", seed, check_text, mutated(seed))

    def try_attention(self, seed: int) -> None:
        drawn = attention(seed, self.arguments.without)
        self._try(f"attention {seed}", seed, check_attention, drawn)
        odd = odd_attention(seed, self.arguments.without)
        self._try(f"odd attention {seed}", seed, check_attention, odd)

    def _try(self, title: str, seed: int, run, case: Program | Mutated) -> None:
        kind = title.rpartition(" ")[0]
        if self.arguments.verbose:
            print(title, flush=True)
        try:
            outcome, _, reason = run(case).partition(": ")
            self.counts[f"{kind}s {outcome}"] += 1
            if reason:
                self.reasons[re.sub(r"[0-9]+", "N", reason)] += 1
        except Exception as error:  # any but those that a user is told of is a fault
            self.counts["faults"] += 1
            what = self._kind(error)
            known = what in self.kinds
            self.kinds.setdefault(what, []).append(seed)
            print(f"FAULT in {title}: {what}", flush=True)
            if not known:
                self._save(title, case, run, what)

    def _kind(self, error: Exception) -> str:
        """A fault without its numbers, and where it arose: one kind is saved once."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = Path(place.filename)
        name = "the module" if place.filename.startswith("<") else f"{where.parent.name}/{where.name}"
        return f"{type(error).__name__}: {re.sub(r'[0-9][0-9.e-]*', 'N', str(error))[:100]} ({name})"

    def _save(self, title: str, case: Program | Mutated, run, what: str) -> None:
        end = time.monotonic() + REDUCTION

        def fails(text: str) -> bool:
            if time.monotonic() > end:
                return False
            try:
                run(replace(case, texts={**case.texts, case.name: text}))
            except Exception as error:
                return self._kind(error) == what
            return False

        text = case.texts[case.name]
        if self.arguments.reduce:
            text = reduced(text, fails)
        OUT.mkdir(parents=True, exist_ok=True)
        others = {n: t for n, t in case.texts.items() if n != case.name} if isinstance(case, Program) else {}
        more = "".join(f"# file: {n}.arch\n{t}" for n, t in others.items())
        path = OUT / f"{title.replace(' ', '-')}.arch"
        path.write_text(f"# expect: any\n# {title}: {what}\n{text}{more}", "utf-8")
        print(f"  saved as {path}", flush=True)

    def summary(self, first: int, last: int, seconds: float) -> str:
        parts = [f"{self.counts[k]:,} {k}" for k in sorted(self.counts) if k != "faults"]
        return f"seeds {first} to {last} in {seconds:.0f} s: {', '.join(parts)}; {self.counts['faults']} faults"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0, help="end behind so many seconds")
    parser.add_argument("--count", type=int, default=0, help="end behind so many programs")
    parser.add_argument("--seed", type=int, default=None, help="the first seed; otherwise a fresh one")
    parser.add_argument("--texts", type=int, default=TEXTS_PER_PROGRAM, help="mutated texts for each program")
    parser.add_argument(
        "--attentions", type=int, default=ATTENTIONS_PER_PROGRAM, help="attentions in lines for each program"
    )
    parser.add_argument("--no-programs", dest="programs", action="store_false", help="mutated texts alone")
    parser.add_argument("--no-reduce", dest="reduce", action="store_false", help="save texts as they are")
    parser.add_argument("--without", nargs="*", default=[], help="features of programs to leave out")
    parser.add_argument("--thorough", action="store_true", help="check everything of each program")
    parser.add_argument("--verbose", action="store_true", help="print each seed before it is tried")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    session = Session(arguments)
    first = SystemRandom().randrange(10**9) if arguments.seed is None else arguments.seed
    began = told = time.monotonic()
    seconds = arguments.seconds or (0 if arguments.count else 60)
    print(f"the first seed is {first}", flush=True)
    seed = first
    while not (arguments.count and seed - first >= arguments.count):
        if arguments.programs:
            session.try_program(seed)
        for number in range(arguments.attentions):
            session.try_attention(seed * arguments.attentions + number)
        for number in range(arguments.texts):
            session.try_text(seed * arguments.texts + number)
        seed += 1
        if seconds and time.monotonic() - began > seconds:
            break
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(session.summary(first, seed - 1, told - began), flush=True)
    print(session.summary(first, seed - 1, time.monotonic() - began))
    for reason, number in session.reasons.most_common():
        print(f"  {number} refused: {reason}")
    for kind, seeds in session.kinds.items():
        print(f"  {len(seeds)} × {kind}: {', '.join(map(str, seeds[:5]))}")
    return int(bool(session.counts["faults"]))


if __name__ == "__main__":
    sys.exit(main())
