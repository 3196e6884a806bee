"""What an order's fate means for its pieces: sold once it is placed, given back once it is dead."""

import structlog

from contexts.catalog.contract import CatalogService, OutOfStockError, ReservationCancelledError
from contexts.ordering.domain import FulfilmentStatus, OrderStatus
from contexts.ordering.models import Order, OrderLine
from contexts.ordering.services.cancelling import cancel_locked
from shop.services import resolve
from shop.sharding import shard_atomic

log = structlog.get_logger(__name__)

STOCK_LOST = "stock_lost"


def commit_stock(*, order_id: int) -> None:
    """Sell the pieces of a placed order. Where they are gone, cancel it and give the money back.

    Emits: OrderCancelled, if the pieces are gone. Safe to repeat.
    """
    order: Order = Order.objects.on(order_id).get(pk=order_id)
    if order.status not in (OrderStatus.PLACED, OrderStatus.COMPLETED):
        return  # dead meanwhile: its own event gives the pieces back
    try:
        resolve(CatalogService).commit(order_id=str(order_id), variant_ids=_variants(order_id))
    except (OutOfStockError, ReservationCancelledError):
        _cancel_for_lost_stock(order_id)  # which leaves an order alone that was cancelled meanwhile


def release_stock(*, order_id: int) -> None:
    """Give the pieces of a dead order back, held or sold. Safe to repeat."""
    resolve(CatalogService).cancel(order_id=str(order_id), variant_ids=_variants(order_id))


def _variants(order_id: int) -> list[str]:
    lines = OrderLine.objects.on(order_id).filter(order_id=order_id).order_by("position")
    return [str(variant_id) for variant_id in lines.values_list("variant_id", flat=True)]


def _cancel_for_lost_stock(order_id: int) -> None:
    with shard_atomic("ordering", order_id):
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.status != OrderStatus.PLACED:
            return
        if order.fulfilment_status != FulfilmentStatus.UNFULFILLED:
            return  # its pieces came back and were sold meanwhile: nothing is sent before that
        cancel_locked(order, STOCK_LOST)
    log.warning("order_cancelled", order_id=str(order_id), reason=STOCK_LOST)
