"""Lists over all shards: what comes out is what one big sorted table would give."""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from shop.sharding import ShardUnavailable, alias_of, new_id, scatter, shard_atomic
from shop.sharding.models import ShardMapEntry
from shop.sharding.shard_map import forget_shard_map
from tests.kernel.probes import ALIASES, CONTEXT, LEFT, RIGHT, Parcel, parcel_in

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = [
    ("id",),
    ("-id",),
    ("weight", "id"),
    ("-weight", "-id"),
    ("-weight", "id"),
    ("sent_at", "-id"),
    ("-sent_at", "weight", "id"),
]


def random_parcels(seed, count=60):
    """Parcels on random shards, with many ties in weight and date."""
    chance = random.Random(seed)
    return [
        parcel_in(
            chance.choice([LEFT, LEFT + 1, RIGHT, RIGHT + 1]),
            weight=chance.randrange(-3, 4),
            sent_at=START + timedelta(seconds=chance.randrange(4), microseconds=chance.randrange(2)),
        )
        for _ in range(count)
    ]


def in_order(parcels, order):
    """The same by Python's stable sort, the least field first."""
    for name in reversed(order):
        parcels = sorted(parcels, key=lambda p, n=name: getattr(p, n.lstrip("-")), reverse=name.startswith("-"))
    return parcels


def pages(order, limit, between=lambda: None):
    """IDs of every page, asked for one after the other."""
    after, found = None, []
    while True:
        page = Parcel.objects.across().page(order=order, limit=limit, after=after)
        found.append([row.pk for row in page.rows])
        if not page.more:
            return found
        after = [getattr(page.rows[-1], name.lstrip("-")) for name in order]
        between()


@pytest.mark.parametrize("order", ORDERS, ids=",".join)
@pytest.mark.parametrize("limit", [1, 7, 30, 60, 100])
def test_the_pages_together_are_the_global_sort(order, limit):
    parcels = random_parcels(seed=limit)
    found = pages(order, limit)
    assert [pk for page in found for pk in page] == [p.pk for p in in_order(parcels, order)]
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)


def test_a_last_page_that_is_just_full_has_nothing_behind_it():
    random_parcels(seed=1, count=6)
    assert [len(page) for page in pages(("id",), 3)] == [3, 3]


@pytest.mark.parametrize("order", [("-sent_at", "-id"), ("weight", "id")], ids=",".join)
def test_rows_that_arrive_between_pages_make_no_old_row_come_twice_or_get_lost(order):
    before = {p.pk for p in random_parcels(seed=3, count=40)}
    chance = random.Random(4)

    def arrivals():
        for _ in range(3):
            parcel_in(chance.choice([LEFT, RIGHT]), weight=chance.randrange(-3, 4), sent_at=START)

    seen = [pk for page in pages(order, 5, between=arrivals) for pk in page]
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_counts_and_rows_are_those_of_all_shards():
    parcels = random_parcels(seed=5, count=30)
    light = [p for p in parcels if p.weight < 0]
    assert Parcel.objects.across().count() == 30
    assert Parcel.objects.filter(weight__lt=0).across().count() == len(light)
    assert {p.pk for p in Parcel.objects.filter(weight__lt=0).across().rows()} == {p.pk for p in light}


def test_an_empty_shop_has_one_empty_page():
    page = Parcel.objects.across().page(order=("id",), limit=5)
    assert (list(page.rows), page.more, Parcel.objects.across().count()) == ([], False, 0)


def test_only_shards_that_own_a_wanted_bucket_are_asked(django_assert_num_queries):
    left, right = parcel_in(LEFT), parcel_in(RIGHT)
    with django_assert_num_queries(0, using="catalog_1"):
        assert Parcel.objects.across(buckets=[LEFT]).rows() == [left]
    with django_assert_num_queries(0, using="catalog_0"):
        assert Parcel.objects.across(buckets=[RIGHT]).rows() == [right]
    assert Parcel.objects.across(buckets=[]).rows() == []


