"""How long the access token of a sign-in that was ended is still good: at most five seconds, in every process."""

import os
import time

import pytest

from tests.brokers import URLS
from tests.e2e.brokered import brokered_shop
from tests.e2e.people import ASKED_AT_ONCE, PASSWORD, Customer

PATHS = ("auth/me", "ordering/orders")
ALLOWED_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
ROUNDS = 3


class Asker:
    """Shows one access token again and again, to whichever process takes the connection."""

    def __init__(self, shop, token):
        self.shop, self.token = shop, token

    def statuses(self):
        return [
            self.shop.call("GET", f"/api/v1/{PATHS[number % len(PATHS)]}", token=self.token).status
            for number in range(ASKED_AT_ONCE)
        ]

    def seconds_taken(self):
        """For how long it was still taken by anybody."""
        began = last = time.monotonic()
        refused_rounds = 0
        while refused_rounds < ROUNDS:
            assert time.monotonic() < began + PATIENCE_SECONDS, "it is still taken"
            statuses = self.statuses()
            assert set(statuses) <= {200, 401}
            if 200 in statuses:
                last, refused_rounds = time.monotonic(), 0
            else:
                refused_rounds += 1
        return last - began


def ended_within_time(shop):
    """Signs somebody in twice; the one sign-in ends, the other goes on."""
    customer = Customer(shop)
    tokens = shop.call("POST", "/api/v1/auth/token", {"email": customer.email, "password": PASSWORD}).json
    asker, other = Asker(shop, tokens["access"]), Asker(shop, customer.token)
    assert set(asker.statuses()) == {200}  # by now every process has verified it, and remembers
    assert shop.call("POST", "/api/v1/auth/token/revoke", {"refresh": tokens["refresh"]}).status == 204
    seconds = asker.seconds_taken()
    print(f"refused everywhere after {seconds:.2f} s")
    assert set(other.statuses()) == {200}
    return seconds <= ALLOWED_SECONDS


def test_every_worker_refuses_it_within_five_seconds(fresh_shop):
    workers = 2 if os.environ["SHOP_TEST_ENGINE"] == "postgres" else 1
    fresh_shop.start(SERVER_WORKERS=str(workers))
    assert len(fresh_shop.workers()) >= workers
    assert ended_within_time(fresh_shop)


@pytest.mark.parametrize("broker", URLS)
def test_so_does_a_server_whose_events_are_handled_by_other_processes(tmp_path, broker):
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("SQLite files are served by one process: this runs in the other half of the suite")
    with brokered_shop(tmp_path, URLS[broker]) as shop:
        shop.start()
        assert ended_within_time(shop.server)
