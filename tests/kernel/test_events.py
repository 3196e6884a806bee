"""Events: published with what happened, handed over once, handled once, whatever breaks off in between."""

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from django.db import InterfaceError, OperationalError, connections

from shop.contract import Event, RemoteFault, ServiceUnavailable
from shop.events import batches, duty, embedded, figures, handlers, inbox, jobs, on, publish, relay, wake, wake_jobs
from shop.events.duty import lay_down, on_duty
from shop.events.models import Duty, InboxEntry, OutboxEvent
from shop.observability.trace import trace_id, traced
from shop.services import acting_context
from shop.sharding import (
    MixedShards,
    ShardScopeMissing,
    ShardUnavailable,
    bucket_of,
    current_scope,
    home_atomic,
    key_of_bucket,
    new_id,
    shard_atomic,
)
from tests.auditing import unfenced
from tests.brokers import URLS, namespace
from tests.e2e.people import eventually
from tests.kernel.hand_overs import EVERY_HAND_OVER, Brokered, ByHttp, Embedded
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT, Parcel, parcel_in
from tests.shards import ANOTHER_SHARD

COMMITTING = pytest.mark.django_db(databases=ALIASES, transaction=True)
pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParcelSent(Event):
    """Published on the parcel's shard, handled on that of the place it goes to."""

    __module__ = "contexts.catalog.contract"

    key: ClassVar[str] = "parcel_id"
    shard_key: ClassVar[str] = "place_id"

    parcel_id: str
    place_id: str
    seq: int


class Crash(BaseException):
    """The process is gone: nobody catches it."""


@pytest.fixture(autouse=True)
def no_handlers(monkeypatch):
    monkeypatch.setattr(handlers, "_handlers", {})


@pytest.fixture(params=[RIGHT, LEFT], ids=["to another shard", "on one shard"])
def place(request):
    return parcel_in(request.param, label="place")


@pytest.fixture
def parcel():
    return parcel_in(LEFT)


@pytest.fixture
def handle():
    """Subscribe a function; it runs on the place's shard and adds to its weight."""

    def subscribe(run=lambda event: None, *, name="weigh", **options):
        def handler(event):
            if options.get("atomic", True):
                store(event)
            else:
                with shard_atomic(CONTEXT, int(event.place_id)):
                    store(event)
            run(event)

        def store(event):
            place = Parcel.objects.select_for_update().get(pk=int(event.place_id))
            place.weight += 1
            place.label += f" {event.seq}"
            place.save()

        handler.__name__, handler.__module__ = name, "contexts.catalog.tasks"
        on(ParcelSent, **options)(handler)

    return subscribe


def send(parcel, place, *seqs):
    for seq in seqs or (1,):
        with shard_atomic(CONTEXT, parcel.pk):
            publish(ParcelSent(parcel_id=str(parcel.pk), place_id=str(place.pk), seq=seq), seq=seq)


def handled(place):
    """Sequence numbers whose effect is stored, in order."""
    return [int(word) for word in Parcel.objects.get(pk=place.pk).label.split()[1:]]


def outbox(alias="catalog_0"):
    return list(OutboxEvent.objects.using(alias).order_by("id"))


def entries():
    rows = [row for alias in ALIASES for row in InboxEntry.objects.using(alias)]
    return sorted(rows, key=lambda row: (row.key, row.event_seq, row.handler))


def states():
    return [row.state for row in entries()]


def pass_time(seconds=60):
    """Everything that waits or is leased is due."""
    before = datetime.now(UTC) - timedelta(seconds=seconds)
    for alias in ALIASES:
        InboxEntry.objects.using(alias).filter(next_at__isnull=False).update(next_at=before)
        for model in (InboxEntry, OutboxEvent):
            model.objects.using(alias).filter(lease_until__isnull=False).update(lease_until=before)
        OutboxEvent.objects.using(alias).filter(available_at__gt=before).update(available_at=before)


