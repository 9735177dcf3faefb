"""Cures in the user's own words: lines of Python and YAML as lines of a spec.

`rewritten` tries the rules one by one. Each recognises a line by its text and the unexpected token, and prints what to
write in its place; habits that say the same of every line are in `habits`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archdsl.frontend.translate import SIGNATURES, chain_of, dictionary_of, plain, value_of
from archdsl.frontend.unexpected import Cure, closing

if TYPE_CHECKING:
    from collections.abc import Callable

    from archdsl.frontend.unexpected import Unexpected

_PYTHON = {
    "torch", "torchvision", "numpy", "math", "typing", "os", "sys", "timm", "einops", "functools", "dataclasses",
    "pytorchvideo", "mmaction", "tensorflow", "keras", "__future__", "collections", "yaml", "archdsl",
}  # fmt: skip
_TYPES = {"float": "number", "str": "string", "tuple": "list", "Tuple": "list", "List": "list", "dict": "list"}
_NAMES = {"name", "model", "arch", "architecture", "network"}  # keys of YAML whose value is the name of a spec
_STAGES = {"stages", "layers", "backbone", "blocks", "modules", "body", "net", "features", "neck"}
_HEADS = {"output", "outputs", "out", "classifier", "cls_head", "logits", "fc", "heads", "prediction"}
_INPUTS = {"input", "inputs", "input_size", "input_shape", "clip", "clip_size", "shape", "in_shape"}
_BRACED = ("STAGE", "FOR", "IF", "ELSE", "BLOCK")
_WORDS = {"yes": "on", "Yes": "on", "True": "on", "no": "off", "No": "off", "False": "off"}
_BELOW = "and `}` below what belongs to it"


def rewritten(fault: Unexpected) -> Cure | None:
    """Return the cure for a line, if the line is known from another language."""
    return next((found for rule in _RULES if (found := rule(fault)) is not None), None)


def _begins(fault: Unexpected) -> bool:
    """Return True if the token begins a statement of a spec."""
    return not fault.line and "STAGE" in fault.accepted


def _whole(fault: Unexpected) -> tuple[int, int]:
    return fault.line_start, fault.line_start + len(fault.line_text)


def _value(text: str) -> str:
    """Return a value of Python or YAML as one of the language."""
    bare = re.sub(r"^[&!]\w+\s+", "", text.strip().rstrip(",;"))
    return _WORDS.get(bare) or value_of(bare) or bare


def _is_layers(text: str) -> bool:
    """Return True if a text is a chain of layers rather than a value."""
    first = re.match(r"\s*(?:\w+\.)*(\w+)\s*(\(?)", text)
    return "->" in text or bool(first and plain(first[1]) in {*SIGNATURES, "sequential", "cat"})


# --- headers and statements of Python --------------------------------------------------------------------------------


def _function(fault: Unexpected) -> Cure | None:
    found = re.match(r"(?:async\s+)?(?:def|function|fn|func)\s+(\w+)\s*\(([^()]*)\)[^{]*(\{.*)?", fault.line_text)
    if fault.line or not found:
        return None
    name, parameters, body = found.groups()
    if name in ("forward", "__init__", "call", "__call__"):
        return Cure(f"leave out `{name}`: a chain is where its layers are declared, and the order in which they run")
    kept = [p.strip() for p in parameters.split(",") if p.strip() not in ("self", "x", "")]
    header = f"block {name}({', '.join(kept)})"
    return Cure(f"write `{header} {body}`" if body else f"a chain with parameters is a block: `{header} {{`, {_BELOW}")


def _class(fault: Unexpected) -> Cure | None:
    found = re.match(r"class\s+([A-Za-z]\w*)\s*(?:\([\w.,\s]*\))?\s*[:{]?\s*$", fault.line_text)
    if not found or fault.position:
        return None
    return Cure(f"a spec begins with `arch {found[1]}`; its layers stand in stages, `stage NAME {{ CHAIN }}`")


def _import(fault: Unexpected) -> Cure | None:
    found = re.match(r"(?:from\s+([\w.]+)\s+import|import\s+([\w.]+))\b", fault.line_text)
    if fault.first not in ("IMPORT", "FROM") or not found:
        return None
    path = (found[1] or found[2]).strip(".").removesuffix(".arch").split(".")
    if path[0] in _PYTHON:
        return Cure("leave out this line: layers are known without an import", part=_whole(fault))
    if fault.first == "IMPORT" and fault.token.type not in ("DOT", "AS"):
        return None
    return Cure(f"write `import {path[-1]}`: its blocks are known by their own names")


def _assertion(fault: Unexpected) -> Cure | None:
    found = re.match(r"(?:assert|require)\s+(.*\b([A-Za-z_]\w*)\b.*)", fault.line_text)
    if fault.line or not found or not re.search(r"[=!<>]=|[<>]|\bin\b", found[1]):
        return None
    condition = found[1].partition(",")[0]
    name = re.search(r"[A-Za-z_]\w*", condition)
    hint = f"`param {name[0]} = … where {condition}`" if name else "`param NAME = VALUE where CONDITION`"
    return Cure(f"a condition stands behind its parameter: {hint}")


def _sign(fault: Unexpected) -> Cure | None:
    """Recognise `head = …`, `path slow: …`, `stage conv1 = …`, `stage: conv1` and `extends BASE` alone."""
    text = fault.line_text
    head = re.fullmatch(r"head\s*=\s*(.+)", text)
    if head:
        return Cure(f"write `head: {chain_of(head[1]) or head[1]}`")
    given = re.fullmatch(r"(path|let|recipe)\s+(\w+)\s*:\s*(.+)", text)
    if given and fault.token.type == "COLON":
        return Cure(f"write `{given[1]} {given[2]} = {given[3]}`")
    stage = re.fullmatch(r"stage\s+([\w{}]+)\s*=\s*([^{}]+)", text)
    if stage and fault.token.type == "EQUAL":
        return Cure(f"braces hold what belongs to it: `stage {stage[1]} {{ {chain_of(stage[2]) or stage[2]} }}`")
    key = re.fullmatch(r"stage\s*:\s*(\w+)", text)
    if key:
        return Cure(f"braces hold what belongs to it: `stage {key[1]} {{`, {_BELOW}")
    base = re.fullmatch(r"(?:extends|inherits|base:)\s+(\w+)", text)
    return Cure(f"a variant has a name of its own: `arch NAME extends {base[1]}`") if base else None


def _branches(fault: Unexpected) -> Cure | None:
    """Recognise `q, k, v: …` among the lines of an attention."""
    found = re.search(r"(?:^|[{,;])\s*([qkv](?:\s*[,+&|/]\s*[qkv])+)\s*:\s*([^{},;]*)", fault.line_text)
    if not found or fault.token.type not in ("COLON", "COMMA", "PLUS", "VBAR"):
        return None
    letters = "".join(letter for letter in "qkv" if letter in found[1])
    return Cure(f"the letters of branches are one word: `{letters}: {found[2].strip() or 'CHAIN'}`")


def _computed_label(fault: Unexpected) -> Cure | None:
    found = re.match(r"stage\s+(\w*)\{\s*([^{}]*[^{}\w][^{}]*?)\s*\}", fault.source.text[_stage_start(fault) :])
    if not found or not fault.opened or fault.token.type not in ("PLUS", "MINUS", "STAR", "FLOOR", "LSQB"):
        return None
    part = fault.opened[-1].start_pos or 0, closing(fault.source.text, fault.opened[-1].start_pos or 0)
    label = f"`let n = {found[2]}` before it, and `stage {found[1]}{{n}} {{ … }}`"
    return Cure(f"a label holds names in braces, and nothing else: {label}", part=part)


def _stage_start(fault: Unexpected) -> int:
    stages = [t.start_pos or 0 for t in fault.line if t.type == "STAGE"]
    return stages[-1] if stages else len(fault.source.text)


def _braces(fault: Unexpected) -> Cure | None:
    """Recognise `for i in 1..3:`, `stage conv1:`, and headers without any braces."""
    if "LBRACE" not in fault.accepted or fault.first not in (*_BRACED, "RBRACE"):
        return None
    start = (fault.token.start_pos or 0) - fault.line_start
    header, body = fault.line_text[:start].rstrip(), fault.rest
    if fault.token.type == "_NL":
        header, body = fault.line_text, ""
    elif fault.token.type == "COLON":
        body = body[1:].strip()
    elif not _is_chain_of_stage(fault):
        return None
    loop, iterates, values = header.partition(" in ")
    if re.search(r"\b(?:range|enumerate)\(", values):
        header = f"{loop}{iterates}{value_of(values) or values}"
    if body:
        return Cure(f"braces hold what belongs to it: `{header} {{ {chain_of(body) or body} }}`")
    return Cure(f"braces hold what belongs to it: `{header} {{`, {_BELOW}")


def _is_chain_of_stage(fault: Unexpected) -> bool:
    """Return True if layers stand right behind the label of a stage."""
    after = fault.after.type if fault.after is not None else ""
    begins = fault.token.type == "RESIDUAL" or (
        fault.token.type == "NAME" and after in ("LPAR", "ARROW", "_NL", "STAR")
    )
    return begins and [t.type for t in fault.line] in (["STAGE", "NAME"], ["STAGE", "LABEL"])


def _else_if(fault: Unexpected) -> Cure | None:
    found = re.match(r"(?:elif|elseif|elsif)\s+(.*?)\s*(:\s*$|\{.*)", fault.rest)
    if not found:
        return None
    return Cure(f"write `else if {found[1]} {{`, on the line of the closing brace or the next")


def _label(fault: Unexpected) -> Cure | None:
    """Recognise a label as an f-string."""
    kinds = [t.type for t in fault.line[-2:]]
    if fault.token.type != "STRING" or kinds != ["STAGE", "NAME"] or not fault.adjoins:
        return None
    return Cure(f"a label has its numbers in braces, without quotes: `stage {fault.token.strip(chr(34))}`")


def _repeated_stage(fault: Unexpected) -> Cure | None:
    found = re.fullmatch(r"(stage\s+\S+\s*\{\s*)([^{}]*?)(\s*\})\s*\*\s*(\w+)", fault.line_text)
    if fault.token.type != "STAR" or not found:
        return None
    before, chain, after, count = found.groups()
    repeat = f"({chain}) * {count}" if "->" in chain else f"{chain} * {count}"
    return Cure(f"layers are repeated, not stages: `{before}{repeat}{after}`")


# --- assignments -----------------------------------------------------------------------------------------------------


def _assignment(fault: Unexpected) -> Cure | None:
    """Recognise assignments, as a line of a spec or of a stage."""
    text = fault.source.text[fault.phrase[0].start_pos or 0 :] if fault.phrase else fault.line_text
    found = re.match(r"(self\.)?([A-Za-z_]\w*)\s*(//|[-+*/%])?=(?!=)\s*(.+)", text)
    if not found or fault.token.type not in ("NAME", "EQUAL") or len(fault.phrase) > 1:
        return None
    name, sign, value = found[2], found[3], found[4].rstrip()
    if fault.phrase and not _begins(fault):
        value = value[: closing("{" + value, 0) - 1].rstrip(" }")
    if fault.token.type == "NAME" and not _begins(fault):
        return None
    return _update(name, sign, value) if sign else _assigned(name, value, in_stage=bool(fault.phrase))


def _update(name: str, sign: str, value: str) -> Cure:
    return Cure(f"values do not change: the new one has a name of its own, `let NAME = {name} {sign} {_value(value)}`")


def _assigned(name: str, value: str, *, in_stage: bool) -> Cure:
    if _is_layers(value):
        chain = chain_of(value) or value
        if in_stage:
            return Cure(f"layers stand where they run, and `as` gives them a name: `{chain} as {name}`")
        return Cure(f"layers stand in stages: `stage {name} {{ {chain} }}`")
    entries = dictionary_of(value)
    if entries:
        return _dictionary(entries)
    value = _value(value)
    return Cure(f"`let {name} = {value}` names a value, `param {name} = {value}` declares one that users can set")


def _dictionary(entries: dict[str, str]) -> Cure:
    values = ", ".join(f"{key} = {value}" for key, value in entries.items())
    return Cure(f"there are no dictionaries: each value has its name, `let {values}`")


def _braced_value(fault: Unexpected) -> Cure | None:
    """Recognise a dictionary as a value."""
    start = fault.token.start_pos or 0
    if fault.token.type != "LBRACE" or fault.first not in ("PARAM", "LET"):
        return None
    entries = dictionary_of(fault.source.text[start : closing(fault.source.text, start)])
    return _dictionary(entries) if entries else None


# --- keys and items of YAML ------------------------------------------------------------------------------------------


def _key(fault: Unexpected) -> Cure | None:
    """Recognise `key: value`, `name: type = value`, and a key with items below it."""
    found = re.match(r"([A-Za-z_]\w*)\s*:(?!=)\s*(.*)", fault.line_text)
    if not _begins(fault) or fault.token.type != "NAME" or not found:
        return None
    key, value = found.groups()
    items = [i.lstrip("- ") for i in fault.below if i.startswith("-")]
    if key.lower() in _NAMES and re.fullmatch(r"\W*\w+\W*", value):
        return Cure(f"a spec begins with its name: `arch {value.strip(chr(34) + chr(39))}`")
    sizes = re.fullmatch(r"[\[(](.*?)[\])]", value)
    if key.lower() in _INPUTS and sizes and sizes[1].count(",") == 3:
        return Cure(f"write `input clip: video[{sizes[1]}]`, with [channels, frames, height, width]")
    if key.lower() in _STAGES and not value.startswith("["):
        layers = [*items, *fault.below][: len(items) or None]
        inside = _chain_text([_item_text(layer) for layer in layers] or [value])
        return Cure(f"layers stand in stages: `stage NAME {{ {inside} }}`")
    if key.lower() in _HEADS and (_is_layers(value) or value in ("avgpool", "linear")):
        return Cure(f"what the network gives is its head: `head: {chain_of(value) or value}`")
    if _is_layers(value):
        text = f"`stage NAME {{ {key}: {chain_of(value) or value} }}`"
        return Cure(f"a line of a path stands in a stage: {text}", code="E0103")
    return _typed(key, value) or _keyed(key, value, items)


def _typed(key: str, value: str) -> Cure | None:
    found = re.fullmatch(r"([A-Za-z_][\w\[\], ]*?)\s*=\s*(.+)", value)
    if not found:
        return None
    kind = _TYPES.get(found[1].partition("[")[0], found[1])
    return Cure(f"write `param {key}: {kind} = {_value(found[2])}`, which users can set")


def _keyed(key: str, value: str, items: list[str]) -> Cure | None:
    if items and not value:
        return Cure(f"write `param {key} = [{', '.join(map(_value, items))}]`")
    return Cure(f"a value is given by `=`: `param {key} = {_value(value)}`") if value else None


def _parameter_with_items(fault: Unexpected) -> Cure | None:
    items = [i.lstrip("- ") for i in fault.below if i.startswith("-")]
    found = re.fullmatch(r"(param|let)\s+(\w+)\s*[:=]?", fault.line_text)
    if fault.token.type != "_NL" or not items or not found:
        return None
    return Cure(f"write `{found[1]} {found[2]} = [{', '.join(map(_value, items))}]`")


def _chain_text(layers: list[str]) -> str:
    """Return layers as a chain; `CHAIN` if one of them is none of the language."""
    written = [re.fullmatch(r"[A-Za-z_]\w*(?:\([^{}:]*\).*|\s*->.*)?", layer) for layer in layers]
    return " -> ".join(layers) if all(written) else "CHAIN"


def _item_text(item: str) -> str:
    """Return a layer as YAML lists it: `- conv: 64`, `conv(64, 3)`."""
    key = re.fullmatch(r"(\w+)\s*:\s*(.*)", item.lstrip("- "))
    text = item.lstrip("- ") if key is None else f"{key[1]}({key[2]})" if key[2] else key[1]
    return chain_of(text) or text


def _item(fault: Unexpected) -> Cure | None:
    """Recognise `- item`, and the mark `---` between documents."""
    if fault.line or fault.token.type not in ("MINUS", "ARROW"):
        return None
    if re.fullmatch(r"-{3,}", fault.line_text):
        return Cure("leave it out: a spec begins with `arch NAME`", part=_whole(fault))
    if fault.token.type == "ARROW" or fault.after is None or fault.after.type != "NAME":
        return None
    return Cure(f"lines have no `-` before them: `{_item_text(fault.line_text)}`", run="items")


def _header(fault: Unexpected) -> Cure | None:
    """Recognise `arch: net`."""
    found = re.fullmatch(r"arch\s*[:=]\s*\W?(\w+)\W?", fault.line_text)
    return Cure(f"write `arch {found[1]}`") if found and fault.first == "ARCH" else None


def _merged(fault: Unexpected) -> Cure | None:
    found = re.match(r"<<\s*:\s*\*(\w+)", fault.line_text)
    if fault.line or not found:
        return None
    header = re.search(r"^arch\s+(\w+)", fault.source.text, re.MULTILINE)
    name = header[1] if header else "NAME"
    return Cure(f"a variant names its base in the first line: `arch {name} extends {found[1]}`", part=_whole(fault))


def _input(fault: Unexpected) -> Cure | None:
    """Recognise an input whose name or kind is missing."""
    found = re.match(r"input\b\s*(\w*)[^\[(]*[\[(]([^\])]+)[\])]", fault.line_text)
    kinds = ("COLON", "EQUAL", "NAME", "LSQB", "LPAR")
    if fault.first != "INPUT" or fault.token.type not in kinds or not found or found[2].count(",") != 3:
        return None
    name = found[1] if found[1] not in ("", "video") else "clip"
    return Cure(f"write `input {name}: video[{found[2].strip()}]`, with [channels, frames, height, width]")


def _head(fault: Unexpected) -> Cure | None:
    """Recognise a head whose layers stand below it."""
    if fault.token.type != "_NL" or not re.fullmatch(r"head\s*:", fault.line_text) or not fault.below:
        return None
    layers = [_item_text(line.removeprefix("->")).strip() for line in fault.below]
    return Cure(f"a head is one chain: `head: {' -> '.join(layers)}`")


_RULES: tuple[Callable[[Unexpected], Cure | None], ...] = (
    _function, _class, _import, _assertion, _sign, _branches, _computed_label, _braces, _else_if, _label,
    _repeated_stage, _assignment, _braced_value, _key, _parameter_with_items, _item, _header, _merged, _input, _head,
)  # fmt: skip
