"""What surrounds a call: which context acts, how much time is left, who asked. Set at the edges, inherited inside."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_acting: ContextVar[str] = ContextVar("shop_acting_context", default="")
_deadline: ContextVar[float | None] = ContextVar("shop_deadline", default=None)
user_token: ContextVar[str] = ContextVar("shop_user_token", default="")
"""The access token that the work began with: it travels along, and is verified by everybody. Empty in jobs."""
is_first_hop: ContextVar[bool] = ContextVar("shop_first_hop", default=True)
"""Whether this work was begun by a request or an event, and not by another process's call: only then calls repeat."""


def acting_context() -> str:
    """Context whose code runs now; empty outside of any."""
    return _acting.get()


@contextmanager
def acting_as(context: str) -> Iterator[None]:
    """Run a block as ``context``: an HTTP request, an event handler, a job."""
    token = _acting.set(context)
    try:
        yield
    finally:
        _acting.reset(token)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Give a block at most ``seconds``; an earlier deadline stays in force."""
    mine = time.monotonic() + seconds
    outer = _deadline.get()
    token = _deadline.set(mine if outer is None else min(mine, outer))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining_seconds() -> float | None:
    """Time left, possibly negative; None where nobody set a deadline."""
    until = _deadline.get()
    return None if until is None else until - time.monotonic()
