"""Reading orders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from contexts.ordering.models import Order, TimelineEntry
from contexts.ordering.models.statements import ORDERS
from contexts.ordering.services.views import OrderView, order_of_row
from shop.contract import NotFoundError, Principal
from shop.sharding import by_shard

NEWEST_OF_CUSTOMER = ("-id",)
NEWEST_OF_SHOP = ("-created_at", "-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders; None asks for any."""

    status: str | None = None
    payment_status: str | None = None
    fulfilment_status: str | None = None

    def conditions(self) -> dict[str, str]:
        """As conditions of a query."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """One thing that happened to an order."""

    at: datetime
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage:
    """Orders, and the order fields of the last one where more follow."""

    orders: Sequence[OrderView]
    next_position: Sequence[Any] | None


def get_order(*, order_id: int, reader: Principal) -> OrderView:
    """The order, for its customer and for staff. Database: one read on the order's shard.

    Raises:
        NotFoundError: There is none, or it is somebody else's.
    """
    order = known_order(order_id)
    if order is None or (reader.role == "customer" and order.customer_id != reader.key):
        raise NotFoundError(detail="there is no such order")
    return order


def known_order(order_id: int) -> OrderView | None:
    """The order, if it was placed; within the open transaction as that has made it."""
    return next(iter(_whole([order_id])), None)


def view_of(order: Order) -> OrderView:
    """A stored order whole, as the open transaction sees it."""
    [view] = _whole([order.pk])
    return view


def timeline_of(*, order_id: int, reader: Principal) -> Sequence[TimelineView]:
    """What happened to the order, oldest first.

    Raises:
        NotFoundError: There is no such order, or it is somebody else's.
    """
    get_order(order_id=order_id, reader=reader)
    rows = TimelineEntry.objects.on(order_id).filter(order_id=order_id).order_by("at", "id")
    return [timeline_view(row) for row in rows]


def timeline_view(row: TimelineEntry) -> TimelineView:
    """A line of a timeline as a value."""
    return TimelineView(at=row.at, type=row.type, data=row.data)


def orders_of_customer(*, customer_id: int, limit: int, after: Sequence[Any] | None, which: OrderFilter) -> OrderPage:
    """A customer's orders, newest first. Database: the customer's shard, two reads."""
    rows: QuerySet[Order] = Order.objects.on(customer_id).filter(customer_id=customer_id, **which.conditions())
    if after is not None:
        rows = rows.filter(pk__lt=after[0])
    found = list(rows.only("pk").order_by(*NEWEST_OF_CUSTOMER)[: limit + 1])
    return _page(found[:limit], more=len(found) > limit, fields=("pk",))


def orders_of_shop(*, limit: int, after: Sequence[Any] | None, which: OrderFilter) -> OrderPage:
    """Everybody's orders, newest first. Database: a read on every shard, one more where it found some."""
    rows = Order.objects.filter(**which.conditions()).only("created_at")
    page = rows.across().page(order=NEWEST_OF_SHOP, limit=limit, after=after)
    return _page(page.rows, more=page.more, fields=("created_at", "pk"))


def _page(rows: Sequence[Order], *, more: bool, fields: Iterable[str]) -> OrderPage:
    position = [getattr(rows[-1], field) for field in fields] if more else None
    return OrderPage(orders=_whole([row.pk for row in rows]), next_position=position)


def _whole(order_ids: Sequence[int]) -> list[OrderView]:
    """Those of the orders that exist, in the order asked. Database: one read on each shard."""
    rows = [row for ids in by_shard("ordering", order_ids) for row in ORDERS.read("ordering", ids[0], ids=ids)]
    found = {row[0]: order_of_row(row) for row in rows}
    return [found[each] for each in order_ids if each in found]
