"""A database that the network swallows: seen through Django, over a proxy that a test makes fail. Here it is a home."""

import os
import socket
import threading
import time

import psycopg
import pytest
from django.db import OperationalError, connections

from shop.events import embedded
from shop.sharding import ShardUnavailable, new_id, readiness, shard_atomic
from shop.sharding.postgresql import asking, base, bulkhead, connection
from shop.sharding.postgresql.pool import pool_of
from shop.sharding.statements import prepared_cursor
from tests.e2e.people import eventually
from tests.faults.fault_proxy import FaultProxy
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, Parcel, parcel_in
from tests.shards import ANOTHER_DATABASE

ALIAS, OTHER = ALIASES[0], ALIASES[-1]
SILENT = "127.0.0.2"
pytestmark = [pytest.mark.django_db(databases=ALIASES, transaction=True), pytest.mark.usefixtures("probe_tables")]


@pytest.fixture(autouse=True)
def only_with_a_network():
    if os.environ.get("SHOP_TEST_ENGINE") != "postgres":
        pytest.skip("SQLite has no network")


@pytest.fixture
def proxy(only_with_a_network, probe_tables, monkeypatch):
    """`ALIAS` is reached through it, from every thread."""
    monkeypatch.setattr(bulkhead, "ASK_AGAIN_SECONDS", 0.1)
    known = connections.settings[ALIAS]
    direct = {name: known[name] for name in ("HOST", "PORT")}
    parcel_in(LEFT), parcel_in(RIGHT)  # the map is read, a window of IDs is there
    with FaultProxy(direct["HOST"], int(direct["PORT"])) as found:
        known |= {"HOST": "127.0.0.1", "PORT": str(found.port)}
        close_all()
        parcel_in(LEFT)
        yield found
        found.heal()
        eventually(lambda: gate().shut is None)
        close_all()
        known |= direct


def close_all():
    """Close what this thread has and what is idle: the next connection is a new one."""
    connections[ALIAS].close()
    connections[ALIAS].close_pool()


def gate():
    return pool_of(ALIAS).bulkhead


def ask(sql="SELECT 1", alias=ALIAS):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def lose(proxy):
    """Make the database a black hole, and have somebody notice."""
    proxy.black_hole()
    with pytest.raises(ShardUnavailable):
        ask()


def on_an_open_connection(proxy):
    proxy.black_hole()
    ask()


def by_a_statement_written_by_hand(proxy):
    with prepared_cursor(connections[ALIAS]) as cursor:
        cursor.execute("SELECT %s::bigint", [1])
        proxy.black_hole()
        cursor.execute("SELECT %s::bigint", [2])


def on_a_new_connection(proxy):
    close_all()
    proxy.black_hole()
    ask()


def in_a_transaction(proxy):
    owner = new_id(CONTEXT, bucket=LEFT)
    with shard_atomic(CONTEXT, owner):
        Parcel.objects.create(id=new_id(CONTEXT, near=owner), owner_id=owner)
        proxy.black_hole()
        Parcel.objects.count()


def at_its_commit(proxy):
    owner = new_id(CONTEXT, bucket=LEFT)
    with shard_atomic(CONTEXT, owner):
        Parcel.objects.create(id=new_id(CONTEXT, near=owner), owner_id=owner)
        proxy.black_hole()


@pytest.mark.parametrize(
    "work",
    [on_an_open_connection, by_a_statement_written_by_hand, on_a_new_connection, in_a_transaction, at_its_commit],
    ids=lambda work: work.__name__,
)
def test_who_waits_is_told_and_nobody_else_waits_until_it_is_back(work, proxy):
    before = Parcel.objects.on(new_id(CONTEXT, bucket=LEFT)).count()
    # given somebody whose database becomes a black hole meanwhile
    with pytest.raises(ShardUnavailable):
        work(proxy)
    # then others are refused without asking it
    assert gate().shut is bulkhead.Shut.DOWN
    asked = gate()._signs
    for _ in range(20):
        with pytest.raises(ShardUnavailable):
            ask()
    assert gate()._signs == asked
    # and the other database, if there is one, serves all the same, with new IDs, whose window the home can't raise
    if OTHER != ALIAS:
        assert parcel_in(RIGHT).pk
    # when it is back it is used again, and nothing is half there
    proxy.heal()
    eventually(lambda: gate().shut is None)
    assert ask() == 1
    assert Parcel.objects.on(new_id(CONTEXT, bucket=LEFT)).count() == before


def test_a_slow_statement_is_left_alone(proxy):
    assert ask("SELECT 7 FROM pg_sleep(1)") == 7
    assert gate().shut is None


def test_who_waits_for_a_lock_is_left_alone(proxy, in_threads):
    parcel = parcel_in(LEFT)
    held = threading.Event()

    def hold():
        with shard_atomic(CONTEXT, parcel.pk):
            Parcel.objects.select_for_update().get(pk=parcel.pk)
            held.set()
            time.sleep(0.8)

    def wait():
        held.wait(10)
        with shard_atomic(CONTEXT, parcel.pk):
            return Parcel.objects.filter(pk=parcel.pk).update(weight=3)

    assert in_threads(hold, wait)[1] == 1
    assert gate().shut is None


def test_connections_from_before_the_outage_are_not_used_again(proxy, in_threads):
    """One of them may have been forgotten on its way, whatever the watch hears on its own."""
    # given an idle connection that lives through an outage
    before = ask("SELECT pg_backend_pid()")
    proxy.black_hole()

    def notice():
        with pytest.raises(ShardUnavailable):
            ask()

    in_threads(notice)
    proxy.heal()
    eventually(lambda: gate().shut is None)
    assert ask("SELECT pg_backend_pid()") != before


