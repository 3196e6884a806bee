"""Orders of a customer who was erased: what is kept, what is not, what goes on, and what comes too late."""

from datetime import UTC, datetime, timedelta

import pytest

from contexts.ordering.models import Cart, Order, WebhookInbox
from contexts.ordering.services import exporting
from contexts.ordering.services.providers import ProviderAway
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import at_once, make_due, number, payment_of, settle_everything, topics
from contexts.ordering.tests.conftest import ADDRESS, SPOON, TEAPOT, Api
from contexts.ordering.tests.webhooks import event, send
from shop.contract import PersonalData
from shop.events.relay import relay
from shop.privacy import erase_customer
from shop.privacy.erasing import AGAIN_AFTER, erase_again
from shop.privacy.models import Erasure
from shop.services import acting_as, provider_in
from shop.sharding import alias_of, aliases_of, shard_atomic
from tests.plugin import make_principal

NOWHERE = {"name": "", "line1": "", "line2": None, "city": "", "region": None, "postal_code": "", "country": "GB"}
PARCEL = {"carrier": "Royal Mail", "tracking_number": "AB1"}
COMMITTING = pytest.mark.django_db(databases=aliases_of("ordering"), transaction=True)


@pytest.fixture
def desk():
    return Api(make_principal("staff", "superuser"))


def erase(customer):
    erase_customer("ordering", customer.id)


def shown(desk, order):
    return desk.get(f"orders/{order['id']}").json()


def hand_over():
    for alias in aliases_of("ordering"):
        relay(alias)


def paid(api, *lines):
    order = api.order(*(lines or ((TEAPOT, 2),))).json()
    api.pay(order)
    return order


def shipped(api, desk):
    order = paid(api)
    assert desk.post(f"orders/{order['id']}/shipments", PARCEL).status_code == 201
    return order


def erasure_of(customer):
    return Erasure.objects.using(alias_of("ordering", customer.key)).get(pk=customer.key)


def let_time_pass(customer, by):
    """The erasure was done so long ago."""
    with shard_atomic("ordering", customer.key) as scope:
        past = datetime.now(UTC) - by
        Erasure.objects.using(scope.alias).filter(pk=customer.key).update(erased_at=past, due_at=past)


# ---- what becomes of an order --------------------------------------------------------------------------------


def test_what_was_not_sent_is_cancelled_and_paid_back(api, customer, desk, catalog):
    # given an order that is paid, and one that waits for its payment
    orders = [paid(api), api.order((SPOON, 1)).json()]
    hand_over()
    # when the customer is erased
    erase(customer)
    hand_over()
    settle_everything()
    # then pieces and money are back, and what it cost is still told
    after = [shown(desk, order) for order in orders]
    assert [each["status"] for each in after] == ["cancelled", "cancelled"]
    assert [each["payment_status"] for each in after] == ["refunded", "unpaid"]
    assert [each["total"] for each in after] == [order["total"] for order in orders]
    assert [each["shipping_address"] for each in after] == [NOWHERE, NOWHERE]
    assert (catalog.free[str(TEAPOT)], catalog.free[str(SPOON)]) == (10, 10)


def test_what_has_left_goes_on(api, customer, desk):
    order = shipped(api, desk)
    erase(customer)
    assert (shown(desk, order)["status"], shown(desk, order)["shipping_address"]) == ("placed", NOWHERE)
    assert desk.post(f"orders/{order['id']}/deliver", {}).json()["fulfilment_status"] == "delivered"
    assert shown(desk, order)["payment_status"] == "paid"


def test_what_people_wrote_is_gone_wherever_it_was_copied(api, customer, desk):
    order = paid(api)
    hand_over()
    api.post(f"orders/{order['id']}/cancel", {"reason": "we move to Old Street"})
    erase(customer)
    row = Order.objects.get(pk=number(order))
    assert row.cancel_reason == "erased"
    assert [refund["reason"] for refund in shown(desk, order)["refunds"]] == ["erased"]
    told = desk.get(f"orders/{order['id']}/timeline").json()["data"]
    assert [each["data"]["reason"] for each in told if "reason" in each["data"]] == ["erased"]
    assert topics(order)[-1] == "order_cancelled"


