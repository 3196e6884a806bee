"""Places for connections, over all databases of a process: who gets one, who has to go, who waits and for how long."""

import gc
import threading
from collections import deque

import pytest

from shop.observability.metrics import DATABASE_REFUSED
from shop.sharding import ShardUnavailable
from shop.sharding.postgresql import budget as module
from shop.sharding.postgresql.budget import Budget
from shop.sharding.postgresql.bulkhead import Bulkhead, Shut
from shop.sharding.postgresql.pool import Pool
from tests.e2e.people import eventually

pytestmark = pytest.mark.once


class Connection:
    """As much of one as a pool needs."""

    idle_since = 0.0
    place = None

    def __init__(self, alias):
        self.alias, self.gone = alias, False

    def is_good(self):
        return True

    def is_clean(self):
        return True

    def leave(self):
        if self.place is not None:
            self.place.detach()
        self.gone = True


@pytest.fixture
def make_pools(monkeypatch):
    """A budget, and pools that share it."""

    def make(most, *aliases):
        budget = Budget(most)
        monkeypatch.setattr(budget.upkeep, "begin", lambda: None)
        for alias in aliases:
            budget.pools[alias] = Pool(alias, budget)
            budget.pools[alias].bulkhead = Bulkhead(alias, most_waiting=2, ask=lambda conninfo: True)
        return budget, *budget.pools.values()

    return make


def take(pool):
    connection = pool.take()
    if connection is None:
        connection = Connection(pool.alias)
        pool.opened(connection)
    return connection


def in_thread(pool):
    """Take one in a thread of its own; a list that gets the connection, or the error."""
    got = []

    def run():
        try:
            got.append(take(pool))
        except ShardUnavailable as error:
            got.append(error)

    before = len(pool._budget.queue)
    threading.Thread(target=run, daemon=True).start()
    eventually(lambda: got or len(pool._budget.queue) > before)
    return got


def test_what_was_given_back_last_is_taken_first(make_pools):
    _, tea, _ = make_pools(10, "tea", "pot")
    first, second = take(tea), take(tea)
    tea.give_back(first)
    tea.give_back(second)
    assert [take(tea), take(tea)] == [second, first]
    assert tea.size == 2


def test_an_idle_connection_elsewhere_goes_for_a_new_one(make_pools):
    # given all places taken, one of them by a connection that is idle
    _, tea, pot = make_pools(4, "tea", "pot")
    idle, used = take(tea), take(tea)
    third = take(pot)
    tea.give_back(idle)
    # when another database needs one
    fourth = take(pot)
    # then the idle one is closed, and nobody else
    assert (idle.gone, used.gone, third.gone) == (True, False, False)
    assert (fourth.alias, tea.size, pot.size) == ("pot", 1, 2)


def test_where_most_are_idle_the_oldest_one_goes(make_pools):
    _, tea, pot, cup = make_pools(5, "tea", "pot", "cup")
    one, two, three = take(tea), take(tea), take(pot)
    fourth = take(pot)
    for pool, connection in ((pot, three), (tea, one), (tea, two)):
        pool.give_back(connection)
    take(cup)
    assert [each.gone for each in (one, two, three, fourth)] == [True, False, False, False]


def test_one_database_leaves_some_to_the_others(make_pools):
    _, tea, pot = make_pools(8, "tea", "pot")
    held = [take(tea) for _ in range(6)]
    assert in_thread(tea) == []
    assert (take(pot).alias, len(held)) == ("pot", 6)


def test_who_waits_gets_what_comes_back(make_pools):
    _, tea, _ = make_pools(4, "tea", "pot")
    connections = [take(tea) for _ in range(2)]
    waiting = in_thread(tea)
    tea.give_back(connections[0])
    eventually(lambda: waiting == [connections[0]])


def test_who_waits_gets_the_place_of_another_database(make_pools):
    _, tea, pot = make_pools(4, "tea", "pot")
    given_back, *held = [take(tea), take(tea), take(pot)]
    waiting = in_thread(pot)
    tea.give_back(given_back)
    eventually(lambda: waiting)
    assert (waiting[0].alias, given_back.gone, len(held)) == ("pot", True, 2)


