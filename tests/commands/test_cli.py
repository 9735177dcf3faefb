"""The command line: output and errors, exit codes, and that no file is left half-written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import FAULTY, TINY, Ran, Shell
from repository import ROOT

from archdsl.core.codes import TITLES

SLOWFAST = ROOT / "specs" / "slowfast_r50.arch"


def process(*arguments: str, folder: Path, stdin: str | None = None) -> Ran:
    """Calls the command line as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "archdsl", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, input=stdin,
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


OF_SPECS = [("check",), ("cost",), ("compile",), ("draw", "-o", "out.svg")]
of_specs = pytest.mark.parametrize("command", OF_SPECS, ids=lambda c: c[0])

# --- the commands themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("frobnicate",), ("check",), ("check", "tiny.arch", "--frobnicate")])
def test_wrong_use_is_2_and_shows_the_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    ran = shell(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("usage: archdsl")


@pytest.mark.parametrize("command", ["check", "compile", "cost", "draw", "fmt", "explain"])
def test_help_of_each_command(shell: Shell, command: str) -> None:
    ran = shell(command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"usage: archdsl {command}")
    assert command in shell("--help").out


def test_version(shell: Shell) -> None:
    ran = shell("--version")
    assert (ran.code, ran.out) == (0, "archdsl 0.2.0\n")


def test_module_and_script_are_the_same_program(tmp_path: Path) -> None:
    (tmp_path / "tiny.arch").write_text(TINY)
    assert process("check", "tiny.arch", folder=tmp_path).code == 0
    assert process("check", "none.arch", folder=tmp_path).code == 2


# --- files that cannot be read -------------------------------------------------------------------------------------


@of_specs
def test_missing_file(shell: Shell, command: tuple[str, ...]) -> None:
    ran = shell(*command, "tinny.arch")
    assert ran.code == 2
    assert ran.err == "archdsl: tinny.arch: no such file; did you mean tiny.arch?\n"
    assert ran.out == ""


@of_specs
def test_missing_folder(shell: Shell, command: tuple[str, ...]) -> None:
    ran = shell(*command, "nowhere/tiny.arch")
    assert (ran.code, ran.err) == (2, "archdsl: nowhere/tiny.arch: no such file\n")


@of_specs
def test_folder_instead_of_file(shell: Shell, command: tuple[str, ...]) -> None:
    Path("folder").mkdir()
    ran = shell(*command, "folder")
    assert ran.code == 2
    assert ran.err == "archdsl: folder: is a directory; name a spec in it, as in `folder/NAME.arch`\n"


def test_folder_of_a_run_instead_of_file(shell: Shell) -> None:
    Path("folder").mkdir()
    Path("folder/run.json").touch()
    assert "folder: is a run of a bundled spec; name that spec: folder/run.json has it" in shell("check", "folder").err
    Path("folder/spec").mkdir()
    Path("folder/spec/mine.arch").touch()
    assert "name a spec in it, as in `folder/spec/mine.arch`" in shell("check", "folder").err


@of_specs
def test_path_below_a_file(shell: Shell, command: tuple[str, ...]) -> None:
    ran = shell(*command, "tiny.arch/x.arch")
    assert ran.code == 2
    assert re.fullmatch(r"archdsl: tiny\.arch/x\.arch: .+\n", ran.err)


@of_specs
@pytest.mark.parametrize("name", ["a\0b.arch", "x" * 5000 + ".arch"], ids=["zero byte", "too long"])
def test_impossible_name(shell: Shell, command: tuple[str, ...], name: str) -> None:
    ran = shell(*command, name)
    assert ran.code == 2
    assert ran.err.count("\n") == 1


@of_specs
@pytest.mark.parametrize(("content", "code"), [(b"", "E0102"), (b" \n\t\n", "E0102"), (b"arch \xff\xfe\n", "E0101")])
def test_file_without_a_spec(shell: Shell, command: tuple[str, ...], content: bytes, code: str) -> None:
    Path("odd.arch").write_bytes(content)
    ran = shell(*command, "odd.arch")
    assert ran.code == 1
    assert ran.err.startswith(f"error[{code}]")
    assert "odd.arch" in ran.err
    assert not list(Path().glob("*.py"))
    assert not list(Path().glob("out*"))


@of_specs
@pytest.mark.parametrize(
    "content",
    [b"\x00" * 100, b"GIF89a" * 9, b"((((" * 5000, b"\xef\xbb\xbf", b"\r" * 9],
    ids=["zeros", "image", "brackets", "mark", "returns"],
)
def test_file_of_another_kind(shell: Shell, command: tuple[str, ...], content: bytes) -> None:
    Path("odd.arch").write_bytes(content)
    ran = shell(*command, "odd.arch")
    assert ran.code == 1
    assert "odd.arch" in ran.err


def test_library_is_not_a_spec(shell: Shell) -> None:
    ran = shell("check", ROOT / "specs" / "lib" / "resnet.arch")
    assert ran.code == 1
    assert "E0208" in ran.err


def test_byte_order_mark_and_crlf_are_fine(shell: Shell) -> None:
    Path("windows.arch").write_bytes(b"\xef\xbb\xbf" + TINY.replace("\n", "\r\n").encode())
    assert shell("check", "windows.arch").code == 0


# --- settings ------------------------------------------------------------------------------------------------------


@of_specs
@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ("widht=8", "E0308", "did you mean `width`?"),
        ("width=on", "E0301", "`width` must be a whole number"),
        ("keep=1", "E0301", "`keep` must be `on` or `off`"),
        ("kind=c", "E0301", "`c`"),
        ("width=0", "E0306", "width > 0"),
        ("width=1/0", "E0303", "1 / 0"),
        ("width=1/3", "E0301", "1/3"),
        ("width=[1, 2]", "E0301", "`width` must be a whole number"),
        ("width=", "E0103", "ends here"),
        ("width=8 9", "E0103", "`9`"),
        ("width=8 -> relu", "E0103", "`->`"),
        ("width=depth", "E0301", "found `depth`"),
    ],
)
def test_setting_that_cannot_be(shell: Shell, command: tuple[str, ...], setting: str, code: str, said: str) -> None:
    ran = shell(*command, "tiny.arch", "--set", setting)
    assert ran.code == 1
    assert ran.err.startswith(f"error[{code}")
    assert said in ran.err
    assert not list(Path().glob("*.py"))
    assert not list(Path().glob("out*"))


