"""Contexts in processes of their own sell as one shop does: calls go over HTTP, events over a broker or HTTP."""

import os

import pytest

from tests.brokers import URLS
from tests.e2e.people import Customer, Staff, eventually
from tests.topology.apart import apart


@pytest.fixture(params=["RabbitMQ", "no broker"])
def shop(request, tmp_path):
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("SQLite files are served by one process: this runs in the other half of the suite")
    with apart(tmp_path, "auth+ordering,catalog", URLS.get(request.param, "")) as made:
        yield made.start()


def test_what_is_ordered_here_is_sold_there(shop):
    # given a product in one process, and a customer in another
    staff, buyer = Staff(shop), Customer(shop)
    teapot = staff.product("Teapot", stock=10)
    # when one order is paid, one is cancelled, and one asks for more than there is
    paid, cancelled = buyer.order((teapot, 3)).json, buyer.order((teapot, 2)).json
    refused = buyer.order((teapot, 6))
    assert buyer.pay(paid).status == 201
    assert buyer.cancel(cancelled).status == 200
    # then the stock says so
    assert (refused.status, refused.json["code"], refused.json["errors"][0]["available"]) == (409, "out_of_stock", 5)
    eventually(lambda: staff.stock(teapot) == {"on_hand": 7, "reserved": 0, "available": 7}, seconds=60)


def test_without_the_other_process_nothing_is_ordered_and_all_else_goes_on(shop):
    # given a customer with an order
    staff, buyer = Staff(shop), Customer(shop)
    teapot = staff.product("Teapot", stock=10)
    order = buyer.order((teapot, 1)).json
    # when catalog is killed
    shop.part("catalog").kill()
    refused = buyer.order((teapot, 1))
    # then whoever orders is told to come back, and orders are read
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert buyer.read(order)["id"] == order["id"]
    # when it is back, then it sells again
    shop.part("catalog").start()
    eventually(lambda: buyer.order((teapot, 1)).status == 201, seconds=15)
