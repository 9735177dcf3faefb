"""Reading specs and writing what is made of them: the compiler's only contact with the disk."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from archdsl.core.codes import TITLES
from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import MAX_CHARACTERS, Source, Span
from archdsl.resources import bundled_specs, resource

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence


MAX_BYTES = 4 * MAX_CHARACTERS + 3  # of UTF-8, with a byte order mark
_NO_SPECS = {".py", ".yaml", ".yml", ".json", ".pth", ".pt", ".onnx", ".ipynb"}
_KINDS = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}

# Numbers of system errors that a wrong path causes; all others are faults of the machine.
_WRONG_PATH = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EEXIST,
}  # fmt: skip


class CommandError(Exception):
    """A command cannot go on, for a reason outside of the spec's text; `kind` names what has the fault."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = ""

    @property
    def line(self) -> str:
        """The message as the command line prints it."""
        return f"archdsl: {self.kind}: {self}" if self.kind else f"archdsl: {self}"


class UsageError(CommandError):
    """Wrong use: an option, or a path on the command line, that cannot be."""

    exit_code = 2


class DataError(CommandError):
    """Videos, a list of them, or a folder that training wrote cannot be used."""

    kind = "data"


class WeightsError(CommandError):
    """A checkpoint cannot be read, or holds other tensors than are needed."""

    kind = "weights"


class EnvironmentFault(CommandError):
    """The machine lacks something: a package, memory, space on a disk, a permission, a GPU."""

    kind = "environment"


def system_fault(path: object, error: OSError, attempt: str = "") -> CommandError:
    """Return a UsageError where the system says that a path is wrong, else an EnvironmentFault."""
    cls = UsageError if error.errno in _WRONG_PATH else EnvironmentFault
    return cls(f"{path}: {attempt}{error.strerror or error}")


def read_spec(spec: str | os.PathLike[str]) -> Source:
    """Return the text of a spec: of a file, or of the bundled spec of that name where there is no such file.

    Raises:
        UsageError: if there is neither.
        EnvironmentFault: if the system does not let the file be read.
        SpecError: if it is not UTF-8.
    """
    name = os.fspath(spec)
    if not re.fullmatch(r"\w+", name) or (os.path.exists(name) and not os.path.isdir(name)):
        return read_source(name)
    known = bundled_specs()
    if name in known:
        return read_source(known[name])
    if os.path.isdir(name):
        return read_source(name)  # which says what is wrong
    raise UsageError(f"{name}: neither a file nor a bundled spec{_nearest_name(name, known)}")


