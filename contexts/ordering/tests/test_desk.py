"""The order desk's day: cancel, ship, deliver, give money back, and what the timeline tells of it."""

from datetime import UTC, datetime

import pytest

from contexts.ordering import services
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import die, number
from contexts.ordering.tests.conftest import TEAPOT, Api
from shop.contract import ServiceUnavailable
from shop.events.relay import relay
from shop.http.idempotency import Claim
from shop.http.models import IdempotencyClaim
from shop.sharding import aliases_of
from shop.sharding.public_ids import public_id
from tests.plugin import make_principal

PARCEL = {"carrier": "Royal Mail", "tracking_number": "AB123456789GB"}


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


def cancel(api, order, **body):
    return api.post(f"orders/{order['id']}/cancel", body)


def ship(desk, order):
    return desk.post(f"orders/{order['id']}/shipments", PARCEL)


def deliver(desk, order):
    return desk.post(f"orders/{order['id']}/deliver", {})


def refund(desk, order, amount=None, currency="EUR"):
    money = {"amount": {"amount": amount, "currency": currency}} if amount is not None else {}
    return desk.post(f"orders/{order['id']}/refunds", {"reason": "a chipped spout", **money})


def types(api, order):
    return [entry["type"] for entry in api.get(f"orders/{order['id']}/timeline").json()["data"]]


def hand_over():
    for alias in aliases_of("ordering"):
        relay(alias)


# ---- cancelling ----------------------------------------------------------------------------------------------


def test_a_customer_cancels_an_unpaid_order_and_its_pieces_come_back(api, order, catalog):
    answer = cancel(api, order, reason="changed my mind")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    hand_over()
    assert catalog.free[str(TEAPOT)] == 10
    assert api.pay(order).json()["code"] == "order_not_payable"


def test_the_desk_cancels_a_paid_order_and_the_money_goes_back(api, placed, desk, catalog):
    # given a paid order whose pieces are sold
    hand_over()
    assert catalog.free[str(TEAPOT)] == 8
    # when the desk cancels it, then money and pieces go back
    assert cancel(desk, placed).status_code == 200
    assert services.give_money_back() == 1
    hand_over()
    after = api.get(f"orders/{placed['id']}").json()
    assert (after["status"], after["payment_status"]) == ("cancelled", "refunded")
    assert [(r["amount"]["amount"], r["status"]) for r in after["refunds"]] == [(2598, "succeeded")]
    assert catalog.free[str(TEAPOT)] == 10


def test_what_was_given_back_before_is_not_given_back_again(api, placed, desk):
    refund(desk, placed, 598)
    cancel(desk, placed)
    assert services.give_money_back() == 2
    after = api.get(f"orders/{placed['id']}").json()
    assert [r["amount"]["amount"] for r in after["refunds"]] == [598, 2000]
    assert after["payment_status"] == "refunded"


def test_a_charge_nobody_heard_of_is_found_before_the_order_is_cancelled(api, order, monkeypatch):
    # given a charge whose answer never reached our books
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.paying.settle", die)
        api.pay(order)
    # when the order is cancelled, then the money is owed back
    assert cancel(api, order).json()["payment_status"] == "paid"
    assert services.give_money_back() == 1
    assert api.get(f"orders/{order['id']}").json()["payment_status"] == "refunded"


def test_an_open_attempt_is_closed_before_the_order_is_cancelled(api, order, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "create", die)
        api.pay(order)
    assert [p["status"] for p in cancel(api, order).json()["payments"]] == ["cancelled"]


def test_a_dead_or_shipped_order_can_not_be_cancelled(api, placed, desk):
    ship(desk, placed)
    assert cancel(api, placed).json()["code"] == "order_not_cancellable"
    other = api.order((TEAPOT, 1)).json()
    cancel(api, other)
    assert cancel(api, other).json()["code"] == "order_not_cancellable"


def test_only_its_customer_and_the_desk_may_cancel(order):
    assert cancel(Api(make_principal()), order).status_code == 404
    assert cancel(Api(make_principal("staff", "catalog_editor")), order).status_code == 403


