"""A real server of two workers whose databases see no more connections than it was given, however many come."""

import pytest

from tests.e2e.people import Customer, Staff, eventually, in_parallel
from tests.kernel.pools import ON_POSTGRESQL, Census
from tests.shards import SHARDS

EACH, WORKERS = 8, 2
pytestmark = pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite files have no server whose connections could run out")


def test_a_server_keeps_to_its_budget_and_tells_of_it(fresh_shop):
    # given workers with fewer connections than threads, and as many databases as connections nearly
    given = {"SERVER_WORKERS": WORKERS, "SERVER_THREADS": 12, "DATABASE_CONNECTIONS": EACH}
    fresh_shop.start(**{name: str(value) for name, value in given.items()})
    teapot = Staff(fresh_shop).product("Teapot", stock=1_000)
    customers = [Customer(fresh_shop) for _ in range(8)]
    database = fresh_shop.database("auth_0").rpartition("/")[2].removesuffix("auth_0")
    # when more come at once than there are connections
    with Census(f"{database}%") as census:
        answers = in_parallel([lambda c=c: c.order((teapot, 1)) for c in customers * 15], threads=24)
    # then it has no more than it was given, and whoever came too often is told to come again
    print(f"\n{len(answers)} orders, {census.most} of {EACH * WORKERS} connections at most", end="")
    print(f", {sum(answer.status == 503 for answer in answers)} told to come again")
    assert EACH < census.most <= EACH * WORKERS
    assert {answer.status for answer in answers} <= {201, 503}
    assert {answer.headers.get("retry-after") for answer in answers if answer.status == 503} <= {"1"}
    assert sum(answer.status == 201 for answer in answers) > len(answers) / 2
    # and its figures say so, by shard
    assert fresh_shop.figure("shop_database_opened_total", database=f"ordering_{SHARDS - 1}") >= 1.0
    eventually(lambda: 1 <= fresh_shop.figure("shop_database_connections") <= EACH * WORKERS)
    eventually(lambda: fresh_shop.figure("shop_database_waiting") == 0.0)
