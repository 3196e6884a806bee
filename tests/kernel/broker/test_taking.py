"""A worker and its batch: each event's fate is in an inbox before the batch is acknowledged, and nothing is dropped."""

import pytest
from celery.exceptions import Reject
from django.db import OperationalError

from shop.events import batches
from shop.events.broker import receiving
from shop.events.broker.receiving import take
from shop.events.broker.sealing import seal
from shop.events.envelope import Envelope
from shop.events.models import InboxEntry, ParkedMessage
from shop.sharding import hosted_contexts, new_id
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, parcel_in
from tests.kernel.test_events import ParcelSent, handle, handled, no_handlers  # noqa: F401  fixtures

pytestmark = [
    pytest.mark.django_db(databases=[*ALIASES, f"{hosted_contexts()[0]}_0"]),
    pytest.mark.usefixtures("probe_tables"),
]


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(receiving, "AGAIN_SECONDS", 0.0)


@pytest.fixture
def place():
    return parcel_in(RIGHT, label="place")


def sent(place, *seqs, parcel=None):
    """Envelopes of one parcel's events."""
    parcel = parcel or new_id(CONTEXT, bucket=LEFT)
    return [
        Envelope(
            event_id=new_id(CONTEXT, near=parcel),
            topic=ParcelSent.topic(),
            key=str(parcel),
            event_seq=seq,
            shard_key=place.pk,
            payload={"parcel_id": str(parcel), "place_id": str(place.pk), "seq": seq},
            traceparent="",
            actor="",
            causation="",
        )
        for seq in seqs
    ]


def states():
    return sorted(row.state for alias in ALIASES for row in InboxEntry.objects.using(alias))


def parked():
    home = f"{hosted_contexts()[0]}_0"
    return [(row.topic, row.reason) for row in ParkedMessage.objects.using(home)]


@pytest.mark.parametrize("atomic", [True, False])
def test_a_batch_is_handled_in_its_order_and_once(handle, place, atomic):  # noqa: F811
    handle(atomic=atomic)
    message = seal(CONTEXT, sent(place, 1, 2, 3))
    # when it comes three times
    for _ in range(3):
        take(message)
    assert (handled(place), states()) == ([1, 2, 3], ["done"] * 3)


def test_atomic_handlers_take_a_batch_in_one_transaction(handle, place, django_assert_max_num_queries):  # noqa: F811
    handle()
    batch = sent(place, *range(1, 21))
    with django_assert_max_num_queries(20 * 2 + 12, using=ALIASES[-1]):  # the probe's own two, for each event
        take(seal(CONTEXT, batch))
    assert handled(place) == list(range(1, 21))


def test_a_batch_that_was_half_taken_is_finished(handle, place):  # noqa: F811
    handle()
    batch = sent(place, 1, 2, 3, 4)
    take(seal(CONTEXT, batch[:2]))
    take(seal(CONTEXT, batch))
    assert handled(place) == [1, 2, 3, 4]


def test_an_event_twice_in_one_batch_is_handled_once(handle, place):  # noqa: F811
    handle()
    [event] = sent(place, 1)
    take(seal(CONTEXT, [event, event]))
    assert (handled(place), states()) == ([1], ["done"])


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_one_batch_in_several_workers_is_handled_once(handle, in_threads):  # noqa: F811
    place = parcel_in(RIGHT, label="place")
    handle()
    message = seal(CONTEXT, sent(place, *range(1, 6)))
    in_threads(*[lambda: take(message)] * 4)
    assert (handled(place), states()) == ([1, 2, 3, 4, 5], ["done"] * 5)


def test_one_event_that_fails_does_not_hold_up_other_keys(handle, place):  # noqa: F811
    # given a handler that fails for one of three events, each of a key of its own
    def fails_for_two(event):
        if event.seq == 2:
            raise ValueError

    handle(fails_for_two)
    batch = [event for seq in (1, 2, 3) for event in sent(place, seq)]
    take(seal(CONTEXT, batch))
    assert (handled(place), states()) == ([1, 3], ["done", "done", "retry"])


def test_later_events_of_a_key_wait_for_one_that_fails(handle, place, monkeypatch):  # noqa: F811
    attempts = []

    def fails_at_first(event):
        attempts.append(event.seq)
        if len(attempts) < 3:
            raise ValueError

    handle(fails_at_first)
    take(seal(CONTEXT, sent(place, 1, 2)))
    assert (handled(place), states()) == ([], ["retry", "retry"])


def test_what_nobody_here_handles_is_parked_once(place):
    message = seal(CONTEXT, sent(place, 1))
    take(message)
    take(message)
    assert parked() == [(ParcelSent.topic(), "no handler here knows this topic")]


def test_what_is_not_believed_is_parked_and_has_no_effect(handle, place):  # noqa: F811
    handle()
    forged = {**seal(CONTEXT, sent(place, 1)), "events": "[]"}
    take(forged)
    assert (parked(), handled(place), states()) == ([("", "not what was signed")], [], [])


def test_a_batch_goes_back_while_an_inbox_can_not_be_written(handle, place, monkeypatch):  # noqa: F811
    handle()
    message = seal(CONTEXT, sent(place, 1, 2))

    def away(*_):
        raise OperationalError

    with monkeypatch.context() as outage:
        outage.setattr(batches, "alias_of", away)
        with pytest.raises(Reject) as rejected:
            take(message)
    assert rejected.value.requeue is True
    # when it comes again after that
    take(message)
    assert handled(place) == [1, 2]


def test_a_bug_of_ours_gives_the_batch_back_as_well(handle, place, monkeypatch):  # noqa: F811
    handle()
    monkeypatch.setattr(batches, "handlers_of", lambda _: 1 / 0)
    with pytest.raises(Reject) as rejected:
        take(seal(CONTEXT, sent(place, 1)))
    assert rejected.value.requeue is True
