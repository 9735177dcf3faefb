"""Rules of good reading for generated modules: names of classes, parameters, arguments, rates.

Held on all specs as they are compiled, and on random programs: some here, five hundred in `make records`.
"""

from __future__ import annotations

import ast
import re
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import pytest
from programs import program
from programs.check import Texts
from repository import ROOT
from small import full

from archdsl.core.diagnostics import SpecError
from archdsl.core.source import Source
from archdsl.files import FileLibrary, read_source
from archdsl.ir.regions import Block, walk
from archdsl.pipeline import analyse, module_text
from archdsl.targets.torch.class_names import camel, ordinal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archdsl.pipeline import Analysis

SPECS = sorted((ROOT / "specs").glob("*.arch"))
CHUNK = 50  # programs of one test
# Templates take numbers apart, such as queries and keys, whether or not a network gives both the same.
OF_TEMPLATES = {
    "PoolingAttention",
    "Latents",
    "Shift",
    "Windows",
    "ShiftedWindows",
    "RelativePositions",
    "Pool",
    "MaxPool",
}


def remarks(analysis: Analysis, text: str) -> Iterator[str]:
    """Yield what a reviewer would say of a module."""
    tree = ast.parse(text)
    network = analysis.network
    labels = {network.name, network.family}
    for region in walk(network.regions):
        labels |= {region.top.path, region.top.stage, *region.name.split(".")}
        labels |= {region.signature.name} if isinstance(region, Block) else set()
    digits = {camel(label) for label in labels if label[-1:].isdigit()}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for cls in classes:
        if cls.name[-1].isdigit() and not any(cls.name.endswith(label) for label in digits):
            yield f"{cls.name} ends in a digit, and nothing in the spec does"
        yield from _about_calls(cls, tree)
        yield from _unread(cls, tree)
    yield from _twice(classes)
    yield from _in_code(tree)
    if found := next(_lists_of_rates(tree), ""):
        yield f"rates that grow by equal steps are listed: {found}"
    for node in ast.walk(tree):
        elements = node.elts if isinstance(node, ast.Tuple) else []  # lists are of tensors: torch.cat([x, x, x])
        names = [n.id for n in elements if isinstance(n, ast.Name)]
        if len(names) == 3 and len(set(names)) == 1 and names[0] not in ("int", "Tensor"):  # types
            yield f"{ast.unparse(node)}: one number, three times"


def _about_calls(cls: ast.ClassDef, tree: ast.Module) -> Iterator[str]:
    init = next((n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == cls.name]
    if init is None or not calls or any(cls.name.endswith(name) for name in OF_TEMPLATES):
        return
    names = [a.arg for a in init.args.args[1:]]
    defaults = dict(zip(reversed(names), reversed([ast.unparse(d) for d in init.args.defaults]), strict=False))
    given = [
        {**defaults, **dict(zip(names, map(ast.unparse, call.args), strict=False))}
        | {str(k.arg): ast.unparse(k.value) for k in call.keywords}
        for call in calls
    ]
    kinds = {a.arg: ast.unparse(a.annotation) for a in init.args.args if a.annotation is not None}
    # One call says nothing: its numbers may be equal by chance, as 64 channels of 64.
    varies = len({tuple(sorted(g.items())) for g in given}) > 1
    for one, other in combinations(names, 2):
        if {one, other} == {"queries", "keys"}:  # of a bias: equal where a network pools neither
            continue
        if varies and kinds[one] == kinds[other] and all(g.get(one) == g.get(other) for g in given):
            yield f"{cls.name}: {one} and {other} are always equal"
    for call in calls:
        is_list = init.args.vararg is not None  # of modules, which have no names
        if len(call.args) + len(call.keywords) > 3 and len(call.args) > 1 and not is_list:
            yield f"{ast.unparse(call)}: arguments without a name"


def _twice(classes: list[ast.ClassDef]) -> Iterator[str]:
    """Classes of blocks and layers with the same code, which one class could be."""
    first: dict[str, str] = {}
    for cls in classes:
        doc = ast.get_docstring(cls) or ""
        code = ast.unparse(ast.Module(cls.body[1:] if doc else cls.body, []))
        if not doc.startswith("Stage ") and (other := first.setdefault(code, cls.name)) != cls.name:
            yield f"{other} and {cls.name} are the same"


def _unread(cls: ast.ClassDef, tree: ast.Module) -> Iterator[str]:
    """Numbers that a class keeps and nothing reads."""
    made = [n for n in ast.walk(cls) if isinstance(n, ast.Assign) and not isinstance(n.value, ast.Call)]
    found = [t for n in made for t in n.targets if isinstance(t, ast.Attribute)]
    read = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}
    yield from (f"{cls.name}: {n.attr} is never read" for n in found if n.attr not in read)


