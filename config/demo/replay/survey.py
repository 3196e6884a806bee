"""A file of sales looked through before anything is done: whether it is whole, and what is in it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.demo.replay.baskets import Basket, Kind, baskets_of
from config.demo.replay.lines import damaged

TELL_EVERY: Final = 200


@dataclass(slots=True, kw_only=True)
class Survey:
    """What is in the part of a file that is to be replayed.

    Attributes:
        baskets: Invoices.
        orders: Those of them that buy.
        cancellations: Those that take something back.
        guests: Orders without a customer.
        customers: Different customers.
        sizes: How many orders have so many different SKUs.
        pieces: Ordered, by the SKU's folded form.
    """

    orders: int = 0
    cancellations: int = 0
    guests: int = 0
    customers: int = 0
    sizes: Counter[int] = field(default_factory=Counter)
    pieces: Counter[str] = field(default_factory=Counter)

    @property
    def baskets(self) -> int:
        """Invoices of either kind."""
        return self.orders + self.cancellations

    @property
    def lines(self) -> int:
        """Different SKUs of all orders."""
        return sum(size * times for size, times in self.sizes.items())

    @property
    def largest(self) -> int:
        """Different SKUs of the largest order."""
        return max(self.sizes, default=0)

    @property
    def median(self) -> int:
        """Different SKUs of the order in the middle; the smaller one of two."""
        left = (self.orders + 1) // 2
        for size in sorted(self.sizes):
            left -= self.sizes[size]
            if left <= 0:
                return size
        return 0


def survey(path: Path, *, limit: int | None, progress: Callable[[int], None]) -> Survey:
    """Look the whole file through, and count its first ``limit`` invoices.

    Args:
        path: Of the file.
        limit: None: all of them.
        progress: Called now and then with the number of invoices seen.

    Raises:
        UnreadableFileError: It can't be opened.
        DamagedFileError: A line is wrong, or an invoice comes twice.
    """
    found = Survey()
    invoices: set[str] = set()
    customers: set[str] = set()
    for number, basket in enumerate(baskets_of(path), start=1):
        if basket.invoice in invoices:
            raise damaged(basket.line, f"invoice {basket.invoice} was over before; its lines must stand together")
        invoices.add(basket.invoice)
        if limit is None or number <= limit:
            customers.add(basket.customer)
            _count(found, basket)
        if not number % TELL_EVERY:
            progress(number)
    found.customers = len(customers - {""})
    return found


def _count(found: Survey, basket: Basket) -> None:
    if basket.kind is Kind.CANCELLATION:
        found.cancellations += 1
        return
    found.orders += 1
    found.guests += not basket.customer
    found.sizes[len(basket.pieces)] += 1
    found.pieces.update(basket.pieces)