def test_a_row_is_seen_at_its_owner_only():
    """While a slice moves both sides have its rows."""
    parcel = parcel_in(LEFT)
    with connections["catalog_1"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO shop_catalog_probe_parcel (id, owner_id, label, weight, sent_at)"
            " VALUES (%s, %s, 'copy', 0, %s)",
            [parcel.pk, parcel.owner_id, "2026-01-01 00:00:00+00:00"],
        )
    assert Parcel.objects.across().count() == 1
    assert [row.label for row in Parcel.objects.across().rows()] == [""]


@pytest.fixture
def map_of():
    """Another map of the buckets, until the test is over."""

    def write(*entries):
        rows = ShardMapEntry.objects.using("catalog_0")
        rows.all().delete()
        rows.bulk_create(ShardMapEntry(lo=lo, hi=hi, alias=alias, epoch=2) for lo, hi, alias in entries)
        forget_shard_map(CONTEXT)

    yield write
    forget_shard_map(CONTEXT)


def test_several_slices_of_a_shard_are_all_seen(map_of):
    map_of((0, 9, "catalog_1"), (10, 99, "catalog_0"), (100, 4000, "catalog_1"), (4001, 4095, "catalog_0"))
    made = {parcel_in(bucket).pk for bucket in (0, 9, 10, 99, 100, 4000, 4001, 4095)}
    assert {row.pk for row in Parcel.objects.across().rows()} == made
    assert Parcel.objects.using("catalog_0").count() == 4


def test_a_shard_that_owns_nothing_is_not_asked(map_of, django_assert_num_queries):
    map_of((0, 4095, "catalog_1"))
    made = parcel_in(LEFT)
    assert alias_of(CONTEXT, made.pk) == "catalog_1"
    with django_assert_num_queries(0, using="catalog_0"):
        assert Parcel.objects.across().count() == 1


def test_nothing_is_owned_by_a_shard_without_buckets(map_of):
    map_of((0, 4095, "catalog_1"))
    parcel_in(LEFT)
    owned = scatter.owned(scatter.shard_map(CONTEXT), "catalog_0")
    assert not Parcel.objects.using("catalog_1").filter(owned).exists()


class TestInParallel:
    """Without a transaction around it each shard is asked in a thread."""

    pytestmark = pytest.mark.django_db(databases=ALIASES, transaction=True)

    def test_pages_are_the_same(self):
        parcels = random_parcels(seed=6, count=25)
        assert [pk for page in pages(("-weight", "id"), 4) for pk in page] == [
            p.pk for p in in_order(parcels, ("-weight", "id"))
        ]

    def test_within_a_transaction_its_own_rows_are_seen(self):
        parcel_in(RIGHT)
        owner = new_id(CONTEXT, bucket=LEFT)
        with shard_atomic(CONTEXT, owner):
            Parcel.objects.create(id=new_id(CONTEXT, near=owner), owner_id=owner)
            assert Parcel.objects.across().count() == 2

    def test_a_shard_that_does_not_answer_in_time_is_named(self, monkeypatch):
        monkeypatch.setattr(scatter, "TIMEOUT_SECONDS", 0.2)
        in_thread = scatter._in_thread

        def slow(ask, query):
            if query.db == "catalog_1":
                time.sleep(0.6)
            return in_thread(ask, query)

        monkeypatch.setattr(scatter, "_in_thread", slow)
        with pytest.raises(ShardUnavailable, match="catalog_1"):
            Parcel.objects.across().count()

    def test_slow_shards_are_waited_for_together(self, monkeypatch):
        monkeypatch.setattr(scatter, "TIMEOUT_SECONDS", 0.5)
        in_thread = scatter._in_thread

        def slow(ask, query):
            time.sleep(0.4 if query.db == "catalog_0" else 0.8)
            return in_thread(ask, query)

        monkeypatch.setattr(scatter, "_in_thread", slow)
        started = time.monotonic()
        with pytest.raises(ShardUnavailable):
            Parcel.objects.across().count()
        assert time.monotonic() - started < 0.7
