"""Writing by an old map: the shard refuses before anything is done, the new map is read, and the work is done there."""

import pytest

from shop.sharding import MixedShards, ShardMoved, alias_of, new_id, rerouted, shard_at_once, shard_atomic, shard_map
from shop.sharding import scope as scopes
from shop.sharding.models import UniqueTarget
from shop.sharding.shard_map import forget_shard_map, load_shard_map
from shop.sharding.slices import changing_slices, publish, set_owned
from shop.sharding.together import insert_if_new, insert_together
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT
from tests.shards import ANOTHER_SHARD

pytestmark = pytest.mark.django_db(databases=ALIASES)


@pytest.fixture(autouse=True)
def own_map():
    load_shard_map(CONTEXT)
    yield
    forget_shard_map(CONTEXT)


@pytest.fixture
def moved(own_map):
    """The bucket LEFT was handed from the first shard to the last; this process does not know yet."""
    hand_over(LEFT, "catalog_0", LAST)
    assert shard_map(CONTEXT).alias_of_bucket(LEFT) == "catalog_0"


def hand_over(bucket, source, target):
    say(source, bucket, owned=False)
    epoch = publish(CONTEXT, bucket, bucket, target)
    say(target, bucket, owned=True, epoch=epoch)


def say(alias, bucket, *, owned, epoch=2):
    with changing_slices(alias):
        set_owned(alias, bucket, bucket, owned=owned, epoch=epoch)


def on(alias):
    return UniqueTarget.objects.using(alias)


@ANOTHER_SHARD
def test_a_transaction_begins_again_where_the_bucket_is_now(moved):
    key, began = new_id(CONTEXT, bucket=LEFT), []
    with shard_atomic(CONTEXT, key) as scope:
        began.append(scope.alias)
        on(scope.alias).create(id=key)
    assert began == [LAST]
    assert on(LAST).filter(pk=key).exists()
    assert alias_of(CONTEXT, key) == LAST


@ANOTHER_SHARD
def test_a_single_statement_is_done_again_where_the_bucket_is_now(moved):
    key = new_id(CONTEXT, bucket=LEFT)
    assert insert_if_new(CONTEXT, UniqueTarget(id=key, void=False))
    assert on(LAST).filter(pk=key).exists()


@ANOTHER_SHARD
def test_what_is_written_at_once_is_done_again_as_a_whole(moved):
    key, began = new_id(CONTEXT, bucket=LEFT), []

    def write():
        with shard_at_once(CONTEXT, key) as scope:
            began.append(scope.alias)
            insert_together(UniqueTarget(id=key, void=False))

    rerouted(CONTEXT, write)
    assert began[-1] == LAST
    assert on(LAST).filter(pk=key).exists()


@ANOTHER_SHARD
def test_keys_that_have_parted_are_for_the_caller_to_group_anew(moved):
    keys = [new_id(CONTEXT, bucket=bucket) for bucket in (LEFT, LEFT + 1)]
    with pytest.raises(ShardMoved), shard_atomic(CONTEXT, *keys):
        pytest.fail("nothing is done where one of them is elsewhere")
    with pytest.raises(MixedShards), shard_atomic(CONTEXT, *keys):
        pytest.fail("by the map that is known now, that was the caller's mistake")


def test_between_two_owners_nobody_writes_and_everybody_waits(monkeypatch):
    # given a bucket whose source has given up, and whose target takes it while a writer waits
    say("catalog_0", LEFT, owned=False)
    key, looked = new_id(CONTEXT, bucket=LEFT), []

    def take_meanwhile(context, refused, until):
        looked.append(refused)
        if len(looked) == 3:
            epoch = publish(CONTEXT, LEFT, LEFT, LAST)
            say(LAST, LEFT, owned=True, epoch=epoch)
        learn(context, refused, until)

    learn = scopes.learn
    monkeypatch.setattr(scopes, "learn", take_meanwhile)
    with shard_atomic(CONTEXT, key) as scope:
        assert scope.alias == LAST
    assert len(looked) == 3


@pytest.mark.parametrize("write", ["transaction", "statement"])
def test_a_bucket_that_nobody_owns_is_unavailable_after_a_while(write, monkeypatch):
    monkeypatch.setattr(scopes, "PATIENCE_SECONDS", 0.1)
    say("catalog_0", LEFT, owned=False)
    key = new_id(CONTEXT, bucket=LEFT)
    with pytest.raises(ShardMoved):
        if write == "transaction":
            with shard_atomic(CONTEXT, key):
                pytest.fail("it began")
        else:
            insert_if_new(CONTEXT, UniqueTarget(id=key, void=False))
    assert not on("catalog_0").filter(pk=key).exists()


@ANOTHER_SHARD
def test_another_bucket_of_the_shard_is_guarded_when_it_is_written(moved):
    # given a transaction that began in a bucket that is here, and writes in one that has left
    with pytest.raises(ShardMoved), shard_atomic(CONTEXT, new_id(CONTEXT, bucket=LEFT + 1)) as scope:
        on(scope.alias).create(id=new_id(CONTEXT, bucket=LEFT))


def test_an_older_map_never_takes_the_place_of_a_newer_one():
    hand_over(LEFT, "catalog_0", LAST)
    newer = load_shard_map(CONTEXT)
    assert newer.alias_of_bucket(LEFT) == LAST
    hand_over(RIGHT, LAST, "catalog_0")
    assert load_shard_map(CONTEXT).epoch == newer.epoch + 1
    assert load_shard_map(CONTEXT).alias_of_bucket(LEFT) == LAST
