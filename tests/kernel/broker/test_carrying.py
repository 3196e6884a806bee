"""The relay where a broker takes the events: a row is done when the broker has it, and stays when nobody does."""

from datetime import UTC, datetime

import pytest

from shop.events import handlers, relay
from shop.events.away import Away
from shop.events.models import OutboxEvent
from tests.kernel.probes import ALIASES, LEFT, RIGHT, parcel_in
from tests.kernel.test_events import ParcelSent, entries, handle, no_handlers, pass_time, send  # noqa: F401  fixtures

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


class Broker:
    """Has queues for some topics, or is away."""

    def __init__(self, *topics):
        self.topics, self.away, self.batches = topics, False, []

    def __call__(self, context, batches):
        for topic, envelopes in batches:
            if self.away:
                raise Away("it does not answer")
            self.batches.append([envelope.event_seq for envelope in envelopes])
            yield topic in self.topics


@pytest.fixture
def place():
    return parcel_in(RIGHT, label="place")


def rows():
    return list(OutboxEvent.objects.using("catalog_0").order_by("event_seq"))


def states():
    return {row.state for row in rows()}


TOPIC = ParcelSent.topic()


def test_what_the_broker_has_is_handed_over_and_not_handled_here(handle, place):  # noqa: F811  the fixture
    handle()
    send(parcel_in(LEFT), place, 1, 2, 3)
    broker = Broker(TOPIC)
    assert relay.relay("catalog_0", broker) == 3
    assert (broker.batches, states(), entries()) == ([[1, 2, 3]], {"handed_over"}, [])
    assert relay.relay("catalog_0", broker) == 0


def test_more_than_a_hundred_go_in_several_batches(handle, place):  # noqa: F811
    handle()
    send(parcel_in(LEFT), place, *range(1, 231))
    broker = Broker(TOPIC)
    relay.relay("catalog_0", broker)
    assert [len(batch) for batch in broker.batches] == [100, 100, 30]
    assert [seq for batch in broker.batches for seq in batch] == list(range(1, 231))


def test_a_broker_that_is_away_loses_nothing_and_the_next_round_has_all(handle, place):  # noqa: F811
    # given events while the broker is away
    handle()
    send(parcel_in(LEFT), place, 1, 2)
    broker = Broker(TOPIC)
    broker.away = True
    with pytest.raises(Away):
        relay.relay("catalog_0", broker)
    # then nothing waits for a lease to run out
    assert [(row.state, row.lease_until) for row in rows()] == [("pending", None)] * 2
    # when it is back
    broker.away = False
    assert relay.relay("catalog_0", broker) == 2
    assert states() == {"handed_over"}


def test_what_it_took_before_it_went_away_stays_taken(handle, place, monkeypatch):  # noqa: F811
    monkeypatch.setattr(relay, "BATCH", 2)
    handle()
    send(parcel_in(LEFT), place, 1, 2, 3, 4)

    def broker(context, batches):
        yield True
        raise Away

    with pytest.raises(Away):
        relay.relay("catalog_0", broker)
    assert [row.state for row in rows()] == ["handed_over"] * 2 + ["pending"] * 2


def test_an_event_that_somebody_handles_waits_for_its_queue(handle, place):  # noqa: F811
    # given a handler, and no queue yet
    handle()
    send(parcel_in(LEFT), place, 1)
    assert relay.relay("catalog_0", Broker()) == 1
    [row] = rows()
    assert (row.state, row.available_at > datetime.now(UTC), row.lease_token) == ("pending", True, None)
    # when it was declared
    pass_time()
    relay.relay("catalog_0", Broker(TOPIC))
    assert states() == {"handed_over"}


def test_an_event_that_nobody_handles_is_done(place):
    assert handlers.handlers_of(TOPIC) == []
    send(parcel_in(LEFT), place, 1)
    relay.relay("catalog_0", Broker())
    assert states() == {"handed_over"}
