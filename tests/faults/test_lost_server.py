"""A shard's PostgreSQL is killed, or stopped: its customers are told to come again, nobody else notices.

Nothing that was acknowledged is lost, and nothing is there twice.
"""

from collections import Counter

import pytest

from tests.e2e.people import Staff, eventually, in_parallel
from tests.faults.conftest import customers_of_both_shards, shop_with_a_cluster
from tests.faults.trial import Fault, Trial
from tests.faults.visitors import Visitor
from tests.shards import ANOTHER_DATABASE

PATIENCE_SECONDS = 5.0
"""Far more than it takes; a busy machine is no failure."""


@pytest.fixture(scope="module")
def shop_and_cluster(tmp_path_factory):
    with shop_with_a_cluster(tmp_path_factory.mktemp("shop")) as (shop, cluster):
        shop.start()
        yield shop, cluster


@ANOTHER_DATABASE
@pytest.mark.parametrize("what", ["kill", "stop"])
def test_a_lost_server_is_its_own_customers_trouble_alone(what, shop_and_cluster):
    # given customers of two shards, who read and order
    shop, cluster = shop_and_cluster
    staff = Staff(shop)
    teapot = staff.product("Teapot", stock=100_000)
    affected, others = customers_of_both_shards(shop, 4)
    groups = affected, others[:2]  # so few that a busy disk can't make a crowd of them
    trial = Trial(*[[Visitor(each, teapot, every_seconds=0.1, orders_every=3) for each in group] for group in groups])
    # when one shard's server is killed, or stopped, and comes back after a while
    fault = Fault(cluster.kill, cluster.start) if what == "kill" else Fault(cluster.stop, cluster.go_on)
    trial.run(fault, rounds=1, seconds=2.0)
    # then its customers were told to come again, at first and later, and in time
    told = trial.told()
    assert len(told) > len(trial.own)
    assert Counter(v.status for v in told) == {503: len(told)}
    assert [v for each in trial.own for v in each.visits if v.status >= 300 and not v.told_to_come_again] == []
    assert max(v.over - v.begun for each in trial.own for v in each.visits) < PATIENCE_SECONDS
    # and nobody else noticed
    assert {v.status for each in trial.others for v in each.visits} == {200, 201}
    # and whatever was cut off can be ordered, and all that was acknowledged is there, once
    everybody = (*trial.own, *trial.others)
    in_parallel([each.settle for each in everybody])
    assert [each.wrong_in_the_books() for each in everybody] == [Counter()] * len(everybody)
    assert [each.undocumented for each in everybody] == [[]] * len(everybody)
    # and so are its pieces, and what must hold holds
    orders = sum(len(each.placed) for each in everybody)
    eventually(lambda: staff.stock(teapot)["reserved"] == orders)
    checked = shop.manage("check_invariants")
    assert checked.returncode == 0, checked.stdout
