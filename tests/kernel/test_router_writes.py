"""Writes to sharded models: inside `shard_atomic` only, and only what belongs to its shard."""

from decimal import Decimal

import pytest
from django.db.models import F, Value

from shop.sharding import (
    MixedShards,
    ShardKeyMissing,
    ShardScopeMissing,
    current_scope,
    forbid_shard_switch,
    home_atomic,
    key_of_bucket,
    new_id,
    shard_atomic,
)
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT, Item, Notice, Parcel, parcel_in
from tests.shards import ANOTHER_SHARD

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


def new_parcel(bucket):
    owner = new_id(CONTEXT, bucket=bucket)
    return Parcel(id=new_id(CONTEXT, near=owner), owner_id=owner)


def fields_of(p):
    return {"id": p.id, "owner_id": p.owner_id}


def changed(p):
    p.label = "changed"
    return p


NEW = {
    "save": lambda p: p.save(),
    "create": lambda p: Parcel.objects.create(**fields_of(p)),
    "bulk_create": lambda p: Parcel.objects.bulk_create([p]),
    "get_or_create": lambda p: Parcel.objects.get_or_create(id=p.id, defaults={"owner_id": p.owner_id}),
    "update_or_create": lambda p: Parcel.objects.update_or_create(id=p.id, defaults={"owner_id": p.owner_id}),
}
OLD = {
    "save": lambda p: changed(p).save(),
    "save some": lambda p: changed(p).save(update_fields=["label"]),
    "update": lambda p: Parcel.objects.filter(pk=p.pk).update(label="changed"),
    "bulk_update": lambda p: Parcel.objects.bulk_update([changed(p)], ["label"]),
    "update_or_create": lambda p: Parcel.objects.update_or_create(id=p.pk, defaults={"label": "changed"}),
    "locked get": lambda p: changed(Parcel.objects.select_for_update().get(pk=p.pk)).save(),
}
GONE = {
    "delete": lambda p: p.delete(),
    "delete the query": lambda p: Parcel.objects.filter(pk=p.pk).delete(),
}
RELATED = {
    "create": lambda p: p.items.create(id=new_id(CONTEXT, near=p.pk), name="cup"),
    "get_or_create": lambda p: p.items.get_or_create(id=new_id(CONTEXT, near=p.pk), name="cup"),
    "add": lambda p: p.items.add(Item(id=new_id(CONTEXT, near=p.pk), name="cup"), bulk=False),
    "bulk_create": lambda p: p.items.bulk_create([Item(id=new_id(CONTEXT, near=p.pk), parcel=p, name="cup")]),
}
WRITES = {
    **{f"new: {name}": (new_parcel, write) for name, write in NEW.items()},
    **{f"old: {name}": (parcel_in, write) for name, write in (OLD | GONE).items()},
    **{f"related: {name}": (parcel_in, write) for name, write in RELATED.items()},
}


class Broken(Exception):
    """What goes wrong in the middle."""


EITHER = pytest.mark.parametrize("bucket", [LEFT, RIGHT], ids=["first shard", "second shard"])


@EITHER
@pytest.mark.parametrize("write", NEW.values(), ids=NEW)
def test_what_is_made_in_a_scope_lies_on_its_shard(bucket, write):
    parcel = new_parcel(bucket)
    with shard_atomic(CONTEXT, key_of_bucket(bucket)) as scope:
        write(parcel)
    assert [Parcel.objects.using(alias).filter(pk=parcel.pk).exists() for alias in ALIASES] == [
        alias == scope.alias for alias in ALIASES
    ]


@EITHER
@pytest.mark.parametrize("write", OLD.values(), ids=OLD)
def test_what_is_changed_in_a_scope_is_changed_on_its_shard(bucket, write):
    parcel = parcel_in(bucket)
    with shard_atomic(CONTEXT, parcel.pk):
        write(parcel)
    assert Parcel.objects.get(pk=parcel.pk).label == "changed"


