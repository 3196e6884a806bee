"""`manage.py fake_payments`: the provider's side of a story, from a command line."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from contexts.ordering import services
from contexts.ordering.management.commands import fake_payments as command
from contexts.ordering.tests.books import payment_of
from contexts.ordering.tests.conftest import TEAPOT
from contexts.ordering.tests.webhooks import send
from shop.sharding.public_ids import public_id


@pytest.fixture
def order(api):
    return api.order((TEAPOT, 2)).json()


@pytest.fixture
def payment(api, order):
    return api.pay(order, "tok_action").json()["id"]


class Shop:
    """Takes webhooks over HTTP, as the running shop would."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, bytes]] = []
        self.status = 200
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                shop.received.append((self.path, self.headers["Fake-Signature"], body))
                self.send_response(shop.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    found = Shop()
    yield found
    found.close()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("fake_payments", *arguments, stdout=out)
    return out.getvalue()


def listed(payment):
    return [row for row in json.loads(run("list", "--json")) if row["payment_id"] == payment]


def test_it_lists_what_the_provider_was_asked_for(payment):
    assert listed(payment) == [
        {"payment_id": payment, "status": "requires_action", "amount": 2598, "currency": "EUR", "refunded": 0}
    ]
    assert payment in run("list")


def test_it_finishes_a_payment_and_sends_what_the_shop_takes(api, order, payment, shop):
    # when
    run("finish", payment, "captured", "--url", shop.url)
    # then the provider's books have changed, and one signed report was sent
    assert listed(payment)[0]["status"] == "captured"
    [(path, signature, body)] = shop.received
    assert path == "/api/v1/ordering/payments/webhooks/fake"
    assert json.loads(body)["type"] == "payment.captured"
    assert json.loads(body)["data"] == {"payment_id": payment}
    # and the shop takes it
    assert send(body, signed=signature).status_code == 200
    services.apply_webhooks()
    assert api.get(f"orders/{order['id']}").json()["status"] == "placed"


def test_it_repeats_itself_and_comes_late_when_told_to(payment, shop, monkeypatch):
    slept = []
    monkeypatch.setattr("contexts.ordering.services.providers.fake_acting.time.sleep", slept.append)
    run("finish", payment, "failed", "--times", "3", "--delay", "2.5", "--url", shop.url + "/")
    assert len(shop.received) == 3
    assert len({body for _, _, body in shop.received}) == 1
    assert slept == [2.5]


def test_what_was_captured_stays_captured_though_a_failure_is_reported(payment, shop):
    for status in ("captured", "failed"):
        run("finish", payment, status, "--url", shop.url)
    assert listed(payment)[0]["status"] == "captured"
    assert json.loads(shop.received[-1][2])["type"] == "payment.failed"


def test_a_closed_payment_can_be_captured_late(api, order, payment, shop):
    api.post(f"orders/{order['id']}/cancel", {})
    assert listed(payment)[0]["status"] == "cancelled"
    run("finish", payment, "captured", "--url", shop.url)
    assert listed(payment)[0]["status"] == "captured"
    # and the shop hears of it
    [(_, signature, body)] = shop.received
    assert send(body, signed=signature).status_code == 200


def test_a_shop_that_does_not_answer_is_told_in_one_line(payment, shop):
    shop.status = 400
    with pytest.raises(CommandError) as refused:
        run("finish", payment, "captured", "--url", shop.url)
    assert (refused.value.returncode, str(refused.value)) == (1, f"{shop.url} answered 400")
    shop.close()
    with pytest.raises(CommandError) as unreachable:
        run("finish", payment, "captured", "--url", shop.url)
    assert unreachable.value.returncode == 1
    assert "can't be reached" in str(unreachable.value)


def test_books_that_are_away_are_told_in_one_line(monkeypatch):
    monkeypatch.setattr("contexts.ordering.services.providers.fake_books._handler", _no_database)
    with pytest.raises(CommandError) as error:
        run("list")
    assert (error.value.returncode, str(error.value).count("\n")) == (1, 0)
    monkeypatch.undo()


def _no_database():
    raise OperationalError("no such host")


@pytest.mark.parametrize("payment_id", ["pay_00000000000000", "ord_1", "x", public_id("pay", 1)])
def test_a_payment_nobody_knows_is_told_in_one_line(payment_id):
    with pytest.raises(CommandError) as error:
        run("finish", payment_id, "captured")
    assert (error.value.returncode, str(error.value).count("\n")) == (2, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("finish",),
        ("finish", "pay_1"),
        ("finish", "pay_1", "cancelled"),
        ("finish", "pay_1", "captured", "--times", "0"),
        ("finish", "pay_1", "captured", "--times", "many"),
        ("finish", "pay_1", "captured", "--delay", "-1"),
        ("finish", "pay_1", "captured", "--delay", "nan"),
        ("finish", "pay_1", "captured", "--url", "shop.example"),
        ("finish", "pay_1", "captured", "--url", "http://host:port"),
        ("list", "--yaml"),
    ],
)
def test_wrong_arguments_are_told(arguments):
    started = command.Command()
    started._called_from_command_line = True
    parser = started.create_parser("manage.py", "fake_payments")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(list(arguments))
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104  what the setting may say
        ("::", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("shop.internal", "http://shop.internal:8000"),
    ],
)
def test_it_finds_the_shop_where_it_listens(settings, host, url):
    settings.HOST, settings.PORT = host, 8000
    assert command._own_url() == url


def test_the_secret_is_told_to_nobody_but_the_customer(order, payment):
    intent = services.fake_payments()
    assert "secret" not in run("list") + run("list", "--json") + repr(intent)
    assert public_id("pay", payment_of(order).pk) == payment
