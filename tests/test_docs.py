"""Documentation: each example compiles as far as a network, each table agrees with the code."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import generate
import pytest
import yaml
from documents import LANGUAGE, PAGES, examples, page_id, rows, whole
from error_documents import Fence, fences, write_files
from generate import gallery, tables
from page_commands import SITE_PARTS, Reader, read_inline, run_page, steps
from page_folders import prepare
from repository import ROOT
from small import full

import archdsl
from archdsl.cli import main
from archdsl.commands import SUMMARIES
from archdsl.commands.vocabulary_text import arguments_of
from archdsl.core.codes import TITLES
from archdsl.core.report import Reporter
from archdsl.core.source import Source
from archdsl.core.values import describe
from archdsl.elaborate.evaluate import Evaluator
from archdsl.elaborate.scope import Scope
from archdsl.files import FileLibrary, read_source
from archdsl.frontend.parse import parse_binding
from archdsl.layers import vocabulary
from archdsl.pipeline import analyse
from archdsl.resources import bundled_specs


@pytest.mark.parametrize(("fence", "files"), examples())
def test_example(fence: Fence, files: list[Fence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(files, tmp_path)
    Path("spec.arch").write_text(whole(fence.text), "utf-8")
    analysis = analyse(read_source("spec.arch"), FileLibrary())
    assert not [d.label for d in analysis.warnings]


@pytest.mark.parametrize(("line", "names"), rows(LANGUAGE, "names"))
def test_names_of_tensors(line: str, names: str) -> None:
    unit = "block unit(w) { conv(w) -> bn -> relu }\n" if "unit" in line else ""
    clip = "arch net\ninput clip: video[3, 4, 8, 8]\n"
    text = f"{clip}{unit}stage one {{ {line.strip('`')} }}\nhead: avgpool -> linear(2)\n"
    weights = [name for name in archdsl.loads(text).build().state_dict() if name.endswith(".weight")]
    assert [n.removeprefix("one.").removesuffix(".weight") for n in weights if n.startswith("one.")] == [
        name.strip("`") for name in names.split()
    ]


@pytest.mark.parametrize(("expression", "value"), rows(LANGUAGE, "values"))
def test_value(expression: str, value: str) -> None:
    reporter = Reporter()
    expr = parse_binding(Source("--set", f"x = {expression.strip('`')}")).value
    found = Evaluator(reporter, set()).evaluate(expr, Scope())
    assert not reporter.diagnostics
    assert describe(found).strip("`") == value.strip("`")


def test_every_layer_and_attribute_is_listed() -> None:
    text = tables.layer_tables()
    for kind, cls in vocabulary().items():
        section = re.search(
            rf"^## {cls.category.capitalize()} layers\n(?:(?!^## ).*\n)*?(### `{kind}\b(?:(?!^##).*\n?)*)",
            text,
            re.MULTILINE,
        )
        assert (section is None) is cls.internal, kind
        assert section is None or re.findall(r"^\| `(\w+)`", section[1], re.MULTILINE) == list(arguments_of(cls))


def test_words_of_the_language_are_listed() -> None:
    grammar = (ROOT / "archdsl/frontend/grammar.lark").read_text("utf-8")
    rules = re.sub(r"//[^\n]*", "", grammar)
    words = set(re.findall(r'"([a-z]+)"', rules))
    listed = LANGUAGE.read_text("utf-8").split("These words cannot be names:")[1].split(".")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == words


def load_script(path: str) -> Any:
    """A script of the repository, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=page_id)
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


def test_the_index_of_specs_is_up_to_date() -> None:
    module = load_script("docs/list_specs.py")
    assert module.index(full) == (ROOT / "specs" / "index.json").read_text("utf-8"), "python docs/list_specs.py"


def test_the_pictures_are_up_to_date() -> None:
    """They are drawn from the same DOT text; what Graphviz makes of it differs between its versions."""
    for name, text in load_script("docs/pictures/draw.py").pictures().items():
        committed = (ROOT / "docs" / "pictures" / name).read_text("utf-8")
        assert MARK.search(text)[0] == MARK.search(committed)[0], "make pictures"  # type: ignore[index]


