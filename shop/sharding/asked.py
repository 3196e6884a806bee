"""Which databases a request asks: counted by request, whatever number of statements. The backends and the edge come in.

What works behind the requests (deliveries, jobs, the watches) asks every database all the time, and is not counted.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

MINUTE_SECONDS: Final = 60.0

_asked: ContextVar[set[str] | None] = ContextVar("shop_asked", default=None)
_requests: dict[str, int] = {}


def note_asked(alias: str) -> None:
    """The request that this thread works for, if it does for one, asks ``alias``."""
    asked = _asked.get()
    if asked is not None:
        asked.add(alias)


@contextmanager
def asking() -> Iterator[set[str]]:
    """The databases that are asked inside this block."""
    asked: set[str] = set()
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


def count_asked(asked: set[str]) -> None:
    """Count a request that asked these databases. Of two threads one may be missed, now and then: it measures load."""
    for alias in asked:
        _requests[alias] = _requests.get(alias, 0) + 1


def requests_by_alias() -> dict[str, int]:
    """Requests that asked a database since this process began."""
    return dict(_requests)


class RequestsOfMinute:
    """What was counted up to now, and how much of it in the last minute; for one thread, which looks now and then."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque([(time.monotonic(), requests_by_alias())])

    def look(self) -> None:
        """Remember what is counted now, once in a second."""
        now = time.monotonic()
        if now >= self._seen[-1][0] + 1.0:
            self._seen.append((now, requests_by_alias()))
        while len(self._seen) > 1 and self._seen[1][0] <= now - MINUTE_SECONDS:
            self._seen.popleft()

    def of(self, aliases: Sequence[str]) -> dict[str, list[int]]:
        """``[since the process began, in the last minute]`` by alias."""
        present, before = requests_by_alias(), self._seen[0][1]
        return {alias: [present.get(alias, 0), present.get(alias, 0) - before.get(alias, 0)] for alias in aliases}
