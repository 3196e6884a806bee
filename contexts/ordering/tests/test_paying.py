"""`POST /orders/{id}/payments`: captured once, declined without harm, settled whoever brings the news."""

import pytest

from contexts.ordering import services
from contexts.ordering.domain import AttemptStatus, OrderStatus
from contexts.ordering.models import Order, Payment, PaymentEvent, Refund
from contexts.ordering.services.providers import Intent
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.services.settling import settle
from contexts.ordering.tests.books import die, intents_of, make_due, number, payment_of, topics
from contexts.ordering.tests.conftest import TEAPOT, Api
from shop.sharding import shard_atomic
from shop.sharding.public_ids import number_of
from tests.plugin import make_principal


@pytest.fixture
def order(api):
    return api.order((TEAPOT, 2)).json()


def test_a_captured_payment_places_the_order(api, order):
    # when
    answer = api.pay(order)
    # then
    assert (answer.status_code, answer.json()["status"]) == (201, "captured")
    paid = api.get(f"orders/{order['id']}").json()
    assert (paid["status"], paid["payment_status"]) == ("placed", "paid")
    assert paid["placed_at"] is not None
    assert topics(order) == ["order_created", "order_placed"]


def test_a_declined_payment_leaves_the_order_payable(api, order):
    # given a declined attempt
    declined = api.pay(order, "tok_declined")
    assert (declined.status_code, declined.json()["code"]) == (402, "payment_declined")
    after = api.get(f"orders/{order['id']}").json()
    assert (after["status"], after["payment_status"]) == ("pending_payment", "unpaid")
    assert [(p["status"], p["failure_code"]) for p in after["payments"]] == [("failed", "card_declined")]
    # when another card is tried, then it is paid
    assert api.pay(order).status_code == 201


def test_the_same_key_charges_once_and_answers_alike(api, order):
    first, second = (api.pay(order, key="pay") for _ in range(2))
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert [intent.status for intent in intents_of(order)] == ["captured"]


def test_a_declined_answer_is_kept_under_its_key(api, order):
    first, second = (api.pay(order, "tok_declined", key="pay") for _ in range(2))
    assert (second.status_code, second.content) == (402, first.content)


def test_a_paid_order_can_not_be_paid_again(api, order):
    api.pay(order)
    answer = api.pay(order)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_payable")
    assert len(intents_of(order)) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [({"provider": "nobody", "token": "tok_ok"}, "provider"), ({"provider": "fake", "token": "tok_x"}, "token")],
)
def test_an_unknown_provider_or_token_is_told(api, order, body, field):
    answer = api.post(f"orders/{order['id']}/payments", body)
    assert (answer.status_code, [e["field"] for e in answer.json()["errors"]]) == (422, [field])


def test_somebody_elses_order_can_not_be_paid(order):
    assert Api(make_principal()).pay(order).status_code == 404


def test_a_crash_after_the_charge_is_finished_by_the_same_key(api, order, monkeypatch):
    # given a process that dies between the provider's answer and our books
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.paying.settle", die)
        assert api.pay(order, key="pay").status_code == 500
    assert [intent.status for intent in intents_of(order)] == ["captured"]
    # another attempt is refused meanwhile
    assert api.pay(order).json()["code"] == "payment_in_progress"
    # when the same request comes again, then it is settled and charged once
    assert api.pay(order, key="pay").status_code == 201
    assert len(intents_of(order)) == 1


def test_a_crash_after_the_charge_is_finished_by_the_reconciler(api, order, monkeypatch):
    # given the same crash, and nobody who asks again
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.paying.settle", die)
        api.pay(order)
    make_due(Payment)
    # when the reconciler comes round, then the charge counts
    assert services.reconcile_payments() == 1
    assert api.get(f"orders/{order['id']}").json()["status"] == "placed"
    assert services.reconcile_payments() == 0


def test_an_attempt_the_provider_never_saw_is_closed_there_for_good(api, order, monkeypatch):
    # given a process that dies before it asks the provider
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "create", die)
        assert api.pay(order, key="pay").status_code == 500
    make_due(Payment)
    # when the reconciler comes round
    services.reconcile_payments()
    # then the attempt is closed, a late repetition charges nobody, and the order is payable
    assert api.pay(order, key="pay").status_code == 409
    assert [intent.status for intent in intents_of(order)] == ["cancelled"]
    assert api.pay(order).status_code == 201


def test_the_same_news_twice_is_entered_once(api, order):
    payment_id = number_of("pay", api.pay(order).json()["id"])
    payment = Payment.objects.on(payment_id).get(pk=payment_id)
    again = Intent(reference=payment.provider_ref, status=AttemptStatus.CAPTURED, amount=payment.amount)
    settle(payment_id=payment_id, intent=again)
    assert PaymentEvent.objects.on(payment_id).filter(payment_id=payment_id).count() == 1
    assert topics(order).count("order_placed") == 1


def test_money_for_an_expired_order_goes_back_in_full(api, order, monkeypatch):
    # given an attempt whose order expires before the provider's answer is entered
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.paying.settle", die)
        api.pay(order)
    payment = payment_of(order)
    with shard_atomic("ordering", number(order)):
        Order.objects.filter(pk=number(order)).update(status=OrderStatus.EXPIRED)
    # when the capture arrives late
    late = FakeProvider().cancel(key=payment.provider_key)
    settle(payment_id=payment.pk, intent=late)
    # then it is surplus, and goes back
    assert services.give_money_back() == 1
    assert services.give_money_back() == 0
    after = api.get(f"orders/{order['id']}").json()
    assert (after["status"], [r["status"] for r in after["refunds"]]) == ("expired", ["succeeded"])
    assert [(i.status, i.amount, i.refunded) for i in intents_of(order)] == [("captured", 2598, 2598)]
    assert Refund.objects.on(number(order)).get(order_id=number(order)).reason == "surplus"
