"""`POST /orders`: what comes out, what is refused, what a repetition does."""

import pytest

from contexts.ordering.models import Order
from contexts.ordering.tests.conftest import SPOON, TEAPOT, Api, order_body
from shop.contract import ServiceUnavailable
from shop.events.models import OutboxEvent
from shop.sharding import alias_of, shard_atomic
from shop.sharding.public_ids import number_of
from tests.plugin import bearer, make_principal


def test_an_order_holds_its_pieces_and_waits_for_payment(api, catalog):
    # when two teapots and a spoon are ordered
    answer = api.order((TEAPOT, 2), (SPOON, 1))
    # then the order shows what they cost, and nobody else can have them
    order = answer.json()
    assert answer.status_code == 201
    assert (order["status"], order["payment_status"]) == ("pending_payment", "unpaid")
    assert [line["total"]["amount"] for line in order["lines"]] == [2598, 250]
    assert order["total"] == {"amount": 2848, "currency": "EUR"}
    assert order["number"].replace("-", "") == order["id"].removeprefix("ord_")
    assert (catalog.free[str(TEAPOT)], catalog.free[str(SPOON)]) == (8, 9)
    # and reading it gives the same
    assert api.get(f"orders/{order['id']}").json() == order


def test_the_order_lies_on_its_customers_shard_with_one_event(api):
    api.order((TEAPOT, 1))
    alias = alias_of("ordering", api.caller.key)
    assert Order.objects.using(alias).filter(customer_id=api.caller.key).count() == 1
    assert list(OutboxEvent.objects.using(alias).values_list("topic", "event_seq")) == [
        ("ordering.order_created.v1", 1)
    ]


def test_short_lines_are_named_with_what_is_left(api, catalog):
    answer = api.order((SPOON, 1), (TEAPOT, 11))
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["code"] == "out_of_stock"
    assert [(e["field"], e["available"]) for e in problem["errors"]] == [("lines.1", 10)]
    assert catalog.free[str(SPOON)] == 10


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"lines": []}, "lines", "out_of_range"),
        ({"surprise": 1}, "surprise", "unknown_field"),
        ({"lines": [{"variant_id": "var_0", "quantity": 1}]}, "lines.0.variant_id", "invalid_id"),
        ({"lines": [{"variant_id": "x", "quantity": 0}]}, "lines.0.quantity", "out_of_range"),
        ({"lines": [{"variant_id": "x", "quantity": "2"}]}, "lines.0.quantity", "invalid"),
        ({"lines": [{"variant_id": "x", "quantity": 1_000_001}]}, "lines.0.quantity", "out_of_range"),
        ({"shipping_address": None}, "shipping_address", "invalid"),
    ],
)
def test_a_request_at_fault_is_told_where(api, change, field, code):
    answer = api.post("orders", {**order_body((TEAPOT, 1)), **change})
    named = code if code in ("unknown_field", "invalid_id") else "invalid"
    assert (answer.status_code, answer.json()["code"]) == (422, named)
    assert (field, code) in [(e["field"], e["code"]) for e in answer.json()["errors"]]


def test_blanks_are_no_address_and_do_not_surround_one(api):
    body = order_body((TEAPOT, 1))
    blank = api.post("orders", {**body, "shipping_address": {**body["shipping_address"], "name": "   "}})
    assert [e["field"] for e in blank.json()["errors"]] == ["shipping_address.name"]
    padded = api.post("orders", {**body, "shipping_address": {**body["shipping_address"], "name": " Ada\n"}})
    assert padded.json()["shipping_address"]["name"] == "Ada"


def test_an_address_in_no_country_is_refused(api):
    body = order_body((TEAPOT, 1))
    answer = api.post("orders", {**body, "shipping_address": {**body["shipping_address"], "country": "XX"}})
    assert [e["field"] for e in answer.json()["errors"]] == ["shipping_address.country"]


def test_a_variant_twice_is_refused_before_catalog_is_asked(api, catalog):
    answer = api.order((TEAPOT, 1), (TEAPOT, 2))
    assert (answer.status_code, answer.json()["code"]) == (422, "duplicate_line")
    assert catalog.held == {}


def test_another_total_than_agreed_gives_the_pieces_back(api, catalog):
    answer = api.order((TEAPOT, 1), expected_total={"amount": 1, "currency": "EUR"})
    assert (answer.status_code, answer.json()["code"]) == (409, "total_changed")
    assert catalog.free[str(TEAPOT)] == 10


