"""Every process is begun anew while customers order: none of their requests fails."""

import os
import signal
import threading
import time
from collections import Counter

import pytest

from tests.e2e.people import Customer, Staff, eventually
from tests.topology.test_partitions import databases, on_postgres, topology

BUYERS = 4
REQUESTS = pytest.mark.parametrize("least", [300, pytest.param(5_000, marks=pytest.mark.evidence)])


class Shopper(threading.Thread):
    """Reads, orders and pays until told to stop; keeps what was answered."""

    def __init__(self, gateway, variant, stopping):
        super().__init__(daemon=True)
        self._buyer, self._variant, self._stopping = Customer(gateway), variant, stopping
        self.answers, self.broken = Counter(), []

    def run(self):
        signed_in = time.monotonic()
        while not self._stopping.is_set():
            try:
                self._once()
                if time.monotonic() > signed_in + 120:
                    self._buyer.sign_in()
                    signed_in = time.monotonic()
            except Exception as error:  # a connection that was refused or cut off counts, too
                self.broken.append(repr(error))

    def _once(self):
        self._note("read", self._buyer.shop.call("GET", "/api/v1/catalog/products?limit=1").status)
        order = self._buyer.order((self._variant, 1))
        self._note("order", order.status)
        self._note("pay", self._buyer.pay(order.json).status)
        self._note(
            "look",
            self._buyer.shop.call("GET", f"/api/v1/ordering/orders/{order.json['id']}", token=self._buyer.token).status,
        )

    def _note(self, what, status):
        self.answers[f"{what} {status}"] += 1


@on_postgres
@REQUESTS
def test_no_request_fails_while_every_process_is_begun_anew(least, tmp_path):
    # given customers who order from a shop in three processes
    with databases(tmp_path) as urls, topology("auth,catalog+ordering", tmp_path, **urls) as (gateway, places):
        staff = Staff(gateway)
        teapot = staff.product("Teapot", stock=1_000_000)
        stopping = threading.Event()
        shoppers = [Shopper(gateway, teapot, stopping) for _ in range(BUYERS)]
        for shopper in shoppers:
            shopper.start()
        # when each is begun anew, once or again and again until there were enough requests
        log, rounds = tmp_path / "topology.log", 0
        while rounds == 0 or sum(shopper.answers.total() for shopper in shoppers) < least:
            rounds += 1
            os.kill(places["pid"], signal.SIGHUP)
            eventually(
                lambda rounds=rounds: log.read_text(errors="replace").count("all are new") == rounds, seconds=180
            )
        stopping.set()
        for shopper in shoppers:
            shopper.join(60)
    # then none failed
    answers = sum((shopper.answers for shopper in shoppers), Counter())
    broken = [what for shopper in shoppers for what in shopper.broken]
    print(f"{answers.total()} requests, {rounds} rounds: {dict(answers)}")
    assert (broken, set(answers)) == ([], {"read 200", "order 201", "pay 201", "look 200"})