@of_specs
@pytest.mark.parametrize("setting", ["width", "=8", "width:8", "", "8=width"])
def test_setting_without_a_name_or_value(shell: Shell, command: tuple[str, ...], setting: str) -> None:
    ran = shell(*command, "tiny.arch", "--set", setting)
    assert ran.code == 2
    assert "NAME=VALUE" in ran.err


def test_settings_reach_the_network(shell: Shell) -> None:
    plain = json.loads(shell("cost", "--json", "tiny.arch").out)
    wider = json.loads(shell("cost", "--json", "tiny.arch", "--set", "width=16", "--set", "classes = 7").out)
    assert wider["output"] == [7]
    assert wider["params"] > plain["params"]


def test_last_setting_of_a_name_counts(shell: Shell) -> None:
    data = json.loads(shell("cost", "--json", "tiny.arch", "--set", "classes=7", "--set", "classes=9").out)
    assert data["output"] == [9]


@of_specs
@pytest.mark.parametrize(
    "clip", ["3x8x32", "3x8x32x32x1", "0x8x32x32", "3x8x-1x32", "3,8,32,32", "", "3x8x32x1e9", "axbxcxd"]
)
def test_clip_that_is_none(shell: Shell, command: tuple[str, ...], clip: str) -> None:
    ran = shell(*command, "tiny.arch", f"--clip={clip}")
    assert ran.code == 2
    assert re.search(r"error: argument --clip: .*; expected (channels, frames, height|1 to)", ran.err)


def test_clip_reaches_the_network(shell: Shell) -> None:
    data = json.loads(shell("cost", "--json", "tiny.arch", "--clip", "1x4x16x20").out)
    assert data["input"] == [1, 4, 16, 20]


def test_clip_that_vanishes(shell: Shell) -> None:
    ran = shell("check", SLOWFAST, "--clip", "3x2x224x224")
    assert ran.code == 1
    assert "error[E05" in ran.err


# --- check ---------------------------------------------------------------------------------------------------------


def test_check_names_specs_without_faults(shell: Shell) -> None:
    ran = shell("check", "tiny.arch")
    assert ran.code == 0
    assert re.fullmatch(r"tiny\.arch: fine, \d+ layers\n", ran.out)
    assert ran.err == ""


def test_check_goes_on_after_a_faulty_spec(shell: Shell) -> None:
    ran = shell("check", "faulty.arch", "tiny.arch")
    assert ran.code == 1
    assert "error[E0202]" in ran.err
    assert "did you mean `relu`?" in ran.err
    assert ran.out.startswith("tiny.arch: fine")
    assert "faulty.arch: fine" not in ran.out


