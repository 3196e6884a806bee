"""Around every request: a trace, one log line, one entry in the metrics, and what goes onto every answer."""

import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from shop.contract import Principal
from shop.gateway.headers import INTERNAL, protect
from shop.gateway.routes import context_at
from shop.gateway.tokens import PREFIXES
from shop.http.edge import edge_of
from shop.observability.logs import RequestLog
from shop.observability.metrics import METHODS, UNKNOWN, count_request
from shop.observability.trace import traced
from shop.sharding.asked import asking, count_asked
from shop.sharding.public_ids import public_id

log = RequestLog("shop.access", settings.LOG_LEVEL)

type Next = Callable[[HttpRequest], HttpResponseBase]


def trace_requests(get_response: Next) -> Next:
    """Outermost: what is refused before any view is found is told too."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        structlog.contextvars.clear_contextvars()  # what the thread's last request bound is not ours
        with traced(_parent(request)) as trace, asking() as asked:
            answer = get_response(request)
            principal: Principal | None = getattr(request, "principal", None)
            answer["X-Request-ID"] = trace
            protect(request, answer, personal=principal is not None)
            if _tell(request, answer, principal, time.perf_counter() - started):
                count_asked(asked)
        return answer

    return middleware


def _parent(request: HttpRequest) -> str:
    """The trace of a call between contexts, or of what came through the gateway; nobody else makes his own."""
    if request.path_info.startswith(INTERNAL):
        return str(request.META.get("HTTP_TRACEPARENT", ""))
    edge = edge_of(request)
    return edge.traceparent if edge else ""


def _tell(request: HttpRequest, answer: HttpResponseBase, principal: Principal | None, seconds: float) -> str:
    """The template of the address only: the address itself may hold an ID, a name, a token. Returns the context."""
    match = request.resolver_match
    route, method, status = match.route if match else "", request.method or "", answer.status_code
    context = context_at(route)
    log.info(
        "request",
        method=method if method in METHODS else UNKNOWN,
        context=context,
        route=route,
        status=status,
        milliseconds=round(seconds * 1000, 2),
        principal=public_id(PREFIXES[principal.role], principal.key) if principal else "",
    )
    count_request(context=context, route=route, method=method, status=status, seconds=seconds)
    return context
