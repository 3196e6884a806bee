"""One target for each address that is called: its connections, breaker, bulkhead and budget. One per process."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from django.conf import settings

from shop.contract import ServiceUnavailable
from shop.services.transport.http.breaker import Breaker
from shop.services.transport.http.connections import Connections
from shop.services.transport.http.repeating import Budget

PATIENCE_SECONDS: Final = 1.0


class Target:
    """Where a context lives."""

    def __init__(self, context: str, url: str) -> None:
        self.context, self.url = context, url
        self.connections = Connections(url)
        self.breaker = Breaker(context)
        self.budget = Budget()
        self._waiting = Waiting(context, max(1, settings.SERVER_THREADS // 2))

    def place(self) -> AbstractContextManager[None]:
        """A place among those who wait for this target.

        Raises:
            ServiceUnavailable: Too many have waited too long.
        """
        return self._waiting.place()


class Waiting:
    """Who waits for one target. As long as it answers soon, any number may; it is no outage to be asked a lot.

    Once half of the threads have waited for a second, the next ones are refused at once, so that the others go on.
    """

    def __init__(self, context: str, most: int) -> None:
        self._context, self._most = context, most
        self._guard = threading.Lock()
        self._since: list[float] = []

    @contextmanager
    def place(self) -> Iterator[None]:
        """One more who waits.

        Raises:
            ServiceUnavailable: Too many have waited too long.
        """
        now = time.monotonic()
        with self._guard:
            if sum(now - since > PATIENCE_SECONDS for since in self._since) >= self._most:
                raise ServiceUnavailable(detail=f"too many calls wait for {self._context}")
            self._since.append(now)
        try:
            yield
        finally:
            with self._guard:
                self._since.remove(now)


_guard: Final = threading.Lock()
_targets: Final[dict[str, Target]] = {}


def target_of(context: str, url: str) -> Target:
    """The target of a context that lives at ``url``; a new one when it has moved."""
    known = _targets.get(context)
    if known is not None and known.url == url:
        return known
    with _guard:
        before = _targets.get(context)
        if before is not None and before.url == url:
            return before
        target = _targets[context] = Target(context, url)
    if before is not None:
        before.connections.close()
    return target


def leave_targets() -> None:
    """Forget all of them, with what is known of them."""
    with _guard:
        left = list(_targets.values())
        _targets.clear()
    for target in left:
        target.connections.close()
