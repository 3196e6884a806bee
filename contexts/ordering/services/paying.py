"""Paying an order: write the attempt, ask the provider, settle its answer. Any of the three may be the last."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import structlog

from contexts.catalog.contract import (
    CatalogService,
    NotForSaleError,
    OutOfStockError,
    ReservationCancelledError,
    StockRequest,
)
from contexts.ordering import domain
from contexts.ordering.contract import (
    OrderNotPayableError,
    PaymentDeclinedError,
    PaymentInProgressError,
    UnknownProviderError,
)
from contexts.ordering.domain import AttemptStatus, OrderStatus, PaymentStatus
from contexts.ordering.models import Order, Payment
from contexts.ordering.services.providers import Intent, PaymentProvider, ProviderAway, provider_named
from contexts.ordering.services.settling import ASKED_AGAIN_AFTER, close_attempt, settle
from contexts.ordering.services.views import PaymentView
from shop.contract import Fault, Money, NotFoundError
from shop.services import resolve
from shop.sharding import shard_atomic
from shop.sharding.public_ids import public_id

log = structlog.get_logger(__name__)

ROUNDS: Final = 3


def pay(
    *,
    payment_id: int,
    order_id: int,
    customer_id: int,
    provider: str,
    token: str,
    within_effect: Callable[[PaymentView], None],
) -> PaymentView:
    """Pay the order with ``token`` and settle the provider's answer at once.

    Where that never comes the attempt stays pending, and the reconciler finds out. An attempt that waits for the
    customer is closed at the provider before this one begins.
    Emits: OrderPlaced, once captured. Database: the customer's shard, two transactions; the provider is asked between.
    Safe to repeat: by ``payment_id``: the provider's key is stored before it is asked, and the same key charges once.

    Raises:
        NotFoundError: There is no such order of this customer.
        OrderNotPayableError: It is paid, cancelled or expired.
        PaymentInProgressError: Another attempt is pending.
        PaymentDeclinedError: The provider refused; the attempt stays visible as failed.
        UnknownProviderError: Nobody knows the provider or the token.
        ProviderAway: The earlier attempt could not be closed.
    """
    port = _provider(provider, token)
    _extend_hold(order_id, customer_id)
    payment = _begin(payment_id, order_id, customer_id, provider)
    intent = _ask(port, payment, token)
    view = settle(payment_id=payment_id, intent=intent, within_effect=within_effect)
    if view.status == AttemptStatus.FAILED:
        raise PaymentDeclinedError(detail=f"the payment was declined: {view.failure_code}")
    if view.status == AttemptStatus.CANCELLED:
        raise OrderNotPayableError(detail="this attempt was closed before it came through")
    if view.status == AttemptStatus.REQUIRES_ACTION and intent is not None:
        return replace(view, client_secret=intent.client_secret)
    return view


def _provider(name: str, token: str) -> PaymentProvider:
    port = provider_named(name)
    if not port.knows(token):
        fault = Fault(field="token", code="unknown_token", detail="the provider does not know this token")
        raise UnknownProviderError(detail=fault.detail, faults=(fault,))
    return port


def _extend_hold(order_id: int, customer_id: int) -> None:
    """Move the reservation out where little time is left, before anybody is charged for pieces that may be gone."""
    order: Order | None = Order.objects.on(order_id).filter(pk=order_id, customer_id=customer_id).first()
    if order is None:
        raise NotFoundError(detail="there is no such order")
    until = domain.expiry_with_time_to_pay(order.expires_at, datetime.now(UTC))
    if order.status != OrderStatus.PENDING_PAYMENT or until == order.expires_at:
        return
    lines = [StockRequest(variant_id=str(li.variant_id), quantity=li.quantity) for li in order.lines.all()]
    try:
        resolve(CatalogService).reserve(
            order_id=str(order_id), lines=lines, expires_at=until + domain.HOLD_LASTS_LONGER
        )
    except (OutOfStockError, NotForSaleError, ReservationCancelledError):
        raise OrderNotPayableError(detail="the order's pieces are gone") from None


def _begin(payment_id: int, order_id: int, customer_id: int, provider: str) -> Payment:
    """Write the attempt, or find it; the one that waits for the customer makes room first."""
    for _ in range(ROUNDS):
        begun = _write_attempt(payment_id, order_id, customer_id, provider)
        if begun.pk == payment_id:
            return begun
        close_attempt(begun)
    raise PaymentInProgressError(detail="other attempts to pay this order keep beginning")


def _write_attempt(payment_id: int, order_id: int, customer_id: int, provider: str) -> Payment:
    """The attempt, written or found; or another one that has to be closed first.

    The order's row is locked, so one at a time passes.
    """
    now = datetime.now(UTC)
    with shard_atomic("ordering", order_id):
        order = Order.objects.select_for_update().filter(pk=order_id, customer_id=customer_id).first()
        if order is None:
            raise NotFoundError(detail="there is no such order")
        attempts = {row.pk: row for row in Payment.objects.filter(order_id=order_id)}
        if payment_id in attempts:
            return attempts[payment_id]
        if order.status != OrderStatus.PENDING_PAYMENT:
            raise OrderNotPayableError(detail=f"the order is {order.status}")
        for other in attempts.values():
            if other.status == AttemptStatus.PENDING:
                raise PaymentInProgressError(detail="another attempt to pay this order is under way")
            if other.status == AttemptStatus.REQUIRES_ACTION:
                return other
        order.expires_at = domain.expiry_with_time_to_pay(order.expires_at, now)
        order.payment_status = PaymentStatus.PENDING
        order.updated_at = now
        order.save(update_fields=("expires_at", "payment_status", "updated_at"))
        attempt: Payment = Payment.objects.create(
            id=payment_id,
            order=order,
            provider=provider,
            provider_key=f"{payment_id}:create:1",
            amount=order.total,
            currency=order.currency,
            created_at=now,
            updated_at=now,
            due_at=now + ASKED_AGAIN_AFTER[AttemptStatus.PENDING],
        )
        return attempt


def _ask(port: PaymentProvider, payment: Payment, token: str) -> Intent | None:
    """What the provider says; None: nothing, or nothing that could still change the attempt."""
    try:
        if payment.status == AttemptStatus.PENDING:
            amount = Money(amount=payment.amount, currency=payment.currency)
            shown_id = public_id("pay", payment.pk)
            return port.create(key=payment.provider_key, payment_id=shown_id, amount=amount, token=token)
        if payment.status == AttemptStatus.REQUIRES_ACTION:  # a repetition: its answer, which holds a secret, anew
            return port.read(key=payment.provider_key)
    except ProviderAway:
        log.warning("payment_answer_lost", payment_id=str(payment.pk), provider=payment.provider)
    return None
