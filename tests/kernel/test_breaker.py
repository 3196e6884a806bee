"""The breaker by itself: what counts, of calls that overlap."""

from contextlib import ExitStack

import pytest

from shop.contract import CircuitOpen
from shop.services.transport.http.breaker import TIME_OUTS, Breaker
from shop.services.transport.http.connections import NoAnswer, NotSent

pytestmark = pytest.mark.once


@pytest.fixture
def subject(breaker_rests):
    return Breaker("tea")


class UnderWay:
    """A call that has begun."""

    def __init__(self, subject):
        self._stack = ExitStack()
        self._stack.enter_context(subject.watch())

    def ends(self, error=None):
        def happen():
            if error is not None:
                raise error

        with pytest.raises(type(error)) if error else ExitStack(), self._stack:
            happen()


def too_late():
    return NoAnswer(timed_out=True)


def opened(subject):
    """Let it open."""
    for each in [UnderWay(subject) for _ in range(TIME_OUTS)]:
        each.ends(too_late())
    with pytest.raises(CircuitOpen):
        UnderWay(subject)


def test_calls_from_before_it_opened_do_not_keep_it_open(subject, breaker_rests):
    # given calls that are under way when it opens, and fail later
    before = [UnderWay(subject) for _ in range(3)]
    opened(subject)
    breaker_rests()
    for each in before:
        each.ends(too_late())
    # then its time is over all the same
    UnderWay(subject).ends()
    UnderWay(subject).ends()


@pytest.mark.parametrize("error", [None, ValueError(), NotSent("nobody"), too_late()], ids=repr)
def test_there_is_one_trial_whatever_becomes_of_older_calls(error, subject, breaker_rests):
    before = UnderWay(subject)
    opened(subject)
    breaker_rests()
    trial = UnderWay(subject)
    # when an older call ends, then nobody is let through beside the trial
    before.ends(error)
    with pytest.raises(CircuitOpen):
        UnderWay(subject)
    # when the trial is answered, then all are
    trial.ends()
    UnderWay(subject).ends()


def test_a_trial_that_says_nothing_of_the_target_makes_way_for_the_next(subject, breaker_rests):
    opened(subject)
    breaker_rests()
    UnderWay(subject).ends(ValueError())
    UnderWay(subject).ends()
