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
# `Average` is the callback of runs of `archdsl train`.
_AVERAGE = re.compile(r"(?i:(?:.*[._])?(?:ema|swa|polyak|averaged)(?:[._].*)?)|Average")
_NO_MODEL = re.compile(r"optim|sched|scaler|rng|random", re.IGNORECASE)
Path_ = tuple[str, ...]


class Loaded(NamedTuple):
    """The tensors of a model, and warnings about the choice of one state dict among several in a checkpoint."""

    tensors: dict[str, torch.Tensor]
    warnings: tuple[Diagnostic, ...] = ()


def read_checkpoints(files: Sequence[tuple[str, str]], expected: Collection[str], keys: Sequence[str] = ()) -> Loaded:
    """Read the tensors of all checkpoints. The name of a file becomes a prefix of its tensors, such as `rgb.`.

    Args:
        files: name (empty for none) and path of each checkpoint.
        expected: the names of the tensors that the model needs.
        keys: the entries to read, `a.b` for `b` in `a`: of each checkpoint the first that it has, or the model's state
            dict, if it has none.

    Raises:
        UsageError: if a file does not exist.
        SpecError: if a file cannot be read without executing code in it, or has no tensors; if none has an entry.
    """
    loaded: dict[str, torch.Tensor] = {}
    warnings: list[Diagnostic] = []
    checkpoints = [read_checkpoint(file) for _, file in files]
    having = [[key for key in keys if _has(_Contents(checkpoint), key)] for checkpoint in checkpoints]
    absent = [key for key in keys if not any(key in found for found in having)]
    for (name, file), checkpoint, found in zip(files, checkpoints, having, strict=True):
        tensors, new_warnings = state_dict_of(checkpoint, file, next(iter([*absent, *found]), ""), expected)
        warnings += new_warnings
        before = f"{name}." if name else ""
        own = {n.removeprefix(before) for n in expected if n.startswith(before)}
        loaded.update((f"{before}{n}", t) for n, t in without_prefix(tensors, own).items())
    return Loaded(loaded, tuple(warnings))


def state_dict_of(checkpoint: Any, origin: str, key: str = "", expected: Collection[str] = ()) -> Loaded:
    """Return the tensors of a model in a checkpoint of training code.

    Raw weights are preferred to a moving average, with a warning, unless `key` names the average.

    Args:
        checkpoint: the object in a file.
        origin: the file's name, for diagnostics.
        key: the entry to read; empty for the model's state dict.
        expected: names of tensors of the model, even if they look like names of an average.

    Raises:
        SpecError: if there are no tensors, or if the choice is ambiguous.
    """
    contents = _Contents(checkpoint)
    if key:
        return _entry(contents, key, origin, expected)
    parts = _parts(contents, expected)
    if parts:
        return Loaded(
            {n: tensor for part in parts for n, tensor in _tensors(contents, part, origin, prefixed=True).items()}
        )
    path = _model_path(contents, (), origin)
    raw, averages = _separate(_tensors(contents, path, origin), expected)
    is_average = _is_average(path)
    beside = () if is_average else dict.fromkeys(_to_average(p) for p in contents.state_dicts if _is_average(p))
    if not raw:  # only averages, under a prefix that `without_prefix` removes
        return Loaded(averages, (_averages_warning(origin, "averages", ()),))
    others = [*beside, *dict.fromkeys(_head(name) for name in averages if "." in name)]
    if not (others or averages or is_average):
        return Loaded(raw)
    chosen = f"the averages in `{'.'.join(path)}`" if is_average else _raw_weights_text(path)
    return Loaded(raw, (_averages_warning(origin, chosen, others),))


def _raw_weights_text(path: Path_) -> str:
    return f"the raw weights in `{'.'.join(path)}`" if path else "the raw weights"


def _averages_warning(origin: str, chosen: str, others: Sequence[str]) -> Diagnostic:
    """Return the warning that a checkpoint has moving averages; `chosen` describes the weights that are read."""
    hint = "the checkpoint has no other weights that `--key` could name"
    if others:
        hint = f"averages are in {_quoted(others)}; `--key {readable(others[0])}` reads them instead"
    reporter = Reporter()
    reporter.report("W0802", Span(Source(origin, ""), 0, 0), f"{chosen} are read", hint=hint)
    return reporter.diagnostics[0]


