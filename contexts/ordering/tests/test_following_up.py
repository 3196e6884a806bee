"""What comes after: pieces sold by event, orders that expire, stock that is lost."""

from datetime import UTC, datetime, timedelta

import pytest

from contexts.catalog.contract import NotForSaleError, OutOfStockError, ReservationCancelledError
from contexts.ordering import services
from contexts.ordering.contract import UnknownProviderError
from contexts.ordering.models import Order, Payment, Refund
from contexts.ordering.services import expiring
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import die, number, overdue
from contexts.ordering.tests.conftest import TEAPOT
from shop.contract import ServiceUnavailable
from shop.events.models import InboxEntry
from shop.events.relay import relay, retry
from shop.services import acting_as
from shop.sharding import aliases_of, shard_atomic

ALIASES = list(aliases_of("ordering"))


@pytest.fixture
def order(api):
    return api.order((TEAPOT, 2)).json()


def hand_over():
    for alias in ALIASES:
        relay(alias)


def test_a_placed_order_sells_its_pieces_once(api, order, catalog):
    api.pay(order)
    hand_over()
    hand_over()
    assert catalog.sold == {str(number(order)): {str(TEAPOT): 2}}
    assert catalog.free[str(TEAPOT)] == 8


def test_a_catalog_that_is_away_is_asked_again(api, order, catalog):
    # given a catalog that is away when the order is placed
    api.pay(order)
    catalog.broken = ServiceUnavailable(detail="away")
    hand_over()
    assert catalog.sold == {}
    # when it is back and the time for another try has come, then the pieces are sold
    catalog.broken = None
    for alias in ALIASES:
        InboxEntry.objects.using(alias).update(next_at=datetime.now(UTC))
        retry(alias)
    assert catalog.sold == {str(number(order)): {str(TEAPOT): 2}}


def test_lost_pieces_cancel_the_order_and_give_the_money_back(api, order, catalog):
    # given a paid order whose hold has run out, its pieces gone
    api.pay(order)
    catalog.lost = True
    # when its event is handled, and the refund job comes round
    hand_over()
    hand_over()
    assert services.give_money_back() == 1
    # then
    after = api.get(f"orders/{order['id']}").json()
    assert (after["status"], after["payment_status"]) == ("cancelled", "refunded")
    assert [(r["reason"], r["status"]) for r in after["refunds"]] == [("stock_lost", "succeeded")]
    assert str(number(order)) in catalog.cancelled


def test_a_placed_order_whose_hold_was_cancelled_is_not_left_without_pieces(api, order, catalog):
    # given a paid order that is alive, and a hold that is not
    api.pay(order)
    catalog.cancelled.add(str(number(order)))
    # when its event is handled, then the money goes back
    hand_over()
    assert services.give_money_back() == 1
    after = api.get(f"orders/{order['id']}").json()
    assert (after["status"], after["payment_status"]) == ("cancelled", "refunded")


def test_a_hold_cancelled_together_with_its_order_is_as_it_should_be(api, order, catalog, monkeypatch):
    # given an order that is cancelled while catalog is asked to sell its pieces
    api.pay(order)

    def cancelled_meanwhile(*, order_id, variant_ids):
        with acting_as("ordering"), shard_atomic("ordering", int(order_id)):
            Order.objects.filter(pk=int(order_id)).update(status="cancelled")
        raise ReservationCancelledError

    monkeypatch.setattr(catalog, "commit", cancelled_meanwhile)
    # when the event is handled, then no money is owed for it
    hand_over()
    assert services.give_money_back() == 0


def test_an_order_nobody_pays_expires_and_gives_its_pieces_back(order, api, catalog):
    overdue(order)
    assert services.expire_overdue_orders() == 1
    assert services.expire_overdue_orders() == 0
    hand_over()
    assert api.get(f"orders/{order['id']}").json()["status"] == "expired"
    assert catalog.free[str(TEAPOT)] == 10
    # and can't be paid any more
    assert api.pay(order).json()["code"] == "order_not_payable"


def test_an_order_in_time_does_not_expire(order, api):
    assert services.expire_overdue_orders() == 0
    assert api.get(f"orders/{order['id']}").json()["status"] == "pending_payment"


def test_money_taken_just_before_expiry_places_the_order_instead(order, api, monkeypatch):
    # given a charge whose answer never reached our books
    with monkeypatch.context() as patched:
        patched.setattr("contexts.ordering.services.paying.settle", die)
        api.pay(order)
    overdue(order)
    # when the sweeper asks the provider to close it, then it hears of the money
    assert services.expire_overdue_orders() == 0
    assert api.get(f"orders/{order['id']}").json()["status"] == "placed"


