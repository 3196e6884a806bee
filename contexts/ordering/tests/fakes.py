"""A catalog for ordering's tests: it remembers what it was asked and says what it is told to."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock

from contexts.catalog.contract import (
    CatalogService,
    Offer,
    OutOfStockError,
    Refusal,
    ReservationCancelledError,
    ReservationState,
    ReservedLine,
    StockRequest,
    StockState,
    VariantNotFoundError,
)
from shop.contract import Money


@dataclass
class FakeCatalog(CatalogService):
    """Variants by ID, each with so many free pieces; holds by order."""

    prices: dict[str, Money] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    sold: dict[str, dict[str, int]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    released: dict[str, dict[str, int]] = field(default_factory=dict)
    expires: dict[str, datetime] = field(default_factory=dict)
    name: str = "Teapot"
    lost: bool = False
    broken: Exception | None = None
    withdrawn: set[str] = field(default_factory=set)
    lock: AbstractContextManager[object] = field(default_factory=RLock)

    def offers(self, *, variant_ids: Sequence[str]) -> tuple[Offer, ...]:
        if unknown := [variant_id for variant_id in variant_ids if variant_id not in self.prices]:
            raise VariantNotFoundError(lines=tuple(Refusal(variant_id=variant_id) for variant_id in unknown))
        return tuple(self._offer(variant_id) for variant_id in variant_ids)

    def reserve(self, *, order_id: str, lines: Sequence[StockRequest], expires_at: datetime) -> tuple[Offer, ...]:
        if self.broken:
            raise self.broken
        with self.lock:
            self._hold(order_id, lines)
            self.expires[order_id] = max(expires_at, self.expires.get(order_id, expires_at))
        return self.offers(variant_ids=[line.variant_id for line in lines])

    def _hold(self, order_id: str, lines: Sequence[StockRequest]) -> None:
        if order_id in self.cancelled:
            raise ReservationCancelledError
        if order_id not in self.held:
            short = [li for li in lines if self.free[li.variant_id] < li.quantity]
            if short:
                refused = tuple(Refusal(variant_id=li.variant_id, available=self.free[li.variant_id]) for li in short)
                raise OutOfStockError(detail="not enough", lines=refused)
            for line in lines:
                self.free[line.variant_id] -= line.quantity
            self.held[order_id] = {line.variant_id: line.quantity for line in lines}

    def commit(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        if self.broken:
            raise self.broken
        if order_id in self.cancelled:
            raise ReservationCancelledError
        if self.lost:
            raise OutOfStockError(detail="gone")
        if order_id in self.held:
            self.sold[order_id] = self.held.pop(order_id)

    def cancel(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        self.cancelled.add(order_id)
        back = {**self.held.pop(order_id, {}), **self.sold.pop(order_id, {})}
        self.released.setdefault(order_id, back)
        for variant_id, quantity in back.items():
            self.free[variant_id] += quantity

    def reservations(self, *, order_ids: Sequence[str]) -> tuple[tuple[ReservedLine, ...], ...]:
        if self.broken:
            raise self.broken
        return tuple(tuple(self._reserved(order_id)) for order_id in order_ids)

    def _reserved(self, order_id: str) -> Iterator[ReservedLine]:
        states = (
            (ReservationState.HELD, self.held),
            (ReservationState.SOLD, self.sold),
            (ReservationState.RELEASED, self.released),
        )
        for state, books in states:
            for variant_id, quantity in books.get(order_id, {}).items():
                yield ReservedLine(variant_id=variant_id, quantity=quantity, state=state)

    def orders_sold_to(self, *, after: str, limit: int) -> tuple[str, ...]:
        if self.broken:
            raise self.broken
        return tuple(sorted((each for each in self.sold if int(each) > int(after)), key=int)[:limit])

    def adjust_stock(self, *, variant_id: str, delta: int, reason: str, command_id: str) -> StockState:
        raise NotImplementedError

    def stock(self, variant_id: int, pieces: int, *, price: int = 1299, currency: str = "EUR") -> int:
        """A variant with ``pieces`` on the shelf."""
        self.prices[str(variant_id)] = Money(amount=price, currency=currency)
        self.free[str(variant_id)] = pieces
        return variant_id

    def _offer(self, variant_id: str) -> Offer:
        return Offer(
            variant_id=variant_id,
            product_id=variant_id,
            sku=f"SKU-{variant_id[-4:]}",
            name=self.name,
            price=self.prices[variant_id],
            available=self.free[variant_id],
            for_sale=variant_id not in self.withdrawn,
        )
