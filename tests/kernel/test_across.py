"""Lists over all shards: what comes out is what one big sorted table would give."""

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connections
from django.db.models import Expression, IntegerField

from shop.sharding import ShardUnavailable, alias_of, new_id, scatter, shard_atomic
from shop.sharding.shard_map import forget_shard_map
from shop.sharding.slices import changing_slices, publish, set_owned
from tests.auditing import unfenced
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT, Parcel, parcel_in
from tests.shards import ANOTHER_DATABASE, ANOTHER_SHARD, SHARDS_TOGETHER

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


class Endless(Expression):
    """A number that takes a database for ever."""

    TEXTS = {
        "postgresql": "(SELECT 1 FROM pg_sleep(60))",
        "sqlite": "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n)",
    }

    def as_sql(self, compiler, connection):
        return self.TEXTS[connection.vendor], ()


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


@pytest.mark.parametrize("order", [("label", "id"), ("-label", "-id")], ids=",".join)
def test_text_is_in_the_order_of_its_code_points_whatever_the_databases_say(order):
    words = ["Zoo", "apple", "Apple", "äpfel", "zebra", "_", "Éclair", "eclair", "a-b", "ab", "", "straße", "STRASSE"]
    parcels = [parcel_in(bucket, label=word) for word in words for bucket in (LEFT, RIGHT)]
    assert [pk for page in pages(order, 3) for pk in page] == [p.pk for p in in_order(parcels, order)]


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


@ANOTHER_SHARD
def test_only_shards_that_own_a_wanted_bucket_are_asked(django_assert_num_queries):
    left, right = parcel_in(LEFT), parcel_in(RIGHT)
    with django_assert_num_queries(0, using=LAST):
        assert Parcel.objects.across(buckets=[LEFT]).rows() == [left]
    with django_assert_num_queries(0, using="catalog_0"):
        assert Parcel.objects.across(buckets=[RIGHT]).rows() == [right]
    assert Parcel.objects.across(buckets=[]).rows() == []


@ANOTHER_SHARD
def test_a_row_is_seen_at_its_owner_only():
    """While a slice moves both sides have its rows."""
    parcel = parcel_in(LEFT)
    with unfenced(LAST), connections[LAST].cursor() as cursor:
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
        for lo, hi, alias in entries:
            epoch = publish(CONTEXT, lo, hi, alias)
            for each in ALIASES:
                with changing_slices(each):
                    set_owned(each, lo, hi, owned=each == alias, epoch=epoch)
        forget_shard_map(CONTEXT)

    yield write
    forget_shard_map(CONTEXT)


@ANOTHER_SHARD
def test_several_slices_of_a_shard_are_all_seen(map_of):
    map_of((0, 9, LAST), (10, 99, "catalog_0"), (100, 4000, LAST), (4001, 4095, "catalog_0"))
    made = {parcel_in(bucket).pk for bucket in (0, 9, 10, 99, 100, 4000, 4001, 4095)}
    assert {row.pk for row in Parcel.objects.across().rows()} == made
    assert Parcel.objects.using("catalog_0").count() == 4


@ANOTHER_SHARD
def test_a_shard_that_owns_nothing_is_not_asked(map_of, django_assert_num_queries):
    map_of((0, 4095, LAST))
    made = parcel_in(LEFT)
    assert alias_of(CONTEXT, made.pk) == LAST
    with django_assert_num_queries(0, using="catalog_0"):
        assert Parcel.objects.across().count() == 1


@ANOTHER_SHARD
def test_nothing_is_owned_by_a_shard_without_buckets(map_of):
    map_of((0, 4095, LAST))
    parcel_in(LEFT)
    owned = scatter.owned(scatter.shard_map(CONTEXT), "catalog_0")
    assert not Parcel.objects.using(LAST).filter(owned).exists()


