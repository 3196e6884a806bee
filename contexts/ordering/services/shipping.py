"""Shipping and delivery, by the order desk, and what follows of itself. Whole orders ship at once."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.conf import settings

from contexts.ordering import domain
from contexts.ordering.contract import InvalidTransitionError, OrderDelivered, OrderShipped
from contexts.ordering.domain import FulfilmentStatus, OrderStatus
from contexts.ordering.models import Order, Shipment
from contexts.ordering.services.fulfilling import commit_stock
from contexts.ordering.services.reading import view_of
from contexts.ordering.services.telling import note, tell, was_told
from contexts.ordering.services.views import OrderView, ShipmentView, shipment_view
from shop.contract import NotFoundError
from shop.events import one_by_one
from shop.sharding import shard_atomic

log = structlog.get_logger(__name__)

BATCH: Final = 200


def ship(
    *,
    shipment_id: int,
    order_id: int,
    carrier: str,
    tracking_number: str,
    within_effect: Callable[[ShipmentView], None],
) -> ShipmentView:
    """Hand a placed order to a carrier, once its pieces are sold: its event may not have been handled yet.

    Emits: OrderShipped; OrderCancelled, where the pieces are gone. Database: the order's shard, one transaction;
    catalog is asked before it. Safe to repeat: by ``shipment_id``, in the order's bucket.

    Raises:
        NotFoundError: There is no such order.
        InvalidTransitionError: It is not placed, or not any more: its pieces were gone; or shipped already; or its
            customer was erased.
    """
    if Order.objects.on(order_id).filter(pk=order_id, fulfilment_status=FulfilmentStatus.UNFULFILLED).exists():
        commit_stock(order_id=order_id)
    with shard_atomic("ordering", order_id):
        order = _locked(order_id)
        known = Shipment.objects.filter(pk=shipment_id).first()
        if known is not None:
            return shipment_view(known)
        if order.status != OrderStatus.PLACED or order.fulfilment_status != FulfilmentStatus.UNFULFILLED:
            raise InvalidTransitionError(detail=f"the order is {order.status} and {order.fulfilment_status}")
        if domain.is_erased(order.shipping_address):  # about to be cancelled
            raise InvalidTransitionError(detail="its customer was erased: nobody knows where it should go")
        shipment = Shipment.objects.create(
            id=shipment_id,
            order=order,
            carrier=carrier,
            tracking_number=tracking_number,
            created_at=datetime.now(UTC),
        )
        order.fulfilment_status = FulfilmentStatus.SHIPPED
        tell(order, OrderShipped, carrier=carrier, tracking_number=tracking_number)
        view = shipment_view(shipment)
        within_effect(view)
    return view


def deliver(*, entry_id: int, order_id: int, within_effect: Callable[[OrderView], None]) -> OrderView:
    """Note that a shipped order has arrived.

    Emits: OrderDelivered. Database: the order's shard, one transaction.
    Safe to repeat: by ``entry_id``, the ID of its line in the timeline.

    Raises:
        NotFoundError: There is no such order.
        InvalidTransitionError: It is not on its way.
    """
    with shard_atomic("ordering", order_id):
        order = _locked(order_id)
        if was_told(entry_id):
            return view_of(order)
        if order.fulfilment_status != FulfilmentStatus.SHIPPED:
            raise InvalidTransitionError(detail=f"the order is {order.fulfilment_status}")
        now = datetime.now(UTC)
        window = timedelta(seconds=int(settings.CONTEXT_SETTINGS["RETURN_WINDOW_SECONDS"]))
        Shipment.objects.filter(order_id=order_id).update(delivered_at=now, due_at=now + window)
        order.fulfilment_status = FulfilmentStatus.DELIVERED
        tell(order, OrderDelivered, entry_id=entry_id)
        view = view_of(order)
        within_effect(view)
    return view


def complete_delivered_orders() -> int:
    """Complete the orders whose return window is over; returns how many. They can still be refunded, by the desk.

    Database: a transaction per order. Safe to repeat, and for several processes at once.
    """
    due = Shipment.objects.filter(due_at__lte=datetime.now(UTC))
    rows: Sequence[Shipment] = due.across(partial=True).page(order=("due_at", "id"), limit=BATCH).rows
    return one_by_one(rows, _complete)


def _complete(shipment: Shipment) -> int:
    with shard_atomic("ordering", shipment.order_id):
        order = _locked(shipment.order_id)
        Shipment.objects.filter(pk=shipment.pk).update(due_at=None)
        if order.status != OrderStatus.PLACED:
            return 0
        order.status = OrderStatus.COMPLETED
        order.updated_at = datetime.now(UTC)
        order.save(update_fields=("status", "updated_at"))
        note(order, "order_completed")
    log.info("order_completed", order_id=str(shipment.order_id))
    return 1


def _locked(order_id: int) -> Order:
    order: Order | None = Order.objects.select_for_update().filter(pk=order_id).first()
    if order is None:
        raise NotFoundError(detail="there is no such order")
    return order