def test_check_goes_on_after_a_missing_file(shell: Shell) -> None:
    ran = shell("check", "none.arch", "faulty.arch", "tiny.arch")
    assert ran.code == 2
    assert "none.arch: no such file" in ran.err
    assert "error[E0202]" in ran.err
    assert ran.out.startswith("tiny.arch: fine")


def test_warnings_alone_are_0(shell: Shell) -> None:
    Path("tiny.arch").write_text(TINY.replace("classes = 5", "classes = 5, unused = 1"))
    ran = shell("check", "tiny.arch")
    assert ran.code == 0
    assert "warning[W0101]" in ran.err
    assert "fine" in ran.out


@pytest.mark.parametrize("specs", [["tiny.arch"], ["faulty.arch"], ["faulty.arch", "tiny.arch"]])
def test_check_as_json(shell: Shell, specs: list[str]) -> None:
    ran = shell("check", *specs, "--format", "json")
    data = json.loads(ran.out)
    assert ran.code == bool(data) == ("faulty.arch" in specs)
    for fault in data:
        assert fault["code"] in TITLES
        assert fault["severity"] == "error"
        start, end = fault["range"]["start"], fault["range"]["end"]
        line = FAULTY.splitlines()[start["line"] - 1]
        assert line[start["column"] - 1 : end["column"] - 1] == "rellu"


def test_check_as_sarif(shell: Shell) -> None:
    ran = shell("check", "faulty.arch", "--format", "sarif")
    data = json.loads(ran.out)
    assert data["version"] == "2.1.0"
    (run,) = data["runs"]
    (result,) = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "E0202"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "faulty.arch"


def test_machines_get_nothing_but_their_format(shell: Shell) -> None:
    assert shell("check", "faulty.arch", "--format", "json").err == ""
    assert shell("check", "faulty.arch", "--format", "sarif").err == ""


# --- cost ----------------------------------------------------------------------------------------------------------


def test_cost_as_json(shell: Shell) -> None:
    ran = shell("cost", "--json", SLOWFAST)
    data = json.loads(ran.out)
    assert ran.code == 0
    assert data["arch"] == "slowfast_r50"
    assert data["input"] == [3, 32, 224, 224]
    assert data["output"] == [400]
    assert (data["params"], data["macs"]) == (34_566_488, 50_308_583_424)
    for row in data["stages"]:
        assert {"name", "path", "shape", "params", "macs"} <= row.keys()
        assert len(row["shape"]) == 4
    for total in ("params", "macs", "activations"):
        assert sum(row[total] for row in data["stages"]) == data[total]
    assert {row["path"] for row in data["stages"]} >= {"slow", "fast"}


@pytest.mark.parametrize("level", ["stage", "block", "layer"])
def test_cost_adds_up_at_each_level(shell: Shell, level: str) -> None:
    data = json.loads(shell("cost", "--json", "--by", level, SLOWFAST).out)
    rows = data[f"{level}s"]
    assert sum(row["params"] for row in rows) == data["params"]
    assert sum(row["macs"] for row in rows) == data["macs"]
    assert {"name", "path", "shape", "params", "macs"} <= rows[0].keys()


def test_cost_of_several_specs_as_json_is_a_list(shell: Shell) -> None:
    data = json.loads(shell("cost", "--json", "tiny.arch", SLOWFAST).out)
    assert [d["arch"] for d in data] == ["tiny", "slowfast_r50"]


def test_cost_as_a_table(shell: Shell) -> None:
    ran = shell("cost", SLOWFAST)
    assert ran.code == 0
    assert "34,566,488" in ran.out
    assert "FLOPs are 2 × multiply-adds." in ran.out
    assert "34.57 M published" in ran.out
    assert not any(line.endswith(" ") for line in ran.out.splitlines())


def test_published_figures_that_differ_are_warned_about(shell: Shell) -> None:
    Path("tiny.arch").write_text(TINY + "published params = 1M\n")
    ran = shell("cost", "tiny.arch")
    assert ran.code == 0
    assert "warning[W0102]" in ran.err


def test_cost_of_a_faulty_spec_prints_no_table(shell: Shell) -> None:
    ran = shell("cost", "faulty.arch")
    assert (ran.code, ran.out) == (1, "")


# --- compile -------------------------------------------------------------------------------------------------------


def test_compile_writes_beside_the_spec(shell: Shell) -> None:
    assert shell("compile", "tiny.arch").code == 0
    text = Path("tiny.py").read_text("utf-8")
    compile(text, "tiny.py", "exec")
    assert shell("compile", "tiny.arch").code == 0  # what archdsl wrote it may write again
    assert Path("tiny.py").read_text("utf-8") == text


