"""Code of Python and PyTorch as text of the language, for the cures in messages.

Python's own parser reads the code. What has no equivalent here gives None: the message then does without.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import NoReturn

from archdsl.frontend.signatures import ALIASES, OWN, SIGNATURES, SPELLINGS, WITHOUT_EFFECT, Signature

_OPEN, _CLOSE = {"(", "[", "{"}, {")", "]", "}"}
MAX_CODE = 300  # characters; longer code is no slip of the pen

# What a chain does without, and what joins values.
NOTHING = set(
    "flatten view reshape permute transpose squeeze unsqueeze contiguous identity softmax logsoftmax unflatten".split()
)
_SLIDING = {"conv", "maxpool", "avgpool"}
_JOINS = {"cat": "concat", "concat": "concat", "concatenate": "concat", "stack": "concat", "add": "add"}
_SEQUENCES = {"sequential", "modulelist"}
_FUNCTIONAL = {"F", "torch", "nn.functional", "functional", "torch.nn.functional"}
_OF_VALUES = {"int", "len", "min", "max", "sum", "round", "floor", "ceil", "abs"}
_FUNCTIONS = {"int": "floor", "abs": "max"}
_PURE = (
    ast.Name, ast.Constant, ast.List, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call,
    ast.Subscript, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip


class _Untranslatable(Exception):
    """A part of the code has no equivalent."""


def plain(name: str) -> str:
    """Normalise a name without prefixes and suffixes of libraries: `BatchNorm3d` and `batch_norm` are `batchnorm`."""
    bare = re.sub(r"^(nn|f|tf|keras|torch)_", "", name.rpartition(".")[2].lower()).replace("_", "")
    return re.sub(r"(?<=[a-z]{2})[123]d$", "", bare)


def value_of(code: str) -> str | None:
    """Return a value of Python as one of the language: `(1, 3, 3)` is `[1, 3, 3]`, `True` is `on`."""
    node = _parsed(code)
    try:
        return None if node is None else _value(node)
    except _Untranslatable:
        return None


def chain_of(code: str) -> str | None:
    """Return layers of Python code as a chain: `F.relu(nn.Conv3d(3, 64, 3))` is `conv(64, 3) -> relu`.

    Links that `->` joins already are translated one by one; a chain that needs no translation returns as it is.
    """
    try:
        links = [_chain(_known(_parsed(link))) for link in _links(code)]
    except _Untranslatable:
        return None
    return " -> ".join(link for link in links if link) or None


def named_chain(code: str) -> str | None:
    """Return an assignment of layers as a chain with a name: `self.conv1 = nn.Conv3d(3, 64, 3)`."""
    name, _, layers = code.partition("=")
    chain = chain_of(layers)
    found = re.fullmatch(r"\s*(?:self\.)?([A-Za-z_]\w*)\s*", name)
    return f"{chain} as {found[1]}" if chain is not None and found else None


def dictionary_of(code: str) -> dict[str, str] | None:
    """Return the values of a dictionary by their names."""
    node = _parsed(code)
    if not isinstance(node, ast.Dict):
        return None
    try:
        found = {_text(key): _value(value) for key, value in zip(node.keys, node.values, strict=True)}
    except _Untranslatable:
        return None
    return found if all(name.isidentifier() for name in found) else None


# --- reading ---------------------------------------------------------------------------------------------------------


def _parsed(code: str) -> ast.expr | None:
    if len(code) > MAX_CODE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _links(code: str) -> list[str]:
    """Return the parts of a chain between the arrows that stand in no brackets."""
    links, depth = [""], 0
    for part in re.split(r"(->|[()\[\]{}])", code):
        depth += (part in _OPEN) - (part in _CLOSE)
        if part == "->" and depth == 0:
            links.append("")
        else:
            links[-1] += part
    return links


def _known(node: ast.expr | None) -> ast.expr:
    return node if node is not None else _refuse()


def _refuse() -> NoReturn:
    raise _Untranslatable


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else _refuse()


def _literal(node: ast.expr | None) -> object:
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


# --- values ----------------------------------------------------------------------------------------------------------


class _Values(ast.NodeTransformer):
    """Translator of values; what the language spells differently becomes a name with that spelling."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, bool):
            return ast.Name("on" if node.value else "off")
        if isinstance(node.value, str):
            return ast.Name('"' + node.value.replace("\\", "\\\\").replace('"', '\\"') + '"')
        return node if isinstance(node.value, (int, float)) else _refuse()

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        return self.visit(ast.List(node.elts, ast.Load()))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) > 1:
            return _refuse()
        sign = node.ops[0]
        if isinstance(sign, (ast.Is, ast.IsNot)):
            sign = ast.Eq() if isinstance(sign, ast.Is) else ast.NotEq()
        return ast.Compare(self.visit(node.left), [sign], [self.visit(c) for c in node.comparators])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = _name(node.func).rpartition(".")[2]
        if node.keywords:
            return _refuse()
        if name in ("range", "arange"):
            return ast.Name(_range(node.args))
        arguments = [self.visit(a) for a in node.args]
        if name == "enumerate" and len(arguments) == 1:
            return ast.Name(f"zip(0.., {_value(node.args[0])})")
        if name == "abs" and len(arguments) == 1:
            arguments.append(ast.UnaryOp(ast.USub(), arguments[0]))
        return ast.Call(ast.Name(_FUNCTIONS.get(name, name)), arguments, [])


