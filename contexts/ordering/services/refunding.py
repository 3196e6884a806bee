"""Giving money back that is owed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from contexts.ordering.contract import OrderRefunded, RefundExceedsPaymentError
from contexts.ordering.domain import AttemptStatus
from contexts.ordering.models import Order, Payment, Refund
from contexts.ordering.services.providers import provider_named
from contexts.ordering.services.settling import refundable, update_payment_status, write_refunded
from contexts.ordering.services.telling import note, tell
from contexts.ordering.services.views import RefundView, refund_view
from shop.contract import Money, NotFoundError
from shop.events import one_by_one
from shop.sharding import shard_atomic

log = structlog.get_logger(__name__)

BATCH: Final = 100


def request_refund(
    *, refund_id: int, order_id: int, amount: Money | None, reason: str, within_effect: Callable[[RefundView], None]
) -> RefundView:
    """Let ``amount`` of what was paid go back, or all that is left; a job calls the provider.

    Database: the order's shard, one transaction. Safe to repeat: by ``refund_id``, in the order's bucket.

    Raises:
        NotFoundError: There is no such order.
        RefundExceedsPaymentError: More than is left, nothing is left, or another currency.
    """
    with shard_atomic("ordering", order_id):
        order = Order.objects.select_for_update().filter(pk=order_id).first()
        if order is None:
            raise NotFoundError(detail="there is no such order")
        known = Refund.objects.filter(pk=refund_id).first()
        if known is not None:
            return refund_view(known, order.currency)
        payment = Payment.objects.filter(order_id=order_id, status=AttemptStatus.CAPTURED, surplus=False).first()
        left = refundable(payment) if payment is not None else 0
        wanted = amount or Money(amount=left, currency=order.currency)
        if payment is None or not 0 < wanted.amount <= left or wanted.currency != order.currency:
            raise RefundExceedsPaymentError(detail=f"{left} {order.currency} can be given back")
        refund = Refund.objects.create(
            id=refund_id,
            order=order,
            payment=payment,
            amount=wanted.amount,
            reason=reason,
            created_at=datetime.now(UTC),
        )
        note(order, "refund_requested", amount=wanted.amount, reason=reason)
        view = refund_view(refund, order.currency)
        within_effect(view)
    return view


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
        tell(order, OrderRefunded, amount=refund.amount, currency=order.currency)
    log.info("refund_succeeded", refund_id=str(refund_id))
