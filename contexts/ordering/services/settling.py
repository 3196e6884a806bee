"""The one way a provider's news enters our books, whoever brings it: the request, the sweeper, the reconciler."""

from collections.abc import Callable
from datetime import UTC, datetime

from django.db.models import Sum

from contexts.ordering import domain
from contexts.ordering.contract import OrderPlaced
from contexts.ordering.domain import AttemptStatus, OrderStatus
from contexts.ordering.models import Order, Payment, PaymentEvent, Refund
from contexts.ordering.services.providers import Intent, provider_named
from contexts.ordering.services.telling import note, tell
from contexts.ordering.services.views import PaymentView, payment_view
from shop.sharding import new_id, shard_atomic


def _nothing(_: PaymentView) -> None:
    """No answer to keep."""


def settle(
    *, payment_id: int, intent: Intent | None, within_effect: Callable[[PaymentView], None] = _nothing
) -> PaymentView:
    """Apply what the provider says about a payment; what it said before, or what is overtaken, changes nothing.

    Emits: OrderPlaced, when the order becomes paid. Database: the payment's shard, one transaction.
    Safe to repeat. Money that comes for an order that can't take it is written as surplus and goes back in full.
    """
    with shard_atomic("ordering", payment_id):
        order_id = Payment.objects.values_list("order_id", flat=True).get(pk=payment_id)
        order = Order.objects.select_for_update().get(pk=order_id)
        payment = Payment.objects.select_for_update().get(pk=payment_id)
        if intent is not None and domain.supersedes(intent.status, AttemptStatus(payment.status)):
            _apply(order, payment, intent)
        view = payment_view(payment)
        if payment.status not in (AttemptStatus.FAILED, AttemptStatus.CANCELLED):  # those are told as problems
            within_effect(view)
    return view


def close_attempts(order_id: int) -> None:
    """Close every open attempt at its provider; "already succeeded" settles the order instead. Safe to repeat."""
    attempts = Payment.objects.on(order_id).filter(order_id=order_id, status__in=domain.OPEN_ATTEMPTS)
    for payment in list(attempts):
        settle(payment_id=payment.pk, intent=provider_named(payment.provider).cancel(key=payment.provider_key))


def _apply(order: Order, payment: Payment, intent: Intent) -> None:
    now = datetime.now(UTC)
    takes_it = order.status == OrderStatus.PENDING_PAYMENT
    payment.surplus = intent.status == AttemptStatus.CAPTURED and (not takes_it or _is_captured(order))
    payment.status = intent.status
    payment.provider_ref = intent.reference
    payment.failure_code = intent.failure_code
    payment.updated_at = now
    payment.save()
    if intent.status in PaymentEvent.Kind.values:
        _write_event(payment, PaymentEvent.Kind(intent.status), intent.amount, intent.reference)
        note(order, f"payment_{intent.status}", provider=payment.provider, amount=intent.amount)
    if payment.surplus:
        owe(order, payment, "surplus")
    update_payment_status(order)
    if takes_it and order.payment_status == domain.PaymentStatus.PAID:
        order.status = OrderStatus.PLACED
        order.placed_at = now
        tell(order, OrderPlaced)
    else:
        order.updated_at = now
        order.save()


def _is_captured(order: Order) -> bool:
    return Payment.objects.filter(order_id=order.pk, status=AttemptStatus.CAPTURED, surplus=False).exists()


def _write_event(payment: Payment, kind: PaymentEvent.Kind, amount: int, reference: str) -> None:
    PaymentEvent.objects.get_or_create(
        payment_id=payment.pk,
        kind=kind,
        provider_ref=reference,
        defaults={"id": new_id("ordering", near=payment.pk), "amount": amount, "at": datetime.now(UTC)},
    )


def write_refunded(payment: Payment, amount: int, reference: str) -> None:
    """Note in the ledger that money went back."""
    _write_event(payment, PaymentEvent.Kind.REFUNDED, amount, reference)


def owe(order: Order, payment: Payment, reason: str) -> None:
    """Write that all that is left of a captured payment has to go back; a job does it. Once per payment."""
    left = refundable(payment)
    if left and not Refund.objects.filter(payment_id=payment.pk, by_system=True).exists():
        Refund.objects.create(
            id=new_id("ordering", near=payment.pk),
            order=order,
            payment=payment,
            amount=left,
            reason=reason,
            by_system=True,
            created_at=datetime.now(UTC),
        )


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
