"""Values that are unique over all shards: reserve, create, confirm; and every way it can break off."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from shop.events.housekeeping import finish_dangling_values
from shop.sharding import bucket_of, hash_bucket, new_id, shard_atomic, unique
from shop.sharding.models import UniqueTarget, UniqueValue
from shop.sharding.unique import (
    CreationVoided,
    ValueTaken,
    confirm,
    free,
    mark_created,
    owner_of_value,
    release,
    reserve,
    reserve_many,
    resolve_dangling,
)
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, Parcel
from tests.kernel.processes import environment_here, result, start
from tests.shards import SHARDS

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]

COMMITTING = pytest.mark.django_db(databases=ALIASES, transaction=True)
KIND = "sku"
VALUES = ["tea", "coffee", "water", "juice"]
"""Their hashes lie on both shards; the first test looks."""


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr(unique, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(unique, "LOOK_AGAIN_SECONDS", 0.01)


def target(bucket=LEFT):
    return new_id(CONTEXT, bucket=bucket)


def row(value, kind=KIND):
    found = [r for a in ALIASES for r in UniqueValue.objects.using(a).filter(kind=kind, value=value)]
    assert len(found) < 2
    return found[0] if found else None


def state(value):
    found = row(value)
    return (found.target_id, found.state) if found else None


def create(owner):
    """The transaction that makes the owner."""
    with shard_atomic(CONTEXT, owner):
        mark_created(owner)
        Parcel.objects.create(id=owner, owner_id=owner)


def age(value, seconds=60):
    found = row(value)
    UniqueValue.objects.using(found._state.db).filter(pk=found.pk).update(
        reserved_at=datetime.now(UTC) - timedelta(seconds=seconds)
    )


def test_a_value_lies_in_the_bucket_of_its_hash():
    owner = target()
    values = [f"{value} {number}" for value in VALUES for number in range(5 * SHARDS)]
    reserve(CONTEXT, KIND, dict.fromkeys(values, owner))
    assert {bucket_of(row(value).pk) for value in values} == {hash_bucket(KIND, value) for value in values}
    assert {row(value)._state.db for value in values} == set(ALIASES)


@pytest.mark.parametrize("bucket", [LEFT, RIGHT])
def test_the_whole_way(bucket):
    owner = target(bucket)
    reserve(CONTEXT, KIND, {"tea": owner})
    assert state("tea") == (owner, "reserved")
    create(owner)
    confirm(CONTEXT, KIND, {"tea": owner})
    assert state("tea") == (owner, "confirmed")
    assert owner_of_value(CONTEXT, KIND, "tea") == owner
    assert owner_of_value(CONTEXT, KIND, "coffee") is None


def test_every_step_may_be_repeated_by_the_same_target():
    owner = target()
    for _ in range(2):
        reserve(CONTEXT, KIND, {"tea": owner})
    create(owner)
    for _ in range(2):
        confirm(CONTEXT, KIND, {"tea": owner})
        reserve(CONTEXT, KIND, {"tea": owner})
    assert state("tea") == (owner, "confirmed")


def test_the_values_of_who_is_gone_are_free_whatever_their_kind_and_wherever_they_lie():
    # given somebody with values of two kinds on every shard, and somebody else
    gone, other = target(), target(RIGHT)
    values = [f"{value} {number}" for value in VALUES for number in range(5 * SHARDS)]
    reserve(CONTEXT, KIND, dict.fromkeys(values, gone))
    reserve(CONTEXT, "email", {"tea": gone})
    reserve(CONTEXT, KIND, {"tea": other})
    create(gone)
    confirm(CONTEXT, KIND, dict.fromkeys(values, gone))
    # when the one is gone, and that is told twice
    assert [free(CONTEXT, gone), free(CONTEXT, gone)] == [len(values) + 1, 0]
    # then all of that is free, and the other's is not
    assert {owner_of_value(CONTEXT, KIND, value) for value in values} == {None}
    assert owner_of_value(CONTEXT, "email", "tea") is None
    assert owner_of_value(CONTEXT, KIND, "tea") == other


def test_a_confirmed_value_is_refused_to_others():
    owner = target()
    reserve(CONTEXT, KIND, {"tea": owner})
    create(owner)
    confirm(CONTEXT, KIND, {"tea": owner})
    with pytest.raises(ValueTaken) as caught:
        reserve(CONTEXT, KIND, {"tea": target(RIGHT)})
    assert caught.value.values == ["tea"]


def test_all_values_are_reserved_or_none():
    owner, late = target(), target(RIGHT)
    reserve(CONTEXT, KIND, {"coffee": owner})
    create(owner)
    confirm(CONTEXT, KIND, {"coffee": owner})
    with pytest.raises(ValueTaken):
        reserve(CONTEXT, KIND, dict.fromkeys(VALUES, late))
    assert [state(value) for value in VALUES if value != "coffee"] == [None, None, None]


def test_whoever_waits_holds_nothing_that_another_may_wait_for(monkeypatch):
    # given somebody who is just creating the first value in order
    reserve(CONTEXT, KIND, {"coffee": target()})
    # when another wants it and a second one, named before it
    seen = []
    monkeypatch.setattr(unique.time, "sleep", lambda _: seen.append(state("tea")))
    reserve(CONTEXT, KIND, dict.fromkeys(["tea", "coffee"], target(RIGHT)))
    # then it takes the second only after the first
    assert set(seen) == {None}


def test_values_of_two_kinds_never_meet():
    first, second = target(), target()
    reserve(CONTEXT, "sku", {"tea": first})
    reserve(CONTEXT, "email", {"tea": second})
    assert (row("tea", "sku").target_id, row("tea", "email").target_id) == (first, second)


def test_a_released_value_is_free_and_a_confirmed_one_is_never_released():
    owner = target()
    reserve(CONTEXT, KIND, {"tea": owner, "coffee": owner})
    release(CONTEXT, KIND, {"tea": owner})
    create(owner)
    confirm(CONTEXT, KIND, {"coffee": owner})
    release(CONTEXT, KIND, {"coffee": owner})
    assert (state("tea"), state("coffee")) == (None, (owner, "confirmed"))


def test_nobody_releases_or_confirms_what_is_anothers():
    owner, other = target(), target()
    reserve(CONTEXT, KIND, {"tea": owner})
    release(CONTEXT, KIND, {"tea": other})
    confirm(CONTEXT, KIND, {"tea": other})
    assert state("tea") == (owner, "reserved")


def test_a_reservation_without_its_target_is_taken_over_after_some_patience():
    """Given a creator that died before it created."""
    dead, next_one = target(), target(RIGHT)
    reserve(CONTEXT, KIND, {"tea": dead})
    reserve(CONTEXT, KIND, {"tea": next_one})
    assert state("tea") == (next_one, "reserved")


def test_a_reservation_with_its_target_is_confirmed_for_it():
    """Given a creator that died before it confirmed."""
    dead = target()
    reserve(CONTEXT, KIND, {"tea": dead})
    create(dead)
    with pytest.raises(ValueTaken):
        reserve(CONTEXT, KIND, {"tea": target(RIGHT)})
    assert state("tea") == (dead, "confirmed")


def test_a_creator_whose_reservation_was_given_up_can_not_create_any_more():
    """Given a creator so slow that another one took its value."""
    slow, fast = target(), target(RIGHT)
    reserve(CONTEXT, KIND, {"tea": slow})
    reserve(CONTEXT, KIND, {"tea": fast})
    create(fast)
    with pytest.raises(CreationVoided):
        create(slow)
    confirm(CONTEXT, KIND, {"tea": slow})
    confirm(CONTEXT, KIND, {"tea": fast})
    assert [p.pk for p in Parcel.objects.across().rows()] == [fast]
    assert state("tea") == (fast, "confirmed")


def test_the_sweeper_finishes_both_kinds_and_leaves_young_ones_alone():
    dead, done, young = target(), target(RIGHT), target()
    reserve(CONTEXT, KIND, {"tea": dead})
    reserve(CONTEXT, KIND, {"coffee": done})
    reserve(CONTEXT, KIND, {"water": young})
    create(done)
    age("tea")
    age("coffee")
    assert finish_dangling_values(CONTEXT) == 2
    assert [state(value) for value in VALUES] == [None, (done, "confirmed"), (young, "reserved"), None]
    assert finish_dangling_values(CONTEXT) == 0


def test_resolving_twice_says_the_same():
    dead = target()
    reserve(CONTEXT, KIND, {"tea": dead})
    found = row("tea")
    resolve_dangling(CONTEXT, found)
    resolve_dangling(CONTEXT, found)
    assert state("tea") is None
    assert UniqueTarget.objects.using("catalog_0").get(pk=dead).void


def test_resolving_late_does_not_free_the_value_for_the_one_who_has_it_now():
    dead, owner = target(), target(RIGHT)
    reserve(CONTEXT, KIND, {"tea": dead})
    stale = row("tea")
    reserve(CONTEXT, KIND, {"tea": owner})
    create(owner)
    resolve_dangling(CONTEXT, stale)
    assert state("tea") == (owner, "reserved")


def test_a_creation_that_rolled_back_has_not_created():
    owner = target()
    reserve(CONTEXT, KIND, {"tea": owner})
    with pytest.raises(ZeroDivisionError), shard_atomic(CONTEXT, owner):
        mark_created(owner)
        raise ZeroDivisionError
    resolve_dangling(CONTEXT, row("tea"))
    assert state("tea") is None


def test_many_at_once():
    owners = {f"v{n}": target(n * 13 % 4096) for n in range(300)}
    reserve_many(CONTEXT, KIND, owners)
    reserve_many(CONTEXT, KIND, owners)
    for owner in owners.values():
        create(owner)
    confirm(CONTEXT, KIND, owners)
    assert {value: owner_of_value(CONTEXT, KIND, value) for value in owners} == owners
    with pytest.raises(ValueTaken):
        reserve_many(CONTEXT, KIND, {"new": target(), "v7": target()})


@COMMITTING
def test_of_many_at_once_one_gets_the_value(in_threads):
    def sign_up(bucket):
        owner = target(bucket)
        try:
            reserve(CONTEXT, KIND, {"tea": owner})
        except ValueTaken:
            return None
        create(owner)
        confirm(CONTEXT, KIND, {"tea": owner})
        return owner

    buckets = [LEFT, RIGHT] * 3
    won = [owner for owner in in_threads(*[lambda b=b: sign_up(b) for b in buckets]) if owner]
    assert len(won) == 1
    assert state("tea") == (won[0], "confirmed")
    assert [p.pk for p in Parcel.objects.across().rows()] == won


@COMMITTING
def test_who_resolves_waits_for_a_creation_that_is_just_committing(in_threads):
    """Given a creator within its transaction, when somebody wants its value, the creator wins."""
    owner = target(RIGHT)
    reserve(CONTEXT, KIND, {"tea": owner})

    def slow_creator():
        with shard_atomic(CONTEXT, owner):
            mark_created(owner)
            time.sleep(0.4)
            Parcel.objects.create(id=owner, owner_id=owner)
        return "made"

    def rival():
        time.sleep(0.1)
        with pytest.raises(ValueTaken):
            reserve(CONTEXT, KIND, {"tea": target()})
        return "refused"

    assert in_threads(slow_creator, rival) == ["made", "refused"]
    assert state("tea") == (owner, "confirmed")


SIGN_UPS = """
import random, sys, time
from shop.contract import UnavailableError
from shop.sharding import new_id, shard_atomic, unique
from tests.kernel.probes import Parcel
unique.PATIENCE_SECONDS = 0.05
unique.LOOK_AGAIN_SECONDS = 0.01
chance = random.Random()
tally = {"acknowledged": [], "crashed": 0, "taken": 0, "voided": 0}
class Crash(Exception):
    pass