# --- contents of a checkpoint ----------------------------------------------------------------------------------------


@dataclass
class _Contents:
    """The dicts in a checkpoint by their paths of keys; a dict that contains itself is visited once per path.

    A list is a dict whose keys are the numbers of its elements.
    """

    checkpoint: Any
    dicts: dict[Path_, Mapping[Any, Any]] = field(default_factory=dict[Path_, Mapping[Any, Any]])
    state_dicts: dict[Path_, Mapping[Any, Any]] = field(default_factory=dict[Path_, Mapping[Any, Any]])

    def __post_init__(self) -> None:
        import torch

        waiting: deque[tuple[Path_, Any, frozenset[int]]] = deque([((), self.checkpoint, frozenset())])
        while waiting and len(self.dicts) < MAX_DICTS:
            path, value, enclosing = waiting.popleft()
            if isinstance(value, list):
                value = _numbered(cast("list[Any]", value))
            if not isinstance(value, Mapping) or id(cast("object", value)) in enclosing or len(path) > MAX_DEPTH:
                continue
            entries = cast("Mapping[Any, Any]", value)
            self.dicts[path] = entries
            if any(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in entries.items()):
                self.state_dicts[path] = entries
            outer = enclosing | {id(entries)}
            waiting += [((*path, k), v, outer) for k, v in entries.items() if isinstance(k, str)]

    def keys_to_tensors(self, path: Path_) -> list[str]:
        """Return the keys of a dict whose values contain tensors."""
        at = len(path)
        keys = (p[at] for p in self.state_dicts if len(p) > at and p[:at] == path)
        return list(dict.fromkeys(keys))


def _model_path(contents: _Contents, start: Path_, origin: str) -> Path_:
    """Return the path to the model's state dict, at or below a dict of the checkpoint."""
    path = start
    while path in contents.dicts:
        keys = contents.keys_to_tensors(path)
        wrapped = [k for k in WRAPPERS if k in keys][:1]
        if not wrapped and path not in contents.state_dicts:
            models = [k for k in keys if not _NO_MODEL.match(k)]
            wrapped = [k for k in models if not _is_average((k,))] or models
            if len(wrapped) > 1:
                label = f"the file has several state dicts: {_quoted(wrapped)}"
                key = readable(".".join((*path, wrapped[0])))
                raise refused("E0811", origin, label, f"choose one: `--key {key}`")
        if not wrapped:
            break
        path = (*path, wrapped[0])
    return path


def _parts(contents: _Contents, expected: Collection[str]) -> list[Path_]:
    """Return the paths of the parts of a model that are saved apart, each under the first part of its names."""
    heads = {_head(name) for name in expected}
    found = [path for path in contents.state_dicts if len(path) == 1 and path[0] in heads]
    return found if len(found) == len(heads) > 1 else []


def _tensors(contents: _Contents, path: Path_, origin: str, *, prefixed: bool = False) -> dict[str, torch.Tensor]:
    import torch

    entries = contents.dicts.get(path)
    if entries is None:
        label = f"the file has no state dict, but {type(contents.checkpoint).__name__}"
        raise refused("E0811", origin, label, "save that of the module: torch.save(model.state_dict(), FILE)")
    for key, value in entries.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            label = f"this is not a state dict: `{readable(key)}` is not a tensor but {type(value).__name__}"
            raise refused("E0811", origin, label, "a state dict maps names to tensors, and contains nothing else")
    if not entries:
        raise refused(
            "E0811", origin, "the state dict has no tensors", "save it as torch.save(model.state_dict(), FILE)"
        )
    before = ".".join((*path, "")) if prefixed else ""
    return {f"{before}{name}": tensor for name, tensor in cast("Mapping[str, torch.Tensor]", entries).items()}


