"""Plant each fault of tests/planted into a copy of the compiler, and count the random programs until one finds it.

A patch in tests/planted is a small mistake, described in its first lines. Whoever changes the compiler or the generator
of programs plants them again: `make plant`, or `python tests/support/plant.py NAME…`. A patch that no longer applies
is written anew for the code as it is; tests/test_planted.py tells which.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from repository import ROOT, TESTS

PLANTED = TESTS / "planted"
COPIED = ("archdsl", "templates", "specs")  # what patches may change
MOST = 3000  # programs to try for one fault


def patches() -> list[Path]:
    """Return the faults that there are."""
    return sorted(PLANTED.glob("*.patch"))


def applies(patch: Path, folder: Path = ROOT) -> str:
    """Return why a patch does not apply to the code in a folder; nothing if it does."""
    command = ["git", "apply", "--check", str(patch)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr.strip()


def plant(patch: Path, first: int, most: int) -> str:
    """Return the seed and the message of the first program that finds a fault; nothing if none of `most` does."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part in COPIED:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}  # a copy is no part of a repository
        subprocess.run(["git", "apply", str(patch)], cwd=folder, env=outside, check=True)
        command = [sys.executable, str(Path(__file__)), "--seek", str(first), "--most", str(most)]
        planted = {**os.environ, "PYTHONPATH": name, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=planted, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"error: {done.stderr.strip()[-300:]}"
    found = done.stdout.strip()
    seed = re.search(r"\(seed (\d+)\)", found)
    if seed is not None and (sound := seek(int(seed[1]), 1)):
        return f"error: without the fault, too, {sound}"
    return found


def seek(first: int, most: int) -> str:
    """Return the first fault that is found in the compiler as it is imported here."""
    from programs import program
    from programs.check import check

    for seed in range(first, first + most):
        try:
            check(program(seed))
        except Exception as error:
            message = f"{type(error).__name__}: {error}".splitlines()[0]
            return f"program {seed - first + 1} (seed {seed}): {message[:120]}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="faults to plant, by the name of their patch (default: all)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first program")
    parser.add_argument("--most", type=int, default=MOST, help="programs to try for each fault")
    parser.add_argument("--seek", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.seek is not None:
        print(seek(arguments.seek, arguments.most))
        return 0
    chosen = [p for p in patches() if not arguments.names or p.stem in arguments.names]
    missed = 0
    for patch in chosen:
        found = applies(patch) or plant(patch, arguments.first, arguments.most) or "NOT FOUND"
        missed += found == "NOT FOUND" or found.startswith("error")
        print(f"{patch.stem}: {found}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted faults were found")
    return int(missed > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())
