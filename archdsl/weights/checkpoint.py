"""State dicts: found in what training code has put around them, and safetensors files of ours. Needs torch."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from archdsl.core.diagnostics import Diagnostic, did_you_mean
from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.files import EnvironmentFault, replacing
from archdsl.weights.plan import MAX_LISTED
from archdsl.weights.reading import read_checkpoint, refused
from archdsl.weights.shapes import readable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import torch

# Where training code keeps the state dict of the model, the surest first.
WRAPPERS = ("model_state", "state_dict", "model_state_dict", "model", "module", "net", "network")
MAX_DEPTH = 50  # of dicts in dicts
MAX_DICTS = 10_000
_AVERAGE = re.compile(r"(?:.*[._])?(?:ema|swa|polyak|averaged)(?:[._].*)?", re.IGNORECASE)
_NO_MODEL = re.compile(r"optim|sched|scaler|rng|random", re.IGNORECASE)
Path_ = tuple[str, ...]


class Loaded(NamedTuple):
    """The tensors of a model, and what there is to say about which of a checkpoint's they are."""

    tensors: dict[str, torch.Tensor]
    warnings: tuple[Diagnostic, ...] = ()


def read_checkpoints(files: Sequence[tuple[str, str]], expected: Collection[str], key: str = "") -> Loaded:
    """Return the tensors of all files, those of a file with a name behind it: `rgb.` before theirs.

    Args:
        files: name, empty for none, and path of each.
        expected: the names that the tensors shall have.
        key: the part of each checkpoint to take, as `a.b` for what is `b` in `a`; empty for the model's.

    Raises:
        UsageError: if there is no such file.
        SpecError: if one cannot be read, or only by running code that is in it, or holds no tensors.
    """
    found: dict[str, torch.Tensor] = {}
    warnings: list[Diagnostic] = []
    for name, file in files:
        tensors, told = state_dict_of(read_checkpoint(file), file, key, expected)
        warnings += told
        before = f"{name}." if name else ""
        own = {n.removeprefix(before) for n in expected if n.startswith(before)}
        found.update((f"{before}{n}", t) for n, t in without_prefix(tensors, own).items())
    return Loaded(found, tuple(warnings))


def state_dict_of(checkpoint: Any, origin: str, key: str = "", expected: Collection[str] = ()) -> Loaded:
    """Return the tensors of a model, found in what training code has put around them.

    Of the raw weights and an average of them the raw ones are taken, with a warning, unless `key` says otherwise.

    Args:
        checkpoint: what a file held.
        origin: its name, for diagnostics.
        key: the part to take; empty for the model's.
        expected: names of tensors that belong to the model whatever they look like.

    Raises:
        SpecError: if there are none, or it cannot be told which.
    """
    inside = _Contents(checkpoint)
    if key:
        return _named(inside, key, origin, expected)
    path = _model(inside, (), origin)
    raw, averages = _divided(_tensors(inside, path, origin), expected)
    is_average = _is_average(path)
    beside = () if is_average else dict.fromkeys(_to_average(p) for p in inside.state_dicts if _is_average(p))
    if not raw:  # nothing but averages, under a prefix that `without_prefix` takes off
        return Loaded(averages, (_of_averages(origin, "averages", ()),))
    others = [*beside, *dict.fromkeys(_head(name) for name in averages if "." in name)]
    if not (others or averages or is_average):
        return Loaded(raw)
    taken = f"the averages of `{'.'.join(path)}`" if is_average else _taken(path)
    return Loaded(raw, (_of_averages(origin, taken, others),))


def _taken(path: Path_) -> str:
    return f"the raw weights of `{'.'.join(path)}`" if path else "the raw weights"


def _of_averages(origin: str, taken: str, others: Sequence[str]) -> Diagnostic:
    """Return the warning that a checkpoint holds averages of weights, whichever are taken."""
    hint = "there is nothing else, or nothing that has a name of its own"
    if others:
        hint = f"averages are in {_quoted(others)}; `--key {readable(others[0])}` takes them instead"
    reporter = Reporter()
    reporter.report("W0802", Span(Source(origin, ""), 0, 0), f"{taken} are taken", hint=hint)
    return reporter.diagnostics[0]


# --- what is in a checkpoint -----------------------------------------------------------------------------------------


@dataclass
class _Contents:
    """The dicts in a checkpoint by the keys that lead to them, whether they hold each other or not."""

    checkpoint: Any
    dicts: dict[Path_, Mapping[Any, Any]] = field(default_factory=dict[Path_, Mapping[Any, Any]])
    state_dicts: dict[Path_, Mapping[Any, Any]] = field(default_factory=dict[Path_, Mapping[Any, Any]])

    def __post_init__(self) -> None:
        import torch

        waiting: deque[tuple[Path_, Any, frozenset[int]]] = deque([((), self.checkpoint, frozenset())])
        while waiting and len(self.dicts) < MAX_DICTS:
            path, value, around = waiting.popleft()
            if not isinstance(value, Mapping) or id(cast("object", value)) in around or len(path) > MAX_DEPTH:
                continue
            inside = cast("Mapping[Any, Any]", value)
            self.dicts[path] = inside
            if any(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in inside.items()):
                self.state_dicts[path] = inside
            held = around | {id(inside)}
            waiting += [((*path, k), v, held) for k, v in inside.items() if isinstance(k, str)]

    def below(self, path: Path_) -> list[str]:
        """Return the keys of a dict that lead to tensors."""
        at = len(path)
        found = (p[at] for p in self.state_dicts if len(p) > at and p[:at] == path)
        return list(dict.fromkeys(found))