@EITHER
@pytest.mark.parametrize("write", GONE.values(), ids=GONE)
def test_what_is_deleted_takes_its_parts_along(bucket, write):
    parcel = parcel_in(bucket)
    with shard_atomic(CONTEXT, parcel.pk):
        parcel.items.create(id=new_id(CONTEXT, near=parcel.pk))
        write(parcel)
    assert Parcel.objects.across().count() == Item.objects.across().count() == 0


@EITHER
@pytest.mark.parametrize("write", RELATED.values(), ids=RELATED)
def test_a_related_manager_writes_where_its_instance_lives(bucket, write):
    parcel = parcel_in(bucket)
    with shard_atomic(CONTEXT, parcel.pk):
        write(parcel)
    assert Item.objects.get(parcel=parcel).name == "cup"


@pytest.mark.parametrize(("make", "write"), WRITES.values(), ids=WRITES)
def test_no_write_without_a_scope(make, write):
    parcel = make(RIGHT)
    with pytest.raises(ShardScopeMissing):
        write(parcel)


@pytest.mark.parametrize(("make", "write"), WRITES.values(), ids=WRITES)
@ANOTHER_SHARD
def test_no_write_in_another_shards_scope(make, write):
    parcel = make(RIGHT)
    with shard_atomic(CONTEXT, key_of_bucket(LEFT)), pytest.raises((ShardScopeMissing, MixedShards)):
        write(parcel)


@pytest.mark.parametrize(("make", "write"), WRITES.values(), ids=WRITES)
@ANOTHER_SHARD
def test_a_stale_memory_of_a_database_decides_nothing(make, write):
    parcel = make(LEFT)
    parcel._state.db = LAST
    with shard_atomic(CONTEXT, parcel.pk):
        write(parcel)
    stored = [*Parcel.objects.using(LAST), *Item.objects.using(LAST)]
    assert stored == []


NAMED = {
    "update": lambda p: Parcel.objects.using(LAST).update(label="changed"),
    "create": lambda p: Parcel.objects.using(LAST).create(**fields_of(new_parcel(RIGHT))),
    "save": lambda p: p.save(using=LAST),
    "delete": lambda p: p.delete(using=LAST),
}


@pytest.mark.parametrize("write", NAMED.values(), ids=NAMED)
@ANOTHER_SHARD
def test_a_named_database_must_be_the_scopes(write):
    parcel = parcel_in(RIGHT)
    with shard_atomic(CONTEXT, key_of_bucket(LEFT)), pytest.raises((ShardScopeMissing, MixedShards)):
        write(parcel)


def test_a_row_without_an_id_is_refused():
    with shard_atomic(CONTEXT, key_of_bucket(LEFT)), pytest.raises(ShardKeyMissing, match="new_id"):
        Parcel(owner_id=1).save()


@pytest.mark.parametrize("write", [lambda p: p.save(), lambda p: Parcel.objects.bulk_create([p])])
def test_a_row_whose_shard_key_lies_in_another_bucket_is_refused(write):
    parcel = new_parcel(LEFT)
    parcel.owner_id = new_id(CONTEXT, bucket=LEFT + 1)
    with shard_atomic(CONTEXT, parcel.pk), pytest.raises(MixedShards, match="owner_id"):
        write(parcel)


@pytest.mark.parametrize("written", [str, Decimal, Value, lambda key: F("owner_id") + key])
@pytest.mark.parametrize("write", [lambda p: p.save(), lambda p: Parcel.objects.bulk_create([p])])
def test_however_that_key_is_written(write, written):
    parcel = new_parcel(LEFT)
    parcel.owner_id = written(new_id(CONTEXT, bucket=LEFT + 1))
    with shard_atomic(CONTEXT, parcel.pk), pytest.raises(MixedShards, match="owner_id"):
        write(parcel)


