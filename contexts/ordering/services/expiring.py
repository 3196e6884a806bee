"""Orders that were not paid in time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import structlog

from contexts.ordering import domain
from contexts.ordering.contract import OrderExpired
from contexts.ordering.domain import OrderStatus
from contexts.ordering.models import Order, Payment
from contexts.ordering.services.settling import close_attempts
from contexts.ordering.services.telling import tell
from shop.events import one_by_one
from shop.sharding import shard_atomic
from shop.sharding.sharded import ShardedQuerySet

log = structlog.get_logger(__name__)

BATCH: Final = 200


def expire_overdue_orders() -> int:
    """Expire what waited too long for its payment; returns how many orders.

    Open attempts are closed at the provider first; "already succeeded" settles the order instead.
    Emits: OrderExpired. Safe to repeat, and for several processes at once.
    """
    return one_by_one(_page_by_page(), _expire)


def _page_by_page() -> Iterator[int]:
    """Every overdue order, so that those whose attempts can't be closed now hold up none behind them."""
    after: tuple[datetime, int] | None = None
    more = True
    while more:
        page = _overdue().across(partial=True).page(order=("expires_at", "id"), limit=BATCH, after=after)
        for order in page.rows:
            yield order.pk
            after = order.expires_at, order.pk
        more = page.more


def _overdue() -> ShardedQuerySet[Order]:
    rows: ShardedQuerySet[Order] = Order.objects.filter(
        status=OrderStatus.PENDING_PAYMENT, expires_at__lt=datetime.now(UTC)
    )
    return rows


def _expire(order_id: int) -> bool:
    if not _overdue().filter(pk=order_id).exists():
        return False  # paid for, or being paid for, since the list was made: nobody's fresh attempt is closed
    close_attempts(order_id)
    now = datetime.now(UTC)
    with shard_atomic("ordering", order_id):
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.status != OrderStatus.PENDING_PAYMENT or order.expires_at >= now:
            return False
        if Payment.objects.filter(order_id=order_id, status__in=domain.OPEN_ATTEMPTS).exists():
            return False  # an attempt began meanwhile; the next round sees what came of it
        order.status = OrderStatus.EXPIRED
        tell(order, OrderExpired)
    log.info("order_expired", order_id=str(order_id))
    return True
