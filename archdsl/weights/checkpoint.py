"""Checkpoints on disk: the state dict that is in them, and safetensors files of ours. Needs torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from archdsl.files import EnvironmentFault, UsageError, WeightsError, replacing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import torch

# Where training code keeps the state dict of the model, the surest first.
WRAPPERS = ("model_state", "state_dict", "model_state_dict", "model", "module", "net", "network")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def read_checkpoints(files: Sequence[tuple[str, str]], expected: Collection[str]) -> dict[str, torch.Tensor]:
    """The tensors of all files, those of a file with a name behind it: `rgb.` before theirs.

    Args:
        files: name, empty for none, and path of each.
        expected: the names that the tensors shall have.

    Raises:
        UsageError: if there is no such file.
        WeightsError: if one cannot be read, or only by running code that is in it.
    """
    found: dict[str, torch.Tensor] = {}
    for name, file in files:
        tensors = state_dict_of(read_checkpoint(file), file)
        before = f"{name}." if name else ""
        own = {n.removeprefix(before) for n in expected if n.startswith(before)}
        found.update((f"{before}{n}", t) for n, t in without_prefix(tensors, own).items())
    return found


def read_checkpoint(name: str) -> Any:
    """What a file holds, as `state_dict_of` takes it. No code in it is run.

    Raises:
        UsageError: if there is no such file.
        WeightsError: if it cannot be read, or only by running code that is in it.
    """
    if not Path(name).is_file():
        raise UsageError(f"{name}: {'is a directory' if Path(name).is_dir() else 'no such file'}")
    return _read_safetensors(name) if name.endswith(".safetensors") else _read_pickle(name)


def _read_safetensors(name: str) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]  # its paths have no type

    try:
        return load_file(name)
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(name, error) from None


def _read_pickle(name: str) -> Any:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # of pickles that torch did not write: they are told below
            return torch.load(name, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _GLOBAL.search(str(error))
        if wanted is None:
            raise _unreadable(name, error) from None
        message = (
            f"{name}: wants to call `{wanted[1]}` while it is read, which is code and not weights, so it is refused; "
            "if you trust who made it, load it yourself with torch.load(…, weights_only=False), and save its state "
            "dict alone: torch.save(state_dict, FILE)"
        )
        raise WeightsError(message) from None
    except MemoryError:
        raise
    except Exception as error:  # torch tells damage by errors of many kinds
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> WeightsError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return WeightsError(
        f"{name}: is no checkpoint that torch or safetensors can read, or only a part of one ({reason}); "
        "compare its size with what its source says, and fetch it again"
    )


def state_dict_of(checkpoint: Any, origin: str) -> dict[str, torch.Tensor]:
    """The tensors of a model, found in what training code has put around them.

    Raises:
        WeightsError: if there are none, or it cannot be told which.
    """
    import torch

    found: Any = checkpoint
    while isinstance(found, Mapping):
        inside = cast("Mapping[Any, Any]", found)
        wrapped = [k for k in WRAPPERS if isinstance(inside.get(k), Mapping)]
        if not wrapped and not any(isinstance(v, torch.Tensor) for v in inside.values()):
            wrapped = [k for k, v in inside.items() if _holds_tensors(v)]
            if len(wrapped) > 1:
                listed = ", ".join(f"`{k}`" for k in wrapped)
                raise WeightsError(f"{origin}: holds several state dicts, {listed}; save the one that is meant alone")
        if not wrapped:
            break
        found = inside[wrapped[0]]
    if not isinstance(found, Mapping):
        raise WeightsError(f"{origin}: holds no state dict but {type(found).__name__}")
    tensors = cast("Mapping[Any, Any]", found)
    if not tensors:
        raise WeightsError(f"{origin}: holds no tensors")
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(f"{origin}: `{key}` is no tensor but {type(value).__name__}, so this is no state dict")
    return dict(cast("Mapping[str, torch.Tensor]", tensors))


def without_prefix(
    tensors: Mapping[str, torch.Tensor], names: Collection[str], others: Collection[str] = ()
) -> dict[str, torch.Tensor]:
    """The tensors without what training code has put before the names of the model's, such as `module.`.

    What it keeps beside them under other names, such as a metric, is left as it is. Tensors of the model can have names
    of the `others` too.
    """
    known = {*names, *others}
    if not known.intersection(tensors):
        ends = ((name, dot.end()) for name in tensors for dot in re.finditer(r"\.", name))
        counts = Counter(name[:end] for name, end in ends if name[end:] in known)
        prefix, count = next(iter(counts.most_common(1)), ("", 0))
        if 2 * count > len(names):
            return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def _holds_tensors(value: Any) -> bool:
    """Whether it is a mapping with tensors under names, or with such a mapping inside."""
    import torch

    if not isinstance(value, Mapping):
        return False
    inside = cast("Mapping[Any, Any]", value).items()
    return any(isinstance(k, str) and (isinstance(v, torch.Tensor) or _holds_tensors(v)) for k, v in inside)


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
