"""Events over a broker, with every process real: what was sold is sold once, whoever is killed."""

import json
import os
import secrets
import signal
import statistics
import time
from functools import partial
from http.client import HTTPException
from random import Random

import pytest

from shop.events.broker.app import make_app
from shop.events.broker.receiving import TASK
from tests.brokers import URLS, connected, waiting_in
from tests.e2e.brokered import brokered_shop
from tests.e2e.crowd import Crowd
from tests.e2e.people import Customer, Staff, eventually, money_apart
from tests.e2e.test_kill import broken, is_drained, is_ready

BUYERS = 6
KILLS = 20
LEASE_SECONDS = 60.0


@pytest.fixture(params=list(URLS))
def shop(request, tmp_path):
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("SQLite files are served by one process: this runs in the other half of the suite")
    with brokered_shop(tmp_path, URLS[request.param]) as made:
        yield made


def test_what_is_paid_is_sold_and_what_is_cancelled_is_given_back(shop):
    # given a shop over a broker
    shop.start()
    staff, buyer = Staff(shop.server), Customer(shop.server)
    teapot = staff.product("Teapot", stock=10)
    # when one order is paid and another is cancelled
    paid, cancelled = buyer.order((teapot, 3)).json, buyer.order((teapot, 2)).json
    assert buyer.pay(paid).status == 201
    assert buyer.cancel(cancelled).status == 200
    # then the workers sell the one and give back the other
    eventually(lambda: staff.stock(teapot) == {"on_hand": 7, "reserved": 0, "available": 7}, seconds=30)
    eventually(lambda: is_drained(shop.server), seconds=30)


def test_events_wait_for_a_worker_and_for_a_relay(shop):
    # given a shop without worker and relay
    shop.start()
    shop.worker.kill()
    shop.relay.kill()
    staff, buyer = Staff(shop.server), Customer(shop.server)
    teapot = staff.product("Teapot", stock=10)
    assert buyer.pay(buyer.order((teapot, 3)).json).status == 201
    # then its server hands over itself what it has published, and the queue keeps it
    eventually(lambda: waiting_in(shop.url, shop.name, "ordering") > 0)
    assert staff.stock(teapot)["on_hand"] == 10
    # when a worker comes
    shop.worker.start()
    eventually(lambda: staff.stock(teapot)["on_hand"] == 7, seconds=30)
    # when the server is gone before it could hand over, then a relay does
    shop.server.kill()
    shop.server.start(RELAY_PAUSED="1")
    staff.sign_in()
    buyer.sign_in()
    assert buyer.pay(buyer.order((teapot, 3)).json).status == 201
    shop.relay.start()
    eventually(lambda: staff.stock(teapot)["on_hand"] == 4, seconds=30)


def test_a_worker_that_is_told_to_stop_finishes_what_it_holds(shop):
    shop.start()
    staff, buyer = Staff(shop.server), Customer(shop.server)
    teapot = staff.product("Teapot", stock=100)
    orders = [buyer.order((teapot, 1)).json for _ in range(20)]
    for order in orders:
        assert buyer.pay(order).status == 201
    # when worker and relay are stopped and started meanwhile
    assert (shop.worker.stop(), shop.relay.stop()) == (0, 0)
    shop.worker.start()
    shop.relay.start()
    # then every piece is sold once
    eventually(lambda: staff.stock(teapot) == {"on_hand": 80, "reserved": 0, "available": 80}, seconds=60)


def test_what_is_none_of_ours_is_parked_and_stops_nothing(shop):
    # given what somebody else put into a queue
    shop.start()
    headers = dict(make_app().amqp.as_task_v2("1", TASK, []).headers)
    unknown = [[{"version": 7}], {}, {}]
    with connected(shop.url) as connection:
        put = partial(connection.Producer().publish, exchange="", routing_key=f"{shop.name}.events.ordering")
        put("{order", content_type="application/json", content_encoding="utf-8")
        put({"order": 1}, serializer="json")
        put("{order", content_type="application/json", content_encoding="utf-8", headers=headers)
        put(unknown, serializer="json", headers={**headers, "task": "somebody.elses"})
        put([[{"version": 7}], {"order": 2}, {}], serializer="json", headers=headers)
        put(unknown, serializer="json", headers={"task": TASK})
        put([[{"version": 8}], {}, {}], serializer="json", headers={**headers, "eta": "2099-01-01T00:00:00+00:00"})
        put([[{"version": 9}], {}, {}], serializer="json", headers={**headers, "expires": "2020-01-01T00:00:00+00:00"})
        put([[{"version": 10, "tea": "\0\ud800"}], {}, {}], serializer="json", headers=headers)
        put(unknown, serializer="json", headers=headers)
    # when an order is paid
    staff, buyer = Staff(shop.server), Customer(shop.server)
    teapot = staff.product("Teapot", stock=10)
    assert buyer.pay(buyer.order((teapot, 3)).json).status == 201
    # then it is sold, and staff see what was parked
    eventually(lambda: staff.stock(teapot)["on_hand"] == 7, seconds=30)
    expected = {
        "no message of Celery's": 2,
        "content that can't be read": 1,
        "another task than ours": 1,
        "a call that can't be read": 1,
        "headers that can't be read": 1,
        "unknown version": 4,
    }
    eventually(lambda: parked(shop) == expected, seconds=30)
    assert waiting_in(shop.url, shop.name) == 0


