"""The broker is gone, or silent, while customers check out: they don't notice, and all is made up for afterwards."""

import secrets
import threading
import time
from urllib.parse import urlsplit

import pytest

from tests.brokers import URLS, waiting_in
from tests.e2e.brokered import brokered_shop
from tests.e2e.people import Customer, Staff, eventually
from tests.e2e.test_kill import broken, is_drained
from tests.faults.fault_proxy import FaultProxy
from tests.faults.visitors import percentile

BUYERS = 3
EVERY_SECONDS = 0.5
STOCK = 1_000_000
WELL_SHARE = 0.999
DRAINED_SECONDS = 60.0


class Buyer(threading.Thread):
    """Checks out and pays at fixed times; writes down how long it took, and what went wrong."""

    def __init__(self, customer, variant):
        super().__init__(daemon=True)
        self._customer, self._variant, self._over = customer, variant, threading.Event()
        self.checkouts, self.wrong, self.paid = [], [], 0

    def run(self):
        due = time.monotonic() + EVERY_SECONDS * secrets.randbelow(100) / 100
        while not self._over.wait(max(0.0, due - time.monotonic())):
            began = time.monotonic()
            self._customer.put(self._variant, 1)
            order = self._customer.check_out()
            self.checkouts.append((began, time.monotonic() - began))
            paid = self._customer.pay(order.json) if order.status == 201 else order
            self.paid += paid.status == 201
            if paid.status != 201:
                self.wrong.append((paid.status, paid.body))
            due += EVERY_SECONDS

    def call_off(self):
        self._over.set()
        self.join()


def reached_by(url, proxy):
    place = urlsplit(url)
    return place._replace(netloc=place.netloc.replace(f":{place.port}", f":{proxy.port}")).geturl()


USUAL = [("RabbitMQ", "black_hole"), ("Redis", "refuse")]
LONG = [(broker, fault) for broker in URLS for fault in ("black_hole", "refuse")]
MINUTE = pytest.mark.evidence


@pytest.fixture
def way(broker):
    """To the broker, by a proxy."""
    place = urlsplit(URLS[broker])
    with FaultProxy(place.hostname, place.port) as made:
        yield made


@pytest.fixture
def shop(tmp_path, broker, way):
    with brokered_shop(tmp_path, URLS[broker], by=reached_by(URLS[broker], way)) as made:
        yield made.start()


@pytest.mark.parametrize(
    ("broker", "fault", "seconds"),
    [(*each, 6.0) for each in USUAL] + [pytest.param(*each, 60.0, marks=MINUTE) for each in LONG],
)
def test_customers_check_out_while_the_broker_is_away(shop, way, broker, fault, seconds):
    # given customers who check out all the time
    staff = Staff(shop.server)
    teapot = staff.product("Teapot", stock=STOCK)
    buyers = [Buyer(Customer(shop.server), teapot) for _ in range(BUYERS)]
    for buyer in buyers:
        buyer.start()
    time.sleep(seconds)
    # when the broker is away, and back
    struck = time.monotonic()
    getattr(way, fault)()
    time.sleep(seconds)
    healed = time.monotonic()
    way.heal()
    time.sleep(min(seconds, 10.0))
    for buyer in buyers:
        buyer.call_off()
    print(f"\n{broker}, {fault} for {seconds:.0f} s")
    tell(buyers, struck, healed)
    # then nobody noticed
    wrong = [each for buyer in buyers for each in buyer.wrong]
    assert len(wrong) <= (1 - WELL_SHARE) * sum(len(buyer.checkouts) for buyer in buyers), wrong
    # and soon nothing waits, and every piece is sold once
    staff.sign_in()
    left = STOCK - sum(buyer.paid for buyer in buyers)
    sold = {"on_hand": left, "reserved": 0, "available": left}
    eventually(lambda: staff.stock(teapot) == sold and is_idle(broker, shop), DRAINED_SECONDS)
    print(f"  all is made up for {time.monotonic() - healed:.1f} s after it was back")
    assert not (found := broken(shop.server)), found


def is_idle(broker, shop):
    return waiting_in(URLS[broker], shop.name) == 0 and is_drained(shop.server)


def tell(buyers, struck, healed):
    stretches = {"before": (0.0, struck), "while it was away": (struck, healed), "after": (healed, float("inf"))}
    for name, (begin, end) in stretches.items():
        took = [seconds for buyer in buyers for began, seconds in buyer.checkouts if begin <= began < end]
        print(f"  {name:18}{len(took):6}  p50 {percentile(took, 0.5):6.1f} ms  p99 {percentile(took, 0.99):6.1f} ms")
    print(f"  {sum(buyer.paid for buyer in buyers)} paid, {sum(len(buyer.wrong) for buyer in buyers)} went wrong")
