"""State dicts: extraction from the checkpoints of training code, and writing as safetensors. Needs torch."""

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

# Keys under which training code saves the model's state dict, the most reliable first.
WRAPPERS = ("model_state", "state_dict", "model_state_dict", "model", "module", "net", "network")
MAX_DEPTH = 50  # of dicts in dicts
MAX_DICTS = 10_000
_AVERAGE = re.compile(r"(?:.*[._])?(?:ema|swa|polyak|averaged)(?:[._].*)?", re.IGNORECASE)
_NO_MODEL = re.compile(r"optim|sched|scaler|rng|random", re.IGNORECASE)
Path_ = tuple[str, ...]


class Loaded(NamedTuple):
    """The tensors of a model, and warnings about their choice among a checkpoint's tensors."""

    tensors: dict[str, torch.Tensor]
    warnings: tuple[Diagnostic, ...] = ()


def read_checkpoints(files: Sequence[tuple[str, str]], expected: Collection[str], key: str = "") -> Loaded:
    """Return the tensors of all files; those of a file with a name get it as a prefix, such as `rgb.`.

    Args:
        files: name, empty for none, and path of each.
        expected: the names that the tensors should have.
        key: the entry of each checkpoint to read, `a.b` for `b` in `a`; empty for the model's state dict.

    Raises:
        UsageError: if there is no such file.
        SpecError: if one cannot be read without running code in it, or has no tensors.
    """
    loaded: dict[str, torch.Tensor] = {}
    warnings: list[Diagnostic] = []
    for name, file in files:
        tensors, new_warnings = state_dict_of(read_checkpoint(file), file, key, expected)
        warnings += new_warnings
        before = f"{name}." if name else ""
        own = {n.removeprefix(before) for n in expected if n.startswith(before)}
        loaded.update((f"{before}{n}", t) for n, t in without_prefix(tensors, own).items())
    return Loaded(loaded, tuple(warnings))


def state_dict_of(checkpoint: Any, origin: str, key: str = "", expected: Collection[str] = ()) -> Loaded:
    """Return the tensors of a model in a checkpoint of training code.

    Raw weights are preferred to a moving average of them, with a warning, unless `key` names the average.

    Args:
        checkpoint: the object in a file.
        origin: the file's name, for diagnostics.
        key: the entry to read; empty for the model's state dict.
        expected: names of tensors that belong to the model, even if they look like an average.

    Raises:
        SpecError: if there are none, or if the choice is ambiguous.
    """
    inside = _Contents(checkpoint)
    if key:
        return _named(inside, key, origin, expected)
    path = _model(inside, (), origin)
    raw, averages = _divided(_tensors(inside, path, origin), expected)
    is_average = _is_average(path)
    beside = () if is_average else dict.fromkeys(_to_average(p) for p in inside.state_dicts if _is_average(p))
    if not raw:  # only averages, under a prefix that `without_prefix` removes
        return Loaded(averages, (_of_averages(origin, "averages", ()),))
    others = [*beside, *dict.fromkeys(_head(name) for name in averages if "." in name)]
    if not (others or averages or is_average):
        return Loaded(raw)
    taken = f"the averages of `{'.'.join(path)}`" if is_average else _taken(path)
    return Loaded(raw, (_of_averages(origin, taken, others),))


def _taken(path: Path_) -> str:
    return f"the raw weights of `{'.'.join(path)}`" if path else "the raw weights"


def _of_averages(origin: str, taken: str, others: Sequence[str]) -> Diagnostic:
    """Return the warning that a checkpoint has averages of weights; `taken` says which weights are read."""
    hint = "there is nothing else, or nothing that has a name of its own"
    if others:
        hint = f"averages are in {_quoted(others)}; `--key {readable(others[0])}` takes them instead"
    reporter = Reporter()
    reporter.report("W0802", Span(Source(origin, ""), 0, 0), f"{taken} are taken", hint=hint)
    return reporter.diagnostics[0]


# --- what is in a checkpoint -----------------------------------------------------------------------------------------


@dataclass
class _Contents:
    """The dicts in a checkpoint by their paths of keys; a dict that contains itself is visited once per path."""

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
        """Return the keys of a dict below which there are tensors."""
        at = len(path)
        keys = (p[at] for p in self.state_dicts if len(p) > at and p[:at] == path)
        return list(dict.fromkeys(keys))


def _model(inside: _Contents, start: Path_, origin: str) -> Path_:
    """Return the path to the model's state dict, at or below a dict of the checkpoint."""
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
    """Return the entry of a checkpoint that `--key` names: a dict in it, or the tensors with a prefix."""
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
    """Separate the tensors of the model from averages next to them, under a prefix such as `ema.`."""
    own = {_head(name) for name in expected}
    averages = {n: t for n, t in tensors.items() if _is_average((_head(n),)) and _head(n) not in own}
    return {n: t for n, t in tensors.items() if n not in averages}, averages


def _head(name: str) -> str:
    return name.partition(".")[0]


def _to_average(path: Path_) -> str:
    """Return the start of a path, up to the first key that is a name for an average."""
    end = next(i for i, key in enumerate(path, 1) if _is_average((key,)))
    return ".".join(path[:end])


def _is_average(path: Path_) -> bool:
    return any(_AVERAGE.fullmatch(key) is not None for key in path)


# --- names -----------------------------------------------------------------------------------------------------------


def without_prefix(
    tensors: Mapping[str, torch.Tensor], names: Collection[str], others: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """Return the tensors without a prefix that training code adds to the model's names, such as `module.`.

    A prefix that all of them lack, such as `backbone.`, is added. Other tensors, such as a metric, keep their names.
    `others` are further names that tensors of the model can have.
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
    """Write a state dict atomically.

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
