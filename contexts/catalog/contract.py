"""What other contexts may know about catalog: its service, its data, its events, its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from shop.contract import ConflictError, Event, Money, NotFoundError, PersonalData, Service, atomic, query, saga


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A variant as it can be bought now.

    Attributes:
        variant_id: Decimal ID.
        product_id: Decimal ID.
        sku: The shop's own article number.
        name: Product name, with the variant's options where it has some.
        price: Of one piece.
        available: Pieces that nobody holds.
        for_sale: Whether the product is active.
    """

    variant_id: str
    product_id: str
    sku: str
    name: str
    price: Money
    available: int
    for_sale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRequest:
    """So many pieces of a variant."""

    variant_id: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a line can't be had; ``available`` is what is left of it."""

    variant_id: str
    available: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StockState:
    """Pieces of one variant: ``available = on_hand - reserved``."""

    variant_id: str
    on_hand: int
    reserved: int
    available: int


class ReservationState(StrEnum):
    """What became of reserved pieces. Expiry is not final: the order may still get them. Release is."""

    HELD = "held"
    SOLD = "sold"
    EXPIRED = "expired"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedLine:
    """Pieces of a variant that an order reserved; none where it gave them back before it had them."""

    variant_id: str
    quantity: int
    state: ReservationState


@dataclass(eq=False, kw_only=True)
class OutOfStockError(ConflictError):
    """Fewer pieces are left than were asked for; every such line is named."""

    code = "out_of_stock"
    lines: tuple[Refusal, ...] = ()


@dataclass(eq=False, kw_only=True)
class NotForSaleError(ConflictError):
    """Some variants belong to products that are not active."""

    code = "not_for_sale"
    lines: tuple[Refusal, ...] = ()


@dataclass(eq=False, kw_only=True)
class VariantNotFoundError(NotFoundError):
    """Some variants do not exist."""

    code = "variant_not_found"
    lines: tuple[Refusal, ...] = ()


class ReservationCancelledError(ConflictError):
    """The order's reservation was cancelled; that is final."""

    code = "reservation_cancelled"


class StockWouldBeNegativeError(ConflictError):
    """The adjustment takes more pieces than are free."""

    code = "stock_would_be_negative"


class CatalogService(Service):
    """Products, prices, stock."""

    context = "catalog"

    @query(callers=("ordering",), errors=(VariantNotFoundError,))
    def offers(self, *, variant_ids: Sequence[str]) -> tuple[Offer, ...]:
        """Offers in the order asked: ``offers[i]`` belongs to ``variant_ids[i]``.

        Raises:
            VariantNotFoundError: Some do not exist.
        """
        raise NotImplementedError

    @saga(
        key="order_id",
        callers=("ordering",),
        errors=(OutOfStockError, NotForSaleError, VariantNotFoundError, ReservationCancelledError),
    )
    def reserve(self, *, order_id: str, lines: Sequence[StockRequest], expires_at: datetime) -> tuple[Offer, ...]:
        """Hold the pieces of all lines until ``expires_at``, or of none.

        Returns the offers at which they are held, ``offers[i]`` belonging to ``lines[i]``.

        Safe to repeat: by ``order_id``; a repetition moves ``expires_at`` out and never in.
        Database: one transaction per shard, shards in bucket order, rows locked in variant-ID order.

        Raises:
            OutOfStockError: Every short line is named with what is left. Nothing stays held.
            NotForSaleError: Some products are not active. Nothing stays held.
            VariantNotFoundError: Some variants do not exist. Nothing stays held.
            ReservationCancelledError: `cancel` came first.
        """
        raise NotImplementedError

    @saga(key="order_id", callers=("ordering",), errors=(OutOfStockError, ReservationCancelledError))
    def commit(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        """Take the held pieces out of stock: they are sold.

        Safe to repeat. An expired hold is taken again if the pieces are still there.

        Raises:
            OutOfStockError: An expired hold's pieces are gone. Other lines may be committed: `cancel` gives them
                back.
            ReservationCancelledError: The reservation was cancelled.
        """
        raise NotImplementedError

    @saga(key="order_id", callers=("ordering",))
    def cancel(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        """Give the pieces back, held or sold, for good: a reserve that is still on its way will be refused.

        Safe to repeat.
        """
        raise NotImplementedError

    @query(callers=("ordering",), timeout_seconds=10.0, max_batch=200)
    def reservations(self, *, order_ids: Sequence[str]) -> tuple[tuple[ReservedLine, ...], ...]:
        """What each order has reserved, and what became of it: ``reservations[i]`` belongs to ``order_ids[i]``.

        Lines are in no order. An order that never asked for anything has none.
        """
        raise NotImplementedError

    @query(callers=("ordering",), timeout_seconds=10.0)
    def orders_sold_to(self, *, after: str, limit: int) -> tuple[str, ...]:
        """Orders that pieces were sold to, given back since or not: up to ``limit`` IDs above ``after``, ascending."""
        raise NotImplementedError

    @atomic(
        shard_key="variant_id",
        key="command_id",
        callers=("ordering", "catalog"),
        errors=(VariantNotFoundError, StockWouldBeNegativeError),
    )
    def adjust_stock(self, *, variant_id: str, delta: int, reason: str, command_id: str) -> StockState:
        """Add ``delta`` pieces to what is on hand, with a movement that says why.

        Raises:
            VariantNotFoundError: There is no such variant.
            StockWouldBeNegativeError: Fewer than ``-delta`` pieces are free.
        """
        raise NotImplementedError


class CatalogPersonalData(PersonalData):
    """Nothing: for which order pieces are held is known here, for whom is not."""

    context = "catalog"
    callers = ("auth",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChanged(Event):
    """A product was made or changed."""

    key: ClassVar[str] = "product_id"
    shard_key: ClassVar[str] = "product_id"

    product_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductArchived(Event):
    """A product left the shop: it is neither listed nor sold any more, and still read by its ID."""

    key: ClassVar[str] = "product_id"
    shard_key: ClassVar[str] = "product_id"

    product_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StockDepleted(Event):
    """The last free piece of a variant was taken."""

    key: ClassVar[str] = "variant_id"
    shard_key: ClassVar[str] = "variant_id"

    variant_id: str
    sku: str
