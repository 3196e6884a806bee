"""What ordering stores about a customer, for the customer. Ordering's `PersonalData` comes in here."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contexts.ordering.models import CartLine, TimelineEntry
from contexts.ordering.services.reading import OrderFilter, TimelineView, orders_of_customer, timeline_view
from contexts.ordering.services.views import OrderView

BATCH: Final = 100


def cart_of(*, customer_id: int) -> Mapping[int, int]:
    """Pieces by variant, as the cart holds them. Database: one read on the customer's shard."""
    rows = CartLine.objects.on(customer_id).filter(cart__customer_id=customer_id)
    return dict(rows.order_by("pk").values_list("variant_id", "quantity"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWithTimeline:
    """An order and what happened to it, oldest first."""

    order: OrderView
    timeline: Sequence[TimelineView]


def every_order_of(*, customer_id: int) -> Iterator[OrderWithTimeline]:
    """A customer's orders, newest first. Database: the customer's shard, three reads for every `BATCH` of them."""
    after: Sequence[Any] | None = None
    while True:
        page = orders_of_customer(customer_id=customer_id, limit=BATCH, after=after, which=OrderFilter())
        timelines: defaultdict[int, list[TimelineView]] = defaultdict(list)
        ids = [order.id for order in page.orders]
        for row in TimelineEntry.objects.on(customer_id).filter(order_id__in=ids).order_by("at", "id"):
            timelines[row.order_id].append(timeline_view(row))
        for order in page.orders:
            yield OrderWithTimeline(order=order, timeline=timelines[order.id])
        after = page.next_position
        if after is None:
            return
