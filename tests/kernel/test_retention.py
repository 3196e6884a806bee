"""What outbox and inbox forget, what they never do, and what becomes of an event that comes when it is forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shop.events import retention
from shop.events.batches import receive_all
from shop.events.broker.sealing import OLDEST
from shop.events.envelope import Envelope
from shop.events.handlers import handler_named
from shop.events.inbox import receive
from shop.events.jobs import jobs_of
from shop.events.models import ForgottenEvents, InboxEntry, OutboxEvent
from shop.events.retention import forget_old_events, kept
from shop.sharding import hosted_contexts, new_id, shard_atomic
from shop.sharding.ids import key_made_at
from tests.auditing import unfenced
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT, copy_to, parcel_in
from tests.kernel.test_events import handle, handled, no_handlers, pass_time, send, work  # noqa: F401  fixtures
from tests.shards import ANOTHER_SHARD

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]

DAY = timedelta(days=1)
WEIGH = "catalog.weigh"


def days_after_the_outbox(days):
    """A moment so long after what happens now was forgotten there."""
    return datetime.now(UTC) + kept() + days * DAY


@pytest.fixture
def place():
    return parcel_in(RIGHT, label="place")


@pytest.fixture
def sent(handle, place):  # noqa: F811
    """An event of a parcel on the first shard, one of a parcel on the last: both handled, there."""
    handle()
    for bucket in (LEFT, RIGHT):
        send(parcel_in(bucket), place)
    work()
    assert (states(OutboxEvent), states(InboxEntry)) == (["handed_over"] * 2, ["done"] * 2)


def rows(model):
    return [row for alias in ALIASES for row in model.objects.using(alias).order_by("event_seq", "id")]


def states(model):
    return [row.state for row in rows(model)]


def change(model, **fields):
    for alias in ALIASES:
        model.objects.using(alias).update(**fields)


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize(("state", "left"), [("handed_over", 0), ("skipped", 0), ("pending", 2)])
def test_an_outbox_forgets_what_is_over(state, left):
    change(OutboxEvent, state=state)
    assert forget_old_events(CONTEXT, days_after_the_outbox(-1)) == 0
    assert forget_old_events(CONTEXT, days_after_the_outbox(1)) == 2 - left
    assert len(rows(OutboxEvent)) == left


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize(("state", "left"), [("done", 0), ("skipped", 0), ("retry", 2), ("dead", 2)])
def test_an_inbox_forgets_what_is_settled_when_nothing_of_it_can_come_any_more(state, left):
    change(InboxEntry, state=state)
    forget_old_events(CONTEXT, days_after_the_outbox(1) + OLDEST - DAY)
    assert (len(rows(OutboxEvent)), states(InboxEntry)) == (0, [state] * 2)
    forget_old_events(CONTEXT, days_after_the_outbox(2) + OLDEST)
    assert states(InboxEntry) == [state] * left


@pytest.mark.usefixtures("sent")
def test_it_is_the_moment_of_a_row_that_counts():
    later = days_after_the_outbox(200)
    for model in (OutboxEvent, InboxEntry):
        change(model, created_at=later - DAY)
    assert forget_old_events(CONTEXT, later) == 0


@ANOTHER_SHARD
@pytest.mark.usefixtures("sent")
def test_copies_on_a_database_that_does_not_own_them_are_none_of_its_business():
    owners = [(row, row._state.db) for row in rows(OutboxEvent) + rows(InboxEntry)]
    for alias in (ALIASES[0], LAST):
        with unfenced(alias):
            copy_to(alias, *(row for row, owner in owners if owner != alias))
    assert forget_old_events(CONTEXT, days_after_the_outbox(200)) == 4
    assert len(rows(OutboxEvent) + rows(InboxEntry)) == 4


def test_a_bucket_is_cleared_in_batches_and_what_has_to_stay_holds_up_nothing(handle, place, monkeypatch):  # noqa: F811
    monkeypatch.setattr(retention, "BATCH", 2)
    handle()
    parcel = parcel_in(LEFT)
    send(parcel, place, *range(1, 8))
    work()
    OutboxEvent.objects.using("catalog_0").filter(event_seq__in=(1, 2, 5)).update(state="pending")
    assert forget_old_events(CONTEXT, days_after_the_outbox(200)) == 4 + 7
    assert [row.event_seq for row in rows(OutboxEvent)] == [1, 2, 5]


@pytest.mark.usefixtures("sent")
def test_a_run_whose_time_is_over_leaves_the_rest_to_the_next(monkeypatch):
    with monkeypatch.context() as hurry:
        hurry.setattr(retention, "RUN_SECONDS", -1.0)
        assert forget_old_events(CONTEXT, days_after_the_outbox(200)) == 0
    assert forget_old_events(CONTEXT, days_after_the_outbox(200)) == 4


@pytest.mark.usefixtures("sent")
def test_events_that_no_table_counts_leave_no_mark():
    forget_old_events(CONTEXT, days_after_the_outbox(1))
    assert rows(ForgottenEvents) == []


# ---- what comes when it is forgotten -------------------------------------------------------------------------


def old_event(place, *, days):
    """An event of so many days before what is remembered."""
    [row] = rows(OutboxEvent)
    moment = datetime.now(UTC) - kept() - OLDEST - timedelta(days=days)
    return replace(Envelope.of(row), event_id=key_made_at(LEFT, int(moment.timestamp() * 1_000)))


@pytest.fixture
def published(handle, place):  # noqa: F811
    handle()
    send(parcel_in(LEFT), place)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("take", [receive, lambda event, h: receive_all([event] * 2, h)])
def test_an_event_that_the_inbox_may_have_forgotten_has_no_effect_until_staff_say_so(place, take):
    take(old_event(place, days=1), handler_named(WEIGH))
    [entry] = rows(InboxEntry)
    assert (entry.state, entry.reason, handled(place)) == ("dead", "older_than_the_inbox", [])
    # when it is requeued
    InboxEntry.objects.using(entry._state.db).update(state="retry", next_at=datetime.now(UTC))
    work()
    assert handled(place)[:1] == [1]


@pytest.mark.usefixtures("published")
def test_an_event_that_it_would_remember_is_handled(place):
    receive(old_event(place, days=-1), handler_named(WEIGH))
    assert (states(InboxEntry), handled(place)) == (["done"], [1])


@pytest.mark.usefixtures("published")
def test_an_old_event_that_it_does_remember_is_a_repetition(place):
    event = old_event(place, days=1)
    with shard_atomic(CONTEXT, place.pk) as scope:
        known = {"handler": WEIGH, "event_id": event.event_id, "key": event.key, "event_seq": 1, "state": "done"}
        InboxEntry.objects.using(scope.alias).create(id=new_id(CONTEXT, near=place.pk), **known)
    receive(event, handler_named(WEIGH))
    assert (states(InboxEntry), handled(place)) == (["done"], [])


@pytest.mark.parametrize("atomic", [True, False])
def test_where_the_latest_wins_it_is_remembered_as_long_as_an_earlier_one_waits(handle, place, atomic):  # noqa: F811
    # given an event that fails, and a later one of the same parcel that is done
    def fails_at_first(event):
        if event.seq == 1:
            raise ValueError

    handle(fails_at_first, latest_wins=True, atomic=atomic)
    send(parcel_in(LEFT), place, 1, 2)
    work()
    if atomic:
        assert handled(place) == [2]
    before = handled(place)
    # when it is tried again a season later
    forget_old_events(CONTEXT, days_after_the_outbox(90))
    assert states(InboxEntry) == ["retry", "done"]
    pass_time()
    work()
    # then it finds that it was overtaken
    assert (states(InboxEntry), handled(place)) == (["done", "done"], before)


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_two_who_forget_at_once_leave_right_marks(handle, place, in_threads, monkeypatch):  # noqa: F811
    monkeypatch.setattr(retention, "teller_of", lambda topic: "shop_catalog.parcel")
    monkeypatch.setattr(retention, "BATCH", 2)
    handle()
    for bucket in range(LEFT, LEFT + 10):
        send(parcel_in(bucket), place, 1, 2, 3)
    work()
    later = days_after_the_outbox(200)
    in_threads(*[lambda: forget_old_events(CONTEXT, later)] * 2)
    forget_old_events(CONTEXT, later)  # what each had left to the other
    assert rows(OutboxEvent) + rows(InboxEntry) == []
    assert [mark.event_seq for mark in rows(ForgottenEvents)] == [3] * 10


def test_it_is_a_job_of_every_context():
    for context in hosted_contexts():
        [job] = [job for job in jobs_of(context) if job.name == f"{context}.forget_old_events"]
        assert job.seconds <= 60
