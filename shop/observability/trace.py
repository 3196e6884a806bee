"""The trace a piece of work belongs to: made at the edge, carried in log lines, problems, outbox rows."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

_trace_id: ContextVar[str] = ContextVar("shop_trace_id", default="")


def trace_id() -> str:
    """32 hexadecimal characters, or nothing outside of any work."""
    return _trace_id.get()


def traceparent() -> str:
    """W3C form of the present trace, for rows and calls that leave this process; empty outside of any."""
    present = _trace_id.get()
    return f"00-{present}-{secrets.token_hex(8)}-01" if present else ""


@contextmanager
def traced(parent: str = "") -> Iterator[str]:
    """Run a block as part of ``parent`` (a traceparent); of a new trace where that is empty or damaged."""
    found = _TRACEPARENT.fullmatch(parent)
    present = found[1] if found else secrets.token_hex(16)
    token = _trace_id.set(present)
    try:
        yield present
    finally:
        _trace_id.reset(token)
