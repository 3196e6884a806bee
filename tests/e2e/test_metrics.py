"""`/metrics` of a real server: one truth over all workers, through crashes of workers and of the server."""

import os
import signal

import pytest

from tests.e2e.people import Customer, Staff, eventually, in_parallel

WORKERS = "2" if os.environ.get("SHOP_TEST_ENGINE") == "postgres" else "1"


@pytest.fixture
def busy_shop(fresh_shop):
    return fresh_shop.start(SERVER_WORKERS=WORKERS)


def livez_count(shop):
    return shop.figure("shop_request_seconds_count", route="livez")


def test_every_worker_tells_the_sum_of_all(busy_shop):
    in_parallel([lambda: busy_shop.call("GET", "/livez")] * 200, threads=16)
    assert {livez_count(busy_shop) for _ in range(12)} == {200.0}


def test_a_worker_that_was_killed_is_neither_lost_nor_counted_twice(busy_shop):
    # given counts of workers that are killed
    in_parallel([lambda: busy_shop.call("GET", "/livez")] * 50, threads=8)
    before = set(busy_shop.workers())
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: _is_back(busy_shop, before), seconds=40)
    # then their successors count on
    in_parallel([lambda: busy_shop.call("GET", "/livez")] * 50, threads=8)
    assert {livez_count(busy_shop) for _ in range(6)} == {100.0}
    # and take their places: files do not pile up
    assert len(list(busy_shop.home.glob("metrics/*/histogram_*.db"))) <= int(WORKERS)


def _is_back(shop, gone):
    try:
        alive = set(shop.workers())
        return len(alive) == int(WORKERS) and not alive & gone and shop.call("GET", "/readyz").status == 200
    except OSError:
        return False


def test_a_new_server_counts_from_zero(busy_shop):
    busy_shop.call("GET", "/livez")
    assert livez_count(busy_shop) == 1.0
    busy_shop.kill()
    busy_shop.start(SERVER_WORKERS=WORKERS)
    assert livez_count(busy_shop) is None


def test_an_order_is_seen(busy_shop):
    teapot = Staff(busy_shop).product("Teapot", stock=3)
    buyer = Customer(busy_shop)
    assert buyer.pay(buyer.order((teapot, 2)).json).status == 201
    assert buyer.order((teapot, 2)).status == 409
    assert busy_shop.figure("shop_request_seconds_count", context="ordering", route="api/v1/ordering/orders") == 2
    calls = {
        outcome: busy_shop.figure("shop_service_call_seconds_count", operation="catalog.reserve", outcome=outcome)
        for outcome in ("ok", "out_of_stock")
    }
    assert calls == {"ok": 1.0, "out_of_stock": 1.0}
    eventually(lambda: busy_shop.figure("shop_orders", status="placed") == 1.0, seconds=40)
    assert busy_shop.figure("shop_database_up") == len(busy_shop.aliases())
    assert busy_shop.figure("shop_outbox_pending") is not None
