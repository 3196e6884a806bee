"""How long statements of this piece of work may take: somebody waits for its answer, and for so long only.

On PostgreSQL it becomes `statement_timeout` of each connection that is taken meanwhile; on SQLite a statement looks at
the clock itself, each few thousand steps of it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LEAST_MILLISECONDS: Final = 1

_until: ContextVar[float | None] = ContextVar("shop_statements_until", default=None)


@contextmanager
def statements_within(seconds: float) -> Iterator[None]:
    """Give the statements of a block ``seconds`` from now."""
    before = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(before)


def is_over() -> bool:
    """Whether nobody waits any more for what this thread is at."""
    until = _until.get()
    return until is not None and time.monotonic() > until


def statement_milliseconds() -> int | None:
    """What is left, at least one; None where nobody waits."""
    until = _until.get()
    return None if until is None else max(LEAST_MILLISECONDS, int((until - time.monotonic()) * 1000))
