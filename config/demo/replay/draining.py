"""Working off what a replay leaves behind: events on their way, refunds that wait for their provider."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db import InterfaceError, OperationalError, close_old_connections

from contexts.ordering import services
from shop.contract import UnavailableError
from shop.events.figures import waiting_events
from shop.events.relay import relay, retry
from shop.services import acting_as
from shop.sharding.readiness import all_aliases

PATIENCE_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.2
AWAY: Final = (OperationalError, InterfaceError, UnavailableError)
"""Busy or away: the next round tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What could not be worked off: nothing, if all is well."""

    events: int
    for_providers: int

    @property
    def number(self) -> int:
        """All of it."""
        return self.events + self.for_providers


def drain(progress: Callable[[int, int], None]) -> Left:
    """Relay events and run the jobs of payments until nothing is left of what waits now.

    What other buyers cause meanwhile is not waited for. Gives up when nothing has changed for a minute.

    Args:
        progress: Called each round with what is done and all there was.

    Raises:
        DatabaseError: For a minute no database has said what is left.
    """
    began, before, most, patient_until = datetime.now(UTC), -1, 0, time.monotonic() + PATIENCE_SECONDS
    while True:
        moved = _round()
        try:
            left = Left(events=waiting_events(began), for_providers=services.waiting_for_providers(began))
        except AWAY:
            if time.monotonic() > patient_until:
                raise
            close_old_connections()
            time.sleep(PAUSE_SECONDS)
            continue
        most = max(most, left.number)
        progress(most - left.number, most)
        if not moved and not left.number:
            return left
        if left.number != before:
            before, patient_until = left.number, time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > patient_until:
            return left
        if not moved:
            time.sleep(PAUSE_SECONDS)  # it is in other hands, or not due yet


def _round() -> int:
    """One round; returns how much was worked off."""
    try:
        found = sum(relay(alias) + retry(alias) for alias in all_aliases())
        with acting_as("ordering"):
            return found + services.apply_webhooks() + services.reconcile_payments() + services.give_money_back()
    except AWAY:
        close_old_connections()
        return 0
