"""Mails about an order, to its customer. Auth is asked who that is when one is sent, so no address is kept for it."""

from collections.abc import Mapping
from typing import Any

from contexts.auth.contract import AuthService
from contexts.ordering.contract import OrderEvent, OrderPlaced, OrderRefunded, OrderShipped
from contexts.ordering.domain import OrderStatus, money_text
from contexts.ordering.services.reading import known_order
from contexts.ordering.services.views import OrderView
from shop.mail import Letter, render, store_mail
from shop.services import resolve
from shop.sharding.public_ids import order_number

PLACED, SHIPPED, REFUNDED = "order_placed", "order_shipped", "order_refunded"


def mail_placed(event: OrderPlaced) -> None:
    """Have the customer told that the order is placed. Database: the order's shard, in the open transaction."""
    _mail(PLACED, event)


def mail_shipped(event: OrderShipped) -> None:
    """Have the customer told how the order comes. Database: the order's shard, in the open transaction."""
    _mail(SHIPPED, event, carrier=event.carrier, tracking_number=event.tracking_number)


def mail_refunded(event: OrderRefunded) -> None:
    """Have the customer told how much money comes back. Database: the order's shard, in the open transaction."""
    _mail(REFUNDED, event, amount=money_text(event.amount, event.currency))


def _mail(kind: str, event: OrderEvent, **facts: str) -> None:
    store_mail(kind, about=int(event.order_id), facts=facts)


def write_to_customer(template: str, order_id: int, facts: Mapping[str, Any]) -> Letter | None:
    """A letter about an order. Asks auth for the address.

    Returns: None where the order or its customer is gone, and where an order that was placed is cancelled by now.

    Raises:
        UnavailableError: Auth does not answer.
    """
    order = known_order(order_id)
    if order is None or (template == PLACED and order.status == OrderStatus.CANCELLED):
        return None
    [profile] = resolve(AuthService).profiles(customer_ids=[str(order.customer_id)])
    if profile is None:
        return None
    return render(f"ordering/mails/{template}", to=profile.email, **_told(order), **facts)


def _told(order: OrderView) -> dict[str, Any]:
    lines = [
        {
            "name": line.name,
            "sku": line.sku,
            "quantity": line.quantity,
            "total": money_text(line.total, order.currency),
        }
        for line in order.lines
    ]
    total = money_text(order.total, order.currency)
    return {"number": order_number(order.id), "lines": lines, "total": total}
