"""How many orders and payments stand where, one database at a time. `apps` declares them as figures."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import Count

from contexts.ordering.domain import OPEN_ATTEMPTS, OrderStatus
from contexts.ordering.models import Order, Payment
from shop.observability.figures import MOST_ROWS
from shop.sharding import shard_map
from shop.sharding.scatter import owned

CONTEXT: Final = "ordering"
RECENT: Final = timedelta(hours=24)


def recent_orders_by_status(alias: str) -> Mapping[tuple[str], int]:
    """Orders of the last day by the status they have now; all orders ever would cost more each day.

    Database: the index of the newest orders, at most so many of them.
    """
    here = owned(shard_map(CONTEXT), alias)
    newest = Order.objects.using(alias).filter(here, created_at__gte=datetime.now(UTC) - RECENT)
    counted = newest.order_by("-created_at", "-id").values("pk")[:MOST_ROWS]
    rows = Order.objects.using(alias).filter(pk__in=counted).values_list("status").annotate(n=Count("pk")).order_by()
    return {**{(status.value,): 0 for status in OrderStatus}, **{(status,): n for status, n in rows}}


def open_payments_by_status(alias: str) -> Mapping[tuple[str], int]:
    """Attempts to pay that a provider has not settled. Database: the index of what is open."""
    rows = Payment.objects.using(alias).filter(owned(shard_map(CONTEXT), alias))
    return {(status.value,): rows.filter(status=status)[:MOST_ROWS].count() for status in OPEN_ATTEMPTS}