def _value(node: ast.expr) -> str:
    translated = _Values().visit(node)
    if not all(isinstance(part, _PURE) for part in ast.walk(translated)):
        return _refuse()
    return ast.unparse(ast.fix_missing_locations(translated))


def _range(arguments: list[ast.expr]) -> str:
    """Return the range of `range(…)`, whose end belongs to it."""
    if not 1 <= len(arguments) <= 2:
        return _refuse()
    *first, last = arguments
    count = _literal(last)
    end = str(count - 1) if isinstance(count, int) else f"{_value(last)} - 1"
    return f"{_value(first[0]) if first else '0'}..{end}"


def _name(node: ast.expr) -> str:
    """Return a name, with those of modules before it."""
    if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else _refuse()


# --- chains ----------------------------------------------------------------------------------------------------------


def _chain(node: ast.expr) -> str:
    """Return an expression of layers as a chain; empty if nothing of it is left."""
    if isinstance(node, ast.Name):
        return "" if plain(node.id) in NOTHING else node.id
    if isinstance(node, ast.ListComp):
        return _repeated(node)
    if isinstance(node, ast.BinOp):
        return _combined(node)
    if isinstance(node, (ast.List, ast.Tuple)):
        return _joined(*map(_chain, node.elts))
    return _call(node) if isinstance(node, ast.Call) else _refuse()


def _call(node: ast.Call) -> str:
    function, inner = node.func, node.args
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call):  # a method of a layer
        return _joined(_chain(function.value), _layer(function.attr, inner, node.keywords))
    if isinstance(function, ast.Call):  # a layer that is called with its input
        return _joined(*map(_input, inner), _chain(function))
    name = _name(function)
    if plain(name) in _JOINS and inner:
        branches = inner[0].elts if isinstance(inner[0], (ast.List, ast.Tuple)) else inner
        return f"{_JOINS[plain(name)]} {{ {', '.join(_chain(b) or _refuse() for b in branches)} }}"
    if plain(name) in _SEQUENCES:
        return _joined(*(_chain(a.value if isinstance(a, ast.Starred) else a) for a in inner))
    if inner and (name.rpartition(".")[0] in _FUNCTIONAL or (isinstance(inner[0], ast.Call) and _is_layer(inner[0]))):
        return _joined(_input(inner[0]), _layer(name, inner[1:], node.keywords))
    return _layer(name, inner, node.keywords)


