"""When a target that fails again and again is given a rest, and how it gets calls again."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shop.contract import CircuitOpen
from shop.observability.metrics import CONTEXT_RESTING
from shop.services.transport.http.connections import NoAnswer, NotSent

TIME_OUTS: Final = 5
"""In a row: each of them has held a thread for as long as it could."""
LOOKED_AT: Final = 20
OPEN_SECONDS: Final = 2.0


class Breaker:
    """Closed until five time-outs come in a row, or half of the last twenty calls fail. Then open for two seconds.

    After that one call at a time is let through: if it is answered the breaker is closed, if not it is open again. It
    never waits for a failure to close: time alone lets the next call try.

    What becomes of a call counts in the round it was let through in. A trial is a round of its own; so calls that were
    under way when it opened, and fail one after the other, don't keep it open.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._guard = threading.Lock()
        self._last: deque[bool] = deque(maxlen=LOOKED_AT)
        self._time_outs = 0
        self._open_until: float | None = None
        self._trying = False
        self._round = 0
        self._figure = CONTEXT_RESTING.labels(target)
        self._figure.set(0)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """One call: what it raises of `NotSent` and `NoAnswer` is a failure, anything else says nothing of the target.

        Raises:
            CircuitOpen: The target is resting, or somebody else is trying it.
        """
        number = self._admit()
        try:
            yield
        except NoAnswer as failed:
            self._failed(number, timed_out=failed.timed_out)
            raise
        except NotSent:
            self._failed(number, timed_out=False)
            raise
        except BaseException:
            self._withdraw(number)
            raise
        self._answered(number)

    def _admit(self) -> int:
        """The round that it is let through in."""
        with self._guard:
            if self._open_until is not None:
                if self._trying or time.monotonic() < self._open_until:
                    raise CircuitOpen(detail=f"{self._target} failed too often and is given a rest")
                self._trying = True
                self._round += 1
            return self._round

    def _withdraw(self, number: int) -> None:
        with self._guard:
            if number == self._round:
                self._trying = False

    def _answered(self, number: int) -> None:
        with self._guard:
            if number != self._round:
                return
            self._last.append(True)
            self._time_outs = 0
            if self._open_until is not None:
                self._last.clear()
                self._open_until, self._trying = None, False
                self._figure.set(0)

    def _failed(self, number: int, *, timed_out: bool) -> None:
        with self._guard:
            if number != self._round:
                return
            self._last.append(False)
            self._time_outs = self._time_outs + 1 if timed_out else 0
            half = len(self._last) == LOOKED_AT and self._last.count(False) * 2 >= LOOKED_AT
            if self._open_until is not None or half or self._time_outs >= TIME_OUTS:
                self._open_until, self._trying = time.monotonic() + OPEN_SECONDS, False
                self._round += 1
                self._last.clear()
                self._time_outs = 0
                self._figure.set(1)
