"""What other contexts may know about ordering: its events. Nothing lies downstream of it, so it offers no service."""

from dataclasses import dataclass
from typing import ClassVar

from shop.contract import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent(Event):
    """What every event of an order says."""

    key: ClassVar[str] = "order_id"
    shard_key: ClassVar[str] = "customer_id"

    order_id: str
    customer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCreated(OrderEvent):
    """An order waits for its payment; its pieces are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(OrderEvent):
    """An order is paid: its pieces can be sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(OrderEvent):
    """An order was cancelled; ``reason`` says by what."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired(OrderEvent):
    """An order was not paid in time."""
