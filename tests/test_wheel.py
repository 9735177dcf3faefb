"""The wheel, used as a stranger would: in a fresh environment, outside the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from documents import PAGES, page_id
from page_commands import Reader, run_on, run_page
from page_folders import prepare
from repository import ROOT

import archdsl

if TYPE_CHECKING:
    from collections.abc import Iterator

WITH_LIBRARY = """\
arch my_c2d as C2D
"A small residual network of the blocks that archdsl brings along."
import resnet
param classes = 10
input clip: video[3, 8, 64, 64]
stage conv1 { stem(16) }
stage res2 { bottleneck(16) * 2 }
stage res3 { bottleneck(32, t = 3, stride = 2 if index == 0 else 1) * 2 }
head: avgpool -> linear(classes)
"""
VARIANT = """\
arch my_slowfast extends slowfast_r50
param alpha = 8, classes = 51
"""
SPECS = {"my_c2d": WITH_LIBRARY, "my_slowfast": VARIANT}


class Installed(NamedTuple):
    """An environment with the wheel in it, and a folder of specs to work in."""

    folder: Path
    scripts: Path
    wheel: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment among the specs."""
        program, *arguments = command
        return run([str(self.scripts / program), *arguments], self.folder)


def environment(folder: Path) -> dict[str, str]:
    """Variables that say nothing of the checkout."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ARCHDSL", "VIRTUAL_ENV"))}
    return {**own, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONUTF8": "1"}


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that knows nothing of the checkout but by `variables`."""
    own = environment(folder) | variables
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, encoding="utf-8", timeout=300, check=False)


def write_specs(folder: Path) -> Path:
    """The specs, in a folder of their own."""
    folder.mkdir()
    for name, text in SPECS.items():
        (folder / f"{name}.arch").write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Builds the wheel and installs it alone; what it depends on is taken from the environment of the tests."""
    base = tmp_path_factory.mktemp("wheel")
    built = run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(base), str(ROOT)], base)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = base.glob("archdsl-*.whl")

    environment = base / "env"
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    paths = {"base": str(environment), "platbase": str(environment)}
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=paths))
    # A folder that a .pth file names is searched last, and .pth files in it, as of an editable install, are not read.
    packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    packages.joinpath("borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--no-deps", "--no-index"]
    done = run([*pip, "--quiet", "--disable-pip-version-check", str(wheel)], base)
    assert done.returncode == 0, done.stderr
    return Installed(write_specs(base / "work"), scripts, wheel)


def test_the_wheel_is_the_one_in_use(installed: Installed) -> None:
    done = installed.run("python", "-c", "import archdsl; print(archdsl.__file__)")
    file = Path(done.stdout.strip()).resolve()
    assert file.is_relative_to(installed.scripts.parent.resolve()), done.stdout + done.stderr
    assert not file.is_relative_to(ROOT)


def test_the_wheel_holds_what_is_needed_and_no_more(installed: Installed) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    for folder, pattern in (("specs", "**/*.arch"), ("templates", "**/*.j2")):
        files = {f"archdsl/{folder}/{p.relative_to(ROOT / folder).as_posix()}" for p in (ROOT / folder).glob(pattern)}
        assert files
        assert files <= names
    assert {"archdsl/frontend/grammar.lark", "archdsl/core/explain.md", "archdsl/py.typed"} <= names
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert not [n for n in names if "__pycache__" in n or n.endswith((".tables", ".pyc"))]
    assert {n.split("/")[0] for n in names} == {"archdsl", f"archdsl-{archdsl.__version__}.dist-info"}


@pytest.mark.parametrize("name", SPECS)
def test_compile_gives_what_the_checkout_gives(installed: Installed, name: str, tmp_path: Path) -> None:
    done = installed.run("archdsl", "compile", f"{name}.arch")
    assert done.returncode == 0, done.stderr
    here = write_specs(tmp_path / "work")
    ours = run([sys.executable, "-m", "archdsl", "compile", f"{name}.arch"], here, PYTHONPATH=str(ROOT))
    assert ours.returncode == 0, ours.stderr
    text = (installed.folder / f"{name}.py").read_text("utf-8")
    assert text == (here / f"{name}.py").read_text("utf-8")
    compile(text, f"{name}.py", "exec")


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("check", "{}.arch"), "fine"),
        (("cost", "{}.arch"), "multiply-adds"),
        (("draw", "{}.arch", "-o", "{}.svg"), ""),
        (("fmt", "--check", "{}.arch"), ""),
    ],
    ids=lambda v: v[0] if isinstance(v, tuple) else None,
)
def test_command(installed: Installed, name: str, command: tuple[str, ...], said: str) -> None:
    done = installed.run("archdsl", *(c.format(name) for c in command))
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout
    if command[0] == "draw":
        assert "<svg" in (installed.folder / f"{name}.svg").read_text("utf-8")


# A process that runs commands and scripts one after another: to start one for each takes longer than what they do.
SERVER = """
import json, os, runpy, sys, traceback
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from archdsl.cli import main
first = dict(os.environ)
for line in sys.stdin:
    folder, variables, words = json.loads(line)
    if folder != os.getcwd():
        for module in Path().glob("*.py"):
            sys.modules.pop(module.stem, None)  # another page may have one of this name
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(first | variables)
    output, errors = StringIO(), StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            code = main(words) if words else runpy.run_path("page.py") and 0
        except SystemExit as end:
            code = int(end.code or 0)
        except Exception:
            code = traceback.print_exc() or 1
    print(json.dumps([code, output.getvalue() + errors.getvalue()]), flush=True)