def test_the_same_key_cancels_once_and_answers_alike(api, order):
    first, second = (api.post(f"orders/{order['id']}/cancel", {}, key="c") for _ in range(2))
    assert (second.status_code, second.content) == (200, first.content)


# ---- shipping ------------------------------------------------------------------------------------------------


def test_a_placed_order_is_shipped_and_delivered(api, placed, desk):
    # when
    answer = ship(desk, placed)
    assert (answer.status_code, answer.json()["tracking_number"]) == (201, "AB123456789GB")
    assert api.get(f"orders/{placed['id']}").json()["fulfilment_status"] == "shipped"
    delivered = deliver(desk, placed).json()
    # then
    assert delivered["fulfilment_status"] == "delivered"
    assert delivered["shipments"][0]["delivered_at"] is not None


def test_what_leads_nowhere_is_refused(api, order, desk):
    assert ship(desk, order).json()["code"] == "invalid_transition"
    assert deliver(desk, order).json()["code"] == "invalid_transition"
    api.pay(order)
    ship(desk, order)
    assert ship(desk, order).json()["code"] == "invalid_transition"
    deliver(desk, order)
    assert deliver(desk, order).json()["code"] == "invalid_transition"


def test_an_order_that_is_not_there_is_not_shipped(desk):
    nowhere = {"id": public_id("ord", 1)}
    for act in (ship, deliver, refund, cancel):
        assert act(desk, nowhere).status_code == 404


@pytest.mark.parametrize("act", [ship, deliver, refund])
def test_nobody_but_the_desk_ships_or_refunds(api, placed, act):
    assert act(api, placed).status_code == 403
    assert act(Api(make_principal("staff", "read_only")), placed).status_code == 403


def test_no_parcel_leaves_before_its_pieces_are_sold(placed, desk, catalog):
    # given a placed order whose event was not handled yet
    assert catalog.sold == {}
    # when it is shipped, then its pieces are sold, whatever becomes of what held them
    ship(desk, placed)
    assert list(catalog.sold) == [str(number(placed))]


def test_an_order_whose_pieces_are_gone_is_not_shipped_but_cancelled(api, placed, desk, catalog):
    # given a placed order, and pieces that somebody else has got
    catalog.lost = True
    # when it is to be shipped, then there is nothing to ship, and the money goes back
    assert ship(desk, placed).json()["code"] == "invalid_transition"
    services.give_money_back()
    after = api.get(f"orders/{placed['id']}").json()
    assert (after["status"], after["payment_status"], after["fulfilment_status"]) == (
        *("cancelled", "refunded", "unfulfilled"),
    )


def test_a_catalog_that_is_away_holds_the_parcel_up(api, placed, desk, catalog):
    catalog.broken = ServiceUnavailable(detail="away")
    assert ship(desk, placed).status_code == 503
    catalog.broken = None
    assert ship(desk, placed).status_code == 201


def test_a_parcel_that_is_gone_is_not_refunded_for_lost_stock(api, placed, desk, catalog):
    # given an order that was shipped while its event was being handled, for which catalog had too few pieces then
    ship(desk, placed)
    catalog.lost = True
    # when the event is handled, then the order stands
    hand_over()
    after = api.get(f"orders/{placed['id']}").json()
    assert (after["status"], after["payment_status"], after["refunds"]) == ("placed", "paid", [])


# ---- refunds -------------------------------------------------------------------------------------------------


def test_part_of_the_money_goes_back(api, placed, desk):
    answer = refund(desk, placed, 598)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    services.give_money_back()
    after = api.get(f"orders/{placed['id']}").json()
    assert (after["status"], after["payment_status"]) == ("placed", "partially_refunded")
    # and without an amount the rest
    assert refund(desk, placed).json()["amount"]["amount"] == 2000
    services.give_money_back()
    assert api.get(f"orders/{placed['id']}").json()["payment_status"] == "refunded"