def test_nobody_elses_order_is_touched(api, customer, desk):
    others = [Api(make_principal()) for _ in range(4)]
    orders = [paid(each, (SPOON, 1)) for each in others]
    for each in others:
        each.put(TEAPOT, 1)
    before = [shown(desk, order) for order in orders]
    erase(customer)
    assert [shown(desk, order) for order in orders] == before
    assert [len(each.get("cart").json()["lines"]) for each in others] == [1] * 4


def test_the_cart_is_gone(api, customer):
    api.put(TEAPOT, 1)
    erase(customer)
    assert not Cart.objects.filter(customer_id=customer.key).exists()


# ---- what is under way ---------------------------------------------------------------------------------------


def test_while_the_provider_is_away_the_address_is_gone_and_the_order_cancelled_later(
    api, customer, desk, monkeypatch, books
):
    # given an order whose attempt to pay waits for its customer, and another one that is paid
    waiting, other = api.order((TEAPOT, 1)).json(), paid(api, (SPOON, 1))
    api.pay(waiting, "tok_action")

    def away(*_, **__):
        raise ProviderAway(detail="away")

    # when the provider does not answer
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "cancel", away)
        with pytest.raises(ProviderAway):
            erase(customer)
    # then no address is left, what can be cancelled is, and nothing is sent
    assert shown(desk, waiting)["shipping_address"] == NOWHERE
    assert (shown(desk, waiting)["status"], shown(desk, other)["status"]) == ("pending_payment", "cancelled")
    # and when it comes back, the rest is cancelled too
    erase(customer)
    assert shown(desk, waiting)["status"] == "cancelled"


def test_an_order_without_an_address_is_not_sent(api, customer, desk, monkeypatch):
    order = paid(api)
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.erasing.cancel_order", lambda **_: None)
        erase(customer)
    answer = desk.post(f"orders/{order['id']}/shipments", PARCEL)
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
    erase(customer)
    assert shown(desk, order)["status"] == "cancelled"


def test_a_checkout_whose_cart_goes_meanwhile_makes_no_order_and_holds_nothing(api, customer, catalog, monkeypatch):
    # given a checkout that has its pieces when the customer is erased
    api.put(TEAPOT, 2)
    reserve = catalog.reserve

    def erased_meanwhile(**arguments):
        offers = reserve(**arguments)
        with acting_as("ordering"):
            erase(customer)
        return offers

    monkeypatch.setattr(catalog, "reserve", erased_meanwhile)
    assert api.checkout().json()["code"] == "total_changed"
    assert not Order.objects.filter(customer_id=customer.key).exists()
    assert catalog.free[str(TEAPOT)] == 10


def test_an_order_that_comes_after_the_erasure_is_erased_when_no_token_is_left(api, customer, desk):
    # given an erased customer whose access token is still good somewhere
    erase(customer)
    late = paid(api)
    assert shown(desk, late)["shipping_address"]["city"] == ADDRESS["city"]
    # when the tokens are over
    let_time_pass(customer, AGAIN_AFTER[0])
    assert erase_again("ordering") == 1
    # then it is as if it had come before
    assert (shown(desk, late)["status"], shown(desk, late)["shipping_address"]) == ("cancelled", NOWHERE)
    settle_everything()


def test_an_erasure_is_looked_after_twice_and_then_never_again(customer):
    erase(customer)
    seen = [erasure_of(customer).due_at - erasure_of(customer).erased_at]
    for after in AGAIN_AFTER:
        let_time_pass(customer, after)
        assert erase_again("ordering") == 1
        row = erasure_of(customer)
        seen.append(row.due_at and row.due_at - row.erased_at)
    assert seen == [*AGAIN_AFTER, None]
    assert erase_again("ordering") == 0


