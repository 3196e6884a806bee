"""Connections that stay open between requests: nobody asks the server about a good one, a dead one is replaced."""

from collections.abc import Callable, Iterator

import pytest
from django.db import DatabaseError, close_old_connections, connections

from shop.sharding.postgresql.connection import Watched

ALIAS, OTHER = "catalog_0", "auth_0"
pytestmark = pytest.mark.django_db(databases=[ALIAS, OTHER], transaction=True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Aliases of the connections whose server was asked whether it is there."""
    if connections[ALIAS].vendor != "postgresql":
        pytest.skip("a SQLite file has nobody at its other end")
    found: list[str] = []
    ask: Callable[[Watched], bool] = Watched.answers

    def ask_and_note(connection: Watched) -> bool:
        found.append(connection.bulkhead.alias)
        return ask(connection)

    monkeypatch.setattr(Watched, "answers", ask_and_note)
    for alias in (ALIAS, OTHER):  # given connections that are new
        connections[alias].close()
        connections[alias].close_pool()
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
    close_old_connections()
    return found


def backend() -> int:
    """Process of the server that answers, asked as the next request's first statement."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_good_connection_is_used_without_a_question(asked):
    first = backend()
    close_old_connections()
    assert backend() == first
    assert asked == []


def test_a_connection_that_the_server_has_ended_is_replaced_before_anybody_notices(asked):
    # given a connection whose end came between two requests
    first = backend()
    with connections[OTHER].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        assert cursor.fetchone() == (True,)
    close_old_connections()
    # then the next statement just works
    assert backend() != first
    assert asked == [ALIAS]


def test_after_an_error_the_server_is_asked(asked):
    first = backend()
    with pytest.raises(DatabaseError), connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT nothing_of_that_name")
    close_old_connections()
    assert asked == [ALIAS]
    assert backend() == first
