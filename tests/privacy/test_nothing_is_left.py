"""After an erasure nothing in any database, and nothing in the log, says who it was. What others stored is there."""

import pytest

from contexts.auth.contract import CustomerErased
from contexts.ordering import services as ordering
from shop.events.broker.parked import park
from shop.events.broker.sealing import NotBelieved, opened, seal, signed, unseal
from shop.events.envelope import Envelope
from shop.events.handlers import handlers_of
from shop.events.models import InboxEntry, ParkedMessage
from shop.events.relay import relay
from shop.observability import figures
from shop.privacy import leftovers
from shop.sharding import alias_of
from shop.sharding.public_ids import number_of
from shop.sharding.readiness import all_aliases
from tests.logged import everything_logged
from tests.privacy.people import Customer, report
from tests.privacy.stored import places_of

pytestmark = pytest.mark.django_db(databases=all_aliases(), transaction=True)

MINE, OTHERS = "umbrafex", "quillorb"


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(figures.board, "renew", lambda: None)
    with everything_logged() as written:
        yield written


def leave_traces(customer, desk, variant):
    """Everything a customer can store, and all that others can say of one; returns an order for each of its ends."""
    customer.send("POST", "auth/me/addresses", customer.address)
    customer.send("PATCH", "auth/me", {"name": f"{customer.word} name"})
    assert customer.send("POST", "auth/password-reset", {"email": customer.email}).status == 202
    customer.send("PUT", f"ordering/cart/lines/{variant}", {"quantity": 2})
    orders = {"pending": customer.order(variant), "paid": customer.paid(variant)}
    orders |= {"shipped": customer.paid(variant), "delivered": customer.paid(variant)}
    for name in ("shipped", "delivered"):
        assert desk.ship(orders[name]).status == 201
    assert desk.send("POST", f"ordering/orders/{orders['delivered']}/deliver", {}).status == 200
    refund = {"reason": f"{customer.word} was not content", "amount": {"amount": 99, "currency": "GBP"}}
    assert desk.send("POST", f"ordering/orders/{orders['delivered']}/refunds", refund).status == 201
    orders["cancelled"] = customer.paid(variant)
    why = {"reason": f"{customer.word} moves house"}
    assert customer.send("POST", f"ordering/orders/{orders['cancelled']}/cancel", why).status == 200
    orders["cancelled_by_desk"] = customer.order(variant)
    why = {"reason": f"{customer.word} called"}
    assert desk.send("POST", f"ordering/orders/{orders['cancelled_by_desk']}/cancel", why).status == 200
    assert report(customer.pay(customer.order(variant), "tok_action"), f"{customer.word} payer") == 200
    return orders


def let_a_handler_fail(monkeypatch):
    """Events with texts in them become dead letters."""

    def broken(**_):
        raise ValueError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(ordering, "release_stock", broken)
        for alias in all_aliases():
            relay(alias)
    failed = [InboxEntry.objects.using(alias).filter(state="retry") for alias in all_aliases()]
    assert sum(rows.update(state="dead", next_at=None) for rows in failed) >= 2
    return failed


def park_messages(customer):
    """What nobody can take: of a topic of tomorrow, and one that somebody forged."""
    tomorrow = tomorrows(customer)
    park(seal("ordering", [tomorrow]), topic=tomorrow.topic, reason="no handler here knows this topic")
    park({"version": 9, "events": f"{customer.word} is {tomorrow.key}"}, topic="", reason="unknown version")


def tomorrows(customer):
    """An event about a customer, of a kind that this release does not know."""
    key = number_of("cus", customer.id)
    return Envelope(
        event_id=1,
        topic="ordering.gift_wrapped.v1",
        key=str(key),
        event_seq=1,
        shard_key=key,
        payload={"customer_id": str(key), "card": f"from {customer.word}", "sheets": 2},
        traceparent="",
        actor="",
        causation="",
    )


