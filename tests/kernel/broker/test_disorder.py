"""A broker at its worst: every batch three times, in any order, some events that no handler can stand."""

import os
import secrets
from collections import Counter
from random import Random

import pytest

from shop.events.broker.receiving import take
from shop.events.broker.sealing import seal
from shop.events.inbox import MAX_ATTEMPTS
from tests.kernel.broker.test_taking import sent
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, parcel_in
from tests.kernel.test_events import entries, handle, handled, no_handlers, pass_time, work  # noqa: F401  fixtures

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]

TIMES = 3
EACH = 20
POISON = 2


@pytest.mark.parametrize("keys", [12, pytest.param(1_000, marks=pytest.mark.evidence)])
@pytest.mark.parametrize("atomic", [True, False])
def test_three_times_shuffled_and_poisoned_is_as_good_as_once(handle, keys, atomic):  # noqa: F811
    number = int(os.environ.get("DISORDER_SEED") or secrets.randbits(32))
    print(f"DISORDER_SEED={number}")
    random = Random(number)
    # given parcels whose events come in batches of other parcels' events, one in a thousand of them poison
    places = [parcel_in(random.choice([LEFT, RIGHT]), label="place") for _ in range(keys)]
    events = {place.pk: sent(place, *range(1, EACH + 1)) for place in places}
    everything = [event for of_place in events.values() for event in of_place]
    poison = {(event.shard_key, event.event_seq) for event in random.sample(everything, max(POISON, keys // 50))}

    def fail(event):
        if (int(event.place_id), event.seq) in poison:
            raise ValueError("poison")

    handle(fail, atomic=atomic)
    random.shuffle(everything)
    batches = [seal(CONTEXT, everything[start : start + 10]) for start in range(0, len(everything), 10)] * TIMES
    random.shuffle(batches)
    # when they are delivered
    for batch in batches:
        take(batch)
    # then every event of another key is done, once, at the first try
    well = [place for place in places if place.pk not in {key for key, _ in poison}]
    assert {place.pk: sorted(handled(place)) for place in well} == {
        place.pk: list(range(1, EACH + 1)) for place in well
    }
    # when what failed is tried again until nothing is due
    for _ in range(MAX_ATTEMPTS + 1):
        pass_time()
        work()
    # then the poison is dead after five tries, what came before it done, and what came after it done or waiting
    rows = {(row.key, row.event_seq): row for row in entries()}
    assert len(rows) == len(everything)
    fates = Counter(row.state for row in rows.values())
    assert fates["dead"] <= len(poison)
    for place in places:
        if place not in well:
            check(place, events[place.pk], rows, min(seq for key, seq in poison if key == place.pk))


def check(place, of_key, rows, first):
    """The fates of a key that has poison, the first of it with the number ``first``."""
    fates = {event.event_seq: rows[event.key, event.event_seq] for event in of_key}
    assert (fates[first].state, fates[first].attempts) == ("dead", MAX_ATTEMPTS)
    assert {fates[seq].state for seq in fates if seq < first} <= {"done"}
    assert {fates[seq].state for seq in fates if seq > first} <= {"done", "retry", "dead"}
    done = {seq for seq in fates if fates[seq].state == "done"}  # a handler that is not atomic has an effect and fails
    assert sorted(seq for seq in handled(place) if seq in done) == sorted(done)
