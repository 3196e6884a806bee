"""`kill -9` at bad moments: what was acknowledged is there, what was half done is finished once."""

import os
import secrets
import signal
import time
from random import Random

import pytest

from tests.e2e.crowd import Crowd
from tests.e2e.people import Customer, Staff, eventually, money_apart
from tests.e2e.shopserver import ShopServer

WORKERS = "2" if os.environ.get("SHOP_TEST_ENGINE") == "postgres" else "1"
BUYERS = 8
KILLS = 20
LEASE_SECONDS = 60.0
"""After these a request that was cut off can be sent again under its key."""


def test_an_order_paid_while_the_relay_stood_is_finished_after_the_crash(fresh_shop):
    # given a server whose relay stands, and a paid order
    shop = fresh_shop.start(RELAY_PAUSED="1")
    staff = Staff(shop)
    teapot = staff.product("Teapot", stock=10)
    buyer = Customer(shop)
    order = buyer.order((teapot, 3)).json
    assert buyer.pay(order).status == 201
    assert staff.stock(teapot) == {"on_hand": 10, "reserved": 3, "available": 7}
    # when it is killed and started as usual
    shop.kill()
    shop.start()
    # then the order is placed and its pieces are sold, once
    eventually(lambda: staff.stock(teapot) == {"on_hand": 7, "reserved": 0, "available": 7})
    assert (buyer.read(order)["status"], buyer.read(order)["payment_status"]) == ("placed", "paid")


def killed_at_random(shop: ShopServer, crowd: Crowd, random: Random, what: str) -> tuple[float, float, float]:
    """Kill the server, or a worker, in the middle of a burst, and let it come back.

    Returns: Seconds of the burst until then; the moment at which it began to come back, by the monotonic clock, which
    for a worker is that of its death; and after how many seconds `/readyz` answered 200.
    """
    crowd.begin()
    moment = random.uniform(0.3, 4.0)
    time.sleep(moment)
    if what == "server":
        shop.kill()
        crowd.end()
        began = time.monotonic()
        shop.start(SERVER_WORKERS=WORKERS)
        return moment, began, time.monotonic() - began
    killed, began = random.choice(shop.workers()), time.monotonic()
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(set(shop.workers()) - {killed}) == int(WORKERS) and is_ready(shop), seconds=60)
    ready = time.monotonic() - began
    crowd.end()  # whom another worker serves went on until here
    return moment, began, ready


def is_ready(shop: ShopServer) -> bool:
    try:
        return shop.call("GET", "/readyz").status == 200
    except OSError:
        return False


def is_drained(shop: ShopServer) -> bool:
    """Whether no event waits, no handler has failed, and no answer of the provider is still looked for."""
    waits = shop.figure("shop_outbox_pending"), shop.figure("shop_inbox_entries")
    return waits == (0, 0) and shop.figure("shop_payments_open", status="pending") == 0


def broken(shop: ShopServer) -> str:
    """What `check_invariants` finds; empty: nothing."""
    done = shop.manage("check_invariants")
    return "" if done.returncode == 0 else f"{done.stdout[-1500:]}{done.stderr} (exit {done.returncode})"


def test_crashes_in_bursts_of_orders_lose_nothing_and_make_nothing_twice(fresh_shop):
    # given a crowd that orders, pays, cancels and is refunded
    number = secrets.randbits(32)
    print(f"seed {number}")
    random, shop = Random(number), fresh_shop.start(SERVER_WORKERS=WORKERS)
    crowd = Crowd(shop, BUYERS, random)
    # when a worker is killed in the middle of it, and then the server
    for what in ("worker", "server"):
        killed_at_random(shop, crowd, random, what)
        assert crowd.report_again() == 0
    # then nothing that was acknowledged is lost, and what nobody was told of is what nobody was answered
    shown = crowd.shown()
    assert crowd.orders
    assert crowd.lost(shown) == []
    assert len(crowd.unknown(shown)) <= len(crowd.unanswered)
    # and what must hold holds, of stock, of money, and of both at the provider's
    assert not (found := broken(shop)), found


@pytest.mark.evidence
def test_twenty_kills_lose_nothing_and_make_nothing_twice(fresh_shop):
    number = int(os.environ.get("KILL_SEED") or secrets.randbits(32))
    random, shop = Random(number), fresh_shop.start(SERVER_WORKERS=WORKERS)
    crowd = Crowd(shop, BUYERS, random)
    print(f"\nKILL_SEED={number}\n  # killed      after s  ready s  drained s  orders  answers  unanswered")
    for kill in range(1, KILLS + 1):
        what, orders, answers = "worker" if kill % 4 == 0 else "server", len(crowd.orders), crowd.answers
        moment, began, ready = killed_at_random(shop, crowd, random, what)
        assert crowd.report_again() == 0
        eventually(lambda: is_drained(shop), seconds=90)
        row = f"{kill:3} {what:9}{moment:10.2f}{ready:9.2f}{time.monotonic() - began:11.2f}"
        row += f"{len(crowd.orders) - orders:8}{crowd.answers - answers:9}{len(crowd.unanswered):12}"
        print(row, flush=True)
        crowd.sign_in()
        assert crowd.lost(crowd.shown()) == []
        assert not (found := broken(shop)), found
        crowd.ask_again()
    eventually(lambda: crowd.ask_again() == 0, seconds=LEASE_SECONDS)
    # then nothing acknowledged is lost, nothing is there twice, and the books agree with the provider's to the cent
    shown = crowd.shown()
    assert (crowd.lost(shown), crowd.unknown(shown)) == ([], set())
    eventually(lambda: money_apart(crowd.desk) == {}, seconds=60)
    assert not (found := broken(shop)), found
    print(f"{len(crowd.orders)} orders, {crowd.answers} answers: none lost, none twice, the money agrees")