@pytest.fixture(autouse=True)
def hand_over(request, settings):
    """How `work` hands over: the handlers are called, unless a test is of every hand-over."""
    kind = getattr(request, "param", "embedded")
    if kind in ("embedded", "HTTP"):
        settings.CONTEXT_URLS = {} if kind == "embedded" else {CONTEXT: "http://elsewhere"}
        _way.append(Embedded() if kind == "embedded" else ByHttp())
        yield
        _way.pop()
        return
    settings.BROKER_URL = URLS[kind]
    with namespace(settings.BROKER_URL) as settings.BROKER_NAMESPACE:
        _way.append(Brokered())
        yield
        _way.pop().close()


_way: list[Embedded | Brokered | ByHttp] = [Embedded()]


def work():
    """One round; how many events and failed entries it saw."""
    return _way[-1].relay() + sum(relay.retry(alias) for alias in ALIASES)


# ---- publishing ----------------------------------------------------------------------------------------------


def test_publishing_outside_a_transaction_is_refused(parcel, place):
    with pytest.raises(ShardScopeMissing, match=r"catalog\.parcel_sent\.v1"):
        publish(ParcelSent(parcel_id=str(parcel.pk), place_id=str(place.pk), seq=1), seq=1)


@pytest.mark.parametrize("enter", [lambda: shard_atomic(CONTEXT, key_of_bucket(LEFT)), lambda: home_atomic(CONTEXT)])
@ANOTHER_SHARD
def test_publishing_on_another_shard_is_refused(place, enter):
    far = parcel_in(RIGHT)
    with enter(), pytest.raises(MixedShards):
        publish(ParcelSent(parcel_id=str(far.pk), place_id=str(place.pk), seq=1), seq=1)
    assert outbox("catalog_0") == outbox(LAST) == []


def test_another_contexts_event_is_not_published_here(parcel, place):
    with shard_atomic("catalog", parcel.pk), pytest.raises(MixedShards):
        foreign = type("Foreign", (ParcelSent,), {"__module__": "contexts.ordering.contract"})
        publish(foreign(parcel_id=str(parcel.pk), place_id=str(place.pk), seq=1), seq=1)


def test_a_rollback_leaves_no_event(parcel, place):
    with pytest.raises(ZeroDivisionError), shard_atomic(CONTEXT, parcel.pk):
        publish(ParcelSent(parcel_id=str(parcel.pk), place_id=str(place.pk), seq=1), seq=1)
        raise ZeroDivisionError
    assert outbox() == []


def test_an_event_lies_in_its_aggregates_bucket_with_what_consumers_need(parcel, place):
    with traced("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"):
        send(parcel, place, 7)
    [row] = outbox()
    assert bucket_of(row.pk) == bucket_of(parcel.pk)
    assert (row.topic, row.key, row.shard_key, row.event_seq, row.state) == (
        "catalog.parcel_sent.v1",
        str(parcel.pk),
        place.pk,
        7,
        "pending",
    )
    assert row.traceparent.startswith("00-0123456789abcdef0123456789abcdef-")


# ---- delivery ------------------------------------------------------------------------------------------------


@EVERY_HAND_OVER
def test_an_event_is_handed_over_once_and_handled_once(parcel, place, handle):
    handle()
    send(parcel, place, 1)
    work()
    work()
    assert handled(place) == [1]
    assert ([row.state for row in outbox()], states()) == (["handed_over"], ["done"])


@EVERY_HAND_OVER
def test_the_inbox_lies_on_the_consumers_shard(parcel, place, handle):
    handle()
    send(parcel, place)
    work()
    assert [row._state.db for row in entries()] == [place._state.db]
    assert {bucket_of(row.pk) for row in entries()} == {bucket_of(place.pk)}


@EVERY_HAND_OVER
def test_a_handler_runs_in_its_context_its_transaction_and_the_publishers_trace(parcel, place, handle):
    seen = []
    handle(lambda event: seen.append((acting_context(), current_scope().alias, trace_id())))
    with traced("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"):
        send(parcel, place)
    work()
    assert seen == [("catalog", place._state.db, "0123456789abcdef0123456789abcdef")]


@EVERY_HAND_OVER
def test_an_event_nobody_handles_is_handed_over(parcel, place):
    send(parcel, place)
    work()
    assert ([row.state for row in outbox()], states()) == (["handed_over"], [])


