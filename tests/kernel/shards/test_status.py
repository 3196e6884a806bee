"""`manage.py shards status`: what everything is said to be, and what is said of a database that does not answer."""

import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from shop.sharding import new_id
from shop.sharding.commands import rows
from shop.sharding.commands.shown import aged, counted, ranges, sized
from shop.sharding.commands.status import skew
from shop.sharding.map_watch import MapWatch
from shop.sharding.models import ShardEpoch, ShardMapEntry, ShardProcess, UniqueTarget
from shop.sharding.slices import changing_slices, publish, set_owned
from tests.auditing import unfenced
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT
from tests.kernel.shards.conftest import shards
from tests.shards import ANOTHER_SHARD, SHARDS, SLICES

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("own_map")]

BUCKETS_EACH = [hi - lo + 1 for lo, hi in SLICES]


def report():
    said = shards("status", CONTEXT, "--json")
    assert said.code == 0, said.error
    (context,) = said.json["contexts"]
    return context


def shard(alias):
    return next(each for each in report()["shards"] if each["alias"] == alias)


def targets(alias, *buckets):
    rows = [UniqueTarget(id=new_id(CONTEXT, bucket=bucket)) for bucket in buckets]
    UniqueTarget.objects.using(alias).bulk_create(rows)


def test_a_shard_is_told_with_its_slices_rows_and_bytes():
    targets("catalog_0", LEFT, LEFT, LEFT + 1)
    targets(LAST, RIGHT)
    found = report()["shards"]
    assert [each["home"] for each in found] == [True, *[False] * (SHARDS - 1)]
    assert [each["slices"] for each in found] == [[each] for each in SLICES]
    assert [each["buckets"] for each in found] == BUCKETS_EACH
    rows = [4] if SHARDS == 1 else [3, *[0] * (SHARDS - 2), 1]
    assert [each["rows"] for each in found] == rows
    assert found[0]["rows_exact"]
    assert min(each["bytes"] for each in found) > 50_000
    assert report()["skew"]["rows"] == rows[0] / 4 * SHARDS


@ANOTHER_SHARD
def test_rows_that_a_shard_does_not_own_are_not_counted_as_its_own():
    with unfenced("catalog_0"):
        targets("catalog_0", LEFT, RIGHT)
    assert shard("catalog_0")["rows"] == 1


@ANOTHER_SHARD
def test_after_a_move_slices_and_epoch_are_the_new_ones():
    for alias, owned in (("catalog_0", False), (LAST, True)):
        with changing_slices(alias):
            set_owned(alias, 100, 199, owned=owned, epoch=2)
    publish(CONTEXT, 100, 199, LAST)
    found = report()
    assert found["epoch"] == 2
    first, *between, last = (each["slices"] for each in found["shards"])
    assert (first, last) == ([[0, 99], [200, SLICES[0][1]]], [[100, 199], SLICES[-1]])
    assert between == [[each] for each in SLICES[1:-1]]
    assert [each["epoch"] for each in found["shards"]] == [2, *[1] * len(between), 2]


def test_a_large_table_is_sampled_and_marked(monkeypatch):
    targets("catalog_0", *[bucket % 50 for bucket in range(2_000)])
    monkeypatch.setattr(rows, "COUNTED", 100)
    found = shard("catalog_0")
    assert not found["rows_exact"]
    assert 1_600 <= found["rows"] <= 2_400
    assert f"~{found['rows'] // 1000}" in shards("status", CONTEXT).out


def test_processes_are_told_with_what_they_counted_and_who_is_behind():
    watch = MapWatch()
    watch.look(CONTEXT)
    ShardProcess.objects.using("catalog_0").update(requests={LAST: [30, 4], "catalog_0": [90, 12]})
    others = {"pid": 7, "host": "elsewhere", "epoch": 1, "requests": {"catalog_0": [1000, 1000]}}
    gone = ShardProcess.objects.using("catalog_0").create(id=uuid.uuid4(), role="server", **others)
    ShardProcess.objects.using("catalog_0").filter(id=gone.id).update(seen_at=Now() - timedelta(minutes=5))
    publish(CONTEXT, LEFT, LEFT, "catalog_0")
    found = report()
    counted = [(90, 12)] if SHARDS == 1 else [(90, 12), *[(0, 0)] * (SHARDS - 2), (30, 4)]
    assert [(each["requests"], each["requests_last_minute"]) for each in found["shards"]] == counted
    assert found["skew"]["requests"] == (1.0 if SHARDS == 1 else 90 / 120 * SHARDS)
    by_id = {process["id"]: process for process in found["processes"]}
    assert (by_id[str(watch.id)]["alive"], by_id[str(watch.id)]["behind"]) == (True, True)
    assert (by_id[str(gone.id)]["alive"], by_id[str(gone.id)]["behind"]) == (False, False)
    assert by_id[str(gone.id)]["seen_seconds"] >= 300
    assert "behind" in shards("status", CONTEXT).out


@pytest.mark.parametrize("width", ["60", "200"])
def test_people_see_it_on_narrow_and_wide_terminals(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    said = shards("status", CONTEXT)
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= int(width)
    for expected in ("catalog: map of epoch 1", f"0-{SLICES[0][1]}", LAST, "no process uses its map"):
        assert expected in said.out


@pytest.mark.parametrize("damage", ["map", "epoch"])
def test_a_damaged_map_is_told_beside_what_the_databases_say(damage):
    (ShardMapEntry if damage == "map" else ShardEpoch).objects.using("catalog_0").all().delete()
    said = shards("status", CONTEXT, "--json")
    assert said.code == 2
    (found,) = said.json["contexts"]
    assert found["fault"] == ("there is no shard map" if damage == "map" else "the map has no epoch")
    assert [each["buckets"] for each in found["shards"]] == BUCKETS_EACH


def test_a_database_that_does_not_answer_is_a_row_that_says_so(make_shop, unreachable):
    shop = make_shop(2)
    shop.urls.append(unreachable)
    said = shop.manage("shards", "status", "--json")
    assert (said.code, "not everything could be looked at" in said.error) == (2, True)
    *others, away = said.json["contexts"][0]["shards"]
    assert [each["buckets"] for each in others] == [2048, 2048]
    assert (away["answers"], away["rows"], away["alias"]) == (False, None, "catalog_2")
    shown = shop.manage("shards", "status")
    assert shown.code == 2
    assert "catalog_2: " in shown.out
    assert "a-secret" not in shown.out + shown.error + said.out + said.error


@pytest.mark.once
def test_a_context_that_is_not_hosted_is_refused():
    said = shards("status", "billing")
    assert (said.code, "billing is not hosted here" in said.error) == (2, True)


@pytest.mark.once
@pytest.mark.parametrize(
    ("values", "expected"), [([3, 1], 1.5), ([2, 2, 2], 1.0), ([6, 0, 0], 3.0), ([0, 0], None), ([], None)]
)
def test_skew_is_the_most_over_the_mean(values, expected):
    assert skew(values) == expected


@pytest.mark.once
def test_numbers_are_shown_as_people_read_them():
    assert [sized(size) for size in (0, 9_000, 20_480, 500 << 20, 30 << 40)] == [
        "0 B", "9,000 B", "20 kB", "500 MB", "30 TB"
    ]  # fmt: skip
    assert [aged(seconds) for seconds in (3, 119, 120, 7_200, 200_000)] == ["3 s", "119 s", "2 min", "2 h", "2 d"]
    assert ranges([(n * 10, n * 10 + 1) for n in range(8)]).endswith("50-51 and 2 more")
    assert (ranges([]), ranges([(7, 7)]), counted(None)) == ("none", "7", "?")