def test_an_idle_connection_that_alone_was_forgotten_is_replaced_at_the_next_request(proxy, monkeypatch):
    monkeypatch.setattr(connection, "HEALTHY_WITHIN_SECONDS", 0.3)
    monkeypatch.setattr(connection, "TRUSTED_SECONDS", 0.0)  # as if it had been idle for long
    before = ask("SELECT pg_backend_pid()")
    proxy.forget()
    connections[ALIAS].close_if_unusable_or_obsolete()  # as at the beginning of each request
    assert ask("SELECT pg_backend_pid()") != before
    assert gate().shut is None


def test_what_a_lost_connection_held_is_free_again_by_itself(proxy, monkeypatch):
    """The server is never told that we are gone; it would wait for hours."""
    monkeypatch.setitem(base.FOR_LOST_CLIENTS, "idle_in_transaction_session_timeout", "1s")
    close_all()
    parcel = parcel_in(LEFT)
    with pytest.raises(ShardUnavailable), shard_atomic(CONTEXT, parcel.pk):
        Parcel.objects.select_for_update().get(pk=parcel.pk)
        proxy.black_hole()
        Parcel.objects.count()
    proxy.forget()
    eventually(lambda: gate().shut is None)
    with shard_atomic(CONTEXT, parcel.pk):
        assert Parcel.objects.filter(pk=parcel.pk).update(weight=5) == 1


@pytest.fixture
def name(proxy, monkeypatch):
    """`ALIAS` is reached by a name; the test says where that leads. `SILENT` is a machine that answers nothing."""
    known, direct, real = connections.settings[ALIAS], connections.settings[ALIAS]["HOST"], socket.getaddrinfo
    leads_to = []

    def look_up(host, port, *args, **kwargs):
        if host != "shop-db.test":
            return real(host, port, *args, **kwargs)
        return [found for address in leads_to for found in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with socket.create_server((SILENT, proxy.port)):
        close_all()
        known["HOST"] = "shop-db.test"
        yield leads_to
        leads_to[:] = [direct]
        eventually(lambda: gate().shut is None)
        close_all()
        known["HOST"] = direct


def test_a_name_that_leads_elsewhere_meanwhile_is_followed(name):
    # given a database whose name leads to a machine that has vanished
    name[:] = [SILENT]
    with pytest.raises(ShardUnavailable):
        ask()
    # when another one has taken its name over
    name[:] = ["127.0.0.1"]
    # then
    eventually(lambda: gate().shut is None)
    assert ask() == 1


def test_the_second_address_of_a_name_is_tried_when_the_first_is_silent(name):
    name[:] = [SILENT, "127.0.0.1"]
    assert ask() == 1
    assert gate().shut is None


@pytest.mark.parametrize("fault", ["refuse", "close"])
def test_what_fails_by_itself_is_told_as_it_is(fault, proxy):
    getattr(proxy, fault)()
    for _ in range(3):
        with pytest.raises(OperationalError):
            ask()
        close_all()
    assert gate().shut is None
    proxy.heal()
    assert ask() == 1


@ANOTHER_DATABASE
def test_a_query_on_all_shards_says_which_one_is_away_or_goes_without(proxy):
    parcel = parcel_in(RIGHT, weight=4711)
    lose(proxy)
    with pytest.raises(ShardUnavailable, match=ALIAS):
        Parcel.objects.across().count()
    page = Parcel.objects.filter(weight=4711).across(partial=True).page(order=("id",), limit=5)
    assert ([row.pk for row in page.rows], page.missing) == ([parcel.pk], (ALIAS,))


def test_readiness_names_it(proxy, monkeypatch):
    monkeypatch.setattr(readiness, "all_aliases", lambda: ALIASES)
    lose(proxy)
    others = dict.fromkeys(ALIASES, f"not recognised while {ALIAS} does not answer")
    assert readiness.databases_ready() == {**others, ALIAS: "does not answer (ShardUnavailable)"}
    proxy.heal()
    eventually(lambda: readiness.databases_ready() == dict.fromkeys(ALIASES, "ok"))


@ANOTHER_DATABASE
def test_the_relay_serves_the_other_databases_and_this_one_again_when_it_is_back(proxy, monkeypatch):
    # given a relay round over all databases, the lost one coming first
    monkeypatch.setattr(embedded, "REST_SECONDS", 0.05)
    turns = []
    monkeypatch.setattr(embedded, "relay", lambda alias, _: turns.append(alias) or 1)
    delivery = embedded.Embedded()
    lose(proxy)
    for _ in range(3):
        delivery._relay_round(CONTEXT)
    assert set(turns) == {*ALIASES} - {ALIAS}
    # when it is back
    proxy.heal()
    eventually(lambda: delivery._relay_round(CONTEXT) or ALIAS in turns)


def test_the_watch_tells_a_server_from_silence(proxy):
    known = connections.settings[ALIAS]
    place = psycopg.conninfo.make_conninfo(
        host="127.0.0.1", port=proxy.port, user=known["USER"], password=known["PASSWORD"], dbname=known["NAME"]
    )
    assert asking.answers(place)
    assert asking.answers(f"{place} dbname=nowhere_at_all")  # its own word: it is there
    for fault in ("black_hole", "refuse", "close"):
        getattr(proxy, fault)()
        assert not asking.answers(place)
