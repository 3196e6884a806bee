"""Invariants 5 and 9: what orders say of their pieces is what the catalog says. `declare_invariants` comes in here.

Two contexts are asked one after the other, so an order in motion may look broken; the second look passes over it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Final

from contexts.catalog.contract import CatalogService, ReservationState, ReservedLine
from contexts.ordering.domain import OrderStatus
from contexts.ordering.models import Order, OrderLine
from shop.invariants import Check, Finding, Window
from shop.services import resolve
from shop.sharding import by_shard
from shop.sharding.public_ids import public_id

WINDOW: Final = 100
"""Orders whose lines are held in memory at once; an order may have 1,500."""
PAGE: Final = 1_000
RIGHT: Final = {
    OrderStatus.PLACED: {ReservationState.SOLD},
    OrderStatus.COMPLETED: {ReservationState.SOLD},
    OrderStatus.CANCELLED: {ReservationState.RELEASED},
    OrderStatus.EXPIRED: {ReservationState.RELEASED},
}


def sets_apart(window: Window) -> Iterator[Finding]:
    """Orders that have reserved something else than their lines, or that wait for payment and hold nothing any more.

    One whose time to pay is over may have lost its hold: it is about to expire.
    """
    orders = {row.pk: row for row in window.of(Order).only("status", "expires_at")}
    ordered: dict[int, dict[int, int]] = {order_id: {} for order_id in orders}
    lines = OrderLine.objects.filter(order_id__in=list(orders))
    for order_id, variant_id, quantity in lines.values_list("order_id", "variant_id", "quantity"):
        ordered[order_id][variant_id] = quantity
    for order_id, reserved in _reservations(ordered).items():
        faults = _differences(ordered[order_id], {int(line.variant_id): line.quantity for line in reserved})
        order = orders[order_id]
        if order.status == OrderStatus.PENDING_PAYMENT and order.expires_at > datetime.now(UTC):
            faults |= _not_so(reserved, {ReservationState.HELD}, order.status)
        if faults:
            yield _finding(order_id, faults)


def fates_apart(window: Window) -> Iterator[Finding]:
    """Orders that are placed and not all of whose pieces are sold, or that are dead and have not given all back."""
    statuses = dict(window.of(Order).filter(status__in=RIGHT).values_list("pk", "status"))
    for order_id, reserved in _reservations(statuses).items():
        status = OrderStatus(statuses[order_id])
        if faults := _not_so(reserved, RIGHT[status], status):
            yield _finding(order_id, faults)


def _reservations(order_ids: Collection[int]) -> dict[int, tuple[ReservedLine, ...]]:
    """By order. At the second look a window may hold more orders than at the first, and than one call may name."""
    found: dict[int, tuple[ReservedLine, ...]] = {}
    for part in batched(order_ids, WINDOW):
        lines = resolve(CatalogService).reservations(order_ids=[str(each) for each in part])
        found.update(zip(part, lines, strict=True))
    return found


def _differences(ordered: dict[int, int], reserved: dict[int, int]) -> dict[int, str]:
    """By variant, what is wrong with it."""
    return {
        variant_id: f"{ordered.get(variant_id, 0)} ordered, {reserved.get(variant_id, 0)} reserved"
        for variant_id in sorted(ordered.keys() | reserved.keys())
        if ordered.get(variant_id) != reserved.get(variant_id)
    }


def _not_so(reserved: Collection[ReservedLine], right: Collection[ReservationState], status: str) -> dict[int, str]:
    """By variant, lines that are in another state than the order's status asks for."""
    return {int(line.variant_id): f"{status}, but {line.state}" for line in reserved if line.state not in right}


def _finding(order_id: int, faults: dict[int, str]) -> Finding:
    ids = (public_id("ord", order_id), *(public_id("var", variant_id) for variant_id in faults))
    return Finding(ids=ids, detail="; ".join(dict.fromkeys(faults.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyers:
    """Orders that the catalog has sold something to."""

    order_ids: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many orders."""
        return len(self.order_ids)


def _buyers(_: str) -> Iterator[Buyers]:
    after = "0"
    while found := resolve(CatalogService).orders_sold_to(after=after, limit=PAGE):
        yield Buyers(order_ids=tuple(int(each) for each in found))
        after = found[-1]


def strangers(buyers: Buyers) -> Iterator[Finding]:
    """Orders that have bought pieces and do not exist. One that only holds some may be on its way; holds expire."""
    known: set[int] = set()
    for ids in by_shard("ordering", buyers.order_ids):
        known.update(Order.objects.filter(pk__in=ids).values_list("pk", flat=True))
    for order_id in sorted(set(buyers.order_ids) - known):
        yield Finding(ids=(public_id("ord", order_id),), detail="pieces were sold to it, and there is no such order")


SOLD: Final = Check(places=lambda: ["catalog"], parts=_buyers, look=strangers)
