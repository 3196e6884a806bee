"""One shard becomes a black hole: its customers are told to come again, nobody else notices, and it comes back."""

import threading
import time

from tests.e2e.people import Staff, eventually, in_parallel
from tests.faults.conftest import FRAIL, customers_of_both_shards
from tests.shards import ANOTHER_DATABASE

PATIENCE_SECONDS = 5.0
"""Far more than it takes; a busy machine is no failure."""


class Shopping:
    """Customers who order, pay and look until they are called off, and all that was not answered well."""

    def __init__(self, customers, variant):
        self._over = threading.Event()
        self.orders, self.errors = [], []
        self._threads = [threading.Thread(target=self._run, args=(each, variant)) for each in customers]
        for thread in self._threads:
            thread.start()

    def _run(self, customer, variant):
        while not self._over.is_set():
            order = customer.order((variant, 1))
            answers = [order]
            if order.status == 201:
                answers.append(customer.pay(order.json))
                self.orders.append((customer, order.json))
            self.errors += [(answer.status, answer.body) for answer in answers if answer.status != 201]

    def call_off(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


def told_to_come_again(answers):
    for answer in answers:
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.json["code"] in {"shard_unavailable", "unavailable"}


@ANOTHER_DATABASE
def test_a_black_holed_shard_is_its_own_customers_trouble_alone(shop, proxy):
    # given customers of two shards, one of which becomes a black hole while the others go shopping
    shop.start()
    staff = Staff(shop)
    teapot = staff.product("Teapot", stock=100_000)
    affected, others = customers_of_both_shards(shop, 4)
    shopping = Shopping(others[:2], teapot)
    assert {answer.status for answer in in_parallel([lambda c=c: c.order((teapot, 1)) for c in affected])} == {201}
    before = len(shopping.orders)
    proxy.black_hole()
    # then its customers are told to come again, at first and later
    for _ in range(3):
        began = time.monotonic()
        told_to_come_again(in_parallel([lambda c=c: c.order((teapot, 1), key="cut off") for c in affected]))
        assert time.monotonic() - began < PATIENCE_SECONDS
    assert shop.figure("shop_database_down", database=FRAIL) == 1.0
    # and the others go on, and what they bought is delivered
    eventually(lambda: len(shopping.orders) > before + 10, seconds=30)
    shopping.call_off()
    assert shopping.errors == []
    assert {customer.read(order)["status"] for customer, order in shopping.orders[-3:]} == {"placed"}
    eventually(lambda: staff.stock(teapot)["reserved"] == len(affected), seconds=30)
    # and when it is back it serves at once, and what was cut off is ordered once
    proxy.heal()
    eventually(lambda: affected[0].order((teapot, 1), key="cut off").status == 201)
    again = in_parallel([lambda c=c: c.order((teapot, 1), key="cut off") for c in affected])
    assert {answer.status for answer in again} == {201}
    assert [len(customer.orders()) for customer in affected] == [2] * len(affected)
    assert shop.figure("shop_database_down", database=FRAIL) == 0.0
    assert [shop.log().count(f'"{change}"') for change in ("database_down", "database_back")] == [1, 1]
