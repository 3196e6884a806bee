"""Faults between two contexts: what is asked for twice is done once, nobody waits for ever, and all goes on after."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.people import Customer, Staff, eventually
from tests.topology.apart import apart
from tests.topology.between import between

ORDERS = 24
BUYERS = 4
DEADLINE_SECONDS = 15.0
CLOSES_SECONDS = 10.0


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Catalog apart, and something in between that a test may tell to fail."""
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("SQLite files are served by one process: this runs in the other half of the suite")
    home = tmp_path_factory.mktemp("shop")
    with apart(home, "auth+ordering,catalog", "") as made, between(made.part("catalog").url) as made.fault:
        made.urls["catalog"] = made.fault.url
        made.start()
        yield made


@pytest.fixture(autouse=True)
def healed(shop):
    yield
    shop.fault.mode = ""


def ordered(buyer, teapot, key):
    """Order until it is there, as a client does: under one key. How often it was asked, the longest wait, the order."""
    asked, longest, give_up = 0, 0.0, time.monotonic() + 60
    while True:
        began = time.monotonic()
        answer = buyer.order((teapot, 1), key=key)
        asked, longest = asked + 1, max(longest, time.monotonic() - began)
        if answer.status == 201:
            return asked, longest, answer.json["id"]
        assert (answer.status, "retry-after" in answer.headers) in ((503, True), (409, True)), answer.body
        assert time.monotonic() < give_up, "it was never ordered"
        time.sleep(0.3)


@pytest.mark.parametrize("mode", ["drop", "drop answers", "busy", "late"])
def test_whatever_gets_lost_each_order_is_there_once_and_its_pieces_are_held_once(mode, shop):
    # given customers of whom each orders under a key until it has its order
    staff, buyers = Staff(shop), [Customer(shop) for _ in range(BUYERS)]
    teapot = staff.product("Teapot", stock=1_000)
    known = buyers[0].order((teapot, 1)).json
    # when calls to catalog go wrong
    before, shop.fault.mode = shop.fault.seen["reserve"], mode
    with ThreadPoolExecutor(BUYERS) as pool:
        keys = [(buyers[number % BUYERS], f"{mode} {number}") for number in range(ORDERS)]
        found = list(pool.map(lambda each: ordered(each[0], teapot, each[1]), keys))
        assert buyers[0].read(known)["id"] == known["id"]
    shop.fault.mode = ""
    # then each is there once, nobody waited longer than a request may take, and catalog was not asked much more often
    assert len({order for _, _, order in found}) == ORDERS
    assert max(longest for _, longest, _ in found) < DEADLINE_SECONDS
    asked = sum(times for times, _, _ in found)
    assert shop.fault.seen["reserve"] - before <= asked * 1.2 + 1
    assert staff.stock(teapot)["reserved"] == ORDERS + 1
    print(f"{mode}: {ORDERS} orders in {asked} requests, {shop.fault.seen['reserve'] - before} calls")


def test_a_target_that_was_killed_sells_again_within_ten_seconds(shop):
    staff, buyer = Staff(shop), Customer(shop)
    teapot = staff.product("Kettle", stock=1_000)
    # when catalog is killed while orders come
    shop.part("catalog").kill()
    for number in range(15):
        answer = buyer.order((teapot, 1), key=f"killed {number}")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    shop.part("catalog").start()
    began = time.monotonic()
    eventually(lambda: buyer.order((teapot, 1)).status == 201, seconds=30)
    took = time.monotonic() - began
    print(f"ordered again {took:.1f} s after it was back")
    assert took < CLOSES_SECONDS
