"""How many orders and payments stand where. `apps` declares some of it as figures, one database at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Count

from contexts.ordering.domain import OPEN_ATTEMPTS, AttemptStatus, OrderStatus
from contexts.ordering.models import Order, Payment, Refund
from shop.observability.figures import MOST_ROWS

RECENT: Final = timedelta(hours=24)


def recent_orders_by_status(alias: str) -> Mapping[tuple[str], int]:
    """Orders of the last day by the status they have now; all orders ever would cost more each day.

    Database: the index of the newest orders, at most so many of them.
    """
    here = Order.objects.owned_by(alias)
    newest = here.filter(created_at__gte=datetime.now(UTC) - RECENT)
    counted = newest.order_by("-created_at", "-id").values("pk")[:MOST_ROWS]
    rows = here.filter(pk__in=counted).values_list("status").annotate(n=Count("pk")).order_by()
    return {**{(status.value,): 0 for status in OrderStatus}, **{(status,): n for status, n in rows}}


def open_payments_by_status(alias: str) -> Mapping[tuple[str], int]:
    """Attempts to pay that a provider has not settled. Database: the index of what is open."""
    rows = Payment.objects.owned_by(alias)
    return {(status.value,): rows.filter(status=status)[:MOST_ROWS].count() for status in OPEN_ATTEMPTS}


def waiting_for_providers(before: datetime) -> int:
    """Refunds and payments begun before that moment whose provider has not answered yet.

    An attempt that waits for its customer is none of them. Database: on every shard the indexes of what is due.
    """
    refunds = Refund.objects.filter(due_at__isnull=False, created_at__lt=before)
    attempts = Payment.objects.filter(due_at__isnull=False, status=AttemptStatus.PENDING, created_at__lt=before)
    return refunds.across().count() + attempts.across().count()
