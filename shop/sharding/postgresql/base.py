"""Django's backend for PostgreSQL: pooled connections that notice a black hole. Named in the settings as ENGINE."""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, cast, override

import psycopg
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base, creation

from shop.sharding.asked import note_asked
from shop.sharding.deadlines import statement_milliseconds
from shop.sharding.postgresql.connection import Watched
from shop.sharding.postgresql.pool import pool_of
from shop.sharding.postgresql.prepared import PreparedCursor, Session, outlasts_transaction
from shop.sharding.refusals import ErrorsTold

FOR_LOST_CLIENTS: Final = {
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""How the server ends what we have cut off, if no network tells it: first what holds something locked."""


class _Here(threading.local):
    """What this thread has taken out of pools: one connection, and those within a transaction or read from."""

    def __init__(self) -> None:
        self.holding: list[DatabaseWrapper] = []
        self.end = _End(self.holding)


class _End:
    """Goes with its thread, and leaves nothing taken."""

    def __init__(self, holding: "list[DatabaseWrapper]") -> None:
        self._holding = holding

    def __del__(self) -> None:
        with suppress(Exception):  # nobody is there to hear of it, and the process may be ending
            for wrapper in self._holding[:]:
                wrapper.close_if_unusable_or_obsolete()


_here: Final = _Here()


def held() -> "list[DatabaseWrapper]":
    """What has a connection in this thread; all that is in a transaction is among it."""
    return _here.holding[:]


def give_back_all() -> None:
    """Give back what this thread has taken, as at the end of each request. What it was in the middle of is undone."""
    for wrapper in held():
        wrapper.close_if_unusable_or_obsolete()


class _Creation(creation.DatabaseCreation):
    """For test runs, in which an alias is another database than before."""

    def _create_test_db(self, *args: Any, **kwargs: Any) -> str:
        self.connection.close()
        self.connection.close_pool()
        return super()._create_test_db(*args, **kwargs)  # type: ignore[misc,no-any-return]  # its stub lacks it


class DatabaseWrapper(base.DatabaseWrapper):
    """What Django talks to; one per thread and alias.

    It takes a connection out of the pool when it needs one, and gives it back when its thread turns to another
    database, and at the end of the request. So who waits for a connection holds none, but within a transaction.
    """

    creation_class = _Creation
    connection: Watched | None
    isolation_level = psycopg.IsolationLevel.READ_COMMITTED

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cursors: list[Any] = []
        self._holding: list[DatabaseWrapper] = []

    @override
    def connect(self) -> None:
        """Take a connection out of the pool, or open one.

        Raises:
            ShardUnavailable: The database is down, or all connections are in use.
        """
        for other in held():
            if other.autocommit and not other.in_atomic_block and other._is_done():
                other._give_back()
        connection = pool_of(self.alias).take()
        if connection is None:
            self._open()
        else:
            self._begin_with(connection)
        self._holding = _here.holding
        self._holding.append(self)
        self._limit()

    def _limit(self) -> None:
        """Have the server end statements when nobody waits for them any more, or no longer so."""
        connection, left = cast(Watched, self.connection), statement_milliseconds()
        if left is None and not connection.limited:
            return
        text = "RESET statement_timeout" if left is None else f"SET statement_timeout = {left}"
        with self.wrap_database_errors:
            psycopg.Cursor(connection).execute(text)
        connection.limited = left is not None

    @override
    def ensure_connection(self) -> None:
        if self.connection is None:
            super().ensure_connection()

    def _open(self) -> None:
        pool = pool_of(self.alias)
        try:
            super().connect()
        except BaseException:
            if self.connection is not None:
                self.connection.close()
                self.connection = None
            pool.not_opened()
            raise
        connection = cast(Watched, self.connection)
        connection.altered = False  # all that was set is set on each of them
        pool.opened(connection)

    def _begin_with(self, connection: Watched) -> None:
        """As Django does with a new one."""
        self.in_atomic_block = self.needs_rollback = self.closed_in_transaction = self.errors_occurred = False
        self.savepoint_ids, self.atomic_blocks, self.run_on_commit = [], [], []
        self.autocommit, self.connection = True, connection
        connection.session.renew()

    @override
    def get_new_connection(self, conn_params: dict[str, Any]) -> Watched:
        connection = pool_of(self.alias).connection_class.connect(**conn_params)
        try:
            connection.session = Session(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @cached_property
    def wrap_database_errors(self) -> ErrorsTold:
        """Django's way around every word with the database."""
        return ErrorsTold(self)

    def begin_guarded(self, buckets: Sequence[int]) -> None:
        """Begin the transaction that Django has declared, the guard's question along: see `shop.sharding.guard`."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            self._session.begin_guarded(buckets)

    @override
    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "cursor_factory": _Cursor}

    @override
    def create_cursor(self, name: str | None = None) -> Any:
        cursor = super().create_cursor(name)
        self._cursors = [open_one for open_one in self._cursors if not open_one.closed]
        self._cursors.append(cursor)
        return cursor

    def prepared_cursor(self) -> Any:
        """A cursor for statements written by hand, as Django's `cursor()` gives one for the ORM's."""
        self.close_if_health_check_failed()
        return self._prepare_cursor(PreparedCursor(lambda: self._session))

    @property
    def _session(self) -> Session:
        self.ensure_connection()
        return cast(Watched, self.connection).session

    def _prepare_cursor(self, cursor: Any) -> Any:  # Django's, which its stubs leave out
        note_asked(self.alias)
        return super()._prepare_cursor(cursor)  # type: ignore[misc]  # as above

    def _configure_connection(self, connection: Watched) -> bool:  # Django's, which its stubs leave out
        with connection.cursor() as cursor:
            names, values = list(FOR_LOST_CLIENTS), list(FOR_LOST_CLIENTS.values())
            cursor.execute(
                "SELECT set_config(n, v, false) FROM unnest(%s::text[], %s::text[]) AS given (n, v)", [names, values]
            )
        super()._configure_connection(connection)  # type: ignore[misc]  # as above
        return True

    @override
    def is_usable(self) -> bool:
        """Whether the next statement can be sent; never raises."""
        return self.connection is not None and self.connection.is_good(trusted=not self.errors_occurred)

    @override
    def close_if_health_check_failed(self) -> None:
        """At each statement: what its database's last loss has outlived is not used again."""
        if self.connection is not None and self.connection.outlived and not self.in_atomic_block:
            self.close()

    @override
    def close_if_unusable_or_obsolete(self) -> None:
        """At the end of a request: it is given back, see `_close`."""
        if self.in_atomic_block:
            self.close()
        elif self.connection is not None:
            self._give_back()

    def _is_done(self) -> bool:
        """Whether nobody here needs the connection: nothing is read from it any more, nothing set for its session."""
        for cursor in self._cursors:  # one at most, nearly always
            if not cursor.closed:
                return False
        return self.connection is not None and not self.connection.altered

    def _close(self) -> None:  # Django's `close` comes here, which the stubs leave out
        if self.connection is None:
            return
        if self.in_atomic_block:  # in the middle of something; Django keeps it until that ends
            self._holding.remove(self)
            pool_of(self.alias).close(self.connection)
        else:
            self._give_back()

    def _give_back(self) -> None:
        """Let others use the connection, or close it if they can't, or if somebody here may come back to it."""
        done, connection, self.connection = self._is_done(), self.connection, None
        if connection is None:
            return
        self._holding.remove(self)
        self._cursors.clear()
        if done and self.alias != NO_DB_ALIAS and not (self.errors_occurred and not connection.is_good(trusted=False)):
            pool_of(self.alias).give_back(connection)
        else:
            pool_of(self.alias).close(connection)

    def close_pool(self) -> None:
        """Close what is idle, as Django does before it drops a database."""
        pool_of(self.alias).close_idle()


class _Cursor(base.Cursor):
    """Knows what it leaves behind."""

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """As the driver's."""
        if isinstance(query, str) and outlasts_transaction(query):
            self.connection.altered = True  # type: ignore[attr-defined]  # Django's stubs know little of it
        return super().execute(query, *args, **kwargs)  # type: ignore[misc]  # as above


def _hold_nothing() -> None:
    """In a forked process: what its only thread held is the other one's."""
    for wrapper in _here.holding:
        wrapper.connection = None
    _here.holding.clear()


os.register_at_fork(after_in_child=_hold_nothing)
