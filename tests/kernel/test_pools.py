"""Pooled connections seen through Django: how many there are, and what the next one finds on them."""

import random
import subprocess
import sys
import threading
import time

import pytest
from django.conf import settings
from django.db import OperationalError, ProgrammingError, connections

from shop.sharding import ShardUnavailable, new_id, shard_atomic
from shop.sharding.databases import leave_databases
from shop.sharding.postgresql.base import give_back_all
from shop.sharding.postgresql.pool import pool_of
from shop.sharding.readiness import all_aliases
from shop.sharding.statements import prepared_cursor
from tests.kernel.pools import ON_POSTGRESQL, Census, budget_of
from tests.kernel.processes import ROOT, environment_here

ALIAS, OTHER = "catalog_0", "ordering_0"
MOST = 8
THREADS = 24
EVERYWHERE = pytest.mark.django_db(
    databases=[alias for alias in settings.DATABASES if alias != "default"], transaction=True
)
pytestmark = [
    pytest.mark.django_db(databases=[ALIAS, OTHER], transaction=True),
    pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite files have no server whose connections could run out"),
]


@pytest.fixture
def budget():
    with budget_of(MOST) as found:
        yield found


def ask(sql="SELECT pg_backend_pid()", alias=ALIAS):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def ask_something(chance):
    if chance.random() < 0.3:
        with shard_atomic("catalog", new_id("catalog")) as scope:
            ask("SELECT 1 FROM pg_sleep(0.002)", scope.alias)
            ask("SELECT 1", chance.choice(all_aliases()))
    else:
        ask("SELECT 1 FROM pg_sleep(0.001)", chance.choice(all_aliases()))
    if chance.random() < 0.5:
        leave_databases()


@EVERYWHERE
def test_a_process_never_has_more_than_its_budget(budget):
    # given many threads that ask all databases at random, in transactions and without
    until, done, refused = time.monotonic() + 4, [], []

    def work(number):
        chance = random.Random(number)
        while time.monotonic() < until:
            try:
                ask_something(chance)
                done.append(number)
            except ShardUnavailable as error:
                refused.append(error.detail)
        leave_databases()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    with Census(f"{connections[ALIAS].settings_dict['NAME'].removesuffix(ALIAS)}%") as census:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    # then the server has seen no more of them than there are places, though nearly as many
    print(f"\n{THREADS} threads, {len(all_aliases())} databases, {len(done)} done, {len(refused)} refused", end="")
    print(f", {census.most} of {MOST} connections at most, counted {census.times} times")
    assert MOST - 2 <= census.most <= MOST
    assert len(set(done)) == THREADS
    assert all("no connection free" in detail or "enough wait" in detail for detail in refused)
    # and every one of them came back
    assert {(pool.size - len(pool.idle)) for pool in budget.pools.values()} == {0}
    assert budget._taken == sum(len(pool.idle) for pool in budget.pools.values())


@EVERYWHERE
def test_a_thread_that_turns_to_another_database_holds_one_connection(budget):
    for alias in all_aliases():
        ask("SELECT 1", alias)
    assert sum(pool.size - len(pool.idle) for pool in budget.pools.values()) == 1
    leave_databases()
    assert sum(pool.size - len(pool.idle) for pool in budget.pools.values()) == 0


def test_a_transaction_keeps_its_connection(budget):
    with shard_atomic("catalog", new_id("catalog", bucket=0)):
        first = ask()
        ask("SELECT 1", OTHER)
        assert ask() == first
        assert pool_of(ALIAS).size - len(pool_of(ALIAS).idle) == 1


def test_what_is_still_read_from_keeps_its_connection(budget):
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ask("SELECT 1", OTHER)
        cursor.execute("SELECT pg_backend_pid()")
        mine = cursor.fetchone()[0]
        assert pool_of(ALIAS).size - len(pool_of(ALIAS).idle) == 1
    leave_databases()
    assert pool_of(ALIAS).idle[-1].info.backend_pid == mine


def test_what_a_cursor_may_still_be_used_on_nobody_else_gets(budget):
    # given a request that ends and leaves a cursor open
    cursor = connections[ALIAS].cursor()
    cursor.execute("SELECT pg_backend_pid()")
    first = cursor.fetchone()[0]
    give_back_all()
    # then others get another connection, and it is of no use any more
    assert ask() != first
    with pytest.raises(OperationalError, match="closed"):
        cursor.execute("SELECT 1")


