"""A real server of two workers whose databases see no more connections than it was given, however many come."""

import secrets
import time

import pytest

from tests.e2e.people import Customer, Staff, eventually, in_parallel
from tests.e2e.shopserver import Answer
from tests.kernel.pools import ON_POSTGRESQL, Census
from tests.shards import SHARDS

EACH, WORKERS = 8, 2
pytestmark = pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite files have no server whose connections could run out")


def answers_until_ordered(customer: Customer, variant: str) -> list[Answer]:
    """What one hears who comes again while told to, a minute at most; with the same key, so it is one order."""
    key = secrets.token_hex(8)
    answers = [customer.order((variant, 1), key=key)]
    while "retry-after" in answers[-1].headers and len(answers) < 60:
        time.sleep(int(answers[-1].headers["retry-after"]))
        answers.append(customer.order((variant, 1), key=key))
    return answers


def test_a_server_keeps_to_its_budget_and_tells_of_it(fresh_shop):
    # given workers with fewer connections than threads, and as many databases as connections nearly
    given = {"SERVER_WORKERS": WORKERS, "SERVER_THREADS": 12, "DATABASE_CONNECTIONS": EACH}
    fresh_shop.start(**{name: str(value) for name, value in given.items()})
    teapot = Staff(fresh_shop).product("Teapot", stock=1_000)
    customers = [Customer(fresh_shop) for _ in range(8)]
    database = fresh_shop.database("auth_0").rpartition("/")[2].removesuffix("auth_0")
    # when more come at once than there are connections
    with Census(f"{database}%") as census:
        told = in_parallel([lambda c=c: answers_until_ordered(c, teapot) for c in customers * 15], threads=24)
    # then it has no more than it was given, and whoever came too often is told to come again, and gets the order then
    print(f"\n{len(told)} orders, {census.most} of {EACH * WORKERS} connections at most", end="")
    print(f", {sum(len(answers) - 1 for answers in told)} times told to come again")
    assert EACH < census.most <= EACH * WORKERS
    assert {answers[-1].status for answers in told} == {201}
    refusals = {(answer.status, answer.headers["retry-after"]) for answers in told for answer in answers[:-1]}
    assert refusals <= {(503, "1"), (409, "1")}  # 409 while the first request with the key counts as running
    assert len({answers[-1].json["id"] for answers in told}) == len(told)
    # and its figures say so, by shard
    assert fresh_shop.figure("shop_database_opened_total", database=f"ordering_{SHARDS - 1}") >= 1.0
    eventually(lambda: 1 <= fresh_shop.figure("shop_database_connections") <= EACH * WORKERS)
    eventually(lambda: fresh_shop.figure("shop_database_waiting") == 0.0)