def _is_layer(call: ast.Call) -> bool:
    """Return True if a call cannot be one of a function of values."""
    return not isinstance(call.func, ast.Name) or call.func.id not in _OF_VALUES


def _joined(*links: str) -> str:
    return " -> ".join(filter(None, links))


def _input(node: ast.expr) -> str:
    """Return what a layer is called with; a chain goes on from an input without naming it."""
    return "" if isinstance(node, ast.Name) else _chain(node)


def _repeated(node: ast.ListComp) -> str:
    """Return `[LAYER for i in range(n)]` as a repeat."""
    loop = node.generators[0]
    counted, variable = loop.iter, loop.target
    if len(node.generators) > 1 or loop.ifs or not isinstance(counted, ast.Call) or not isinstance(variable, ast.Name):
        return _refuse()
    if _name(counted.func) != "range" or len(counted.args) != 1:
        return _refuse()
    return repeat(re.sub(rf"\b{variable.id}\b", "index", _chain(node.elt)), _value(counted.args[0]))


def repeat(chain: str, count: str) -> str:
    """Return a chain that is repeated."""
    grouped = f"({chain})" if " -> " in chain else chain
    return f"{grouped} * {count if re.fullmatch(r'[A-Za-z0-9_]+', count) else f'({count})'}"


def _combined(node: ast.BinOp) -> str:
    """Return a sum of values as a residual, or as a join, and a product as a repeat."""
    if isinstance(node.op, ast.Mult):
        return repeat(_chain(node.left), _value(node.right))
    if not isinstance(node.op, ast.Add):
        return _refuse()
    names = [isinstance(side, ast.Name) for side in (node.left, node.right)]
    if any(isinstance(side, ast.Name) and side.id in OWN for side in (node.left, node.right)):
        return _refuse()  # a sign between layers, which may stand for an arrow
    left, right = _chain(node.left), _chain(node.right)
    if names in ([True, False], [False, True]):
        return f"residual {{ {left if names[1] else right} }}"
    return f"add {{ {left}, {right} }}"