def _in_code(tree: ast.Module) -> Iterator[str]:
    """Expressions that say something twice or in too many digits."""
    for node in ast.walk(tree):
        text = ast.unparse(node) if isinstance(node, ast.Call | ast.BinOp) else ""
        if isinstance(node, ast.FunctionDef):
            yield from _conversions(node)
        elif re.fullmatch(r"(channels|width) \+ \1", text):
            yield f"{text} is twice the number"
        elif re.match(r"self\.(shortcut|head)\(.*\)\.", text):
            yield f"{text}: the module itself gives another layout"
        elif re.search(r"\d, None, None\]\.mean\(", text):
            yield f"{text}: a mean of selected tokens over axes that were only put there"
        elif text.startswith("DropPath(") and re.search(r"\.\d{7}", text):
            yield f"{text}: more digits than a rate has"
        elif text.startswith("rearrange(") and ", n=" in text:
            left = re.sub(r"\(.*?\)", "", text.partition("'")[2].partition(" ->")[0])
            if "n" in left.split():
                yield f"{text}: heads are an axis already"


def _conversions(function: ast.FunctionDef) -> Iterator[str]:
    """Changes of layout that are computed twice from one variable."""
    seen: set[str] = set()
    for statement in function.body:
        for call in (n for n in ast.walk(statement) if isinstance(n, ast.Call)):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "movedim":
                if (code := ast.unparse(call)) in seen:
                    yield f"{function.name}: {code} is computed twice"
                seen |= {code} if isinstance(call.func.value, ast.Name) else set()
        stored = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        seen = {code for code in seen if code.partition(".")[0] not in stored}