def test_nothing_is_left_of_whom_it_was(log, desk, settle, invariants, monkeypatch):
    # given two customers who have done everything there is to do; some of their events are dead letters, or parked
    variant = desk.variant()
    customer, other = Customer(MINE), Customer(OTHERS)
    orders = leave_traces(customer, desk, variant)
    leave_traces(other, desk, variant)
    dead = let_a_handler_fail(monkeypatch)
    park_messages(customer)
    amounts = {name: desk.read(order)["total"] for name, order in orders.items()}
    before = places_of(MINE, OTHERS)
    tables = {place.split(".")[1] for place in before[MINE]}
    assert {
        "shop_auth_customer",
        "shop_auth_address",
        "shop_uniquevalue",
        "shop_ordering_order",
        "shop_ordering_refund",
        "shop_ordering_timelineentry",
        "shop_ordering_webhookinbox",
        "shop_idempotencyclaim",
        "shop_outboxevent",
        "shop_inboxentry",
        "shop_parkedmessage",
    } <= tables
    # when one of them is erased, and what was dead is tried again
    assert customer.erase().status == 204
    settle()
    # then nothing says who it was
    assert places_of(MINE) == {MINE: []}
    assert MINE not in log.getvalue().casefold()
    assert '"event": "request"' in log.getvalue()
    # and what the other one stored is where it was
    kept = set(before[OTHERS]) - {place for place in before[OTHERS] if ".shop_inboxentry." in place}
    assert kept <= set(places_of(OTHERS)[OTHERS])
    # and the books are in order, once the dead events have had their turn
    for rows in dead:
        rows.model.objects.using(rows.db).filter(state="dead").update(state="retry", next_at="2020-01-01T00:00Z")
    settle()
    assert {name: desk.read(order)["total"] for name, order in orders.items()} == amounts
    assert invariants() == []
    assert places_of(MINE) == {MINE: []}


def test_what_was_parked_can_still_be_believed_where_it_was(desk, settle):
    customer = Customer(MINE)
    park_messages(customer)
    customer.erase()
    settle()
    rows = {row.reason: row.message for row in ParkedMessage.objects.using("auth_0")}
    assert rows["unknown version"] == {"erased": True}
    [event] = unseal(rows["no handler here knows this topic"])
    assert event.payload == {"customer_id": event.key, "card": "erased", "sheets": 2}


def test_of_a_batch_of_a_newer_release_only_the_events_of_who_was_erased_are_emptied(desk, settle):
    """Given a batch of two customers' events, which have a field that this release does not know."""
    customer, other = Customer(MINE), Customer(OTHERS)
    events = [{**tomorrows(each).to_json(), "wrapped_by": each.word, "layers": 3} for each in (customer, other)]
    park(signed("ordering", events), topic=events[0]["topic"], reason="unknown fields")
    customer.erase()
    settle()
    [row] = ParkedMessage.objects.using("auth_0")
    mine, others = opened(row.message).events
    assert others == events[1]
    assert mine == {
        **events[0],
        "payload": {"customer_id": mine["key"], "card": "erased", "sheets": 2},
        "wrapped_by": "erased",
    }


def test_a_producer_that_lives_elsewhere_needs_no_key_here(monkeypatch):
    """Given a batch of ordering's that catalog's process has parked."""
    customer, other = Customer(MINE), Customer(OTHERS)
    monkeypatch.setattr(leftovers, "hosted_contexts", lambda: ("catalog",))
    message = seal("ordering", [tomorrows(customer), tomorrows(other)])
    emptied = leftovers._without_customer("catalog", message, number_of("cus", customer.id))
    # then catalog has signed it, and takes it for ordering's; nobody else does
    assert opened(emptied).producer == "catalog"
    mine, others = unseal(emptied, keeper="catalog")
    assert (mine.payload["card"], others) == ("erased", tomorrows(other))
    with pytest.raises(NotBelieved):
        unseal(emptied)


def test_the_answers_that_staff_were_given_are_made_anew(desk, settle):
    # given a delivery that staff have noted under a key, and been answered with the order
    customer = Customer(MINE)
    order = customer.paid(desk.variant())
    desk.ship(order)
    first = desk.send("POST", f"ordering/orders/{order}/deliver", {}, key="once")
    assert first.json["shipping_address"]["city"] == f"{MINE} city"
    # when the customer is erased, and staff repeat the request
    customer.erase()
    settle()
    again = desk.send("POST", f"ordering/orders/{order}/deliver", {}, key="once")
    # then it is the same delivery, told without whom it was for
    assert (again.status, again.json["fulfilment_status"]) == (200, "delivered")
    assert again.json["shipping_address"] == {**dict.fromkeys(customer.address, ""), "country": "GB"}


def test_the_event_comes_again_and_nothing_changes(desk, settle, deliver_events, invariants):
    customer = Customer(MINE)
    order = customer.paid(desk.variant())
    customer.erase()
    settle()
    seen = desk.read(order)
    # when every handler of the event gets it three times more
    key = number_of("cus", customer.id)
    for _ in range(3):
        for handler in handlers_of(CustomerErased.topic()):
            handler.run(CustomerErased(customer_id=str(key)))
    deliver_events()
    assert desk.read(order) == seen
    assert invariants() == []
    assert not InboxEntry.objects.using(alias_of("ordering", key)).exclude(state="done").exists()
