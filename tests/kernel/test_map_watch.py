"""How processes learn of a new map, and how one sees who has not."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db.models.functions import Now

from shop.sharding import map_watch, shard_map
from shop.sharding.map_watch import ALIVE_SECONDS, MapWatch, behind
from shop.sharding.models import ShardProcess
from shop.sharding.shard_map import forget_shard_map, load_shard_map
from shop.sharding.slices import publish
from tests.kernel.probes import ALIASES, CONTEXT, LAST, LEFT
from tests.kernel.processes import environment_here, start

pytestmark = pytest.mark.django_db(databases=ALIASES)

KNOWS = """
import sys, time
from shop.sharding import shard_map
print(shard_map("catalog").epoch, flush=True)
for line in sys.stdin:
    tired = time.monotonic() + 60
    while shard_map("catalog").epoch < int(line) and time.monotonic() < tired:
        time.sleep(0.01)
    print(shard_map("catalog").epoch, flush=True)
"""


@pytest.fixture(autouse=True)
def own_map():
    load_shard_map(CONTEXT)
    yield
    forget_shard_map(CONTEXT)


def processes():
    return ShardProcess.objects.using("catalog_0")


def test_a_watch_reads_a_newer_map_and_says_that_it_knows_it():
    watch = MapWatch()
    watch.look(CONTEXT)
    assert [row.epoch for row in processes()] == [1]
    epoch = publish(CONTEXT, LEFT, LEFT, LAST)
    assert (shard_map(CONTEXT).epoch, shard_map(CONTEXT).alias_of_bucket(LEFT)) == (1, "catalog_0")
    assert [row.id for row in behind(CONTEXT, epoch)] == [watch.id]
    watch.look(CONTEXT)
    assert (shard_map(CONTEXT).epoch, shard_map(CONTEXT).alias_of_bucket(LEFT)) == (epoch, LAST)
    assert behind(CONTEXT, epoch) == []


def test_threads_that_read_their_first_map_at_once_begin_one_watch(monkeypatch):
    # given threads that all find no watch in their process yet
    begun, all_there = [], Barrier(4)

    class Begun(MapWatch):
        def __init__(self):
            super().__init__()
            all_there.wait(10)

        def start(self):
            begun.append(self.id)

    monkeypatch.setattr(map_watch, "MapWatch", Begun)
    monkeypatch.setattr(map_watch, "_watches", {})
    # when they go on
    with ThreadPoolExecutor(all_there.parties) as threads:
        asked = [threads.submit(map_watch._ensure_watch) for _ in range(all_there.parties)]
    # then
    assert [each.exception() for each in asked] == [None] * 4
    assert len(begun) == 1


def test_a_map_that_has_not_changed_is_not_read_again(django_assert_num_queries):
    watch = MapWatch()
    watch.look(CONTEXT)
    with django_assert_num_queries(1, using="catalog_0"):
        watch.look(CONTEXT)


def test_who_has_said_nothing_for_long_is_not_waited_for():
    MapWatch().look(CONTEXT)
    epoch = publish(CONTEXT, LEFT, LEFT, LAST)
    processes().update(seen_at=Now() - timedelta(seconds=ALIVE_SECONDS + 1))
    assert behind(CONTEXT, epoch) == []


def test_who_is_gone_for_an_hour_is_forgotten():
    MapWatch().look(CONTEXT)
    processes().update(seen_at=Now() - timedelta(hours=2))
    newcomer = MapWatch()
    newcomer.look(CONTEXT)
    assert [row.id for row in processes()] == [newcomer.id]


def test_a_home_that_is_away_is_told_once_and_the_map_goes_on(monkeypatch, caplog):
    def away(context):
        raise ConnectionError

    watch = MapWatch()
    monkeypatch.setattr(watch, "look", away)
    watch._try(CONTEXT)
    watch._try(CONTEXT)
    assert caplog.text.count("map_not_read") == 1
    assert shard_map(CONTEXT).epoch == 1


@pytest.mark.django_db(databases=ALIASES, transaction=True)
def test_every_process_learns_a_new_epoch_by_itself():
    """Within a second; how long it took is printed."""
    others = [start(KNOWS, environment_here(CONTEXT)) for _ in range(2)]
    try:
        assert [process.stdout.readline() for process in others] == ["1\n", "1\n"]
        epoch = publish(CONTEXT, LEFT, LEFT, LAST)
        published = time.monotonic()
        for process in others:
            process.stdin.write(f"{epoch}\n")
            process.stdin.flush()
        assert [process.stdout.readline() for process in others] == [f"{epoch}\n"] * 2
        print(f"two processes knew after {time.monotonic() - published:.2f} s")
    finally:
        for process in others:
            process.kill()
            process.communicate()
