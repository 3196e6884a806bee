"""The one way a provider's news enters our books, whoever brings it: request, webhook, sweeper or reconciler."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.db.models import Sum

from contexts.ordering import domain
from contexts.ordering.contract import OrderPlaced
from contexts.ordering.domain import AttemptStatus, OrderStatus
from contexts.ordering.models import Order, Payment, PaymentEvent, Refund
from contexts.ordering.services.providers import Intent, provider_named
from contexts.ordering.services.telling import note, tell
from contexts.ordering.services.views import PaymentView, payment_view
from shop.sharding import new_id, shard_atomic
from shop.sharding.together import insert_if_new

log = structlog.get_logger(__name__)

ASKED_AGAIN_AFTER: Final = {
    AttemptStatus.PENDING: timedelta(seconds=2),
    AttemptStatus.REQUIRES_ACTION: timedelta(seconds=60),
}
"""The provider tells by webhook; this is for the one that is lost, and for the answer that never came."""
KEPT: Final = (AttemptStatus.PENDING, AttemptStatus.CAPTURED)
"""Attempts whose answer is kept: those that failed are told as problems, the other one holds a secret."""
SURPLUS: Final = "surplus"


def _nothing(_: PaymentView) -> None:
    """No answer to keep."""


def settle(
    *, payment_id: int, intent: Intent | None, within_effect: Callable[[PaymentView], None] = _nothing
) -> PaymentView:
    """Apply what the provider says about a payment; what it said before, or what is overtaken, changes nothing.

    Emits: OrderPlaced, when the order becomes paid. Database: the payment's shard, one transaction.
    Safe to repeat. Money that the order can't take is written as surplus and goes back in full.
    """
    with shard_atomic("ordering", payment_id):
        order = Order.objects.select_for_update(of=("self",)).get(payments=payment_id)
        payment = Payment.objects.select_for_update().get(pk=payment_id)
        if intent is not None and domain.supersedes(intent.status, AttemptStatus(payment.status)):
            _apply(order, payment, intent)
        view = payment_view(payment)
        if payment.status in KEPT:
            within_effect(view)
    return view


def close_attempts(order_id: int) -> None:
    """Close every open attempt at its provider; "already succeeded" settles the order instead. Safe to repeat."""
    attempts = Payment.objects.on(order_id).filter(order_id=order_id, status__in=domain.OPEN_ATTEMPTS)
    for payment in list(attempts):
        close_attempt(payment)


def close_attempt(payment: Payment) -> None:
    """Close one attempt at its provider for good, and settle what that says. Safe to repeat.

    Raises:
        ProviderAway: It does not answer; the attempt stays as it is.
    """
    settle(payment_id=payment.pk, intent=provider_named(payment.provider).cancel(key=payment.provider_key))


def _apply(order: Order, payment: Payment, intent: Intent) -> None:
    now = datetime.now(UTC)
    takes_it = _takes(order, payment, intent)
    payment.surplus = intent.status == AttemptStatus.CAPTURED and not takes_it
    payment.status = intent.status
    payment.provider_ref = intent.reference
    payment.failure_code = intent.failure_code
    payment.updated_at = now
    payment.due_at = now + ASKED_AGAIN_AFTER[intent.status] if intent.status in domain.OPEN_ATTEMPTS else None
    payment.save()
    if intent.status in PaymentEvent.Kind.values:
        _write_event(payment, PaymentEvent.Kind(intent.status), intent.amount, intent.reference)
    note(order, f"payment_{intent.status}", provider=payment.provider, amount=intent.amount)
    if payment.surplus:
        owe(order, payment, SURPLUS)
        log.warning("payment_is_surplus", payment_id=str(payment.pk), order_status=order.status)
    update_payment_status(order)
    if takes_it:
        order.status = OrderStatus.PLACED
        order.placed_at = now
        tell(order, OrderPlaced)
    else:
        order.updated_at = now
        order.save()


def _takes(order: Order, payment: Payment, intent: Intent) -> bool:
    """Whether this news pays the order: all that was asked for, in time, and nobody else pays it, or is about to.

    A part of it would leave an order that is neither paid nor payable, so it goes back like what comes twice.
    """
    if intent.status != AttemptStatus.CAPTURED or order.status != OrderStatus.PENDING_PAYMENT:
        return False
    others = Payment.objects.filter(order_id=order.pk, status__in=domain.LIVE_ATTEMPTS, surplus=False)
    return intent.amount == payment.amount and not others.exclude(pk=payment.pk).exists()


def _write_event(payment: Payment, kind: PaymentEvent.Kind, amount: int, reference: str) -> None:
    entry = PaymentEvent(id=new_id("ordering", near=payment.pk), payment_id=payment.pk, kind=kind)
    entry.amount, entry.provider_ref, entry.at = amount, reference, datetime.now(UTC)
    insert_if_new("ordering", entry)


def write_refunded(payment: Payment, amount: int, reference: str) -> None:
    """Note in the ledger that money went back."""
    _write_event(payment, PaymentEvent.Kind.REFUNDED, amount, reference)


def owe(order: Order, payment: Payment, reason: str) -> None:
    """Write that all that is left of a captured payment has to go back; a job does it. Once per payment."""
    left = refundable(payment)
    if left and not Refund.objects.filter(payment_id=payment.pk, by_system=True).exists():
        key = new_id("ordering", near=payment.pk)
        write_refund(refund_id=key, order=order, payment=payment, amount=left, reason=reason, by_system=True)


def write_refund(
    *, refund_id: int, order: Order, payment: Payment, amount: int, reason: str, by_system: bool = False
) -> Refund:
    """Write a refund that a job will ask the provider for. The caller holds the payment's order locked."""
    now = datetime.now(UTC)
    number = Refund.objects.filter(payment_id=payment.pk).count() + 1
    refund: Refund = Refund.objects.create(
        id=refund_id,
        order=order,
        payment=payment,
        provider_key=f"{payment.pk}:refund:{number}",
        amount=amount,
        reason=reason,
        by_system=by_system,
        created_at=now,
        due_at=now,
    )
    return refund


def refundable(payment: Payment) -> int:
    """What was captured of a payment and is not on its way back. The caller holds the payment's order locked."""
    captured = PaymentEvent.objects.filter(payment_id=payment.pk, kind=PaymentEvent.Kind.CAPTURED)
    refunds = Refund.objects.filter(payment_id=payment.pk).exclude(status=Refund.Status.FAILED)
    taken = captured.aggregate(sum=Sum("amount"))["sum"] or 0
    return int(taken - (refunds.aggregate(sum=Sum("amount"))["sum"] or 0))


def update_payment_status(order: Order) -> None:
    """Recompute the order's payment status from the ledger of the payments that count; the caller saves it."""
    events = PaymentEvent.objects.on(order.pk).filter(payment__order_id=order.pk, payment__surplus=False)
    sums = dict(events.values_list("kind").annotate(amount=Sum("amount")))
    attempts = Payment.objects.filter(order_id=order.pk, status__in=domain.OPEN_ATTEMPTS)
    order.payment_status = domain.payment_status_of(
        captured=sums.get(PaymentEvent.Kind.CAPTURED, 0),
        refunded=sums.get(PaymentEvent.Kind.REFUNDED, 0),
        total=order.total,
        attempt_open=attempts.exists(),
    )
