"""Webhooks: signed or refused, stored before anything else, applied once, as the provider's books say."""

import json

import pytest

from contexts.ordering import services
from contexts.ordering.models import Payment, UnmatchedWebhook, WebhookInbox
from contexts.ordering.services.listening import MAX_ATTEMPTS
from contexts.ordering.services.providers import ProviderAway
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import die, intents_of, make_due, number, payment_of, topics
from contexts.ordering.tests.conftest import TEAPOT
from contexts.ordering.tests.webhooks import event, send, signature
from shop.sharding import new_id
from shop.sharding.public_ids import public_id


@pytest.fixture
def order(api):
    return api.order((TEAPOT, 2)).json()


@pytest.fixture
def waiting(api, order):
    """An order whose customer has to confirm the payment, at the provider."""
    assert api.pay(order, "tok_action").json()["status"] == "requires_action"
    return order


def finish(order, status="captured"):
    FakeProvider().finish(public_id("pay", payment_of(order).pk), status)


def stored(order):
    return WebhookInbox.objects.on(number(order)).filter(payment_id=payment_of(order).pk)


# ---- who may speak -------------------------------------------------------------------------------------------


def test_a_signed_report_is_stored_and_then_applied(api, waiting):
    # given a customer who has confirmed
    finish(waiting)
    # when the provider reports it
    answer = send(event(payment_of(waiting)))
    # then it is stored, answered, and nothing else has happened
    assert (answer.status_code, answer.json()) == (200, {})
    assert [row.state for row in stored(waiting)] == ["stored"]
    assert api.get(f"orders/{waiting['id']}").json()["status"] == "pending_payment"
    # and the job applies it
    assert services.apply_webhooks() == 1
    assert services.apply_webhooks() == 0
    assert [row.state for row in stored(waiting)] == ["applied"]
    assert api.get(f"orders/{waiting['id']}").json()["status"] == "placed"


def forged(body):
    """Signatures that do not hold, by what is wrong with them."""
    good = signature(body)
    stamp, _, digest = good.partition(",")
    return {
        "none": "",
        "another secret": signature(body, secret="another"),
        "another body": signature(body + b" "),
        "too old": signature(body, age=301),
        "too far ahead": signature(body, age=-305),
        "no time": digest,
        "two times": f"{stamp},{good}",
        "a time that is none": good.replace("t=", "t=-"),
        "a time in other digits": good.replace(stamp, "t=١٢٣"),
        "an endless time": f"t={'9' * 5000},{digest}",
        "no digest": stamp,
        "an empty digest": f"{stamp},v1=",
        "another scheme": good.replace("v1=", "v0="),
        "not ASCII": f"{stamp},v1=é",
        "cut off": good[:-1],
    }


@pytest.mark.parametrize("name", list(forged(b"")))
def test_what_the_provider_has_not_signed_is_refused_and_not_stored(waiting, name):
    body = event(payment_of(waiting))
    answer = send(body, signed=forged(body)[name])
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert not stored(waiting).exists()


def test_one_good_signature_among_several_is_enough(waiting):
    body = event(payment_of(waiting))
    stamp, _, digest = signature(body).partition(",")
    assert send(body, signed=f"{stamp},v1={'0' * 64},{digest},v0=x").status_code == 200


@pytest.mark.parametrize("age", [290, -290])  # seconds may pass on the way
def test_a_clock_may_be_five_minutes_off(waiting, age):
    body = event(payment_of(waiting))
    assert send(body, signed=signature(body, age=age)).status_code == 200


def test_a_provider_that_is_none_is_not_found(waiting):
    assert send(event(payment_of(waiting)), provider="nobody").status_code == 404


def test_a_body_is_bounded_and_json_as_everywhere():
    assert send(b"x" * (1 << 20 | 1)).json()["code"] == "body_too_large"
    assert send(b"{").json()["code"] == "malformed_json"
    assert send(b"{}", kind="text/plain").status_code == 415


# ---- what is made of it --------------------------------------------------------------------------------------


def test_a_report_counts_once_however_often_it_comes(waiting):
    # given the same report three times, the last one with another content
    finish(waiting)
    payment = payment_of(waiting)
    for kind in ("captured", "captured", "failed"):
        assert send(event(payment, kind, "evt_1")).status_code == 200
    # then the first one is kept, and places the order once
    assert [row.type for row in stored(waiting)] == ["payment.captured"]
    services.apply_webhooks()
    assert topics(waiting).count("order_placed") == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(event(public_id("pay", 1)), id="a payment that is none"),
        pytest.param(event("pay_00000000000000"), id="a damaged ID"),
        pytest.param(event("ord_00000000000000"), id="an ID of another type"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"5", id="a number"),
        pytest.param(json.dumps({"id": 5, "type": [], "data": {"payment_id": {}}}).encode(), id="other types"),
        pytest.param(json.dumps({"id": "x" * 5000, "type": "y" * 5000, "data": "z"}).encode(), id="long words"),
        pytest.param(json.dumps({"data": None}).encode(), id="nothing in it"),
    ],
)
def test_what_names_no_payment_of_ours_is_kept_for_people_once(body):
    for _ in range(2):
        answer = send(body)
        assert (answer.status_code, answer.content) == (200, b"{}")
    assert [row.body for row in UnmatchedWebhook.objects.all()] == [body.decode()]
    assert services.apply_webhooks() == 0


