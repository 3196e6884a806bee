"""Catalog's use cases. `api`, `tasks` and `apps` come in here; other contexts by way of the provider, `Catalog`."""

from collections.abc import Sequence
from datetime import datetime

from contexts.catalog.contract import CatalogService, Offer, StockRequest, StockState
from contexts.catalog.services import offering, reservations, stock


class Catalog(CatalogService):
    """Answers for `CatalogService`: decimal strings become numbers here, and nothing else happens."""

    def offers(self, *, variant_ids: Sequence[str]) -> tuple[Offer, ...]:
        return offering.offers([int(each) for each in variant_ids])

    def reserve(self, *, order_id: str, lines: Sequence[StockRequest], expires_at: datetime) -> tuple[Offer, ...]:
        asked = [(int(line.variant_id), line.quantity) for line in lines]
        return reservations.reserve(order_id=int(order_id), lines=asked, expires_at=expires_at)

    def commit(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        reservations.commit(order_id=int(order_id), variant_ids=[int(each) for each in variant_ids])

    def cancel(self, *, order_id: str, variant_ids: Sequence[str]) -> None:
        reservations.cancel(order_id=int(order_id), variant_ids=[int(each) for each in variant_ids])

    def adjust_stock(self, *, variant_id: str, delta: int, reason: str, command_id: str) -> StockState:  # noqa: ARG002  it is the pipeline's
        stock.adjust(variant_id=int(variant_id), delta=delta, reason=reason)
        return stock.stock_of(int(variant_id))
