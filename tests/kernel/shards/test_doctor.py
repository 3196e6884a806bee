"""`manage.py shards doctor`: every fault is planted, and found by the name of its check, with what to do."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connections
from django.db.models.functions import Now

from shop.sharding import alias_of, hash_bucket, key_of_bucket, new_id
from shop.sharding.commands.doctor import databases, examination, postgresql, processes
from shop.sharding.commands.doctor.maps import check_map
from shop.sharding.commands.places import slices_of
from shop.sharding.fencing import remove_fence
from shop.sharding.ids import HOME_SLICE
from shop.sharding.map_watch import MapWatch
from shop.sharding.models import (
    DatabaseIdentity,
    Shard,
    ShardEpoch,
    ShardMapEntry,
    ShardProcess,
    ShardSlice,
    UniqueTarget,
    UniqueValue,
    WorkerLease,
)
from shop.sharding.slices import changing_slices, publish, set_owned
from shop.sharding.stored_map import stored_map
from tests.auditing import unfenced
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT
from tests.kernel.shards.conftest import shards
from tests.shards import ANOTHER_DATABASE, ANOTHER_SHARD, SHARDS, SLICES

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("own_map")]

END = SLICES[0][1]
"""The last bucket of the first shard."""


@pytest.fixture(autouse=True)
def nobody_else_at_the_server(monkeypatch):
    """What a server of tests is like, and who else uses it, is not these tests' business."""

    def calm(alias):
        return postgresql.Server(
            settings={}, skew_seconds=0.0, connections=(1, 100), prepared=0, oldest_seconds=0.0, is_replica=False
        )

    monkeypatch.setattr(postgresql, "read", calm)
    monkeypatch.setattr(processes, "LOOK_AGAIN_SECONDS", 0.0)


def say(alias, lo, hi, *, owned, epoch=1):
    with changing_slices(alias):
        set_owned(alias, lo, hi, owned=owned, epoch=epoch)


def process(**fields):
    given = {"pid": 7, "host": "here", "role": "server", "epoch": 1, **fields}
    return ShardProcess.objects.using("catalog_0").create(id=uuid.uuid4(), **given)


def lease(worker, seconds=600):
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    WorkerLease.objects.using("catalog_0").create(worker=worker, token=uuid.uuid4(), high_ms=0, expires_at=until)


def plant(fault, monkeypatch):  # noqa: C901, PLR0912, PLR0915  one fault a line or two
    home, last = "catalog_0", LAST
    match fault:
        case "map":
            ShardMapEntry.objects.using(home).filter(lo=0).update(hi=END - 47)
        case "map without epoch":
            ShardEpoch.objects.using(home).all().delete()
        case "map of another list":
            ShardMapEntry.objects.using(home).filter(lo=0).update(alias="catalog_9")
        case "entry ahead of the map":
            ShardMapEntry.objects.using(home).filter(lo=0).update(epoch=9)
        case "slice ahead of the map":
            say(last, RIGHT, RIGHT + 1, owned=True, epoch=9)
        case "two owners":
            say(last, LEFT, LEFT + 1, owned=True)
        case "no owner":
            say(home, LEFT, LEFT, owned=False)
        case "map behind":
            say(home, LEFT, LEFT, owned=False)
            say(last, LEFT, LEFT, owned=True)
        case "slices with a gap":
            ShardSlice.objects.using(last).filter(lo=0).delete()
        case "home without slices":
            ShardSlice.objects.using(home).filter(lo__lt=HOME_SLICE).delete()
        case "home not its own":
            ShardSlice.objects.using(home).filter(lo=HOME_SLICE).update(owned=False)
        case "URL taken off":
            Shard.objects.using(home).create(alias="catalog_7", uuid=uuid.uuid4())
        case "another database":
            DatabaseIdentity.objects.using(last).update(uuid=uuid.uuid4())
        case "never introduced":
            DatabaseIdentity.objects.using(last).all().delete()
            Shard.objects.using(home).filter(alias=last).update(uuid=None)
        case "unapplied migration":
            with connections[last].cursor() as cursor:
                cursor.execute(
                    "DELETE FROM django_migrations WHERE app = 'shop'"
                    " AND name = (SELECT max(name) FROM django_migrations WHERE app = 'shop')"
                )
        case "no fence":
            remove_fence(last)
        case "rows of another":
            with unfenced(home):
                rows = [UniqueTarget(id=new_id(CONTEXT, bucket=RIGHT)) for _ in range(3)]
                UniqueTarget.objects.using(home).bulk_create(rows)
        case "dangling":
            bucket = hash_bucket("email", "a@example.com")
            alias = alias_of(CONTEXT, key_of_bucket(bucket))
            old = datetime.now(UTC) - timedelta(minutes=5)
            ids = {"id": new_id(CONTEXT, bucket=bucket), "target_id": new_id(CONTEXT)}
            told = {"kind": "email", "value": "a@example.com", "state": "reserved", "reserved_at": old}
            UniqueValue.objects.using(alias).create(**ids, **told)
        case "process behind":
            MapWatch().look(CONTEXT)
            publish(CONTEXT, LEFT, LEFT, home)
        case "silent process":
            silent = process(worker=1000)
            ShardProcess.objects.using(home).filter(id=silent.id).update(seen_at=Now() - timedelta(minutes=5))
            lease(1000, seconds=650)
        case "worker numbers run out":
            monkeypatch.setattr(processes, "WORKERS", 3)
            lease(1000)
            lease(1001)
            lease(1002)
        case _:
            pytest.fail(f"{fault} is not known")