def test_compile_writes_to_generated_beside_specs(shell: Shell) -> None:
    Path("specs").mkdir()
    Path("generated").mkdir()
    Path("specs/tiny.arch").write_text(TINY)
    assert shell("compile", "specs/tiny.arch").code == 0
    assert Path("generated/tiny.py").is_file()
    assert not Path("specs/tiny.py").exists()
    Path("specs/images").mkdir()
    Path("specs/images/small.arch").write_text(TINY.replace("arch tiny", "arch small"))
    assert shell("compile", "specs/images/small.arch").code == 0
    assert Path("generated/small.py").is_file()


def test_compile_into_a_folder_and_into_a_file(shell: Shell) -> None:
    Path("there").mkdir()
    assert shell("compile", "tiny.arch", "-o", "there").code == 0
    assert shell("compile", "tiny.arch", "-o", "there/other.py").code == 0
    assert Path("there/tiny.py").is_file()
    assert Path("there/other.py").is_file()


def test_compile_several_into_one_file_is_refused(shell: Shell) -> None:
    Path("second.arch").write_text(TINY.replace("arch tiny", "arch second"))
    ran = shell("compile", "tiny.arch", "second.arch", "-o", "both.py")
    assert ran.code == 2
    assert not Path("both.py").exists()


def test_compile_check(shell: Shell) -> None:
    assert shell("compile", "--check", "tiny.arch").code == 1
    assert not Path("tiny.py").exists()
    shell("compile", "tiny.arch")
    assert shell("compile", "--check", "tiny.arch").code == 0
    before = Path("tiny.py").read_text("utf-8")
    assert shell("compile", "--check", "tiny.arch", "--set", "width=16").code == 1
    assert Path("tiny.py").read_text("utf-8") == before


@pytest.mark.parametrize("found", ["print('mine')\n", ""])
def test_compile_leaves_the_files_of_others_alone(shell: Shell, found: str) -> None:
    Path("tiny.py").write_text(found)
    ran = shell("compile", "tiny.arch")
    assert ran.code in (1, 2)
    assert "--force" in ran.err
    assert Path("tiny.py").read_text() == found
    assert shell("compile", "--force", "tiny.arch").code == 0
    assert Path("tiny.py").read_text() != found


def test_compile_leaves_a_file_alone_that_was_edited_by_hand(shell: Shell) -> None:
    shell("compile", "tiny.arch")
    edited = Path("tiny.py").read_text("utf-8") + "\n# my own line\n"
    Path("tiny.py").write_text(edited, "utf-8")
    ran = shell("compile", "tiny.arch")
    assert ran.code in (1, 2)
    assert "--force" in ran.err
    assert Path("tiny.py").read_text("utf-8") == edited


@pytest.mark.parametrize("stage", ["ast", "graph", "shapes", "lowered"])
def test_compile_prints_its_stages(shell: Shell, stage: str) -> None:
    ran = shell("compile", "--print", stage, "tiny.arch")
    assert ran.code == 0
    assert ran.out.strip()
    assert not Path("tiny.py").exists()


def test_compile_of_a_faulty_spec_leaves_the_file_alone(shell: Shell) -> None:
    shell("compile", "tiny.arch")
    before = Path("tiny.py").read_bytes()
    Path("tiny.arch").write_text(FAULTY)
    assert shell("compile", "tiny.arch").code == 1
    assert Path("tiny.py").read_bytes() == before
    assert sorted(p.name for p in Path().iterdir()) == ["faulty.arch", "tiny.arch", "tiny.py"]


# --- draw ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "begins"), [("svg", b"<"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("dot", b"")], ids=str
)
def test_draw(shell: Shell, suffix: str, begins: bytes) -> None:
    ran = shell("draw", "tiny.arch", "-o", f"new/tiny.{suffix}")
    assert ran.code == 0, ran.err
    content = Path(f"new/tiny.{suffix}").read_bytes()
    assert content.startswith(begins)
    assert content


@pytest.mark.parametrize("level", ["stage", "block", "layer"])
def test_draw_levels(shell: Shell, level: str) -> None:
    assert shell("draw", "tiny.arch", "-o", "tiny.dot", "--level", level).code == 0


@pytest.mark.parametrize("name", ["tiny.bmp", "tiny", "tiny.svg.gz", ".svg", "tiny."])
def test_draw_in_an_unknown_format(shell: Shell, name: str) -> None:
    ran = shell("draw", "tiny.arch", "-o", name)
    assert ran.code == 2
    assert ".svg" in ran.err
    assert not Path(name).exists()