@EVERY_HAND_OVER
def test_every_handler_has_a_fate_of_its_own(parcel, place, handle):
    handle(name="first")
    handle(lambda event: 1 / 0, name="second")
    send(parcel, place)
    work()
    assert [(row.handler, row.state) for row in entries()] == [
        ("catalog.first", "done"),
        ("catalog.second", "retry"),
    ]
    assert handled(place) == [1]


@EVERY_HAND_OVER
def test_events_of_one_aggregate_are_handled_in_order(parcel, place, handle):
    handle()
    send(parcel, place, *range(1, 30))
    work()
    assert handled(place) == list(range(1, 30))


@EVERY_HAND_OVER
@pytest.mark.parametrize("atomic", [True, False])
def test_a_second_delivery_is_noticed(parcel, place, handle, atomic):
    handle(atomic=atomic)
    send(parcel, place)
    work()
    OutboxEvent.objects.using("catalog_0").update(state="pending")
    work()
    assert (handled(place), states()) == ([1], ["done"])


@EVERY_HAND_OVER
def test_a_crash_between_effect_and_commit_leaves_one_effect(parcel, place, handle):
    """Given a process that dies in the handler's transaction, when what it held is free again."""
    crashes = iter([True, False])

    def crash(event):
        if next(crashes):
            raise Crash

    handle(crash)
    send(parcel, place)
    with pytest.raises(Crash):
        work()
    assert (handled(place), states()) == ([], [])

    def later():
        pass_time()
        work()
        return handled(place) != []

    eventually(later)  # a broker needs a moment to see that a worker is gone
    assert (handled(place), states()) == ([1], ["done"])


def test_a_crash_after_the_effect_and_before_the_outbox_knows_leaves_one_effect(parcel, place, handle, monkeypatch):
    handle()
    send(parcel, place)
    receive = inbox.receive

    def receive_and_die(envelope, handler):
        receive(envelope, handler)
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(relay, "receive", receive_and_die)
        work()
    pass_time()
    work()
    assert (handled(place), states(), [row.state for row in outbox()]) == ([1], ["done"], ["handed_over"])


# ---- failures ------------------------------------------------------------------------------------------------


@EVERY_HAND_OVER
def test_a_failure_undoes_its_effect_and_is_tried_again_later(parcel, place, handle):
    failures = iter([True, False])

    def fail_once(event):
        if next(failures):
            raise ValueError("a@example.com")

    handle(fail_once)
    send(parcel, place)
    work()
    [row] = entries()
    assert (handled(place), row.state, row.attempts, row.reason) == ([], "retry", 1, "ValueError")
    assert row.next_at > datetime.now(UTC)
    assert work() == 0
    pass_time()
    work()
    [row] = entries()
    assert (handled(place), row.state, row.envelope, row.next_at) == ([1], "done", None, None)


@EVERY_HAND_OVER
def test_the_waiting_grows_and_the_fifth_failure_is_final(parcel, place, handle):
    tries = []
    handle(lambda event: tries.append(datetime.now(UTC)) or 1 / 0)
    send(parcel, place)
    waits = []
    for _ in range(8):
        pass_time()
        work()
        [row] = entries()
        waits.append((row.next_at - tries[-1]).total_seconds() if row.next_at else None)
    assert len(tries) == 5
    assert all(wanted <= wait < wanted * 1.9 for wait, wanted in zip(waits, [0.5, 1.0, 2.0, 4.0], strict=False))
    assert waits[4:] == [None] * 4
    assert (row.state, row.attempts, row.reason, handled(place)) == ("dead", 5, "ZeroDivisionError", [])


@EVERY_HAND_OVER
def test_what_waits_and_what_is_dead_is_counted(parcel, place, handle, monkeypatch):
    monkeypatch.setattr(figures, "all_aliases", lambda: ALIASES)
    handle(lambda event: 1 / 0)
    # given an event, from before or after the moment that is asked about
    before = datetime.now(UTC)
    send(parcel, place)
    counts = [(figures.waiting_events(before), figures.waiting_events(datetime.now(UTC)), figures.dead_events())]
    # when its handler fails again and again
    for _ in range(5):
        pass_time()
        work()
        counts.append(
            (figures.waiting_events(before), figures.waiting_events(datetime.now(UTC)), figures.dead_events())
        )
    # then it waits until it is dead
    assert counts == [(0, 1, 0)] * 5 + [(0, 0, 1)]


