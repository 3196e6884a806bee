"""The way to one database: who may wait for it, and when it counts as lost. On a clock and a network of the test's."""

import threading
import time

import psycopg
import pytest
from django.db import OperationalError

from shop.contract import UnavailableError
from shop.observability.metrics import DATABASE_DOWN, DATABASE_REFUSED
from shop.sharding import ShardUnavailable
from shop.sharding.postgresql import bulkhead as module
from shop.sharding.postgresql import pool
from shop.sharding.postgresql.bulkhead import (
    CROWDED_AFTER_SECONDS,
    LONGEST_PATIENCE_SECONDS,
    PATIENCE_SECONDS,
    REMEMBERED_SECONDS,
    Bulkhead,
    Shut,
)
from tests.e2e.people import eventually

pytestmark = pytest.mark.once

READY, IDLE = 1, 0


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])

    def run(seconds):
        now[0] += seconds

    return run


class Server:
    """What a watch finds when it asks: an answer, silence, or nothing yet."""

    def __init__(self):
        self.asked = 0
        self.may_answer = threading.Event()
        self.there = True

    def ask(self, conninfo):
        self.asked += 1
        assert self.may_answer.wait(10)
        return self.there


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "ASK_AGAIN_SECONDS", 0.01)
    found = Server()
    yield found
    found.there = True
    found.may_answer.set()


@pytest.fixture
def gate(server):
    """A bulkhead for two."""
    return Bulkhead("catalog_1", most_waiting=2, ask=server.ask)


def statement(answer="row"):
    """A statement as the driver runs it: it is sent, then yields until something comes."""
    while not (yield "readable"):
        continue
    if isinstance(answer, Exception):
        raise answer
    return answer


class Wait:
    """One thread's wait for a statement."""

    def __init__(self, gate, answer="row", *, fresh=True):
        self._asking = gate.attended(statement(answer), fresh=fresh)
        next(self._asking)

    def idle(self):
        self._asking.send(IDLE)

    def answered(self):
        with pytest.raises(StopIteration) as done:
            self._asking.send(READY)
        return done.value.value


def refused(reason):
    return DATABASE_REFUSED.labels("catalog_1", reason)._value.get()


def down():
    return DATABASE_DOWN.labels("catalog_1")._value.get()


def silent(clock, *waits, seconds=PATIENCE_SECONDS):
    """Let so much time pass that they have heard nothing for too long; returns who was let go."""
    gone = []
    for wait in waits:
        wait.idle()
    clock(seconds)
    for wait in waits:
        try:
            wait.idle()
        except ShardUnavailable:
            gone.append(wait)
    return gone


def test_what_is_answered_passes_as_it_is(gate, clock, server):
    wait = Wait(gate)
    wait.idle()
    assert wait.answered() == "row"
    assert (gate.shut, server.asked) == (None, 0)


def test_a_lost_database_lets_everybody_go_and_nobody_in(gate, clock, server):
    # given two who have heard nothing for too long
    first, second = Wait(gate), Wait(gate)
    assert silent(clock, first, second) == []
    before = refused("down")
    # when nobody answers the watch either
    server.there = False
    server.may_answer.set()
    eventually(lambda: gate.shut is Shut.DOWN)
    # then they are let go, and nobody else begins, within a transaction or not
    for wait in (first, second):
        with pytest.raises(ShardUnavailable, match="catalog_1 does not answer"):
            wait.idle()
    for fresh in (True, False):
        with pytest.raises(ShardUnavailable):
            gate.enter(fresh=fresh)
    assert (refused("down") - before, down(), gate.epoch) == (4, 1, 1)
    # until it answers
    server.there = True
    eventually(lambda: gate.shut is None)
    gate.enter(fresh=True)
    assert Wait(gate).answered() == "row"
    assert (down(), gate.epoch) == (0, 1)


def test_a_database_that_answers_the_watch_is_merely_slow(gate, clock, server):
    wait = Wait(gate)
    server.may_answer.set()
    silent(clock, wait)
    eventually(lambda: server.asked == 1 and not gate._watching.locked())
    # then it is left alone, and doubted later than at first
    wait.idle()
    clock(PATIENCE_SECONDS)
    wait.idle()
    assert (server.asked, gate.shut) == (1, None)
    clock(PATIENCE_SECONDS)
    wait.idle()
    eventually(lambda: server.asked == 2)
    assert wait.answered() == "row"


