"""`manage.py shards plan`: wide slices, few moves, and a skew that is small afterwards."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shop.sharding import new_id
from shop.sharding.commands.planning import GOOD_ENOUGH, MOST_MOVES, WIDEST, Balance, plan, spread
from shop.sharding.first_migrate import even_split
from shop.sharding.ids import BUCKETS
from shop.sharding.models import ShardEpoch, ShardProcess, UniqueTarget
from shop.sharding.slices import changing_slices, publish, set_owned
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT
from tests.kernel.shards.conftest import shards
from tests.shards import ANOTHER_SHARD, SHARDS, SLICES

EVEN = [1.0] * BUCKETS


def owners_of(*aliases):
    return [alias for lo, hi, alias in even_split(aliases) for _ in range(lo, hi + 1)]


def after(owners, loads, names, moves):
    balance = Balance(owners, loads, names)
    for move in moves:
        assert set(balance.owners[move.lo : move.hi + 1]) == {move.source}, "somebody else's bucket would be moved"
        balance.apply(move)
    return balance


@pytest.mark.once
def test_an_even_shop_needs_no_move():
    assert plan(owners_of("a", "b", "c"), EVEN, ["a", "b", "c"]) == []


@pytest.mark.once
@pytest.mark.parametrize("old", [1, 2, 4, 8])
def test_a_new_shard_gets_its_share_by_one_move_from_each_of_the_old_ones(old):
    names = [f"s{n}" for n in range(old + 1)]
    moves = plan(owners_of(*names[:-1]), EVEN, names)
    balance = after(owners_of(*names[:-1]), EVEN, names, moves)
    assert balance.skew <= GOOD_ENOUGH
    assert {move.target for move in moves} == {names[-1]}
    # an old one gives one slice, which is cut only where it is too wide to change hands at once
    assert len({move.source for move in moves}) <= old
    assert len(moves) <= max(old, BUCKETS // (old + 1) // WIDEST + 1)
    assert all(len(list(balance.slices_of(name))) == 1 for name in names[:-1])


@pytest.mark.once
def test_no_move_is_wider_than_what_can_change_hands_at_once():
    moves = plan(["a"] * BUCKETS, EVEN, ["a", "b"])
    assert sum(move.width for move in moves) == BUCKETS // 2
    assert max(move.width for move in moves) <= WIDEST


@pytest.mark.once
def test_a_bucket_that_is_heavier_than_a_share_stays_and_the_others_leave_it():
    loads = list(EVEN)
    loads[7] = 10_000.0
    owners = owners_of("a", "b")
    balance = after(owners, loads, ["a", "b"], plan(owners, loads, ["a", "b"]))
    assert balance.owners[7] == "a"
    assert balance.by_shard["a"] < 10_100


@pytest.mark.once
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(0, 2), st.sampled_from([0.0, 0.9, 0.99]))
def test_no_plan_makes_it_worse_or_moves_what_is_not_there(seed, old, new, empty):
    chance = random.Random(seed)
    names = [f"s{n}" for n in range(old + new)]
    owners = owners_of(*names[:old])
    loads = [0.0 if chance.random() < empty else chance.expovariate(1) for _ in range(BUCKETS)]
    moves = plan(owners, loads, names)
    before, balance = Balance(owners, loads, names), after(owners, loads, names, moves)
    assert balance.skew <= before.skew
    assert len(moves) <= MOST_MOVES * (BUCKETS // WIDEST)
    if not empty:  # nothing is too heavy: all can be brought near the mean
        assert balance.skew <= GOOD_ENOUGH


@pytest.mark.once
def test_what_a_shard_has_is_spread_as_its_rows_lie():
    assert spread(30.0, {1: 2.0, 2: 1.0, 9: 5.0}, [1, 2, 3]) == {1: 20.0, 2: 10.0, 3: 0.0}
    assert spread(30.0, {9: 5.0}, [1, 2, 3]) == {1: 10.0, 2: 10.0, 3: 10.0}


def targets(alias, *buckets):
    UniqueTarget.objects.using(alias).bulk_create(UniqueTarget(id=new_id(CONTEXT, bucket=b)) for b in buckets)


@pytest.fixture
def uneven(own_map):
    """Nine rows of ten are spread over the first shard, the tenth over the last."""
    targets("catalog_0", *(n * 2 % (SLICES[0][1] + 1) for n in range(900)))
    targets(LAST, *range(3900, 4000))


@ANOTHER_SHARD
@pytest.mark.django_db(databases=ALIASES)
@pytest.mark.parametrize("by", ["rows", "bytes", "requests"])
def test_rows_bytes_and_requests_each_make_a_plan(by, uneven):
    told = {"pid": 1, "host": "h", "role": "server", "epoch": 1}
    counts = {"catalog_0": [900, 9], LAST: [100, 1]}
    ShardProcess.objects.using("catalog_0").create(id="0" * 32, requests=counts, **told)
    said = shards("plan", CONTEXT, "--by", by, "--json")
    assert (said.code, said.json["by"]) == (0, by)
    if by != "bytes":  # an almost empty database takes as much as any other
        assert (said.json["skew_before"], said.json["skew_after"]) == (
            0.9 * SHARDS,
            pytest.approx(1.0, abs=0.05),
        )
        assert {(move["from"], move["to"]) for move in said.json["moves"]} == {
            ("catalog_0", alias) for alias in ALIASES[1:]
        }
        assert sum(move["rows"] for move in said.json["moves"]) == pytest.approx(900 - 1000 / SHARDS, abs=25)


@ANOTHER_SHARD
@pytest.mark.django_db(databases=ALIASES)
def test_nothing_moves_and_people_are_told_so(uneven):
    said = shards("plan", CONTEXT)
    assert said.code == 0
    assert f"skew (most over mean): {0.9 * SHARDS:.2f} before, 1.0" in said.out
    assert "nothing has moved" in said.out
    assert ShardEpoch.objects.using("catalog_0").get().epoch == 1


@pytest.mark.django_db(databases=ALIASES)
def test_an_empty_shop_is_planned_by_buckets(own_map):
    for alias in reversed(ALIASES):
        with changing_slices(alias):
            set_owned(alias, 2100, 4095, owned=alias == "catalog_0", epoch=2)
    publish(CONTEXT, 2100, 4095, "catalog_0")
    said = shards("plan", CONTEXT, "--json")
    assert said.json["by"] == "buckets"
    assert [each["buckets_after"] for each in said.json["shards"]] == pytest.approx([4096 / SHARDS] * SHARDS, abs=60)


@pytest.mark.django_db(databases=ALIASES)
def test_what_can_not_be_planned_is_refused(own_map):
    refused = shards("plan", CONTEXT, "--by", "requests")
    assert (refused.code, "counted a request" in refused.error) == (2, True)
    with changing_slices("catalog_0"):
        set_owned("catalog_0", LEFT, LEFT, owned=False, epoch=2)
    refused = shards("plan", CONTEXT)
    assert (refused.code, "shards doctor catalog" in refused.error) == (2, True)
