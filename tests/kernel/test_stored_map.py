"""A map that can't be right: told by name wherever it is needed, and never made up."""

import pytest
from django.core.management import call_command
from django.test import Client

from shop.sharding import ShardMapMissing, key_of_bucket, new_id, readiness, shard_atomic
from shop.sharding.first_migrate import introduce
from shop.sharding.map_watch import MapWatch
from shop.sharding.models import ShardEpoch, ShardMapEntry, ShardSlice
from shop.sharding.public_ids import public_id
from shop.sharding.readiness import maps_ready
from shop.sharding.shard_map import _maps, forget_shard_map, load_shard_map, shard_map
from shop.sharding.slices import publish
from shop.sharding.stored_map import Entry, StoredMap, stored_map
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT
from tests.shards import SLICES, needs_shards

pytestmark = pytest.mark.django_db(databases=ALIASES)

END = SLICES[0][1]
"""The last bucket of the first shard."""


@pytest.fixture(autouse=True)
def own_map(monkeypatch):
    monkeypatch.setattr(readiness, "hosted_contexts", lambda: (CONTEXT,))
    yield
    forget_shard_map(CONTEXT)


def entries():
    return ShardMapEntry.objects.using("catalog_0")


def damage(fault):
    match fault:
        case "no map":
            entries().all().delete()
        case "a gap":
            entries().filter(lo=0).update(hi=END - 47)
        case "an overlap":
            entries().create(lo=100, hi=199, alias=LAST, epoch=1)
        case "no epoch":
            ShardEpoch.objects.using("catalog_0").all().delete()
        case "an unknown database":
            entries().filter(lo=0).update(alias="catalog_9")
    forget_shard_map(CONTEXT)


TOLD = {
    "no map": "there is no shard map",
    "a gap": f"nobody is said to own buckets {END - 46}-{END}",
    "an overlap": "buckets 100-199 are given away twice",
    "no epoch": "the map has no epoch",
    "an unknown database": "the map gives buckets to catalog_9, and CATALOG_DATABASES has no such place",
}


@pytest.mark.parametrize("fault", TOLD)
def test_a_damaged_map_is_told_by_name_and_with_what_to_do(fault):
    damage(fault)
    with pytest.raises(ShardMapMissing) as refused:
        shard_map(CONTEXT)
    assert TOLD[fault] in str(refused.value)
    assert "manage.py shards rebuild-map catalog" in str(refused.value)
    assert "manage.py" not in refused.value.detail  # what a client is told


@pytest.mark.parametrize("fault", TOLD)
def test_nothing_is_written_or_published_by_a_damaged_map(fault):
    damage(fault)
    with pytest.raises(ShardMapMissing), shard_atomic(CONTEXT, key_of_bucket(LEFT)):
        pytest.fail("it began")
    with pytest.raises(ShardMapMissing):
        publish(CONTEXT, LEFT, LEFT, LAST)


@pytest.mark.parametrize("fault", TOLD)
def test_a_client_is_answered_503_and_readyz_says_why(fault):
    damage(fault)
    client = Client(HTTP_HOST="localhost")
    answer = client.get(f"/api/v1/catalog/products/{public_id('prd', new_id(CONTEXT, bucket=LEFT))}")
    assert (answer.status_code, answer.json()["code"]) == (503, "shard_unavailable")
    assert TOLD[fault] in maps_ready()[CONTEXT]
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("fault", TOLD)
def test_a_process_goes_on_with_the_map_it_knows(fault, caplog, monkeypatch):
    known = load_shard_map(CONTEXT)
    damage(fault)
    monkeypatch.setitem(_maps, CONTEXT, known)
    ShardEpoch.objects.using("catalog_0").update(epoch=known.epoch + 1)
    MapWatch()._try(CONTEXT)
    assert "map_not_read" in caplog.text
    with shard_atomic(CONTEXT, new_id(CONTEXT, bucket=LEFT)) as scope:
        assert scope.alias == "catalog_0"
    assert maps_ready()[CONTEXT] == "ok"


def test_a_lost_map_is_not_made_up_by_a_migrate():
    """Given slices that are no longer those of the first migrate, a split made anew would lead everybody astray."""
    ShardSlice.objects.using("catalog_0").filter(lo=0).update(hi=99)
    damage("no map")
    call_command("migrate", database="catalog_0", verbosity=0)
    assert not entries().exists()


@needs_shards(2, because="tells of a database that is not its context's home")
def test_a_database_cannot_be_told_what_is_not_its_own_without_a_map():
    ShardSlice.objects.using(LAST).all().delete()
    damage("no map")
    with pytest.raises(ShardMapMissing):
        introduce(LAST)


@pytest.mark.once
@pytest.mark.parametrize(
    ("ranges", "fault"),
    [
        ([(1, 4095)], "nobody is said to own bucket 0"),
        ([(0, 9), (11, 4095)], "nobody is said to own bucket 10"),
        ([(0, 9), (9, 4095)], "bucket 9 is given away twice"),
        ([(0, 4096)], "there is no bucket 4096"),
        ([(0, 4000)], "nobody is said to own buckets 4001-4095"),
        ([(0, 9), (2, 3), (10, 4095)], "buckets 2-3 are given away twice"),
    ],
)
def test_every_gap_and_overlap_is_named(ranges, fault):
    stored = StoredMap(context=CONTEXT, epoch=1, entries=[Entry(lo, hi, "catalog_0", 1) for lo, hi in ranges])
    assert stored.faults() == [fault]


def test_a_whole_map_has_no_fault():
    assert stored_map(CONTEXT).faults() == []
