"""What one test broke off is not the next one's, and a server that is slow to answer is no server that is lost."""

import pytest
from django.db import connections
from django.test import TransactionTestCase
from psycopg.conninfo import make_conninfo

from shop.sharding.postgresql.pool import Pool, pool_of
from tests.steady import ASKED_TIMES, believe_no_outage_of_the_suites_server, undo_what_broke_off


def ask(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def test_what_a_test_case_forbade_is_allowed_after_it_failed(django_db_setup, django_db_blocker):
    allowed, forbidden = "catalog_0", "auth_0"

    class FailsToBegin(TransactionTestCase):
        databases = {allowed}

    with django_db_blocker.unblock():
        FailsToBegin.setUpClass()
        assert ask(allowed) == 1
        with pytest.raises(AssertionError, match="not allowed"):
            ask(forbidden)

        assert undo_what_broke_off()

        assert ask(forbidden) == 1
        assert not undo_what_broke_off()
        connections.close_all()


@pytest.mark.parametrize(("port", "times"), [("5432", ASKED_TIMES), ("6000", 1)])
def test_only_the_suites_own_server_is_asked_again_and_again(monkeypatch, port, times):
    asked = []
    monkeypatch.setattr(Pool, "_ask", lambda pool, conninfo: bool(asked.append(conninfo)))
    for alias in connections:
        monkeypatch.setitem(connections.settings, alias, {"HOST": "127.0.0.1", "PORT": 5432})

    believe_no_outage_of_the_suites_server()

    assert not pool_of("catalog_0")._ask(make_conninfo("", host="127.0.0.1", port=port))
    assert len(asked) == times
