"""Functions and classes that templates print: broken into lines as ruff does, renamed where they are meant."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import Any

import pytest

from archdsl.targets.python.definitions import definitions, refitted, renamed
from archdsl.targets.torch.support import Support, Wanted

# As a template prints it: lines of any length, broken where its conditions made that handy.
PRINTED = '''
class Windows(nn.Module):
    """Windows of a grid, moved by half of their size along every second block of a stage, as in Swin (Liu 2021)."""

    def __init__(self, channels: int, heads: int, window: tuple[int, int, int], dropout: float, *rest: int) -> None:
        super().__init__()
        self.index = distances(
            window,
        )
        # A comment stays, and so does a short line.
        self.counts = [-(-n // (k * d)) for n, k, d in zip(channels, heads, window, strict=True) if n > 1 and k > 1]
        if channels > 1 and heads > 1 and self.counts[0] != self.counts[1] and self.counts[2] != self.index.shape[0]:
            self.qkv = nn.Linear(3 * channels, bias=False)  # queries, keys, values
        elif self.counts[0] == self.counts[1] or self.counts[1] == self.counts[2] or self.counts[0] == channels:
            raise ValueError(f"expected {channels}, found something else")
        for number, (count, size) in enumerate(zip(self.counts_of_windows, self.sizes_of_windows, strict=True)):
            self.register_buffer(f"index{number}", torch.zeros(count, size), persistent=False)
        y = F.scaled_dot_product_attention(
            q, self.reached(k), v, scale=1.0
        )
        return y.flatten(1, 2).transpose(1, 2) + torch.cat([self.first_token_of_clip, self.last_token_of_clip], dim=1)


def distances(window: tuple[int, int, int]) -> Tensor:
    return torch.arange(window[0])
'''.strip()


def formatted(code: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "-"]
    return subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout


def without_docstring(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = " ".join(node.value.split())
    return ast.dump(tree)


def test_ruff_leaves_refitted_code_alone() -> None:
    code = refitted(PRINTED) + "\n"
    assert formatted(code) == code
    assert without_docstring(code) == without_docstring(PRINTED)
    assert "# A comment stays" in code
    assert "# queries, keys, values" in code


PARAMETERS = (
    "",
    "self",
    "*others: Tensor",
    "self, x: Tensor",
    "grid: tuple[int, int, int]",
    "channels: int, grid: tuple[int, int, int]",
    "x: Tensor, **sizes: dict[str, tuple[int, int]]",
    "self, x: Tensor, mask: Tensor | None = None, sizes: tuple[int, int, int] = (1, 7, 7), drop: float = 0.0",
)
RETURNS = ("", "None", "Tensor", "tuple[Tensor, Tensor]", "list[tuple[nn.Module, list[Tensor]]]", "Tensor | None")


def test_signatures_break_as_ruff_breaks_them_whatever_the_name() -> None:
    """As a function that is renamed may have one of any length: every third is tried with each kind of signature."""
    heads = [f"({p}){f' -> {r}' if r else ''}:" for p in PARAMETERS for r in RETURNS]
    names = [(f"f{n}_".ljust(length, "x"), head) for n, head in enumerate(heads) for length in range(5, 95, 3)]
    code = "\n\n".join(f"def {name}{head}\n    pass\n" for name, head in names)
    assert refitted(code) == formatted(code)


def test_refitting_is_done_once() -> None:
    assert refitted(refitted(PRINTED)) == refitted(PRINTED)


def test_definitions_have_their_names_and_what_they_read() -> None:
    windows, distances = definitions(PRINTED)
    assert (windows.name, distances.name) == ("Windows", "distances")
    assert {"nn", "F", "torch", "distances"} <= windows.names
    assert distances.names == {"tuple", "int", "Tensor", "torch", "window"}


def test_only_functions_and_classes_are_definitions() -> None:
    with pytest.raises(TypeError, match="x = 1"):
        definitions("x = 1\n\n\ndef f() -> None:\n    pass")


def test_a_name_changes_where_it_is_meant() -> None:
    code = '''
class Pool(Base):
    """Pool of a grid: what Pooling is."""

    def forward(self, x: Pool, pool: int) -> Tensor:
        return Pool(x.Pool, Pool="Pool", other=lambda: Pool)


def own(Pool: int) -> int:
    return Pool
'''
    assert (
        renamed(code, {"Pool": "Pool2"})
        == '''
class Pool2(Base):
    """Pool2 of a grid: what Pooling is."""

    def forward(self, x: Pool2, pool: int) -> Tensor:
        return Pool2(x.Pool, Pool="Pool", other=lambda: Pool2)


def own(Pool: int) -> int:
    return Pool
'''
    )


def test_a_definition_that_differs_gets_another_name_and_so_does_what_reads_it() -> None:
    text = "def a() -> int:\n    return f(1)\n\n\ndef f(n: int) -> int:\n    return n{}"
    support = Support()
    support.taken = {"f_of_stage"}
    wanted = Wanted(words=("Stage",))
    assert support.add(text.format(""), wanted) == {}
    assert support.add(text.format(""), wanted) == {}
    assert support.add(text.format(" + 1"), wanted) == {"f": "second_f", "a": "a_of_stage"}
    printed = "\n\n\n".join("\n".join(s.lines) for s in support.statements())
    scope: dict[str, Any] = {}
    exec(printed, scope)
    assert (scope["a"](), scope["a_of_stage"]()) == (1, 2)
