"""One migration at a time for each database: several servers that are deployed at once may all begin with it."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TextIO

import structlog
from django.db import OperationalError, connections

from shop.sharding.databases import file_of

log = structlog.get_logger(__name__)

LOCK: Final = 7002
"""Key of the advisory lock; `shop.sharding.fence` has 7001."""
LOOK_SECONDS: Final = 0.2
SUFFIX: Final = "-migrating"
"""Of the file beside an SQLite database. The database itself is no place: to close it here would end its own locks."""


@contextmanager
def alone_at(alias: str) -> Iterator[None]:
    """Wait until nobody else is in here for the database ``alias``. Whoever is killed in here is out of it."""
    held = _on_postgresql if connections[alias].vendor == "postgresql" else _on_sqlite
    with held(alias):
        yield


@contextmanager
def _on_postgresql(alias: str) -> Iterator[None]:
    session = connections[alias].copy()
    with closing(session), session.cursor() as cursor:

        def take() -> bool:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            return bool(cursor.fetchone()[0])

        _wait_for(take, alias)
        yield


@contextmanager
def _on_sqlite(alias: str) -> Iterator[None]:
    database = file_of(alias)
    if database is None:  # nobody else has it
        yield
        return
    place = database.with_name(database.name + SUFFIX)
    with _opened(place) as file:

        def take() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        _wait_for(take, alias)
        yield


def _opened(place: Path) -> TextIO:
    try:
        return place.open("w")
    except OSError as error:
        raise OperationalError(f"{place}: {error.strerror}") from error


def _wait_for(take: Callable[[], bool], alias: str) -> None:
    if take():
        return
    log.info("migration_waits", database=alias)
    while not take():
        time.sleep(LOOK_SECONDS)