def test_a_long_wait_is_doubted_every_few_seconds_at_least(gate, clock, server):
    server.may_answer.set()
    wait = Wait(gate)
    for number in range(1, 9):
        wait.idle()
        clock(LONGEST_PATIENCE_SECONDS)
        wait.idle()
        eventually(lambda n=number: server.asked == n and not gate._watching.locked())


def test_while_others_are_answered_nobody_is_doubted(gate, clock, server):
    slow = Wait(gate)
    for _ in range(20):
        slow.idle()
        clock(PATIENCE_SECONDS / 2)
        assert Wait(gate).answered() == "row"
    assert (server.asked, gate.shut) == (0, None)


def test_an_error_in_the_servers_own_words_is_an_answer(gate, clock, server):
    slow = Wait(gate)
    slow.idle()
    clock(PATIENCE_SECONDS)
    failing = gate.attended(statement(psycopg.errors.UniqueViolation("taken")))
    next(failing)
    with pytest.raises(psycopg.errors.UniqueViolation):
        failing.send(READY)
    slow.idle()
    assert server.asked == 0


def test_what_needs_no_network_is_no_sign_of_life(gate, clock, server):
    def nothing():
        return "done"
        yield

    waiting = Wait(gate)
    waiting.idle()
    clock(PATIENCE_SECONDS)
    with pytest.raises(StopIteration) as done:
        next(gate.attended(nothing()))
    assert done.value.value == "done"
    waiting.idle()
    eventually(lambda: server.asked == 1)


def test_an_answer_while_the_watch_waits_for_its_own_saves_the_database(gate, clock, server):
    wait, other = Wait(gate), Wait(gate)
    silent(clock, wait)
    eventually(lambda: server.asked == 1)
    assert other.answered() == "row"
    server.there = False
    server.may_answer.set()
    eventually(lambda: not gate._watching.locked())
    wait.idle()
    assert gate.shut is None


def test_at_most_so_many_wait_in_silence(gate, clock, server):
    # given four in a bulkhead for two
    waits = [Wait(gate) for _ in range(4)]
    before = refused("crowded")
    # when they hear nothing, then two are let go
    assert len(silent(clock, *waits)) == 2
    assert gate.shut is Shut.CROWDED
    # and nobody else may begin; who is in the middle of a transaction goes on
    with pytest.raises(ShardUnavailable, match="enough wait"):
        gate.enter(fresh=True)
    gate.enter(fresh=False)
    assert refused("crowded") - before == 3
    # until somebody is answered
    [*_, last] = waits
    assert last.answered() == "row"
    gate.enter(fresh=True)


def test_who_is_in_the_middle_of_a_transaction_is_not_one_too_many(gate, clock, server):
    """Its commit may have reached the server, and others may wait for what it holds."""
    # given two in the middle of a transaction and two that only begin, in a bulkhead for two
    within = [Wait(gate, fresh=False) for _ in range(2)]
    beginning = [Wait(gate) for _ in range(2)]
    # when they hear nothing, then those are let go that have nothing to lose
    assert silent(clock, *within, *beginning) == beginning
    assert [wait.answered() for wait in within] == ["row", "row"]


def test_a_crowd_that_ends_in_errors_makes_room(gate, clock, server):
    """A server that is gone resets its connections: nobody is answered, and nobody waits any more."""
    waits = [Wait(gate, psycopg.OperationalError("reset by peer")) for _ in range(4)]
    assert silent(clock, *waits, seconds=CROWDED_AFTER_SECONDS) == waits[:2]
    for wait in waits[2:]:
        with pytest.raises(psycopg.OperationalError):
            wait.answered()
    gate.enter(fresh=True)


def test_a_crowd_is_thinned_out_before_the_watch_asks(gate, clock, server):
    assert len(silent(clock, *[Wait(gate) for _ in range(4)], seconds=CROWDED_AFTER_SECONDS)) == 2
    assert server.asked == 0