def sign_up(value, crash):
    owner = new_id("catalog")
    unique.reserve("catalog", "sku", {value: owner})
    if crash == "reserved":
        raise Crash
    if crash == "slow":
        time.sleep(0.12)
    with shard_atomic("catalog", owner):
        unique.mark_created(owner)
        if crash == "marked":
            raise Crash
        Parcel.objects.create(id=owner, owner_id=owner, label=value)
        if crash == "creating":
            raise Crash
    if crash == "created":
        raise Crash
    unique.confirm("catalog", "sku", {value: owner})
    tally["acknowledged"].append([value, owner])
new_id("catalog")
print("ready", flush=True)
sys.stdin.readline()
for position in range(300):
    value = f"v{(position + chance.randrange(8)) % 300}"  # all processes want the same values at about the same time
    crash = chance.choice(["reserved", "slow", "marked", "creating", "created", *[None] * 20])
    try:
        sign_up(value, crash)
    except Crash:
        tally["crashed"] += 1
    except unique.ValueTaken:
        tally["taken"] += 1
    except unique.CreationVoided:
        tally["voided"] += 1
print(json.dumps(tally))
"""


@COMMITTING
@pytest.mark.usefixtures("_probe_tables")
def test_four_processes_that_crash_at_every_step_make_no_duplicate_and_lose_nothing():
    running = [start(SIGN_UPS, environment_here(CONTEXT)) for _ in range(4)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    tallies = [result(process) for process in running]
    open_rows = [r for a in ALIASES for r in UniqueValue.objects.using(a).filter(state="reserved")]
    for dangling in open_rows:
        resolve_dangling(CONTEXT, dangling)

    acknowledged = [tuple(pair) for tally in tallies for pair in tally["acknowledged"]]
    made = [(p.label, p.pk) for p in Parcel.objects.across().rows()]
    looked_up = [pair for a in ALIASES for pair in UniqueValue.objects.using(a).values_list("value", "target_id")]
    assert min(len(acknowledged), *(sum(t[kind] for t in tallies) for kind in ("crashed", "taken", "voided"))) > 0
    assert len({value for value, _ in made}) == len(made)
    assert sorted(looked_up) == sorted(made)
    assert set(acknowledged) <= set(made)
    assert not UniqueValue.objects.using(ALIASES[0]).exclude(state="confirmed").exists()
