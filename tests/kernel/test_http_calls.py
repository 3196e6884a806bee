"""Calls to a context that lives elsewhere, over real connections: what gets lost on the way, and what becomes of it."""

import os
import resource
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from prometheus_client import REGISTRY

from shop.contract import (
    CircuitOpen,
    ContextError,
    ContractMismatch,
    DeadlineExceeded,
    NotAuthorized,
    NotFoundError,
    OutcomeUnknown,
    RemoteFault,
    Service,
    ServiceUnavailable,
    UnavailableError,
    query,
    saga,
)
from shop.events.publishing import actor
from shop.gateway.tokens import mint
from shop.observability.trace import trace_id, traced
from shop.services import acting_as, deadline, remaining_seconds, resolve
from shop.services.calling import is_first_hop, user_token
from shop.services.transport.http import connections, targets
from shop.services.transport.http.targets import leave_targets
from tests.kernel.far_away import answer_dropped, broken_off, busy, dripping, dropped, far_away, late, page
from tests.plugin import make_principal

pytestmark = pytest.mark.once


class NoCupError(NotFoundError):
    code = "no_cup"


class Kiosk(Service):
    """Sells cups."""

    context = "catalog"

    @query(callers=("ordering",), errors=(NoCupError,), timeout_seconds=2.0)
    def cups(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        raise NotImplementedError

    @saga(key="order_id", callers=("ordering",), timeout_seconds=2.0)
    def sell(self, *, order_id: str) -> int:
        raise NotImplementedError

    @query(callers=("auth",))
    def secrets(self) -> str:
        raise NotImplementedError


class Shelf(Kiosk):
    """Remembers what was sold, and what surrounded each call."""

    def __init__(self) -> None:
        self.sold: list[str] = []
        self.calls = 0
        self.fails: ContextError | None = None
        self.surroundings: list[tuple[str, str, float | None]] = []

    def cups(self, *, ids: Sequence[str]) -> tuple[str, ...]:
        self.calls += 1
        if self.fails is not None:
            raise self.fails
        self.surroundings.append((trace_id(), actor.get(), remaining_seconds()))
        if "none" in ids:
            raise NoCupError(detail="no such cup")
        if "bug" in ids:
            raise ValueError("a bug")
        return tuple(ids)

    def sell(self, *, order_id: str) -> int:
        self.calls += 1
        if order_id not in self.sold:
            self.sold.append(order_id)
        return len(self.sold)

    def secrets(self) -> str:
        raise AssertionError("nobody may ask")


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def there(shelf):
    with far_away(Kiosk, shelf) as server:
        yield server


@pytest.fixture(autouse=True)
def apart(settings, there):
    """Catalog lives elsewhere, and nothing is known of it yet."""
    settings.CONTEXT_URLS = {"catalog": there.url}
    yield
    leave_targets()


@pytest.fixture
def kiosk():
    """The service as ordering sees it."""
    with acting_as("ordering"):
        yield resolve(Kiosk)


def outcome(call, **arguments):
    """What a call gives, or the class of what it raises."""
    try:
        return call(**arguments)
    except ContextError as error:
        return type(error)


def test_calls_one_after_the_other_share_a_connection(kiosk, there):
    assert [kiosk.cups(ids=["a", str(number)]) for number in range(5)] == [("a", str(number)) for number in range(5)]
    assert there.connections == 1


def test_a_connection_that_the_other_side_is_about_to_close_is_not_used(kiosk, there, monkeypatch):
    kiosk.cups(ids=[])
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.0)
    assert kiosk.cups(ids=["a"]) == ("a",)
    assert there.connections == 2