@ANOTHER_SHARD
def test_keys_say_which_shards_are_asked(django_assert_num_queries):
    left, right = parcel_in(LEFT), parcel_in(RIGHT)
    with django_assert_num_queries(0, using=LAST):
        assert Parcel.objects.filter(owner_id=left.owner_id).across().rows() == [left]
        assert Parcel.objects.filter(pk__in=[]).across().count() == 0
    assert Parcel.objects.filter(pk__in=[left.pk, right.pk]).across().count() == 2


@ANOTHER_SHARD
def test_the_map_counts_that_is_in_force_when_it_is_asked(map_of):
    parcel_in(LEFT)
    across = Parcel.objects.across()
    map_of((0, 4095, LAST))
    assert across.count() == 0


def refuse(*asked):
    raise OperationalError("away")


@ANOTHER_DATABASE
def test_a_shard_that_is_away_is_an_error_unless_a_part_is_asked_for(monkeypatch):
    left, _ = parcel_in(LEFT), parcel_in(RIGHT)
    with monkeypatch.context() as patched:
        patched.setattr(connections[LAST], "cursor", refuse)
        with pytest.raises(OperationalError):
            Parcel.objects.across().count()
        part = Parcel.objects.across(partial=True)
        assert (part.count(), part.missing) == (1, (LAST,))
        page = part.page(order=("id",), limit=5)
        assert (page.rows, page.missing) == ([left], (LAST,))


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

    @SHARDS_TOGETHER
    def test_a_shard_that_does_not_answer_in_time_is_named(self, monkeypatch):
        monkeypatch.setattr(scatter, "TIMEOUT_SECONDS", 0.2)
        in_thread = scatter._in_thread

        def slow(ask, query, until):
            if query.db == LAST:
                time.sleep(0.6)
            return in_thread(ask, query, until)

        monkeypatch.setattr(scatter, "_in_thread", slow)
        with pytest.raises(ShardUnavailable, match=LAST):
            Parcel.objects.across().count()

    @SHARDS_TOGETHER
    def test_a_slow_shard_takes_no_thread_from_the_others(self, monkeypatch):
        monkeypatch.setattr(scatter, "TIMEOUT_SECONDS", 0.2)
        left, freed, in_thread = parcel_in(LEFT), threading.Event(), scatter._in_thread

        def stuck(ask, query, until):
            if query.db == LAST:
                freed.wait(20)
            return in_thread(ask, query, until)

        monkeypatch.setattr(scatter, "_in_thread", stuck)
        try:
            for _ in range(3 * scatter.THREADS):
                page = Parcel.objects.across(partial=True).page(order=("id",), limit=5)
                assert (page.rows, page.missing) == ([left], (LAST,))
        finally:
            freed.set()

    @SHARDS_TOGETHER
    def test_what_was_given_up_ends_and_leaves_its_thread_to_the_next(self, monkeypatch):
        monkeypatch.setattr(scatter, "TIMEOUT_SECONDS", 0.4)
        made = {parcel_in(LEFT).pk, parcel_in(RIGHT).pk}
        endless = Parcel.objects.filter(weight=Endless(output_field=IntegerField()))
        for _ in range(scatter.THREADS):
            with pytest.raises(ShardUnavailable, match="did not answer within"):
                endless.across().rows()
        time.sleep(2 * scatter.LATER_SECONDS)
        assert {row.pk for row in Parcel.objects.across().rows()} == made

    @SHARDS_TOGETHER
    def test_slow_shards_are_waited_for_together(self, monkeypatch):
        monkeypatch.setattr(scatter, "TIMEOUT_SECONDS", 1.5)
        in_thread = scatter._in_thread

        def slow(ask, query, until):
            time.sleep(1.4 if query.db == "catalog_0" else 2.8)
            return in_thread(ask, query, until)

        monkeypatch.setattr(scatter, "_in_thread", slow)
        started = time.monotonic()
        with pytest.raises(ShardUnavailable):
            Parcel.objects.across().count()
        assert time.monotonic() - started < 2.8
