"""Delivery: threads of the server process, of `manage.py relay`, or of a command that needs it while it works."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from django.conf import settings
from django.db import connections

from shop.events import wake
from shop.events.away import Away, is_away
from shop.events.duty import lay_down, on_duty
from shop.events.jobs import run_due_jobs
from shop.events.relay import Carrier, relay, retry
from shop.sharding import aliases_of, hosted_contexts, shard_map
from shop.sharding.databases import leave_databases
from shop.sharding.generator import generator_of

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.3
STOP_SECONDS: Final = 5.0
REST_SECONDS: Final = 1.0


class Embedded:
    """The delivery threads of one process: three per context, so that a slow job holds up no event and no other job.

    Args:
        close: Called by each thread at its end: closes what it has opened.
        carriers: Makes what carries events away, one for each thread; None: the handlers of this process take them.
        net: Whether it also looks for what nobody has told it of, tries again what failed, and runs the jobs. A server
            that has a `manage.py relay` beside it does not: it only hands over what it has published itself.
    """

    def __init__(
        self,
        close: Callable[[], None] = connections.close_all,
        *,
        carriers: Callable[[], Carrier] | None = None,
        net: bool = True,
    ) -> None:
        self._close = close
        self._carriers = carriers
        self._net = net
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._resting: dict[str, float] = {}

    def start(self) -> None:
        """Start the threads; with ``RELAY_PAUSED`` the sweepers only."""
        for context in hosted_contexts():
            if not settings.RELAY_PAUSED:
                carrier = self._carriers() if self._carriers else None
                self._run(
                    wake.RELAY, context, partial(self._relay_round if self._net else self._own_round, carrier=carrier)
                )
            self._run(wake.JOBS, context, self._jobs_round)
            if self._net:
                self._run(wake.SLOW_JOBS, context, self._slow_jobs_round)

    def stop(self) -> None:
        """Let every thread finish what it holds."""
        self._stopping.set()
        for context in hosted_contexts():
            wake.relay_of(context)
            wake.wake_jobs(context)
            wake.wake_slow_jobs(context)
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _run(self, kind: str, context: str, one_round: Callable[[str], None]) -> None:
        def loop() -> None:
            while not self._stopping.is_set():
                try:
                    one_round(context)
                except Exception as error:
                    log.warning("delivery_round_failed", kind=kind, context=context, error=type(error).__name__)
                    self._stopping.wait(REST_SECONDS)
                finally:
                    leave_databases()
            if kind == wake.RELAY:
                _leave(context)
            self._close()

        thread = threading.Thread(target=loop, name=f"{kind}-{context}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _relay_round(self, context: str, carrier: Carrier | None = None) -> None:
        seen = [
            self._try(f"relay of {alias}", partial(_relay, alias, carrier)) for alias in shard_map(context).owners()
        ]
        if not any(seen):
            leave_databases()
            wake.wait(wake.RELAY, context, POLL_SECONDS)

    def _own_round(self, context: str, carrier: Carrier | None = None) -> None:
        """Hand over what this process has just published, whoever has the duty: claims keep them apart."""
        leave_databases()
        if wake.wait(wake.RELAY, context, POLL_SECONDS):
            for alias in shard_map(context).owners():
                self._try(f"relay of {alias}", partial(relay, alias, carrier))

    def _jobs_round(self, context: str) -> None:
        woken = wake.wait(wake.JOBS, context, POLL_SECONDS)
        self._try(f"window of IDs of {context}", generator_of(context).ensure_window)
        if self._net:
            self._try(f"jobs of {context}", partial(run_due_jobs, context, woken=woken))

    def _slow_jobs_round(self, context: str) -> None:
        woken = wake.wait(wake.SLOW_JOBS, context, POLL_SECONDS)
        self._try(f"slow jobs of {context}", partial(run_due_jobs, context, woken=woken, slow=True))

    def _try(self, what: str, work: Callable[[], int | None]) -> int:
        """Do one piece of a round. One that fails rests, so that the others go on; told when that begins and ends."""
        if self._resting.get(what, 0.0) > time.monotonic():
            return 0
        try:
            done = work()
        except Exception as error:
            if what not in self._resting or not is_away(error):
                log.warning("delivery_stands", what=what, error=type(error).__name__)
            self._resting[what] = time.monotonic() + REST_SECONDS
            return 0
        if self._resting.pop(what, None) is not None:
            log.info("delivery_goes_on", what=what)
        return done or 0


def _relay(alias: str, carrier: Carrier | None) -> int:
    if not on_duty(alias, wake.RELAY):
        return 0
    try:
        seen = relay(alias, carrier)
    except Away:
        retry(alias)  # which needs no broker
        raise
    return seen + retry(alias)


def _leave(context: str) -> None:
    for alias in aliases_of(context):
        try:
            lay_down(alias, wake.RELAY)
        except Exception as error:
            log.warning("duty_not_laid_down", database=alias, error=type(error).__name__)