@ANOTHER_SHARD
@EVERY_HAND_OVER
def test_a_shard_that_is_away_holds_up_no_other(handle, monkeypatch):
    # given two events that come together, of which the first goes to a shard that does not answer
    handle()
    parcel, far, near = parcel_in(LEFT), parcel_in(LEFT, label="far"), parcel_in(RIGHT, label="near")
    receive_on_one = batches._receive_on_one

    def away(batch, handler):
        if batch[0].shard_key == far.pk:
            raise ShardUnavailable(detail="away")
        receive_on_one(batch, handler)

    monkeypatch.setattr(batches, "_receive_on_one", away)
    send(parcel, far)
    send(parcel_in(LEFT), near)
    eventually(lambda: [work(), handled(near)][1] == [1])
    # when it is back, then each has its own, once
    monkeypatch.setattr(batches, "_receive_on_one", receive_on_one)
    pass_time()
    eventually(lambda: [pass_time(), work(), handled(far)][2] == [1])
    assert (handled(far), handled(near)) == ([1], [1])


@EVERY_HAND_OVER
@pytest.mark.parametrize("error", [ServiceUnavailable(), OperationalError(), InterfaceError()], ids=repr)
def test_an_outage_makes_no_event_dead_however_long_it_lasts(parcel, place, handle, error):
    # given a handler whose service is away
    outage = [error]

    def ask(event):
        for away in outage:
            raise away

    handle(ask)
    send(parcel, place)
    for _ in range(8):
        work()
        pass_time()
    assert [(row.state, row.attempts) for row in entries()] == [("retry", 0)]
    # when it is back
    outage.clear()
    work()
    # then the event has its effect
    assert (states(), handled(place)) == (["done"], [1])


@EVERY_HAND_OVER
def test_a_fault_of_the_service_is_a_failure_of_the_event(parcel, place, handle):
    def ask(event):
        raise RemoteFault(detail="a bug")

    handle(ask)
    send(parcel, place)
    for _ in range(5):
        work()
        pass_time()
    assert [(row.state, row.reason) for row in entries()] == [("dead", "remote_fault")]


@EVERY_HAND_OVER
@pytest.mark.parametrize("rounds", [1, 5], ids=["retrying", "dead"])
def test_later_events_of_the_same_aggregate_wait_and_others_do_not(place, handle, rounds):
    bad, good = parcel_in(LEFT), parcel_in(LEFT)

    def fail(event):
        if (event.parcel_id, event.seq) == (str(bad.pk), 1):
            raise ValueError

    handle(fail)
    send(bad, place, 1, 2)
    send(good, place, 11, 12)
    for _ in range(rounds):
        pass_time()
        work()
    assert handled(place) == [11, 12]
    assert [row.state for row in entries() if row.key == str(bad.pk)] == [
        "retry" if rounds == 1 else "dead",
        "retry",
    ]


@EVERY_HAND_OVER
def test_when_the_first_succeeds_the_waiting_ones_follow_in_order(parcel, place, handle):
    broken = [True]

    def fail(event):
        if broken[0] and event.seq == 1:
            raise ValueError

    handle(fail)
    send(parcel, place, 1, 2, 3)
    work()
    broken.clear()
    broken.append(False)
    for _ in range(3):
        pass_time()
        work()
    assert (handled(place), states()) == ([1, 2, 3], ["done"] * 3)


@EVERY_HAND_OVER
def test_held_back_events_use_up_no_attempt(parcel, place, handle):
    handle(lambda event: 1 / 0)
    send(parcel, place, 1, 2)
    for _ in range(8):
        pass_time()
        work()
    assert [(row.state, row.attempts) for row in entries()] == [("dead", 5), ("retry", 0)]


