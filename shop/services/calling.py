"""What surrounds a call: which context acts, how much time is left, who asked. Set at the edges, inherited inside."""

import time
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token

_around: ContextVar[tuple[str, float | None]] = ContextVar("shop_around_call", default=("", None))
"""Which context acts, and until when, in monotonic seconds. One variable, as every call changes both."""
user_token: ContextVar[str] = ContextVar("shop_user_token", default="")
"""The access token that the work began with: it travels along, and is verified by everybody. Empty in jobs."""
is_first_hop: ContextVar[bool] = ContextVar("shop_first_hop", default=True)
"""Whether this work was begun by a request or an event, and not by another process's call: only then calls repeat."""


class _Around(AbstractContextManager[None]):
    """A block with another context, less time, or both; as a class it costs a call half of what a generator does."""

    __slots__ = ("_before", "_context", "_seconds")

    def __init__(self, context: str | None, seconds: float | None) -> None:
        self._context, self._seconds = context, seconds

    def __enter__(self) -> None:
        acting, until = _around.get()
        if self._context is not None:
            acting = self._context
        if self._seconds is not None:
            mine = time.monotonic() + self._seconds
            until = mine if until is None else min(mine, until)
        self._before: Token[tuple[str, float | None]] = _around.set((acting, until))

    def __exit__(self, *_: object) -> None:
        _around.reset(self._before)


def acting_context() -> str:
    """Context whose code runs now; empty outside of any."""
    return _around.get()[0]


def acting_as(context: str) -> AbstractContextManager[None]:
    """Run a block as ``context``: an HTTP request, an event handler, a job."""
    return _Around(context, None)


def deadline(seconds: float) -> AbstractContextManager[None]:
    """Give a block at most ``seconds``; an earlier deadline stays in force."""
    return _Around(None, seconds)


def called(context: str, seconds: float) -> AbstractContextManager[None]:
    """Run a block as ``context`` that is called, and give it at most ``seconds``."""
    return _Around(context, seconds)


def remaining_seconds() -> float | None:
    """Time left, possibly negative; None where nobody set a deadline."""
    until = _around.get()[1]
    return None if until is None else until - time.monotonic()
