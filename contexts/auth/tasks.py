"""Events that auth handles, its jobs, and the letters it writes. Called by the embedded delivery or a relay process."""

from collections.abc import Mapping
from typing import Any

from contexts.auth.contract import CustomerErased, SessionsRevoked
from contexts.auth.services import purge_resets, purge_sessions, write_to_customer
from shop.events import every, on
from shop.gateway.revocation import refuse_sessions
from shop.mail import Letter, letter
from shop.privacy import erase_customer


@on(SessionsRevoked, atomic=False)
def refuse_tokens_on_sessions_revoked(event: SessionsRevoked) -> None:
    """Sign-ins that were ended: on the deny-list."""
    refuse_sessions("auth", event.session_ids)


@on(CustomerErased, atomic=False)
def erase_on_customer_erased(event: CustomerErased) -> None:
    """What the account has left behind."""
    erase_customer("auth", event.customer_id)


@letter
def password_reset(about: int, _facts: Mapping[str, Any]) -> Letter | None:
    return write_to_customer(about)


@every(seconds=3600)
def forget_old_sessions() -> int:
    return purge_sessions()


@every(seconds=600)
def forget_old_resets() -> int:
    return purge_resets()