MARK = re.compile(r"<!-- drawn from \w+ -->")
EXCERPTS = [
    pytest.param(page, fence, id=f"{page.stem}-{fence.options['excerpt']}")
    for page in PAGES
    for fence in fences(page.read_text("utf-8"))
    if "excerpt" in fence.options
]


@pytest.mark.parametrize(("page", "fence"), EXCERPTS)
def test_a_page_quotes_word_for_word(page: Path, fence: Fence, tmp_path: Path) -> None:
    """An excerpt is of a file of the repository, or of the module of a spec on the page."""
    origin = fence.options["excerpt"]
    written = {f.options.get("file"): f.text for f in fences(page.read_text("utf-8"))}
    if origin in written:
        (tmp_path / origin).write_text(written[origin], "utf-8")
        text = archdsl.load(tmp_path / origin).source()
    else:
        text = (ROOT / origin).read_text("utf-8")
    place = 0
    for part in re.split(r"^ *…\n", fence.text, flags=re.MULTILINE):
        assert part in text[place:]
        place = text.index(part, place) + len(part)


def test_the_readme_counts_the_specs() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    [said] = re.findall(r"More than (\d+) video networks", " ".join(readme.split()))
    assert 0 < len(list((ROOT / "specs").glob("*.arch"))) - int(said) <= 50
    assert len(readme.splitlines()) < 150


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=page_id)
@pytest.mark.parametrize(
    "records", [pytest.param(False, id=""), pytest.param(True, id="records", marks=pytest.mark.records)]
)
def test_commands_of_a_page(
    page: Path,
    records: bool,
    pytestconfig: pytest.Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = any(f.options.get("tested") == "records" for f in steps(page))
    if records and not more:
        pytest.skip("the tests have all of it")
    if more and not records and not pytestconfig.option.markexpr:
        pytest.skip("the records, which are run, too, have all of it")
    prepare(page, tmp_path, records=records)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {}

    def run(words: list[str]) -> tuple[int, str]:
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, "".join(capsys.readouterr())

    reader = Reader(run, lambda code: exec(code, names), monkeypatch.setenv)
    run_page(page, tmp_path, reader, records=records)
    for module in tmp_path.glob("*.py"):
        sys.modules.pop(module.stem, None)  # another page may have one of this name


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_in_sentences(page: Path) -> None:
    for text in re.findall(r"`(archdsl [a-z][^`]+)`", page.read_text("utf-8")):
        read_inline(" ".join(text.split()))


def test_what_a_page_must_not_show_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text in ("$ archdsl chek x", "$ archdsl check --colour red x", "$ make nothing", "$ unknown"):
        page.write_text(f"```console tested=read\n{text}\n```\n", "utf-8")
        with pytest.raises((AssertionError, SystemExit)):
            run_page(page, tmp_path, Reader(lambda _: (0, ""), exec, os.putenv), records=False)
    page.write_text("```console\n$ archdsl list\nnothing\n```\n", "utf-8")
    with pytest.raises(AssertionError, match="is on the page"):
        run_page(page, tmp_path, Reader(lambda _: (0, "something"), exec, os.putenv), records=False)


# --- the site ---------------------------------------------------------------------------------------------------------


def test_every_page_is_linked() -> None:
    """From README or a page that it leads to, and from a list of contents of the site."""
    docs = ROOT / "docs"
    listed: set[str] = {"index"}
    for page in PAGES:
        text = page.read_text("utf-8")
        for entries in re.findall(r"^:::\{toctree\}\n(.*?)^:::$", text, re.MULTILINE | re.DOTALL):
            listed |= set(re.findall(r"^(?:.*<)?([\w/]+)>?$", entries, re.MULTILINE))
    pages = {p.relative_to(docs).with_suffix("").as_posix() for p in PAGES if p.is_relative_to(docs)}
    assert listed >= pages
    reached, new = {PAGES[0]}, [PAGES[0]]
    while new:
        page = new.pop()
        targets = re.findall(r"\]\(([^)\s#]+\.md)", page.read_text("utf-8"))
        for target in {(page.parent / t).resolve() for t in targets} - reached:
            reached.add(target)
            new += [target] if target in PAGES else []
    assert reached >= set(PAGES)


def test_parts_of_pages_are_made_from_the_code() -> None:
    for name in SITE_PARTS:
        assert name in generate.PARTS
    names = [page_id(p) for p in PAGES for n in SITE_PARTS if f"<!-- {n} -->" in p.read_text("utf-8")]
    assert len(names) == len(SITE_PARTS)
    assert all(f"### `archdsl {name}`" in generate.PARTS["commands"]() for name in SUMMARIES)
    assert re.findall(r"^### (\w\d{4}): ", generate.PARTS["errors"](), re.MULTILINE) == list(TITLES)


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "python_reference.md").read_text("utf-8")
    names = set(re.findall(r"^\.\. auto\w+:: (\w+)$", text, re.MULTILINE))
    assert names == {n for n in archdsl.__all__ if not n.startswith("__")}


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {archdsl.__version__}\n" in text
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## \[(\d.*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)[0] == archdsl.__version__
    assert f'\nversion = "{archdsl.__version__}"\n' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.long
