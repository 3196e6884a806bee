"""The table of an order's transitions, row by row: its guard, a crash in its middle, its repetition.

Each row of `TABLE` is a row of the design's. A guard's test brings an order to every other state and tries the
transition there; a crash's test kills the process at each place named and tries again; what a row tells, it tells once.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from contexts.ordering import services
from contexts.ordering.domain import AttemptStatus
from contexts.ordering.models import Payment, Refund, TimelineEntry, WebhookInbox
from contexts.ordering.services.providers.fake import FakeProvider
from contexts.ordering.tests.books import (
    delivered_long_ago,
    die,
    intents_of,
    make_due,
    number,
    overdue,
    payment_of,
)
from contexts.ordering.tests.conftest import TEAPOT, Api
from contexts.ordering.tests.fakes import FakeCatalog
from contexts.ordering.tests.webhooks import event, send
from shop.events.relay import relay
from shop.services import acting_as
from shop.sharding import aliases_of
from shop.sharding.public_ids import public_id
from tests.plugin import make_principal

SERVICES = "contexts.ordering.services"
IN_ITS_TRANSACTION = "shop.events.publishing.new_id"
AFTER_THE_PROVIDER = f"{SERVICES}.settling.settle"


class Story:
    """One order and everybody who may do something to it. A request has one key, so a second one is a repetition."""

    def __init__(self, api: Api, desk: Api, catalog: FakeCatalog) -> None:
        self.api, self.desk, self.catalog = api, desk, catalog
        self.order: Any = None

    @property
    def state(self) -> tuple[str, str, str]:
        found = self.api.get(f"orders/{self.order['id']}").json()
        return found["status"], found["payment_status"], found["fulfilment_status"]

    def told(self, what: str) -> int:
        rows = TimelineEntry.objects.on(number(self.order)).filter(order_id=number(self.order), type=what)
        return int(rows.count())

    # ---- states --------------------------------------------------------------------------------------------------

    def waiting(self) -> None:
        """An order whose customer has to confirm the payment at the provider."""
        self.create()
        self.api.pay(self.order, "tok_action")

    def placed(self) -> None:
        self.waiting()
        self.capture()

    def shipped(self) -> None:
        self.placed()
        self.desk.post(f"orders/{self.order['id']}/shipments", {"carrier": "Royal Mail", "tracking_number": "AB1"})

    def delivered(self) -> None:
        self.shipped()
        self.desk.post(f"orders/{self.order['id']}/deliver", {})

    def completed(self) -> None:
        self.delivered()
        self.complete()

    def expired(self) -> None:
        self.waiting()
        self.expire()

    def cancelled(self) -> None:
        self.waiting()
        self.cancel()

    def paid_and_cancelled(self) -> None:
        self.placed()
        self.cancel()

    # ---- steps ---------------------------------------------------------------------------------------------------

    def create(self) -> None:
        answer = self.api.order((TEAPOT, 2), key="order")
        if answer.status_code == 201:
            self.order = answer.json()

    def capture(self) -> None:
        payment = payment_of(self.order)
        FakeProvider().finish(public_id("pay", payment.pk), AttemptStatus.CAPTURED)
        send(event(payment, event_id="evt_1"))
        make_due(WebhookInbox)
        services.apply_webhooks()

    def expire(self) -> None:
        overdue(self.order)
        services.expire_overdue_orders()

    def cancel(self) -> None:
        self.api.post(f"orders/{self.order['id']}/cancel", {}, key="cancel")

    def lose_stock(self) -> None:
        self.catalog.lost = True
        with acting_as("ordering"):
            services.commit_stock(order_id=number(self.order))

    def complete(self) -> None:
        with suppress(AssertionError):
            delivered_long_ago(self.order)
        services.complete_delivered_orders()

    def give_back(self) -> None:
        make_due(Refund)
        services.give_money_back()


@dataclass(frozen=True, kw_only=True)
class Row:
    """From ``start`` by ``step`` to ``end``; ``told`` in the timeline once; ``crashes``: where a process may die."""

    name: str
    start: Callable[[Story], None]
    step: Callable[[Story], None]
    end: tuple[str, str, str]
    told: str
    crashes: tuple[str, ...]


TABLE = [
    Row(
        name="pending_payment → placed",
        start=Story.waiting,
        step=Story.capture,
        end=("placed", "paid", "unfulfilled"),
        told="order_placed",
        crashes=(f"{SERVICES}.listening.settle", IN_ITS_TRANSACTION, f"{SERVICES}.listening._change"),
    ),
    Row(
        name="placed → cancelled, stock lost",
        start=Story.placed,
        step=Story.lose_stock,
        end=("cancelled", "paid", "unfulfilled"),
        told="order_cancelled",
        crashes=(f"{SERVICES}.fulfilling.cancel_locked", IN_ITS_TRANSACTION),
    ),
    Row(
        name="pending_payment → expired",
        start=Story.waiting,
        step=Story.expire,
        end=("expired", "unpaid", "unfulfilled"),
        told="order_expired",
        crashes=(AFTER_THE_PROVIDER, IN_ITS_TRANSACTION),
    ),
    Row(
        name="pending_payment → cancelled",
        start=Story.waiting,
        step=Story.cancel,
        end=("cancelled", "unpaid", "unfulfilled"),
        told="order_cancelled",
        crashes=(AFTER_THE_PROVIDER, IN_ITS_TRANSACTION),
    ),
    Row(
        name="placed → cancelled",
        start=Story.placed,
        step=Story.cancel,
        end=("cancelled", "paid", "unfulfilled"),
        told="order_cancelled",
        crashes=(f"{SERVICES}.cancelling.owe", IN_ITS_TRANSACTION),
    ),
    Row(
        name="expired + late capture",
        start=Story.expired,
        step=Story.capture,
        end=("expired", "unpaid", "unfulfilled"),
        told="payment_captured",
        crashes=(f"{SERVICES}.listening.settle", f"{SERVICES}.settling.owe"),
    ),
    Row(
        name="cancelled + late capture",
        start=Story.cancelled,
        step=Story.capture,
        end=("cancelled", "unpaid", "unfulfilled"),
        told="payment_captured",
        crashes=(f"{SERVICES}.listening.settle", f"{SERVICES}.settling.owe"),
    ),
    Row(
        name="placed → completed",
        start=Story.delivered,
        step=Story.complete,
        end=("completed", "paid", "delivered"),
        told="order_completed",
        crashes=(f"{SERVICES}.shipping.note",),
    ),
    Row(
        name="refund pending → succeeded",
        start=Story.paid_and_cancelled,
        step=Story.give_back,
        end=("cancelled", "refunded", "unfulfilled"),
        told="order_refunded",
        crashes=(f"{SERVICES}.refunding._settle_refund", IN_ITS_TRANSACTION),
    ),
]

# Which states a step may leave; in every other one it must change nothing.
STATES = {
    "waiting": Story.waiting,
    "placed": Story.placed,
    "shipped": Story.shipped,
    "delivered": Story.delivered,
    "completed": Story.completed,
    "expired": Story.expired,
    "cancelled": Story.cancelled,
}
LEAVES = {
    Story.capture: {"waiting"},
    Story.lose_stock: {"placed"},
    Story.expire: {"waiting"},
    Story.cancel: {"waiting", "placed"},
    Story.complete: {"delivered"},
}
GUARDS = [
    pytest.param(step, state, id=f"{step.__name__} when {state}")
    for step, left in LEAVES.items()
    for state in STATES
    if state not in left
]


@pytest.fixture
def story(api, catalog):
    return Story(api, Api(make_principal("staff", "order_desk")), catalog)


@pytest.mark.parametrize(("step", "state"), GUARDS)
def test_guard(story, step, state):
    # given an order in a state that the step does not begin in
    STATES[state](story)
    before = story.state
    # when it is tried, then the order stays as it is
    step(story)
    assert story.state == before


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_it_leads_there(story, row):
    row.start(story)
    row.step(story)
    assert (story.state, story.told(row.told)) == (row.end, 1)


CRASHES = [
    pytest.param(row, place, id=f"{row.name}: {place.rpartition('.')[2]}") for row in TABLE for place in row.crashes
]


@pytest.mark.parametrize(("row", "place"), CRASHES)
def test_crash(story, row, place, monkeypatch):
    row.start(story)
    before = story.state
    # given a process that dies in the middle
    killed = []
    with monkeypatch.context() as patched:
        patched.setattr(place, lambda *args, **more: die(killed.append(place)))
        with suppress(RuntimeError):
            row.step(story)
    assert killed
    assert story.state[0] in (before[0], row.end[0])
    # when it is tried again, then it is done, once
    row.step(story)
    assert (story.state, story.told(row.told)) == (row.end, 1)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_repetition(story, row):
    row.start(story)
    for _ in range(3):
        row.step(story)
    assert (story.state, story.told(row.told)) == (row.end, 1)


# ---- the row that makes the order ------------------------------------------------------------------------------------


def test_created_guard(story, catalog):
    catalog.free[str(TEAPOT)] = 1
    story.create()
    assert story.order is None
    assert story.api.get("orders").json()["data"] == []


@pytest.mark.parametrize("place", [f"{SERVICES}.placing._write", IN_ITS_TRANSACTION])
def test_created_crash(story, catalog, monkeypatch, place):
    # given a process that dies after the pieces were held
    with monkeypatch.context() as patched:
        patched.setattr(place, die)
        story.create()
    assert story.order is None
    assert catalog.free[str(TEAPOT)] == 8
    # when the request comes again, then the same hold becomes the order
    story.create()
    assert (story.state, catalog.free[str(TEAPOT)]) == (("pending_payment", "unpaid", "unfulfilled"), 8)


def test_created_repetition(story, catalog):
    for _ in range(2):
        story.create()
    assert (len(story.api.get("orders").json()["data"]), catalog.free[str(TEAPOT)]) == (1, 8)


# ---- what follows of them, once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Story.expired, Story.cancelled, Story.paid_and_cancelled])
def test_the_pieces_of_a_dead_order_come_back_once(story, catalog, end):
    end(story)
    for _ in range(2):
        for alias in aliases_of("ordering"):
            relay(alias)
    assert catalog.free[str(TEAPOT)] == 10


@pytest.mark.parametrize("end", [Story.expired, Story.cancelled])
def test_money_that_comes_late_goes_back_once_and_in_full(story, end):
    end(story)
    for _ in range(2):
        story.capture()
        story.give_back()
    assert [(i.status, i.amount, i.refunded) for i in intents_of(story.order)] == [("captured", 2598, 2598)]


def test_an_order_that_is_paid_at_the_last_moment_does_not_expire(story):
    # given a customer who has confirmed, of which we have not heard
    story.waiting()
    FakeProvider().finish(public_id("pay", payment_of(story.order).pk), "captured")
    # when the order's time is over, then closing the attempt finds the money
    story.expire()
    assert story.state == ("placed", "paid", "unfulfilled")


def test_a_completed_order_can_be_refunded_but_not_cancelled(story):
    story.completed()
    answer = story.api.post(f"orders/{story.order['id']}/cancel", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_cancellable")
    assert story.desk.post(f"orders/{story.order['id']}/refunds", {"reason": "it broke"}).status_code == 201
    story.give_back()
    assert story.state == ("completed", "refunded", "delivered")


def test_an_order_is_not_complete_while_it_can_be_sent_back(story):
    story.delivered()
    assert services.complete_delivered_orders() == 0
    assert story.state[0] == "placed"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_no_attempt_is_asked_about_for_ever(story, row):
    row.start(story)
    row.step(story)
    assert not Payment.objects.filter(due_at__isnull=False).across().count()
