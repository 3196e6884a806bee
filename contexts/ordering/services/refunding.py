"""Giving money back that is owed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from contexts.ordering.contract import OrderRefunded
from contexts.ordering.models import Order, Payment, Refund
from contexts.ordering.services.providers import provider_named
from contexts.ordering.services.settling import update_payment_status, write_refunded
from shop.contract import Money
from shop.events import one_by_one, publish
from shop.sharding import shard_atomic

log = structlog.get_logger(__name__)

BATCH: Final = 100


def give_money_back() -> int:
    """Send every pending refund to its provider; returns how many went through.

    Emits: OrderRefunded. Safe to repeat: a refund's own ID is its key at the provider.
    """
    waiting: Sequence[Refund] = (
        Refund.objects.filter(status=Refund.Status.PENDING).across().page(order=("created_at", "id"), limit=BATCH).rows
    )
    return one_by_one(waiting, _give_back)


def _give_back(refund: Refund) -> int:
    payment: Payment = Payment.objects.on(refund.pk).get(pk=refund.payment_id)
    amount = Money(amount=refund.amount, currency=payment.currency)
    reference = provider_named(payment.provider).refund(
        key=f"{refund.pk}:refund:1", reference=payment.provider_ref, amount=amount
    )
    _settle_refund(refund.pk, reference)
    return 1


def _settle_refund(refund_id: int, reference: str) -> None:
    with shard_atomic("ordering", refund_id):
        order_id = Refund.objects.values_list("order_id", flat=True).get(pk=refund_id)
        order = Order.objects.select_for_update().get(pk=order_id)
        refund = Refund.objects.select_for_update().get(pk=refund_id)
        if refund.status != Refund.Status.PENDING:
            return
        refund.status = Refund.Status.SUCCEEDED
        refund.save(update_fields=("status",))
        write_refunded(Payment.objects.get(pk=refund.payment_id), refund.amount, reference)
        update_payment_status(order)
        order.updated_at = datetime.now(UTC)
        order.event_seq += 1
        order.save()
        publish(
            OrderRefunded(
                order_id=str(order.pk),
                customer_id=str(order.customer_id),
                amount=refund.amount,
                currency=order.currency,
            ),
            seq=order.event_seq,
        )
    log.info("refund_succeeded", refund_id=str(refund_id))
