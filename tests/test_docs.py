"""Documentation: each example compiles as far as a network, each table agrees with the code."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from documents import LANGUAGE, PAGES, examples, rows, whole
from error_documents import Fence, fences, write_files
from repository import ROOT

import archdsl
from archdsl.cli import main
from archdsl.core.report import Reporter
from archdsl.core.source import Source
from archdsl.core.values import describe
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.scope import Scope
from archdsl.files import FileLibrary, read_source
from archdsl.frontend.parse import parse_binding
from archdsl.layers import vocabulary
from archdsl.pipeline import analyse


@pytest.mark.parametrize(("fence", "files"), examples())
def test_example(fence: Fence, files: list[Fence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(files, tmp_path)
    Path("spec.arch").write_text(whole(fence.text), "utf-8")
    analysis = analyse(read_source("spec.arch"), FileLibrary())
    assert not [d.label for d in analysis.warnings]


@pytest.mark.parametrize(("expression", "value"), rows(LANGUAGE, "values"))
def test_value(expression: str, value: str) -> None:
    reporter = Reporter()
    expr = parse_binding(Source("--set", f"x = {expression.strip('`')}")).value
    found = Evaluator(reporter, set()).evaluate(expr, Scope())
    assert not reporter.diagnostics
    assert describe(found).strip("`") == value.strip("`")


def test_tables_made_from_the_code_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("list_layers", ROOT / "docs" / "list_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = LANGUAGE.read_text("utf-8")
    assert module.page(text) == text, "python docs/list_layers.py brings it up to date"


def test_every_layer_and_attribute_is_listed() -> None:
    text = LANGUAGE.read_text("utf-8").split("<!-- layers -->")[1].split("<!-- end of layers -->")[0]
    for kind, cls in vocabulary().items():
        section = re.search(rf"^### `{kind}\b.*?(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        assert (section is None) is cls.internal, kind
        assert section is None or re.findall(r"^\| `(\w+)`", section[0], re.MULTILINE) == list(cls.attributes)


def test_words_of_the_language_are_listed() -> None:
    grammar = (ROOT / "archdsl/frontend/grammar.lark").read_text("utf-8")
    rules = re.sub(r"//[^\n]*", "", grammar)
    words = set(re.findall(r'"([a-z]+)"', rules))
    listed = LANGUAGE.read_text("utf-8").split("These words cannot be names:")[1].split(".")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == words


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    anchors = {anchor(h) for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("http"):
            assert (page.parent / target.split("#")[0]).exists(), target


def anchor(heading: str) -> str:
    """The name under which a code host lets a heading be linked to."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_readme_lists_every_spec() -> None:
    spec = importlib.util.spec_from_file_location("list_specs", ROOT / "docs" / "list_specs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "README.md").read_text("utf-8")
    listed = {row[0].strip("`") for row in rows(ROOT / "README.md", "specs")}
    assert listed == {p.stem for p in (ROOT / "specs").glob("*.arch")}
    assert module.page(text) == text, "python docs/list_specs.py brings it up to date"
    assert module.index() == (ROOT / "specs" / "index.json").read_text("utf-8"), "python docs/list_specs.py"


README = fences((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("fence", [f for f in README if "excerpt" in f.options], ids=lambda f: f.options["excerpt"])
def test_readme_quotes_word_for_word(fence: Fence) -> None:
    text = (ROOT / fence.options["excerpt"]).read_text("utf-8")
    for part in re.split(r"^…\n", fence.text, flags=re.MULTILINE):
        assert part in text


def test_python_of_the_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = next(f.text for f in README if f.kind == "python" and not f.options)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["model"].head.linear.out_features == 51


def test_layer_of_the_readme(tmp_path: Path) -> None:
    """One Python file and one template make a layer, here in a folder of their own."""
    own = tmp_path / "own"
    own.mkdir()
    for fence in README:
        if fence.options.get("file", "").startswith("silu."):
            (own / fence.options["file"]).write_text(fence.text, "utf-8")
    (tmp_path / "spec.arch").write_text(
        whole("stage one { conv(4) -> silu }\nstage two { conv(4) -> silu(hard = on) }")
    )

    def run(*command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "ARCHDSL_LAYERS": str(own), "PYTHONUTF8": "1"}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "archdsl", "check", "spec.arch")
    run("-m", "archdsl", "compile", "spec.arch", "-o", "example.py")
    code = (tmp_path / "example.py").read_text("utf-8")
    assert "F.silu(" in code
    assert "F.hardswish(" in code
    use = "import torch, example; print(*example.example()(torch.randn(1, 3, 4, 8, 8)).shape)"
    assert run("-c", use) == "1 10\n"


def test_readme_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    (\w+(?: \w+)?)  ", capsys.readouterr().out, re.MULTILINE)
    assert commands
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(f"| `archdsl {c}" in readme for c in commands)


# --- the examples of docs/variants.md --------------------------------------------------------------------------------

VARIANTS = fences((ROOT / "docs" / "variants.md").read_text("utf-8"))
CHECKPOINTS = {
    "MVIT_B_16x4.pyth": ("mvit_b_16x4", "pytorchvideo"),
    "resnet50.pth": ("images/resnet50", "torchvision"),
    "vit_b16.pth": ("images/vit_b16", "timm"),
}


def commands() -> list[Any]:
    """Each command with what it prints, as the page shows it."""
    found: list[Any] = []
    for fence in VARIANTS:
        if fence.kind == "console":
            for part in re.split(r"^\$ archdsl ", fence.text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                found.append(pytest.param(command, shown.splitlines(), id=command))
    return found


@pytest.fixture(scope="module", name="checkout")
def specs_and_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: the specs, one of one's own, and checkpoints of others."""
    folder = tmp_path_factory.mktemp("variants")
    (folder / "specs").symlink_to(ROOT / "specs")
    for fence in VARIANTS:
        if "file" in fence.options:
            (folder / fence.options["file"]).write_text(fence.text, "utf-8")
    for file, (spec, source) in CHECKPOINTS.items():
        arch = archdsl.load(ROOT / "specs" / f"{spec}.arch", like=source)
        theirs = archdsl.revert_weights(arch, arch.build().state_dict(), source)
        torch.save(theirs, folder / file)
    return folder


@pytest.mark.parametrize(("command", "shown"), commands())
def test_command_prints_what_the_page_shows(
    command: str, shown: list[str], checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout)
    assert main(shlex.split(command)) == 0
    printed = iter(capsys.readouterr().out.splitlines())
    at_once = True
    for line in shown:
        if line == "…":
            at_once = False
            continue
        pattern = re.compile(r"\s+".join(re.escape(p) for p in line.split()).replace("…", ".*"))
        found = next((p for p in printed if at_once or pattern.fullmatch(p.strip())), "")
        assert pattern.fullmatch(found.strip()), line
        at_once = True
    assert not at_once or next(printed, "") == ""


def test_the_design_names_files_that_there_are() -> None:
    """A path of several parts is one of the repository; a file alone stands in the folder named before it."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    files = {p.name for p in ROOT.glob("archdsl/**/*") if "__pycache__" not in p.parts}
    for path in re.findall(r"`([\w/.*]+(?:\.(?:py|j2|lark|md|weights)|/))`", text):
        pattern = path.replace("NAME", "*").rstrip("/")
        folders = ("", "archdsl/", "archdsl/targets/", "archdsl/targets/torch/")
        places = [folder + pattern for folder in folders]
        assert path in files or any(any(ROOT.glob(place)) for place in places), path
