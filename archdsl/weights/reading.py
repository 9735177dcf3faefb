"""Checkpoint files: their kind by their first bytes, and what torch or safetensors reads of them. Needs torch."""

from __future__ import annotations

import json
import os
import pickletools
import re
import stat
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from archdsl.core.report import Reporter
from archdsl.core.source import Source, Span
from archdsl.files import CommandError, UsageError, system_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.core.diagnostics import SpecError

MAX_OPERATIONS = 5000  # of a pickle, looked at to tell what it is
MAX_UNPACKED = 4  # times the size of the file; torch packs nothing
MAX_HEADER = 2**27  # bytes of the header of safetensors
MAX_PICKLE = 2**28  # bytes of the pickle in an archive, which holds names and shapes alone
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # begins a file of torch.save before release 1.6
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_AGAIN = "fetch it again, and compare its size with what its source says"
_AS_TORCH = "load it with the library that wrote it, and save the tensors: torch.save({name: tensor, …}, FILE)"
# Files of other kinds: how they begin, what they are, and what to do.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x93NUMPY", "an array of numpy", _AS_TORCH),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _AS_TORCH),
    (b"\x1f\x8b", "packed by gzip", "unpack it first: gunzip FILE"),
    (b"BZh", "packed by bzip2", "unpack it first: bunzip2 FILE"),
    (b"\xfd7zXZ\x00", "packed by xz", "unpack it first: unxz FILE"),
    (b"(\xb5/\xfd", "packed by zstd", "unpack it first: unzstd FILE"),
    (b"version https://git-lfs", "a pointer of git-lfs, not the file itself", "fetch the file: git lfs pull"),
    (b"<!", "a web page, not the file itself", "download what the page links to"),
    (b"<html", "a web page, not the file itself", "download what the page links to"),
    (b"<?xml", "an XML text, not the file itself", "download what it was to be"),
)
_CAFFE2 = (
    "PySlowFast reads it, with TRAIN.CHECKPOINT_TYPE caffe2, and saves it under its own names; else unpickle it "
    "yourself and save its arrays as tensors: torch.save({name: torch.from_numpy(array), …}, FILE)"
)


def refused(code: str, origin: str, label: str, hint: str = "") -> SpecError:
    """Return the diagnostic about a checkpoint as a whole, to be raised by the caller."""
    return Reporter().fatal(code, Span(Source(origin, ""), 0, 0), label, hint=hint)


def read_checkpoint(name: str) -> Any:
    """Return the object that a file holds. No code in it is run.

    Raises:
        UsageError: if there is no such file.
        EnvironmentFault: if the system does not let it be read.
        SpecError: if it is damaged, of another kind, or could be read by running code that is in it alone.
    """
    _check_file(name)
    try:
        with Path(name).open("rb") as file:
            head = file.read(512)
            if not head:
                raise refused("E0808", name, "the file is empty", _AGAIN)
            safe = _is_safetensors(name, head)
            if not safe:
                _check_kind(name, head, file)
    except OSError as error:
        raise system_fault(name, error) from None
    return _read_safetensors(name) if safe else _read_pickle(name)


def _check_file(name: str) -> None:
    """Raise UsageError unless the name is one of a regular file: reading a device or a pipe need not end."""
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        raise UsageError(f"{name}: no such file") from None
    except OSError as error:
        raise system_fault(name, error) from None
    except ValueError as error:  # a zero byte in the name
        raise UsageError(f"{name}: {error}") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{name}: is a directory; name a checkpoint in it")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{name}: is a device or a pipe; name a file")


def metadata_of(name: str) -> dict[str, str]:
    """Return what a safetensors file says of itself; nothing for other files, and for those that cannot be read."""
    try:
        _check_file(name)
        with Path(name).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            text = file.read(size) if size < MAX_HEADER else b"{}"
        found: Any = json.loads(text).get("__metadata__", {})
    except (OSError, ValueError, AttributeError, RecursionError, CommandError):
        return {}
    return {str(k): str(v) for k, v in cast("dict[Any, Any]", found).items()} if isinstance(found, dict) else {}


# --- what a file is --------------------------------------------------------------------------------------------------


def _is_safetensors(name: str, head: bytes) -> bool:
    """Return whether a file begins with the length of a JSON header, or is called so and not another kind."""
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return True
    of_torch = head.startswith((b"PK\x03\x04", b"\x80\x02"))
    return name.endswith(".safetensors") and not of_torch and _kind(head) is None


def _kind(head: bytes) -> tuple[str, str] | None:
    for start, what, cure in _KINDS:
        if head[: len(start)].lower() == start.lower():
            return what, cure
    if head[257:262] == b"ustar":
        return "packed by tar", "unpack it first: tar xf FILE"
    if head.lstrip()[:1] == b"{":
        return "JSON, such as an index of the files that a checkpoint was divided into", "name a file with tensors"
    return None


