"""How much the others feel of a lost shard, how soon its own customers are told, how soon it is back. Ask with -s."""

import statistics
import time
from collections import Counter
from functools import partial

import pytest

from tests.e2e.people import Staff, eventually, in_parallel
from tests.faults.conftest import customers_of_both_shards, shop_with_a_cluster
from tests.faults.trial import Fault, Trial
from tests.faults.visitors import Visitor, percentile

pytestmark = pytest.mark.evidence

ROUNDS = 10
ROUND_SECONDS = 4.0
VISITORS = 6
EVERY_SECONDS, ORDERS_EVERY = 0.1, 3
HOT_SECONDS = 20.0
PATIENCE_SECONDS = 5.0
"""Far more than it takes; a busy machine is no failure."""
STRETCHES = {"before": ("calm", "strike"), "during": ("strike", "healed"), "after": ("back", "end")}


@pytest.fixture(params=["kill", "stop"])
def server_lost(request, tmp_path):
    with shop_with_a_cluster(tmp_path) as (shop, cluster):
        faults = {"kill": Fault(cluster.kill, cluster.start), "stop": Fault(cluster.stop, cluster.go_on)}
        yield request.param, shop, faults[request.param]


@pytest.fixture(params=["black_hole", "refuse"])
def network_lost(request, shop, proxy):
    assert shop.manage("migrate_contexts").returncode == 0
    return request.param, shop, Fault(getattr(proxy, request.param), proxy.heal)


@pytest.mark.parametrize("threads", ["6", "16"])
def test_what_a_lost_server_does(threads, server_lost):
    figures_of(*server_lost, threads)


@pytest.mark.parametrize("threads", ["6", "16"])
def test_what_a_lost_network_does(threads, network_lost):
    figures_of(*network_lost, threads)


def figures_of(what, shop, fault, threads):
    # given customers of both shards
    shop.start(SERVER_THREADS=threads)
    staff = Staff(shop)
    teapot = staff.product("Teapot", stock=1_000_000)
    groups = customers_of_both_shards(shop, VISITORS)
    pace = {"every_seconds": EVERY_SECONDS, "orders_every": ORDERS_EVERY}
    trial = Trial(*[[Visitor(each, teapot, **pace) for each in group] for group in groups])
    # when one shard is lost, and well again, in turn
    trial.run(fault, rounds=ROUNDS, seconds=ROUND_SECONDS)
    print(f"\n{what}, {threads} threads, {ROUNDS} rounds: {ROUND_SECONDS:.0f} s before, during, after")
    tell(trial)
    # then each is told what becomes of it, in time
    told = trial.told()
    assert {(v.status, v.told_to_come_again) for v in told} == {(503, True)}
    assert [v for each in trial.own for v in each.visits if v.status >= 300 and not v.told_to_come_again] == []
    assert max(v.over - v.begun for each in trial.own for v in each.visits) < PATIENCE_SECONDS
    assert {v.status for each in trial.others for v in each.visits} == {200, 201}
    # and nothing that was acknowledged is lost, nothing is there twice, and what must hold holds
    settle_and_look(shop, staff, teapot, (*trial.own, *trial.others))


def settle_and_look(shop, staff, teapot, everybody):
    began = time.monotonic()
    in_parallel([each.settle for each in everybody])
    print(f"  all that was cut off is ordered {time.monotonic() - began:.1f} s after the last round", end="")
    assert [each.wrong_in_the_books() for each in everybody] == [Counter()] * len(everybody)
    assert [each.undocumented for each in everybody] == [[]] * len(everybody)
    orders = sum(len(each.placed) for each in everybody)
    staff.sign_in()
    eventually(lambda: staff.stock(teapot)["reserved"] == orders)
    checked = shop.manage("check_invariants")
    assert checked.returncode == 0, checked.stdout
    assert shop.log().count('"unhandled_error"') == 0
    print(f"; {orders} orders, none lost, none twice, as many pieces held")


def tell(trial):
    print(f"  {'':12}{'':8}  requests  errors    p50 ms    p99 ms")
    for who, visitors in {"unaffected": trial.others, "affected": trial.own}.items():
        for stretch, (begin, end) in STRETCHES.items():
            visits = trial.visits(visitors, begin, end)
            felt = [v.over - v.due for v in visits]  # from when they wanted to come
            errors = sum(v.status not in {200, 201} for v in visits)
            row = f"  {who:12}{stretch:8}{len(visits):>10}{errors:>8}"
            print(f"{row}{percentile(felt, 0.5):>10.1f}{percentile(felt, 0.99):>10.1f}")
    for since, until in (("strike", "back"), ("back", "end")):
        answers = Counter(f"{v.status} {v.code}".strip() for v in trial.visits(trial.own, since, until))
        print(f"  affected, from {since} to {until}: {dict(answers)}")
    for what, seconds in {"told": trial.told_after(), "back": trial.back_after()}.items():
        print(f"  affected {what} within {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s")


@pytest.mark.parametrize("threads", ["6", "16"])
def test_a_hot_shard_refuses_nobody(threads, shop, proxy):
    """Twenty-four customers of one shard want one product, as fast as they are served."""
    assert shop.manage("serve", "--prepare-only", "--no-demo").returncode == 0
    shop.start(SERVER_THREADS=threads)
    teapot = Staff(shop).product("Teapot", stock=1_000_000)
    buyers, _ = customers_of_both_shards(shop, 24)
    until = time.monotonic() + HOT_SECONDS

    def buy(customer):
        answers = []
        while time.monotonic() < until:
            answers.append(customer.order((teapot, 1)).status)
        return answers

    bought = [status for part in in_parallel([partial(buy, each) for each in buyers]) for status in part]
    print(f"\n{threads} threads, one hot shard, one hot product: {len(bought) / HOT_SECONDS:.0f} orders/s", end="")
    print(f", answers {dict(Counter(bought))}, refused {shop.figure('shop_database_refused_total') or 0:.0f}")
    assert set(bought) == {201}
