"""Many at once, on real transactions: what is sold is what was there, and nobody meets an error of the database."""

from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from contexts.catalog.contract import OutOfStockError, ReservationCancelledError
from contexts.catalog.services import reservations
from contexts.catalog.tests.factories import (
    assert_the_books_balance,
    at_once,
    cancel,
    commit,
    new_order,
    reserve,
    state,
    stock,
    variant_on,
)
from shop.sharding import aliases_of

pytestmark = pytest.mark.django_db(databases=aliases_of("catalog"), transaction=True)


def reserved(order, wanted, **options):
    """Whether it was."""
    try:
        reserve(order, wanted, **options)
    except OutOfStockError:
        return False
    return True


def test_forty_buyers_of_ten_pieces_get_exactly_ten():
    cup, orders = variant_on(1, stock=10), [new_order() for _ in range(40)]
    won = at_once(40, lambda n: reserved(orders[n], {cup: 1}), threads=40)
    assert Counter(won) == {True: 10, False: 30}
    assert stock(cup) == (10, 10)
    assert_the_books_balance()


def test_two_hundred_orders_with_their_lines_in_opposite_order():
    # given two variants on each shard with pieces for some of the orders
    cups = [variant_on(shard, stock=60) for shard in (0, 1, 0, 1)]
    orders = [new_order() for _ in range(200)]
    # when every other order names them the other way round
    won = at_once(200, lambda n: reserved(orders[n], dict.fromkeys(cups if n % 2 else cups[::-1], 1)))
    # then none met anything but `out_of_stock`, and those who won hold a piece of each
    assert 0 < won.count(True) <= 60
    assert [stock(cup) for cup in cups] == [(60, won.count(True))] * 4
    assert_the_books_balance()


def test_copies_of_one_reserve_at_once_hold_it_once():
    cups, order = [variant_on(0), variant_on(1)], new_order()
    assert all(at_once(20, lambda _: reserved(order, dict.fromkeys(cups, 3))))
    assert [stock(cup) for cup in cups] == [(10, 3), (10, 3)]


def test_commit_and_cancel_at_once_end_in_the_same_place_whoever_is_first():
    cups, orders = [variant_on(0, stock=100), variant_on(1, stock=100)], [new_order() for _ in range(20)]
    for order in orders:
        reserve(order, dict.fromkeys(cups, 2))

    def settle(number):
        try:
            (commit if number % 2 else cancel)(orders[number // 2], *cups)
        except ReservationCancelledError:
            return "late"
        return "done"

    at_once(40, settle)
    for order in orders:
        assert {state(order, cup) for cup in cups} <= {"cancelled", "returned"}
    assert [stock(cup) for cup in cups] == [(100, 0), (100, 0)]
    assert_the_books_balance()


def test_two_sweepers_beside_commits_free_each_piece_once():
    cups, orders = [variant_on(0, stock=50), variant_on(1, stock=50)], [new_order() for _ in range(20)]
    for order in orders:
        reserve(order, dict.fromkeys(cups, 1), seconds=-1)

    def act(number):
        if number < 4:
            return reservations.expire_due(datetime.now(UTC))
        return commit(orders[number - 4], *cups)

    at_once(14, act)
    # the ten orders that were paid are sold, held or expired as they were; of the others nothing is held
    assert [stock(cup) for cup in cups] == [(40, 0), (40, 0)]
    assert_the_books_balance()


def test_a_day_in_random_order_leaves_the_books_balanced():
    dice = Random(7)
    cups, orders = [variant_on(shard, stock=30) for shard in (0, 1)], [new_order() for _ in range(12)]
    plan = [(dice.choice(("reserve", "commit", "cancel", "sweep")), dice.choice(orders)) for _ in range(150)]

    def act(number):
        what, order = plan[number]
        try:
            if what == "reserve":
                reserve(order, dict.fromkeys(cups, 3), seconds=dice.choice((-1, 600)))
            elif what == "sweep":
                reservations.expire_due(datetime.now(UTC))
            else:
                (commit if what == "commit" else cancel)(order, *cups)
        except (OutOfStockError, ReservationCancelledError) as expected:
            return expected.code
        return what

    assert len(at_once(150, act)) == 150
    assert_the_books_balance()
