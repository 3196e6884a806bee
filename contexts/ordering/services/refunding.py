"""Giving money back that is owed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from contexts.ordering.contract import OrderRefunded, RefundExceedsPaymentError
from contexts.ordering.domain import AttemptStatus
from contexts.ordering.models import Order, Payment, Refund
from contexts.ordering.services.providers import RefundRefused, provider_named
from contexts.ordering.services.settling import refundable, update_payment_status, write_refund, write_refunded
from contexts.ordering.services.telling import note, tell
from contexts.ordering.services.views import RefundView, refund_view
from shop.contract import Money, NotFoundError
from shop.events import one_by_one
from shop.sharding import shard_atomic

log = structlog.get_logger(__name__)

TRIED_AGAIN_AFTER: Final = timedelta(seconds=10)
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
        payment, left = _what_is_left(order)
        wanted = amount or Money(amount=left, currency=order.currency)
        if payment is None or not 0 < wanted.amount <= left or wanted.currency != order.currency:
            raise RefundExceedsPaymentError(detail=f"{left} {order.currency} can be given back")
        refund = write_refund(refund_id=refund_id, order=order, payment=payment, amount=wanted.amount, reason=reason)
        note(order, "refund_requested", amount=wanted.amount, reason=reason)
        view = refund_view(refund, order.currency)
        within_effect(view)
    return view


def _what_is_left(order: Order) -> tuple[Payment | None, int]:
    """The payment that money can be given back of, and how much: surplus comes last, its own refund was refused."""
    captured = Payment.objects.filter(order_id=order.pk, status=AttemptStatus.CAPTURED)
    for payment in captured.order_by("surplus", "id"):
        if left := refundable(payment):
            return payment, left
    return None, 0


def give_money_back() -> int:
    """Send the pending refunds that are due to their providers; returns how many were answered for good.

    Emits: OrderRefunded. Safe to repeat, and for several processes at once: the key at the provider is stored.
    """
    due = Refund.objects.filter(due_at__lte=datetime.now(UTC))
    rows: Sequence[Refund] = due.across(partial=True).page(order=("due_at", "id"), limit=BATCH).rows
    return one_by_one(rows, _give_back)


def _give_back(refund: Refund) -> int:
    if not _take(refund):
        return 0
    payment: Payment = Payment.objects.on(refund.pk).get(pk=refund.payment_id)
    amount = Money(amount=refund.amount, currency=payment.currency)
    port = provider_named(payment.provider)
    try:
        reference = port.refund(key=refund.provider_key, reference=payment.provider_ref, amount=amount)
    except RefundRefused as refusal:
        _settle_refund(refund.pk, Refund.Status.FAILED, str(refusal))
    else:
        _settle_refund(refund.pk, Refund.Status.SUCCEEDED, reference)
    return 1


def _take(refund: Refund) -> bool:
    """Set the time of the next try before this one: what fails stands behind the others, and none is sent twice."""
    later = datetime.now(UTC) + TRIED_AGAIN_AFTER
    with shard_atomic("ordering", refund.pk):
        return bool(Refund.objects.filter(pk=refund.pk, due_at=refund.due_at).update(due_at=later))


def _settle_refund(refund_id: int, status: Refund.Status, told: str) -> None:
    """Enter the provider's answer: ``told`` is the refund's reference, or why it was refused for good."""
    with shard_atomic("ordering", refund_id):
        order_id = Refund.objects.values_list("order_id", flat=True).get(pk=refund_id)
        order = Order.objects.select_for_update().get(pk=order_id)
        refund = Refund.objects.select_for_update().get(pk=refund_id)
        if refund.status != Refund.Status.PENDING:
            return
        refund.status, refund.due_at = status, None
        refund.save(update_fields=("status", "due_at"))
        if status == Refund.Status.SUCCEEDED:
            write_refunded(Payment.objects.get(pk=refund.payment_id), refund.amount, told)
            update_payment_status(order)
            tell(order, OrderRefunded, amount=refund.amount, currency=order.currency)
        else:  # the money can be asked for again, by the order desk
            note(order, "refund_failed", amount=refund.amount, reason=told)
    log.info("refund_settled", refund_id=str(refund_id), status=status)
