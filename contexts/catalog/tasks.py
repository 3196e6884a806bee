"""Events that catalog handles, its jobs, and the letters it writes. The kernel's delivery comes in here."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contexts.auth.contract import CustomerErased, SessionsRevoked
from contexts.catalog.contract import StockDepleted
from contexts.catalog.services.mailing import mail_depleted, write_to_staff
from contexts.catalog.services.reservations import expire_due
from shop.events import every, on
from shop.gateway.revocation import refuse_sessions
from shop.mail import Letter, letter
from shop.privacy import erase_customer


@on(SessionsRevoked, atomic=False)
def refuse_tokens_on_sessions_revoked(event: SessionsRevoked) -> None:
    """Sign-ins that were ended: on the deny-list."""
    refuse_sessions("catalog", event.session_ids)


@on(CustomerErased, atomic=False)
def erase_on_customer_erased(event: CustomerErased) -> None:
    """What the kernel's tables here hold; catalog's own know no customers."""
    erase_customer("catalog", event.customer_id)


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
