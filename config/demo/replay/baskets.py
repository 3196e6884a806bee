"""Baskets of a file of sales: an invoice's lines put together, as a stream."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from config.demo.replay.lines import damaged
from config.demo.replay.rows import MOST_PIECES, Row, rows_of
from contexts.catalog.domain import sku_key
from contexts.ordering.domain import MAX_LINES

STILL_OPEN: Final = 8
"""Invoices of the same minute stand among each other: so many may be open at once."""


class Kind(StrEnum):
    """What an invoice is."""

    ORDER = "order"
    CANCELLATION = "cancellation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """One invoice.

    Attributes:
        line: Where it begins in the file, from 1.
        customer: The customer's number; empty: unknown.
        pieces: By the SKU's folded form, repeated ones summed, in the order in which they come first.
    """

    line: int
    invoice: str
    kind: Kind
    customer: str
    country: str
    pieces: dict[str, int] = field(default_factory=dict)

    @property
    def lane(self) -> str:
        """Baskets of one lane are handled one after another."""
        return self.customer or self.invoice

    @property
    def fingerprint(self) -> str:
        """What makes it the same basket again, wherever it stands."""
        content = (self.invoice, self.kind.value, self.customer, self.country, sorted(self.pieces.items()))
        return hashlib.sha256(repr(content).encode()).hexdigest()


def baskets_of(path: Path) -> Iterator[Basket]:
    """The file's baskets in the order of their first lines.

    Raises:
        UnreadableFileError: It can't be opened.
        DamagedFileError: A line is wrong. Baskets before it have come out by then.
    """
    still_open: dict[str, Basket] = {}
    for row in rows_of(path):
        if row.invoice not in still_open:
            if len(still_open) == STILL_OPEN:
                yield still_open.pop(next(iter(still_open)))
            still_open[row.invoice] = Basket(
                line=row.line,
                invoice=row.invoice,
                kind=Kind(row.kind),
                customer=row.customer,
                country=row.country,
            )
        _add(still_open[row.invoice], row)
    yield from still_open.values()


def _add(basket: Basket, row: Row) -> None:
    for name in ("kind", "customer", "country"):
        here, before = getattr(row, name), getattr(basket, name)
        if here != before:
            what = f"{name} of invoice {row.invoice} is {here!r}, in line {basket.line} it is {str(before)!r}"
            raise damaged(row.line, what)
    sku = sku_key(row.sku)
    pieces = basket.pieces.get(sku, 0) + row.quantity
    if pieces > MOST_PIECES:
        raise damaged(row.line, f"invoice {row.invoice} has more than {MOST_PIECES} pieces of {row.sku}")
    if sku not in basket.pieces and len(basket.pieces) == MAX_LINES:
        raise damaged(row.line, f"invoice {row.invoice} has more than {MAX_LINES} different SKUs, an order's most")
    basket.pieces[sku] = pieces
