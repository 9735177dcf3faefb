"""Texts near the budgets and far beyond them, through each command: `make bounds`, or `python …/bounds.py NAME…`.

`archdsl check`, `fmt`, `cost`, `compile` and `diff` of any text end within 10 s of CPU time and 1 GiB of memory, in
success or in a diagnostic (docs/language.md, "Budgets"). Each command runs in a process that the system ends beyond
these, and its exit code must be 0 or 1. What is tried are texts that spend a budget in one place, each in another.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from repository import ROOT

SECONDS = 10  # of CPU time
MEMORY = 2**30  # bytes
OUTPUT = 3_000_000  # characters

OPENING = "arch net\ninput clip: video[3, 4, 8, 8]\n"
HEAD = "head: avgpool -> linear(3)"
BASIC = "residual { conv(n, 3) -> bn -> relu -> conv(n, 3) -> bn } -> relu"
STEM = "stage s { conv(4) }"


def lines(template: str, count: int, first: int = 0) -> str:
    """Return a template for each number, with what follows it and what precedes it."""
    return "".join(template.format(i=i, before=i - 1, behind=i + 1) for i in range(first, first + count))


def joined(separator: str, template: str, count: int) -> str:
    """Return a template for each number, with a separator between them."""
    return separator.join(template.format(i=i) for i in range(count))


def nested(left: str, inside: str, right: str, depth: int) -> str:
    return left * depth + inside + right * depth


def paths(count: int, line: str, source: str = "clip") -> str:
    """Return so many paths, and a stage with a line for each."""
    declared = "".join(f"path p{i} = {source.format(i=i)}\n" for i in range(count))
    return declared + "stage s {\n" + lines(line, count) + "}\n"


def head_of(name: str, count: int) -> str:
    return f"head: concat {{ {joined(', ', name + '{i}', count)} }} -> avgpool -> linear(3)"


LAYERS = {
    "a row of convolutions": "stage s { conv(4) * 4990 }",
    "a row of functions": "stage s { relu * 4990 }",
    "a row of blocks": f"block b(n) {{ {BASIC} }}\nstage s {{ conv(8) -> b(8) * 700 }}",
    "blocks of many widths": "block b(n) { residual { conv(n, 3) -> bn } shortcut { conv(n) } -> relu }\n"
    "stage s { conv(8) -> b(8 + index) * 900 }",
    "blocks of many kernels": "block b(n, k) { conv(n, k, padding = same) -> relu }\n"
    "stage s { conv(8) -> b(8, index + 1) * 2000 }",
    "many stages of a loop": "block b(n) { conv(n) -> relu }\nfor i in 1..2400 { stage s{i} { b(4) } }",
    "many stages": lines("stage s{i} {{ conv(4) -> bn }}\n", 2400),
    "many blocks": lines("block b{i}(n) {{ conv(n) -> gelu }}\n", 1500)
    + f"stage s {{ {joined(' -> ', 'b{i}(4)', 1500)} }}",
    "a long chain": f"stage s {{ {joined(' -> ', 'relu', 4900)} }}",
    "a wide concat": f"stage s {{ concat {{ {joined(', ', 'conv(1)', 4900)} }} }}",
    "transformer blocks": "block b(n) { residual { layernorm -> attention(heads = 2) } -> "
    "residual { layernorm -> linear(4*n) -> gelu -> linear(n) } }\nstage s { conv(8) -> b(8) * 550 }",
    "a line of attention": "stage s { attention {\nqkv: linear(8)\nv: relu * 4900\nproj: linear(8)\n} }",
    "joins in a line of attention": "stage s { attention {\nqkv: linear(8)\n"
    "proj: (add { in, gelu }) * 2400 -> linear(8)\n} }",
    "windows of many sizes": "block b(n, k) { residual { layernorm -> attention(heads = 2, "
    "window = [1 + k % 4, 1 + k % 7, 1 + k % 5]) {\nqkv: linear(n)\nbias: table\nproj: linear(n)\n} } }\n"
    "stage s { conv(8) -> b(8, index) * 1200 }",
    "inputs and paths": (
        lines("input clip{i}: video[3, 4, 8, 8]\n", 1000) + paths(1000, "p{i}: conv(2)\n", "clip{i}"),
        head_of("p", 1000),
    ),
    "paths of many stages": (
        "".join(f"path p{i} = clip\n" for i in range(100))
        + "".join(f"stage s{j} {{\n" + lines("p{i}: conv(2)\n", 100) + "}\n" for j in range(40)),
        head_of("p", 100),
    ),
    "laterals": (paths(300, "lateral p{i} => p{before}: conv(1)\n").replace("p-1", "p299"), head_of("p", 300)),
    "values that the head joins": (lines("stage s{i} {{ conv(2) as a{i} }}\n", 2400), head_of("a", 2400)),
    "values in the middle of a stage": (
        f"stage s {{ {joined(' -> ', 'conv(2) as a{i}', 2400)} }}",
        head_of("a", 2400),
    ),
    "strides of a billion": "block b(n) { concat { maxpool(1, stride = 1e9), maxpool(3, stride = 1e9) } -> conv(n) }\n"
    "stage s { b(2) * 1200 }",
    "parameters of a block": f"block b({joined(', ', 'a{i} = 1', 1000)}) {{ {joined(' -> ', 'conv(a{i})', 1000)} }}\n"
    "stage s { b -> b(2) }",
    "residuals in residuals": f"stage s {{ {nested('residual { ', 'relu', ' }', 58)} }}",
    "blocks that double": lines("block b{i}(n) {{ b{behind}(n) -> b{behind}(n) }}\n", 11)
    + "block b11(n) { conv(n) }\nstage s { b0(4) }",
    "blocks in blocks": lines("block b{i}(n) {{ residual {{ residual {{ b{behind}(n) }} }} }}\n", 39)
    + "block b39(n) { relu }\nstage s { b0(4) }",
}
ARITHMETIC = {
    "a chain of parameters": lines("param p{i} = p{behind}\n", 9000) + "param p9000 = 1\nstage s { conv(p0) }",
    "many parameters": lines("param p{i} = {i}\n", 9000) + STEM,
    "names of names": "let p0 = 1\n" + lines("let p{i} = p{before}\n", 9000, 1) + "stage s { conv(p9000) }",
    "formulas of names": "block b(n) {\n    let a0 = n"
    + lines(", a{i} = a{before} + 1", 4000, 1)
    + "\n    conv(a4000) -> conv(4)\n}\nstage s { b(1) -> b(2) }",
    "formulas that double": "block b(n) {\n    let a0 = n"
    + lines(", a{i} = a{before} + a{before} - a{before}", 60, 1)
    + "\n    conv(a60) -> conv(4)\n}\nstage s { b(1) -> b(2) }",
    "deep parameters": lines(f"param p{{i}} = {nested('1 + (', 'p{behind}', ')', 20)}\n", 48)
    + "param p48 = 1\nstage s { conv(p0) }",
    "deep lists": "let a0 = [1]\n" + lines("let a{i} = [a{before}]\n", 9000, 1) + STEM,
    "lists that double": "let a0 = [1]\n" + lines("let a{i} = [a{before}, a{before}]\n", 40, 1) + STEM,
    "equality of lists": f"let a = [x for x in 1..90000], b = [a == a for i in 1..9999]\n{STEM}",
    "the largest of lists": f"let a = 1..90000, b = [max(a) for i in 1..9999]\n{STEM}",
    "lists side by side": f"let a = 1..90000, b = [zip(a, a, a) for i in 1..9999]\n{STEM}",
    "elements looked for": f"let a = 1..90000, b = [0 in a for i in 1..9999]\n{STEM}",
    "lists put together": f"let a = 1..50000, b = [len(a + a) for i in 1..9999]\n{STEM}",
    "lists of lists": f"let a = [1..300 for i in 1..300], b = [[x for x in a] for i in 1..9999]\n{STEM}",
    "fractions": f"param x = [sum([1/j for j in 1..40]) for i in 1..90000]\n{STEM}",
    "loops in loops": "for a in 1..9999 { for b in 1..9999 { if a == 0 { stage s { relu } } } }",
    "repeats of nothing": "stage s { ((relu * 0) * 4999) * 4999 }",
    "blocks of nothing": "block b(n) { relu * 0 }\nstage s { (b(4) * 4999) * 4999 }",
    "lists for blocks": "block b(l) { relu }\nlet l = 1..90000\nstage s { b(l) * 4900 }",
    "a recipe of many steps": f"recipe steps = [x for x in 1..90000], lr = 1e12, epochs = 1e12\n{STEM}",
    "published figures": f"published params = {'1' * 59}, gflops = 1e12 at [1e12, 1e12, 1e12, 1e12]\n{STEM}",
}
FAULTS = {
    "a typo in a row of rows": "stage s { (foo * 4999) * 4999 }",
    "a typo of an argument in a row of rows": "stage s { (conv(foo) * 4999) * 4999 }",
    "a typo in a block": "block b(n) { conv(m) }\nstage s { (b(4) * 4999) * 4999 }",
    "typos in thousands of places": f"stage s {{ {joined(' -> ', 'foo{i}', 20000)} }}",
    "typos of parameters": lines("param parameter_number_{i} = {i}\n", 8000)
    + f"stage s {{ {joined(' -> ', 'conv(parametre_numbr_{i})', 250)} }}",
    "typos of long names": lines(f"block {'b' * 40}{{i}}(n) {{{{ relu }}}}\n", 3000)
    + f"stage s {{ {joined(' -> ', 'c' * 40 + '{i}(3)', 250)} }}",
    "typos in one line": f"stage s {{ {joined(' -> ', 'conv(q)', 9000)} }}",
    "typos of a choice": f"param m: {joined(' | ', 'a{i}', 20000)} = b1\n{STEM}",
    "values that do not fit": "stage s { conv(4) as a }\nfor i in 1..4900 { stage s{i} { a -> conv(5, 99) } }",
    "arguments that nothing takes": f"stage s {{ conv({joined(', ', 'a{i} = 1', 15000)}) }}",
    "letters of another kind": "".join(chr(0x4E00 + i) for i in range(20000)),
    "signs of another kind": "§ " * 400_000,
    "strings that do not end": '"\n' * 20_000,
    "brackets that do not match": "stage s { " + "( ] " * 12_000,
    "statements without their names": "stage { }\n" * 15_000,
    "conditions in conditions": "".join("if off { stage x { relu } } else { " for _ in range(50)) + STEM + " }" * 50,
    "choices in choices": "stage s { "
    + ("(if off { relu } " + "else if off { relu } " * 40 + "else { ") * 28
    + "conv(4)"
    + " })" * 28
    + " }",
}
SIZES = {
    "a long comment": "# " + "x" * 990_000 + f"\n{STEM}",
    "many comments": "# x\n" * 240_000 + STEM,
    "many lines": "\n" * 990_000 + STEM,
    "a long text": f'"{"word " * 190_000}"\n{STEM}',
    "a long name": f"stage {'x' * 900_000} {{ conv(4) }}",
    "a long list": f"let l = [{'1, ' * 24_000}]\n{STEM}",
    "deep brackets": f"stage s {{ conv({nested('(', '1', ')', 58)}) }}",
    "a long sum": f"stage s {{ conv({'1 + ' * 95}1) }}",
    "blocks that nothing calls": lines("block b{i}(n) {{ relu }}\n", 4800) + STEM,
    "unused blocks beyond the budget": lines("block b{i}(n) {{ relu }}\n", 10_000) + STEM,
    "many citations": 'cite "x"\n' * 20_000 + STEM,
    "imports of one file": "import resnet\n" * 20_000 + STEM,
    "many choices": f"param m: {joined(' | ', 'a{i}', 20000)} = a1\n{STEM}",
    "channels that double": "stage s { concat { relu, relu } * 40 }",
}
VARIANTS = {  # a text, and files beside it
    "a variant of hundreds of stages": (
        lines("stage s{i} {{ conv(5) }}\n", 800),
        {"base": lines("stage s{i} {{ conv(4) -> relu }}\n", 800)},
    ),
    "variants of variants": (
        lines("stage s{i} {{ conv(3) }}\n", 100),
        {
            "base": lines("stage s{i} {{ conv(4) -> relu }}\n", 300),
            **{f"v{i}": lines(f"stage s{{i}} {{{{ conv({i + 5}) }}}}\n", 200) for i in range(30)},
        },
    ),
    "variants in a circle": ("", {"base": "", "circle": ""}),
    "libraries in a chain": (
        "import l0\n" + STEM,
        {f"l{i}": f"import l{i + 1}\nblock x{i}(n) {{ relu }}\n" for i in range(200)},
    ),
    "libraries in a circle": (f"import l0\n{STEM}", {"l0": "import l1\n", "l1": "import l0\n"}),
    "large libraries": (
        lines("import l{i}\n", 10) + STEM,
        {f"l{i}": lines(f"block x{i}_{{i}}(n) {{{{ conv(n) }}}}\n", 2000) for i in range(10)},
    ),
}
SETTINGS = {
    "a long number": ["n=" + "9" * 100_000],
    "a long list": ["n=[" + "1, " * 40_000 + "]"],
    "a large list": ["n=1..99999999"],
    "deep brackets": ["n=" + "(" * 100_000],
    "a long sum": ["n=" + "1+" * 60_000 + "1"],
    "many settings": [f"n={i}" for i in range(5_000)],
    "names that are not there": [f"m{i}=1" for i in range(5_000)],
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.arch"
    path.write_text(text, "utf-8")
    return path


def plain(folder: Path, body: str | tuple[str, str]) -> Path:
    text, head = body if isinstance(body, tuple) else (body, HEAD)
    opening = "arch net\n" if "input clip0:" in text else OPENING
    return write(folder, "net", f"{opening}{text}\n{head}\n")


def variant(folder: Path, text: str, others: dict[str, str]) -> Path:
    """Write a spec and what it extends or imports; `v0`, `v1`, … extend each other, and the last one extends `base`."""
    numbered = sorted((n for n in others if n[0] == "v"), key=lambda n: int(n[1:]))
    for name, body in others.items():
        if name == "base" and "circle" not in others:
            write(folder, name, f"arch {name}\n{OPENING.partition(chr(10))[2]}{body}{HEAD}\n")
        elif name[0] == "l":
            write(folder, name, body)
        else:
            bases = {**dict(pairwise([*numbered, "base"])), "base": "circle", "circle": "net"}
            write(folder, name, f"arch {name} extends {bases[name]}\n{body}")
    if "base" not in others:
        return plain(folder, text)
    return write(folder, "net", f"arch net extends {numbered[0] if numbered else 'base'}\n{text}")


def run(command: list[str], folder: Path) -> tuple[int, float, str]:
    """Run archdsl within the limits. Return its exit code, its CPU time in seconds and its output."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "archdsl", *command],
        cwd=folder, env=environment, capture_output=True, check=False, preexec_fn=limited,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, seconds, (done.stdout + done.stderr).decode("utf-8", "replace")