def test_nobody_overtakes_who_waits(make_pools):
    _, tea, _ = make_pools(4, "tea", "pot")
    connections = [take(tea) for _ in range(2)]
    first = in_thread(tea)
    second = in_thread(tea)
    tea.give_back(connections[0])
    eventually(lambda: first == [connections[0]])
    assert second == []
    tea.give_back(first[0])
    eventually(lambda: second == [connections[0]])


def test_a_place_whose_connection_could_not_be_made_is_free_again(make_pools):
    _, tea, _ = make_pools(4, "tea", "pot")
    take(tea)
    assert tea.take() is None
    waiting = in_thread(tea)
    tea.not_opened()
    eventually(lambda: waiting)


def test_a_connection_that_a_thread_left_behind_frees_its_place(make_pools):
    _, tea, _ = make_pools(4, "tea", "pot")
    [take(tea) for _ in range(2)]
    gc.collect()
    assert [take(tea).alias for _ in range(2)] == ["tea", "tea"]
    gc.collect()


def test_a_wait_ends_with_a_refusal(make_pools, monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    budget, cup, _ = make_pools(4, "cup", "pot")
    held = [take(cup) for _ in range(2)]
    before = DATABASE_REFUSED.labels("cup", "full")._value.get()
    with pytest.raises(ShardUnavailable, match="cup has no connection free"):
        cup.take()
    assert DATABASE_REFUSED.labels("cup", "full")._value.get() - before == 1
    assert (len(held), budget.queue, cup.bulkhead._waiting) == (2, deque(), set())


def test_of_those_who_wait_in_vain_half_of_the_threads_stay_at_most(make_pools):
    """Waiting for a connection is waiting for its database: two stay of four, in a bulkhead for two."""
    _, tea, pot = make_pools(4, "tea", "pot")
    held = [take(tea) for _ in range(2)]
    waiting = [in_thread(tea) for _ in range(4)]
    eventually(lambda: sum(map(len, waiting)) >= 2)
    assert all("enough wait" in error.detail for got in waiting for error in got if isinstance(error, ShardUnavailable))
    # and nobody else begins there, while the other database goes on
    with pytest.raises(ShardUnavailable):
        tea.take()
    assert take(pot).alias == "pot"
    assert len(held) == 2


def test_of_a_lost_database_nobody_takes_one(make_pools):
    _, tea, pot = make_pools(4, "tea", "pot")
    idle = take(pot)
    pot.give_back(idle)
    tea.bulkhead.shut = Shut.DOWN
    with pytest.raises(ShardUnavailable, match="does not answer"):
        tea.take()
    assert not idle.gone


def test_there_is_always_a_place_for_a_question(make_pools):
    # given that all connections there may be hang
    budget, tea, pot = make_pools(4, "tea", "pot")
    hanging = [take(tea), take(tea), take(pot)]
    asked = []

    def ask():
        with budget.place_for_a_question():
            asked.append(len(hanging) + len(asked))

    # then a watch asks all the same; several ask one after another
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(asked) == 3


def test_a_question_takes_the_place_of_an_idle_connection(make_pools):
    budget, tea, pot = make_pools(4, "tea", "pot")
    idle, *_ = [take(tea), take(tea), take(pot)]
    tea.give_back(idle)
    with budget.place_for_a_question():
        assert idle.gone
        assert budget._taken == 3
    assert budget._taken == 2


def test_what_is_idle_for_long_is_closed(make_pools, monkeypatch):
    budget, tea, _ = make_pools(10, "tea", "pot")
    old, new = take(tea), take(tea)
    tea.give_back(old)
    tea.give_back(new)
    old.idle_since -= 61
    assert budget.upkeep.round()
    assert (old.gone, new.gone, tea.size) == (True, False, 1)
    new.idle_since -= 61
    assert not budget.upkeep.round()
