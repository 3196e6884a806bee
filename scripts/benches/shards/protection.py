"""What guard and fence cost a request: asked again and again in this process, batch by batch with both and with none.

A round over HTTP can't tell: between two of them the machine differs by more than the guard takes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, Final
from unittest import mock

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql

from scripts.benches.processes import main_thread_seconds
from shop.sharding.fence import FUNCTIONS
from shop.sharding.postgresql.base import DatabaseWrapper

BATCH: Final = 20
UNCOUNTED: Final = 3
"""Requests behind a change of triggers in which PostgreSQL plans its statements anew."""


def protection_us(ask: Callable[[], object], aliases: Iterable[str], pairs: int) -> float:
    """CPU time that guard and fence add to ``ask``, of this process and of PostgreSQL: µs, between the medians.

    Database: ``aliases``, which are all that ``ask`` writes to. Their triggers are off for a while.
    """
    databases = _Databases(sorted(set(aliases)))
    protected: list[float] = []
    bare: list[float] = []
    for _ in range(pairs):
        protected += databases.costs_us(ask)
        with databases.unprotected():
            bare += databases.costs_us(ask)
    return median(protected) - median(bare)


class _Databases:
    """What is asked beside the shop, on connections that have nothing of it."""

    def __init__(self, aliases: Sequence[str]) -> None:
        self._each = [_connection(connections[alias].get_connection_params()) for alias in aliases]
        self._names = [settings.DATABASES[alias]["NAME"] for alias in aliases]

    def costs_us(self, ask: Callable[[], object]) -> list[float]:
        """CPU time of ``ask``, each time of a batch."""
        for _ in range(UNCOUNTED):
            ask()
        backends = [pid for (pid,) in self._each[0].execute(BACKENDS.encode(), [self._names]).fetchall()]

        def once() -> float:
            before = time.process_time() + main_thread_seconds(backends)
            ask()
            return (time.process_time() + main_thread_seconds(backends) - before) * 1e6

        return [once() for _ in range(BATCH)]

    @contextmanager
    def unprotected(self) -> Iterator[None]:
        """Without guard and fence inside the block."""
        self._switch("DISABLE")
        try:
            with mock.patch.object(DatabaseWrapper, "begin_guarded", _begin):
                yield
        finally:
            self._switch("ENABLE")

    def _switch(self, change: str) -> None:
        for database in self._each:
            database.execute((FUNCTIONS if change == "ENABLE" else LETS_ALL_THROUGH).encode())
            for table, name in database.execute(FENCE).fetchall():
                command = sql.SQL("ALTER TABLE {} " + change + " TRIGGER {}")
                database.execute(command.format(sql.Identifier(table), sql.Identifier(name)))


def _connection(place: Mapping[str, Any]) -> psycopg.Connection:
    known = {name: place[name] for name in ("host", "port", "user", "password", "dbname") if place.get(name)}
    return psycopg.connect(**known, autocommit=True)


def _begin(connection: DatabaseWrapper, buckets: Any) -> None:
    """Ask nothing: the transaction begins with its first statement."""


LETS_ALL_THROUGH: Final = """
    CREATE OR REPLACE FUNCTION shop_guard(VARIADIC buckets int[]) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'"""
"""For statements that ask by themselves."""
BACKENDS: Final = "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> pg_backend_pid()"
FENCE: Final = """
    SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE tgname LIKE 'shop_fence%'"""
