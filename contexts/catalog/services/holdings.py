"""What orders have reserved, for those who compare books. The provider comes in here.

An order's pieces may be anywhere, so every shard is asked; by the index that keeps an order's lines unique.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby, islice
from typing import Any, Final

from contexts.catalog.contract import ReservationState, ReservedLine
from contexts.catalog.domain import LineState
from contexts.catalog.models import ReservationLine
from contexts.catalog.services.placing import CONTEXT
from shop.sharding import shard_map
from shop.sharding.sharded import ShardedQuerySet

_SAID: Final = {
    LineState.HELD: ReservationState.HELD,
    LineState.COMMITTED: ReservationState.SOLD,
    LineState.EXPIRED: ReservationState.EXPIRED,
    LineState.CANCELLED: ReservationState.RELEASED,
    LineState.RETURNED: ReservationState.RELEASED,
}


def of_orders(order_ids: Sequence[int]) -> tuple[tuple[ReservedLine, ...], ...]:
    """What each order has reserved, in the order asked. Database: one read on each shard."""
    found: dict[int, list[ReservedLine]] = {order_id: [] for order_id in order_ids}
    for rows in _on_each_shard(ReservationLine.objects.filter(order_id__in=order_ids)):
        for order_id, variant_id, quantity, state in rows.values_list("order_id", "variant_id", "quantity", "state"):
            line = ReservedLine(variant_id=str(variant_id), quantity=quantity, state=_SAID[LineState(state)])
            found[order_id].append(line)
    return tuple(tuple(found[order_id]) for order_id in order_ids)


def orders_sold_to(*, after: int, limit: int) -> Sequence[int]:
    """Orders that pieces were sold to: the first ``limit`` above ``after``. Database: one read on each shard."""
    sold = ReservationLine.objects.filter(order_id__gt=after, state__in=(LineState.COMMITTED, LineState.RETURNED))
    ids = sold.order_by("order_id").values_list("order_id", flat=True).distinct()
    parts = [list(rows[:limit]) for rows in _on_each_shard(ids)]
    return list(islice((order_id for order_id, _ in groupby(merge(*parts))), limit))


def _on_each_shard(rows: Any) -> Iterator[ShardedQuerySet[Any]]:
    for alias in shard_map(CONTEXT).owners():
        yield rows.owned_by(alias)
