"""The formatter: it keeps the meaning of a text, and gives each meaning one form."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import ROOT
from syntax_trees import Trees, respell

from archdsl.commands import fmt
from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.files import UsageError
from archdsl.frontend.format import WIDTH, format_file, format_text
from archdsl.frontend.parse import parse

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.frontend.ast import File

SPECS = sorted(ROOT.glob("specs/**/*.arch"))
profile = settings(derandomize=True, deadline=None, max_examples=200, database=None)
files = st.builds(
    lambda seed, depth: Trees(random.Random(seed), depth).file(), st.integers(0, 2**32), st.integers(0, 4)
)


def parsed(text: str) -> File:
    return parse(Source("<test>", text))


# --- properties ------------------------------------------------------------------------------------------------------


@profile
@given(files)
def test_a_tree_without_a_text_is_printed_as_itself(file: File) -> None:
    text = format_file(file)
    assert parsed(text).statements == file.statements
    assert format_text(text) == text


@profile
@given(files, st.integers(0, 2**32))
def test_another_spelling_keeps_its_meaning_and_its_comments(file: File, seed: int) -> None:
    text = respell(format_file(file), random.Random(seed))
    before = parsed(text)
    assert before.statements == file.statements
    result = format_text(text)
    after = parsed(result)
    assert after.statements == file.statements
    assert [c.text for c in after.comments] == [c.text for c in before.comments]
    assert format_text(result) == result


@profile
@given(files, st.integers(0, 2**32))
def test_the_white_space_is_tidy(file: File, seed: int) -> None:
    result = format_text(respell(format_file(file), random.Random(seed)))
    assert result.endswith("\n")
    assert not result.startswith("\n")
    assert not result.endswith("\n\n")
    assert "\n\n\n" not in result
    lines = result.split("\n")
    assert all(line == line.rstrip(" ") and "\t" not in line for line in lines)
    openers = [i for i, line in enumerate(lines) if line.endswith("{") and "#" not in line]
    assert all(lines[i + 1] for i in openers)
    assert all(lines[i - 1] for i, line in enumerate(lines) if line.strip() == "}")


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_the_specs_are_in_canonical_form(path: Path) -> None:
    text = path.read_text("utf-8")
    assert parsed(format_text(text)).statements == parsed(text).statements
    assert format_text(text) == text


# --- values ----------------------------------------------------------------------------------------------------------

VALUES = {
    # spaces
    "a+b *c": "a + b*c",
    "4 * width": "4*width",
    "a // b % c": "a//b%c",
    "1 .. 3": "1..3",
    "2 ..": "2..",
    "[1,3,3 , ]": "[1, 3, 3]",
    "[ ]": "[]",
    "f( a,b=1 , )": "f(a, b = 1)",
    "in . channels": "in.channels",
    "xs [ i-2 ]": "xs[i - 2]",
    "- 1": "-1",
    "a<b": "a < b",
    "i in[1,3]": "i in [1, 3]",
    "[ i*2 for i,j in zip( a,b ) if i>1 ]": "[i*2 for i, j in zip(a, b) if i > 1]",
    # numbers and strings
    "1_000 + 34.57M": "1_000 + 34.57M",
    '"a\\"b\\\\c\\nd"': '"a\\"b\\\\c\\nd"',
    '"""it is "so\\""""': '"it is \\"so\\""',
    '"\\d"': '"\\\\d"',
    # parentheses that go
    "(a)": "a",
    "((a)) + (b*c)": "a + b*c",
    "(a + b) + c": "a + b + c",
    "(a*b)/c": "a*b/c",
    "(not a) and b": "not a and b",
    "(a < b) and (c or (d))": "a < b and (c or d)",
    "f((a + b))": "f(a + b)",
    "(-a)*b": "-a*b",
    "-(-a)": "--a",
    "(a + 1)..(b)": "a + 1..b",
    "(a) if (b) else (c if d else e)": "a if b else c if d else e",
    "(xs)[(0)]": "xs[0]",
    # parentheses that stay
    "(a + b)*c": "(a + b)*c",
    "a - (b - c)": "a - (b - c)",
    "a/(b*c)": "a/(b*c)",
    "-(a + b)": "-(a + b)",
    "-(a*b)": "-(a*b)",
    "(1 if x else 2) + 3": "(1 if x else 2) + 3",
    "(1 if x else 2) if y else 3": "(1 if x else 2) if y else 3",
    "(1..3) + a": "(1..3) + a",
    "(1..3)..4": "(1..3)..4",
    "not (a and b)": "not (a and b)",
    "(not a) == b": "(not a) == b",
    "(a < b) == (c < d)": "(a < b) == (c < d)",
    "(a or b) and c": "(a or b) and c",
    "a and (b and c)": "a and (b and c)",
    "(a + b)[0]": "(a + b)[0]",
    "(-a)[0]": "(-a)[0]",
    "[i for i in (a if b else c) if d]": "[i for i in (a if b else c) if d]",
}


@pytest.mark.parametrize(("text", "expected"), VALUES.items(), ids=VALUES)
def test_a_value(text: str, expected: str) -> None:
    assert format_text(f"let x = {text}") == f"let x = {expected}\n"


CHAINS = {
    "a->b  ->c": "a -> b -> c",
    "a*3 as x->b": "a * 3 as x -> b",
    "a * (3)": "a * 3",
    "a*(n-1)": "a * (n - 1)",
    "a*(-n)": "a * (-n)",
    "a * (f(n))": "a * f(n)",
    "a * (xs[0])": "a * xs[0]",
    "a * (in.t)": "a * (in.t)",
    "a * ([1,2])[0]": "a * ([1, 2])[0]",
    "(a->b)*3": "(a -> b) * 3",
    "concat{a->b,c,}": "concat { a -> b, c }",
    "concat( x=1 ){a}": "concat(x = 1) { a }",
    "residual{a}shortcut if x{b}->c": "residual { a } shortcut if x { b } -> c",
    "if a{b}else if c{d}else{e}": "if a { b } else if c { d } else { e }",
    "f( )->g": "f() -> g",
}


@pytest.mark.parametrize(("text", "expected"), CHAINS.items(), ids=CHAINS)
def test_a_chain(text: str, expected: str) -> None:
    assert format_text(f"head: {text}") == f"head: {expected}\n"


# --- statements ------------------------------------------------------------------------------------------------------

FILES = {
    "simple statements": (
        """