@EVERY_HAND_OVER
@pytest.mark.parametrize("atomic", [True, False])
def test_where_the_latest_wins_nothing_waits_and_the_overtaken_is_dropped(parcel, place, handle, atomic):
    broken = [True]

    def fail(event):
        if broken[0] and event.seq == 1:
            raise ValueError

    handle(fail, latest_wins=True, atomic=atomic)
    send(parcel, place, 1, 2)
    work()
    done = handled(place)
    broken[0] = False
    pass_time()
    work()
    assert (done[-1], handled(place), states()) == (2, done, ["done", "done"])


@EVERY_HAND_OVER
def test_a_handler_that_is_gone_keeps_its_waiting_events(parcel, place, handle, monkeypatch):
    handle(lambda event: 1 / 0)
    send(parcel, place)
    work()
    monkeypatch.setattr(handlers, "_handlers", {})
    pass_time()
    work()
    assert states() == ["retry"]


@EVERY_HAND_OVER
def test_a_payload_that_can_not_be_read_ends_dead_and_stops_nobody_else(parcel, place, handle):
    handle()
    other = parcel_in(LEFT)
    send(parcel, place, 1)
    OutboxEvent.objects.using("catalog_0").update(payload={"parcel_id": []})
    send(other, place, 9)
    for _ in range(6):
        pass_time()
        work()
    assert handled(place) == [9]
    assert sorted(states()) == ["dead", "done"]


def test_an_inbox_that_can_not_be_written_leaves_the_event_where_it_is(parcel, place, handle, monkeypatch):
    handle()
    send(parcel, place, 1, 2)

    def down(envelope, handler):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(relay, "receive", down)
        work()
    assert [row.state for row in outbox()] == ["pending", "pending"]
    pass_time()
    work()
    assert handled(place) == [1, 2]


def test_a_new_event_waits_for_a_postponed_one_of_its_aggregate(parcel, place, handle, monkeypatch):
    # given an event whose hand-over failed, to be tried again in a second
    handle()
    send(parcel, place, 1)
    with monkeypatch.context() as patch:
        patch.setattr(relay, "receive", lambda envelope, handler: 1 / 0)
        work()
    # when the aggregate's next event comes meanwhile, then it is not handed over before it
    send(parcel, place, 2)
    assert work() == 0
    pass_time()
    work()
    assert handled(place) == [1, 2]


def test_events_of_one_aggregate_go_in_their_order_though_an_earlier_one_is_due_later(parcel, place, handle):
    # given an event that was put off, and is due again, but later than the next one has been
    handle()
    send(parcel, place, 1, 2)
    now = datetime.now(UTC)
    for seq, seconds in ((1, 5), (2, 60)):
        due = now - timedelta(seconds=seconds)
        OutboxEvent.objects.using("catalog_0").filter(event_seq=seq).update(available_at=due)
    # when both are handed over
    work()
    work()
    assert handled(place) == [1, 2]


# ---- several workers -----------------------------------------------------------------------------------------


def test_a_leased_event_is_left_to_its_holder_until_the_lease_lapses(parcel, place, handle):
    handle()
    send(parcel, place)
    soon = datetime.now(UTC) + timedelta(seconds=30)
    OutboxEvent.objects.using("catalog_0").update(lease_token=uuid.uuid4(), lease_until=soon)
    assert work() == 0
    pass_time()
    work()
    assert handled(place) == [1]


@ANOTHER_SHARD
def test_rows_in_buckets_of_another_shard_are_left_alone(parcel, place, handle):
    """While a slice moves both sides have its rows; only the owner works on them."""
    handle()
    send(parcel, place)
    [row] = outbox()
    row.pk = new_id(CONTEXT, bucket=RIGHT)
    with unfenced("catalog_0"):
        row.save(using="catalog_0", force_insert=True)
        InboxEntry.objects.using("catalog_0").create(
            id=new_id(CONTEXT, bucket=RIGHT), handler="catalog.weigh", event_id=1, key="1", event_seq=1, state="retry",
            next_at=datetime.now(UTC), envelope={}, reason="",
        )  # fmt: skip
    work()
    with unfenced("catalog_0"):
        pass_time()
    work()
    assert handled(place) == [1]
    assert OutboxEvent.objects.using("catalog_0").get(pk=row.pk).state == "pending"
    assert InboxEntry.objects.using("catalog_0").get(event_id=1).lease_token is None


