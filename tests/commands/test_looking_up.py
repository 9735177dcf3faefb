"""Commands that show what there is: specs, layers, help, and words for a shell; and one that begins a spec."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from repository import ROOT

from archdsl.commands import SUMMARIES
from archdsl.layers import vocabulary
from archdsl.layers.attention_arguments import Between
from archdsl.resources import bundled_specs

if TYPE_CHECKING:
    from command_line import Shell

# --- list, show ------------------------------------------------------------------------------------------------------


def test_list_names_every_bundled_spec(shell: Shell) -> None:
    found = json.loads(shell("list", "--json").out)
    assert [entry["name"] for entry in found] == list(bundled_specs())
    assert all(entry["doc"] for entry in found)


@pytest.mark.parametrize("name", ["slowfast_r50", "swin3d_t", "resnet50", "i3d_two_stream"])
def test_list_agrees_with_cost(shell: Shell, name: str) -> None:
    (entry,) = (e for e in json.loads(shell("list", "--json", name).out) if e["name"] == name)
    cost = json.loads(shell("cost", name, "--json").out)
    assert (entry["params"], entry["macs"]) == (cost["params"], cost["macs"])
    line = next(line for line in shell("list", name).out.splitlines() if line.split()[0] == name)
    assert f"{cost['params'] / 1e6:.2f} M" in line
    assert entry["doc"] in line


@pytest.mark.parametrize(("pattern", "names"), [("swin3d_t*", 4), ("*_r3d", 0), ("SlowFast R50", 1)])
def test_list_by_pattern(shell: Shell, pattern: str, names: int) -> None:
    ran = shell("list", pattern)
    assert (ran.code == 0) == (names > 0)
    assert max(0, len(ran.out.splitlines()) - 1) >= names
    if pattern == "swin3d_t*":
        assert all(line.startswith("swin3d_t") for line in ran.out.splitlines()[1:])


def test_list_names_the_blocks_of_libraries(shell: Shell) -> None:
    """With what a call of each needs; a network of one takes it."""
    found = json.loads(shell("list", "--blocks", "--json").out)
    files = (ROOT / "specs" / "lib").glob("*.arch")
    assert {e["library"] for e in found} == {f.stem for f in files}
    line = next(
        line for line in shell("list", "--blocks").out.splitlines() if line.split()[1].startswith("bottleneck(")
    )
    assert line.split()[0] == "resnet"
    assert "bottleneck(width, …)" in line
    assert "Residual bottleneck" in line
    assert shell("list", "--blocks", "inception").out.splitlines()[1].startswith("inception  unit(")
    assert shell("list", "--blocks", "slowfast_r50").code == 2


def test_show_prints_the_file(shell: Shell) -> None:
    assert shell("show", "slow_r50").out == (ROOT / "specs" / "slow_r50.arch").read_text("utf-8")
    assert shell("show", "slow_r5").code == 2


# --- new -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("like", [(), ("--like", "slowfast_r50"), ("--like", "mvit_s_16x4"), ("--like", "tiny.arch")])
def test_a_new_spec_checks_and_compiles(shell: Shell, like: tuple[str, ...]) -> None:
    assert shell("new", "mine", *like).code == 0
    ran = shell("check", "mine.arch")
    assert (ran.code, ran.err) == (0, "")
    assert shell("fmt", "--check", "mine.arch").code == 0
    assert shell("compile", "mine.arch").code == 0
    compile(Path("mine.py").read_text("utf-8"), "mine.py", "exec")


def test_new_overwrites_nothing(shell: Shell) -> None:
    before = Path("tiny.arch").read_text("utf-8")
    ran = shell("new", "tiny")
    assert ran.code == 2
    assert "exists already" in ran.err
    assert Path("tiny.arch").read_text("utf-8") == before


@pytest.mark.parametrize("name", ["1st", "a-b", "stage", "", "folder/my net"])
def test_a_name_that_cannot_be(shell: Shell, name: str) -> None:
    ran = shell("new", name)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert sorted(p.name for p in Path().iterdir()) == ["faulty.arch", "tiny.arch"]


@pytest.mark.parametrize("name", ["resnet", "slowfast_r50", "resnet50", "typing"])
def test_new_hides_no_other_file(name: str, shell: Shell) -> None:
    """Neither a bundled library, a bundled spec, nor a module of Python."""
    ran = shell("new", name)
    assert (ran.code, f"{name}: is " in ran.err, "hide" in ran.err) == (2, True, True)
    assert not Path(f"{name}.arch").exists()


def test_a_base_in_another_folder(shell: Shell) -> None:
    """`extends` finds a base beside the variant or among the bundled specs, so no other can be meant."""
    Path("below").mkdir()
    ran = shell("new", "below/mine", "--like", "tiny.arch")
    assert ran.code == 2
    assert not Path("below/mine.arch").exists()


# --- layers ----------------------------------------------------------------------------------------------------------


def test_layers_lists_the_vocabulary(shell: Shell) -> None:
    out = shell("layers").out
    names = [line.split()[0] for line in out.splitlines() if line.startswith("    ")]
    assert sorted(names) == sorted(kind for kind, cls in vocabulary().items() if not cls.internal)


@pytest.mark.parametrize("kind", [kind for kind, cls in vocabulary().items() if not cls.internal])
def test_layers_shows_each_attribute(shell: Shell, kind: str) -> None:
    ran = shell("layers", kind)
    assert ran.code == 0
    rows = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
    cls = vocabulary()[kind]
    for name, attribute in (Between if cls.takes_lines else cls).attributes.items():
        assert name in rows
        assert attribute.doc in ran.out


def test_layers_shows_the_lines_of_attention(shell: Shell) -> None:
    """Its arguments and lines, none of the settings of version 0.1."""
    arguments, _, lines = shell("layers", "attention").out.partition("In braces come lines")
    rows = {line.split()[0]: line for line in arguments.partition("attribute")[2].splitlines()[1:] if line.strip()}
    assert rows.keys() == Between.attributes.keys()
    assert all(attribute.doc in rows[name] for name, attribute in Between.attributes.items())
    assert all(f"{line}:" in lines for line in ("q", "kv", "qkv", "token_q", "bias", "proj"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("convv", "did you mean `conv`?"), ("BatchNorm3d", "did you mean `bn`?"), ("elu", "activations here: `gelu`, ")],
)
def test_an_unknown_layer(name: str, hint: str, shell: Shell) -> None:
    ran = shell("layers", name)
    assert ran.code == 2
    assert hint in ran.err


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["check", "weights convert", "layers"])
def test_help_is_that_of_the_option(shell: Shell, name: str) -> None:
    assert shell("help", *name.split()) == shell(*name.split(), "--help")


def test_help_of_everything(shell: Shell) -> None:
    assert shell("help") == shell("--help")
    assert shell("help", "weights") == shell("weights", "--help")
    assert "did you mean check?" in shell("help", "chek").err


# --- completion ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="script")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from archdsl.commands.completion import _bash

    path = tmp_path_factory.mktemp("completion") / "archdsl.bash"
    path.write_text(_bash(), "utf-8")
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("che", {"check"}),
        ("weights con", {"convert"}),
        ("check --for", {"--format"}),
        ("check --format s", {"sarif"}),
        ("check slowfast_r50_", {n for n in bundled_specs() if n.startswith("slowfast_r50_")}),
        ("weights transfer --infl", {"--inflate"}),
        ("plan x.arch --gpu rtx", {"rtx4090"}),
        ("layers che", {"check"}),
    ],
)
def test_bash_completes(script: Path, line: str, found: set[str], tmp_path: Path) -> None:
    words = ["archdsl", *line.split()]
    code = f'source "$1"; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _archdsl; '
    code += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", code, "bash", str(script)], cwd=tmp_path, env={"PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == found


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_scripts_hold_every_command(shell: Shell, kind: str) -> None:
    out = shell("completion", kind).out
    for name in SUMMARIES:
        assert all(word in out for word in name.split())
    if shutil.which(kind) is not None:
        assert subprocess.run([kind, "-n"], input=out, text=True, check=False).returncode == 0
