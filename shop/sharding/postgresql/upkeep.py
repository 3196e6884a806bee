"""What pools need from time to time: idle connections are closed, figures are told. `budget` comes in here."""

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

import structlog

from shop.observability.metrics import DATABASE_CONNECTIONS, DATABASE_WAITING

if TYPE_CHECKING:  # they come in here
    from shop.sharding.postgresql.budget import Budget

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 60.0


class Upkeep:
    """One thread for all pools, while any connection is open: so a request neither closes nor tells."""

    def __init__(self, budget: "Budget") -> None:
        self._budget = budget
        self._beginning = threading.Lock()
        self._at_work = False
        self._told: dict[tuple[str, str], int] = {}

    def begin(self) -> None:
        """Look after the connections from now on. A connection was opened, so nothing ends before it is closed."""
        with self._beginning:
            if not self._at_work:
                self._at_work = True
                threading.Thread(target=self._go_on, name="database-upkeep", daemon=True).start()

    def round(self) -> bool:
        """Do what is due; whether anything is open still."""
        pools = list(self._budget.pools.values())
        for pool in pools:
            pool.close_idle(since=monotonic() - IDLE_SECONDS)
            idle = len(pool.idle)
            self._tell(pool.alias, "idle", idle)
            self._tell(pool.alias, "in_use", pool.size - idle)
            self._tell(pool.alias, "waiting", self._budget.waiting_for(pool))
        return any(pool.size for pool in pools)

    def _tell(self, alias: str, what: str, number: int) -> None:
        """Figures that all workers share cost a microsecond each: only what has changed is told."""
        if self._told.get((alias, what)) != number:
            gauge = DATABASE_WAITING.labels(alias) if what == "waiting" else DATABASE_CONNECTIONS.labels(alias, what)
            gauge.set(number)
            self._told[alias, what] = number

    def _go_on(self) -> None:
        while True:
            sleep(EVERY_SECONDS)
            try:
                if self.round():
                    continue
            except Exception:
                log.exception("database_upkeep_failed")
            with self._beginning:
                if not any(pool.size for pool in list(self._budget.pools.values())):
                    self._at_work = False
                    return
