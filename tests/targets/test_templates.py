"""What templates declare of their code is what Python's own parser finds in it, for all forms in specs and programs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from programs import program
from programs.check import Texts
from repository import ROOT
from saved_memory import LAYERS, TINY

from archdsl.core.diagnostics import SpecError
from archdsl.core.names import declared
from archdsl.core.source import Source
from archdsl.files import FileLibrary, read_source
from archdsl.layers.attributes import Reference
from archdsl.layers.bias import Bias
from archdsl.pipeline import analyse, module_text
from archdsl.targets.python.reader import expression
from archdsl.targets.python.tree import Leaf, Name, Precedence
from archdsl.targets.torch import layers
from archdsl.targets.torch.operands import Operand

if TYPE_CHECKING:
    from archdsl.pipeline import Analysis

IMPORTED = {"torch", "F", "rearrange", "repeat"}
PROGRAMS = 60
BIASES = """
arch biases
input clip: video[8, 2, 4, 4]
stage one {
    attention(2) {
        q: layernorm -> linear(8)
        kv: linear(8)
        bias: decomposed
        bias: table
        bias: alibi
        bias: continuous(4)
    }
}
head: avgpool -> linear(2)
"""
SPECS = [*sorted(ROOT.glob("specs/*.arch"))[::3], ROOT / "specs/slowfast_4x16_r50_ttoc.arch"]


class Printed(NamedTuple):
    """One form of a layer's code."""

    kind: str
    number: int  # of operands
    code: Any

    def apply(self, *exprs: Any) -> str:
        return " ".join(str(self.code.apply(*map(Operand, exprs))).split())


def accepted(seed: int) -> Analysis | None:
    """Return a random program; None if it is refused."""
    case = program(seed)
    try:
        return analyse(Source(f"{case.name}.arch", case.texts[case.name]), Texts(case.texts))
    except SpecError:
        return None


@pytest.fixture(scope="module")
def printed() -> list[Printed]:
    """Every form of code that some specs and programs need."""
    found: dict[Any, Printed] = {}
    write = layers._bundled

    def recorded(layer: Any, plan: dict[str, Any], *rest: Any) -> Any:
        code = write(layer, plan, *rest)
        key = (layer.written_as or layer.kind, *(f"{k}={v}" for k, v in plan.items() if k != "layer"))
        found.setdefault(key, Printed(layer.written_as or layer.kind, number_of(layer), code))
        return code

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_bundled", recorded)
        for spec in SPECS:
            module_text(analyse(read_source(str(spec)), FileLibrary()))
        for text in (BIASES, *(TINY.replace("LAYERS", chain) for chain in LAYERS)):
            module_text(analyse(Source("tiny.arch", text), FileLibrary()))
        for seed in range(PROGRAMS):
            analysis = accepted(seed)
            if analysis is not None:
                module_text(analysis)
    return list(found.values())


def number_of(layer: Any) -> int:
    if isinstance(layer, Bias):
        return int(layer.takes_queries)
    named = [key for key, kind in layer.attributes.items() if isinstance(kind, Reference) and layer.values()[key]]
    return 2 if layer.many else 1 + len(named) + layer.reads_clip


def operands(form: Printed) -> list[Name]:
    return [Name("first"), Name("second"), Name("third")][: form.number]


def test_every_layer_with_a_template_is_among_them(printed: list[Printed]) -> None:
    kinds = {path.name.partition(".")[0] for path in (ROOT / "templates/layers").glob("*.py.j2")}
    assert {form.kind for form in printed} == kinds


def test_precedence_is_declared(printed: list[Printed]) -> None:
    for form in printed:
        code = form.apply(*operands(form))
        assert expression(code).precedence == form.code.precedence, (form.kind, code)


def test_names_of_imports_are_declared(printed: list[Printed]) -> None:
    for form in printed:
        code = f"{form.apply(*operands(form))}, {form.code.module or 'x'}"
        read = {n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)}
        assert read & IMPORTED == form.code.names, (form.kind, code)


def test_names_of_definitions_are_declared(printed: list[Printed]) -> None:
    defined: dict[str, set[str]] = {}
    for form in printed:
        body = ast.parse(form.code.support).body
        defined.setdefault(form.kind, set()).update(
            n.name for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef))
        )
    for kind, names in defined.items():
        source = Path(ROOT / f"templates/layers/{kind}.py.j2").read_text("utf-8")
        assert names <= set(declared(source)), kind


def test_operands_have_brackets_where_they_need_them(printed: list[Printed]) -> None:
    """An operand that binds as loosely as one can is the same part of the tree as a name."""
    loose = Leaf("a if b else c", Precedence.CONDITIONAL)
    for form in printed:
        names = operands(form)
        with_names = ast.dump(ast.parse(form.apply(*names)))
        dumped = ast.dump(ast.parse(loose.text, mode="eval").body)
        for name in names:
            with_names = with_names.replace(ast.dump(ast.parse(name.id, mode="eval").body), dumped)
        assert ast.dump(ast.parse(form.apply(*[loose] * len(names)))) == with_names, form.kind


def test_ruff_leaves_modules_of_random_programs_alone(tmp_path: Path) -> None:
    """For training and for inference, in lines of 88 columns."""
    for seed in range(PROGRAMS):
        analysis = accepted(seed)
        for target in ("train", "infer") if analysis is not None else ():
            (tmp_path / f"program{seed}_{target}.py").write_text(module_text(analysis, target=target), "utf-8")
    command = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout
    assert len(list(tmp_path.iterdir())) > PROGRAMS
