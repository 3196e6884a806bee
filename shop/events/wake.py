"""Waking this process's relay or jobs when something was committed. Polling is the net below it."""

import threading
from collections import defaultdict
from typing import Final

RELAY: Final = "relay"
JOBS: Final = "jobs"
SLOW_JOBS: Final = "slow_jobs"

_bells: defaultdict[tuple[str, str], threading.Event] = defaultdict(threading.Event)


def relay_of(context: str) -> None:
    """Something waits in an outbox of ``context``."""
    _bells[RELAY, context].set()


def wake_jobs(context: str) -> None:
    """Something waits for a job of ``context`` that is declared ``at_once``."""
    _bells[JOBS, context].set()


def wake_slow_jobs(context: str) -> None:
    """The same for one that is ``slow`` besides."""
    _bells[SLOW_JOBS, context].set()


def wait(kind: str, context: str, seconds: float) -> bool:
    """Sleep until the bell of `RELAY`, `JOBS` or `SLOW_JOBS` was rung, or ``seconds`` are over; whether it was rung."""
    rung = _bells[kind, context].wait(seconds)
    _bells[kind, context].clear()
    return rung