def test_draw_needs_a_destination(shell: Shell) -> None:
    assert shell("draw", "tiny.arch").code == 2


# --- destinations that cannot be written ---------------------------------------------------------------------------

no_proc = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")


@pytest.mark.parametrize("command", [("compile",), ("draw",)], ids=lambda c: c[0])
@pytest.mark.parametrize(
    "destination",
    [
        "tiny.arch/below/x.{}",
        "folder.{}/",
        pytest.param("/proc/x.{}", marks=no_proc),
        pytest.param("/proc/self/below/x.{}", marks=no_proc),
        "x" * 300 + ".{}",
    ],
)
def test_unwritable_destination(shell: Shell, command: tuple[str, ...], destination: str) -> None:
    suffix = "py" if command[0] == "compile" else "svg"
    if command[0] == "draw" and destination == "folder.{}/":
        Path("folder.svg").mkdir()
    elif destination == "folder.{}/":
        Path("folder.py").mkdir()
        Path("folder.py/tiny.py").mkdir()
    ran = shell(*command, "tiny.arch", "-o", destination.format(suffix))
    assert ran.code == 2
    assert ran.err.startswith("archdsl: ")
    assert ran.err.count("\n") == 1


def test_nothing_is_left_behind(shell: Shell) -> None:
    Path("tiny.py").mkdir()
    shell("compile", "tiny.arch", "-o", "tiny.py/tiny.arch/x.py")
    assert shell("compile", "tiny.arch").code == 2
    assert not [p for p in Path().rglob(".*") if p.is_file()]


# --- fmt -----------------------------------------------------------------------------------------------------------


def test_fmt(shell: Shell) -> None:
    ugly = TINY.replace(" -> ", "->").replace("width = 8", "width=8")
    Path("tiny.arch").write_text(ugly)
    assert shell("fmt", "--check", "tiny.arch").code == 1
    ran = shell("fmt", "--diff", "tiny.arch")
    assert "+" in ran.out
    assert Path("tiny.arch").read_text() == ugly
    assert shell("fmt", "tiny.arch").code == 0
    assert Path("tiny.arch").read_text() != ugly
    assert shell("fmt", "--check", "tiny.arch").code == 0


def test_fmt_of_a_folder(shell: Shell) -> None:
    Path("specs/lib").mkdir(parents=True)
    Path("specs/a.arch").write_text(TINY)
    Path("specs/lib/b.arch").write_text("block b(width){conv(width)}\n")
    assert shell("fmt", "specs").code == 0
    assert shell("fmt", "--check", "specs").code == 0
    assert Path("specs/lib/b.arch").read_text() != "block b(width){conv(width)}\n"


@pytest.mark.parametrize("content", [b"", b"arch \xff\n", b"arch (\n", b"\x00"])
def test_fmt_leaves_what_it_cannot_read(shell: Shell, content: bytes) -> None:
    Path("odd.arch").write_bytes(content)
    ran = shell("fmt", "odd.arch")
    assert ran.code == 1
    assert "odd.arch" in ran.err
    assert Path("odd.arch").read_bytes() == content


def test_fmt_of_nothing(shell: Shell) -> None:
    assert shell("fmt", "none.arch").code == 2


# --- explain -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", TITLES)
def test_explain(shell: Shell, code: str) -> None:
    ran = shell("explain", code.lower())
    assert ran.code == 0
    assert ran.out.startswith(f"{code}: {TITLES[code]}\n\n")


@pytest.mark.parametrize("code", ["E9999", "", "nonsense", "E05O1", "😀"])
def test_explain_unknown(shell: Shell, code: str) -> None:
    ran = shell("explain", code)
    assert ran.code == 2
    assert ran.err.startswith("archdsl: unknown code")
    assert ran.err.count("\n") == 1


# --- the world around ----------------------------------------------------------------------------------------------


def test_reader_that_stops_early(tmp_path: Path) -> None:
    """`archdsl cost … | head -1` ends quietly, whether the pipe breaks while printing or at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "archdsl", "cost", "--by", "layer", *[str(SLOWFAST)] * 3],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        error = child.stderr.read().decode()
        assert child.wait(timeout=60) == 0
    assert error == ""


def test_output_of_another_encoding(tmp_path: Path) -> None:
    """A terminal that knows no `×` or `─` gets something else for them, not a fault."""
    done = subprocess.run(
        [sys.executable, "-m", "archdsl", "cost", str(SLOWFAST)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert b"34,566,488" in done.stdout


def test_no_colour_where_nobody_looks(shell: Shell) -> None:
    assert "\x1b" not in shell("check", "faulty.arch").err
