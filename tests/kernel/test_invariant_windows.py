"""A table in windows of keys: each row in one of them, each of a size, and each row at its owner only."""

import pytest

from shop.invariants.windows import Window, windows
from tests.kernel.probes import ALIASES, LAST, LEFT, RIGHT, Parcel, copy_to, parcel_in
from tests.shards import ANOTHER_SHARD

pytestmark = [pytest.mark.django_db(databases=ALIASES), pytest.mark.usefixtures("probe_tables")]


@ANOTHER_SHARD
def test_every_row_is_in_one_window_of_its_database():
    # given seven parcels on one shard and two on the other
    made = sorted(parcel_in(LEFT).pk for _ in range(7))
    elsewhere = [parcel_in(RIGHT).pk for _ in range(2)]
    # when they are walked in threes
    found = list(windows(Parcel.objects.all(), "catalog_0", 3))
    # then the windows follow each other, and hold each of them once
    assert [window.rows for window in found] == [3, 3, 1]
    assert [pk for window in found for pk in window.all_of(Parcel).order_by("pk").values_list("pk", flat=True)] == made
    assert [window.rows for window in windows(Parcel.objects.all(), LAST, 3)] == [len(elsewhere)]


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (3, [3]), (6, [3, 3])])
def test_no_window_is_empty(rows, sizes):
    for _ in range(rows):
        parcel_in(LEFT)
    assert [window.rows for window in windows(Parcel.objects.all(), "catalog_0", 3)] == sizes


def test_only_what_is_asked_for_makes_windows_and_a_window_holds_all_between_its_ends():
    heavy = [parcel_in(LEFT, weight=each % 2).pk for each in range(6)]
    [window] = windows(Parcel.objects.filter(weight=1), "catalog_0", 3)
    assert (window.rows, window.last) == (3, heavy[-1])
    assert window.all_of(Parcel).count() == 6


@ANOTHER_SHARD
def test_a_row_is_seen_at_its_owner_only():
    pk = parcel_in(LEFT).pk
    window = Window(alias="catalog_0", first=0, last=pk, rows=1)
    elsewhere = Window(alias=LAST, first=0, last=pk, rows=1)
    copy_to(LAST, Parcel(id=pk, owner_id=pk))
    assert (window.of(Parcel).count(), elsewhere.of(Parcel).count(), elsewhere.all_of(Parcel).count()) == (1, 0, 1)
