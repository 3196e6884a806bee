"""A call to a context that is hosted here and answered elsewhere: it goes there as it came, and its answer back."""

from typing import Final

from django.http import HttpRequest, HttpResponse

from shop.contract import ServiceUnavailable
from shop.http.edge import HEADER, Edge, told
from shop.observability.trace import traceparent
from shop.services.transport.http import DEADLINE, USER
from shop.services.transport.http.connections import NoAnswer, NotSent
from shop.services.transport.http.targets import target_of

CARRIED: Final = ("Authorization", "Content-Type", DEADLINE, USER)
"""The token is for the context, wherever it is answered."""


def passed_on(context: str, url: str, request: HttpRequest, *, seconds: float) -> HttpResponse:
    """The answer from there. Where none comes the caller is told so by a status without words: it may be done.

    Raises:
        ServiceUnavailable: Nobody is there.
        CircuitOpen: It failed too often just now.
    """
    headers = {name: request.headers[name] for name in CARRIED if name in request.headers}
    headers["traceparent"] = traceparent()
    headers[HEADER] = told(Edge(traceparent=traceparent(), address="", sent_on=True))
    target = target_of(context, url)
    try:
        with target.breaker.watch():
            answer = target.connections.send("POST", request.path, request.body, headers, seconds=seconds)
    except NotSent:
        raise ServiceUnavailable(detail=f"{context} can't be reached") from None
    except NoAnswer:
        return HttpResponse(status=504)
    return HttpResponse(answer.body, status=answer.status, content_type="application/json")
