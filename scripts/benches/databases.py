"""Databases of one run: made, looked into, and dropped. One per context, or some, on the PostgreSQL that was named."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from scripts.benches.problems import BenchError
from scripts.benches.processes import command_of, main_thread_seconds

CONTEXTS: Final = ("auth", "catalog", "ordering")
DEFAULT: Final = "postgres://postgres@127.0.0.1:5432/postgres"
NAME: Final = "shop_bench_"
PLENTY: Final = 1_000_000
"""Pieces of everything, so that no bench sells out."""


class Databases:
    """The databases of a run, by context: one each, or so many ``shards`` of those that are named there."""

    def __init__(self, server: str, run: str, shards: Mapping[str, int] | None = None) -> None:
        self.server = server
        self.names = {
            context: [f"{NAME}{run}_{context}_{number}" for number in range((shards or {}).get(context, 1))]
            for context in CONTEXTS
        }

    def url(self, context: str, number: int = 0) -> str:
        """Where a context's database is."""
        return urlsplit(self.server)._replace(path=f"/{self.names[context][number]}").geturl()

    def urls(self, context: str) -> list[str]:
        """Where all of a context's databases are."""
        return [self.url(context, number) for number in range(len(self.names[context]))]

    def environment(self) -> dict[str, str]:
        """What tells the shop."""
        return {f"{context.upper()}_DATABASES": ",".join(self.urls(context)) for context in CONTEXTS}

    @property
    def every_name(self) -> list[str]:
        """Names of all."""
        return [name for names in self.names.values() for name in names]

    def cpu_seconds(self) -> float | None:
        """CPU time of the server processes that work for these databases and live; background writers belong to all.

        None where they are not on this machine.
        """
        backends = self._backends()
        return main_thread_seconds(backends) if self._are_here(backends) else None

    def _backends(self) -> list[int]:
        found = self._ask("SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s)", self.every_name)
        return [pid for (pid,) in found]

    def _are_here(self, backends: list[int]) -> bool:
        """Whether one of them names a database of this run: other machines number their processes too."""
        return any(name in command_of(pid) for pid in backends for name in self.every_name)

    def _ask(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server, autocommit=True) as connection:
            return connection.execute(text, values).fetchall()

    def make_plenty(self) -> None:
        """Raise the stock of everything, by hand: there is no delivery behind it, so invariants of stock don't hold."""
        for url in self.urls("catalog"):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE shop_catalog_stocklevel SET on_hand = on_hand + %s", [PLENTY])

    def forget_events(self) -> None:
        """Have the outboxes empty: what the rounds left there is nobody's business any more."""
        for url in (url for context in CONTEXTS for url in self.urls(context)):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE shop_outboxevent SET state = 'skipped' WHERE state = 'pending'")

    def settle(self) -> None:
        """Do at once what the server does by itself within minutes: look at the tables, write out what is dirty."""
        for url in (url for context in CONTEXTS for url in self.urls(context)):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute("CHECKPOINT")


@contextmanager
def databases_on(server: str, *, connections: int, shards: Mapping[str, int] | None = None) -> Iterator[Databases]:
    """New databases, dropped at the end.

    Args:
        server: URL of a database on a server where databases may be made.
        connections: How many the run will need at once.
        shards: How many databases contexts have; one, where none is said.

    Raises:
        BenchError: The server does not answer, lets nobody make databases, or has too few connections left. What was
            made by then is dropped.
    """
    made = Databases(server, secrets.token_hex(3), shards)
    with _telling(), psycopg.connect(server, autocommit=True, connect_timeout=5) as admin:
        _refuse_few(admin, connections)
    try:
        with _telling(), psycopg.connect(server, autocommit=True, connect_timeout=5) as admin:
            for name in made.every_name:
                admin.execute(f'CREATE DATABASE "{name}"'.encode())
        yield made
    finally:
        with _telling(), psycopg.connect(server, autocommit=True) as admin:
            for name in made.every_name:
                admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0] if "@" not in str(error) else type(error).__name__
        raise BenchError(f"PostgreSQL: {reason}; name another server with --postgres") from error


def _refuse_few(admin: psycopg.Connection[Any], wanted: int) -> None:
    found = admin.execute(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
        " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
    ).fetchone()
    most, used = found or (0, 0)
    if most - used < wanted:
        raise BenchError(
            f"PostgreSQL: the run needs up to {wanted} connections, and {most - used} of {most} are free;"
            " raise max_connections, or name another server with --postgres"
        )