def test_where_silences_end_well_it_is_thinned_out_later(gate, clock, server):
    # given a database that was silent for a while, and then answered
    late = Wait(gate)
    silent(clock, late, seconds=CROWDED_AFTER_SECONDS)
    assert late.answered() == "row"
    # then for a minute it takes a longer silence to be let go
    waits = [Wait(gate) for _ in range(4)]
    assert silent(clock, *waits, seconds=CROWDED_AFTER_SECONDS) == []
    assert len(silent(clock, *waits)) == 2
    [_, _, *rest] = waits
    for wait in rest:
        wait.answered()
    clock(REMEMBERED_SECONDS)
    assert len(silent(clock, *[Wait(gate) for _ in range(4)], seconds=CROWDED_AFTER_SECONDS)) == 2


def test_who_is_known_to_be_merely_slow_stays_in_a_crowd(gate, clock, server):
    server.may_answer.set()
    slow = Wait(gate)
    silent(clock, slow)
    eventually(lambda: server.asked == 1 and not gate._watching.locked())
    slow.idle()
    server.may_answer.clear()
    newcomers = [Wait(gate) for _ in range(3)]
    assert silent(clock, slow, *newcomers) == newcomers[:2]


def test_a_healthy_crowd_is_let_in(gate, clock, server):
    """As many as like, as long as answers come: a shard may be hot."""
    waits = [Wait(gate) for _ in range(20)]
    for _ in range(20):
        for wait in waits[1:]:
            wait.idle()
        clock(PATIENCE_SECONDS / 2)
        gate.enter(fresh=True)
        assert Wait(gate).answered() == "row"
    assert (gate.shut, server.asked) == (None, 0)


def test_a_database_is_there_if_one_of_its_addresses_answers(gate, clock):
    # given a name with two addresses, the first of which is silent
    asked = []
    gate.addresses = ["silent", "answers"]
    gate._ask = lambda address: asked.append(address) or address == "answers"
    wait = Wait(gate)
    # when
    silent(clock, wait)
    eventually(lambda: len(asked) == 2 and not gate._watching.locked())
    # then
    wait.idle()
    assert gate.shut is None


def test_while_it_is_down_its_name_is_looked_up_each_time(gate, clock, server, monkeypatch):
    # given a database whose name leads elsewhere as soon as it is lost, which the name service tells late
    found = iter([psycopg.OperationalError("failed to resolve host"), ["old"], ["new"]])

    def look_up(conninfo):
        if isinstance(addresses := next(found, ["new"]), Exception):
            raise addresses
        return addresses

    monkeypatch.setattr(module, "addresses_of", look_up)
    asked = []
    gate.addresses = ["old"]
    gate._ask = lambda address: asked.append(address) or address == "new"
    # when
    silent(clock, Wait(gate))
    eventually(lambda: asked and not gate._watching.locked())
    # then
    assert asked == ["old", "old", "old", "new"]
    assert (gate.shut, gate.epoch) == (None, 1)


def test_threads_that_come_first_at_once_share_one_bulkhead(in_threads, monkeypatch):
    def made_slowly(alias, **settings):
        time.sleep(0.05)
        return Bulkhead(alias, **settings)

    monkeypatch.setattr(pool, "Bulkhead", made_slowly)
    monkeypatch.setattr(pool, "_here", pool._Process())
    found = in_threads(*[lambda: pool.pool_of("catalog_9").bulkhead] * 4)
    assert len(set(found)) == 1


def test_a_watch_that_fails_shuts_nobody_out(gate, clock, server, caplog):
    def bug(conninfo):
        raise ZeroDivisionError

    gate._ask = bug
    wait = Wait(gate)
    silent(clock, wait)
    eventually(lambda: not gate._watching.locked())
    assert gate.shut is None
    assert "watch_failed" in caplog.text
    assert wait.answered() == "row"


def test_to_callers_it_is_unavailable_and_to_django_an_error_of_the_database():
    assert issubclass(ShardUnavailable, UnavailableError)
    assert issubclass(ShardUnavailable, OperationalError)