@pytest.mark.records
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """With a page for one spec of each family: all differ in their texts alone."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-j", "2", "-t", "shortened"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True, encoding="utf-8", check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check_site(tmp_path / "site")


def test_every_spec_has_a_family_in_the_gallery() -> None:
    found = gallery.files()
    assert {name: file for specs in found.values() for name, file in specs} == bundled_specs()
    assert {file.parent.name for _, file in found.pop(gallery.IMAGES)} == {"images"}
    assert "images" not in {file.parent.name for specs in found.values() for _, file in specs}


def check_site(site: Path) -> None:
    """Hold that every page and spec has a page, that parts are made, and that nothing is fetched from elsewhere."""
    docs = ROOT / "docs"
    for name in [p.relative_to(docs).with_suffix(".html") for p in PAGES if p.is_relative_to(docs)]:
        text = (site / name).read_text("utf-8")
        assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?:https?:)?//", text), name
    for name, _ in (specs[0] for specs in gallery.files().values()):
        text = (site / "gallery" / f"{name}.html").read_text("utf-8")
        assert all(re.search(rf'src="\.\./_images/{name}-{theme}\d*\.svg"', text) for theme in ("light", "dark"))
        assert "Generated by archdsl" in text
    made = {"gallery": "gallery/c3d.html", "errors": 'id="e0501"', "commands": 'id="archdsl-weights-convert"'}
    made |= {"layer_reference": 'id="conv"', "python_reference": 'id="archdsl.Architecture.fit_memory"'}
    for name, part in made.items():
        assert part in (site / f"{name}.html").read_text("utf-8"), part


def test_the_design_names_files_that_there_are() -> None:
    """A path of several parts is one of the repository; a file alone stands in the folder named before it."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    files = {p.name for p in ROOT.glob("archdsl/**/*") if "__pycache__" not in p.parts}
    for path in re.findall(r"`([\w/.*]+(?:\.(?:py|j2|lark|md|weights)|/))`", text):
        pattern = path.replace("NAME", "*").rstrip("/")
        folders = ("", "archdsl/", "archdsl/targets/", "archdsl/targets/torch/")
        places = [folder + pattern for folder in folders]
        assert path in files or any(any(ROOT.glob(place)) for place in places), path


def test_hooks_and_forms_can_be_read() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    assert {h["entry"].split()[0] for h in hooks} == {"ruff", "archdsl"}
    for form in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        fields = yaml.safe_load(form.read_text("utf-8"))
        assert form.name == "config.yml" or {"name", "description", "body"} <= fields.keys(), form.name
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["cff-version"] == "1.2.0"
