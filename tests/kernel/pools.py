"""Pools of a test's own: a budget as small as it likes, whoever uses the databases otherwise."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.conf import settings
from django.db import connections

from shop.sharding.databases import leave_databases
from shop.sharding.postgresql import pool

ON_POSTGRESQL = os.environ.get("SHOP_TEST_ENGINE") == "postgres"


@contextmanager
def budget_of(most: int) -> Iterator[pool.Budget]:
    """Let this process have no more than ``most`` connections inside the block, and none at its beginning and end."""
    connections.close_all()
    before, known = pool._here, settings.DATABASE_CONNECTIONS
    close_idle(before)
    pool._here, settings.DATABASE_CONNECTIONS = pool._Process(), most
    try:
        pool.pool_of("catalog_0")
        assert pool._here._budget is not None
        yield pool._here._budget
    finally:
        leave_databases()
        connections.close_all()
        close_idle(pool._here)
        pool._here, settings.DATABASE_CONNECTIONS = before, known


def close_idle(process: pool._Process) -> None:
    for each in list(process._budget.pools.values()) if process._budget else ():
        each.close_idle()


class Census:
    """Counts the sessions on this run's databases again and again, on a connection to none of them."""

    def __init__(self, like: str) -> None:
        self._like = like
        self._over = threading.Event()
        self._counter = threading.Thread(target=self._count)
        self.most = self.times = 0

    def __enter__(self) -> "Census":
        self._counter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._counter.join(20)

    def _count(self) -> None:
        server = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE %s"
        with psycopg.connect(server, autocommit=True) as admin:
            while not self._over.is_set():
                found = admin.execute(asked, [self._like]).fetchone()
                assert found is not None
                self.most = max(self.most, found[0])
                self.times += 1
                time.sleep(0.002)
