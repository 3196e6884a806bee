"""Money going back: refused for good, not answered, or gone through; and never more than was taken."""

from datetime import UTC, datetime

import pytest

from contexts.ordering import services
from contexts.ordering.models import Payment, Refund
from contexts.ordering.services.providers import ProviderAway, RefundRefused
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import die, falsify, intents_of, make_due, number, payment_of, settle_everything
from contexts.ordering.tests.conftest import TEAPOT, Api
from contexts.ordering.tests.webhooks import event, send
from shop.sharding.public_ids import public_id
from tests.plugin import make_principal


@pytest.fixture
def order(api):
    return api.order((TEAPOT, 2)).json()


@pytest.fixture
def placed(api, order):
    api.pay(order)
    return order


@pytest.fixture
def desk():
    return Api(make_principal("staff", "order_desk"))


def ask_back(desk, order, amount=2598):
    money = {"amount": amount, "currency": "EUR"}
    return desk.post(f"orders/{order['id']}/refunds", {"reason": "a chipped spout", "amount": money})


def refunds(api, order):
    found = api.get(f"orders/{order['id']}").json()
    return found["payment_status"], [refund["status"] for refund in found["refunds"]]


def waiting(moment):
    """What was begun before that moment, and before now."""
    return services.waiting_for_providers(moment), services.waiting_for_providers(datetime.now(UTC))


def refused(*_, **__):
    raise RefundRefused("the card is closed")


def away(*_, **__):
    raise ProviderAway(detail="away")


def test_a_refund_refused_for_good_is_told_and_the_money_can_be_asked_for_again(api, placed, desk, monkeypatch):
    # given a refund that the provider will never make
    ask_back(desk, placed)
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "refund", refused)
        assert services.give_money_back() == 1
    # then it is visible, and asked no more
    assert refunds(api, placed) == ("paid", ["failed"])
    timeline = api.get(f"orders/{placed['id']}/timeline").json()["data"]
    assert timeline[-1]["data"] == {"amount": 2598, "reason": "the card is closed"}
    assert timeline[-1]["type"] == "refund_failed"
    make_due(Refund)
    assert services.give_money_back() == 0
    # and the desk can try again, under a key of its own at the provider
    assert ask_back(desk, placed).status_code == 201
    assert services.give_money_back() == 1
    assert refunds(api, placed) == ("refunded", ["failed", "succeeded"])
    keys = Refund.objects.on(number(placed)).filter(order_id=number(placed)).values_list("provider_key", flat=True)
    assert [key.partition(":")[2] for key in sorted(keys)] == ["refund:1", "refund:2"]


def test_a_refund_without_an_answer_stays_pending_and_is_sent_again_under_its_key(api, placed, desk, monkeypatch):
    # given a refund that happens at the provider while its answer is lost
    ask_back(desk, placed, 598)
    refund = FakeProvider.refund
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "refund", lambda *args, **more: away(refund(*args, **more)))
        with pytest.raises(ProviderAway):
            services.give_money_back()
    assert refunds(api, placed) == ("paid", ["pending"])
    # then it is not sent again at once
    assert services.give_money_back() == 0
    # when it is due again, then it went back once
    make_due(Refund)
    assert services.give_money_back() == 1
    assert refunds(api, placed) == ("partially_refunded", ["succeeded"])
    assert [intent.refunded for intent in intents_of(placed)] == [598]


def test_what_waits_for_its_provider_is_counted_until_there_is_an_answer(api, order, desk, monkeypatch):
    # given an attempt to pay whose answer is lost
    began = datetime.now(UTC)
    api.pay(order, token="tok_timeout")
    assert waiting(began) == (0, 1)
    # when it is found out, then nothing waits
    make_due(Payment)
    services.reconcile_payments()
    assert waiting(began) == (0, 0)
    # and the same of a refund
    asked = datetime.now(UTC)
    ask_back(desk, order)
    assert waiting(asked) == (0, 1)
    services.give_money_back()
    assert waiting(asked) == (0, 0)


def test_a_process_that_dies_after_the_money_went_back_gives_it_back_once(api, placed, desk, monkeypatch):
    ask_back(desk, placed)
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.refunding._settle_refund", die)
        with pytest.raises(RuntimeError):
            services.give_money_back()
    make_due(Refund)
    assert services.give_money_back() == 1
    assert [intent.refunded for intent in intents_of(placed)] == [2598]
    assert refunds(api, placed) == ("refunded", ["succeeded"])


def test_surplus_that_the_provider_would_not_give_back_is_the_desks_to_give_back(api, order, desk, monkeypatch):
    # given money that came after the order was cancelled, and a refund of it that was refused
    api.pay(order, "tok_action")
    api.post(f"orders/{order['id']}/cancel", {})
    FakeProvider().finish(public_id("pay", payment_of(order).pk), "captured")
    send(event(payment_of(order)))
    services.apply_webhooks()
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "refund", refused)
        services.give_money_back()
    # then nobody tries for ever, and the desk can
    assert refunds(api, order)[1] == ["failed"]
    assert ask_back(desk, order).status_code == 201
    services.give_money_back()
    assert refunds(api, order)[1] == ["failed", "succeeded"]


def test_the_orders_own_payment_is_given_back_before_surplus(api, order, desk, monkeypatch):
    # given a surplus capture whose refund was refused, and the payment that placed the order
    api.pay(order, "tok_action")
    surplus = payment_of(order)
    api.pay(order)
    FakeProvider().finish(public_id("pay", surplus.pk), "captured")
    make_due(Payment)
    send(event(surplus))
    services.apply_webhooks()
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "refund", refused)
        services.give_money_back()
    # when the desk gives money back twice, then the order's own goes first
    for _ in range(2):
        assert ask_back(desk, order).status_code == 201
        services.give_money_back()
    assert [intent.refunded for intent in intents_of(order)] == [2598, 2598]
    assert ask_back(desk, order, 1).json()["code"] == "refund_exceeds_payment"


def test_more_than_the_provider_has_is_refused_for_good(api, placed, desk, books):
    # given books that differ: the provider has less than we think
    books.stay_open("the two differ, and that is the point")
    falsify(placed, amount=100)
    ask_back(desk, placed)
    settle_everything()
    assert refunds(api, placed) == ("paid", ["failed"])


def test_books_that_differ_are_found(api, placed, books):
    """The comparison at the end of every test of ordering, seen red."""
    assert books.differences() == []
    falsify(placed, amount=2599)
    key = payment_of(placed).provider_key
    assert books.differences() == [f"{key}: the provider has (captured, refunded) (2599, 0), we have (2598, 0)"]
    falsify(placed, key="somebody else's")
    assert len(books.differences()) == 2
    falsify_back(key)


def falsify_back(key):
    from contexts.ordering.services.providers.fake_books import books  # noqa: PLC0415

    with books() as cursor:
        cursor.execute("UPDATE fake_intent SET key = %s, amount = 2598 WHERE key = %s", [key, "somebody else's"])
