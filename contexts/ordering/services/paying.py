"""Paying an order: write the attempt, ask the provider, settle its answer. Any of the three may be the last."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from contexts.catalog.contract import CatalogService, OutOfStockError, ReservationCancelledError, StockRequest
from contexts.ordering import domain
from contexts.ordering.contract import (
    OrderNotPayableError,
    PaymentDeclinedError,
    PaymentInProgressError,
    UnknownProviderError,
)
from contexts.ordering.domain import AttemptStatus, OrderStatus, PaymentStatus
from contexts.ordering.models import Order, Payment
from contexts.ordering.services.providers import PaymentProvider, provider_named
from contexts.ordering.services.settling import settle
from contexts.ordering.services.views import PaymentView
from shop.contract import Fault, Money, NotFoundError
from shop.events import one_by_one
from shop.services import resolve
from shop.sharding import shard_atomic

log = structlog.get_logger(__name__)

RECONCILED_AFTER: Final = timedelta(seconds=10)
BATCH: Final = 100


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

    Emits: OrderPlaced, once captured. Database: the customer's shard, two transactions; the provider is asked between.
    Safe to repeat: by ``payment_id``: the provider's key is stored before it is asked, and the same key charges once.

    Raises:
        NotFoundError: There is no such order of this customer.
        OrderNotPayableError: It is paid, cancelled or expired.
        PaymentInProgressError: Another attempt is open.
        PaymentDeclinedError: The provider refused; the attempt stays visible as failed.
        UnknownProviderError: Nobody knows the provider or the token.
    """
    port = _provider(provider, token)
    _extend_hold(order_id, customer_id)
    payment = _begin(payment_id, order_id, customer_id, provider)
    if payment.status == AttemptStatus.PENDING:
        amount = Money(amount=payment.amount, currency=payment.currency)
        intent = port.create(key=payment.provider_key, payment_id=str(payment_id), amount=amount, token=token)
        view = settle(payment_id=payment_id, intent=intent, within_effect=within_effect)
    else:
        view = settle(payment_id=payment_id, intent=None, within_effect=within_effect)
    if view.status == AttemptStatus.FAILED:
        raise PaymentDeclinedError(detail=f"the payment was declined: {view.failure_code}")
    if view.status == AttemptStatus.CANCELLED:
        raise OrderNotPayableError(detail="this attempt was closed before it came through")
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
    except (OutOfStockError, ReservationCancelledError):
        raise OrderNotPayableError(detail="the order's pieces are gone") from None


def _begin(payment_id: int, order_id: int, customer_id: int, provider: str) -> Payment:
    """Write the attempt, or find it: the order's row is locked, so one at a time passes."""
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
        if any(row.status in domain.OPEN_ATTEMPTS for row in attempts.values()):
            raise PaymentInProgressError(detail="another attempt to pay this order is under way")
        order.expires_at = domain.expiry_with_time_to_pay(order.expires_at, now)
        order.payment_status = PaymentStatus.PENDING
        order.updated_at = now
        order.save(update_fields=("expires_at", "payment_status", "updated_at"))
        return Payment.objects.create(
            id=payment_id,
            order=order,
            provider=provider,
            provider_key=f"{payment_id}:create:1",
            amount=order.total,
            currency=order.currency,
            created_at=now,
            updated_at=now,
        )


def reconcile_payments() -> int:
    """Close attempts whose answer never came: at the provider first, which says if money was taken after all.

    Safe to repeat. Returns how many were settled.
    """
    before = datetime.now(UTC) - RECONCILED_AFTER
    rows: Sequence[Payment] = (
        Payment.objects.filter(status=AttemptStatus.PENDING, updated_at__lt=before)
        .across()
        .page(order=("updated_at", "id"), limit=BATCH)
        .rows
    )
    return one_by_one(rows, _reconcile)


def _reconcile(row: Payment) -> int:
    intent = provider_named(row.provider).cancel(key=row.provider_key)
    settle(payment_id=row.pk, intent=intent)
    log.info("payment_reconciled", payment_id=str(row.pk), status=intent.status)
    return 1
