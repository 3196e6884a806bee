"""`manage.py shards add`: a URL was appended; what is behind it becomes a shard, or is refused untouched."""

import pytest

from tests.kernel.processes import result, start

OWNED = """
from shop.sharding import aliases_of
from shop.sharding.models import Shard, ShardEpoch, ShardSlice
owned = {a: list(ShardSlice.objects.using(a).filter(owned=True, lo__lt=4096).values_list("lo", "hi"))
         for a in aliases_of("catalog")}
known = sorted(Shard.objects.using("catalog_0").filter(uuid__isnull=False).values_list("alias", flat=True))
print(json.dumps([owned, known, ShardEpoch.objects.using("catalog_0").get().epoch]))
"""
CRASH = """
from django.core.management import call_command
from shop.sharding import first_migrate
def crash(*_):
    os._exit(9)
first_migrate._write_slices = crash
call_command("shards", "add", "catalog")
"""
TABLES = """
from django.db import connections
print(json.dumps(sorted(connections["catalog_2"].introspection.table_names())))
"""


def owned(shop):
    return result(start(OWNED, shop.environment))


def tables(shop):
    return result(start(TABLES, shop.environment))


def test_a_third_database_is_introduced_and_owns_nothing(make_shop):
    shop = make_shop(2)
    alias = shop.append()
    before = shop.manage("shards", "plan", "catalog", "--json").json
    assert ([each["alias"] for each in before["shards"]], before["moves"]) == (["catalog_0", "catalog_1"], [])
    added = shop.manage("shards", "add", "catalog")
    assert (added.code, added.error) == (0, "")
    assert f"{alias}: added, without traffic" in added.out
    slices, known, epoch = owned(shop)
    assert slices == {"catalog_0": [[0, 2047]], "catalog_1": [[2048, 4095]], "catalog_2": []}
    assert (known, epoch) == (["catalog_0", "catalog_1", "catalog_2"], 1)
    # then it is one that a plan reckons with, and that has nothing to say to the doctor
    planned = shop.manage("shards", "plan", "catalog", "--json").json
    assert [each["buckets_after"] for each in planned["shards"]] == pytest.approx([1365, 1365, 1365], abs=100)
    doctor = shop.manage("shards", "doctor", "--json").json
    assert {each["check"] for each in doctor["findings"]} <= {"settings", "connections", "transactions"}  # the server's
    # and to repeat it changes nothing
    again = shop.manage("shards", "add", "catalog")
    assert (again.code, "nothing to add" in again.out) == (0, True)
    assert owned(shop) == [slices, known, epoch]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(make_shop, tmp_path):
    shop = make_shop(2)
    shop.append()
    files = sorted(tmp_path.iterdir())
    said = shop.manage("shards", "add", "catalog", "--dry-run")
    assert said.code == 0
    assert "catalog_2" in said.out
    assert "migrate it" in said.out
    assert "nothing was written" in said.out
    assert [file for file in sorted(tmp_path.iterdir()) if file not in files and file.suffix == ".sqlite3"] == []
    assert tables(shop) == []


def test_two_are_added_at_once_or_none_of_them(make_shop, unreachable):
    shop = make_shop(1)
    shop.append()
    shop.urls.append(unreachable)
    refused = shop.manage("shards", "add", "catalog", "--json")
    assert (refused.code, "catalog_2: " in refused.error, refused.out) == (2, True, "")
    assert "a-secret" not in refused.error
    shop.urls.pop()
    shop.append()
    added = shop.manage("shards", "add", "catalog", "--json")
    assert (added.code, added.json["added"], added.json["written"]) == (0, ["catalog_1", "catalog_2"], True)


def test_a_database_with_a_table_of_somebody_else_is_refused_untouched(make_shop):
    shop = make_shop(2)
    shop.append()
    shop.sql("catalog_2", "CREATE TABLE blog_post (id integer)")
    refused = shop.manage("shards", "add", "catalog")
    assert refused.code == 2
    assert "is no empty database: it has a table blog_post" in refused.error
    assert tables(shop) == ["blog_post"]


def test_a_database_that_is_a_shard_of_another_shop_is_refused(make_shop):
    other = make_shop(3)
    shop = make_shop(2)
    shop.urls.append(other.urls[2])
    refused = shop.manage("shards", "add", "catalog")
    assert refused.code == 2
    assert "is no new database: it owns buckets" in refused.error
    shop.urls[2] = other.urls[1]
    refused = shop.manage("shards", "add", "catalog")
    assert (refused.code, "it was migrated as catalog_1 of catalog" in refused.error) == (2, True)


def test_what_a_crash_left_half_done_is_done_to_the_end(make_shop):
    """Given an `add` that was killed when the tables were there, and the database did not know yet what it is."""
    shop = make_shop(2)
    shop.append()
    killed = start(CRASH, shop.environment)
    killed.communicate(timeout=60)
    assert killed.returncode == 9
    assert "shop_shardslice" in tables(shop)
    added = shop.manage("shards", "add", "catalog")
    assert added.code == 0, added.error
    slices, known, _ = owned(shop)
    assert (slices["catalog_2"], known[-1]) == ([], "catalog_2")


def test_without_a_sound_map_nothing_is_added(make_shop):
    shop = make_shop(2)
    shop.append()
    shop.sql("catalog_0", "DELETE FROM shop_shardmapentry WHERE lo = 0")
    refused = shop.manage("shards", "add", "catalog")
    assert (refused.code, "rebuild-map" in refused.error) == (2, True)
    assert tables(shop) == []


def test_a_shop_that_was_never_migrated_is_sent_to_the_command_that_begins_one(make_shop):
    shop = make_shop(1)
    shop.urls = [shop.make(), shop.make()]
    refused = shop.manage("shards", "add", "catalog")
    assert (refused.code, "migrate_contexts" in refused.error) == (2, True)
