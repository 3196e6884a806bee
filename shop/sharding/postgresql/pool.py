"""Open connections to one database that wait for their next use. `base` comes in here.

A thread takes the one that was used last; what is prepared on a connection stays with it. Taking and giving back an
idle one needs no lock: the ends of a deque are safe for many threads.
"""

import os
import threading
import weakref
from collections import deque
from time import monotonic

from django.conf import settings

from shop.observability.metrics import DATABASE_OPENED
from shop.sharding.postgresql.asking import answers
from shop.sharding.postgresql.budget import Budget, Place
from shop.sharding.postgresql.bulkhead import Bulkhead
from shop.sharding.postgresql.connection import Watched, watched_by


class Pool:
    """One database's part of the budget.

    Attributes:
        idle: Connections that nobody uses, the one that was used last at the right.
        size: How many are open or being opened, idle or not. Only the budget changes it.
    """

    def __init__(self, alias: str, budget: Budget) -> None:
        self.alias = alias
        self.bulkhead = Bulkhead(alias, most_waiting=max(1, settings.SERVER_THREADS // 2), ask=self._ask)
        self.connection_class = watched_by(self.bulkhead)
        self.idle: deque[Watched] = deque()
        self.size = 0
        self._budget = budget

    def take(self) -> Watched | None:
        """A connection that works; None: a new one may be made, and either `opened` or `not_opened` has to be told.

        Raises:
            ShardUnavailable: The database is down, or no place became free in time.
        """
        while True:
            if self.bulkhead.shut is not None:
                self.bulkhead.enter(fresh=True)
            connection = None if self._budget.queue else self.last_idle()
            if connection is None:
                place = self._budget.place_for(self)
                if place.evicted is not None:
                    place.evicted.leave()
                connection = place.connection
            if connection is None or connection.is_good():
                return connection
            self.close(connection)
            self.close_idle()  # they have heard nothing for longer still

    def opened(self, connection: Watched) -> None:
        """The new connection is there."""
        connection.place = weakref.finalize(connection, self._budget.collected, self)
        connection.place.atexit = False
        DATABASE_OPENED.labels(self.alias).inc()
        self._budget.upkeep.begin()

    def not_opened(self) -> None:
        """There is none."""
        self._budget.free(self)

    def give_back(self, connection: Watched) -> None:
        """Keep a connection for its next use, or close one that others can't use as it is."""
        if not connection.is_clean():
            self.close(connection)
            return
        connection.idle_since = monotonic()
        self.idle.append(connection)
        if self._budget.queue:
            self._budget.serve()

    def hand_back(self, place: Place) -> None:
        """Nobody needs the place any more."""
        if place.evicted is not None:
            place.evicted.leave()
        if place.connection is not None:
            self.give_back(place.connection)
        else:
            self.not_opened()

    def close(self, connection: Watched) -> None:
        """Close a connection for good; its place is free then."""
        connection.leave()
        self._budget.free(self)

    def close_idle(self, *, since: float = float("inf")) -> None:
        """Close what is idle since before that moment; monotonic seconds."""
        while (connection := self.first_idle()) is not None:
            if connection.idle_since >= since:
                self.idle.appendleft(connection)
                return
            self.close(connection)

    def _ask(self, conninfo: str) -> bool:
        with self._budget.place_for_a_question():
            return answers(conninfo)

    def last_idle(self) -> Watched | None:
        """Take the one out that was used last."""
        try:
            return self.idle.pop()
        except IndexError:
            return None

    def first_idle(self) -> Watched | None:
        """Take the one out that is idle for longest."""
        try:
            return self.idle.popleft()
        except IndexError:
            return None


class _Process:
    """What one process has."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._budget: Budget | None = None

    def pool_of(self, alias: str) -> Pool:
        """The pool of a database; made at its first use."""
        if self._budget is not None and (known := self._budget.pools.get(alias)):
            return known
        with self._making:
            if self._budget is None:
                self._budget = Budget(settings.DATABASE_CONNECTIONS)
            budget = self._budget
            return budget.pools.get(alias) or budget.pools.setdefault(alias, Pool(alias, budget))


_here = _Process()


def pool_of(alias: str) -> Pool:
    """The pool of a database in this process."""
    return _here.pool_of(alias)


def _begin_anew() -> None:
    """In a forked process: neither use nor close what the other one has open; libpq closes nothing of another's."""
    global _here  # noqa: PLW0603
    _here = _Process()


os.register_at_fork(after_in_child=_begin_anew)