def test_two_currencies_give_the_pieces_back(api, catalog):
    catalog.stock(SPOON, 5, currency="GBP")
    answer = api.order((TEAPOT, 1), (SPOON, 1))
    assert (answer.status_code, answer.json()["code"]) == (409, "currency_mismatch")
    assert (catalog.free[str(TEAPOT)], catalog.free[str(SPOON)]) == (10, 5)


def test_a_total_beyond_what_can_be_stored_is_refused_and_gives_the_pieces_back(api, catalog):
    # given two variants at the highest price, a million pieces each
    variants = [catalog.stock(variant, 10**6, price=10**12) for variant in (TEAPOT, SPOON)]
    # when all of them are ordered, then it is the order's fault
    answer = api.order(*[(variant, 10**6) for variant in variants])
    assert (answer.status_code, answer.json()["code"]) == (422, "total_too_large")
    assert catalog.free[str(TEAPOT)] == 10**6


def test_a_long_name_is_cut_to_what_a_line_holds(api, catalog):
    catalog.name = "Teapot " * 60
    answer = api.order((TEAPOT, 1))
    assert answer.status_code == 201
    assert answer.json()["lines"][0]["name"] == catalog.name[:300]


def test_an_address_that_would_not_be_accepted_any_more_is_still_shown(api):
    # given an order to a country that has left the list since
    order = api.order((TEAPOT, 1)).json()
    number = number_of("ord", order["id"])
    with shard_atomic("ordering", number):
        Order.objects.filter(pk=number).update(shipping_address={**order["shipping_address"], "country": "YU"})
    # then it is read as it was written
    answer = api.get(f"orders/{order['id']}")
    assert (answer.status_code, answer.json()["shipping_address"]["country"]) == (200, "YU")


def test_the_same_key_gives_the_same_bytes_and_one_order(api, catalog):
    first = api.order((TEAPOT, 1), key="k")
    second = api.order((TEAPOT, 1), key="k")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second["Idempotent-Replay"] == "true"
    assert catalog.free[str(TEAPOT)] == 9


def test_the_same_key_for_another_request_is_refused(api):
    api.order((TEAPOT, 1), key="k")
    answer = api.order((TEAPOT, 2), key="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_refusal_is_kept_under_its_key(api, catalog):
    first = api.order((TEAPOT, 11), key="k")
    catalog.free[str(TEAPOT)] = 100
    assert api.order((TEAPOT, 11), key="k").content == first.content


def test_an_unavailable_catalog_is_503_and_the_key_can_be_used_again(api, catalog):
    # given a catalog that is away
    catalog.broken = ServiceUnavailable(detail="away")
    answer = api.order((TEAPOT, 1), key="k")
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    # when it is back, then the same key places the order
    catalog.broken = None
    assert api.order((TEAPOT, 1), key="k").status_code == 201


def test_a_crash_after_the_order_was_written_gives_that_order_to_the_next_try(api, catalog, monkeypatch):
    # given an answer that breaks off after the order was committed
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.api.orders.answering", _keep_nothing)
        patched.setattr("contexts.ordering.api.orders.created_order", _crash)
        assert api.order((TEAPOT, 1), key="k").status_code == 500
    # when the same request comes again, then it finds its order
    answer = api.order((TEAPOT, 1), key="k")
    assert answer.status_code == 201
    assert len(api.get("orders").json()["data"]) == 1
    assert catalog.free[str(TEAPOT)] == 9


def _keep_nothing(request, render):
    return lambda order: None


def _crash(order):
    raise RuntimeError("the process is gone")


def test_without_a_key_nothing_is_ordered(api, client):
    answer = client.post("/api/v1/ordering/orders", "{}", content_type="application/json", **bearer(api.caller))
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


def test_staff_can_not_order(api):
    answer = Api(make_principal("staff", "superuser")).order((TEAPOT, 1))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_somebody_elses_order_is_not_found(api):
    order = api.order((TEAPOT, 1)).json()
    assert Api(make_principal()).get(f"orders/{order['id']}").status_code == 404
    assert Api(make_principal("staff", "read_only")).get(f"orders/{order['id']}").status_code == 200


@pytest.mark.parametrize("text", ["ord_0", "prd_00000000000000", "x", "ord_" + "Z" * 14])
def test_a_damaged_id_is_not_found(api, text):
    assert api.get(f"orders/{text}").status_code == 404