arch   x as X extends y
"doc"
cite   "a"
published params=1M ,gflops = 2 at[3,32] from "t"
recipe  lr=1e-3,steps=[ 1,2 ]  # paper
import  resnet
param a:int=1 where a>0,b : list [ int ] = [] , c:p|q=p
input clip:video [3, a]
path slow=clip->every( a )
drop  path fast
stage x { }
""",
        """\
arch x as X extends y
"doc"
cite "a"
published params = 1M, gflops = 2 at [3, 32] from "t"
recipe lr = 1e-3, steps = [1, 2]  # paper
import resnet
param a: int = 1 where a > 0, b: list[int] = [], c: p | q = p
input clip: video[3, a]
path slow = clip -> every(a)
drop path fast
stage x {}
""",
    ),
    "blank lines": (
        """

arch x



import a
block b() { c }
# about d
block d() {

    e

}
let f = 1
# g
""",
        """\
arch x

import a

block b() { c }

# about d
block d() {
    e
}

let f = 1
# g
""",
    ),
    "braces of statements": (
        """
for i,n in zip(1..,xs) { stage s{i} { slow: a }
  stage t { slow: a
  } }
if a { let x = 1
} else { if b { let x = 2 } else { let x = 3 } }
stage u {
  if a { slow: b }
  else { slow: c }
  if a { slow: b } else { slow: c }
  if a { slow: b
  } else { slow: c }
}
""",
        """\
for i, n in zip(1.., xs) {
    stage s{i} { slow: a }
    stage t {
        slow: a
    }
}
if a {
    let x = 1
} else if b {
    let x = 2
} else {
    let x = 3
}
stage u {
    if a { slow: b }
    else { slow: c }
    if a { slow: b } else { slow: c }
    if a {
        slow: b
    } else {
        slow: c
    }
}
""",
    ),
    "chains on several lines": (
        """
head: a
-> b -> c
stage s {
  slow: residual {
   a
     -> b } shortcut { c } -> d
        -> e
  f
    -> concat { g
    h -> i }
}
""",
        """\
head: a
    -> b -> c
stage s {
    slow: residual {
        a
        -> b
    } shortcut {
        c
    } -> d
        -> e
    f
    -> concat {
        g
        h -> i
    }
}
""",
    ),
    "open brackets": (
        """
let a = [
  1, 2,
  3 ]
let b = f(
  x = [1, 2], y )
let c = [1,
  2]
let d = f([
   1])
head: (
a -> b) * 2
""",
        """\
let a = [
    1, 2,
    3,
]
let b = f(
    x = [1, 2], y,
)
let c = [1, 2]
let d = f([
    1,
])
head: (
    a -> b
) * 2
""",
    ),
    "comments": (
        """
# top
arch x # the name

# about a
param a = 1     # one
param bcd = 2   # two
param e = 3 # three

stage s { # opened
    # own
    slow: a # behind
        # between
        -> b
    # last
} # closed
let x = f(1, # first
  # own
  2)