def _check_kind(name: str, head: bytes, file: IO[bytes]) -> None:
    """Raise SpecError if a file is of a kind that torch.save does not write."""
    kind = _kind(head)
    if kind is None and name.endswith((".onnx", ".pb", ".tflite", ".h5", ".ckpt.index", ".mat")):
        kind = f"a `{Path(name).suffix}` file", _AS_TORCH
    if kind is not None:
        raise refused("E0809", name, f"the file is {kind[0]}", kind[1])
    file.seek(0)
    if head.startswith(b"PK\x03\x04"):
        _check_archive(name, file)
    else:
        _check_bare_pickle(name, file)


def _check_archive(name: str, file: IO[bytes]) -> None:
    """Raise SpecError unless a zip archive is one of torch.save, of about its own size."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise _damaged(name, error) from None
    names = [entry.filename for entry in entries]
    if any(n.endswith(".npy") for n in names):
        raise refused("E0809", name, "the file is an archive of numpy (.npz)", _AS_TORCH)
    if any(n.endswith("/constants.pkl") for n in names):
        hint = "load it, and save its state dict: torch.save(torch.jit.load(FILE).state_dict(), OTHER)"
        raise refused("E0809", name, "the file is a program of TorchScript", hint)
    if any(n.endswith(("/archive_format", "serialized_exported_program.json")) for n in names):
        hint = "load it, and save its state dict: torch.save(torch.export.load(FILE).state_dict, OTHER)"
        raise refused("E0809", name, "the file is a program of torch.export", hint)
    pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
    if not pickles:
        raise refused(
            "E0809", name, "the file is a zip archive, and not one of torch.save", "unpack it first: unzip FILE"
        )
    size, unpacked = os.fstat(file.fileno()).st_size, sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED * size + 2**20 or pickles[0].file_size > MAX_PICKLE:
        label = f"{size:,} bytes unpack to {unpacked:,}, which no checkpoint of torch.save does"
        raise refused("E0808", name, label, _AGAIN)


def _check_bare_pickle(name: str, file: IO[bytes]) -> None:
    """Raise SpecError if a file is a pickle that torch.save did not write; what is no pickle is left to torch."""
    operations = _operations(file)
    values = [argument for _, argument in zip(range(3), (a for o, a in operations if o != "PROTO"), strict=False)]
    if not values or values[0] == _TORCH_MAGIC:
        return
    file.seek(0)
    words, called = _content(file)
    foreign = [c for c in called if not c.startswith(("numpy", "collections", "_codecs", "copy_reg", "copyreg"))]
    if foreign:
        raise _runs_code(name, foreign[0])
    if "blobs" in words:
        raise refused("E0809", name, "the file is a pickle of arrays, as Caffe2 and Detectron write (`blobs`)", _CAFFE2)
    if any(c.startswith("numpy") for c in called):
        raise refused("E0809", name, "the file is a pickle of numpy arrays, not one of torch.save", _AS_TORCH)
    if called or words:
        raise refused("E0809", name, "the file is a pickle, not one of torch.save", _AS_TORCH)


def _operations(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield the operations of a pickle with their arguments, as far as it is one; nothing is executed."""
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count >= MAX_OPERATIONS:
                return
            yield operation.name, argument
    except Exception:  # genops tells what is no pickle by errors of many kinds
        return


def _content(file: IO[bytes]) -> tuple[set[str], list[str]]:
    """Return the short texts in a pickle, and the names that it would import."""
    texts: list[str] = [""]
    memo: list[str] = []
    called: list[str] = []
    for operation, argument in _operations(file):
        if operation in ("GLOBAL", "INST"):
            called.append(str(argument).replace(" ", "."))
        elif operation == "STACK_GLOBAL":
            called.append(".".join(texts[-2:]))
        elif operation == "MEMOIZE":
            memo.append(texts[-1])
        elif operation in ("BINGET", "LONG_BINGET") and isinstance(argument, int) and argument < len(memo):
            texts.append(memo[argument])
        elif isinstance(argument, str) and len(argument) < 200:
            texts.append(argument)
    return set(texts[1:]), called


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_safetensors(name: str) -> Any:
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]  # its paths have no type

    try:
        return load_file(name)
    except Exception as error:  # headers can be wrong in ways that safetensors and torch tell by errors of many kinds
        raise _damaged(name, error) from None


def _read_pickle(name: str) -> Any:
    import pickle
    import warnings

    import torch

    try:
        # By its name alone torch takes a file for one of safetensors. It warns of pickles that it did not write.
        with Path(name).open("rb") as file, warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _GLOBAL.search(str(error))
        if wanted is None:
            raise _damaged(name, error) from None
        raise _runs_code(name, wanted[1]) from None
    except Exception as error:  # torch tells damage by errors of many kinds
        raise _damaged(name, error) from None


def _runs_code(name: str, called: str) -> SpecError:
    label = f"it wants to call `{called[:200]}` while it is read, which is code and not weights"
    hint = (
        "if you trust who made it, load it yourself with torch.load(…, weights_only=False), and save its state dict "
        "alone: torch.save(state_dict, FILE)"
    )
    return refused("E0810", name, label, hint)


def _damaged(name: str, error: Exception) -> SpecError:
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return refused("E0808", name, "it asks for more memory than there is", _AGAIN)
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    label = f"it is no checkpoint that torch or safetensors can read, or only a part of one ({reason})"
    return refused("E0808", name, label, _AGAIN)