@pytest.fixture
def many_open_files():
    """As a gateway has them with a thousand clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    held = [os.dup(0) for _ in range(1_030)]
    yield
    for each in held:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_who_has_many_files_open_can_call(many_open_files, kiosk):
    assert [kiosk.cups(ids=["a"]) for _ in range(2)] == [("a",)] * 2


def test_errors_come_back_as_what_they_are(kiosk):
    with pytest.raises(NoCupError, match="no such cup"):
        kiosk.cups(ids=["none"])
    with pytest.raises(RemoteFault) as fault:
        kiosk.cups(ids=["bug"])
    assert "a bug" not in str(fault.value)


def test_trace_user_and_time_travel_along(kiosk, shelf):
    # given work that somebody's request has begun
    somebody = make_principal()
    token = user_token.set(mint(somebody))
    try:
        with traced() as trace, deadline(0.7):
            kiosk.cups(ids=[])
    finally:
        user_token.reset(token)
    # then the callee knows all of it; the trace is in a header, for the access log of a server
    [(_, who, left)] = shelf.surroundings
    assert who == somebody.id
    assert 0 < left <= 0.7
    assert trace


def test_a_user_that_nobody_signed_for_is_nobody(kiosk, shelf):
    token = user_token.set(mint(make_principal())[:-6] + "AAAAAA")
    try:
        kiosk.cups(ids=[])
    finally:
        user_token.reset(token)
    assert shelf.surroundings[0][1] == ""


def test_a_user_whom_nobody_can_verify_at_the_moment_is_nobody(kiosk, shelf, monkeypatch):
    def away(_token):
        raise UnavailableError(detail="auth does not say its public keys")

    monkeypatch.setattr("shop.gateway.face.answering.verify", away)
    token = user_token.set(mint(make_principal()))
    try:
        kiosk.cups(ids=[])
    finally:
        user_token.reset(token)
    assert shelf.surroundings[0][1] == ""


@pytest.mark.parametrize("mishap", [dropped, answer_dropped, broken_off, busy])
def test_what_gets_lost_once_is_sent_again(mishap, kiosk, there, shelf):
    there.mishaps = [mishap]
    assert kiosk.cups(ids=["a"]) == ("a",)
    assert len(there.requests) == 2


@pytest.mark.parametrize("mishap", [dropped, answer_dropped, broken_off])
def test_a_command_that_gets_lost_is_sent_again_under_its_key(mishap, kiosk, there, shelf):
    there.mishaps = [mishap]
    assert kiosk.sell(order_id="7") == 1
    assert shelf.sold == ["7"]


@pytest.mark.parametrize(
    ("mishap", "of_query", "of_command"),
    [
        (dropped, ServiceUnavailable, OutcomeUnknown),
        (answer_dropped, ServiceUnavailable, OutcomeUnknown),
        (busy, ServiceUnavailable, OutcomeUnknown),
        (broken_off, ServiceUnavailable, OutcomeUnknown),
        (page, ContractMismatch, ContractMismatch),
        (late(1.5), DeadlineExceeded, OutcomeUnknown),
        (dripping, DeadlineExceeded, OutcomeUnknown),
    ],
)
def test_what_gets_lost_every_time_is_told_within_the_deadline(mishap, of_query, of_command, kiosk, there):
    there.always = mishap
    for call, arguments, expected in [(kiosk.cups, {"ids": []}, of_query), (kiosk.sell, {"order_id": "7"}, of_command)]:
        began = time.monotonic()
        with deadline(0.3):
            assert outcome(call, **arguments) is expected
        assert time.monotonic() - began < 1.5


def test_where_nobody_is_nothing_was_sent(kiosk, settings):
    settings.CONTEXT_URLS = {"catalog": "http://127.0.0.1:1"}
    assert outcome(kiosk.sell, order_id="7") is ServiceUnavailable


def test_what_another_call_began_is_sent_once(kiosk, there):
    there.always = busy
    hop = is_first_hop.set(False)
    try:
        assert outcome(kiosk.cups, ids=[]) is ServiceUnavailable
    finally:
        is_first_hop.reset(hop)
    assert len(there.requests) == 1


def test_repetitions_are_few_beside_calls(kiosk, there):
    # given a target that refuses three of ten requests
    random = Random(7)
    there.always = lambda request: busy(request) if random.random() < 0.3 else True
    # when it is called 300 times
    found = [outcome(kiosk.cups, ids=["a"]) for _ in range(300)]
    # then it got a fifth more than it was called at most, and some were answered because of that
    called = 300 - found.count(CircuitOpen)
    assert called < len(there.requests) <= called * 1.2
    assert set(found) <= {("a",), ServiceUnavailable, CircuitOpen}


def resting():
    """What `/metrics` says of catalog."""
    return REGISTRY.get_sample_value("shop_context_resting", {"context": "catalog"})


def test_after_five_time_outs_nobody_waits_any_more_until_it_answers_again(kiosk, there, breaker_rests):
    # given a target that is too slow five times
    there.mishaps = [late(0.3)] * 5
    for _ in range(5):
        with deadline(0.1):
            assert outcome(kiosk.cups, ids=[]) is DeadlineExceeded
    # then it is not asked
    asked = len(there.requests)
    assert [outcome(kiosk.cups, ids=[]) for _ in range(10)] == [CircuitOpen] * 10
    assert resting() == 1.0
    assert len(there.requests) == asked
    # when a moment has passed, then the first answer ends that
    breaker_rests()
    assert [outcome(kiosk.cups, ids=[]) for _ in range(3)] == [()] * 3
    assert resting() == 0.0


def test_what_a_context_can_not_do_now_gives_it_no_rest(kiosk, there, shelf):
    # given a context of which one shard is away
    shelf.fails = UnavailableError(detail="a shard is away")
    assert {outcome(kiosk.cups, ids=[]) for _ in range(30)} == {UnavailableError}
    # then what needs another shard is answered
    assert kiosk.sell(order_id="7") == 1


def test_a_trial_that_fails_keeps_it_open(kiosk, there, breaker_rests):
    there.always = busy
    while outcome(kiosk.cups, ids=[]) is not CircuitOpen:
        pass
    breaker_rests()
    asked = len(there.requests)
    found = [outcome(kiosk.cups, ids=[]) for _ in range(5)]
    assert found.count(CircuitOpen) >= 4
    assert len(there.requests) == asked + 1


def in_threads(number):
    """What so many calls at once give."""
    ready = threading.Barrier(number)

    def call(_):
        ready.wait()
        with acting_as("ordering"):
            return outcome(resolve(Kiosk).cups, ids=[])

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


def test_any_number_may_wait_for_a_target_that_answers_soon(there, settings):
    settings.SERVER_THREADS = 4
    there.always = late(0.2)
    assert in_threads(8) == [()] * 8


def test_half_of_the_threads_wait_for_a_slow_target_at_most(there, settings, monkeypatch, kiosk):
    # given a process with eight threads, of which four have waited for longer than they should
    settings.SERVER_THREADS = 8
    monkeypatch.setattr(targets, "PATIENCE_SECONDS", 0.1)
    there.always = late(1.0)
    waiting = threading.Thread(target=in_threads, args=(4,))
    waiting.start()
    time.sleep(0.5)
    # then the next ones are refused at once
    began = time.monotonic()
    assert outcome(kiosk.cups, ids=[]) is ServiceUnavailable
    assert time.monotonic() - began < 1.0
    # when those are gone, then they are not
    waiting.join()
    assert outcome(kiosk.cups, ids=[]) == ()


def test_a_caller_that_the_contract_does_not_name_is_refused_by_the_callee_too(there, shelf, monkeypatch):
    monkeypatch.setattr("shop.services.pipeline.check_call", lambda *_: None)
    with acting_as("ordering"):
        assert outcome(resolve(Kiosk).secrets) is NotAuthorized


def test_a_method_that_is_switched_off_there_is_unavailable(kiosk, there, settings, monkeypatch):
    monkeypatch.setattr("shop.services.pipeline._check", lambda *_: None)
    settings.SERVICE_KILL_SWITCH = frozenset({"catalog.cups"})
    assert outcome(kiosk.cups, ids=[]) is ServiceUnavailable
    assert kiosk.sell(order_id="7") == 1


def test_an_answer_that_the_contract_does_not_know_is_a_mismatch(kiosk, there):
    there.mishaps = [lambda request: request.tell(200, b'{"cups": 1}'), lambda request: request.tell(418, b"tea")]
    assert outcome(kiosk.cups, ids=[]) is ContractMismatch
    assert outcome(kiosk.cups, ids=[]) is ContractMismatch