def test_a_payment_of_another_provider_is_not_this_ones(waiting, monkeypatch):
    monkeypatch.setattr("contexts.ordering.services.providers._providers", {"other": FakeProvider()})
    assert send(event(payment_of(waiting)), provider="other").status_code == 200
    assert UnmatchedWebhook.objects.get().provider == "other"


@pytest.mark.parametrize(("kind", "status"), [("captured", "placed"), ("failed", "pending_payment")])
def test_what_is_well_signed_is_the_fake_providers_own_word(api, waiting, kind, status):
    # given nobody but a program that knows the secret, as the API's page says
    send(event(payment_of(waiting), kind))
    services.apply_webhooks()
    # then the attempt is finished, in our books and in the provider's
    found = api.get(f"orders/{waiting['id']}").json()
    assert (found["status"], [p["status"] for p in found["payments"]]) == (status, [kind])
    assert [intent.status for intent in intents_of(waiting)] == [kind]


@pytest.mark.parametrize("kind", ["failed", "refunded"])
def test_no_other_report_un_takes_what_was_taken(api, waiting, kind):
    finish(waiting)
    send(event(payment_of(waiting), kind))
    services.apply_webhooks()
    assert api.get(f"orders/{waiting['id']}").json()["status"] == "placed"


def test_a_report_takes_no_money_of_an_attempt_that_never_came(api, order, monkeypatch):
    # given an attempt that its provider never saw, and that was closed there
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "create", _away)
        api.pay(order)
    make_due(Payment)
    services.reconcile_payments()
    # when it is reported all the same
    send(event(payment_of(order)))
    services.apply_webhooks()
    # then nothing was captured
    found = api.get(f"orders/{order['id']}").json()
    assert [p["status"] for p in found["payments"]] == ["cancelled"]


def test_a_customer_who_gave_up_can_try_another_card(api, waiting):
    finish(waiting, "failed")
    send(event(payment_of(waiting), "failed"))
    services.apply_webhooks()
    after = api.get(f"orders/{waiting['id']}").json()
    assert [(p["status"], p["failure_code"]) for p in after["payments"]] == [("failed", "authentication_failed")]
    assert after["payment_status"] == "unpaid"
    assert api.pay(waiting).status_code == 201


def test_a_process_that_dies_while_it_applies_one_has_lost_nothing(api, waiting, monkeypatch):
    # given a stored report, and a process that dies between the provider's answer and our books
    finish(waiting)
    send(event(payment_of(waiting)))
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.listening.settle", _killed)
        with pytest.raises(SystemExit):
            services.apply_webhooks()
    # when another one comes round, then the order is placed
    assert services.apply_webhooks() == 1
    assert api.get(f"orders/{waiting['id']}").json()["status"] == "placed"


def _killed(*_, **__):
    raise SystemExit


def test_a_process_that_dies_after_it_applied_one_applies_it_again_without_effect(waiting, monkeypatch):
    finish(waiting)
    send(event(payment_of(waiting)))
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.listening._change", _killed)
        with pytest.raises(SystemExit):
            services.apply_webhooks()
    assert services.apply_webhooks() == 1
    assert topics(waiting).count("order_placed") == 1


def test_one_that_can_not_be_applied_holds_up_no_other_and_is_parked_with_its_reason(api, waiting, monkeypatch):
    # given two reports, the older one of which breaks whoever applies it
    other = api.order((TEAPOT, 1)).json()
    api.pay(other, "tok_action")
    read = FakeProvider.read

    def broken_for_the_first(provider, *, key):
        return die() if key == payment_of(waiting).provider_key else read(provider, key=key)

    for each in (waiting, other):
        finish(each)
        send(event(payment_of(each)))
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "read", broken_for_the_first)
        # when the job comes round again and again
        for attempt in range(MAX_ATTEMPTS):
            assert services.apply_webhooks() == (1 if attempt == 0 else 0)
            make_due(WebhookInbox)
    # then the other one is applied, and this one waits for somebody who reads why
    assert [(r.state, r.attempts, r.reason) for r in stored(waiting)] == [("parked", MAX_ATTEMPTS, "RuntimeError")]
    assert api.get(f"orders/{other['id']}").json()["status"] == "placed"
    # and the reconciler finds the money all the same
    make_due(Payment)
    services.reconcile_payments()
    assert api.get(f"orders/{waiting['id']}").json()["status"] == "placed"


def test_a_provider_that_is_away_uses_up_no_attempt(api, waiting, monkeypatch):
    finish(waiting)
    send(event(payment_of(waiting)))
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "read", _away)
        for _ in range(MAX_ATTEMPTS + 1):
            services.apply_webhooks()
            make_due(WebhookInbox)
    assert [(row.state, row.attempts) for row in stored(waiting)] == [("stored", 0)]
    services.apply_webhooks()
    assert api.get(f"orders/{waiting['id']}").json()["status"] == "placed"


def _away(*_, **__):
    raise ProviderAway(detail="away")


def test_a_report_of_a_payment_in_a_bucket_far_away_is_not_mixed_up(waiting):
    """A number that is a good ID, of a payment that was never made, on either shard."""
    for near in (0, (1 << 63) - 1):
        assert send(event(public_id("pay", new_id("ordering", near=near)))).status_code == 200
    assert UnmatchedWebhook.objects.count() == 2
    assert not stored(waiting).exists()