def _lists_of_rates(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        values = [n.value for n in getattr(node, "elts", ()) if isinstance(n, ast.Constant)]
        numbers = [v for v in values if isinstance(v, float)]
        steps = [b - a for a, b in pairwise(numbers)]
        if len(numbers) > 3 and max(steps) - min(steps) < 1e-4 < max(steps):
            yield ast.unparse(node)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_specs(path: Path) -> None:
    assert not list(remarks(full(path)._analysis, (ROOT / "generated" / f"{path.stem}.py").read_text("utf-8")))


@pytest.mark.parametrize("chunk", [0, 1, *(pytest.param(n, marks=pytest.mark.records) for n in range(2, 500 // CHUNK))])
def test_programs(chunk: int) -> None:
    accepted = 0
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        case = program(seed)
        try:
            analysis = analyse(Source(f"{case.name}.arch", case.texts[case.name]), Texts(case.texts))
        except SpecError:
            continue
        accepted += 1
        text = module_text(analysis)
        assert not list(remarks(analysis, text)), f"seed {seed}\n{case.text}"
    assert accepted > CHUNK / 2


def test_of_equal_parameters_the_plain_name_stays() -> None:
    tree = ast.parse(module_text(analyse(read_source(str(ROOT / "specs" / "r3d_18.arch")), FileLibrary())))
    basic = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Basic")
    init = next(n for n in basic.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    assert [a.arg for a in init.args.args] == ["self", "channels", "width", "stride"]  # not `t_stride`, as large


NAMED = """
arch named
input clip: video[3, 4, 16, 16]
block around() {
    add {
        conv(8, [1, 3, 3]) -> relu as near -> conv(8, [3, 1, 1])
        (conv(8) -> bn) as keep2 -> conv(8) -> bn
        near -> sigmoid
        keep2 -> conv(8)
    } -> bn as unread -> residual { conv(8) }
}
stage conv1 { conv(8, 3) -> around }
head: avgpool -> linear(3)
"""


def test_values_have_the_names_by_which_the_spec_reads_them() -> None:
    text = module_text(analyse(Source("named.arch", NAMED), FileLibrary()))
    forward = text[text.index("class Around") :].partition("def forward")[2].partition("class ")[0]
    assert re.findall(r"near = (.*)", forward) == ["F.relu(self.conv1(x))"]
    assert "keep2 =" not in forward  # a function may be called so
    assert "unread" not in forward.replace("self.unread", "")


APART = {
    "hiera_b": ["WindowHiera", "WindowDownsamplingHiera", "GlobalHiera", "GlobalDownsamplingHiera"],
    "avslowfast_r50": ["SplitAudioBottleneck", "AudioBottleneck"],
    "movinet_a0_stream": ["Inverted", "InvertedWithTime", "DownsamplingInverted", "DownsamplingInvertedWithTime"],
    "x3d_s": ["MobileBottleneck", "MobileBottleneckWithSqueezeExcitation"],
    "mvitv2_s_shifted": ["WindowMultiscale", "GlobalMultiscale"],
}


@pytest.mark.parametrize("name", APART)
def test_classes_of_a_block_are_named_by_what_sets_them_apart(name: str) -> None:
    found = re.findall(r"^class (\w+)", (ROOT / "generated" / f"{name}.py").read_text("utf-8"), re.MULTILINE)
    assert set(APART[name]) <= set(found)


def test_outputs_of_an_encoder_have_the_names_of_its_stages_in_its_decoder() -> None:
    text = (ROOT / "generated" / "unet_r3d_18.py").read_text("utf-8")
    assert "res2, res3, res4, res5 = self._stages(clip)" in text
    assert re.findall(r"self\.decoder\d\((.*?)\)", text) == ["res5, res4", "x, res3", "x, res2"]


def test_halves_of_the_channels_are_chunks_at_each_width() -> None:
    text = (ROOT / "generated" / "rev_mvit_b.py").read_text("utf-8")
    assert "(x.chunk(2, dim=-1)[0] + x.chunk(2, dim=-1)[1]) / 2" in text


def test_a_loop_over_rates_begins_at_zero() -> None:
    text = (ROOT / "generated" / "aim_b.py").read_text("utf-8")
    assert "nn.Sequential(*(AimLayer(rate=0.2 * i / 11) for i in range(12)))" in text


ONE_GROUP = """
arch one_group
input clip: video[3, 4, 8, 8]
block look(axes: symbol) { residual { layernorm -> attention(2, over = axes) } }
stage s1 { conv(8, 3) -> avgpool([all, 1, 1]) -> class_token -> look(space) -> look(space_time) -> select(grid) }
stage s2 { avgpool([1, all, 1]) -> class_token -> look(width) -> attention(4, over = space) -> select(grid) }
stage s3 { TIMES }
head: avgpool -> linear(3)
"""


@pytest.mark.parametrize(("line", "expected"), [
    ("linear(8)", ["Attention", "Look"]),
    ("attention(2, over = height)", ["SpaceTimeAttention", "HeightAttention", "Look"]),  # of each column on its own
])  # fmt: skip
def test_attentions_of_all_positions_share_a_class_whichever_axes_these_lie_along(
    line: str, expected: list[str]
) -> None:
    text = module_text(analyse(Source("one_group.arch", ONE_GROUP.replace("TIMES", line)), FileLibrary()))
    assert re.findall(r"^class (\w*(?:Attention|Look))", text, re.MULTILINE) == expected


BETWEEN = """
arch between
input clip: video[3, 4, 8, 8]
path p = clip
path q = clip
stage s1 {
    q: conv(4, 3) as c
    p: c -> conv(5, 3) -> linear(6) as d
    q: d -> add { linear(4), conv(4, 3), conv(4, 1), linear(4) }
}
stage s2 { p: conv(4, 3) }
head: concat { p -> avgpool, q -> avgpool } -> linear(3)
"""


def test_a_value_is_converted_once_for_a_stage_that_is_not_one_call_and_those_behind() -> None:
    text = module_text(analyse(Source("between.arch", BETWEEN), FileLibrary()))
    stages = text[text.index("def _stages") :].partition("\n    def ")[0]
    assert re.findall(r"\bp\w*\.movedim\(.*?\)", stages) == ["p.movedim(-1, 1)"]


WORDS = {
    1: "First",
    2: "Second",
    12: "Twelfth",
    19: "Nineteenth",
    20: "Twentieth",
    21: "TwentyFirst",
    99: "NinetyNinth",
}


@pytest.mark.parametrize("number", WORDS)
def test_ordinals(number: int) -> None:
    assert ordinal(number) == WORDS[number]


def test_ordinals_are_words_and_differ() -> None:
    words = [ordinal(n) for n in range(1, 1000)]
    assert len(set(words)) == len(words)
    assert not any(re.search(r"\d", word) for word in words)