def _entry(contents: _Contents, key: str, origin: str, expected: Collection[str]) -> Loaded:
    """Return the entry of a checkpoint that `--key` names: a dict in it, or the tensors with a prefix."""
    start = next((path for path in contents.dicts if path and ".".join(path) == key), None)
    if start is not None:
        path = _model_path(contents, start, origin)
        raw, averages = _separate(_tensors(contents, path, origin), expected)
        return Loaded(raw or averages)
    for path, tensors in contents.state_dicts.items():
        prefix = f"{key}.".removeprefix(".".join((*path, "")))
        group = {n: t for n, t in tensors.items() if isinstance(n, str) and n.startswith(prefix)}
        if group:
            part = _Contents({n.removeprefix(prefix): t for n, t in group.items()})
            return Loaded(_tensors(part, (), origin))
    names = [".".join(path) for path in contents.state_dicts if path]
    for path in contents.state_dicts:
        heads = Counter(_head(n) for n in contents.state_dicts[path] if isinstance(n, str) and "." in n)
        names += [".".join((*path, head)) for head in heads]
    names = list(dict.fromkeys(names))
    label = f"the file has no `{readable(key)}`" + (f", but {_quoted(names)}" if names else ", and no tensors")
    raise refused("E0812", origin, label, did_you_mean(key, names))


def _numbered(values: list[Any]) -> dict[str, Any] | None:
    """Return the dicts in a list by their numbers; None if there are none."""
    return {str(i): value for i, value in enumerate(values) if isinstance(value, Mapping)} or None


def _has(contents: _Contents, key: str) -> bool:
    """Return True if a checkpoint has an entry of this name: a dict, or the beginning of names of tensors."""
    if any(".".join(path) == key for path in contents.dicts):
        return True
    names = (".".join((*path, name)) for path, found in contents.state_dicts.items() for name in found)
    return any(name.startswith(f"{key}.") for name in names)


def _quoted(names: Sequence[str]) -> str:
    more = [f"{len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return ", ".join([*(f"`{readable(n)}`" for n in names[:MAX_LISTED]), *more])


def _separate(
    tensors: dict[str, torch.Tensor], expected: Collection[str]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Separate the model's tensors from moving averages in the same state dict, under a prefix such as `ema.`."""
    own = {_head(name) for name in expected}
    averages = {n: t for n, t in tensors.items() if _is_average((_head(n),)) and _head(n) not in own}
    return {n: t for n, t in tensors.items() if n not in averages}, averages


def _head(name: str) -> str:
    return name.partition(".")[0]


def _to_average(path: Path_) -> str:
    """Return a path up to its first key that names a moving average."""
    end = next(i for i, key in enumerate(path, 1) if _is_average((key,)))
    return ".".join(path[:end])


def _is_average(path: Path_) -> bool:
    return any(_AVERAGE.fullmatch(key) is not None for key in path)


# --- names -----------------------------------------------------------------------------------------------------------


def without_prefix(
    tensors: Mapping[str, torch.Tensor], names: Collection[str], others: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """Remove a prefix that training code adds to the names of a state dict, such as `module.`.

    A prefix that all names lack, such as `backbone.`, is added. Tensors of other modules, such as a metric, keep their
    names. `names` are the names of the model's tensors; `others` are further names that these tensors can have.
    """
    known = {*names, *others}
    if not known.intersection(tensors):
        ends = ((name, dot.end()) for name in tensors for dot in _dots(name))
        counts = Counter(name[:end] for name, end in ends if name[end:] in known)
        prefix, count = next(iter(counts.most_common(1)), ("", 0))
        if 2 * count > min(len(names), len(tensors)):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        for before in dict.fromkeys(_head(name) for name in known):  # a backbone saved without its model
            if 2 * sum(f"{before}.{name}" in known for name in tensors) > len(names):
                return {f"{before}.{name}": tensor for name, tensor in tensors.items()}
    return dict(tensors)


def _dots(name: str) -> Iterator[re.Match[str]]:
    return re.finditer(r"\.", name)


# --- writing ---------------------------------------------------------------------------------------------------------


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write a state dict atomically.

    Raises:
        CommandError: if the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]

    with replacing(path) as temporary:
        try:
            save_file(dict(tensors), temporary, dict(metadata))
        except SafetensorError as error:
            raise EnvironmentFault(f"{path}: cannot be written: {error}") from None
