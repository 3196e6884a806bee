"""Ordering's invariants, and the fake provider's books: orders of every kind are clean, every fault is found."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from contexts.ordering.models import Payment
from contexts.ordering.services.auditing import fake_money
from contexts.ordering.services.providers import ProviderAway
from contexts.ordering.services.providers.fake_books import books as cursor_in_books
from contexts.ordering.tests.books import falsify, number, payment_of
from contexts.ordering.tests.kinds import Kinds
from shop.invariants.registry import declared
from shop.invariants.runner import Runner
from shop.sharding import alias_of, new_id
from shop.sharding.public_ids import public_id
from tests.auditing import broken, checked, plant

CONTEXT = "ordering"
NAMES = ("5", "6", "7", "8", "9", "11", "fake_provider")
CLEAN: dict[str, list[str]] = {name: [] for name in NAMES}


@pytest.fixture
def kinds(catalog):
    return Kinds(catalog)


@pytest.fixture(autouse=True)
def only_our_charges(books):
    """The provider keeps what other tests were charged, whose payments are rolled back."""
    with cursor_in_books() as cursor:
        cursor.execute("DELETE FROM fake_refund")
        cursor.execute("DELETE FROM fake_intent")
    books.stay_open("compared by the tests themselves")


def found():
    """Orders by the invariant that they break."""
    return {name: sorted({ids[0] for ids in broken(name, CONTEXT)}) for name in NAMES}


def only(orders, *names):
    return CLEAN | {name: sorted(order["id"] for order in orders) for name in names}


KINDS = [
    ("", ""),
    ("", "cancel"),
    ("", "expire"),
    ("tok_ok", ""),
    ("tok_action", ""),
    ("tok_declined", ""),
    ("tok_declined", "cancel"),
    ("tok_action", "cancel"),
    ("tok_action", "expire pay_late"),
    ("tok_action", "cancel pay_late pay_back"),
    ("tok_ok", "ship"),
    ("tok_ok", "ship arrive"),
    ("tok_ok", "ship arrive complete refund"),
    ("tok_ok", "refund pay_back"),
    ("tok_ok", "cancel"),
    ("tok_ok", "refund cancel pay_back"),
]


def test_orders_of_every_kind_are_clean_and_looked_at(kinds):
    for pay, then in KINDS:
        kinds.orders(pay, then)
    assert found() == CLEAN
    orders, attempts = 2 * len(KINDS), 2 * sum(1 for pay, _ in KINDS if pay)
    taken = 2 * sum(1 for pay, then in KINDS if pay == "tok_ok" or "late" in then)
    sold = 2 * sum(1 for pay, then in KINDS if pay == "tok_ok" and "cancel" not in then)
    assert checked("6", CONTEXT) == orders
    assert (checked("7", CONTEXT), checked("8", CONTEXT)) == (attempts, taken)
    assert checked("11", CONTEXT) == orders + attempts
    assert checked("9", CONTEXT) == orders - 2 * 3  # without those that wait
    assert checked("5", CONTEXT) == orders + sold
    assert checked("fake_provider", CONTEXT) == attempts + taken


UNPAID, CANCELLED, PAID, SHIPPED = ("", ""), ("", "cancel"), ("tok_ok", ""), ("tok_ok", "ship")
ARRIVED, OWED, PAID_BACK = ("tok_ok", "ship arrive"), ("tok_ok", "refund"), ("tok_ok", "refund pay_back")
PAID_AND_CANCELLED, SURPLUS = ("tok_ok", "cancel"), ("tok_action", "expire pay_late")
WAITING, DECLINED = ("tok_action", ""), ("tok_declined", "")

# (an order, by its payment and what happened then; what was done behind everybody's back; what that breaks)
PLANTED = [
    (UNPAID, "UPDATE shop_ordering_order SET total = total + 1 WHERE id = %s", "6"),
    (UNPAID, "UPDATE shop_ordering_order SET subtotal = subtotal + 1 WHERE id = %s", "6"),
    (UNPAID, "UPDATE shop_ordering_order SET discount_total = 1 WHERE id = %s", "6"),
    (UNPAID, "UPDATE shop_ordering_order SET shipping_total = 1, total = total - 1 WHERE id = %s", "6"),
    (UNPAID, "UPDATE shop_ordering_orderline SET total = total + 1 WHERE order_id = %s AND position = 0", "6"),
    (PAID, "UPDATE shop_ordering_order SET total = total - 1, subtotal = subtotal - 1 WHERE id = %s", "6 7"),
    (PAID, "UPDATE shop_ordering_payment SET amount = amount - 1 WHERE order_id = %s", "7"),
    (PAID, "UPDATE shop_ordering_paymentevent SET amount = amount + 1 WHERE payment_id = %s", "7 fake_provider"),
    (OWED, "UPDATE shop_ordering_refund SET amount = 9000 WHERE order_id = %s", "7"),
    (OWED, "UPDATE shop_ordering_refund SET status = 'succeeded' WHERE order_id = %s", "7"),
    (PAID_BACK, "UPDATE shop_ordering_refund SET status = 'failed' WHERE order_id = %s", "7"),
    (
        PAID_BACK,
        "UPDATE shop_ordering_paymentevent SET amount = 9000 WHERE payment_id = %s AND kind = 'refunded'",
        "7 11 fake_provider",
    ),
    (PAID, "DELETE FROM shop_ordering_paymentevent WHERE payment_id = %s", "7 11 fake_provider"),
    (PAID_AND_CANCELLED, "DELETE FROM shop_ordering_refund WHERE order_id = %s", "8"),
    (PAID_AND_CANCELLED, "UPDATE shop_ordering_refund SET status = 'failed' WHERE order_id = %s", "8"),
    (PAID_AND_CANCELLED, "UPDATE shop_ordering_refund SET amount = amount - 1 WHERE order_id = %s", "8"),
    (SURPLUS, "DELETE FROM shop_ordering_refund WHERE order_id = %s", "8"),
    (PAID, "UPDATE shop_ordering_payment SET surplus = true WHERE order_id = %s", "8 11"),
    (PAID, "UPDATE shop_ordering_order SET status = 'expired' WHERE id = %s", "8 9 11"),
    (PAID, "UPDATE shop_ordering_order SET status = 'completed' WHERE id = %s", "11"),
    (UNPAID, "UPDATE shop_ordering_order SET status = 'placed' WHERE id = %s", "9 11"),
    (CANCELLED, "UPDATE shop_ordering_order SET status = 'pending_payment' WHERE id = %s", "5 11"),
    (PAID, "UPDATE shop_ordering_order SET payment_status = 'refunded' WHERE id = %s", "11"),
    (WAITING, "UPDATE shop_ordering_order SET payment_status = 'unpaid' WHERE id = %s", "11"),
    (SHIPPED, "UPDATE shop_ordering_order SET fulfilment_status = 'delivered' WHERE id = %s", "11"),
    (SHIPPED, "DELETE FROM shop_ordering_shipment WHERE order_id = %s", "11"),
    (ARRIVED, "UPDATE shop_ordering_shipment SET delivered_at = NULL WHERE order_id = %s", "11"),
    (PAID, "DELETE FROM shop_ordering_timelineentry WHERE order_id = %s AND type = 'order_placed'", "11"),
    (PAID, "DELETE FROM shop_ordering_timelineentry WHERE order_id = %s", "11"),
    (PAID, "UPDATE shop_ordering_payment SET status = 'failed' WHERE order_id = %s", "11"),
    (DECLINED, "UPDATE shop_ordering_payment SET status = 'pending' WHERE order_id = %s", "11"),
    (DECLINED, "UPDATE shop_ordering_payment SET status = 'captured' WHERE order_id = %s", "7 11"),
]


@pytest.mark.parametrize(("how", "statement", "names"), PLANTED)
def test_books_that_do_not_agree_are_found(kinds, how, statement, names):
    # given an order on each shard to which something is done, and others that stay as they are
    orders = kinds.orders(*how)
    kinds.orders(*SHIPPED)
    for order in orders:
        key = payment_of(order).pk if "payment_id" in statement else number(order)
        plant(CONTEXT, key, statement, key)
    assert found() == only(orders, *names.split())


def test_every_id_at_fault_is_named_with_what_is_wrong(kinds):
    orders = kinds.orders("tok_ok")
    for order in orders:
        statement = "UPDATE shop_ordering_payment SET amount = 5, status = 'failed' WHERE order_id = %s"
        plant(CONTEXT, number(order), statement, number(order))
        plant(
            CONTEXT,
            number(order),
            "UPDATE shop_ordering_order SET payment_status = 'unpaid' WHERE id = %s",
            number(order),
        )
    said = {(order["id"],): "payment_status is unpaid, should be paid" for order in orders}
    said |= {(order["id"], pay(order)): "status is failed, should be captured" for order in orders}
    assert broken("11", CONTEXT) == said


def pay(order):
    return public_id("pay", payment_of(order).pk)


# ---- the fake provider's books ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "theirs"),
    [({"amount": 7}, "captured 7, refunded 100"), ({"status": "failed"}, "captured 0, refunded 100")],
)
def test_another_sum_at_the_provider_is_found(kinds, change, theirs):
    orders = kinds.orders("tok_ok", "refund pay_back")
    kinds.orders("tok_ok", "cancel pay_back")
    for order in orders:
        falsify(order, **change)
    ours = "ledger: captured 2848, refunded 100"
    said = {(order["id"], pay(order)): f"provider: {theirs}; {ours}" for order in orders}
    assert broken("fake_provider", CONTEXT) == said


def test_money_that_the_provider_gave_back_unasked_is_found(kinds):
    first, _ = kinds.orders("tok_ok")
    with cursor_in_books() as cursor:
        reference = Payment.objects.get(pk=payment_of(first).pk).provider_ref
        cursor.execute("INSERT INTO fake_refund VALUES ('k', 'r', %s, 5, 'EUR', '')", [reference])
    assert list(broken("fake_provider", CONTEXT)) == [(first["id"], pay(first))]


def test_money_taken_for_payments_that_we_do_not_know_is_found(kinds):
    kinds.orders("tok_ok")
    unknown = [public_id("pay", new_id(CONTEXT, bucket=bucket)) for bucket in (7, 4000)]
    with cursor_in_books() as cursor:
        for each in (*unknown, "no payment at all"):
            row = [each, each, each]
            cursor.execute("INSERT INTO fake_intent VALUES (%s, %s, %s, 'captured', 5, 'EUR', '', '', '')", row)
    assert sorted(broken("fake_provider", CONTEXT)) == sorted((each,) for each in (*unknown, "no payment at all"))


def test_books_that_can_not_be_reached_are_said(kinds, settings, monkeypatch):
    places = {alias_of(CONTEXT, number(order)) for order in kinds.orders("tok_ok")}

    @contextmanager
    def away():
        raise ProviderAway(detail="the books are away")
        yield

    monkeypatch.setattr(fake_money, "books", away)
    wanted = [each for each in declared() if each.name == "fake_provider"]
    runner = Runner(away={}, told=lambda *_: None, sleep=lambda _: None)
    [verdict] = runner.run(wanted, settle_seconds=0, wait_seconds=0)
    assert [each.reason for each in verdict.unasked] == ["the books are away"] * (len(places) + 1)
    assert {each.place for each in verdict.unasked} == {*places, "fake_provider"}


@pytest.mark.parametrize(
    ("pay", "then", "is_under_way"),
    [
        ("tok_ok", "", False),
        ("tok_timeout", "", True),
        ("tok_action", "", True),
        ("tok_declined", "", False),
        ("tok_ok", "refund", True),
        ("tok_ok", "refund pay_back", False),
    ],
)
def test_what_a_job_will_ask_the_provider_about_is_under_way(kinds, pay, then, is_under_way):
    before = datetime.now(UTC)
    kinds.orders(pay, then)
    assert fake_money.under_way(datetime.now(UTC)) is is_under_way
    assert fake_money.under_way(before) is False
