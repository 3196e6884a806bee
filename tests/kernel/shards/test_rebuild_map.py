"""`manage.py shards rebuild-map`: the slices are the truth, and the map is made of them, under an epoch of its own."""

import time

import pytest
from django.conf import settings

from shop.sharding import shard_map
from shop.sharding.commands import rebuild as rebuilding
from shop.sharding.commands.doctor.maps import check_map
from shop.sharding.commands.places import slices_of
from shop.sharding.map_watch import MapWatch
from shop.sharding.models import ShardEpoch, ShardMapEntry, ShardProcess
from shop.sharding.shard_map import forget_shard_map, load_shard_map
from shop.sharding.slices import changing_slices, publish, set_owned
from shop.sharding.stored_map import stored_map
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT
from tests.kernel.processes import start
from tests.kernel.shards.conftest import shards
from tests.shards import ANOTHER_SHARD

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("own_map")]

WRITES = """
import sys
from shop.sharding import alias_of, key_of_bucket, new_id, shard_atomic, shard_map
from shop.sharding.models import UniqueTarget
for line in sys.stdin:
    key = new_id("catalog", bucket=int(line))
    with shard_atomic("catalog", key) as scope:
        UniqueTarget.objects.using(scope.alias).create(id=key)
    print(scope.alias, shard_map("catalog").epoch, flush=True)
"""


def say(alias, lo, hi, *, owned, epoch=2):
    with changing_slices(alias):
        set_owned(alias, lo, hi, owned=owned, epoch=epoch)


def hand_over(lo, hi, source, target):
    say(source, lo, hi, owned=False)
    publish(CONTEXT, lo, hi, target)
    say(target, lo, hi, owned=True)


@pytest.fixture
def moved():
    """A slice has changed hands before, so that a map made up would be wrong."""
    hand_over(100, 299, "catalog_0", LAST)
    return load_shard_map(CONTEXT)


def wipe(what):
    entries = ShardMapEntry.objects.using("catalog_0")
    match what:
        case "rows":
            entries.all().delete()
        case "epoch":
            ShardEpoch.objects.using("catalog_0").all().delete()
        case "all":
            entries.all().delete()
            ShardEpoch.objects.using("catalog_0").all().delete()
        case "owner":
            entries.filter(lo=100).update(alias="catalog_0")
        case "gap":
            entries.filter(lo=100).delete()


@pytest.mark.parametrize("what", ["rows", "epoch", "all", pytest.param("owner", marks=ANOTHER_SHARD), "gap"])
def test_a_damaged_map_is_rebuilt_under_a_new_epoch(what, moved):
    wipe(what)
    said = shards("rebuild-map", CONTEXT, "--json")
    (told,) = said.json["maps"]
    assert (said.code, told["written"], told["epoch"]) == (0, True, moved.epoch + 1)
    forget_shard_map(CONTEXT)
    assert [shard_map(CONTEXT).slices_of(alias) for alias in ALIASES] == [moved.slices_of(alias) for alias in ALIASES]
    assert list(check_map(stored_map(CONTEXT), {alias: slices_of(alias) for alias in ALIASES})) == []


def test_every_process_reads_it_even_if_it_knows_a_later_map_than_the_slices():
    """Given epochs that no slice tells of: only the processes have seen them."""
    watch = MapWatch()
    for _ in range(5):
        publish(CONTEXT, LEFT, LEFT, "catalog_0")
    watch.look(CONTEXT)
    wipe("all")
    assert shards("rebuild-map", CONTEXT).code == 0
    watch.look(CONTEXT)
    assert shard_map(CONTEXT).epoch == 7
    assert [row.epoch for row in ShardProcess.objects.using("catalog_0")] == [7]


@ANOTHER_SHARD
def test_a_dry_run_says_what_would_change_and_changes_nothing(moved):
    wipe("owner")
    before = stored_map(CONTEXT)
    said = shards("rebuild-map", CONTEXT, "--dry-run")
    assert said.code == 0
    assert f"catalog: buckets 100-299: catalog_0 -> {LAST}" in said.out
    assert "nothing was written" in said.out
    assert stored_map(CONTEXT) == before


@pytest.mark.parametrize("dispute", [pytest.param("two", marks=ANOTHER_SHARD), "nobody"])
def test_buckets_of_two_or_of_nobody_are_named_and_nothing_is_written(dispute):
    say(LAST if dispute == "two" else "catalog_0", 7, 9, owned=dispute == "two")
    wipe("rows")
    said = shards("rebuild-map", CONTEXT)
    words = f"belong to catalog_0 and {LAST}" if dispute == "two" else "belong to nobody"
    assert (said.code, f"catalog: buckets 7-9 {words}" in said.error) == (2, True)
    assert not ShardMapEntry.objects.using("catalog_0").exists()


