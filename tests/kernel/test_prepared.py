"""Statements prepared by hand and run by libpq itself: what goes out comes back, and a new connection knows nothing."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, IntegrityError, NotSupportedError, ProgrammingError, close_old_connections, connections
from psycopg import Binary
from psycopg.types.json import Jsonb

from contexts.ordering.domain import OrderStatus
from shop.sharding import ShardUnavailable, home_atomic
from shop.sharding.postgresql.base import give_back_all
from shop.sharding.postgresql.prepared import as_text
from shop.sharding.statements import prepared_cursor

ALIAS, OTHER = "catalog_0", "auth_0"
COMMITTED = pytest.mark.django_db(databases=[ALIAS, OTHER], transaction=True)
NASTY = ["", "NULL", "a,b", '"', "\\", "{}", " ", "it's", "é\n\t", "%s %(x)s $1"]
pytestmark = pytest.mark.django_db(databases=[ALIAS, OTHER])


@pytest.fixture(autouse=True)
def on_postgresql() -> None:
    if connections[ALIAS].vendor != "postgresql":
        pytest.skip("SQLite's driver prepares by itself")


def ask(text: str, values: Any = (), alias: str = ALIAS) -> list[tuple[Any, ...]]:
    with prepared_cursor(connections[alias]) as cursor:
        cursor.execute(text, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


SENT = [
    ("bigint", 2**62),
    ("bigint", -1),
    ("boolean", True),
    ("boolean", False),
    ("bytea", b"\x00\\\xff"),
    ("timestamptz", datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)),
    ("uuid", UUID(int=7)),
    ("text", None),
    *(("text", text) for text in NASTY),
    ("bigint[]", [1, None, 2**62]),
    ("bigint[]", []),
    ("boolean[]", [True, False, None]),
    ("text[]", [*NASTY, None]),
    ("uuid[]", [UUID(int=7)]),
    ("bytea[]", [b"\x00\\", b""]),
]


def test_what_goes_out_comes_back():
    came = [ask(f"SELECT %(value)s::{kind}, %(value)s::{kind} IS NULL", {"value": value}) for kind, value in SENT]
    assert came == [[(value, value is None)] for _, value in SENT]


def test_times_of_other_zones_are_the_same_moment():
    there = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    assert ask("SELECT %s::timestamptz", [there]) == [(there,)]


def test_what_the_orm_s_fields_make_of_values_goes_out_too():
    values = [OrderStatus.PLACED, Jsonb({"it's": ["é", None]}), Binary(b"\x01")]
    assert ask("SELECT %s::text, %s::jsonb ->> 'it''s', %s::bytea", values) == [("placed", '["é", null]', b"\x01")]


def test_a_text_that_would_end_early_is_refused():
    with pytest.raises(DataError, match="NUL"):
        ask("SELECT %s::text", ["tea\0pot"])


def test_a_kind_of_value_that_no_statement_has_is_refused():
    with pytest.raises(TypeError, match="complex"):
        as_text(1j)


def test_a_percent_sign_is_written_twice():
    assert ask("SELECT %s::int %% 4, '%%s'", [7]) == [(3, "%s")]


@COMMITTED
def test_errors_are_django_s():
    with pytest.raises(ProgrammingError):
        ask("SELECT nothing_of_that_name")
    with pytest.raises(IntegrityError), home_atomic("catalog"):
        ask("INSERT INTO shop_catalog_category (id) VALUES (%s)", [1])
    assert ask("SELECT 1") == [(1,)]


@COMMITTED
def test_what_is_written_belongs_to_the_open_transaction():
    class Undone(Exception):
        pass

    count = "SELECT count(*) FROM shop_duty WHERE name = 'tea'"
    with pytest.raises(Undone), home_atomic("catalog"):
        ask("INSERT INTO shop_duty (name, token, until) VALUES ('tea', %s, now())", [UUID(int=1)])
        assert ask(count) == [(1,)]
        raise Undone
    assert ask(count) == [(0,)]


@COMMITTED
def test_a_new_connection_prepares_anew():
    # given a statement that is prepared on a connection which then ends
    [(backend,)] = ask("SELECT pg_backend_pid()")
    assert ask("SELECT pg_terminate_backend(%s, 5000)", [backend], OTHER) == [(True,)]
    close_old_connections()
    # then
    assert ask("SELECT pg_backend_pid()") != [(backend,)]


@pytest.fixture
def cups():
    """A table of ours, whose column may be widened, and no connection that knows one of that name from before."""
    give_back_all()
    connections[ALIAS].close_pool()
    ask("CREATE TABLE cups (size varchar(3))")
    yield lambda size: ask(f"ALTER TABLE cups ALTER size TYPE varchar({size})")
    ask("DROP TABLE cups")


SIZES = "SELECT size FROM cups"


@COMMITTED
def test_a_table_that_is_changed_meanwhile_is_read_as_it_is_now(cups):
    for size in (4, 5):
        assert ask(SIZES) == []
        cups(size)
    assert ask(SIZES) == []


@COMMITTED
def test_within_a_transaction_somebody_has_to_try_again(cups):
    ask(SIZES)
    cups(4)
    with pytest.raises(ShardUnavailable, match="try again"), home_atomic("catalog"):
        ask(SIZES)
    with home_atomic("catalog"):
        assert ask(SIZES) == []


def in_two_threads(work: Callable[[], Any]) -> list[Any]:
    """What comes of ``work`` in each of two threads, on a connection that it has while the other has one too."""
    ready, found = threading.Barrier(2), list[Any]()

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)
        ready.wait(10)
        give_back_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@COMMITTED
def test_when_one_connection_has_found_a_table_changed_those_at_rest_know(cups):
    def read() -> Any:
        with home_atomic("catalog"):
            return [ask("SELECT pg_backend_pid()"), ask(SIZES)]

    # given two connections that know a table as it was; when one of them has found out
    give_back_all()
    at_rest = in_two_threads(read)
    cups(4)
    with pytest.raises(ShardUnavailable):
        read()
    give_back_all()
    # then nobody else is told
    assert sorted(in_two_threads(read)) == sorted(at_rest)


@COMMITTED
def test_what_the_server_can_not_do_at_all_is_tried_once():
    for _ in range(2):
        with pytest.raises(NotSupportedError):
            ask("SELECT DISTINCT 1 FOR UPDATE")


@COMMITTED
def test_a_statement_that_waits_holds_up_no_other_thread():
    ask("SELECT pg_advisory_lock(4711)")
    done: list[object] = []

    def wait_for_the_lock() -> None:
        try:
            ask("SET statement_timeout = 20000")
            done.append(ask("SELECT pg_advisory_lock(4711) IS NULL"))
        except Exception as error:
            done.append(error)
        finally:
            connections.close_all()

    waiting = threading.Thread(target=wait_for_the_lock)
    waiting.start()
    while not ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted", alias=OTHER):
        assert waiting.is_alive(), done
    # when this thread, which has gone on all the while, lets go
    ask("SELECT pg_advisory_unlock(4711)")
    waiting.join(20)
    assert done == [[(False,)]]


def test_what_is_prepared_is_planned_once():
    counted = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%planned once%%'"
    asked = "SELECT /* planned once */ count(*) FROM shop_catalog_product WHERE id = ANY(%(ids)s)"
    for number in range(10):
        ask(asked, {"ids": [number]})
    assert ask(f"{counted} AND statement NOT LIKE '%%generic_plans%%'") == [(10, 0)]
