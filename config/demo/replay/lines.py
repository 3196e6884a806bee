"""A file's lines, plain or compressed, one at a time and none too long. `baskets` comes in here."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from shop.contract import InvalidError

MAX_BYTES: Final = 4_096
"""Of a line; an honest one has some 80."""


class UnreadableFileError(InvalidError):
    """There is no such file, or it can't be opened."""

    code = "unreadable_file"


class DamagedFileError(InvalidError):
    """A line is not what it must be; the detail says which line, and why."""

    code = "damaged_file"


def damaged(line: int, what: str) -> DamagedFileError:
    """The error of a line, counted from 1."""
    return DamagedFileError(detail=f"line {line}: {what}")


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a .csv or .csv.gz with their ends, as text.

    Raises:
        UnreadableFileError: It can't be opened.
        DamagedFileError: A line is too long or not UTF-8, or the compression is damaged.
    """
    number = 1
    try:
        with _opened(path) as file:
            while line := file.readline(MAX_BYTES + 1):
                if len(line) > MAX_BYTES:
                    raise damaged(number, f"it is longer than {MAX_BYTES} bytes")
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                number += 1
    except UnicodeDecodeError:
        raise damaged(number, "it is not UTF-8 text") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise damaged(number, "here the compressed data is damaged or cut off") from None
    except OSError as error:
        raise UnreadableFileError(detail=f"it can't be read: {error.strerror or error}") from None


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