def _model(inside: _Contents, start: Path_, origin: str) -> Path_:
    """Return the path to the state dict of the model, from a dict of the checkpoint on."""
    path = start
    while path in inside.dicts:
        keys = inside.below(path)
        wrapped = [k for k in WRAPPERS if k in keys][:1]
        if not wrapped and path not in inside.state_dicts:
            models = [k for k in keys if not _NO_MODEL.match(k)]
            wrapped = [k for k in models if not _is_average((k,))] or models
            if len(wrapped) > 1:
                label = f"it holds several state dicts, {_quoted(wrapped)}"
                raise refused("E0811", origin, label, f"`--key {readable(wrapped[0])}` takes one of them")
        if not wrapped:
            break
        path = (*path, wrapped[0])
    return path


def _tensors(inside: _Contents, path: Path_, origin: str) -> dict[str, torch.Tensor]:
    import torch

    found = inside.dicts.get(path)
    if found is None:
        raise refused("E0811", origin, f"it holds no state dict but {type(inside.checkpoint).__name__}")
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            label = f"`{readable(key)}` is no tensor but {type(value).__name__}, so this is no state dict"
            raise refused("E0811", origin, label, "a state dict holds tensors by their names, and nothing else")
    if not found:
        raise refused("E0811", origin, "it holds no tensors")
    return dict(cast("Mapping[str, torch.Tensor]", found))


def _named(inside: _Contents, key: str, origin: str, expected: Collection[str]) -> Loaded:
    """Return the part of a checkpoint that `--key` names: a dict in it, or what stands behind a prefix."""
    start = next((path for path in inside.dicts if path and ".".join(path) == key), None)
    if start is not None:
        path = _model(inside, start, origin)
        raw, averages = _divided(_tensors(inside, path, origin), expected)
        return Loaded(raw or averages)
    for path, tensors in inside.state_dicts.items():
        prefix = f"{key}.".removeprefix(".".join((*path, "")))
        group = {n: t for n, t in tensors.items() if isinstance(n, str) and n.startswith(prefix)}
        if group:
            part = _Contents({n.removeprefix(prefix): t for n, t in group.items()})
            return Loaded(_tensors(part, (), origin))
    names = [".".join(path) for path in inside.state_dicts if path]
    for path in inside.state_dicts:
        heads = Counter(_head(n) for n in inside.state_dicts[path] if isinstance(n, str) and "." in n)
        names += [".".join((*path, head)) for head in heads]
    names = list(dict.fromkeys(names))
    label = f"there is no `{readable(key)}`" + (
        f"; there is {_quoted(names)}" if names else ", and there are no tensors"
    )
    raise refused("E0812", origin, label, did_you_mean(key, names))


def _quoted(names: Sequence[str]) -> str:
    more = [f"{len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return ", ".join([*(f"`{readable(n)}`" for n in names[:MAX_LISTED]), *more])


def _divided(
    tensors: dict[str, torch.Tensor], expected: Collection[str]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the tensors of the model, and those of averages that stand beside them under a prefix such as `ema.`."""
    own = {_head(name) for name in expected}
    averages = {n: t for n, t in tensors.items() if _is_average((_head(n),)) and _head(n) not in own}
    return {n: t for n, t in tensors.items() if n not in averages}, averages


def _head(name: str) -> str:
    return name.partition(".")[0]


def _to_average(path: Path_) -> str:
    """Return the part of a path that leads to the first dict that is called like an average."""
    end = next(i for i, key in enumerate(path, 1) if _is_average((key,)))
    return ".".join(path[:end])


def _is_average(path: Path_) -> bool:
    return any(_AVERAGE.fullmatch(key) is not None for key in path)


# --- names -----------------------------------------------------------------------------------------------------------


def without_prefix(
    tensors: Mapping[str, torch.Tensor], names: Collection[str], others: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """The tensors without what training code has put before the names of the model's, such as `module.`.

    A prefix that all of them lack, such as `backbone.`, is put before them. What training code keeps beside them under
    other names, such as a metric, is left as it is. Tensors of the model can have names of the `others` too.
    """
    known = {*names, *others}
    if not known.intersection(tensors):
        ends = ((name, dot.end()) for name in tensors for dot in _dots(name))
        counts = Counter(name[:end] for name, end in ends if name[end:] in known)
        prefix, count = next(iter(counts.most_common(1)), ("", 0))
        if 2 * count > len(names):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        for before in dict.fromkeys(_head(name) for name in known):  # a backbone that was saved by itself
            if 2 * sum(f"{before}.{name}" in known for name in tensors) > len(names):
                return {f"{before}.{name}": tensor for name, tensor in tensors.items()}
    return dict(tensors)


def _dots(name: str) -> Iterator[re.Match[str]]:
    return re.finditer(r"\.", name)


# --- writing ---------------------------------------------------------------------------------------------------------


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a state dict so that the file is there whole or not at all.

    Raises:
        CommandError: if it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]

    with replacing(path) as temporary:
        try:
            save_file(dict(tensors), temporary, dict(metadata))
        except SafetensorError as error:
            raise EnvironmentFault(f"{path}: cannot be written: {error}") from None
