"""Delivery without a broker: threads of the server process. Started by the server's entry only."""

import threading
from collections.abc import Callable
from typing import Final

import structlog
from django.conf import settings
from django.db import close_old_connections, connections

from shop.events import wake
from shop.events.duty import lay_down, on_duty
from shop.events.jobs import run_due_jobs
from shop.events.relay import relay, retry
from shop.sharding import hosted_contexts, shard_map

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.3
STOP_SECONDS: Final = 5.0


class Embedded:
    """The delivery threads of one process: two per context, so that a slow sweeper holds up no event."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; with ``RELAY_PAUSED`` the sweepers only."""
        for context in hosted_contexts():
            if not settings.RELAY_PAUSED:
                self._run(wake.RELAY, context, self._relay_round)
            self._run(wake.JOBS, context, self._jobs_round)

    def stop(self) -> None:
        """Let every thread finish what it holds."""
        self._stopping.set()
        for context in hosted_contexts():
            wake.relay_of(context)
            wake.wake_jobs(context)
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _run(self, kind: str, context: str, one_round: Callable[[str], None]) -> None:
        def loop() -> None:
            while not self._stopping.is_set():
                try:
                    close_old_connections()
                    one_round(context)
                except Exception as error:
                    log.warning("delivery_round_failed", kind=kind, context=context, error=type(error).__name__)
                    self._stopping.wait(1.0)
            if kind == wake.RELAY:
                _leave(context)
            connections.close_all()

        thread = threading.Thread(target=loop, name=f"{kind}-{context}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _relay_round(self, context: str) -> None:
        seen = 0
        for alias in shard_map(context).owners():
            if on_duty(alias, wake.RELAY):
                seen += relay(alias) + retry(alias)
        if not seen:
            wake.wait(wake.RELAY, context, POLL_SECONDS)

    def _jobs_round(self, context: str) -> None:
        run_due_jobs(context, woken=wake.wait(wake.JOBS, context, POLL_SECONDS))


def _leave(context: str) -> None:
    try:
        for alias in shard_map(context).owners():
            lay_down(alias, wake.RELAY)
    except Exception as error:
        log.warning("duty_not_laid_down", context=context, error=type(error).__name__)
