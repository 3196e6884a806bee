"""Erasing a customer: carts go; orders keep what was bought and paid, and lose what says whose they were.

What has left goes on to its customer, whose address the carrier has. What has not is cancelled, since nobody knows any
more where to send it: the pieces are free again, and what was paid goes back.
"""

from collections.abc import Sequence
from itertools import batched
from typing import Final

from contexts.ordering import domain
from contexts.ordering.contract import OrderNotCancellableError
from contexts.ordering.domain import FulfilmentStatus, OrderStatus
from contexts.ordering.models import Cart, Order, Payment, Refund, TimelineEntry, WebhookInbox
from contexts.ordering.services.cancelling import cancel_order
from shop.contract import Principal
from shop.events import one_by_one
from shop.http.kept_answers import answer_staff_anew
from shop.privacy import ERASED
from shop.sharding import bucket_of, new_id, shard_atomic

BATCH: Final = 200
REASON: Final = "reason"


def erase_orders(*, customer_id: int) -> None:
    """Erase what says whose the orders of a customer were, and what the cart holds; cancel what is not shipped.

    Emits: OrderCancelled. Database: the customer's shard, a transaction for every `BATCH` orders, one for each that is
    cancelled; every shard for what staff were answered. Providers are asked between. Safe to repeat, at any line.

    Raises:
        UnavailableError: An attempt to pay could not be closed: its provider is away. All else is done.
    """
    told: set[int] = set()
    for order_ids in batched(_orders_of(customer_id), BATCH):
        told.update(_empty(customer_id, order_ids))
    _drop_cart(customer_id)
    answer_staff_anew("ordering", bucket_of(customer_id), told)
    customer = Principal(id=str(customer_id), role="customer")
    one_by_one(_unshipped(customer_id), lambda order_id: _cancel(order_id, customer))


def _orders_of(customer_id: int) -> list[int]:
    rows = Order.objects.on(customer_id).filter(customer_id=customer_id)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _unshipped(customer_id: int) -> list[int]:
    alive = Order.objects.on(customer_id).filter(
        customer_id=customer_id,
        status__in=(OrderStatus.PENDING_PAYMENT, OrderStatus.PLACED),
        fulfilment_status=FulfilmentStatus.UNFULFILLED,
    )
    return list(alive.values_list("pk", flat=True))


def _empty(customer_id: int, order_ids: Sequence[int]) -> list[int]:
    """Take addresses and free texts out of orders; returns the IDs under which their history and refunds are kept."""
    with shard_atomic("ordering", customer_id):
        for order in Order.objects.select_for_update().filter(pk__in=order_ids).order_by("pk"):
            order.shipping_address = domain.erased_address(order.shipping_address)
            order.cancel_reason = ERASED if order.cancel_reason else ""
            order.save(update_fields=("shipping_address", "cancel_reason"))
        entries = list(TimelineEntry.objects.on(customer_id).filter(order_id__in=order_ids))
        for entry in entries:
            if REASON in entry.data:
                entry.data[REASON] = ERASED
                entry.save(update_fields=("data",))
        refunds = Refund.objects.on(customer_id).filter(order_id__in=order_ids)
        refunds.update(reason=ERASED)
        payments = Payment.objects.on(customer_id).filter(order_id__in=order_ids).values_list("pk", flat=True)
        WebhookInbox.objects.on(customer_id).filter(payment_id__in=list(payments)).update(body="")
        return [*(entry.pk for entry in entries), *refunds.values_list("pk", flat=True)]


def _drop_cart(customer_id: int) -> None:
    with shard_atomic("ordering", customer_id):
        cart = Cart.objects.select_for_update().filter(customer_id=customer_id).first()
        if cart is not None:
            cart.delete()


def _cancel(order_id: int, customer: Principal) -> int:
    """Cancel an order as its customer would; whether that was still to be done."""
    key = new_id("ordering", near=order_id)
    try:
        cancel_order(entry_id=key, order_id=order_id, caller=customer, reason=ERASED, within_effect=lambda _: None)
    except OrderNotCancellableError:  # it was shipped, expired or cancelled meanwhile
        return 0
    return 1
