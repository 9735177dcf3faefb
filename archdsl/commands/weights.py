"""`archdsl weights`: checkpoints of other code bases into our modules, and back."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from archdsl.commands.common import analysed, missing_packages, same_file, show_diagnostics
from archdsl.core.diagnostics import SpecError
from archdsl.core.report import Reporter
from archdsl.core.values import describe
from archdsl.elaborate.program import Resolver
from archdsl.files import FileLibrary, UsageError, read_source
from archdsl.pipeline import command as compile_command
from archdsl.pipeline import plan_weights
from archdsl.weights.plan import OWN
from archdsl.weights.sources import all_maps, changing, find_map

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from archdsl.core.diagnostics import Diagnostic
    from archdsl.pipeline import Analysis

HEAD_SEED = 0  # of a head that a checkpoint lacks


def command(arguments: argparse.Namespace) -> int:
    """Converts a checkpoint, makes one of another network's, or lists the sources that a spec has maps for."""
    if arguments.action in ("plan", "transfer"):
        from archdsl.commands import transfer

        return transfer.plan(arguments) if arguments.action == "plan" else transfer.transfer(arguments)
    return _convert(arguments) if arguments.action == "convert" else _sources(arguments)


# --- sources ---------------------------------------------------------------------------------------------------------


def _sources(arguments: argparse.Namespace) -> int:
    """Lists each source with what its checkpoints need, and holds its map against the network."""
    analysis = analysed(arguments.spec, arguments)
    name = analysis.network.name
    maps = all_maps(analysis.program, FileLibrary())
    if not maps:
        print(f"{name}: there is no map of names for it; `weights/` beside the spec is the place for one")
        return 0
    print(f"{name} takes the weights of")
    faults: list[Diagnostic] = []
    for weights in maps:
        source = weights.source.text
        print(f"\n  {source}" + f": {weights.doc}" * bool(weights.doc))
        try:
            like = analysed(arguments.spec, arguments, like=source)
            plan = plan_weights(like, FileLibrary(), source, "--from")
        except SpecError as error:
            faults.extend(error.diagnostics)
            print("    does not fit, see below")
        else:
            values = _values(like)
            print(f"    {len(plan.theirs)} tensors" + f", with {values}" * bool(values))
    show_diagnostics(faults)
    return int(bool(faults))


def _values(analysis: Analysis) -> str:
    """What a network takes on of its source that it would not have without."""
    changed = changing(analysis.taken_on, analysis.program, analysis.settings, analysis.parameters)
    return ", ".join(f"{b.name.id} = {b.value.span.text.strip()}" for b in changed)


# --- convert ---------------------------------------------------------------------------------------------------------


def _convert(arguments: argparse.Namespace) -> int:
    source, to = arguments.source, arguments.to
    output = Path(arguments.output)
    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the result is a safetensors file; name it {output.with_suffix('.safetensors')}")
    files = _files(arguments.checkpoints)
    if any(same_file(output, file) for _, file in files):
        raise UsageError(f"{output}: is the checkpoint itself; name another file with -o")
    named = [(s, option) for s, option in ((source, "--from"), (to, "--to")) if s != OWN]
    program = Resolver(FileLibrary(), Reporter()).resolve(read_source(arguments.spec))
    for name, option in named:
        find_map(program, name, FileLibrary(), option)
    if source != OWN and arguments.like is not None:
        raise UsageError(
            f"--like {arguments.like}: is for `--from {OWN}`; the network is like `{source}`, as --from says"
        )
    like = source if source != OWN else arguments.like or _like(arguments, files)
    analysis = analysed(arguments.spec, arguments, like=like)
    plans = [plan_weights(analysis, FileLibrary(), s, o) for s, o in ((source, "--from"), (to, "--to"))]
    show_diagnostics([*analysis.warnings, *(d for plan in plans for d in plan.warnings)])

    missing_packages("torch", "safetensors")
    from archdsl.architecture import Architecture
    from archdsl.transfer.apply import fresh
    from archdsl.weights.checkpoint import read_checkpoints, write_safetensors
    from archdsl.weights.convert import convert_all, not_finite

    origin = ", ".join(file for _, file in files)
    tensors, told = read_checkpoints(files, plans[0].theirs, arguments.key)
    initial = partial(fresh, Architecture(analysis).build, HEAD_SEED)
    converted, of_head = convert_all(tensors, plans[0], plans[1], origin, initial)
    show_diagnostics([*told, *of_head, *not_finite(converted, origin)])
    write_safetensors(output, converted, _metadata(analysis, arguments))
    values = _values(analysis)
    if values:
        print(f"the network as `{like}` needs it: {values}")
    print(f"{origin} → {output}: {len(converted)} tensors, as `{to}` names them")
    if to == OWN:
        print(f"load_state_dict takes it in the module that this makes: {compile_command(arguments.spec, analysis)}")
    return 0


def _like(arguments: argparse.Namespace, files: Sequence[tuple[str, str]]) -> str | None:
    """Return the source whose network weights of our own are of: that of `--to`, if their files say so."""
    from archdsl.weights.reading import metadata_of

    if arguments.to == OWN:
        return None
    adopted = analysed(arguments.spec, arguments, like=arguments.to)
    wanted = _parameters(adopted)
    for _, file in files:
        try:
            had = json.loads(metadata_of(file).get("parameters", "{}"))
        except ValueError:
            return None
        names = [b.name.id for b in adopted.taken_on]
        if not isinstance(had, dict) or any(cast("Any", had).get(n) != wanted[n] for n in names):
            return None
    return arguments.to


def _parameters(analysis: Analysis) -> dict[str, str]:
    return {k: describe(v).replace("`", "") for k, v in analysis.parameters.items()}


def _files(texts: Sequence[str]) -> list[tuple[str, str]]:
    """The checkpoints, each with the name that it was given, or with none if it is the only one."""
    if len(texts) == 1 and Path(texts[0]).exists():
        return [("", texts[0])]
    files: list[tuple[str, str]] = []
    for text in texts:
        match = re.fullmatch(r"([A-Za-z_]\w*)=(.+)", text)
        if match is None and len(texts) > 1:
            raise UsageError(f"{text}: of several checkpoints each has a name, as in rgb=FILE flow=FILE")
        files.append((match[1], match[2]) if match is not None else ("", text))
    names = [name for name, _ in files]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"{twice[0]}=…: a second checkpoint of this name")
    return files


def _metadata(analysis: Analysis, arguments: argparse.Namespace) -> dict[str, str]:
    """What the file says of itself."""
    clip = "x".join(map(str, analysis.clip)) if analysis.clip is not None else ""
    return {
        "format": "pt",  # what other readers of safetensors look for
        "spec": analysis.network.name,
        "source": arguments.source,
        "names": arguments.to,
        "parameters": json.dumps(_parameters(analysis), ensure_ascii=False),
        "clip": clip,
    }
