"""Waking the relay of this process when something was committed. Polling is the net below it."""

import threading
from collections import defaultdict

_bells: defaultdict[str, threading.Event] = defaultdict(threading.Event)


def relay_of(context: str) -> None:
    """Something waits in an outbox of ``context``."""
    _bells[context].set()


def wait(context: str, seconds: float) -> None:
    """Sleep until `relay_of` was called or ``seconds`` are over."""
    _bells[context].wait(seconds)
    _bells[context].clear()
