"""Arrow and Parquet files of Hugging Face datasets, read with pyarrow."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from functools import lru_cache
from importlib import import_module
from itertools import accumulate
from typing import Any

from archdsl.files import EnvironmentFault

BYTES = "bytes"  # fields of a video in a Hugging Face dataset
PATH = "path"


def check_pyarrow(path: str) -> None:
    """Raise EnvironmentFault if pyarrow, which reads the dataset at a path, is not installed."""
    try:
        import_module("pyarrow")
    except ImportError:
        raise EnvironmentFault(
            f"{path}: Hugging Face datasets need pyarrow: pip install 'archdsl[huggingface]'"
        ) from None


def opened(file: str) -> Table:
    """Open a file, once for each process.

    Raises:
        OSError: if it does not exist.
        ValueError: if it is neither Arrow nor Parquet, or damaged.
    """
    return _opened(file, os.getpid())


@lru_cache(maxsize=64)
def _opened(file: str, process: int) -> Table:
    del process  # a forked process must not share positions and threads with its parent
    return Parquet(file) if file.lower().endswith(".parquet") else Table(file)


class Table:
    """A table in an Arrow file in the format of streams, mapped into memory.

    Args:
        file: its path.
    """

    def __init__(self, file: str) -> None:
        arrow: Any = import_module("pyarrow")
        self.table: Any = arrow.ipc.open_stream(arrow.memory_map(file)).read_all()
        self.schema: Any = self.table.schema
        self.rows: int = self.table.num_rows

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """The columns' types in the terms of Hugging Face, such as `{"_type": "ClassLabel", "names": …}`."""
        metadata: dict[bytes, bytes] = self.schema.metadata or {}
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self.schema.names

    def kind(self, column: str) -> str:
        """Return `text`, `bytes` (alone, or beside a path) or another word for the values of a column."""
        kind = str(self.schema.field(column).type)
        if kind in {"string", "large_string"}:
            return "text"
        return "bytes" if kind in {"binary", "large_binary"} or kind.startswith(f"struct<{BYTES}: ") else kind

    def values(self, column: str, field: str = "") -> list[Any]:
        """Return the values of a column, or of one field of its records."""
        values = self._column(column, field)
        if field:
            values = import_module("pyarrow.compute").struct_field(values, field)
        return values.to_pylist()

    def has_path(self, column: str) -> bool:
        """Return True if the records of a column have a path."""
        return f"{PATH}: " in str(self.schema.field(column).type)

    def has_video(self, column: str, row: int) -> bool:
        """Return True if a row has the bytes of a video."""
        return self._bytes(column, row).is_valid

    def video(self, column: str, row: int) -> bytes:
        """Return the bytes of a video.

        Raises:
            ValueError: if the row has none.
        """
        value = self._bytes(column, row)
        if not value.is_valid:
            message = f"row {row} has no bytes"
            raise ValueError(message)
        return value.as_buffer().to_pybytes()

    def _bytes(self, column: str, row: int) -> Any:
        value = self._cell(column, row)
        return value[BYTES] if value.is_valid and str(value.type).startswith("struct") else value

    def _column(self, column: str, field: str) -> Any:
        del field
        return self.table.column(column)

    def _cell(self, column: str, row: int) -> Any:
        return self.table.column(column)[row]


class Parquet(Table):
    """A table in a Parquet file, of which a whole row group is read at once; the last one is kept."""

    def __init__(self, file: str) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.file: Any = import_module("pyarrow.parquet").ParquetFile(file, memory_map=True)
        self.schema = self.file.schema_arrow
        facts = self.file.metadata
        self.rows = facts.num_rows
        self.starts = [0, *accumulate(facts.row_group(g).num_rows for g in range(facts.num_row_groups))]
        self.kept: tuple[tuple[int, str], Any] | None = None

    def _column(self, column: str, field: str) -> Any:
        name = f"{column}.{field}" if field else column
        return self.file.read(columns=[name], use_threads=False).column(column)

    def _cell(self, column: str, row: int) -> Any:
        group = bisect_right(self.starts, row) - 1
        if self.kept is None or self.kept[0] != (group, column):
            values = self.file.read_row_group(group, columns=[column], use_threads=False).column(column)
            self.kept = (group, column), values
        return self.kept[1][row - self.starts[group]]
