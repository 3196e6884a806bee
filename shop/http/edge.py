"""What the gateway tells the process behind it about a request: its trace, and where it comes from. Signed.

Nobody else is believed: headers that say such things are thrown away at the gateway, and looked at by nobody behind it.
The signature is made with ``SECRET_KEY``, which all processes of a shop share.
"""

import time
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

HEADER: Final = "X-Shop-Edge"
META: Final = "HTTP_X_SHOP_EDGE"
GOOD_SECONDS: Final = 60
PARTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the gateway saw.

    Attributes:
        traceparent: The trace that it has begun.
        address: Of whoever asked.
        sent_on: By a process that hosts the context, since it is answered elsewhere; it is sent on no further.
    """

    traceparent: str
    address: str
    sent_on: bool = False


def told(edge: Edge) -> str:
    """The header's value."""
    text = f"{int(time.time())};{edge.traceparent};{edge.address};{'on' if edge.sent_on else ''}"
    return f"{text};{_signature(text)}"


def edge_of(request: HttpRequest) -> Edge | None:
    """What the gateway says of a request; None where it did not come from there."""
    given = request.META.get(META)
    if given is None:
        return None
    if not hasattr(request, "edge"):  # asked for several times on a request's way
        request.edge = _read(str(given))  # type: ignore[attr-defined]  # kept for the next one
    found: Edge | None = request.edge  # type: ignore[attr-defined]  # the same
    return found


def is_sent_on(request: HttpRequest) -> bool:
    """Whether a process that hosts the context has sent it here: it is answered here, whatever is known meanwhile."""
    edge = edge_of(request)
    return edge is not None and edge.sent_on


def _read(given: str) -> Edge | None:
    text, _, signature = given.rpartition(";")
    parts = text.split(";")
    if len(parts) != PARTS - 1 or not constant_time_compare(signature, _signature(text)):
        return None
    at, traceparent, address, sent_on = parts
    if abs(time.time() - int(at)) > GOOD_SECONDS:
        return None
    return Edge(traceparent=traceparent, address=address, sent_on=bool(sent_on))


def _signature(text: str) -> str:
    return salted_hmac("shop.edge", text, algorithm="sha256").hexdigest()
