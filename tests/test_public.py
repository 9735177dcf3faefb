"""Public names: Python functions and their signatures, names for authors of layers, JSON keys, tensor names.

Functions, names and keys are written down here by hand, from README.md and docs/: whatever is listed stays as it is,
and more may be added. Names of tensors are those of data/tensor_names.txt.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from typing import Any

import pytest
from command_line import TINY, Shell
from documents import PAGES
from error_documents import fences
from repository import ROOT, TESTS
from small import full
from tensor_names import digests, read, spec_files

import archdsl
from archdsl.analysis.compare import Difference
from archdsl.layers import attributes, base
from archdsl.targets.torch.ops.added import AddedLayer
from archdsl.transfer.plan import TransferPlan
from archdsl.weights.plan import Plan

# --- Python --------------------------------------------------------------------------------------------------------

NAMES = (
    "Architecture", "SpecError", "UsageError", "__version__", "convert_weights", "diff", "load", "loads",
    "revert_weights", "transfer_weights",
)  # fmt: skip
SIGNATURES = {
    "load": "path, clip=None, like=None, recipe=None, **params",
    "loads": "text, clip=None, like=None, recipe=None, **params",
    "diff": "base, arch",
    "convert_weights": "arch, state_dict, source, to='archdsl', key=''",
    "revert_weights": "arch, state_dict, source",
    "transfer_weights": "base, state_dict, arch, source='archdsl', key='', **rules",
    "Architecture.build": "self, without=(), target='train', fitted=None, num_classes=None, **arguments",
    "Architecture.cost": "self, by='stage'",
    "Architecture.diagram": (
        "self, level='stage', direction='tb', title=True, costs=True, only=None, width=None, theme='auto'"
    ),
    "Architecture.difference_from": "self, base",
    "Architecture.fit_memory": "self, max_activation, batch, without=()",
    "Architecture.memory": "self, batch",
    "Architecture.plan_transfer": "self, base, **rules",
    "Architecture.plan_weights": "self, source",
    "Architecture.source": "self, without=(), target='train', fitted=None",
}
PROPERTIES = {
    archdsl.Architecture: "name parameters params macs recipe tensors graph warnings",
    Difference: "differ parameters inputs stages layers tensors",
    TransferPlan: "entries unused is_complete",
    Plan: "theirs",
}


def written(signature: inspect.Signature) -> list[str]:
    """The parameters of a function without their types."""
    return [str(p.replace(annotation=p.empty)) for p in signature.parameters.values()]


def test_names_of_the_package() -> None:
    assert set(NAMES) <= set(archdsl.__all__)
    assert all(hasattr(archdsl, name) for name in archdsl.__all__)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name: str) -> None:
    """Parameters may be added at the end, with a default; not where `**` takes names that users choose."""
    function: Any = archdsl
    for part in name.split("."):
        function = getattr(function, part)
    signature, expected = inspect.signature(function), SIGNATURES[name].split(", ")
    found = written(signature)
    assert found[: len(expected)] == expected
    more = list(signature.parameters.values())[len(expected) :]
    assert not more or not expected[-1].startswith("**")
    assert all(p.default is not p.empty for p in more)


@pytest.mark.parametrize(("owner", "names"), PROPERTIES.items(), ids=lambda v: getattr(v, "__name__", None))
def test_properties(owner: type, names: str) -> None:
    known = {*dir(owner), *getattr(owner, "__annotations__", ())}
    assert set(names.split()) <= known


PYTHON = [
    pytest.param(fence.text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, fence in enumerate(fences(page.read_text("utf-8")))
    if fence.kind == "python" and re.search(r"^import archdsl$", fence.text, re.MULTILINE)
]


@pytest.mark.parametrize("code", PYTHON)
def test_calls_in_the_documents_can_be_made(code: str) -> None:
    """Functions called on archdsl and on an architecture (`arch`, `base`) exist and take these arguments."""
    tried = 0
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        owner = {"archdsl": archdsl, "arch": archdsl.Architecture, "base": archdsl.Architecture}.get(node.value.id)
        if owner is not None:
            assert hasattr(owner, node.attr), ast.unparse(node)
            tried += 1
    for call in ast.walk(ast.parse(code)):
        if isinstance(call, ast.Call) and re.match(r"(archdsl|arch)\.\w+$", name := ast.unparse(call.func)):
            owner, receiver = (archdsl, []) if name.startswith("archdsl.") else (archdsl.Architecture, [None])
            function = getattr(owner, name.partition(".")[2])
            arguments = [*receiver, *call.args], {str(k.arg): k.value for k in call.keywords}
            inspect.signature(function).bind(*arguments[0], **arguments[1])
            tried += 1
    assert tried >= 2


def test_graph_of_an_architecture(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("graph") / "tiny.arch"
    path.write_text(TINY, "utf-8")
    graph = archdsl.load(path).graph
    for _, data in graph.nodes(data=True):
        assert {"kind", "attributes", "path", "stage", "shape", "params", "macs"} <= data.keys()
    assert all("shape" in data for _, _, data in graph.edges(data=True))


# --- authors of layers (docs/layers.md) ----------------------------------------------------------------------------

OF_BASE = "ANY_LAYOUT CHANNELS_LAST GRID Layer ShapeError TOKENS Use VECTOR layer slide"
OF_ATTRIBUTES = "Choice Flag Integer Numbers Real Size"


def test_names_for_authors_of_layers() -> None:
    assert [name for name in OF_BASE.split() if not hasattr(base, name)] == []
    assert [name for name in OF_ATTRIBUTES.split() if not hasattr(attributes, name)] == []


def test_what_layers_declare_is_a_member_of_the_layer() -> None:
    """Every name that docs/layers.md says a layer can declare has a default in the base of added layers."""
    page = (ROOT / "docs" / "layers.md").read_text("utf-8")
    table = page.split("## Declarations")[1].split("## ")[0]
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")][1:]
    names = {name for cell in cells for name in re.findall(r"`(\w+)(?: = \w+)?`", cell)}
    assert {"infer", "weights", "macs", "class_signature"} <= names
    others = {"Grid", "ShapeError"}
    assert [name for name in sorted(names - others) if not hasattr(AddedLayer, name)] == []


# --- JSON: the keys that are always there, of lists those of each element -------------------------------------------

COST_ROW = "name path shape params macs activations"
SIDE = "spec options name params macs activations output"
STAGE = "stage path shape params macs activations"
LAYER = "kind attributes frozen inputs shape token tensors params macs activations"
PLACE = "file range.start.line range.start.column range.start.offset range.end.line range.end.column range.end.offset"


def below(prefix: str, keys: str) -> str:
    return " ".join(f"{prefix}.{key}" for key in keys.split())


PUBLISHED = below("published", "params macs input source counted.params counted.macs")
COST = f"arch params macs activations convention input output {below('stages[]', COST_ROW)}"
WITH_BATCH = f"{COST} batch memory stages[].memory {below('layers[]', COST_ROW)} layers[].memory"
DIFF = " ".join(
    (
        "differ ratio.params ratio.macs ratio.activations",
        below("base", SIDE),
        below("arch", SIDE),
        *(below(f"{part}[]", "name status base arch") for part in "parameters inputs stages layers tensors".split()),
    )
)
# Of what is in both networks: of what is new or gone, one side is null.
DIFF_SIDES = " ".join(
    below(f"{part}[].{side}", keys)
    for side in ("base", "arch")
    for part, keys in (("inputs", "kind place shape token"), ("stages", STAGE), ("layers", LAYER))
)
PLAN = " ".join(
    (
        "arch gpu gpus gpus_per_node efficiency memory reserve optimizer.name optimizer.momentum optimizer.ema batch",
        below("choices[]", "strategy checkpointing largest_batch batch fits communication_share clips_per_second"),
        below("choices[].memory", "total parameters gradients optimizer ema buffers casts gathered"),
        below("choices[].memory.activations", "clips kept more"),
        below("choices[].seconds", "step forward backward again optimizer communication waiting"),
        "best.strategy best.checkpointing",
    )
)
CHECK = f"[].code [].severity [].title [].message [].notes [].help {below('[]', PLACE)}"
SPEC = ROOT / "specs" / "slow_4x16_r50.arch"
OTHER = ROOT / "specs" / "slow_r50.arch"
CALLED = """\
arch called
input clip: video[3, 8, 32, 32]
block b(x) { conv(x) -> rellu }
stage one { b(3) }
head: avgpool -> linear(5)
"""


def missing(data: Any, path: str) -> bool:
    """Tell whether a key is missing, in one element of a list or more; an empty list has no elements to look at."""
    if not path:
        return False
    key, _, rest = path.partition(".")
    if key.endswith("[]"):
        items = data.get(key[:-2]) if key != "[]" else data
        return not isinstance(items, list) or any(missing(item, rest) for item in items)
    return not isinstance(data, dict) or key not in data or missing(data[key], rest)


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        (f"{COST} {PUBLISHED}", ["cost", "--json", SPEC]),
        (WITH_BATCH, ["cost", "--json", "--by", "layer", "--batch", "2", SPEC]),
        (COST + " " + below("blocks[]", COST_ROW), ["cost", "--json", "--by", "block", SPEC]),
        (DIFF, ["diff", "--json", SPEC, OTHER]),
        (DIFF_SIDES, ["diff", "--json", SPEC, OTHER]),
        (f"{PLAN} choices[].hours", ["plan", "--json", SPEC, "--gpu", "a100", "--gpus", "8", "--videos", "1000"]),
    ],
    ids=["cost", "cost-layer", "cost-block", "diff", "diff-sides", "plan"],
)
def test_keys(keys: str, command: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    ran = Shell(capsys)(*command)
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert [key for key in keys.split() if missing(data, key)] == []
    for key in {key.partition("[]")[0] for key in keys.split() if "[]" in key}:
        assert data[key], f"{key} is empty, so it shows nothing"


def test_keys_of_check(capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("check") / "called.arch"
    path.write_text(CALLED, "utf-8")
    ran = Shell(capsys)("check", "--format", "json", path)
    assert ran.code == 1
    data = json.loads(ran.out)
    noted = " ".join((CHECK, "[].notes[].message", below("[].notes[]", PLACE)))
    assert data
    assert data[0]["notes"]
    assert [key for key in noted.split() if missing(data, key)] == []


def test_missing_keys_are_found() -> None:
    data = {"a": {"b": 1}, "items": [{"x": None}, {"x": 1, "y": 2}]}
    assert not any(missing(data, key) for key in ("a", "a.b", "items[]", "items[].x"))
    assert all(missing(data, key) for key in ("c", "a.c", "a.b.c", "items[].y", "a[]"))
    assert not missing([{"x": 1}], "[].x")
    assert missing([{"x": 1}], "[].y")


# --- tensors -------------------------------------------------------------------------------------------------------

RECORDED = read(TESTS / "data" / "tensor_names.txt")


@pytest.mark.parametrize("name", RECORDED)
def test_names_and_shapes_of_tensors(name: str) -> None:
    assert digests(full(spec_files(ROOT / "specs")[name]).tensors) == RECORDED[name]


def test_each_name_and_shape_of_a_tensor_counts() -> None:
    tensors = {"res2.0.weight": (3, 4), "res2.1.weight": (3, 4), "head.bias": (5,)}
    same = digests(tensors)
    assert same.keys() == {"res2", "head"}
    assert digests(dict(reversed(tensors.items()))) == same
    assert digests({**tensors, "res2.0.weight": (4, 3)})["res2"] != same["res2"]
    assert digests({**tensors, "res2.2.weight": (3, 4)})["res2"] != same["res2"]
    assert digests({n.replace("res2.1", "res2.2"): s for n, s in tensors.items()})["res2"] != same["res2"]
