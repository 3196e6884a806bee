"""Catalog's use cases. `api`, `tasks` and `apps` come in here; other contexts by way of the provider, `Catalog`."""

from collections.abc import Sequence
from datetime import datetime

from contexts.catalog.contract import (
    CatalogService,
    Offer,
    ReservedLine,
    StockRequest,
    StockState,
    VariantNotFoundError,
)
from contexts.catalog.services import holdings, offering, reservations, stock
from shop.contract import NotFoundError


class Catalog(CatalogService):
    """Answers for `CatalogService`: decimal strings become numbers, one error gets the name the contract has."""

    def offers(self, *, variant_ids: Sequence[str]) -> tuple[Offer, ...]:
        return offering.offers([int(each) for each in variant_ids])

    def reserve(self, *, order_id: str, lines: Sequence[StockRequest], expires_at: datetime) -> tuple[Offer, ...]:
        asked = [(int(line.variant_id), line.quantity) for line in lines]
        return reservations.reserve(order_id=int(order_id), lines=asked, expires_at=expires_at)

    def commit(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        reservations.commit(order_id=int(order_id), variant_ids=[int(each) for each in variant_ids])

    def cancel(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        reservations.cancel(order_id=int(order_id), variant_ids=[int(each) for each in variant_ids])

    def reservations(self, *, order_ids: Sequence[str]) -> tuple[tuple[ReservedLine, ...], ...]:
        return holdings.of_orders([int(each) for each in order_ids])

    def orders_sold_to(self, *, after: str, limit: int) -> tuple[str, ...]:
        return tuple(str(each) for each in holdings.orders_sold_to(after=int(after), limit=limit))

    def adjust_stock(self, *, variant_id: str, delta: int, reason: str, command_id: str) -> StockState:  # noqa: ARG002  it is the pipeline's
        try:
            stock.adjust(variant_id=int(variant_id), delta=delta, reason=reason)
        except NotFoundError as error:  # the contract has a name of its own for it
            raise VariantNotFoundError(detail=error.detail) from None
        return stock.stock_of(int(variant_id))
