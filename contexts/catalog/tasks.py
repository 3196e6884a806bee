"""Catalog's jobs. The kernel's delivery comes in here."""

from datetime import UTC, datetime

from contexts.catalog.services.reservations import expire_due
from shop.events import every


@every(seconds=5)
def expire_reservations() -> int:
    """Let go of what was held past its time, on every shard; returns how many lines."""
    return expire_due(datetime.now(UTC))
