"""Attempts whose answer never came, or whose webhook did not: the provider is read, and what it says is settled."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from contexts.ordering.domain import AttemptStatus
from contexts.ordering.models import Payment
from contexts.ordering.services.providers import provider_named
from contexts.ordering.services.settling import ASKED_AGAIN_AFTER, close_attempt, settle
from shop.events import one_by_one
from shop.sharding import shard_atomic

log = structlog.get_logger(__name__)

UNSEEN_AFTER: Final = timedelta(seconds=20)
"""Longer than a request lives: nobody is still on the way to the provider with it."""
BATCH: Final = 100


def reconcile_payments() -> int:
    """Ask the providers about the open attempts that are due; returns how many.

    One that its provider never saw is closed there for good, so that a late request charges nobody.
    Emits: OrderPlaced, where money was taken. Safe to repeat, and for several processes at once.
    """
    due = Payment.objects.filter(due_at__lte=datetime.now(UTC))
    rows: Sequence[Payment] = due.across(partial=True).page(order=("due_at", "id"), limit=BATCH).rows
    return one_by_one(rows, _reconcile)


def _reconcile(payment: Payment) -> int:
    if not _take(payment):
        return 0
    intent = provider_named(payment.provider).read(key=payment.provider_key)
    if intent is not None:
        status = settle(payment_id=payment.pk, intent=intent).status
        log.info("payment_reconciled", payment_id=str(payment.pk), status=status)
    elif payment.created_at < datetime.now(UTC) - UNSEEN_AFTER:
        close_attempt(payment)
        log.info("payment_closed_unseen", payment_id=str(payment.pk))
    return 1


def _take(payment: Payment) -> bool:
    """Set the time of the next look before this one: what fails stands behind the others, and none is asked twice."""
    later = datetime.now(UTC) + ASKED_AGAIN_AFTER[AttemptStatus(payment.status)]
    with shard_atomic("ordering", payment.pk):
        return bool(Payment.objects.filter(pk=payment.pk, due_at=payment.due_at).update(due_at=later))
