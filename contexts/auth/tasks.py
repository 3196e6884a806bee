"""Auth's jobs, and the letters it writes. Called by the embedded delivery or a relay process."""

from collections.abc import Mapping
from typing import Any

from contexts.auth.services import purge_resets, purge_sessions, write_to_customer
from shop.events import every
from shop.mail import Letter, letter


@letter
def password_reset(about: int, _facts: Mapping[str, Any]) -> Letter | None:
    return write_to_customer(about)


@every(seconds=3600)
def forget_old_sessions() -> int:
    return purge_sessions()


@every(seconds=600)
def forget_old_resets() -> int:
    return purge_resets()
