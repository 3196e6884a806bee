"""One attempt after another: what each token leads to, what makes room for what, and what the reconciler finds out."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from contexts.ordering import services
from contexts.ordering.models import Order, Payment, PaymentEvent
from contexts.ordering.services.providers import ProviderAway
from contexts.ordering.services.providers import fake as fake_provider
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.services.settling import settle
from contexts.ordering.tests.books import (
    die,
    falsify,
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
from shop.http.models import IdempotencyClaim
from shop.sharding import aliases_of
from shop.sharding.public_ids import public_id


@pytest.fixture
def order(api):
    return api.order((TEAPOT, 2)).json()


def read(api, order):
    return api.get(f"orders/{order['id']}").json()


def statuses(api, order):
    return [payment["status"] for payment in read(api, order)["payments"]]


def finish(order, status="captured"):
    FakeProvider().finish(public_id("pay", payment_of(order).pk), status)


# ---- tok_action: the customer has to do something ----------------------------------------------------------------


def test_an_attempt_that_waits_for_the_customer_tells_how_to_go_on(api, order):
    # when
    answer = api.pay(order, "tok_action")
    # then
    assert (answer.status_code, answer.json()["status"]) == (201, "requires_action")
    assert answer.json()["client_secret"]
    after = read(api, order)
    assert (after["status"], after["payment_status"]) == ("pending_payment", "pending")


def test_the_secret_is_told_again_to_the_same_key_and_lies_in_no_database_of_ours(api, order):
    # given
    first = api.pay(order, "tok_action", key="pay")
    secret = first.json()["client_secret"]
    # when the answer was lost and the same request comes again
    again = api.pay(order, "tok_action", key="pay")
    # then it is the same answer, made anew
    assert (again.status_code, again.content) == (201, first.content)
    assert "Idempotent-Replay" not in again
    assert len(intents_of(order)) == 1
    # and nothing of ours holds it: neither the claim nor the payment, and no page shows it
    for alias in aliases_of("ordering"):
        assert not any(secret.encode() in bytes(row.body) for row in IdempotencyClaim.objects.using(alias))
    assert secret not in str(vars(payment_of(order)))
    assert secret not in api.get(f"orders/{order['id']}").content.decode()


def test_once_it_is_captured_there_is_no_secret_any_more_and_the_answer_is_kept(api, order):
    api.pay(order, "tok_action", key="pay")
    finish(order)
    # when the same request comes after the customer has confirmed
    answers = [api.pay(order, "tok_action", key="pay") for _ in range(2)]
    # then it is captured, secret or no secret
    assert [(each.status_code, each.json()["status"]) for each in answers] == [(201, "captured")] * 2
    assert answers[0].json()["client_secret"] is None
    assert answers[1]["Idempotent-Replay"] == "true"
    assert read(api, order)["status"] == "placed"


def test_a_provider_that_is_away_when_it_is_asked_again_costs_the_answer_nothing_but_the_secret(
    api, order, monkeypatch
):
    api.pay(order, "tok_action", key="pay")
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "read", _away)
        assert api.pay(order, "tok_action", key="pay").json()["client_secret"] is None
    assert api.pay(order, "tok_action", key="pay").json()["client_secret"]


def test_the_secret_shows_in_no_representation(api, order):
    secret = api.pay(order, "tok_action").json()["client_secret"]
    intent = FakeProvider().read(key=payment_of(order).provider_key)
    assert intent is not None
    assert intent.client_secret == secret
    assert secret not in repr(intent)


# ---- tok_timeout, tok_slow: the answer is lost, or late ----------------------------------------------------------


def test_a_lost_answer_leaves_the_attempt_pending_and_the_reconciler_finds_the_money(api, order):
    # given a charge of which nobody told us
    answer = api.pay(order, "tok_timeout")
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert [intent.status for intent in intents_of(order)] == ["captured"]
    # then nothing is done before its time
    assert services.reconcile_payments() == 0
    # when the reconciler comes round, then it counts, once
    make_due(Payment)
    assert services.reconcile_payments() == 1
    assert services.reconcile_payments() == 0
    assert (read(api, order)["status"], topics(order).count("order_placed")) == ("placed", 1)


def test_a_lost_answer_is_asked_about_within_seconds(api, order):
    api.pay(order, "tok_timeout")
    due_at = payment_of(order).due_at
    assert due_at is not None
    assert due_at - datetime.now(UTC) < timedelta(seconds=4)


def test_the_answer_pending_is_kept_under_its_key(api, order):
    first, second = (api.pay(order, "tok_timeout", key="pay") for _ in range(2))
    assert (second.status_code, second.content) == (201, first.content)


def test_a_slow_provider_is_waited_for(api, order, monkeypatch):
    slept = []
    monkeypatch.setattr(fake_provider.time, "sleep", slept.append)
    assert api.pay(order, "tok_slow").json()["status"] == "captured"
    assert slept == [2.0]


def test_a_database_of_the_provider_that_is_away_is_a_provider_that_is_away(api, order, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.providers.fake_books._handler", _no_database)
        assert api.pay(order).json()["status"] == "pending"
    make_due(Payment)
    services.reconcile_payments()
    assert statuses(api, order) == ["cancelled"]


def _no_database():
    raise OperationalError("no such host")


# ---- one live payment --------------------------------------------------------------------------------------------


def test_a_second_attempt_while_one_is_pending_is_refused(api, order):
    api.pay(order, "tok_timeout")
    answer = api.pay(order)
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_in_progress")
    assert len(intents_of(order)) == 1


def test_a_second_attempt_closes_one_that_waits_for_the_customer(api, order):
    # given an attempt that the customer has left lying
    api.pay(order, "tok_action")
    # when another card is tried
    assert api.pay(order).status_code == 201
    # then the first one is closed, at the provider too, and only the second one was charged
    assert statuses(api, order) == ["cancelled", "captured"]
    assert [intent.status for intent in intents_of(order)] == ["cancelled", "captured"]
    assert topics(order).count("order_placed") == 1


def test_a_second_attempt_finds_that_the_first_one_has_succeeded(api, order):
    # given a customer who has confirmed, of which we have not heard
    api.pay(order, "tok_action")
    finish(order)
    # when another card is tried
    answer = api.pay(order)
    # then the first one counts, and no second one begins
    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_payable")
    assert (read(api, order)["status"], statuses(api, order)) == ("placed", ["captured"])


def test_a_second_attempt_that_can_not_close_the_first_one_does_not_begin(api, order, monkeypatch):
    api.pay(order, "tok_action")
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "cancel", _away)
        answer = api.pay(order, key="second")
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_away")
    assert statuses(api, order) == ["requires_action"]
    # and the same request works once the provider is back
    assert api.pay(order, key="second").status_code == 201


def test_a_provider_that_will_not_close_an_attempt_keeps_its_place(api, order, monkeypatch):
    api.pay(order, "tok_action")
    monkeypatch.setattr(FakeProvider, "cancel", FakeProvider.read)
    assert api.pay(order).json()["code"] == "payment_in_progress"


def test_a_process_that_dies_after_it_closed_the_first_attempt_leaves_the_order_payable(api, order, monkeypatch):
    api.pay(order, "tok_action")
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.settling.settle", die)
        assert api.pay(order, key="second").status_code == 500
    assert api.pay(order, key="second").status_code == 201
    assert statuses(api, order) == ["cancelled", "captured"]


# ---- surplus: money that the order can't take --------------------------------------------------------------------


def test_a_closed_attempt_that_is_captured_late_pays_an_order_that_still_waits(api, order):
    # given an attempt that was closed because the order's other one was declined afterwards
    api.pay(order, "tok_action")
    first = payment_of(order)
    api.pay(order, "tok_declined")
    # when the first one is captured all the same
    FakeProvider().finish(public_id("pay", first.pk), "captured")
    send(event(first))
    services.apply_webhooks()
    # then money taken counts
    assert (read(api, order)["status"], statuses(api, order)) == ("placed", ["captured", "failed"])


@pytest.mark.parametrize("second", ["tok_ok", "tok_timeout", "tok_action"])
def test_a_closed_attempt_that_is_captured_late_beside_another_goes_back_in_full(api, order, second):
    api.pay(order, "tok_action")
    first = payment_of(order)
    api.pay(order, second)
    FakeProvider().finish(public_id("pay", first.pk), "captured")
    send(event(first))
    services.apply_webhooks()
    settle_everything()
    # then it went back, and the order's own payment is untouched
    late, *_ = intents_of(order)
    assert (late.amount, late.refunded) == (2598, 2598)
    after = read(api, order)
    assert [(r["reason"], r["status"], r["amount"]["amount"]) for r in after["refunds"]] == [
        ("surplus", "succeeded", 2598)
    ]
    assert after["payment_status"] == ("pending" if second == "tok_action" else "paid")


@pytest.mark.parametrize("amount", [1, 2597, 2599])
def test_another_amount_than_was_asked_for_goes_back_and_the_order_stays_payable(api, order, amount):
    api.pay(order, "tok_timeout")
    falsify(order, amount=amount)
    settle_everything()
    after = read(api, order)
    assert (after["status"], after["payment_status"]) == ("pending_payment", "unpaid")
    assert [(r["status"], r["amount"]["amount"]) for r in after["refunds"]] == [("succeeded", amount)]
    assert api.pay(order).status_code == 201
    assert read(api, order)["status"] == "placed"


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_money_that_comes_after_the_end_goes_back_in_full(api, order, end):
    # given an order that ended while its customer had still to confirm
    api.pay(order, "tok_action")
    if end == "expired":
        overdue(order)
        services.expire_overdue_orders()
    else:
        api.post(f"orders/{order['id']}/cancel", {})
    assert (read(api, order)["status"], statuses(api, order)) == (end, ["cancelled"])
    # when the provider captures it all the same, and says so twice
    finish(order)
    for _ in range(2):
        send(event(payment_of(order)))
        services.apply_webhooks()
    # then it is surplus, and goes back once
    settle_everything()
    assert read(api, order)["status"] == end
    assert [(i.status, i.amount, i.refunded) for i in intents_of(order)] == [("captured", 2598, 2598)]
    assert "order_placed" not in topics(order)


# ---- the reconciler ----------------------------------------------------------------------------------------------


def test_a_webhook_that_was_lost_is_made_up_for(api, order):
    api.pay(order, "tok_action")
    finish(order)
    make_due(Payment)
    assert services.reconcile_payments() == 1
    assert read(api, order)["status"] == "placed"


def test_the_reconciler_closes_nothing_that_the_provider_knows(api, order):
    api.pay(order, "tok_action")
    make_due(Payment)
    services.reconcile_payments()
    assert statuses(api, order) == ["requires_action"]
    assert [intent.status for intent in intents_of(order)] == ["requires_action"]


def test_an_attempt_that_may_still_be_on_its_way_is_not_closed(api, order, monkeypatch):
    # given an attempt of a moment ago that the provider has not seen
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "create", die)
        api.pay(order, key="pay")
    make_due(Payment, past=timedelta(seconds=5))
    # when the reconciler comes round, then the request can still come through
    assert services.reconcile_payments() == 1
    assert statuses(api, order) == ["pending"]
    assert api.pay(order, key="pay").status_code == 201


def test_an_attempt_that_can_not_be_asked_about_goes_to_the_end_of_the_line(api, order, monkeypatch):
    api.pay(order, "tok_timeout")
    make_due(Payment)
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "read", _away)
        with pytest.raises(ProviderAway):
            services.reconcile_payments()
    assert services.reconcile_payments() == 0
    assert statuses(api, order) == ["pending"]


def test_a_reconciler_asks_only_about_what_is_open(api, order):
    api.pay(order)
    assert payment_of(order).due_at is None
    assert not Payment.objects.filter(due_at__isnull=False).across().count()


def test_news_that_is_no_news_changes_nothing(api, order):
    api.pay(order, "tok_action")
    payment = payment_of(order)
    before = Order.objects.on(number(order)).get(pk=number(order)).updated_at
    settle(payment_id=payment.pk, intent=FakeProvider().read(key=payment.provider_key))
    assert Order.objects.on(number(order)).get(pk=number(order)).updated_at == before
    assert not PaymentEvent.objects.on(payment.pk).filter(payment_id=payment.pk).exists()


def _away(*_, **__):
    raise ProviderAway(detail="away")