def _nearest_name(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    if os.path.exists(f"{name}.arch"):
        return f"; did you mean {name}.arch?"
    close = get_close_matches(name, list(known), n=3)
    hint = f"; did you mean {' or '.join(close)}? " if close else "; "
    return f"{hint}`archdsl list` shows the bundled specs"


def read_source(path: str | os.PathLike[str]) -> Source:
    """Return the text of a file.

    Raises:
        UsageError: if there is no file to read.
        EnvironmentFault: if the system does not let it be read.
        SpecError: if it is not UTF-8.
    """
    name = os.fspath(path)
    if not name:
        raise UsageError("the name of a file is empty; name a spec, as in `NAME.arch`")
    if Path(name).suffix in _NO_SPECS and os.path.isfile(name):
        stem = re.sub(r"\W", "_", Path(name).stem)
        raise UsageError(f"{name}: is no spec, whose name ends in .arch; `archdsl new {stem}` writes one to start from")
    try:
        data = _read(Path(path))
    except IsADirectoryError:
        raise UsageError(_is_folder(name.rstrip("/"))) from None
    except FileNotFoundError:
        raise UsageError(f"{name}: no such file{_nearest(Path(path))}") from None
    except OSError as error:
        raise system_fault(name, error) from None
    except ValueError as error:  # a zero byte in the name
        raise UsageError(f"{name}: {error}") from None
    return source_of(name, data)


def _is_folder(name: str) -> str:
    """Return what to do instead of naming a folder, such as that of a run, as a spec."""
    found = [*sorted(Path(name).glob("*.arch")), *sorted(Path(name).glob("*/*.arch"))]
    if not found and (Path(name) / "run.json").is_file():
        return f"{name}: is a run of a bundled spec; name that spec: {name}/run.json has it, and its settings"
    beside = found[0].relative_to(name).as_posix() if found else "NAME.arch"
    return f"{name}: is a directory; name a spec in it, as in `{name}/{beside}`"


def source_of(name: str, data: bytes) -> Source:
    """Return bytes as a text of the language.

    Raises:
        SpecError: if they are more than a spec can have, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        label = f"more than {MAX_BYTES:,} bytes, at most {MAX_CHARACTERS:,} characters are read"
        raise SpecError([Diagnostic("E0704", TITLES["E0704"], Span(Source(name, ""), 0, 0), label)])
    try:
        return _same(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        place = Span(Source(name, ""), 0, 0)
        label = f"byte {error.start} (0x{data[error.start]:02X}) does not begin a character"
        raise SpecError([Diagnostic("E0101", TITLES["E0101"], place, label)]) from None


@lru_cache(maxsize=256)
def _same(name: str, text: str) -> Source:
    """Return the same object for the same text, so that a file is parsed once in a process."""
    return Source(name, text)


def _read(path: Path) -> bytes:
    """Return the bytes of a file, or the first of them where they are more than a spec can have.

    Neither a pipe, which may never end or never begin, nor a device is read.

    Raises:
        OSError: if it cannot be read.
        UsageError: if it is no file.
    """
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "device")
            raise UsageError(f"{path}: is a {kind}, not a file; save the text as `NAME.arch`")
        return file.read(MAX_BYTES + 1)


def _nearest(path: Path) -> str:
    from difflib import get_close_matches

    folder = path.parent
    beside = [p.stem for p in folder.glob("*.arch")] if folder.is_dir() else []
    close = get_close_matches(path.stem, beside, n=1)
    if close:
        return f"; did you mean {folder / close[0]}.arch?"
    return f"; did you mean the bundled spec {path.stem}?" if path.stem in bundled_specs() else ""


class FileLibrary:
    """Library of files: `NAME.arch` beside the file that names it, in `lib/` below that, or bundled."""

    def find(self, name: str, importer: Source) -> Source | None:
        """Return the file, if it lies in one of these folders and not, by a link, outside of them."""
        for root, folder in self._folders(importer):
            file = folder / f"{name}.arch"
            if _is_inside(file, root):
                return read_source(file)
        return None

    def names(self, importer: Source) -> set[str]:
        """Return all names that can be found."""
        return {p.stem for _, folder in self._folders(importer) for p in folder.glob("*.arch")}

    def maps(self, specs: Sequence[Source]) -> list[Source]:
        """Return the maps of names in `weights/` beside each of some specs, then those of archdsl."""
        folders = [*(Path(s.name).parent for s in specs), resource("specs")]
        roots: dict[Path | None, Path] = {}
        for folder in folders:  # a spec and those that it extends stand in few
            roots.setdefault(_real(folder), folder)
        found: dict[Path, Path] = {}
        for root, folder in roots.items():
            for file in sorted((folder / "weights").glob("*.weights")):
                real = _real(file)
                if root is not None and real is not None and real.is_file() and real.is_relative_to(root):
                    found.setdefault(real, file)
        return [read_source(file) for file in found.values()]

    def _folders(self, importer: Source) -> Iterator[tuple[Path, Path]]:
        """Yield the folders to search, each behind the one that no link may lead out of."""
        here = Path(importer.name).parent
        specs = resource("specs")
        yield here, here
        yield here, here / "lib"
        yield specs, specs
        yield specs, specs / "lib"
        yield specs, specs / "images"


def _is_inside(file: Path, folder: Path) -> bool:
    """Tell whether a file exists and no link leads it outside of a folder."""
    real, root = _real(file), _real(folder)
    return real is not None and root is not None and real.is_file() and real.is_relative_to(root)


def _real(path: Path) -> Path | None:
    """Return the path without links of what exists; None also in folders that may not be entered."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):  # the latter for links that go round in a circle
        return None


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write a file so that it exists whole or not at all.

    Raises:
        UsageError: if there can be no such file.
        EnvironmentFault: if the system does not let it be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a file beside another one, which takes its place if all goes well and is deleted if not.

    Raises:
        UsageError: if there can be no such file.
        EnvironmentFault: if the system does not let it be written.
    """
    import tempfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise UsageError(f"{path}: is a directory")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            yield Path(temporary)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise system_fault(path, error, "cannot be written: ") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