def tried(title: str, path: Path, settings: list[str]) -> bool:
    """Run each command on a spec, and print what came of it. Return whether all stayed within the limits."""
    chosen = [word for setting in settings for word in ("--set", setting)]
    commands = [["check", *chosen], ["check", "--format", "json", *chosen], ["check", "--format", "sarif", *chosen]]
    commands += [["cost", *chosen], ["cost", "--by", "layer"], ["diff", path.name], ["fmt", "--check"]]
    commands += [["compile", "-o", "out.py", "--force", *chosen]]
    results: list[str] = []
    sound = True
    accepted = True
    for command in commands:
        if not accepted and command[0] in ("cost", "diff", "compile"):
            continue
        name, *options = command
        code, seconds, output = run([name, path.name, *options], path.parent)
        accepted = accepted and (name != "check" or code == 0)
        fits = code in (0, 1) and "Traceback" not in output and len(output) < OUTPUT
        results.append(f"{name} {code} {seconds:.1f} s" + ("" if fits else f" [{output.strip()[-200:]}]"))
        sound = sound and fits
    print(f"{'' if sound else 'NOT WITHIN THE LIMITS: '}{title}: {'; '.join(results)}", flush=True)
    return sound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="texts to try, by a part of their names (default: all)")
    chosen = parser.parse_args().names
    cases = [(name, body, []) for part in (LAYERS, ARITHMETIC, FAULTS, SIZES) for name, body in part.items()]
    cases += [(name, body, []) for name, body in VARIANTS.items()]
    cases += [(f"set {name}", f"param n = 1\n{STEM}", settings) for name, settings in SETTINGS.items()]
    bad = 0
    for name, body, settings in cases:
        if chosen and not any(part in name for part in chosen):
            continue
        with TemporaryDirectory() as folder:
            is_variant = isinstance(body, tuple) and isinstance(body[1], dict)
            path = variant(Path(folder), *body) if is_variant else plain(Path(folder), body)
            bad += not tried(name, path, settings)
    print(f"{bad} not within the limits")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