@pytest.mark.parametrize(
    "request_of",
    [
        ("refunds", {"reason": "a chipped spout", "amount": {"amount": 100, "currency": "EUR"}}),
        ("shipments", PARCEL),
    ],
)
def test_a_repetition_after_a_lost_answer_finds_what_the_first_one_did(api, placed, desk, monkeypatch, request_of):
    what, body = request_of
    # given an effect that was written, and an answer that was not: staff's claim lies on another shard than the order
    with monkeypatch.context() as patched:
        patched.setattr(Claim, "keep_within", lambda *_: None)
        patched.setattr(Claim, "keep", die)
        assert desk.post(f"orders/{placed['id']}/{what}", body, key="k").status_code == 500
    for alias in aliases_of("ordering"):
        IdempotencyClaim.objects.using(alias).update(lease_until=datetime.now(UTC))
    # when it comes again under its key
    again = desk.post(f"orders/{placed['id']}/{what}", body, key="k")
    # then it is one and the same
    assert again.status_code == 201
    assert [each["id"] for each in api.get(f"orders/{placed['id']}").json()[what]] == [again.json()["id"]]


@pytest.mark.parametrize("act", ["cancel", "deliver"])
def test_a_repeated_step_after_a_lost_answer_is_no_conflict(api, placed, desk, monkeypatch, act):
    # given a step that was taken, and an answer that was not written
    if act == "deliver":
        ship(desk, placed)
    with monkeypatch.context() as patched:
        patched.setattr(Claim, "keep_within", lambda *_: None)
        patched.setattr(Claim, "keep", die)
        assert desk.post(f"orders/{placed['id']}/{act}", {}, key="k").status_code == 500
    for alias in aliases_of("ordering"):
        IdempotencyClaim.objects.using(alias).update(lease_until=datetime.now(UTC))
    # when it comes again under its key, then it shows the order; under another key it is one step too many
    assert desk.post(f"orders/{placed['id']}/{act}", {}, key="k").status_code == 200
    assert desk.post(f"orders/{placed['id']}/{act}", {}, key="other").status_code == 409


def test_never_more_than_was_paid(placed, desk):
    assert refund(desk, placed, 2599).json()["code"] == "refund_exceeds_payment"
    assert refund(desk, placed, 100, "GBP").json()["code"] == "refund_exceeds_payment"
    refund(desk, placed, 2000)
    assert refund(desk, placed, 599).json()["code"] == "refund_exceeds_payment"
    assert refund(desk, placed, 598).status_code == 201
    assert refund(desk, placed).json()["code"] == "refund_exceeds_payment"


def test_what_was_not_paid_can_not_go_back(order, desk):
    assert refund(desk, order, 1).json()["code"] == "refund_exceeds_payment"


# ---- timeline and filters ------------------------------------------------------------------------------------


def test_the_timeline_tells_what_happened_in_its_order(api, order, desk):
    api.pay(order, "tok_declined")
    api.pay(order)
    ship(desk, order)
    deliver(desk, order)
    refund(desk, order, 100)
    services.give_money_back()
    assert types(api, order) == [
        "order_created",
        "payment_failed",
        "payment_captured",
        "order_placed",
        "order_shipped",
        "order_delivered",
        "refund_requested",
        "order_refunded",
    ]
    assert Api(make_principal()).get(f"orders/{order['id']}/timeline").status_code == 404


def test_orders_are_found_by_status_and_customer(api, order, desk):
    # given an unpaid and a paid order of one customer, and one of another
    paid = api.order((TEAPOT, 1)).json()
    api.pay(paid)
    Api(make_principal()).order((TEAPOT, 1))

    def found(caller, query):
        return {each["id"] for each in caller.get(f"orders?{query}").json()["data"]}

    assert found(api, "status=placed") == {paid["id"]}
    assert found(api, "payment_status=unpaid&fulfilment_status=unfulfilled") == {order["id"]}
    assert found(desk, f"customer_id={order['customer_id']}") == {paid["id"], order["id"]}
    assert found(desk, f"customer_id={order['customer_id']}&status=placed") == {paid["id"]}
    assert len(found(desk, "status=pending_payment")) == 2


def test_a_filter_that_is_none_is_refused(api, desk):
    assert api.get("orders?status=lost").json()["errors"][0]["code"] == "unknown_status"
    assert desk.get("orders?customer_id=ord_1").json()["code"] == "invalid_id"
