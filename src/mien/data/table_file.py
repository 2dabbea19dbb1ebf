"""Tables in text files as spreadsheets and other programs save them: CSV with any usual separator and encoding."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Generator, Iterator
from pathlib import Path

from mien.core.errors import DatasetError

Rows = Generator[tuple[int, list[str]], None, None]
"""The number of each row's line, and its values."""

_SEPARATORS = ",;\t"
_HEAD = 65_536


def read_header(file: Path) -> list[str]:
    """The names of a table's columns as :func:`read_table` gives them; none where it is no table."""
    try:
        header, rows = read_table(file)
    except DatasetError:
        return []
    rows.close()
    return header


def read_table(file: Path) -> tuple[list[str], Rows]:
    """The names of a table's columns, in lower case, and its rows.

    UTF-8 with or without a mark and UTF-16 are read, with commas, semicolons or tabs between the values, whichever the
    header has most of. Columns without a name, as pandas writes its index, and blank lines are left out.

    Raises:
        DatasetError: the file cannot be opened or is no such table, or a row has another number of values; of rows it
            is raised as they are read. Messages name the line.
    """
    rows = _rows(file)
    _, header = next(rows, (0, []))
    return header, rows


def _rows(file: Path) -> Rows:
    """The header and the rows, without the columns that have no name."""
    try:
        with file.open("rb") as opened:
            encoding, separator, skipped = _layout(opened.read(_HEAD))
        with file.open(encoding=encoding, newline="") as lines:
            for _ in range(skipped):
                next(lines)
            reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            kept = [column for column, name in enumerate(header) if name and not name.startswith("unnamed:")]
            yield skipped + 1, [header[column] for column in kept]
            for row in reader:
                if not row:
                    continue
                number = skipped + reader.line_num
                if len(row) != len(header):
                    raise DatasetError(
                        f"{file}, line {number}: expected {len(header)} values, found {len(row)}: the file is cut or "
                        "damaged, or a value that holds a separator is not in quotes"
                    )
                yield number, [row[column].strip() for column in kept]
    except OSError as error:
        raise DatasetError(f"{file}: {error.strerror or error}") from None
    except (UnicodeError, csv.Error) as error:
        raise DatasetError(f"{file} is not a CSV file in UTF-8 ({error}): save it as one") from None


def _layout(head: bytes) -> tuple[str, str, int]:
    """Encoding and separator of a table by its beginning, and how many lines come before its header."""
    encoding = "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif 0 in head[:2]:  # a letter of a header is one byte and a zero
        encoding = "utf-16-be" if head[0] == 0 else "utf-16-le"
    elif 0 in head.partition(b"\n")[0]:
        raise UnicodeError("its header holds zero bytes")
    lines: Iterator[str] = iter(head.decode(encoding, errors="replace").splitlines())
    first = next(lines, "")
    if first.lower().startswith("sep=") and len(first) == 5:  # how a spreadsheet names the separator
        return encoding, first[4], 1
    return encoding, max(_SEPARATORS, key=first.count), 0
