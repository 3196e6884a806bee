"""How many connections this process has to all its databases together. `pool` and the watches come in here.

One count, not a share for each database: with 48 of them a share would be none. Whoever needs a connection when all
places are taken gets the place of an idle one, which is closed; if none is idle it waits for a moment. One place is
kept for the watches' questions, so that a lost database is found to be lost however many hang on it.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import random
from time import monotonic
from typing import TYPE_CHECKING, Final

from shop.observability.metrics import DATABASE_WAITED
from shop.sharding.postgresql.bulkhead import LOOK_SECONDS, Shut
from shop.sharding.postgresql.upkeep import Upkeep

if TYPE_CHECKING:  # they come in here
    from shop.sharding.postgresql.connection import Watched
    from shop.sharding.postgresql.pool import Pool

WAIT_SECONDS: Final = 0.75
FOR_QUESTIONS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Room for one connection.

    Attributes:
        connection: One that is open; None: a new one is to be made.
        evicted: An idle connection whose place it was, to be closed first.
    """

    connection: "Watched | None" = None
    evicted: "Watched | None" = None


@dataclass(slots=True, eq=False)
class _Waiter:
    pool: "Pool"
    served: threading.Lock = field(default_factory=threading.Lock)
    place: Place | None = None


class Budget:
    """Places for ``most`` connections; all counts change under one lock, which is held over no wait.

    Attributes:
        most_of_one: How many of them one database gets: a slow one leaves something to the others.
        pools: All that take part, by alias.
        queue: Who waits for a place, in the order they came.
        upkeep: Closes what is idle for long.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.most_of_one = max(1, min(most * 3 // 4, most - FOR_QUESTIONS - 1))
        self.pools: dict[str, Pool] = {}
        self.queue: deque[_Waiter] = deque()
        self.upkeep = Upkeep(self)
        self._taken = 0
        self._collected: deque[Pool] = deque()
        self._changing = threading.Lock()
        self._asking = threading.Lock()

    def place_for(self, pool: "Pool") -> Place:
        """A place, at once or within `WAIT_SECONDS`.

        Raises:
            ShardUnavailable: None became free, or enough threads wait for that database already.
        """
        with self._changing:
            if not self.queue and (place := self._find(pool)) is not None:
                return place
            waiter = _Waiter(pool)
            waiter.served.acquire()
            self.queue.append(waiter)
            self._serve()  # what came back before it stood in the queue
        return self._await(waiter)

    def free(self, pool: "Pool") -> None:
        """A place of ``pool`` is free again: its connection was closed, or could not be made."""
        with self._changing:
            self._release(pool)
            self._serve()

    def collected(self, pool: "Pool") -> None:
        """The same, of a connection that nobody closed. Called whenever memory is tidied up, so without the lock."""
        self._collected.append(pool)

    def serve(self) -> None:
        """Something became idle: see who waits for it."""
        with self._changing:
            self._serve()

    @contextmanager
    def place_for_a_question(self) -> Iterator[None]:
        """For a connection that only asks whether a database is there: a free one, or the one that is kept for it."""
        with self._changing:
            room, evicted = self._room()
            self._taken += room
        if not room:
            with self._asking:
                yield
            return
        try:
            if evicted is not None:
                evicted.leave()
            yield
        finally:
            with self._changing:
                self._taken -= 1
                self._serve()

    def waiting_for(self, pool: "Pool") -> int:
        """How many threads wait for a place of ``pool``."""
        return sum(waiter.pool is pool for waiter in list(self.queue))

    # ---- with the lock held ----------------------------------------------------------------------------------

    def _find(self, pool: "Pool") -> Place | None:
        if (connection := pool.last_idle()) is not None:
            return Place(connection=connection)
        while self._collected:
            self._release(self._collected.popleft())
        if pool.size >= self.most_of_one:
            return None
        room, evicted = self._room()
        if not room:
            return None
        self._taken += 1
        pool.size += 1
        return Place(evicted=evicted)

    def _room(self) -> "tuple[bool, Watched | None]":
        """Whether there is a place, and who has to go for it.

        That is the connection that was idle for longest, where most are idle. Of databases with as many it is one at
        random: who goes through more databases than there are places, in turn, would always find the next one closed.
        """
        if self._taken < self.most - FOR_QUESTIONS:
            return True, None
        richest = max(list(self.pools.values()), key=lambda pool: (len(pool.idle), random()))  # noqa: S311  no secret
        if (evicted := richest.first_idle()) is not None:
            self._release(richest)
        return evicted is not None, evicted

    def _release(self, pool: "Pool") -> None:
        self._taken -= 1
        pool.size -= 1

    def _serve(self) -> None:
        for waiter in list(self.queue):
            if (place := self._find(waiter.pool)) is not None:
                self.queue.remove(waiter)
                waiter.place = place
                waiter.served.release()

    # ---- waiting ---------------------------------------------------------------------------------------------

    def _await(self, waiter: _Waiter) -> Place:
        began, bulkhead = monotonic(), waiter.pool.bulkhead
        try:
            with bulkhead.queueing() as look:
                while not waiter.served.acquire(timeout=LOOK_SECONDS):
                    look()
                    if monotonic() - began >= WAIT_SECONDS:
                        raise bulkhead.refusal(Shut.FULL)
        except BaseException:
            self._give_up(waiter)
            raise
        finally:
            DATABASE_WAITED.labels(waiter.pool.alias).observe(monotonic() - began)
        assert waiter.place is not None  # noqa: S101  whoever releases the lock has set it
        return waiter.place

    def _give_up(self, waiter: _Waiter) -> None:
        with self._changing:
            if waiter.place is None:
                self.queue.remove(waiter)
                return
        waiter.pool.hand_back(waiter.place)