def test_a_map_that_is_published_meanwhile_is_not_written_over(monkeypatch):
    """Given a move that ends between the looking and the writing."""
    look = rebuilding._look

    def look_and_move(context):
        seen = look(context)
        hand_over(LEFT, LEFT, "catalog_0", LAST)
        return seen

    monkeypatch.setattr(rebuilding, "_look", look_and_move)
    said = shards("rebuild-map", CONTEXT)
    assert (said.code, "published meanwhile" in said.error) == (2, True)
    assert (load_shard_map(CONTEXT).epoch, load_shard_map(CONTEXT).alias_of_bucket(LEFT)) == (2, LAST)


@pytest.mark.django_db(databases=[alias for alias in settings.DATABASES if alias != "default"])
def test_of_several_contexts_all_are_looked_at_before_one_is_written():
    """Given a bucket of ordering's, named last, that nobody owns."""
    wipe("rows")
    say("ordering_0", 7, 9, owned=False)
    refused = shards("rebuild-map", CONTEXT, "ordering")
    assert (refused.code, "ordering: buckets 7-9 belong to nobody" in refused.error) == (2, True)
    assert not ShardMapEntry.objects.using("catalog_0").exists()


@pytest.mark.once
def test_from_databases_in_each_others_places_no_map_is_made(make_shop):
    # given a shell in which two URLs have changed places
    shop = make_shop(3)
    shop.urls[1], shop.urls[2] = shop.urls[2], shop.urls[1]
    # then
    refused = shop.manage("shards", "rebuild-map")
    assert (refused.code, "it was migrated as catalog_" in refused.error) == (2, True)
    told = shop.manage("shards", "status", "--json")
    first, *swapped = told.json["contexts"][0]["shards"]
    assert (told.code, first["buckets"]) == (2, 1365)
    assert [(each["answers"], each["buckets"]) for each in swapped] == [(False, None)] * 2
    assert "it was migrated as catalog_2" in swapped[0]["reason"]
    shop.urls[1], shop.urls[2] = shop.urls[2], shop.urls[1]
    status = shop.manage("shards", "status", "--json").json["contexts"][0]
    assert status["epoch"] == 1


def test_without_one_of_three_databases_nothing_is_written(make_shop, unreachable):
    shop = make_shop(3)
    good = shop.urls[2]
    shop.urls[2] = unreachable
    shop.sql("catalog_0", "DELETE FROM shop_shardmapentry")
    refused = shop.manage("shards", "rebuild-map")
    assert (refused.code, "catalog_2 can't be asked" in refused.error) == (2, True)
    shop.urls[2] = good
    rebuilt = shop.manage("shards", "rebuild-map")
    assert (rebuilt.code, "nobody -> catalog_2" in rebuilt.out) == (0, True)
    status = shop.manage("shards", "status", "--json").json["contexts"][0]
    assert (status["epoch"], [each["buckets"] for each in status["shards"]]) == (2, [1365, 1365, 1366])


def test_requests_go_on_while_the_map_is_lost_and_after_it_is_rebuilt(make_shop):
    """Given a process that knows the map, another that begins while there is none, and one that begins after."""
    shop = make_shop(3)
    knows = start(WRITES, shop.environment)
    running = [knows]
    try:
        assert ask(knows, 10) == ["catalog_0", 1]
        shop.sql("catalog_0", "DELETE FROM shop_shardmapentry")
        assert ask(knows, 4000) == ["catalog_2", 1]
        late = start(WRITES, shop.environment)
        _, err = late.communicate("10\n", timeout=60)
        assert (late.returncode != 0, "rebuild-map catalog" in err) == (True, True)
        assert shop.manage("shards", "rebuild-map", "catalog").code == 0
        assert eventually_at(knows, 2) == ["catalog_1", 2]
        running.append(start(WRITES, shop.environment))
        assert ask(running[-1], 4000) == ["catalog_2", 2]
    finally:
        for process in running:
            process.kill()
            process.communicate()


def ask(process, bucket):
    process.stdin.write(f"{bucket}\n")
    process.stdin.flush()
    alias, epoch = process.stdout.readline().split()
    return [alias, int(epoch)]


def eventually_at(process, epoch):
    for _ in range(600):
        answer = ask(process, 2000)
        if answer[1] >= epoch:
            break
        time.sleep(0.05)
    return answer
