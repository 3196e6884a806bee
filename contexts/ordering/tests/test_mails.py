"""Mails to an order's customer: placed, shipped, refunded. Auth is a fake that knows some."""

from collections.abc import Sequence

import pytest

from contexts.auth.contract import AuthService, CustomerProfile
from contexts.ordering import services
from contexts.ordering.domain import money_text
from contexts.ordering.tests.books import number
from contexts.ordering.tests.conftest import SPOON, TEAPOT, Api
from shop.events.models import InboxEntry, OutboxEvent
from shop.events.relay import drain
from shop.mail.models import Mail
from shop.services import substitute
from shop.sharding import aliases_of, shard_atomic
from shop.sharding.public_ids import order_number
from tests.mail_server import send_what_waits
from tests.plugin import make_principal

EMAIL = "ada@mail.test"
PARCEL = {"carrier": "Royal Mail", "tracking_number": "AB123456789GB"}


class FakeAuth(AuthService):
    """Knows everybody, under one address, until told otherwise."""

    known = True

    def profiles(self, *, customer_ids: Sequence[str]) -> tuple[CustomerProfile | None, ...]:
        profiles = [CustomerProfile(customer_id=each, email=EMAIL, name="Ada") for each in customer_ids]
        return tuple(profile if self.known else None for profile in profiles)


@pytest.fixture
def auth():
    with substitute(AuthService, FakeAuth()) as fake:
        yield fake


@pytest.fixture
def desk():
    return Api(make_principal("staff", "order_desk"))


@pytest.fixture
def placed(api):
    order = api.order((TEAPOT, 2), (SPOON, 1)).json()
    assert api.pay(order).status_code == 201
    return order


@pytest.fixture
def sent(mailoutbox):
    """Handle the events, send the mails; gives those that were sent since the last time."""

    def send():
        handle_events()
        send_what_waits("ordering")
        found = list(mailoutbox)
        mailoutbox.clear()
        return found

    return send


def handle_events():
    assert drain(list(aliases_of("ordering")))


def rows():
    return [row for alias in aliases_of("ordering") for row in Mail.objects.using(alias)]


def test_a_placed_order_is_confirmed_with_what_it_costs(placed, auth, sent):
    [mail] = sent()
    assert (mail.to, mail.subject) == ([EMAIL], f"Your order {order_number(number(placed))}")
    assert "2 x Teapot (SKU-" in mail.body
    assert "Total: 28.48 EUR" in mail.body


def test_an_order_that_is_not_paid_is_not_confirmed(api, auth, sent):
    api.order((TEAPOT, 1))
    assert sent() == []


def test_a_shipped_order_is_told_with_its_tracking_number(placed, desk, auth, sent):
    sent()
    desk.post(f"orders/{placed['id']}/shipments", PARCEL)
    [mail] = sent()
    assert mail.subject == f"Your order {order_number(number(placed))} is on its way"
    assert "Royal Mail" in mail.body
    assert "AB123456789GB" in mail.body


def test_each_refund_is_told_with_its_amount(placed, desk, auth, sent):
    sent()
    for amount in (1_000, 5):
        money = {"amount": amount, "currency": "EUR"}
        desk.post(f"orders/{placed['id']}/refunds", {"reason": "a chipped spout", "amount": money})
    services.give_money_back()
    mails = sent()
    assert {mail.subject for mail in mails} == {f"Money back for your order {order_number(number(placed))}"}
    assert sorted(word for mail in mails for word in ("10.00 EUR", "0.05 EUR") if word in mail.body) == [
        "0.05 EUR",
        "10.00 EUR",
    ]


def test_an_event_that_comes_again_and_again_makes_no_second_mail(placed, auth, sent):
    assert len(sent()) == 1
    # when all was handed over once more, and the handler's own memory is lost besides
    for alias in aliases_of("ordering"):
        OutboxEvent.objects.using(alias).update(state=OutboxEvent.State.PENDING)
        InboxEntry.objects.using(alias).filter(handler="ordering.mail_on_order_placed").delete()
    assert sent() == []
    assert [row.state for row in rows()] == ["sent"]


def test_while_auth_is_away_a_mail_waits(placed, sent, monkeypatch):
    with substitute(AuthService, FakeAuth()):
        monkeypatch.setattr("django.conf.settings.SERVICE_KILL_SWITCH", {"auth.profiles"})
        assert sent() == []
        [row] = rows()
        assert (row.state, row.reason) == ("waiting", "ServiceUnavailable")
        monkeypatch.setattr("django.conf.settings.SERVICE_KILL_SWITCH", frozenset())
        with shard_atomic("ordering", row.pk) as scope:
            Mail.objects.using(scope.alias).filter(pk=row.pk).update(due_at=row.created_at)
        assert len(sent()) == 1


def test_whose_account_is_gone_gets_no_mail_and_nothing_stays(placed, auth, sent):
    auth.known = False
    assert (sent(), rows()) == ([], [])


def test_an_order_cancelled_before_the_mail_goes_out_is_not_confirmed(placed, api, auth, sent):
    handle_events()
    assert api.post(f"orders/{placed['id']}/cancel", {}).status_code == 200
    assert sent() == []


def test_no_address_and_no_name_is_stored_for_a_mail(placed, auth):
    handle_events()
    assert rows()
    for row in rows():
        text = repr(vars(row))
        assert all(word not in text for word in (EMAIL, "Ada", "Lovelace", "London"))


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1299, "EUR", "12.99 EUR"),
        (5, "GBP", "0.05 GBP"),
        (1299, "JPY", "1299 JPY"),
        (1299, "KWD", "1.299 KWD"),
        (0, "EUR", "0.00 EUR"),
        (10**18, "USD", "10000000000000000.00 USD"),
    ],
)
def test_money_as_people_read_it(amount, currency, text):
    assert money_text(amount, currency) == text
