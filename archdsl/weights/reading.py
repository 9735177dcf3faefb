"""Reading of checkpoint files: detection of the format by the first bytes, then torch or safetensors. Needs torch."""

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

MAX_OPERATIONS = 5000  # operations of a pickle that are examined to recognise it
MAX_UNPACKED = 4  # times the size of the file; torch.save does not compress
MAX_HEADER = 2**27  # bytes of the header of safetensors
MAX_PICKLE = 2**28  # bytes of the pickle in an archive, which has only names and shapes
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first value in files of torch.save before release 1.6
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_AGAIN = "download it again, and compare its size with the published size"
_AS_TORCH = "load it with the library that wrote it, and save the tensors: torch.save({name: tensor, …}, FILE)"
# Other file formats: first bytes, description, hint.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x93NUMPY", "an array of numpy", _AS_TORCH),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _AS_TORCH),
    (b"\x1f\x8b", "compressed with gzip", "decompress it first: gunzip FILE"),
    (b"BZh", "compressed with bzip2", "decompress it first: bunzip2 FILE"),
    (b"\xfd7zXZ\x00", "compressed with xz", "decompress it first: unxz FILE"),
    (b"(\xb5/\xfd", "compressed with zstd", "decompress it first: unzstd FILE"),
    (b"version https://git-lfs", "a Git LFS pointer, not the checkpoint", "download the checkpoint: git lfs pull"),
    (b"<!", "a web page, not the checkpoint", "download the file that the page links to"),
    (b"<html", "a web page, not the checkpoint", "download the file that the page links to"),
    (b"<?xml", "an XML document, probably an error message of the server", "download the checkpoint again"),
)
_CAFFE2 = (
    "let PySlowFast read it, with TRAIN.CHECKPOINT_TYPE caffe2, and save it under its own names; or unpickle it "
    "yourself and save its arrays as tensors: torch.save({name: torch.from_numpy(array), …}, FILE)"
)


def refused(code: str, origin: str, label: str, hint: str = "") -> SpecError:
    """Return the error about a checkpoint as a whole, for the caller to raise."""
    return Reporter().fatal(code, Span(Source(origin, ""), 0, 0), label, hint=hint)


def read_checkpoint(name: str) -> Any:
    """Return the object in a checkpoint file, without executing code in it.

    Raises:
        UsageError: if the file does not exist.
        EnvironmentFault: if the system does not permit reading.
        SpecError: if it is damaged, of another format, or cannot be read without executing code in it.
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
    """Raise UsageError unless the name is that of a regular file: reading a device or a pipe may never end."""
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        raise UsageError(f"{name}: no such file") from None
    except OSError as error:
        raise system_fault(name, error) from None
    except ValueError as error:  # a zero byte in the name
        raise UsageError(f"{name}: {error}") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{name}: is a directory; expected a checkpoint file")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{name}: is a device or a pipe; expected a checkpoint file")


def metadata_of(name: str) -> dict[str, str]:
    """Return the metadata of a safetensors file; empty for other files, and for unreadable ones."""
    try:
        _check_file(name)
        with Path(name).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            text = file.read(size) if size < MAX_HEADER else b"{}"
        metadata: Any = json.loads(text).get("__metadata__", {})
    except (OSError, ValueError, AttributeError, RecursionError, CommandError):
        return {}
    return {str(k): str(v) for k, v in cast("dict[Any, Any]", metadata).items()} if isinstance(metadata, dict) else {}


# --- file formats ----------------------------------------------------------------------------------------------------


def _is_safetensors(name: str, head: bytes) -> bool:
    """Return True if a file begins with the length of a JSON header, or has the suffix and no other known format."""
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return True
    of_torch = head.startswith((b"PK\x03\x04", b"\x80\x02"))
    return name.endswith(".safetensors") and not of_torch and _kind(head) is None


def _kind(head: bytes) -> tuple[str, str] | None:
    for start, description, hint in _KINDS:
        if head[: len(start)].lower() == start.lower():
            return description, hint
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it first: tar xf FILE"
    if head.lstrip()[:1] == b"{":
        return "JSON, such as the index of a sharded checkpoint", "name a file with tensors"
    return None


def _check_kind(name: str, head: bytes, file: IO[bytes]) -> None:
    """Raise SpecError if a file is of a format that torch.save does not write."""
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
    """Raise SpecError unless a zip archive was written by torch.save, uncompressed."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise _damaged(name, error) from None
    names = [entry.filename for entry in entries]
    if any(n.endswith(".npy") for n in names):
        raise refused("E0809", name, "the file is a NumPy archive (.npz)", _AS_TORCH)
    if any(n.endswith("/constants.pkl") for n in names):
        hint = "load it, and save its state dict: torch.save(torch.jit.load(FILE).state_dict(), OTHER)"
        raise refused("E0809", name, "the file is a TorchScript program", hint)
    if any(n.endswith(("/archive_format", "serialized_exported_program.json")) for n in names):
        hint = "load it, and save its state dict: torch.save(torch.export.load(FILE).state_dict, OTHER)"
        raise refused("E0809", name, "the file is a torch.export program", hint)
    pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
    if not pickles:
        raise refused("E0809", name, "the file is a zip archive not written by torch.save", "unpack it: unzip FILE")
    size, unpacked = os.fstat(file.fileno()).st_size, sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED * size + 2**20 or pickles[0].file_size > MAX_PICKLE:
        label = f"{size:,} bytes decompress to {unpacked:,}, but torch.save does not compress"
        raise refused("E0808", name, label, _AGAIN)


def _check_bare_pickle(name: str, file: IO[bytes]) -> None:
    """Raise SpecError if a file is a pickle not written by torch.save; for other files, torch reports the error."""
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
        raise refused("E0809", name, "the file is a pickle of NumPy arrays not written by torch.save", _AS_TORCH)
    if called or words:
        raise refused("E0809", name, "the file is a pickle not written by torch.save", _AS_TORCH)


def _operations(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield the operations of a pickle with their arguments, up to the first error; nothing is executed."""
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count >= MAX_OPERATIONS:
                return
            yield operation.name, argument
    except Exception:  # for a file that is not a pickle, genops raises exceptions of many types
        return


def _content(file: IO[bytes]) -> tuple[set[str], list[str]]:
    """Return the short strings in a pickle, and the names that it would import."""
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
    except Exception as error:  # for damaged headers, safetensors and torch raise exceptions of many types
        raise _damaged(name, error) from None


def _read_pickle(name: str) -> Any:
    import pickle
    import warnings

    import torch

    try:
        # Pass an open file: torch chooses safetensors by the file name. Ignore warnings about foreign pickles.
        with Path(name).open("rb") as file, warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _GLOBAL.search(str(error))
        if wanted is None:
            raise _damaged(name, error) from None
        raise _runs_code(name, wanted[1]) from None
    except Exception as error:  # for damaged files, torch raises exceptions of many types
        raise _damaged(name, error) from None


def _runs_code(name: str, called: str) -> SpecError:
    label = f"reading it would execute code: it calls `{called[:200]}`"
    hint = (
        "if you trust its author, load it yourself with torch.load(…, weights_only=False), and save only its state "
        "dict: torch.save(state_dict, FILE)"
    )
    return refused("E0810", name, label, hint)


def _damaged(name: str, error: Exception) -> SpecError:
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return refused("E0808", name, "reading it needs more memory than is available", _AGAIN)
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    label = f"torch or safetensors cannot read it; it may be incomplete ({reason})"
    return refused("E0808", name, label, _AGAIN)