def test_what_is_prepared_stays_with_the_connection_for_the_next_thread(budget, in_threads):
    question = "SELECT %s::bigint + 4711"

    def prepare():
        with prepared_cursor(connections[ALIAS]) as cursor:
            cursor.execute(question, [1])
        return ask()

    [first] = in_threads(prepare)

    def again():
        with prepared_cursor(connections[ALIAS]) as cursor:
            cursor.execute(question, [2])
            [(answer,)] = cursor.fetchall()
        prepared = ask("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%4711%' AND NOT from_sql")
        return ask(), answer, prepared

    assert in_threads(again) == [(first, 4713, 1)]


@pytest.mark.parametrize(
    "trace",
    [
        "SET statement_timeout = 7",
        "SELECT pg_advisory_lock(4711)",
        "SELECT set_config('statement_timeout', '7', false)",
        "LISTEN tea",
        "CREATE TEMP TABLE tea (id int)",
        "BEGIN",
    ],
)
@pytest.mark.parametrize("cursor_of", [lambda c: c.cursor(), prepared_cursor], ids=["orm", "prepared"])
def test_what_outlasts_a_transaction_goes_with_its_connection(trace, cursor_of, budget):
    with cursor_of(connections[ALIAS]) as cursor:
        cursor.execute(trace)
    first = ask()  # its own thread finds what it has set
    ask("SELECT 1", OTHER)
    assert ask() == first
    leave_databases()
    assert ask() != first


@pytest.mark.parametrize("passing", ["SET LOCAL statement_timeout = 7", "SELECT pg_advisory_xact_lock(4711)"])
def test_what_ends_with_its_transaction_costs_no_connection(passing, budget):
    with shard_atomic("catalog", new_id("catalog", bucket=0)):
        first = ask()
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(passing)
    leave_databases()
    assert ask() == first


def test_an_open_transaction_is_not_handed_on(budget):
    first = ask()
    connections[ALIAS].set_autocommit(False)
    ask("SELECT 1")
    leave_databases()
    assert ask() != first
    assert connections[ALIAS].get_autocommit()


def test_a_failed_statement_hands_on_nothing_but_the_connection(budget):
    first = ask()
    with pytest.raises(ProgrammingError):
        ask("SELECT nothing_of_that_name")
    leave_databases()
    assert ask() == first


def test_a_broken_connection_is_replaced(budget):
    first = ask()
    ask(f"SELECT pg_terminate_backend({first}, 5000)", OTHER)
    leave_databases()
    assert ask() != first
    leave_databases()
    assert pool_of(ALIAS).size == 1


def test_a_database_that_can_t_be_reached_is_told_at_once_and_takes_no_place(budget, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setitem(connections.settings[ALIAS], "PORT", "1")
        for _ in range(MOST + 1):
            with pytest.raises(OperationalError, match="refused"):
                ask()
    assert pool_of(ALIAS).size == budget._taken == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_thread_that_ends_without_a_word_leaves_its_place(budget):
    for _ in range(MOST + 1):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(10)
    assert ask()


FORKED = """
import os
from django.db import connections
from shop.sharding.postgresql.pool import pool_of

def ask():
    with connections["catalog_0"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

mine = ask()
connections["ordering_0"].ensure_connection()  # and one that is idle
reading, writing = os.pipe()
if not os.fork():
    kept = pool_of("catalog_0").size
    theirs = ask()
    connections.close_all()
    os.write(writing, f"{kept} {theirs}".encode())
    os._exit(0)
os.wait()
kept, theirs = map(int, os.read(reading, 100).split())
print(kept == 0, theirs != mine, ask() == mine)
"""


def test_a_forked_process_has_connections_of_its_own():
    prelude = "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\nimport django\ndjango.setup()\n"
    command = [sys.executable, "-W", "ignore", "-c", prelude + FORKED]
    environment = environment_here("catalog", "ordering")
    found = subprocess.run(  # noqa: S603  this Python, a script of the test
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert found.stdout.split() == ["True", "True", "True"], found.stderr
