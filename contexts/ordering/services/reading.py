"""Reading orders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from contexts.ordering.models import Order
from contexts.ordering.services.views import OrderView, order_view
from shop.contract import NotFoundError, Principal
from shop.sharding.sharded import ShardedQuerySet

PARTS = ("lines", "payments", "refunds", "shipments")
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
    """The order, for its customer and for staff.

    Raises:
        NotFoundError: There is none, or it is somebody else's.
    """
    return view_of(order_of(order_id, reader))


def order_of(order_id: int, reader: Principal) -> Order:
    """The order's row with its parts, for its customer and for staff.

    Raises:
        NotFoundError: There is none, or it is somebody else's.
    """
    rows: ShardedQuerySet[Order] = Order.objects.on(order_id)
    order = rows.prefetch_related(*PARTS).filter(pk=order_id).first()
    if order is None or (reader.role == "customer" and order.customer_id != reader.key):
        raise NotFoundError(detail="there is no such order")
    return order


def timeline_of(*, order_id: int, reader: Principal) -> Sequence[TimelineView]:
    """What happened to the order, oldest first.

    Raises:
        NotFoundError: There is no such order, or it is somebody else's.
    """
    rows = order_of(order_id, reader).timeline.order_by("at", "id")
    return [TimelineView(at=row.at, type=row.type, data=row.data) for row in rows]


def orders_of_customer(*, customer_id: int, limit: int, after: Sequence[Any] | None, which: OrderFilter) -> OrderPage:
    """A customer's orders, newest first. Database: the customer's shard."""
    rows: QuerySet[Order] = Order.objects.on(customer_id).filter(customer_id=customer_id, **which.conditions())
    if after is not None:
        rows = rows.filter(pk__lt=after[0])
    found = list(rows.prefetch_related(*PARTS).order_by(*NEWEST_OF_CUSTOMER)[: limit + 1])
    return _page(found[:limit], more=len(found) > limit, fields=("pk",))


def orders_of_shop(*, limit: int, after: Sequence[Any] | None, which: OrderFilter) -> OrderPage:
    """Everybody's orders, newest first. Database: all shards."""
    page = (
        Order.objects.filter(**which.conditions())
        .prefetch_related(*PARTS)
        .across()
        .page(order=NEWEST_OF_SHOP, limit=limit, after=after)
    )
    return _page(page.rows, more=page.more, fields=("created_at", "pk"))


def _page(rows: Sequence[Order], *, more: bool, fields: Iterable[str]) -> OrderPage:
    position = [getattr(rows[-1], field) for field in fields] if more else None
    return OrderPage(orders=[view_of(row) for row in rows], next_position=position)


def view_of(order: Order) -> OrderView:
    """An order with all its parts, read on the order's shard where they are not prefetched."""
    return order_view(order, order.lines.all(), order.payments.all(), order.refunds.all(), order.shipments.all())
