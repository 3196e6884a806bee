"""A PostgreSQL server: settings, connections, clock and transactions by which the shop would lose, hang or stop."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db import connections

from shop.sharding.commands.doctor.words import Finding

SKEW_SECONDS: Final = 1.0
OPEN_SECONDS: Final = 300.0
FULL: Final = 0.9
BREAKS: Final = {
    "fsync": (("off",), "what was answered is lost when the machine stops"),
    "full_page_writes": (("off",), "a page torn when the machine stops stays torn"),
    "synchronous_commit": (("off", "local"), "what was answered may be lost when the server stops"),
    "default_transaction_read_only": (("on",), "nothing can be written"),
    "default_transaction_isolation": (
        ("read uncommitted", "repeatable read", "serializable"),
        "the fence refuses whoever writes without the shop's own settings",
    ),
}
"""Settings of the server, or of this role or database there: values that won't do, and what they break."""
MOST: Final = "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
ASKED: Final = f"""
SELECT extract(epoch FROM clock_timestamp()),
       {MOST},
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()),
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'),
       pg_is_in_recovery()
"""  # noqa: S608  our own words


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server says of itself.

    Attributes:
        skew_seconds: How far its clock is ahead of this machine's, beyond what asking took.
        connections: Of all its databases, and how many there may be.
        prepared: Transactions of this database that were prepared for a second phase.
        oldest_seconds: How long the oldest transaction here has been open.
    """

    settings: dict[str, str]
    skew_seconds: float
    connections: tuple[int, int]
    prepared: int
    oldest_seconds: float
    is_replica: bool


def read(alias: str) -> Server:
    """Database: ``alias``."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(BREAKS)])
        found = dict(cursor.fetchall())
        asked = time.time()
        cursor.execute(ASKED)
        clock, most, used, prepared, oldest, replica = cursor.fetchone()
        answered = time.time()
    return Server(
        settings=found,
        skew_seconds=beyond(float(clock), asked, answered),
        connections=(used, most),
        prepared=prepared,
        oldest_seconds=float(oldest),
        is_replica=replica,
    )


def most_connections(alias: str) -> int:
    """How many its server gives, those that it keeps for superusers aside. Database: ``alias``."""
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {MOST}")
        return int(cursor.fetchone()[0])


def beyond(clock: float, asked: float, answered: float) -> float:
    """Seconds by which ``clock`` lies outside the time in which it was read; below 0 if it is behind."""
    return max(clock - answered, 0.0) or min(clock - asked, 0.0)


def check(alias: str) -> Iterator[Finding]:
    """Database: ``alias``."""
    return faults_of(alias, read(alias))


def faults_of(alias: str, server: Server) -> Iterator[Finding]:
    """What is wrong with it."""
    for name, value in sorted(server.settings.items()):
        wrong, breaks = BREAKS[name]
        if value in wrong:
            do = f"set {name} back to PostgreSQL's own default for server, role and database, and reload"
            yield Finding(check="settings", place=alias, what=f"{name} is {value}: {breaks}", do=do)
    if server.is_replica:
        what = "it is a replica, which can't be written to"
        yield Finding(check="replica", place=alias, what=what, do="put the primary's URL in its place")
    yield from _load(alias, server)


def _load(alias: str, server: Server) -> Iterator[Finding]:
    used, most = server.connections
    if used > FULL * most:
        what = f"{used} of {most} connections of its server are in use"
        do = "raise max_connections, or lower SERVER_WORKERS or SERVER_THREADS"
        yield Finding(check="connections", place=alias, what=what, do=do)
    if abs(server.skew_seconds) > SKEW_SECONDS:
        words = "ahead of" if server.skew_seconds > 0 else "behind"
        what = f"its clock is {abs(server.skew_seconds):.1f} s {words} this machine's"
        do = "synchronise both: leases and expiries are compared across them"
        yield Finding(check="clock", place=alias, what=what, do=do)
    if server.prepared:
        what = f"{server.prepared} prepared transactions hold their locks until somebody ends them"
        do = "the shop prepares none: end them by COMMIT PREPARED or ROLLBACK PREPARED (pg_prepared_xacts)"
        yield Finding(check="prepared", place=alias, what=what, do=do)
    if server.oldest_seconds > OPEN_SECONDS:
        what = f"a transaction has been open for {server.oldest_seconds:,.0f} s"
        do = "look for it in pg_stat_activity, and end it: buckets it wrote in can't move, old rows can't be removed"
        yield Finding(check="transactions", place=alias, what=what, do=do)
