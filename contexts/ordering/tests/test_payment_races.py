"""Many at once on one order, on real transactions: one capture is kept, one `OrderPlaced` told, both books equal."""

import itertools
from collections import Counter
from functools import partial

import pytest
from django.conf import settings

from contexts.ordering import services
from contexts.ordering.models import Payment, Refund, WebhookInbox
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import (
    at_once,
    intents_of,
    make_due,
    number,
    overdue,
    payment_of,
    settle_everything,
    topics,
)
from contexts.ordering.tests.conftest import TEAPOT
from contexts.ordering.tests.webhooks import event, send
from shop.sharding.public_ids import public_id

pytestmark = pytest.mark.django_db(
    databases=[alias for alias in settings.DATABASES if alias.startswith("ordering_")], transaction=True
)


@pytest.fixture
def order(api):
    return api.order((TEAPOT, 2)).json()


def report(order):
    """The provider reports, and a job applies it at once."""
    send(event(payment_of(order)))
    services.apply_webhooks()


def kept(order):
    """Payments that count, by status."""
    rows = Payment.objects.on(number(order)).filter(order_id=number(order), surplus=False)
    return Counter(rows.filter(status="captured").values_list("status", flat=True))


def assert_paid_once(api, order):
    settle_everything()
    after = api.get(f"orders/{order['id']}").json()
    assert (after["status"], after["payment_status"], kept(order)) == ("placed", "paid", {"captured": 1})
    assert topics(order).count("order_placed") == 1
    assert sum(intent.amount - intent.refunded for intent in intents_of(order) if intent.status == "captured") == 2598


@pytest.mark.parametrize("times", [2, 3, 8])
def test_pay_webhook_and_reconciler_at_once_on_a_waiting_attempt(api, order, times):
    # given a customer who has confirmed, of which we have not heard
    api.pay(order, "tok_action")
    FakeProvider().finish(public_id("pay", payment_of(order).pk), "captured")
    make_due(Payment)
    # when as many as that hear of it at once, one of them the customer who pays again
    jobs = itertools.cycle([partial(report, order), services.reconcile_payments, partial(api.pay, order)])
    at_once(list(itertools.islice(jobs, times)))
    # then
    assert_paid_once(api, order)


@pytest.mark.parametrize("times", [2, 3, 8])
def test_copies_of_one_payment_and_the_reconciler_at_once(api, order, times):
    # given an attempt whose answer was lost
    api.pay(order, "tok_timeout")
    make_due(Payment)
    jobs = itertools.cycle([services.reconcile_payments, partial(report, order), partial(api.pay, order)])
    answers = at_once(list(itertools.islice(jobs, times)))
    assert not any(getattr(answer, "status_code", 0) >= 500 for answer in answers)
    assert_paid_once(api, order)


@pytest.mark.parametrize("times", [2, 3, 8])
def test_many_first_payments_at_once(api, order, times):
    answers = at_once([partial(api.pay, order, "tok_ok") for _ in range(times)])
    found = Counter(answer.status_code for answer in answers)
    assert found == {201: 1, 409: times - 1}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"payment_in_progress", "order_not_payable"}
    assert len(intents_of(order)) == 1
    assert_paid_once(api, order)


@pytest.mark.parametrize("times", [2, 3, 8])
def test_many_other_cards_at_once_while_one_waits_for_the_customer(api, order, times):
    # given an attempt that waits
    api.pay(order, "tok_action")
    # when as many as that try another card at once
    answers = at_once([partial(api.pay, order, "tok_ok") for _ in range(times)])
    # then one wins, the first attempt is closed, nothing is charged twice
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: times - 1}
    assert sorted(intent.status for intent in intents_of(order)) == ["cancelled", "captured"]
    assert_paid_once(api, order)


def test_the_same_key_many_times_at_once(api, order):
    answers = at_once([partial(api.pay, order, "tok_ok", "one key") for _ in range(8)])
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"idempotency_in_progress"}
    assert len(intents_of(order)) == 1
    assert_paid_once(api, order)


def test_the_same_report_many_times_at_once(api, order):
    api.pay(order, "tok_action")
    payment = payment_of(order)
    FakeProvider().finish(public_id("pay", payment.pk), "captured")
    # when one event comes eight times at once, and four jobs apply what is there
    body = event(payment)
    answers = at_once([partial(send, body) for _ in range(8)])
    at_once([services.apply_webhooks for _ in range(4)])
    # then all are answered, and it is stored and counted once
    assert [answer.status_code for answer in answers] == [200] * 8
    assert WebhookInbox.objects.on(number(order)).count() == 1
    assert_paid_once(api, order)


@pytest.mark.parametrize("times", [2, 3, 8])
def test_an_order_expires_while_it_is_being_paid(api, order, times):
    # given an order whose time is over while its customer confirms
    api.pay(order, "tok_action")
    overdue(order)
    payment = payment_of(order)

    def confirm():
        FakeProvider().finish(public_id("pay", payment.pk), "captured")
        report(order)

    jobs = itertools.cycle([services.expire_overdue_orders, confirm, services.reconcile_payments])
    at_once(list(itertools.islice(jobs, times)))
    settle_everything()
    # then it is placed and paid, or dead and its money on the way back; never both
    after = api.get(f"orders/{order['id']}").json()
    left = sum(each.amount - each.refunded for each in intents_of(order) if each.status == "captured")
    assert (after["status"], left) in {("placed", 2598), ("expired", 0)}
    assert topics(order).count("order_placed") == (after["status"] == "placed")


@pytest.mark.parametrize("times", [2, 3, 8])
def test_money_goes_back_once_however_many_send_it(api, order, times):
    api.pay(order)
    api.post(f"orders/{order['id']}/cancel", {})
    at_once([services.give_money_back] * times)
    make_due(Refund)
    at_once([services.give_money_back] * times)
    assert [(each.amount, each.refunded) for each in intents_of(order)] == [(2598, 2598)]
    assert topics(order).count("order_refunded") == 1


def test_an_order_is_cancelled_while_it_is_being_paid(api, order):
    for answer in at_once([partial(api.pay, order), partial(api.post, f"orders/{order['id']}/cancel", {})]):
        assert answer.status_code in {200, 201, 409}
    settle_everything()
    after = api.get(f"orders/{order['id']}").json()
    left = sum(each.amount - each.refunded for each in intents_of(order) if each.status == "captured")
    assert (after["status"], left) in {("cancelled", 0), ("placed", 2598)}
