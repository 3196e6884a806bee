"""The cart, and checking it out: one order of one version, whoever asks how often."""

from functools import partial

import pytest
from django.conf import settings

from contexts.ordering.models import Cart
from contexts.ordering.tests.books import at_once, die
from contexts.ordering.tests.conftest import SPOON, TEAPOT, Api
from shop.sharding import MixedShards, bucket_of
from shop.sharding.ids import compose
from shop.sharding.public_ids import number_of, public_id
from shop.sharding.together import insert_if_new
from tests.plugin import make_principal

COMMITTING = pytest.mark.django_db(
    databases=[alias for alias in settings.DATABASES if alias.startswith("ordering_")], transaction=True
)


def lines(cart):
    return [(line["variant_id"], line["quantity"]) for line in cart["lines"]]


def test_a_new_customers_cart_is_empty(api):
    assert api.get("cart").json() == {"version": 0, "lines": [], "total": None}


def test_a_cart_shows_todays_prices_and_what_is_left(api, catalog):
    # given two spoons and a teapot in the cart
    api.put(SPOON, 2)
    cart = api.put(TEAPOT, 1).json()
    assert lines(cart) == [(public_id("var", SPOON), 2), (public_id("var", TEAPOT), 1)]
    assert cart["total"] == {"amount": 1799, "currency": "EUR"}
    assert [line["available"] for line in cart["lines"]] == [10, 10]
    # when a price changes, then the cart shows the new one
    catalog.stock(SPOON, 3, price=300)
    assert api.get("cart").json()["lines"][0]["unit_price"]["amount"] == 300


def test_a_cart_that_costs_more_than_any_order_may_is_still_shown(api, catalog):
    for variant in (TEAPOT, SPOON):
        catalog.stock(variant, 10**6, price=10**12)
        assert api.put(variant, 10**6).status_code == 200
    assert api.get("cart").json()["total"]["amount"] == 2 * 10**18


def test_putting_replaces_and_nothing_removes(api):
    api.put(TEAPOT, 1)
    assert lines(api.put(TEAPOT, 3).json()) == [(public_id("var", TEAPOT), 3)]
    assert lines(api.put(TEAPOT, 0).json()) == []
    assert lines(api.put(TEAPOT, 0).json()) == []


def test_only_a_change_raises_the_version(api):
    before = api.put(TEAPOT, 1).json()["version"]
    assert api.put(TEAPOT, 1).json()["version"] == before
    assert api.put(TEAPOT, 2).json()["version"] == before + 1


def test_a_cart_can_be_cleared(api):
    api.put(TEAPOT, 1)
    assert api.delete("cart").status_code == 204
    assert lines(api.get("cart").json()) == []
    assert api.delete("cart").status_code == 204


def test_what_is_unknown_or_not_for_sale_is_refused(api, catalog):
    assert api.put(TEAPOT + 1, 1).json()["code"] == "variant_not_found"
    catalog.withdrawn.add(str(TEAPOT))
    answer = api.put(TEAPOT, 1)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_for_sale")


@pytest.mark.parametrize("quantity", [-1, 1_000_001, "1", None, 1.5])
def test_a_quantity_that_is_none_is_refused(api, quantity):
    assert api.put(TEAPOT, quantity).status_code == 422


def test_carts_are_apart(api):
    api.put(TEAPOT, 1)
    assert lines(Api(make_principal()).get("cart").json()) == []


def test_checking_out_makes_an_order_and_empties_the_cart(api, catalog):
    # given
    api.put(TEAPOT, 2)
    # when
    answer = api.checkout(expected_total={"amount": 2598, "currency": "EUR"})
    # then
    assert (answer.status_code, answer.json()["status"]) == (201, "pending_payment")
    assert lines(api.get("cart").json()) == []
    assert catalog.free[str(TEAPOT)] == 8


def test_an_empty_cart_can_not_be_checked_out(api):
    assert api.checkout().json()["code"] == "cart_empty"
    api.put(TEAPOT, 1)
    api.delete("cart")
    assert api.checkout().json()["code"] == "cart_empty"


def test_another_key_gives_the_same_order_while_it_waits_for_payment(api, catalog):
    # given a checked-out cart
    api.put(TEAPOT, 1)
    order = api.checkout().json()
    # when it is checked out again, then it is the same order
    again = api.checkout()
    assert (again.status_code, again.json()["id"]) == (201, order["id"])
    # and once that is paid, the cart is empty
    api.pay(order)
    assert api.checkout().json()["code"] == "cart_empty"
    assert catalog.free[str(TEAPOT)] == 9


def test_a_cart_that_was_filled_and_emptied_since_is_just_empty(api):
    api.put(TEAPOT, 1)
    api.checkout()
    api.put(SPOON, 1)
    api.put(SPOON, 0)
    assert api.checkout().json()["code"] == "cart_empty"


