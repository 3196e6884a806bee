"""A context that is hosted here and answered elsewhere: processes follow what its home says, there and back."""

import copy
import json
import os
import time

import pytest

from tests.e2e.people import Customer, Staff, eventually
from tests.e2e.shopserver import ShopServer, free_port

FOLLOWED_SECONDS = 1.0
SLACK_SECONDS = 1.0
"""A busy machine; a round of the watch is half a second."""


@pytest.fixture
def shop(tmp_path):
    """A whole shop, and beside it catalog alone, on the same databases."""
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("SQLite files are served by one process: this runs in the other half of the suite")
    whole = ShopServer(tmp_path, SERVICE_FACE="1")
    other = copy.copy(whole)
    other.port, other.home = free_port(), tmp_path / "other"
    other.home.mkdir()
    kept = {name: value for name, value in whole._environment.items() if not name.startswith(("AUTH_", "ORDERING_"))}
    other._environment = {
        **kept,
        "SHOP_HOME": str(tmp_path),
        "CONTEXTS": "catalog",
        "AUTH_URL": whole.url,
        "ORDERING_URL": whole.url,
    }
    try:
        whole.start()
        other.start()
        yield whole, other
    finally:
        if other._process is not None:
            other.kill()
        whole.remove()


def bound(server, *where):
    done = server.manage("bind", "catalog", "--json", *where)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def followed(look):
    """Wait until it is so, and see that it was so in time."""
    began = time.monotonic()
    eventually(look, seconds=15)
    assert time.monotonic() - began < FOLLOWED_SECONDS + SLACK_SECONDS


def test_calls_and_clients_go_where_the_home_says(shop):
    # given a shop whose catalog is answered by another process
    whole, other = shop
    staff, buyer = Staff(whole), Customer(whole)
    teapot = staff.product("Teapot", stock=10)
    assert bound(whole, "--url", other.url) == {"context": "catalog", "url": other.url, "changes": 1}
    answered = len(asked(other))
    followed(lambda: whole.call("GET", "/api/v1/catalog/products").status == 200 and len(asked(other)) > answered)
    # then products are read there, and pieces held there
    assert buyer.order((teapot, 3)).status == 201
    assert "_svc/catalog/v1/reserve" in asked(other)
    assert staff.stock(teapot) == {"on_hand": 10, "reserved": 3, "available": 7}
    # when it is gone, then the shop can't do without it
    other.kill()
    assert buyer.order((teapot, 1)).status == 503
    # when the home says so, then this one answers again
    bound(whole, "--here")
    followed(lambda: buyer.order((teapot, 1)).status == 201)


def asked(server):
    """Addresses that the server was asked for."""
    requests = [line for line in server.log().splitlines() if '"event": "request"' in line]
    return [route for line in requests if (route := json.loads(line)["route"]) != "readyz"]


def test_what_can_not_be_bound_is_said(shop):
    whole, other = shop
    assert other.manage("bind", "ordering").returncode == 2
    assert whole.manage("bind", "catalog", "--url", "nowhere").returncode == 2
    assert bound(whole, "--url", other.url, "--dry-run")["url"] == other.url
    assert bound(whole) == {"context": "catalog", "url": "", "changes": 0}