@COMMITTING
def test_two_relays_at_once_handle_each_event_once(handle, in_threads):
    parcels, places = (
        [parcel_in(LEFT) for _ in range(10)],
        [parcel_in(RIGHT, label="place") for _ in range(10)],
    )
    handle()
    for parcel, place in zip(parcels, places, strict=True):
        send(parcel, place, 1, 2, 3)

    def drain():
        return sum(relay.relay("catalog_0") for _ in range(5))

    assert sum(in_threads(*[drain] * 3)) == 30
    assert sorted(seq for place in places for seq in handled(place)) == sorted([1, 2, 3] * 10)


@COMMITTING
def test_a_relay_passes_over_rows_that_another_transaction_holds(handle, in_threads):
    if not connections["catalog_0"].features.has_select_for_update_skip_locked:
        # SQLite has one writer: a second relay waits for it and then finds the lease.
        assert connections["catalog_0"].vendor == "sqlite"
        return
    held, free, place = parcel_in(LEFT), parcel_in(LEFT), parcel_in(RIGHT, label="place")
    handle()
    send(held, place, 1)
    send(free, place, 2)
    with shard_atomic(CONTEXT, held.pk) as scope:
        list(OutboxEvent.objects.using(scope.alias).select_for_update().filter(key=str(held.pk)))
        assert in_threads(lambda: relay.relay("catalog_0")) == [1]
    assert handled(place) == [2]


@COMMITTING
@pytest.mark.parametrize("atomic", [True, False])
def test_two_deliveries_of_one_event_at_once_are_recorded_once(handle, in_threads, atomic):
    parcel, place = parcel_in(LEFT), parcel_in(RIGHT, label="place")
    handle(atomic=atomic)
    send(parcel, place)
    [row] = outbox()
    envelope = relay.Envelope.of(row)
    [handler] = handlers.handlers_of(envelope.topic)
    in_threads(*[lambda: inbox.receive(envelope, handler)] * 4)
    assert states() == ["done"]
    assert handled(place) == [1] or not atomic


# ---- duties, jobs --------------------------------------------------------------------------------------------


@pytest.fixture
def another_process(monkeypatch):
    """Act as a process that knows nothing of the others' duties."""

    def enter():
        monkeypatch.setattr(duty, "_held", {})
        monkeypatch.setattr(duty, "_seen", {})

    return enter


@ANOTHER_SHARD
def test_one_process_has_the_duty_until_it_is_gone(another_process):
    assert on_duty("catalog_0", "relay")
    assert on_duty("catalog_0", "relay")
    another_process()
    assert not on_duty("catalog_0", "relay")
    assert on_duty(LAST, "relay")
    Duty.objects.using("catalog_0").update(until=datetime.now(UTC) - timedelta(seconds=1))
    assert on_duty("catalog_0", "relay")


def test_a_process_that_lost_its_duty_notices(another_process, monkeypatch):
    first = duty._held
    assert on_duty("catalog_0", "relay")
    Duty.objects.using("catalog_0").update(until=datetime.now(UTC) - timedelta(seconds=1))
    another_process()
    assert on_duty("catalog_0", "relay")
    token, _ = first["catalog_0", "relay"]
    first["catalog_0", "relay"] = token, time.monotonic() - duty.HOLD_SECONDS  # its own time is over
    monkeypatch.setattr(duty, "_held", first)
    assert not on_duty("catalog_0", "relay")


def test_a_duty_of_who_is_gone_is_free_whatever_its_clock_said(another_process, monkeypatch):
    assert on_duty("catalog_0", "relay")
    Duty.objects.using("catalog_0").update(until=datetime.now(UTC) + timedelta(hours=1))
    another_process()
    assert not on_duty("catalog_0", "relay")
    # when nobody has renewed it for as long as it is held
    moment = time.monotonic() + duty.HOLD_SECONDS
    monkeypatch.setattr(duty, "monotonic", lambda: moment + 0.1)
    assert on_duty("catalog_0", "relay")


