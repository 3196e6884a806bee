"""Events that catalog handles, its jobs, and the letters it writes. The kernel's delivery comes in here."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contexts.catalog.contract import StockDepleted
from contexts.catalog.services.mailing import mail_depleted, write_to_staff
from contexts.catalog.services.reservations import expire_due
from shop.events import every, on
from shop.mail import Letter, letter


@on(StockDepleted)
def mail_on_stock_depleted(event: StockDepleted) -> None:
    """Tell staff."""
    mail_depleted(event)


@letter
def stock_depleted(about: int, _facts: Mapping[str, Any]) -> Letter | None:
    return write_to_staff(about)


@every(seconds=5)
def expire_reservations() -> int:
    """Let go of what was held past its time, on every shard; returns how many lines."""
    return expire_due(datetime.now(UTC))