let y = (a # moved
  + b)
head: concat {
  a # one
  # own
  b
}
# end
""",
        """\
# top
arch x  # the name

# about a
param a = 1    # one
param bcd = 2  # two
param e = 3  # three

stage s {  # opened
    # own
    slow: a  # behind
        # between
        -> b
    # last
}  # closed
let x = f(
    1,  # first
    # own
    2,
)
# moved
let y = a + b
head: concat {
    a  # one
    # own
    b
}
# end
""",
    ),
    "documentation on several lines": (
        'block b() {\n  """one\n   two # "not" a comment\n  """ # but this\n  a\n}\n',
        'block b() {\n    """one\n   two # "not" a comment\n  """  # but this\n    a\n}\n',
    ),
    "line ends of another system": ('cite """a\r\nb"""\r\n# c\r\nlet x = 1', 'cite """a\nb"""\n# c\nlet x = 1\n'),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
def test_a_file(text: str, expected: str) -> None:
    assert format_text(text) == expected
    assert format_text(expected) == expected


def test_a_long_chain_is_broken_before_arrows() -> None:
    step = "conv(64, [1, 3, 3])"
    expected = f"head: {step} -> {step} -> {step} -> {step}\n    -> {step}\n"
    assert format_text(f"head: {' -> '.join([step] * 5)}") == expected


def test_long_arguments_fill_lines() -> None:
    word = "w" * 30
    text = f"head: conv({word}, x = [{word}], y = {word}) * 3 as z"
    assert format_text(text) == f"head: conv(\n    {word}, x = [{word}],\n    y = {word},\n) * 3 as z\n"


def test_a_long_list_fills_lines() -> None:
    result = format_text(f"let x = [{', '.join(map(str, range(100)))}]")
    assert result.startswith("let x = [\n    0, 1, 2,")
    assert result.endswith(" 99,\n]\n")
    assert max(map(len, result.split("\n"))) <= WIDTH
    assert len(result.split("\n")) < 10


def test_one_line_braces_open_when_they_do_not_fit() -> None:
    word = "w" * 60
    assert (
        format_text(f"head: residual {{ {word} -> {word} }}") == f"head: residual {{\n    {word}\n    -> {word}\n}}\n"
    )


def test_a_text_that_does_not_parse_is_refused() -> None:
    with pytest.raises(SpecError):
        format_text("arch")


# --- the command -----------------------------------------------------------------------------------------------------

UGLY, FAIR = "arch  x\n", "arch x\n"


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "ugly.arch").write_text(UGLY)
    (tmp_path / "lib" / "fair.arch").write_text(FAIR)
    (tmp_path / "other.txt").write_text(UGLY)
    return tmp_path


def run(*paths: Path, check: bool = False, diff: bool = False) -> int:
    return fmt.run(fmt.Options(paths=tuple(map(str, paths)), check=check, diff=diff))


def test_fmt_writes_what_changes(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fair = (specs / "lib" / "fair.arch").stat().st_mtime_ns
    assert run(specs) == 0
    assert (specs / "ugly.arch").read_text() == FAIR
    assert (specs / "other.txt").read_text() == UGLY
    assert (specs / "lib" / "fair.arch").stat().st_mtime_ns == fair
    assert capsys.readouterr().out == f"{specs / 'ugly.arch'}: reformatted\n"
    assert run(specs, check=True) == 0


def test_fmt_check_and_diff_write_nothing(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ugly = specs / "ugly.arch"
    assert run(specs, check=True) == 1
    assert capsys.readouterr().out == f"{ugly}: would be reformatted\n"
    assert run(specs, diff=True) == 1
    assert capsys.readouterr().out == f"--- {ugly}\n+++ {ugly}\n@@ -1 +1 @@\n-arch  x\n+arch x\n"
    assert ugly.read_text() == UGLY


def test_fmt_sees_line_ends_and_byte_order_marks(specs: Path) -> None:
    for data in (b"arch x\r\n", b"\xef\xbb\xbfarch x\n", b"arch x"):
        (specs / "ugly.arch").write_bytes(data)
        assert run(specs, diff=True) == 1
        assert run(specs) == 0
        assert (specs / "ugly.arch").read_bytes() == FAIR.encode()


def test_fmt_goes_on_after_a_fault(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (specs / "bad.arch").write_text("arch\n")
    assert run(specs) == 1
    assert "bad.arch:1:" in capsys.readouterr().err
    assert (specs / "bad.arch").read_text() == "arch\n"
    assert (specs / "ugly.arch").read_text() == FAIR


def test_fmt_refuses_missing_files(specs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ugli\.arch: no such file; did you mean"):
        run(specs / "ugli.arch")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: no \.arch files"):
        run(tmp_path / "empty")