"""


class Server:
    """The wheel in a process of its environment, outside of the checkout."""

    def __init__(self, installed: Installed) -> None:
        self.process = subprocess.Popen(
            [str(installed.scripts / "python"), "-c", SERVER],
            cwd=installed.folder,
            env=environment(installed.folder) | {"PYTHONPATH": "."},  # a script sees the modules beside it
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def ask(self, folder: Path, variables: dict[str, str], words: list[str]) -> tuple[int, str]:
        """Run a command, or `page.py` without words; return the exit code, and what is printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([str(folder), variables, words]), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer, f"the process ended with {self.process.wait()}"
        code, printed = json.loads(answer)
        return code, printed


@pytest.fixture(scope="module")
def server(installed: Installed) -> Iterator[Server]:
    made = Server(installed)
    with made.process:
        yield made


def pages() -> list[Path]:
    """For each command the page that runs it and the fewest others."""
    found = {page: run_on(page) for page in PAGES}
    shortest = sorted(found, key=lambda page: len(found[page]))
    names = {name for run in found.values() for name in run}
    return sorted({next(page for page in shortest if name in found[page]) for name in names})


@pytest.mark.records
@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_commands_of_a_page(server: Server, page: Path, tmp_path: Path) -> None:
    """What pages say holds without the checkout; their Python is run at the end, as one script."""
    variables: dict[str, str] = {}
    code: list[str] = []
    prepare(page, tmp_path, records=False)

    def archdsl(words: list[str]) -> tuple[int, str]:
        return server.ask(tmp_path, variables, words)

    count = run_page(page, tmp_path, Reader(archdsl, code.append, variables.__setitem__), records=False)
    assert count
    (tmp_path / "page.py").write_text("\n".join(code), "utf-8")
    status, printed = server.ask(tmp_path, variables, [])
    assert status == 0, printed


def test_explain(installed: Installed) -> None:
    done = installed.run("archdsl", "explain", "E0501")
    assert done.returncode == 0
    assert done.stdout.startswith("E0501: ")


def test_build_in_python(installed: Installed) -> None:
    lines = "import archdsl; a = archdsl.load('my_c2d.arch', classes=3); m = a.build()"
    done = installed.run("python", "-c", f"{lines}; print(a.params == sum(p.numel() for p in m.parameters()))")
    assert done.stdout == "True\n", done.stderr


def test_a_folder_that_cannot_be_written_is_no_obstacle(installed: Installed) -> None:
    """Lark's tables are kept in a cache, which need not be there."""
    (installed.folder / "cache").write_text("a file where a folder is wanted")
    done = installed.run("archdsl", "check", "my_c2d.arch")
    assert done.returncode == 0, done.stderr
