"""Claims whose shard was away when they were to be given up: they are as soon as it is back.

Otherwise who repeats a key that was cut off would hear for a whole lease that its first request is still running.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

import structlog
from django.db import connections

from shop.events.away import is_away

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 0.5
MOST: Final = 1_000
"""The first ones, that the loss has cut off; those who come later are refused before anything is written."""


@dataclass(frozen=True, slots=True)
class _Left:
    alias: str
    give_up: Callable[[], None]
    until: float


class GivingUp:
    """One thread for all claims of a process, while there are any."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._left: list[_Left] = []
        self._at_work = False

    def later(self, alias: str, give_up: Callable[[], None], *, seconds: float) -> None:
        """Call ``give_up`` until the database ``alias`` is there for it, for so long at most."""
        with self._changing:
            if len(self._left) < MOST:
                self._left.append(_Left(alias, give_up, monotonic() + seconds))
            if not self._at_work:
                self._at_work = True
                threading.Thread(target=self._go_on, name="giving-up", daemon=True).start()

    def _go_on(self) -> None:
        while True:
            sleep(EVERY_SECONDS)
            self._round()
            with self._changing:
                if not self._left:
                    self._at_work = False
                    return

    def _round(self) -> None:
        with self._changing:
            left, self._left = self._left, []
        away: dict[str, list[_Left]] = {}
        for each in left:
            if each.alias in away:
                away[each.alias].append(each)
                continue
            try:
                each.give_up()
            except Exception as error:
                if is_away(error):
                    away[each.alias] = [each]
                else:
                    log.exception("claim_not_given_up", database=each.alias)
        connections.close_all()
        with self._changing:
            self._left[:0] = [each for some in away.values() for each in some if each.until > monotonic()]


giving_up: Final = GivingUp()