def test_an_open_attempt_is_closed_at_the_provider_before_the_order_expires(order, api, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "create", die)
        api.pay(order)
    overdue(order)
    assert services.expire_overdue_orders() == 1
    after = api.get(f"orders/{order['id']}").json()
    assert (after["status"], [p["status"] for p in after["payments"]]) == ("expired", ["cancelled"])


@pytest.mark.parametrize("job", ["expire_overdue_orders", "reconcile_payments"])
def test_an_order_that_can_not_be_worked_on_holds_up_no_other(api, monkeypatch, job):
    # given two attempts whose answers never came, the provider of the older one being gone
    orders = [api.order((TEAPOT, 1)).json() for _ in range(2)]
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "create", die)
        for each in orders:
            api.pay(each)
    broken, sound = (number(each) for each in orders)
    for order_id, seconds in ((broken, 120), (sound, 60)):
        past = datetime.now(UTC) - timedelta(seconds=seconds)
        with shard_atomic("ordering", order_id):
            Order.objects.filter(pk=order_id).update(expires_at=past)
            Payment.objects.filter(order_id=order_id).update(due_at=past, created_at=past)
    with shard_atomic("ordering", broken):
        Payment.objects.filter(order_id=broken).update(provider="gone")
    # when the job comes round, then it says what is wrong, and has done the other
    with pytest.raises(UnknownProviderError):
        getattr(services, job)()
    assert [Payment.objects.get(order_id=each).status for each in (broken, sound)] == ["pending", "cancelled"]


def test_more_orders_that_can_not_expire_than_a_batch_hold_up_none_behind_them(api, monkeypatch):
    # given three overdue orders, the provider of the first one's attempt being away, and batches of one
    orders = [api.order((TEAPOT, 1)).json() for _ in range(3)]
    api.pay(orders[0], "tok_action")
    for each in orders:
        overdue(each)
    monkeypatch.setattr(expiring, "BATCH", 1)
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "cancel", die)
        with pytest.raises(RuntimeError):
            services.expire_overdue_orders()
    found = [api.get(f"orders/{each['id']}").json()["status"] for each in orders]
    assert found == ["pending_payment", "expired", "expired"]


def test_a_refund_that_fails_holds_up_no_other(api, catalog, monkeypatch):
    # given two orders whose money has to go back
    orders = [api.order((TEAPOT, 1)).json() for _ in range(2)]
    for each in orders:
        api.pay(each)
    catalog.lost = True
    hand_over()
    broken, _ = (Refund.objects.get(order_id=number(each)) for each in orders)
    refund = FakeProvider.refund

    def refuse_first(provider, *, key, **more):
        return die() if key == broken.provider_key else refund(provider, key=key, **more)

    monkeypatch.setattr(FakeProvider, "refund", refuse_first)
    # when the job comes round, then only the broken one still waits
    with pytest.raises(RuntimeError):
        services.give_money_back()
    assert [Refund.objects.get(order_id=number(each)).status for each in orders] == ["pending", "succeeded"]


def test_an_attempt_begun_after_the_sweepers_list_was_made_is_left_alone(order, api, monkeypatch):
    # given an attempt that is open since a moment ago, and moved its order's expiry out
    with monkeypatch.context() as patched:
        patched.setattr(FakeProvider, "create", die)
        api.pay(order)
    # when the sweeper comes to the order, which its list still calls overdue
    assert not expiring._expire(number(order))
    # then the attempt can still come through
    assert [p["status"] for p in api.get(f"orders/{order['id']}").json()["payments"]] == ["pending"]


def test_a_payment_begun_late_moves_order_and_hold_out(order, api, catalog):
    # given an order with a second left
    with shard_atomic("ordering", number(order)):
        soon = datetime.now(UTC) + timedelta(seconds=1)
        Order.objects.filter(pk=number(order)).update(expires_at=soon)
    # when a declined payment begins
    api.pay(order, "tok_declined")
    # then a quarter of an hour remains, and the hold lasts longer still
    row = Order.objects.on(number(order)).get(pk=number(order))
    assert row.expires_at - datetime.now(UTC) > timedelta(seconds=890)
    assert catalog.expires[str(number(order))] - row.expires_at >= timedelta(seconds=899)


@pytest.mark.parametrize("gone", [OutOfStockError(), NotForSaleError(), ReservationCancelledError()])
def test_a_payment_for_pieces_that_are_gone_does_not_begin(order, api, catalog, gone):
    # given an order with little time left, and a hold that can't be moved out any more
    with shard_atomic("ordering", number(order)):
        Order.objects.filter(pk=number(order)).update(expires_at=datetime.now(UTC) + timedelta(seconds=1))
    catalog.broken = gone
    # when it is to be paid
    answer = api.pay(order)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_payable")
    assert api.get(f"orders/{order['id']}").json()["payments"] == []
