"""The claims of the first page, against the real server: it sells exactly the stock it has, and answers a key once."""

import secrets
from collections import Counter

import pytest

from tests.e2e.people import Customer, in_parallel


def test_forty_buyers_of_ten_pieces(shop, staff):
    # given ten pieces and forty customers
    teapot = staff.product("Teapot", stock=10)
    buyers = in_parallel([lambda: Customer(shop)] * 40)
    # when all order one at once
    answers = in_parallel([lambda buyer=buyer: buyer.order((teapot, 1)) for buyer in buyers])
    # then ten have one, thirty are told, nothing is left and nothing broke
    assert Counter(answer.status for answer in answers) == {201: 10, 409: 30}
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"out_of_stock"}
    assert staff.stock(teapot) == {"on_hand": 10, "reserved": 10, "available": 0}


def test_fifty_keys_sent_five_times_each(shop, staff):
    # given one customer's fifty orders, each sent by five impatient clients
    teapot = staff.product("Teapot", stock=1_000)
    buyer = Customer(shop)
    keys = [secrets.token_hex(8) for _ in range(50)]

    def until_answered(key):
        answer = buyer.order((teapot, 1), key=key)
        while answer.status == 409 and answer.json["code"] == "idempotency_in_progress":
            answer = buyer.order((teapot, 1), key=key)
        return key, answer

    answers = in_parallel([lambda key=key: until_answered(key) for key in keys * 5])
    # then each key has one order and five identical answers
    assert {answer.status for _, answer in answers} == {201}
    bodies = {key: {answer.body for k, answer in answers if k == key} for key in keys}
    assert {len(found) for found in bodies.values()} == {1}
    assert len(buyer.orders()) == 50
    assert staff.stock(teapot)["reserved"] == 50


def test_two_carts_in_opposite_order(shop, staff):
    # given two products on any shards, and customers who buy both in either order
    left, right = staff.product("Cup", stock=150), staff.product("Saucer", stock=150)
    buyers = in_parallel([lambda: Customer(shop)] * 10)
    # when they order two hundred times at once
    orders = [
        lambda buyer=buyers[n % 10], lines=((left, 1), (right, 1)) if n % 2 else ((right, 1), (left, 1)): buyer.order(
            *lines
        )
        for n in range(200)
    ]
    answers = in_parallel(orders)
    # then nothing broke, and the stock is what the orders say
    assert Counter(answer.status for answer in answers) == {201: 150, 409: 50}
    for variant in (left, right):
        assert staff.stock(variant) == {"on_hand": 150, "reserved": 150, "available": 0}


@pytest.mark.parametrize("keys", ["the same key", "a key each"])
def test_eight_copies_of_one_checkout(shop, staff, keys):
    # given a cart with three pieces, and eight copies of its checkout
    teapot = staff.product("Teapot", stock=100)
    buyer = Customer(shop)
    buyer.put(teapot, 3)
    sent = [secrets.token_hex(8)] * 8 if keys == "the same key" else [secrets.token_hex(8) for _ in range(8)]

    def until_answered(key):
        answer = buyer.check_out(key)
        while answer.status == 409 and answer.json["code"] == "idempotency_in_progress":
            answer = buyer.check_out(key)
        return answer

    # when they come at once
    answers = in_parallel([lambda key=key: until_answered(key) for key in sent])
    # then there is one order, every answer names it, and its pieces are held once
    assert {answer.status for answer in answers} == {201}
    [order] = buyer.orders()
    assert {answer.json["id"] for answer in answers} == {order["id"]}
    assert staff.stock(teapot)["reserved"] == 3