def _layer(name: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> str:
    """Return a call of a layer with the attributes that it has here."""
    last = name.rpartition(".")[2]
    bare = ALIASES.get(plain(name), plain(name))
    if last.lower().endswith("1d"):
        return _refuse()
    activation = next((k.value for k in keywords if k.arg in ("activation", "act")), None)
    if activation is not None:
        kept = [k for k in keywords if k.value is not activation]
        return _joined(_layer(name, arguments, kept), _activation(activation))
    signature = SIGNATURES.get(bare)
    if bare in NOTHING:
        return ""
    if signature is not None and name != name.lower().rpartition(".")[2]:
        given = _given(signature, arguments, keywords)
        return _adapted(bare, signature, _of_frames(given) if last.lower().endswith("2d") else given)
    return _own_layer(last, arguments, keywords) if last == last.lower() else _refuse()


def _activation(node: ast.expr) -> str:
    """Return the layer of an argument `activation="relu"`, or of `activation=nn.ReLU()`; empty for none."""
    if isinstance(node, ast.Constant) and node.value in (None, "linear"):
        return ""
    if isinstance(node, ast.Constant):
        return _layer(_text(node), [], [])
    return _chain(node) if isinstance(node, ast.Call) else _layer(_name(node), [], [])


def _of_frames(given: dict[str, ast.expr]) -> dict[str, ast.expr]:
    """Return arguments of a layer of images as those of the layer of videos that does the same frame by frame."""
    changed = dict(given)
    for name, frame in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
        sizes = [int(n) for n in re.findall(r"\d+", str(_literal(given.get(name))))]
        height, width = sizes * 2 if len(sizes) == 1 else sizes if len(sizes) == 2 else (frame, frame)
        if (height, width) != (frame, frame):
            changed[name] = ast.Tuple([ast.Constant(frame), ast.Constant(height), ast.Constant(width)])
    return changed


def _given(signature: Signature, arguments: list[ast.expr], keywords: list[ast.keyword]) -> dict[str, ast.expr]:
    """Return the arguments by the names of PyTorch's parameters."""
    names = [w.partition("=")[0] for w in signature.parameters.split()]
    if len(arguments) > len(names) or any(isinstance(a, ast.Starred) for a in arguments):
        return _refuse()
    named = {SPELLINGS.get(k.arg or _refuse(), k.arg or ""): k.value for k in keywords if k.arg not in WITHOUT_EFFECT}
    return dict(zip(names, arguments, strict=False)) | named


def _adapted(bare: str, signature: Signature, given: dict[str, ast.expr]) -> str:
    """Return the call of a layer with arguments of PyTorch's."""
    ours = dict(w.split("=") for w in signature.parameters.split() if "=" in w)
    values = {ours[k]: _value(node) for k, node in given.items() if k in ours}
    if bare in ("conv", "linear") and "out" not in values:  # as it is called here: `Linear(400)`
        values["out"] = _value(next(iter(given.values()), None) or _refuse()) if len(given) == 1 else _refuse()
    if bare == "conv" and "kernel" not in values and len(given) == 2:  # `Conv3d(64, 3)`: most likely as it is here
        first, second = map(_literal, given.values())
        if isinstance(first, int) and not (isinstance(second, int) and second >= first):
            values |= {"out": str(first), "kernel": values["out"]}
    _check_supported(bare, given)
    _pad(bare, given, values)
    _fill(bare, values)
    order = list(ours.values())
    parts: list[str] = []
    for attribute in sorted(values, key=order.index):
        is_bare = len(parts) < signature.unnamed and order.index(attribute) == len(parts)
        parts.append(values[attribute] if is_bare else f"{attribute} = {values[attribute]}")
    return f"{signature.layer}({', '.join(parts)})" if parts else signature.layer


def _own_layer(name: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> str:
    """Return a call of a layer or block that is called by its name here."""
    parts = [*map(_value, arguments), *(f"{k.arg or _refuse()} = {_value(k.value)}" for k in keywords)]
    return f"{name}({', '.join(parts)})" if parts else name


def _check_supported(bare: str, given: dict[str, ast.expr]) -> None:
    """Refuse a dilation of a pool, and a pool to several positions."""
    if bare != "conv" and _literal(given.get("dilation")) not in (None, 1, (1, 1, 1)):
        _refuse()
    if bare == "adaptiveavgpool" and _literal(given.get("output_size")) not in (None, 1, (1, 1, 1)):
        _refuse()


def _fill(bare: str, values: dict[str, str]) -> None:
    """Write defaults of PyTorch's that differ from those here, and leave out those here."""
    if bare in ("maxpool", "avgpool") and "kernel" in values:
        values.setdefault("stride", values["kernel"])
    for name, default in (("bias", "off"), ("dilation", "1"), ("ceil", "off"), ("count_padding", "on")):
        if bare in _SLIDING and values.get(name) == default:
            del values[name]
    if bare == "dropout":
        values.setdefault("p", "0.5")


def _pad(bare: str, given: dict[str, ast.expr], values: dict[str, str]) -> None:
    """Write half of the kernel, and 0, as words; the default is left out: half of the kernel, for `avgpool` none."""
    kernel, padding = _literal(given.get("kernel_size")), _literal(given.get("padding"))
    if "padding" not in values:
        return
    if padding == _half(kernel):
        values["padding"] = "half"
    elif padding in ("same", "valid", "causal", 0):
        values["padding"] = str(padding or "valid")
    if values["padding"] == ("valid" if bare == "avgpool" else "half"):
        del values["padding"]


def _half(kernel: object) -> object:
    """Return the padding that keeps the grid under an odd kernel."""
    if isinstance(kernel, int):
        return kernel // 2
    return tuple(int(k) // 2 for k in re.findall(r"\d+", str(kernel))) if kernel else None
