"""`archdsl weights plan` and `transfer`: the weights of a variant, made of those of the network it began as."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.commands.common import (
    analysed,
    analysed_pair,
    base_analysed,
    missing_packages,
    same_file,
    show_diagnostics,
)
from archdsl.core.diagnostics import SpecError
from archdsl.core.fold import folded
from archdsl.core.report import Reporter
from archdsl.core.table import aligned
from archdsl.core.values import describe
from archdsl.elaborate.program import Resolver
from archdsl.files import FileLibrary, UsageError, WeightsError, read_source
from archdsl.pipeline import command as compile_command
from archdsl.pipeline import plan_transfer, plan_weights
from archdsl.transfer.plan import Rules, plan_json, unneeded
from archdsl.transfer.steps import COPIED, VERBS
from archdsl.weights.plan import OWN
from archdsl.weights.shapes import shape_text
from archdsl.weights.sources import find_map

if TYPE_CHECKING:
    import argparse

    from archdsl.pipeline import Analysis
    from archdsl.transfer.plan import Entry, TransferPlan
    from archdsl.weights.plan import Plan


def plan(arguments: argparse.Namespace) -> int:
    """Prints how each tensor of a variant comes from those of a base."""
    base, variant = analysed_pair(arguments)
    show_diagnostics([*base.warnings, *variant.warnings])
    found = _planned(base, variant, arguments)
    _print(found, arguments)
    return int(arguments.strict and not found.is_complete)


def transfer(arguments: argparse.Namespace) -> int:
    """Writes the weights of a variant."""
    source, output = arguments.source, Path(arguments.output)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the result is a safetensors file; name it {output.with_suffix('.safetensors')}")
    if same_file(output, arguments.checkpoint):
        raise UsageError(f"{output}: is the checkpoint itself; name another file with -o")
    if source != OWN:
        program = Resolver(FileLibrary(), Reporter()).resolve(read_source(arguments.base))
        find_map(program, source, FileLibrary(), "--from")
    base = base_analysed(arguments, like=source if source != OWN else None)
    variant = _variant(arguments, base)
    names = replace(plan_weights(base, FileLibrary(), source, "--from"), option="--base-set")
    show_diagnostics([*base.warnings, *variant.warnings, *names.warnings])
    found = _planned(base, variant, arguments)
    if arguments.strict and not found.is_complete:
        _print(found, arguments)
        raise WeightsError(f"{output}: not written, as --strict asks: tensors are new or not used")
    missing_packages("torch", "einops", "safetensors")
    _write(arguments, variant, names, found)
    _print(found, arguments)
    if not arguments.json:
        print(f"\n{arguments.checkpoint} → {output}: {len(found.entries)} tensors")
        spec = arguments.spec or arguments.base
        print(f"load_state_dict takes it in the module that this makes: {compile_command(spec, variant)}")
    return 0


def _write(arguments: argparse.Namespace, variant: Analysis, names: Plan, found: TransferPlan) -> None:
    from archdsl.architecture import Architecture
    from archdsl.transfer.apply import fresh
    from archdsl.transfer.apply import transfer as transferred
    from archdsl.weights.checkpoint import read_checkpoints, write_safetensors
    from archdsl.weights.convert import convert, not_finite
    from archdsl.weights.plan import own_plan

    tensors, told = read_checkpoints([("", arguments.checkpoint)], names.theirs, arguments.key)
    target, absent = own_plan(names.network, names.ours), unneeded(found, names)
    own = convert(tensors, names, target, arguments.checkpoint, absent)
    show_diagnostics([*told, *not_finite(own, arguments.checkpoint)])
    initial = fresh(Architecture(variant).build, arguments.seed)
    metadata = {
        "format": "pt",  # what other readers of safetensors look for
        "spec": variant.network.name,
        "source": arguments.source,
        "names": OWN,
        "from": found.base,
        "parameters": json.dumps({k: describe(v).replace("`", "") for k, v in variant.parameters.items()}),
        "clip": "x".join(map(str, variant.clip)) if variant.clip is not None else "",
    }
    write_safetensors(Path(arguments.output), transferred(found, own, initial), metadata)


def _variant(arguments: argparse.Namespace, base: Analysis) -> Analysis:
    """The variant, with what the checkpoint's source needs of it if that has a map for it, too."""
    spec = arguments.spec or arguments.base
    analysis = analysed(spec, arguments)
    if base.like is None:
        return analysis
    try:
        find_map(analysis.program, base.like.source.text, FileLibrary(), "--from")
    except SpecError:
        return analysis
    return analysed(spec, arguments, like=base.like.source.text)


def _planned(base: Analysis, variant: Analysis, arguments: argparse.Namespace) -> TransferPlan:
    rules = Rules(arguments.inflate, arguments.width, arguments.depth, tuple(arguments.new))
    try:
        return plan_transfer(base, variant, FileLibrary(), rules)
    except ValueError as error:
        raise UsageError(f"--{error}") from None


# --- text ------------------------------------------------------------------------------------------------------------


def _print(found: TransferPlan, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(plan_json(found), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found)))


def _lines(found: TransferPlan) -> list[str]:
    counts = [f"{n} {verb}" for verb in reversed(VERBS) if (n := found.counts.get(verb, 0))]
    left = f"; {len(found.unused)} of {found.base} not used" if found.unused else ""
    lines = [f"{found.base} → {found.network}: {len(found.entries)} tensors: {', '.join(counts)}{left}"]
    for verb in VERBS:
        entries = [e for e in found.entries if e.how == verb]
        if entries:
            lines += ["", verb, *_table(entries)]
    if found.unused:
        rows = [(f"  {name}", shape_text(shape)) for name, shape, _ in folded(found.unused.items())]
        lines += ["", f"not used of {found.base}", *aligned(rows, numbers=0)]
    return lines


def _table(entries: list[Entry]) -> list[str]:
    rows = [(f"  {name}", *key) for name, key, _ in folded((e.name, _key(e)) for e in entries)]
    return [line.rstrip() for line in aligned(rows, numbers=0)]


def _key(entry: Entry) -> tuple[str, str]:
    """What is told of a tensor beside its name."""
    why = "; ".join(text for text in (_origin(entry), entry.why) if text)
    if entry.how == COPIED:
        return "", why
    changed = entry.base_shape is not None and entry.base_shape != entry.shape
    before = f"{shape_text(entry.base_shape or ())} → " if changed else ""
    return f"{before}{shape_text(entry.shape)}", why


def _origin(entry: Entry) -> str:
    """What of its name is another one in the base."""
    ours, theirs = (re.sub(r"(?<=\.)\d+(?=\.)", "{i}", name).split(".") for name in (entry.name, entry.base))
    while ours and theirs and ours[-1] == theirs[-1]:
        ours.pop()
        theirs.pop()
    if ours == theirs or not entry.base:
        return ""
    return f"from `{'.'.join(theirs)}`" if theirs else f"without `{'.'.join(ours)}`"
