"""What the stories of `manage.py shards` share: the command as a call, and shops of as many databases as one likes."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from config.testing import DEFAULT_POSTGRES
from shop.sharding.shard_map import forget_shard_map, load_shard_map
from tests.kernel.probes import CONTEXT
from tests.kernel.processes import clean_environment, manage


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def shards(*arguments: str) -> Said:
    """`manage.py shards` in this process, on the test's own databases."""
    out = StringIO()
    try:
        call_command("shards", *arguments, stdout=out)
    except CommandError as error:
        return Said(error.returncode, out.getvalue(), str(error))
    return Said(0, out.getvalue(), "")


@pytest.fixture
def own_map() -> Iterator[None]:
    """What a test does to the map is forgotten with it."""
    load_shard_map(CONTEXT)
    yield
    forget_shard_map(CONTEXT)


class Shop:
    """Catalog alone on databases of its own, in processes of its own."""

    def __init__(self, home: Path, make: Callable[[], str], count: int) -> None:
        self.home, self.make = home, make
        self.urls = [make() for _ in range(count)]

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(self.home, CONTEXTS=CONTEXT, CATALOG_DATABASES=",".join(self.urls))

    def manage(self, *arguments: str) -> Said:
        done = manage(*arguments, environment=self.environment)
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        return Said(done.returncode, done.stdout, done.stderr)

    def append(self) -> str:
        """One more empty database at the end of the list; its alias."""
        self.urls.append(self.make())
        return f"{CONTEXT}_{len(self.urls) - 1}"

    def sql(self, alias: str, text: str) -> None:
        """Said to the database, past everything of ours."""
        url = self.urls[int(alias.rpartition("_")[2])]
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(urlsplit(url).path[1:], isolation_level=None)) as database:
                database.execute(text)
            return
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(text.encode())

    def ask(self, alias: str, text: str) -> list[Any]:
        """The rows of a statement, past everything of ours."""
        url = self.urls[int(alias.rpartition("_")[2])]
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(urlsplit(url).path[1:])) as database:
                return database.execute(text).fetchall()
        with psycopg.connect(url) as session:
            return session.execute(text.encode()).fetchall()


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[Callable[[int], Shop]]:
    """Shops of so many databases, on the engine that the suite runs on; gone with the test."""
    made: list[str] = []
    on_postgresql = connections["catalog_0"].vendor == "postgresql"
    server = os.environ.get("TEST_POSTGRES_URL", DEFAULT_POSTGRES)

    def make() -> str:
        made.append(f"test_shards_{os.getpid()}_{len(made)}")
        if not on_postgresql:
            return f"sqlite:///{tmp_path}/{made[-1]}.sqlite3"
        with psycopg.connect(server, autocommit=True) as session:
            session.execute(f"CREATE DATABASE {made[-1]}".encode())
        return urlsplit(server)._replace(path=f"/{made[-1]}").geturl()

    def begin(count: int) -> Shop:
        shop = Shop(tmp_path, make, count)
        if not count:
            return shop
        assert shop.manage("migrate_contexts").code == 0
        return shop

    yield begin
    for name in made if on_postgresql else []:
        with psycopg.connect(server, autocommit=True) as session:
            session.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def unreachable(tmp_path: Path) -> str:
    """A URL behind which nothing can answer: nobody listens, or the file is no database."""
    if connections["catalog_0"].vendor == "postgresql":
        return "postgres://postgres:a-secret@127.0.0.1:1/nowhere"
    (tmp_path / "damaged.sqlite3").write_text("no database" * 100)
    return f"sqlite:///{tmp_path}/damaged.sqlite3"