def test_a_cart_holds_as_many_lines_as_an_order(api, monkeypatch):
    monkeypatch.setattr("contexts.ordering.services.carts.MAX_LINES", 1)
    api.put(TEAPOT, 1)
    assert api.put(SPOON, 1).json()["code"] == "cart_full"
    assert api.put(TEAPOT, 2).status_code == 200


def test_a_new_cart_makes_a_new_order(api):
    api.put(TEAPOT, 1)
    first = api.checkout().json()["id"]
    api.put(SPOON, 1)
    assert api.checkout().json()["id"] != first


def test_another_total_than_agreed_leaves_the_cart_as_it_was(api, catalog):
    api.put(TEAPOT, 1)
    answer = api.checkout(expected_total={"amount": 1, "currency": "EUR"})
    assert (answer.status_code, answer.json()["code"]) == (409, "total_changed")
    assert catalog.free[str(TEAPOT)] == 10
    # and it can be checked out with the right one
    assert api.checkout(expected_total={"amount": 1299, "currency": "EUR"}).status_code == 201


def test_short_stock_leaves_the_cart_and_can_be_tried_again(api, catalog):
    api.put(TEAPOT, 11)
    assert api.checkout().json()["errors"][0]["available"] == 10
    catalog.free[str(TEAPOT)] = 20
    assert api.checkout().status_code == 201


def test_a_cart_that_changes_while_it_is_checked_out_makes_no_order(api, catalog, monkeypatch):
    # given a customer who adds a spoon on another device while catalog holds the teapot
    api.put(TEAPOT, 1)
    reserve = catalog.reserve

    def slow(**arguments):
        held = reserve(**arguments)
        api.put(SPOON, 1)
        return held

    monkeypatch.setattr(catalog, "reserve", slow)
    # when
    answer = api.checkout()
    # then nothing is ordered or held, and the cart has both
    assert (answer.status_code, answer.json()["code"]) == (409, "total_changed")
    assert api.get("orders").json()["data"] == []
    assert catalog.free[str(TEAPOT)] == 10
    assert len(lines(api.get("cart").json())) == 2


@pytest.mark.parametrize("others", [0, 1], ids=["nobody else", "another device between"])
def test_a_checkout_that_was_cut_off_leaves_its_pieces_to_no_other_version(api, catalog, monkeypatch, others):
    # given a process that died when it held two things, and a cart that was changed since
    api.put(TEAPOT, 1)
    api.put(SPOON, 2)
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.placing._write", die)
        assert api.checkout("k").status_code == 500
        api.put(SPOON, 0)
        for _ in range(others):
            assert api.checkout().status_code == 500
            api.put(SPOON, 1)
    api.put(TEAPOT, 3)
    # when the same request comes again, then its order has reserved what the cart has now, and nothing else
    order = api.checkout("k").json()
    reserved = catalog.held[str(number_of("ord", order["id"]))]
    assert reserved == {str(TEAPOT): 3, **({str(SPOON): 1} if others else {})}
    assert lines(order) == [(public_id("var", int(variant)), pieces) for variant, pieces in reserved.items()]
    # and once more it is the same order
    assert api.checkout("k").json()["id"] == order["id"]


def test_a_cart_in_another_bucket_than_its_customer_is_never_stored(api):
    elsewhere = compose(bucket=bucket_of(api.caller.key) ^ 1, tick=1, worker=0)
    with pytest.raises(MixedShards):
        insert_if_new("ordering", Cart(id=elsewhere, customer_id=api.caller.key))


@COMMITTING
def test_what_eight_devices_put_in_at_once_is_all_there(api, catalog):
    # given a customer without a cart, on eight devices
    variants = [catalog.stock(TEAPOT + number, 10) for number in range(8)]
    # when each puts something else in, then the cart holds it all, and has changed as often
    answers = at_once([partial(api.put, variant, 2) for variant in variants])
    assert [answer.status_code for answer in answers] == [200] * 8
    cart = api.get("cart").json()
    assert (len(cart["lines"]), cart["version"]) == (8, 9)


@COMMITTING
@pytest.mark.parametrize("keys", [["same"] * 8, list("abcdefgh")], ids=["one key", "eight keys"])
def test_eight_copies_of_one_checkout_make_one_order(api, catalog, keys):
    # given a cart that takes all there is
    api.put(TEAPOT, 10)

    def check_out(key):
        answer = api.checkout(key)
        while answer.status_code == 409 and answer.json()["code"] == "idempotency_in_progress":
            answer = api.checkout(key)
        return answer

    # when eight copies come at once
    answers = at_once([partial(check_out, key) for key in keys])
    # then all name the one order
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(api.get("orders").json()["data"]) == 1
    assert catalog.free[str(TEAPOT)] == 0
