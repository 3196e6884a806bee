"""What happens to an order is told twice, in the transaction in which it happens: as an event, and in its timeline."""

from datetime import UTC, datetime
from typing import Any

from contexts.ordering.contract import OrderEvent
from contexts.ordering.models import Order, TimelineEntry
from shop.events import to_publish
from shop.sharding import new_id
from shop.sharding.together import insert_together


def tell(order: Order, event_type: type[OrderEvent], *, entry_id: int | None = None, **data: Any) -> None:
    """Publish ``event_type`` of ``order`` with ``data``, note it under ``entry_id``, and store the order.

    Emits: ``event_type``. Database: the open transaction on the order's shard, which holds the order's row locked.
    """
    event = event_type(order_id=str(order.pk), customer_id=str(order.customer_id), **data)
    order.updated_at = datetime.now(UTC)
    order.event_seq += 1
    order.save()
    told = entry(order, event.topic().split(".")[1], entry_id=entry_id, **data)
    insert_together(to_publish(event, seq=order.event_seq), told)


def note(order: Order, kind: str, *, entry_id: int | None = None, **data: Any) -> None:
    """Write a line of the order's timeline; under ``entry_id`` where a repetition has to find what it did before."""
    entry(order, kind, entry_id=entry_id, **data).save(force_insert=True)


def entry(order: Order, kind: str, *, entry_id: int | None = None, **data: Any) -> TimelineEntry:
    """As `note`, to be inserted by the caller."""
    key = entry_id or new_id("ordering", near=order.pk)
    return TimelineEntry(id=key, order_id=order.pk, type=kind, data=data, at=datetime.now(UTC))


def was_told(entry_id: int) -> bool:
    """Whether the timeline has the line ``entry_id``: this very request was here before."""
    return bool(TimelineEntry.objects.filter(pk=entry_id).exists())
