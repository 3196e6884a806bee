"""Statements of a call end when its caller waits no longer, and those of the next request do not."""

import os
import time
from contextlib import suppress

import pytest
from django.db import OperationalError, connections

from shop.sharding import aliases_of, key_of_bucket, shard_atomic
from shop.sharding.deadlines import statements_within
from shop.sharding.postgresql.base import give_back_all

ALIAS = aliases_of("catalog")[0]
pytestmark = pytest.mark.django_db(databases=[ALIAS], transaction=True)
ENGINE = os.environ["SHOP_TEST_ENGINE"]
ON_POSTGRESQL = pytest.mark.skipif(ENGINE != "postgres", reason="on SQLite there is no setting to look at")
COUNTED = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {}) SELECT max(x) FROM n"
LONG = {"postgres": "SELECT pg_sleep(5)", "sqlite": COUNTED.format(10**9)}[ENGINE]


def ask(text):
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0]


@pytest.fixture(autouse=True)
def nothing_taken():
    give_back_all()
    yield
    give_back_all()


def test_a_statement_ends_when_nobody_waits_for_it_any_more():
    began = time.monotonic()
    with statements_within(0.2), pytest.raises(OperationalError, match=r"statement timeout|interrupted"):
        ask(LONG)
    assert time.monotonic() - began < 2


def test_after_it_every_statement_has_its_time_again():
    """Those too that are said to the driver itself, as the guard's question is."""
    key = key_of_bucket(0)
    for _ in range(5):
        with statements_within(0.0), suppress(OperationalError):
            ask(LONG)
        give_back_all()
        for _ in range(300):
            with shard_atomic("catalog", key):
                pass
        assert ask(COUNTED.format(50_000)) == 50_000


@ON_POSTGRESQL
def test_who_has_the_connection_next_has_all_its_time():
    with statements_within(0.2):
        process = ask("SELECT pg_backend_pid()")
        assert ask("SHOW statement_timeout").endswith("ms")
    give_back_all()
    # when the same connection serves another request
    assert ask("SELECT pg_backend_pid()") == process
    assert ask("SHOW statement_timeout") == "0"


@ON_POSTGRESQL
def test_each_piece_of_work_has_its_own_time():
    shown = []
    for seconds in (50, 100):
        with statements_within(seconds):
            shown.append(ask("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"))
        give_back_all()
    assert 40_000 < shown[0] <= 50_000
    assert 90_000 < shown[1] <= 100_000
