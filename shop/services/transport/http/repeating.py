"""Whether and when a call is sent again: few times, at random moments, and from a budget all calls fill."""

import random
import threading
from collections.abc import Iterator
from typing import Final

MOST: Final = 2
FIRST_SECONDS: Final = 0.05
SHARE: Final = 0.1
"""Of calls, so that a target that is in trouble gets a tenth more of them at most."""
SAVED: Final = 10.0


class Budget:
    """A tenth of a repetition for each call, ten in stock at most."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._left = 1.0

    def earn(self) -> None:
        """A call is made."""
        with self._guard:
            self._left = min(SAVED, self._left + SHARE)

    def spend(self) -> bool:
        """Whether one may be repeated; if so that is paid."""
        with self._guard:
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True


def pauses() -> Iterator[float]:
    """Seconds before each repetition: at random up to 50 ms, then up to 100 ms, so that callers don't come together."""
    for number in range(MOST):
        yield random.uniform(0.0, FIRST_SECONDS * 2**number)  # noqa: S311  spread, no secret