def parked(shop):
    """How many messages were parked, and why."""
    status = shop.server.manage("events", "status", "--json")
    return {each["reason"]: each["messages"] for each in json.loads(status.stdout)["parked"]}


def is_idle(shop):
    """Whether no event is on its way: in an outbox, at the broker, or in an inbox."""
    return waiting_in(shop.url, shop.name) == 0 and is_drained(shop.server)


def kill(shop, what):
    """End one of the three as the kernel does when memory is short, and let it come back."""
    if what == "server":
        os.kill(shop.server.workers()[0], signal.SIGKILL)
    else:
        process = getattr(shop, what)
        process.kill()
        process.start()


def test_whoever_is_killed_nothing_is_lost_and_nothing_twice(shop):
    # given a crowd that orders, pays, cancels and is refunded
    number = secrets.randbits(32)
    print(f"seed {number}")
    random = Random(number)
    shop.start()
    crowd = Crowd(shop.server, BUYERS, random)
    # when each of the three is killed in the middle of it
    for what in random.sample(["server", "relay", "worker"], 3):
        crowd.begin()
        time.sleep(random.uniform(0.3, 2.0))
        kill(shop, what)
        eventually(lambda: is_ready(shop.server), seconds=60)
        crowd.end()
        assert crowd.report_again() == 0
    eventually(lambda: is_idle(shop), seconds=90)
    # then nothing that was acknowledged is lost, and what must hold holds
    shown = crowd.shown()
    assert crowd.orders
    assert crowd.lost(shown) == []
    assert not (found := broken(shop.server)), found


class Probe:
    """A product that is bought after each kill: sold, it shows that events get through again."""

    def __init__(self, shop):
        self._left = 1_000
        self._staff, self._buyer = Staff(shop.server), Customer(shop.server)
        self._product = self._staff.product("Probe", stock=self._left)

    def sold_after(self):
        """Seconds until an order is placed, paid and sold; one that is cut off is left, and another one placed."""
        began = time.monotonic()
        eventually(lambda: answered(self._is_bought), seconds=60)
        eventually(lambda: answered(self._is_sold), seconds=60)
        took = time.monotonic() - began
        self._staff.sign_in()
        self._buyer.sign_in()
        return took

    def _is_bought(self):
        order = self._buyer.order((self._product, 1))
        return order.status == 201 and self._buyer.pay(order.json).status == 201

    def _is_sold(self):
        before, self._left = self._left, self._staff.stock(self._product)["on_hand"]
        return self._left < before


def answered(look):
    """Whether ``look`` holds, where the server answered at all."""
    try:
        return look()
    except (OSError, HTTPException):
        return False


@pytest.mark.evidence
@pytest.mark.parametrize("what", ["server", "relay", "worker"])
def test_twenty_kills_of_each(shop, what):
    number = int(os.environ.get("KILL_SEED") or secrets.randbits(32))
    random = Random(number)
    shop.start()
    crowd, probe = Crowd(shop.server, BUYERS, random), Probe(shop)
    another_worker_sells(shop, probe)
    print(f"\nKILL_SEED={number} {what}\n  #  after s  recovered s  orders  answers  unanswered")
    recovered = [one_kill(shop, what, count, crowd=crowd, probe=probe, random=random) for count in range(1, KILLS + 1)]
    began = time.monotonic()
    eventually(lambda: is_idle(shop), seconds=90)
    print(f"nothing is on its way any more {time.monotonic() - began:.1f} s after the last")
    eventually(lambda: crowd.ask_again() == 0, seconds=LEASE_SECONDS)
    shown = crowd.shown()
    assert (crowd.lost(shown), crowd.unknown(shown)) == ([], set())
    eventually(lambda: money_apart(crowd.desk) == {}, seconds=60)
    assert not (found := broken(shop.server)), found
    print(f"{len(crowd.orders)} orders, {crowd.answers} answers: none lost, none twice, the money agrees")
    print(f"sold again {statistics.median(recovered):.2f} s after a kill, at most {max(recovered):.2f} s")


def another_worker_sells(shop, probe):
    """Not only that it was started: an only worker that is killed takes nothing until it has started anew."""
    shop.worker.kill()
    shop.other_worker.start()
    probe.sold_after()
    shop.worker.start()


def one_kill(shop, what, count, *, crowd, probe, random):
    """Kill one of the three in the middle of the crowd; seconds until an order was sold again."""
    orders, answers = len(crowd.orders), crowd.answers
    crowd.begin()
    time.sleep(moment := random.uniform(0.3, 4.0))
    kill(shop, what)
    recovered = probe.sold_after()
    crowd.end()
    assert crowd.report_again() == 0
    row = f"{count:3}{moment:9.2f}{recovered:13.2f}"
    print(row + f"{len(crowd.orders) - orders:8}{crowd.answers - answers:9}{len(crowd.unanswered):12}", flush=True)
    crowd.sign_in()
    assert crowd.lost(crowd.shown()) == []
    crowd.ask_again()
    return recovered
