"""Mails of a served shop over SMTP, and `kill -9` at bad moments: each comes, and a repetition is known by its ID."""

import re
import time
from collections import Counter
from random import Random

import pytest

from tests.e2e.people import Customer, Staff, eventually
from tests.e2e.shopserver import ShopServer
from tests.mail_server import running

DESK = "desk@example.com"
PARCEL = {"carrier": "Royal Mail", "tracking_number": "AB123456789GB"}
KILLS = 3
EACH = 4
MAKE_DUE = """
from datetime import UTC, datetime
from shop.mail.models import Mail
from shop.sharding import context_of_alias, shard_atomic
from shop.sharding.readiness import all_aliases
for alias in all_aliases():
    for row in Mail.objects.using(alias).filter(due_at__isnull=False):
        with shard_atomic(context_of_alias(alias), row.pk):
            Mail.objects.using(alias).filter(pk=row.pk).update(due_at=datetime.now(UTC))
"""


@pytest.fixture
def server():
    with running() as found:
        yield found


@pytest.fixture
def shop(tmp_path, server):
    """A shop of this test's own that writes by way of the mail server."""
    url = f"smtp://127.0.0.1:{server.port}"
    made = ShopServer(tmp_path, EMAIL_URL=url, EMAIL_FROM="Shop <shop@example.com>", STOCK_EMAIL=DESK)
    try:
        yield made.start()
    finally:
        made.remove()


def start_later(shop):
    """Start a shop that was killed, as if the two minutes were over for which a mail is whose takes it."""
    done = shop.manage("shell", "-c", MAKE_DUE)
    assert done.returncode == 0, done.stderr
    shop.start()


def subjects(server, reader):
    return sorted(re.sub(r" \w{5}-\w{5}-\w{4}", "", mail["Subject"]) for mail in server.taken if mail["To"] == reader)


def test_customers_and_staff_are_told_each_once_and_the_log_tells_nobody_who(shop, server):
    staff, buyer = Staff(shop), Customer(shop)
    teapot = staff.product("Teapot", stock=2)
    # given an order of the last pieces that is paid, shipped and given back in part
    order = buyer.order((teapot, 2)).json
    assert buyer.pay(order).status == 201
    assert staff.post(order, "shipments", PARCEL).status == 201
    refund = {"amount": {"amount": 100, "currency": "EUR"}, "reason": "a chipped spout"}
    assert staff.post(order, "refunds", refund).status == 201
    # and a password that was forgotten
    assert shop.call("POST", "/api/v1/auth/password-reset", {"email": buyer.email}).status == 202
    eventually(lambda: len(server.taken) == 5, seconds=30)
    # then each was told once
    assert subjects(server, DESK) == [f"Sold out: {order['lines'][0]['sku']}"]
    assert subjects(server, buyer.email) == [
        "Choose a new password",
        "Money back for your order",
        "Your order",
        "Your order is on its way",
    ]
    # and the token opens the account, which the log says as little of as whom the mails went to
    [token] = [found for mail in server.taken for found in re.findall(r"rst_\w+\.\w{64}", mail.get_content())]
    body = {"token": token, "new_password": "a horse of another colour"}
    assert shop.call("POST", "/api/v1/auth/password-reset/confirm", body).status == 204
    assert shop.log().count('"mail_sent"') == 5
    for secret in (buyer.email, DESK, token, token.partition(".")[2]):
        assert secret not in shop.log()


def test_killed_while_the_mail_server_has_the_mail_and_has_not_said_so(shop, server):
    staff, buyer = Staff(shop), Customer(shop)
    teapot = staff.product("Teapot", stock=9)
    # given a shop that is killed at that moment
    kills = [shop.kill]
    server.before_taken = lambda: kills.pop()() if kills else None
    buyer.pay(buyer.order((teapot, 1)).json)
    eventually(lambda: len(server.taken) == 1)
    # when it is back
    start_later(shop)
    # then the mail comes once more, with the ID that it had
    eventually(lambda: len(server.taken) == 2)
    assert len(set(server.ids())) == 1


def test_killed_again_and_again_while_orders_are_paid(shop, server, capsys):
    random = Random(time.time())
    staff, buyer = Staff(shop), Customer(shop)
    teapot = staff.product("Teapot", stock=1_000)
    paid = 0
    for _ in range(KILLS):
        for _ in range(EACH):
            paid += buyer.pay(buyer.order((teapot, 1)).json).status == 201
        time.sleep(moment := random.uniform(0.0, 0.3))
        shop.kill()
        with capsys.disabled():
            print(f"killed {moment:.2f} s after {paid} orders, {len(server.taken)} mails taken")
        start_later(shop)
    # then there is a mail for each order that was paid
    eventually(lambda: len(set(server.ids())) == paid == KILLS * EACH, seconds=30)
    # and what came twice came under one ID, at most once for each kill
    assert sum(Counter(server.ids()).values()) - paid <= KILLS


def test_orders_are_paid_while_the_mail_server_is_away_and_the_mails_come_when_it_is_back(tmp_path):
    with running() as gone:
        port = gone.port
    shop = ShopServer(tmp_path, EMAIL_URL=f"smtp://127.0.0.1:{port}", EMAIL_FROM="shop@example.com")
    try:
        shop.start()
        staff, buyer = Staff(shop), Customer(shop)
        teapot = staff.product("Teapot", stock=9)
        for _ in range(3):
            assert buyer.pay(buyer.order((teapot, 1)).json).status == 201
        eventually(lambda: "mail_put_off" in shop.log())
        # when the shop is killed, and the mail server is there again
        shop.kill()
        with running(port) as back:
            start_later(shop)
            eventually(lambda: len(set(back.ids())) == 3)
            assert len(back.taken) == 3
        assert buyer.email not in shop.log()
    finally:
        shop.remove()
