"""The fence: what a database does not own it refuses, whoever writes; and how one sees that the fence is whole."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import DatabaseError, connections, transaction

from shop.invariants.placement import placed_models
from shop.sharding import ShardMoved, generator, home_atomic, home_of, hosted_contexts, new_id
from shop.sharding.databases import owner_of
from shop.sharding.fence import fence_of, fenced_models
from shop.sharding.fencing import fence_faults, remove_fence
from shop.sharding.generator import generator_of
from shop.sharding.ids import HOME_SLICE
from shop.sharding.models import ShardSlice, UniqueTarget, WorkerLease
from shop.sharding.readiness import all_aliases
from shop.sharding.sharded import HomeModel
from shop.sharding.slices import changing_slices, set_owned
from tests.auditing import unfenced
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT
from tests.shards import ANOTHER_SHARD

pytestmark = pytest.mark.django_db(databases=ALIASES)

TABLE = UniqueTarget._meta.db_table
WRITES = {
    "insert": f"INSERT INTO {TABLE} (id, void) VALUES (%s, %s)",  # noqa: S608  a name of ours
    "update": f"UPDATE {TABLE} SET void = NOT void WHERE id = %s",  # noqa: S608  a name of ours
    "move away": f"UPDATE {TABLE} SET id = id + 1 WHERE id = %s",  # noqa: S608  a name of ours
    "delete": f"DELETE FROM {TABLE} WHERE id = %s",  # noqa: S608  a name of ours
}


def raw(alias, write, key):
    """Say it to the database, past everything of ours."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(WRITES[write], [key, False] if write == "insert" else [key])
        return cursor.rowcount


def accepted(alias, write, key):
    try:
        return raw(alias, write, key)
    except DatabaseError:
        return 0


def a_row_on(alias, bucket):
    key = new_id(CONTEXT, bucket=bucket)
    with unfenced(alias):
        raw(alias, "insert", key)
    return key


def forget_what_was_let_through(alias):
    """The transaction around a test is one, and remembers; SQLite looks each time."""
    if connections[alias].vendor == "postgresql":
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT set_config('shop.guarded', '', true)")


@ANOTHER_SHARD
@pytest.mark.parametrize(("alias", "bucket"), [("catalog_0", RIGHT), (LAST, LEFT)])
@pytest.mark.parametrize("write", WRITES)
def test_a_row_of_another_shard_can_only_be_written_without_the_fence(alias, bucket, write):
    # given a database that does not own the bucket, and the row there unless it is to be inserted
    key = new_id(CONTEXT, bucket=bucket) if write == "insert" else a_row_on(alias, bucket)
    assert accepted(alias, write, key) == 0
    with pytest.raises(ShardMoved):
        raw(alias, write, key)
    remove_fence(alias)
    assert accepted(alias, write, key) == 1


@pytest.mark.parametrize("write", WRITES)
def test_a_row_of_its_own_can_be_written_raw(write):
    key = new_id(CONTEXT, bucket=LEFT)
    if write != "insert":
        raw("catalog_0", "insert", key)
    assert raw("catalog_0", write, key) == 1


@ANOTHER_SHARD
def test_a_row_cannot_be_carried_into_a_bucket_of_another_shard():
    key = new_id(CONTEXT, bucket=LEFT)
    raw("catalog_0", "insert", key)
    with pytest.raises(ShardMoved), transaction.atomic(using="catalog_0"):
        UniqueTarget.objects.using("catalog_0").filter(pk=key).update(id=new_id(CONTEXT, bucket=RIGHT))


@ANOTHER_SHARD
def test_one_row_at_fault_undoes_the_whole_statement():
    rows = [UniqueTarget(id=new_id(CONTEXT, bucket=bucket)) for bucket in (LEFT, LEFT + 1, RIGHT)]
    with pytest.raises(ShardMoved), transaction.atomic(using="catalog_0"):
        UniqueTarget.objects.using("catalog_0").bulk_create(rows)
    assert not UniqueTarget.objects.using("catalog_0").filter(pk__in=[row.pk for row in rows]).exists()


def test_what_a_transaction_was_let_through_for_does_not_outlive_it():
    # given a transaction that wrote in a bucket, which then changes hands
    key = new_id(CONTEXT, bucket=LEFT)
    raw("catalog_0", "insert", key)
    with changing_slices("catalog_0"):
        set_owned("catalog_0", LEFT, LEFT, owned=False, epoch=2)
    forget_what_was_let_through("catalog_0")
    assert accepted("catalog_0", "delete", key) == 0


def test_the_refusal_names_the_epoch_of_the_slice():
    with changing_slices("catalog_0"):
        set_owned("catalog_0", LEFT, LEFT, owned=False, epoch=7)
    with pytest.raises(ShardMoved) as refused:
        raw("catalog_0", "insert", new_id(CONTEXT, bucket=LEFT))
    assert refused.value.epoch == (7 if connections["catalog_0"].vendor == "postgresql" else 0)  # SQLite can't say


def test_what_the_home_keeps_is_fenced_as_a_whole(monkeypatch):
    # given a window of IDs that need not be raised while the home is asked for what it has given up
    generator_of(CONTEXT).ensure_window()
    monkeypatch.setattr(generator, "RAISED_EACH_MS", generator.WINDOW_MS)
    WorkerLease.objects.using("catalog_0").create(worker=9, token=uuid4(), high_ms=0, expires_at=datetime.now(UTC))
    ShardSlice.objects.using("catalog_0").filter(lo=HOME_SLICE).update(owned=False)
    forget_what_was_let_through("catalog_0")
    with pytest.raises(ShardMoved), home_atomic(CONTEXT):
        pass
    with pytest.raises(ShardMoved), transaction.atomic(using="catalog_0"):
        WorkerLease.objects.using("catalog_0").filter(worker=9).update(high_ms=1)


@pytest.mark.django_db(databases=[alias for alias in connections if alias != "default"])
def test_every_table_that_lies_by_bucket_and_every_table_of_a_home_is_fenced():
    for alias in all_aliases():
        context = alias.rpartition("_")[0]
        fenced = dict(fenced_models(alias))
        spread = {model for model in placed_models() if owner_of(model._meta.app_label) in (None, context)}
        assert {model for model, whole in fenced.items() if whole is None} == spread
        at_home = {model for model, whole in fenced.items() if whole == HOME_SLICE}
        assert (WorkerLease in at_home) == (alias == home_of(context))
        assert all(issubclass(model, HomeModel) for model in at_home - {WorkerLease})
        assert len(fence_of(alias)) == 3 * len(fenced)
        assert fence_faults(alias) == []
    assert len(hosted_contexts()) == 3


def test_only_read_committed_may_write():
    if connections["catalog_0"].vendor != "postgresql":
        pytest.skip("SQLite has one isolation level")
    connection = connections["catalog_0"].copy()
    try:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            with pytest.raises(DatabaseError, match="only READ COMMITTED"):
                cursor.execute(WRITES["insert"], [new_id(CONTEXT, bucket=LEFT), False])
    finally:
        connection.close()
