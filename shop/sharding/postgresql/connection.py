"""psycopg's connection, each of whose waits the database's bulkhead attends to. The backend in `base` comes in here.

All that psycopg 3.3 waits for passes through `wait`, but for connecting: that begins with `_get_connection_params` and
has `_connect_gen` as its generator, once for each address. Its documentation promises none of them, so
tests/kernel/test_black_hole.py asks for all.
"""

import os
import select
import weakref
from contextlib import suppress
from time import monotonic
from typing import Any, ClassVar, Final, Self, override

import psycopg
from psycopg.abc import ConnDict, PQGen, PQGenConn
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow

from shop.sharding.errors import ShardUnavailable
from shop.sharding.postgresql.asking import addresses_of
from shop.sharding.postgresql.bulkhead import LOOK_SECONDS, Bulkhead
from shop.sharding.postgresql.prepared import Session

HEALTHY_WITHIN_SECONDS: Final = 1.0
TRUSTED_SECONDS: Final = 10.0
"""After its last answer. What forgets idle connections, a firewall or a proxy, gives them minutes."""
GOODBYE_MILLISECONDS: Final = 50


class Watched(psycopg.Connection[TupleRow]):
    """A connection that ends its waits when its database is lost. It is closed then: what was asked may still happen.

    Not for LISTEN: who waits for a notification is owed no answer.

    Attributes:
        bulkhead: Of its database; each has a class of its own, see `watched_by`.
        most_seconds: How long a wait may take at most, where that is known.
        heard_at: When it was last answered; monotonic seconds.
        session: What is prepared on it.
        altered: Whether something was set or locked that outlasts a transaction.
        limited: Whether its statements have to end by a moment, see `shop.sharding.deadlines`.
        idle_since: When it was last given back; monotonic seconds.
        place: Frees its place in the budget, should nobody close it.
    """

    bulkhead: ClassVar[Bulkhead]
    most_seconds: float | None = None
    session: Session
    altered = False
    limited = False
    idle_since = 0.0
    place: "weakref.finalize[Any, Any] | None" = None

    def __init__(self, pgconn: PGconn, *args: Any) -> None:
        super().__init__(pgconn, *args)
        self._epoch = self.bulkhead.epoch
        self.heard_at = monotonic()
        self._ear = select.poll()
        self._ear.register(pgconn.socket, select.POLLIN)

    @property
    def outlived(self) -> bool:
        """Whether its database was lost since it was made."""
        return self._epoch != self.bulkhead.epoch

    def is_good(self, *, trusted: bool = True) -> bool:
        """Whether the next statement can be sent. Never raises.

        Django would ask the server at each request's first statement, a way there and back on every connection. But
        a server that stops, fails over or ends a session says so on the socket; only of a connection that was idle
        for long, or is not ``trusted``, more has to be known: what lies between may have forgotten it.
        """
        if self.closed or self._epoch != self.bulkhead.epoch:
            return False
        if trusted and monotonic() < self.heard_at + TRUSTED_SECONDS and not self._ear.poll(0):
            return True
        return self.answers()

    def answers(self) -> bool:
        """Whether the server answers within `HEALTHY_WITHIN_SECONDS`: the one question that can't be merely slow."""
        self.most_seconds = HEALTHY_WITHIN_SECONDS
        try:
            self.execute("SELECT 1")
        except (psycopg.Error, ShardUnavailable):
            return False
        finally:
            self.most_seconds = None
        return True

    def is_clean(self) -> bool:
        """Whether others may use it: no transaction is open, no setting of the session is another than at its start."""
        return not (
            self.altered
            or self.pgconn.transaction_status != TransactionStatus.IDLE
            or not self.autocommit
            or self._epoch != self.bulkhead.epoch
        )

    def leave(self) -> None:
        """Close it, and wait a moment for the server to have counted it out. Never raises."""
        if self.place is not None:
            self.place.detach()
        if self.closed or self._epoch != self.bulkhead.epoch:
            self.close()  # there is nobody to hear it
            return
        with suppress(OSError):
            door = os.dup(self.pgconn.socket)
            try:
                self.close()
                watch = select.poll()
                watch.register(door, select.POLLIN)
                watch.poll(GOODBYE_MILLISECONDS)
            finally:
                os.close(door)

    @override
    @classmethod
    def _get_connection_params(cls, conninfo: str, **kwargs: Any) -> ConnDict:
        cls.bulkhead.enter(fresh=True)  # before its name is looked up
        params = super()._get_connection_params(conninfo, **kwargs)
        cls.bulkhead.conninfo = make_conninfo("", **params)
        cls.bulkhead.addresses = addresses_of(cls.bulkhead.conninfo)
        return params

    @override
    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn[Self]:
        cls.bulkhead.enter(fresh=True)
        return (yield from cls.bulkhead.attended(super()._connect_gen(conninfo)))

    @override
    def wait[R](self, gen: PQGen[R], interval: float = LOOK_SECONDS, timeout: float | None = None) -> R:
        """What the database answers.

        Raises:
            ShardUnavailable: It does not.
        """
        bulkhead = self.bulkhead
        if bulkhead.shut is not None or self._epoch != bulkhead.epoch:
            self._refuse_shut()
        fresh = self._autocommit or self.pgconn.transaction_status == TransactionStatus.IDLE
        asking = bulkhead.attended(gen, fresh=fresh)
        try:
            answer = super().wait(asking, interval, self.most_seconds if timeout is None else timeout)
        except ShardUnavailable:
            self.close()
            raise
        self.heard_at = monotonic()
        return answer

    def _refuse_shut(self) -> None:
        if self.outlived and not self.closed:
            self.close()
            raise ShardUnavailable(detail=f"{self.bulkhead.alias} did not answer for a while; try again")
        self.bulkhead.enter(fresh=self.pgconn.transaction_status == TransactionStatus.IDLE)

    @override
    def set_autocommit(self, value: bool) -> None:
        """Unattended: the database is not asked, and after a commit nothing may fail any more."""
        with self.lock:
            super().wait(self._set_autocommit_gen(value))


def watched_by(bulkhead: Bulkhead) -> type[Watched]:
    """The class of the connections to one database: those of all threads share its bulkhead."""
    return type("Watched", (Watched,), {"bulkhead": bulkhead})
