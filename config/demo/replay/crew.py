"""Threads that work beside each other, and one after another for whoever shares a lane."""

import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from django.db import connections

from contexts.ordering.services.providers.fake_books import close_books
from shop.sharding.databases import leave_databases

BACKLOG: Final = 16
"""Pieces of work that may wait for each thread: what is read ahead of a file."""


class Crew:
    """So many threads. The first failure stops all of them; what had begun is finished."""

    def __init__(self, workers: int) -> None:
        self._lanes = [ThreadPoolExecutor(1, thread_name_prefix=f"replay-{number}") for number in range(workers)]
        self._room = threading.BoundedSemaphore(workers * BACKLOG)
        self._stopping = threading.Event()
        self._failures: list[Exception] = []

    def give(self, lane: str, work: Callable[[], None]) -> None:
        """Have ``work`` done behind all that was given before for ``lane``; waits while too much waits.

        Raises:
            Exception: What some work has failed with.
        """
        self._room.acquire()
        self._raise_failure()
        self._lanes[zlib.crc32(lane.encode()) % len(self._lanes)].submit(self._do, work)

    def finish(self) -> None:
        """Wait until everything is done.

        Raises:
            Exception: What some work has failed with.
        """
        for lane in self._lanes:
            with suppress(RuntimeError):  # it was finished before, and interrupted in the middle
                lane.submit(close_connections)
            lane.shutdown()
        self._raise_failure()

    def stop(self) -> None:
        """Begin nothing more. Call it before `finish`."""
        self._stopping.set()

    def _do(self, work: Callable[[], None]) -> None:
        try:
            if not self._stopping.is_set():
                work()
        except Exception as error:
            self._failures.append(error)
            self.stop()
        finally:
            leave_databases()
            self._room.release()

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures[0]


def close_connections() -> None:
    """Close what a thread has opened: databases, and the fake provider's books, which Django knows nothing of."""
    connections.close_all()
    close_books()