def test_a_duty_that_is_renewed_is_not_taken_whatever_its_clock_says(another_process, monkeypatch):
    assert on_duty("catalog_0", "relay")
    another_process()
    moment, until = time.monotonic(), datetime.now(UTC) + timedelta(hours=1)
    for seconds in range(20):
        Duty.objects.using("catalog_0").update(until=until + timedelta(seconds=seconds))
        monkeypatch.setattr(duty, "monotonic", lambda now=moment + seconds: now)
        assert not on_duty("catalog_0", "relay")


def test_a_duty_ends_for_its_holder_though_the_clock_was_put_back(another_process, monkeypatch):
    assert on_duty("catalog_0", "relay")
    held = duty._held
    another_process()
    Duty.objects.using("catalog_0").update(until=datetime.now(UTC) - timedelta(seconds=1))
    assert on_duty("catalog_0", "relay")
    monkeypatch.setattr(duty, "_held", held)
    moment = time.monotonic() + duty.HOLD_SECONDS
    monkeypatch.setattr(duty, "monotonic", lambda: moment)
    assert not on_duty("catalog_0", "relay")


def test_a_duty_that_is_laid_down_is_free_at_once(another_process):
    assert on_duty("catalog_0", "relay")
    lay_down("catalog_0", "relay")
    another_process()
    assert on_duty("catalog_0", "relay")


def test_a_job_runs_in_one_process_at_a_time(monkeypatch, another_process):
    runs = []
    monkeypatch.setattr(jobs, "_jobs", {})
    jobs.chore(CONTEXT, "sweep", 0.0, lambda: runs.append(acting_context()))
    jobs.run_due_jobs(CONTEXT)
    another_process()
    jobs.run_due_jobs(CONTEXT)
    assert runs == ["catalog"]


def test_a_job_that_is_woken_runs_before_its_time(monkeypatch):
    runs = []
    monkeypatch.setattr(jobs, "_jobs", {})
    jobs.chore(CONTEXT, "hurries", 3600.0, lambda: runs.append("hurries"), at_once=True)
    jobs.chore(CONTEXT, "rare", 3600.0, lambda: runs.append("rare"))
    jobs.run_due_jobs(CONTEXT)
    runs.clear()
    # when nobody rings, and when somebody does
    jobs.run_due_jobs(CONTEXT, woken=wake.wait(wake.JOBS, CONTEXT, 0.0))
    assert runs == []
    wake_jobs(CONTEXT)
    jobs.run_due_jobs(CONTEXT, woken=wake.wait(wake.JOBS, CONTEXT, 0.0))
    jobs.run_due_jobs(CONTEXT, woken=wake.wait(wake.JOBS, CONTEXT, 0.0))
    # then it runs once, and alone
    assert runs == ["hurries"]


def test_a_slow_job_has_rounds_of_its_own_so_that_no_other_waits_for_it(monkeypatch):
    runs = []
    monkeypatch.setattr(jobs, "_jobs", {})
    jobs.chore(CONTEXT, "sweep", 0.0, lambda: runs.append("sweep"))
    jobs.chore(CONTEXT, "post", 3600.0, lambda: runs.append("post"), at_once=True, slow=True)
    delivery = embedded.Embedded()
    for rung in (wake.wake_jobs, wake.wake_slow_jobs):
        rung(CONTEXT)
    delivery._jobs_round(CONTEXT)
    assert runs == ["sweep"]
    delivery._slow_jobs_round(CONTEXT)
    assert runs == ["sweep", "post"]
    # and it is woken by a bell of its own
    wake.wake_slow_jobs(CONTEXT)
    delivery._slow_jobs_round(CONTEXT)
    assert runs == ["sweep", "post", "post"]


def test_a_job_comes_round_and_its_failure_stops_no_other(monkeypatch):
    runs = []
    monkeypatch.setattr(jobs, "_jobs", {})
    jobs.chore(CONTEXT, "broken", 0.0, lambda: 1 / 0)
    jobs.chore(CONTEXT, "sweep", 0.0, lambda: runs.append(1))
    jobs.chore(CONTEXT, "rare", 3600.0, lambda: runs.append(2))
    for _ in range(3):
        jobs.run_due_jobs(CONTEXT)
    assert runs.count(1) == 3
    assert runs.count(2) <= 1
