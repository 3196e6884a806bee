"""`scripts/bench events`: what is made of its rounds, and a whole run that is short."""

import json
import os
from pathlib import Path

import pytest

from scripts.benches.events.figures import figures
from scripts.benches.events.stand import AtBroker, Flow, Round
from tests.bench.test_bench import POSTGRES, bench, databases_of_benches, is_positive
from tests.brokers import URLS, connected, namespace


def flow(rate):
    return Flow(rate=rate, relay_cpu_us=20.0, workers_cpu_us=40.0, database_cpu_us=60.0)


def at_broker(*rounds):
    made = [
        Round(relay=flow(relay), handled=flow(handled), with_row=flow(1.0), latencies=latencies)
        for relay, handled, latencies in rounds
    ]
    return AtBroker(namespace="bench", rounds=made)


@pytest.mark.once
def test_figures_are_medians_of_the_rounds_beside_their_budgets():
    # given three rounds: fast and late, slow and early, and one in between
    early, late = [*[5.0] * 99, 40.0], [*[12.0] * 99, 60.0]
    rounds = (30_000.0, 12_000.0, late), (10_000.0, 8_000.0, early), (17_000.0, 11_000.0, early)
    # then
    found = {each.name: each for each in figures({"RabbitMQ": at_broker(*rounds)})}
    relay = found["RabbitMQ: handed over, a confirm for each batch"]
    assert (relay.value, relay.low, relay.high, relay.met) == (17_000.0, 10_000.0, 30_000.0, False)
    assert relay.missed_by == pytest.approx(1 / 18)
    assert found["RabbitMQ: handed over and handled once"].met
    p50, p99 = (found[f"RabbitMQ: from commit to handled at 50/s, {each}"] for each in ("p50", "p99"))
    assert (p50.value, p50.high, p50.met) == (5.0, 12.0, True)
    assert 39.0 < p99.value <= 40.0
    assert p99.met


@pytest.mark.once
def test_a_broker_that_nothing_is_promised_of_is_told_beside_it():
    slow = at_broker((1.0, 1.0, [900.0] * 100))
    assert all(each.budget is None and each.met for each in figures({"Another": slow}))


@pytest.fixture(params=list(URLS))
def broker(request):
    with namespace(URLS[request.param]):
        yield request.param


def is_there(broker, queue):
    with connected(URLS[broker]) as connection:
        try:
            connection.default_channel.queue_declare(queue, passive=True)
        except connection.channel_errors:
            return False
    return True


def test_a_broker_is_measured_and_nothing_stays(tmp_path: Path, broker):
    if os.environ["SHOP_TEST_ENGINE"] != "postgres":
        pytest.skip("the bench measures on PostgreSQL: this runs in that half of the suite")
    before = databases_of_benches()
    # when
    done = bench(
        "events", "--quick", "--json", "--out", str(tmp_path), "--postgres", POSTGRES, "--broker", URLS[broker]
    )
    # then
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "events.json").read_text())
    assert found["brokers"].keys() == {broker}
    [measured] = found["brokers"][broker]["rounds"]
    for case in ("relay", "handled", "with_row"):
        assert is_positive(measured[case]["rate"])
        assert is_positive(measured[case]["relay_cpu_us"])
        assert is_positive(measured[case]["database_cpu_us"])
    assert len(measured["latencies"]) == 25
    assert all(is_positive(each) for each in measured["latencies"])
    promised = [figure for figure in found["figures"] if figure["budget"] is not None]
    assert len(promised) == (4 if broker == "RabbitMQ" else 0)
    assert (tmp_path / "events.png").read_bytes().startswith(b"\x89PNG")
    # and nothing of it stays
    assert databases_of_benches() <= before
    assert not is_there(broker, f"{found['brokers'][broker]['namespace']}.events.ordering")