FAULTS = {
    "map": ("map", "catalog", f"nobody is said to own buckets {END - 46}-{END}", "rebuild-map"),
    "map without epoch": ("map", "catalog", "the map has no epoch", "rebuild-map"),
    "map of another list": ("map", "catalog", "gives buckets to catalog_9", "put its URL back"),
    "entry ahead of the map": ("epoch", "catalog", "are of epoch 9, the map itself of 1", "rebuild-map"),
    "slice ahead of the map": ("epoch", LAST, "it knows epoch 9, the map is of 1", "move"),
    "two owners": ("owners", "catalog", f"buckets 10-11 have two owners: catalog_0 and {LAST}", "stop the shop"),
    "no owner": ("owners", "catalog", "nobody owns bucket 10", "move"),
    "map behind": ("owners", "catalog", f"the map gives bucket 10 to catalog_0; {LAST} owns them", "rebuild-map"),
    "slices with a gap": ("slices", LAST, f"nobody is said to own buckets 0-{END}", "backup"),
    "home without slices": ("slices", "catalog_0", "nobody is said to own buckets 0-4095", "backup"),
    "home not its own": ("home", "catalog_0", "does not own what the context does not shard", "shop_shardslice"),
    "URL taken off": ("settings", "catalog", "the home knows catalog_7", "put its URL back"),
    "another database": ("identity", LAST, "not the database that was introduced", "put every URL back"),
    "never introduced": ("introduced", LAST, "never told what it is", "shards add catalog"),
    "unapplied migration": ("migrations", LAST, "1 migrations are unapplied", "migrate_contexts"),
    "no fence": ("fence", LAST, "its fence is not whole", "migrate_contexts"),
    "rows of another": ("rows", "catalog_0", "3 rows of shop_uniquetarget lie in buckets", "check_invariants"),
    "dangling": ("unique", "catalog_", "1 unique values have been reserved for more than 60 s", "job_failed"),
    "process behind": ("behind", "catalog", "goes by the map of epoch 1, the present one is 2", "restart it"),
    "silent process": (
        "silent",
        "catalog",
        "server (process 7 on here) makes IDs, and has not said for 5 min",
        "restart",
    ),
    "worker numbers run out": ("workers", "catalog", "of 3 worker numbers are leased", "start fewer"),
}


OF_TWO = {"another database", "two owners", "map behind", "never introduced", "rows of another"}
"""Faults that one database can't have for itself."""


def test_a_sound_shop_is_told_to_be_well():
    said = shards("doctor", CONTEXT)
    assert (said.code, said.out.splitlines()[-1]) == (0, "all is well"), said.out
    report = shards("doctor", CONTEXT, "--json").json
    assert (report["well"], report["complete"], report["findings"], report["unasked"]) == (True, True, [], [])


