"""Reading of text files: lists of videos and of classes."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from archdsl.files import DataError, system_fault

if TYPE_CHECKING:
    from pathlib import Path


def read_text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        CommandError: if it cannot be read, or is not UTF-8 text.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise system_fault(file, error) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{file}:{line}: is not UTF-8 text; save the list as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{file}:{text[: text.index(chr(0))].count(chr(10)) + 1}: is not text, but binary data")
    return text


def parse_json(file: Path, text: str) -> Any:
    """Return the JSON value of a file's text.

    Raises:
        DataError: with file and line, if it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise DataError(f"{file}: is nested too deeply for a list of videos") from None


def parse_rows(file: Path, text: str) -> list[tuple[int, list[str]]]:
    """Return the line number and the fields of each line that is not empty.

    Fields are separated by tabs, semicolons, commas or spaces: the first of these that is in the first line.

    Raises:
        DataError: with file and line, if quotes are unbalanced.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((d for d in "\t;," if d in first), " ")
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True, strict=True)
    begin = 1
    try:
        for row in reader:
            fields = [f.strip() for f in row]
            fields = [f for f in fields if f] if delimiter == " " else fields
            if any(fields):
                rows.append((begin, fields))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f'{file}:{reader.line_num}: {error}; quote fields as in "a, b"') from None
    return rows


def count(number: int, noun: str) -> str:
    """Format a number with a noun, in the singular for 1."""
    return f"{number} {noun}" + "s" * (number != 1)


def some(names: list[str], most: int = 5) -> str:
    """Format the first of some names as text."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
