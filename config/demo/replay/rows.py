"""Rows of a file of sales, every field checked. `baskets` comes in here."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from config.demo.replay.lines import damaged, lines_of

MOST_PIECES: Final = 1_000_000
"""Of one SKU in one basket: what a line of an order takes."""

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_FIELDS: Final = (
    ("invoice", r"[A-Za-z0-9-]{1,30}", "1-30 letters, digits or hyphens"),
    ("kind", r"order|cancellation", "order or cancellation"),
    ("placed_at", _MOMENT.pattern, "a time like 2010-12-01T08:26:00Z"),
    ("customer", r"[0-9]{0,20}", "a number, or empty"),
    ("country", r"[^\x00-\x1f\x7f]{1,60}", "a name of 1-60 characters"),
    ("sku", r"(?=.*\S)[^\x00-\x1f\x7f]{1,64}", "1-64 characters"),
    ("quantity", rf"[1-9][0-9]{{0,5}}|{MOST_PIECES}", f"a whole number from 1 to {MOST_PIECES}"),
    ("unit_price_cents", r"[0-9]{1,12}", "a whole number"),
)
COLUMNS: Final = tuple(name for name, _, _ in _FIELDS)
_CHECKS: Final = tuple((name, re.compile(pattern).fullmatch, meaning) for name, pattern, meaning in _FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of an invoice; ``line`` is its number in the file, from 1. What it cost then plays no part."""

    line: int
    invoice: str
    kind: str
    customer: str
    country: str
    sku: str
    quantity: int


def rows_of(path: Path) -> Iterator[Row]:
    """The file's rows, in its order.

    Raises:
        UnreadableFileError: It can't be opened.
        DamagedFileError: A line is wrong. Rows before it have come out by then.
    """
    reader = csv.reader(lines_of(path), strict=True)
    before = ""
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise damaged(1, f"it must name the columns {','.join(COLUMNS)}")
        for values in reader:
            line = reader.line_num
            _check(line, values)
            invoice, kind, placed_at, customer, country, sku, quantity, _ = values
            if placed_at < before:
                raise damaged(line, f"placed_at is earlier than in the line before, {before}")
            before = placed_at
            yield Row(
                line=line,
                invoice=invoice,
                kind=kind,
                customer=customer,
                country=country,
                sku=sku,
                quantity=int(quantity),
            )
    except csv.Error as error:
        raise damaged(reader.line_num, f"it is no CSV: {error}") from None


def _check(line: int, values: Sequence[str]) -> None:
    if len(values) != len(COLUMNS):
        raise damaged(line, f"it has {len(values)} fields instead of {len(COLUMNS)}")
    for (name, is_good, meaning), value in zip(_CHECKS, values, strict=True):
        if not is_good(value) or (name == "placed_at" and not _is_on_the_calendar(value)):
            raise damaged(line, f"{name} must be {meaning}, not {value[:60]!r}")


@lru_cache(maxsize=64)
def _is_on_the_calendar(moment: str) -> bool:
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return False
    return True
