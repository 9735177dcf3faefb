"""Reports of faults in the lines of a layer: words that take no lines, lines with unknown names, missing branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import did_you_mean
from archdsl.core.grid import FRAME
from archdsl.frontend import ast
from archdsl.layers.attention_arguments import BIAS_LINE, LETTERS, LINES, RESULT_LINE, TOKEN
from archdsl.layers.base import divisors
from archdsl.layers.bias import Bias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.core.grid import Grid
    from archdsl.elaborate.context import Context, Flow
    from archdsl.elaborate.fault_reporter import FaultReporter
    from archdsl.elaborate.layer_names import LayerNames
    from archdsl.elaborate.line_graph import LineGraph

NAMES_HINT = "lines are called `q`, `k`, `v`, `qk`, `qv`, `kv`, `qkv`, the same behind `token_`, `bias` and `proj`"
MEANT = {
    "query": "q", "queries": "q", "key": "k", "keys": "k", "value": "v", "values": "v", "to_q": "q", "to_k": "k",
    "to_v": "v", "to_kv": "kv", "to_qkv": "qkv", "out": RESULT_LINE, "output": RESULT_LINE, "out_proj": RESULT_LINE,
    "o": RESULT_LINE, "projection": RESULT_LINE, "position": BIAS_LINE, "biases": BIAS_LINE,
}  # fmt: skip


def check_takes_lines(link: ast.Lines, names: LayerNames, context: Context) -> bool:
    """Return True if the layer of a link can be written in lines; else report it."""
    name = link.name.id
    cls = names.find(name)
    if cls is not None and cls.takes_lines:
        return True
    if cls is None and name not in context.module.blocks:
        names.report_unknown(ast.Layer(link.name.span, link.name, ()), context, first=False)
        return False
    known = " and ".join(f"`{k}`" for k, c in names.layers.items() if c.takes_lines)
    hint = f"{known} has lines such as `qkv: linear(64)`"
    if cls is not None and cls.many:
        hint = f"the branches of a join have no names: `{name} {{ conv(64), conv(64, 3) }}`"
    elif cls is None:
        hint = f"a block is called with arguments alone; {hint}"
    names.faults.report("E0105", link.name.span, f"`{name}` takes no lines", hint)
    return False


def report_unknown_line(line: ast.BranchLine, faults: FaultReporter) -> None:
    """Report a line whose name is that of no branch."""
    name = line.name.id
    letters = "".join(n for n in LETTERS if n in name)
    meant = MEANT.get(name.lower(), letters if sorted(letters) == sorted(name.lower()) else "")
    hint = f"`{meant}: {line.chain.span.text}`" if meant and "\n" not in line.chain.span.text else ""
    hint = hint or did_you_mean(name, (*LINES, BIAS_LINE)) if len(name) > 3 else hint
    hint = hint if hint.startswith(("`", "did you mean")) else ""
    faults.report("E0202", line.name.span, f"no line is called `{name}`", hint or NAMES_HINT)


def report_missing(link: ast.Lines, missing: Sequence[str], faults: FaultReporter) -> None:
    """Report branches that stand in no line."""
    text = " and ".join([", ".join(f"`{n}`" for n in missing[:-1]), f"`{missing[-1]}`"][len(missing) == 1 :])
    prefix = TOKEN if missing[0].startswith(TOKEN) else ""
    name, letters = link.name.id, prefix + "".join(n.removeprefix(prefix) for n in missing)
    hint = f"in braces nothing is implied: `{letters}: linear(in.channels)` projects, `{letters}: in` does not"
    if not link.body:
        hint = f"without braces `{name}` has plain projections; in braces each of `q`, `k` and `v` stands in a line"
    faults.report("E0402", link.name.span, f"no line has {text}", hint)


def report_bias(line: ast.BranchLine, names: LayerNames) -> None:
    """Report a line `bias` that is no bias of scores."""
    known = [f"`{n}`" for n, cls in sorted(names.layers.items()) if issubclass(cls, Bias)]
    hint = f"the biases are {', '.join(known[:-1])} and {known[-1]}"
    names.faults.report("E0202", line.chain.span, "this is no bias of scores", hint)


def report_braces(link: ast.Merge, faults: FaultReporter) -> bool:
    """Report several chains, or arguments, of braces that hold one chain; return True if there are."""
    name = link.name.id
    if len(link.branches) > 1:
        hint = f"a join inside has several: `{name} {{ add {{ …, … }} }}`"
        faults.report("E0405", link.name.span, f"`{name}` holds one chain", hint)
    elif link.arguments:
        faults.report("E0403", link.arguments[0].span, f"`{name}` takes no arguments", "leave it out")
    return len(link.branches) > 1 or bool(link.arguments)


def report_passing(link: ast.Merge, inside: Flow, result: Flow, nodes: LineGraph, faults: FaultReporter) -> bool:
    """Report positions that do not go with the tokens that pass, those of what enters; return True if there are."""
    shapes = [[nodes.view.of(nodes.bundle(f).shape(n), n) for f in (inside, result)] for n in nodes.branches]
    for entered, left in shapes:
        if int(entered.channels) != int(left.channels):
            label = f"{int(left.channels)} channels of positions beside tokens of {int(entered.channels)}"
            hint = "the same channels; or tokens left out, by `select(grid)`"
            faults.report("E0501", link.branches[0].span, label, hint)
            return True
    frames = next((s for n, s in zip(nodes.branches, shapes, strict=True) if nodes.view.tokens[n].scope == FRAME), None)
    if frames is not None and int(frames[0].t) != int(frames[1].t):
        label = f"{int(frames[1].t)} frames of positions beside tokens of {int(frames[0].t)}"
        faults.report("E0502", link.branches[0].span, label, "as many frames; or tokens left out, by `select(grid)`")
        return True
    if nodes.carries(result):
        return False
    label = f"`{link.name.id}` lets the tokens of what enters pass, and this chain goes on from another value"
    hint = f"the other value in front: `… -> {link.name.id} {{ … }}`; or joined: `add {{ in, … }}`"
    faults.report("E0511", link.branches[0].span, label, hint)
    return True


def report_heads(link: ast.Merge, shape: Grid, heads: int, faults: FaultReporter) -> bool:
    """Report channels that the heads do not divide; return True if they do not."""
    if shape.channels % heads:
        label = f"{int(shape.channels)} channels cannot be split into {int(heads)} heads"
        faults.report("E0508", link.name.span, label, divisors("heads", shape.channels, nearest=heads))
    return bool(shape.channels % heads)
