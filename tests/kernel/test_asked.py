"""Requests are counted by the database that they ask, once each; what works behind them is not."""

from collections import Counter

import pytest
from django.db import connections
from django.test import Client

from shop.sharding import asked, new_id
from shop.sharding.asked import RequestsOfMinute, asking, count_asked, requests_by_alias
from shop.sharding.map_watch import MapWatch
from shop.sharding.models import ShardProcess
from shop.sharding.public_ids import public_id
from shop.sharding.shard_map import load_shard_map
from shop.sharding.statements import prepared_cursor
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT, RIGHT, Parcel

pytestmark = pytest.mark.django_db(databases=ALIASES)


@pytest.fixture(autouse=True)
def nothing_counted(monkeypatch):
    load_shard_map(CONTEXT)
    monkeypatch.setattr(asked, "_requests", {})


def read_product(bucket):
    product = public_id("prd", new_id(CONTEXT, bucket=bucket))
    assert Client(HTTP_HOST="localhost").get(f"/api/v1/catalog/products/{product}").status_code == 404


def test_a_request_counts_once_at_the_database_it_asks():
    read_product(LEFT)
    read_product(LEFT)
    read_product(RIGHT)
    assert requests_by_alias() == Counter(["catalog_0", "catalog_0", LAST])


def test_probes_of_health_and_work_behind_the_requests_are_not_counted():
    Client(HTTP_HOST="localhost").get("/livez")
    with connections["catalog_0"].cursor() as cursor:
        cursor.execute("SELECT 1")
    assert requests_by_alias() == {}


def test_every_way_to_ask_is_seen(probe_tables):
    with asking() as found:
        Parcel.objects.on(new_id(CONTEXT, bucket=LEFT)).count()
    assert found == {"catalog_0"}
    with asking() as found, prepared_cursor(connections[LAST]) as cursor:
        cursor.execute("SELECT 1", [])
    assert found == {LAST}
    with asking() as found:
        Parcel.objects.all().across().count()
    assert found == set(ALIASES)


@pytest.mark.once
def test_the_last_minute_forgets_what_was_before(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(asked.time, "monotonic", lambda: clock[0])
    minute = RequestsOfMinute()
    for _ in range(100):
        clock[0] += 1
        count_asked({"catalog_0"})
        minute.look()
    assert minute.of(["catalog_0", "catalog_1"]) == {"catalog_0": [100, 60], "catalog_1": [0, 0]}
    clock[0] += 200
    minute.look()
    assert minute.of(["catalog_0"]) == {"catalog_0": [100, 0]}


def test_a_process_says_at_the_home_what_it_counted_and_with_which_number_it_makes_ids():
    read_product(RIGHT)
    MapWatch().look(CONTEXT)
    (row,) = ShardProcess.objects.using("catalog_0")
    assert row.requests == {**{alias: [0, 0] for alias in ALIASES}, LAST: [1, 0]}
    assert row.worker is not None
