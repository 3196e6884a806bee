"""`scripts/bench shards`: what is made of its samples, and a whole run that is short."""

import json
import math
import os
from pathlib import Path

import pytest

from scripts.benches.measuring import Sample
from scripts.benches.shards.figures import figures
from scripts.benches.shards.stand import CASES, OnShards
from tests.bench.test_bench import POSTGRES, bench, databases_of_benches, is_positive


def on_shards(place, *, protection=30.0, rest=0.0, across=0.02):
    """Requests that take so many µs of CPU, a hundred per second."""
    costs = {"order": 600.0, "place": place, "spread": 2 * place}
    samples = {
        case: Sample(case="", subject="", rate=100, server_cpu_us=cost, database_cpu_us=0.0)
        for case, cost in costs.items()
    }
    told = {
        "lookups": {"place": 20, "order": 3},
        "lookup_us": 0.5,
        "protection_us": [protection],
        "across": [[0.004, 0.002]],
        "across_work": [[across, 0.02]],
    }
    return OnShards(told=told, rounds=[samples], at_rest=[rest])


def value(found, name):
    [figure] = [each for each in figures(found) if each.name == name]
    return pytest.approx(figure.value), figure.met


@pytest.mark.once
def test_protection_is_what_guard_and_fence_add_and_what_looking_up_takes():
    # given guard and fence of 30 µs, and 20 look-ups of 0.5 µs, in a request of 1,000
    found = {1: on_shards(1000.0), 16: on_shards(1000.0, protection=60.0)}
    # then
    assert value(found, "routing + guard and fence ÷ placing an order, 1 shard") == (0.04, True)
    assert value(found, "routing + guard and fence ÷ placing an order, 16 shards") == (0.07, False)
    assert value(found, "routing ÷ GET order, 16 shards") == (1.5 / 600, True)


@pytest.mark.once
def test_what_is_done_at_rest_is_no_cost_of_requests():
    # given shards that need 2 % of a processor when nobody asks: of 100 requests a second, 200 µs each
    found = {1: on_shards(1000.0), 2: on_shards(1200.0, rest=0.02), 4: on_shards(1200.0)}
    # then
    assert value(found, "CPU of place order, lines on one shard: 2 shards ÷ 1 shard") == (1.0, True)
    assert value(found, "CPU of place order, lines on one shard: 4 shards ÷ 1 shard") == (1.2, False)


@pytest.mark.once
def test_asking_all_is_measured_by_the_slowest_of_the_most():
    found = {1: on_shards(1000.0), 16: on_shards(1000.0, across=0.05)}
    assert value(found, "across 16 shards, each at work for 20 ms ÷ the slowest") == (2.5, False)


def test_one_and_two_shards_are_measured_and_nothing_stays(tmp_path: Path):
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("the bench measures on PostgreSQL: this runs in that half of the suite")
    before = databases_of_benches()
    # when
    done = bench("shards", "--quick", "--counts", "1,2", "--json", "--out", str(tmp_path), "--postgres", POSTGRES)
    # then
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "shards.json").read_text())
    assert found["shards"].keys() == {"1", "2"}
    for on in found["shards"].values():
        [samples] = on["rounds"]
        assert samples.keys() == set(CASES)
        assert all(
            is_positive(each["server_cpu_us"]) and is_positive(each["database_cpu_us"]) for each in samples.values()
        )
        assert is_positive(on["told"]["lookup_us"])
        [protection] = on["told"]["protection_us"]
        assert math.isfinite(protection)
        assert "tokens" not in on["told"]
    assert len([figure for figure in found["figures"] if figure["budget"] is not None]) == 7
    assert (tmp_path / "shards.png").read_bytes().startswith(b"\x89PNG")
    # and nothing of it stays
    assert databases_of_benches() <= before
