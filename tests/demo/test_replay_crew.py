"""Threads of a replay: one lane's work in its order, the first failure stops all."""

import threading
import time
from functools import partial

import pytest

from config.demo.replay.crew import BACKLOG, Crew
from config.demo.replay.tally import Tally, skew_of

pytestmark = pytest.mark.once

LANES = ("7", "8")
"""Two that two threads share between them."""


@pytest.fixture(autouse=True)
def nothing_to_close(monkeypatch):
    monkeypatch.setattr("config.demo.replay.crew.close_connections", lambda: None)


def test_the_work_of_a_lane_is_done_in_its_order_and_lanes_beside_each_other():
    done, met = [], threading.Barrier(2, timeout=10)
    crew = Crew(2)
    # given work of two lanes, whose first pieces wait for each other
    for lane in LANES:
        crew.give(lane, partial(met.wait))
    for number in range(20):
        crew.give(LANES[0], partial(done.append, number))
    crew.finish()
    assert done == list(range(20))


def test_the_first_failure_stops_all_and_comes_out():
    done, failed = [], threading.Event()

    def fail():
        failed.set()
        raise ValueError("no")

    crew = Crew(1)
    crew.give("a", fail)
    failed.wait(10)
    with pytest.raises(ValueError, match="no"):
        while True:  # it comes out of the next piece that is given once it is known
            crew.give("a", partial(done.append, 1))
    with pytest.raises(ValueError, match="no"):
        crew.finish()
    assert done == []


def test_not_more_is_taken_than_may_wait():
    go, given = threading.Event(), []
    crew = Crew(1)

    def give_many():
        for number in range(BACKLOG + 5):
            crew.give("a", partial(go.wait, 10))
            given.append(number)

    giver = threading.Thread(target=give_many)
    giver.start()
    while len(given) < BACKLOG:
        time.sleep(0.001)
    giver.join(0.05)
    assert len(given) == BACKLOG
    go.set()
    giver.join(10)
    crew.finish()
    assert len(given) == BACKLOG + 5


def test_counts_of_many_threads_add_up():
    tally, crew = Tally(), Crew(4)
    for number in range(200):
        crew.give(str(number), partial(tally.add, "orders", "placed", 2))
        crew.give(str(number), partial(tally.add_rows, "orders", f"shard_{number % 2}"))
    crew.finish()
    assert tally.part("orders") == {"placed": 400}
    assert tally.rows({"orders": ["shard_0", "shard_1", "shard_2"]}) == {
        "orders": {"shard_0": 100, "shard_1": 100, "shard_2": 0}
    }


@pytest.mark.parametrize(
    ("rows", "skew"), [({"a": 2, "b": 2}, 1), ({"a": 3, "b": 1}, 1.5), ({"a": 1, "b": 0}, 2), ({"a": 0}, 1)]
)
def test_how_skewed_shards_are(rows, skew):
    assert skew_of(rows) == skew