def test_one_that_fails_is_tried_again_and_holds_up_no_other(customer, monkeypatch):
    other = make_principal()
    for each in (customer, other):
        erase(each)
        let_time_pass(each, AGAIN_AFTER[0])
    provider = provider_in("ordering", PersonalData)
    erase_here = provider.erase

    def fails_for_one(*, customer_id):
        if customer_id == customer.id:
            raise ValueError("a bug")
        erase_here(customer_id=customer_id)

    with monkeypatch.context() as patched:
        patched.setattr(provider, "erase", fails_for_one)
        with pytest.raises(ValueError, match="a bug"):
            erase_again("ordering")
    assert erasure_of(other).due_at > datetime.now(UTC)
    assert erase_again("ordering") == 1


def test_what_a_provider_reports_afterwards_is_stored_without_its_words(api, customer):
    order = paid(api)
    erase(customer)
    assert send(event(payment_of(order))).status_code == 200
    assert [row.body for row in WebhookInbox.objects.on(customer.key)] == [""]


@COMMITTING
@pytest.mark.parametrize("attempt", range(3))
def test_whatever_happens_to_orders_at_the_same_time_nothing_is_left(api, customer, desk, attempt):
    waiting, ready, sent = api.order((SPOON, 1)).json(), paid(api), shipped(api, desk)
    api.put(TEAPOT, 1)
    erase_now, acts = (lambda: erase(customer)), []
    acts += [lambda: api.pay(waiting), api.checkout, lambda: api.put(SPOON, 2)]
    acts += [lambda: desk.post(f"orders/{ready['id']}/shipments", PARCEL)]
    acts += [lambda: desk.post(f"orders/{sent['id']}/deliver", {})]
    answers = at_once([erase_now, erase_now, *acts])
    assert all(answer.status_code < 500 for answer in answers[2:])
    # when that is over, and the tokens are
    let_time_pass(customer, AGAIN_AFTER[0])
    erase_again("ordering")
    settle_everything()
    make_due()
    rows = list(Order.objects.on(customer.key).filter(customer_id=customer.key))
    assert {row.shipping_address["city"] for row in rows} == {""}
    assert {row.fulfilment_status for row in rows if row.status == "placed"} <= {"shipped", "delivered"}
    assert not Cart.objects.filter(customer_id=customer.key).exists()


# ---- what is told of it --------------------------------------------------------------------------------------


def test_an_export_has_every_order_with_its_timeline_and_the_cart(api, customer, monkeypatch):
    monkeypatch.setattr(exporting, "BATCH", 2)
    orders = [api.order((SPOON, 1)).json() for _ in range(5)]
    api.put(TEAPOT, 3)
    told = provider_in("ordering", PersonalData).export(customer_id=customer.id)
    assert [each["id"] for each in told["orders"]] == [order["id"] for order in reversed(orders)]
    assert [{**each, "timeline": None} for each in told["orders"]] == [
        {**api.get(f"orders/{order['id']}").json(), "timeline": None} for order in reversed(orders)
    ]
    assert {tuple(entry["type"] for entry in each["timeline"]) for each in told["orders"]} == {("order_created",)}
    assert [line["quantity"] for line in told["cart"]["lines"]] == [3]


def test_an_export_of_somebody_who_has_ordered_nothing_says_so():
    told = provider_in("ordering", PersonalData).export(customer_id=make_principal().id)
    assert told == {"cart": {"lines": []}, "orders": []}


def test_the_time_to_look_again_is_longer_than_a_token_lives_and_than_answers_are_kept():
    assert AGAIN_AFTER[0] > timedelta(minutes=5, seconds=15)
    assert AGAIN_AFTER[1] > timedelta(hours=24)