@pytest.mark.parametrize("fault", [pytest.param(each, marks=[ANOTHER_SHARD] * (each in OF_TWO)) for each in FAULTS])
def test_a_planted_fault_is_found_and_told_with_what_to_do(fault, monkeypatch):
    check, place, what, do = FAULTS[fault]
    plant(fault, monkeypatch)
    said = shards("doctor", CONTEXT, "--json")
    assert (said.code, said.json["well"]) == (1, False)
    found = [each for each in said.json["findings"] if each["check"] == check and what in each["what"]]
    assert len(found) == 1, said.out
    assert found[0]["place"].startswith(place)
    assert do in found[0]["do"]
    shown = shards("doctor", CONTEXT).out.replace("\n", " ")
    assert found[0]["what"][:40] in shown


def test_several_faults_at_once_are_each_found(monkeypatch):
    planted = {"two owners", "no owner", "dangling", "no fence", "URL taken off", "silent process"}
    planted -= OF_TWO if SHARDS == 1 else set()
    for fault in planted:
        plant(fault, monkeypatch)
    found = {each["check"] for each in shards("doctor", CONTEXT, "--json").json["findings"]}
    assert found == {FAULTS[fault][0] for fault in planted}


def test_a_process_that_reads_the_new_map_meanwhile_is_not_behind(monkeypatch):
    watch = MapWatch()
    watch.look(CONTEXT)
    publish(CONTEXT, LEFT, LEFT, "catalog_0")
    found = list(processes.check_processes(CONTEXT, sleep=lambda _: watch.look(CONTEXT)))
    assert found == []


def test_a_process_that_is_gone_is_no_fault_and_its_number_is_told_of():
    gone = process(worker=1000)
    ShardProcess.objects.using("catalog_0").filter(id=gone.id).update(seen_at=Now() - timedelta(minutes=5))
    lease(1000, seconds=300)
    said = shards("doctor", CONTEXT)
    assert said.code == 0, said.out
    assert "of them by processes that are gone" in said.out.replace("\n", " ")


@pytest.mark.parametrize(("most", "found"), [(60, []), (59, ["2 processes may open 60 connections"])])
def test_a_server_must_have_room_for_what_all_processes_may_open(most, found, monkeypatch):
    monkeypatch.setattr(processes, "engine_of", lambda alias: "postgresql")
    monkeypatch.setattr(processes, "most_connections", lambda alias: most)
    process()
    process()
    told = [each.what for each in processes.check_budget(CONTEXT, ALIASES, connections_each=30)]
    assert [what.partition(", ")[0] for what in told] == found


@ANOTHER_DATABASE
def test_what_was_found_counts_more_than_what_could_not_be_asked(monkeypatch):
    def away(alias):
        if alias == LAST:
            raise OperationalError("server closed the connection")
        return databases.examine_database(alias)

    monkeypatch.setattr(examination, "examine_database", away)
    said = shards("doctor", CONTEXT, "--json")
    assert (said.code, said.json["unasked"]) == (
        2,
        [{"database": LAST, "reason": "server closed the connection"}],
    )
    remove_fence("catalog_0")
    assert shards("doctor", CONTEXT).code == 1


def test_of_three_databases_a_new_one_and_one_that_is_away_are_told_apart(make_shop, unreachable, monkeypatch):
    shop = make_shop(3)
    shop.append()
    shop.urls.append(unreachable)
    said = shop.manage("shards", "doctor", "--json")
    found = {(each["check"], each["place"]) for each in said.json["findings"]}
    assert ("introduced", "catalog_3") in found
    assert [each["database"] for each in said.json["unasked"]] == ["catalog_4"]
    assert said.code == 1


def test_an_empty_database_in_the_place_of_a_known_one_is_no_new_one(make_shop):
    shop = make_shop(2)
    shop.urls[1] = shop.make()
    findings = shop.manage("shards", "doctor", "--json").json["findings"]
    (found,) = [each for each in findings if each["check"] == "identity"]
    assert (found["place"], "restore its backup" in found["do"]) == ("catalog_1", True)
    refused = shop.manage("shards", "add", "catalog")
    assert (refused.code, "an empty database is behind" in refused.error) == (2, True)


def test_the_map_alone_is_checked_where_a_database_does_not_answer():
    """Given the slices of one of two, nobody can say that the other's buckets have no owner."""
    assert list(check_map(stored_map(CONTEXT), {"catalog_0": slices_of("catalog_0")})) == []