def test_a_shard_key_may_come_as_a_text():
    parcel = new_parcel(LEFT)
    parcel.owner_id = str(new_id(CONTEXT, bucket=LEFT))
    with shard_atomic(CONTEXT, parcel.pk):
        parcel.save()
    assert Parcel.objects.get(pk=parcel.pk).owner_id == int(parcel.owner_id)


def test_home_rows_are_written_at_the_home():
    with home_atomic(CONTEXT) as scope:
        Notice.objects.create(id=1, text="open")
    assert scope.alias == "catalog_0"
    assert Notice.objects.using("catalog_0").get().text == "open"


@ANOTHER_SHARD
def test_two_keys_of_one_shard_share_a_scope_and_two_shards_do_not():
    with shard_atomic(CONTEXT, key_of_bucket(LEFT), key_of_bucket(LEFT + 1)) as scope:
        assert scope.alias == "catalog_0"
    with pytest.raises(MixedShards), shard_atomic(CONTEXT, key_of_bucket(LEFT), key_of_bucket(RIGHT)):
        pass


def test_a_nested_scope_of_the_same_shard_joins_and_rolls_back_with_the_outer_one():
    parcel = new_parcel(LEFT)

    def fail_outside():
        with shard_atomic(CONTEXT, parcel.pk) as outer:
            with shard_atomic(CONTEXT, key_of_bucket(LEFT + 1)) as inner:
                parcel.save()
            assert inner is outer
            raise Broken

    with pytest.raises(Broken):
        fail_outside()
    assert Parcel.objects.across().count() == 0


@ANOTHER_SHARD
def test_no_other_shard_within_a_scope():
    with shard_atomic(CONTEXT, key_of_bucket(LEFT)):
        with pytest.raises(MixedShards), shard_atomic(CONTEXT, key_of_bucket(RIGHT)):
            pass
        with home_atomic(CONTEXT) as same:
            assert same.alias == "catalog_0"
    with shard_atomic(CONTEXT, key_of_bucket(RIGHT)), pytest.raises(MixedShards), home_atomic(CONTEXT):
        pass


@ANOTHER_SHARD
def test_switching_shards_can_be_forbidden():
    with forbid_shard_switch("catalog_0"):
        with shard_atomic(CONTEXT, key_of_bucket(LEFT)):
            pass
        with pytest.raises(MixedShards), shard_atomic(CONTEXT, key_of_bucket(RIGHT)):
            pass


def test_a_scope_ends_with_its_block():
    with shard_atomic(CONTEXT, key_of_bucket(LEFT)):
        assert current_scope() is not None
    assert current_scope() is None


def test_on_commit_runs_after_the_commit(django_capture_on_commit_callbacks):
    seen = []
    with django_capture_on_commit_callbacks(using=LAST, execute=True):
        with shard_atomic(CONTEXT, key_of_bucket(RIGHT)) as scope:
            scope.on_commit(lambda: seen.append("done"))
        assert seen == []
    assert seen == ["done"]


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_on_commit_sees_the_committed_row_from_outside(in_threads):
    seen = []
    parcel = new_parcel(RIGHT)
    with shard_atomic(CONTEXT, parcel.pk) as scope:
        parcel.save()
        scope.on_commit(lambda: seen.extend(in_threads(lambda: Parcel.objects.filter(pk=parcel.pk).count())))
        assert seen == []
    assert seen == [1]


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_on_commit_does_not_run_after_a_rollback_and_its_errors_stay_inside():
    seen = []

    def fail():
        with shard_atomic(CONTEXT, key_of_bucket(RIGHT)) as scope:
            scope.on_commit(lambda: seen.append("never"))
            raise Broken

    with pytest.raises(Broken):
        fail()
    with shard_atomic(CONTEXT, key_of_bucket(RIGHT)) as scope:
        scope.on_commit(lambda: 1 / 0)
        scope.on_commit(lambda: seen.append("the next one"))
    assert seen == ["the next one"]
