"""One request to a context that lives elsewhere, over kept-alive connections; its answer is passed on as it comes."""

import time
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from typing import Final
from urllib.parse import quote

import structlog
from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from shop.contract import DeadlineExceeded, NotFoundError, ServiceUnavailable, UnavailableError
from shop.gateway.proxy.hygiene import towards_client, towards_context
from shop.gateway.proxy.repeating import is_harmless
from shop.http.edge import HEADER, Edge, edge_of, told
from shop.http.problems import problem, problem_of
from shop.observability.trace import traceparent
from shop.services.transport.http.connections import NoAnswer, NotSent
from shop.services.transport.http.streamed import Streamed
from shop.services.transport.http.targets import Target, target_of

log = structlog.get_logger(__name__)

WAIT_SECONDS: Final = 20.0
"""Longer than any operation may take: the context itself says so in time."""
PAUSE_SECONDS: Final = 0.1
AGAIN: Final = frozenset({502, 503, 504})
DOTS: Final = frozenset({".", ".."})
WRITABLE: Final = "".join(chr(code) for code in range(0x21, 0x7F))


def mount_proxy(context: str) -> URLPattern:
    """All addresses of a context that lives elsewhere."""

    @csrf_exempt
    def view(request: HttpRequest, **_: str) -> HttpResponseBase:
        if edge_of(request) is not None:  # the gateway has a wrong URL: no circles
            return _refusal(context, UnavailableError(detail=f"{context} is not hosted here"))
        return forward(context, settings.CONTEXT_URLS[context], request)

    return path(f"api/v1/{context}/<path:rest>", view)


def forward(context: str, url: str, request: HttpRequest, *, sent_on: bool = False) -> HttpResponseBase:
    """Pass a request on, and its answer back; once more if nobody was there, or it does no harm.

    Args:
        context: Whose it is.
        url: Where it is answered.
        request: As it came.
        sent_on: Whether this process hosts the context itself, and its home says that it is answered there.
    """
    came = edge_of(request)
    address = came.address if came else request.META.get("REMOTE_ADDR", "")
    note = told(Edge(traceparent=traceparent(), address=address, sent_on=sent_on))
    try:
        answer = _asked(context, url, request, note)
    except Exception as error:
        return _refusal(context, error)
    headers = towards_client(answer.headers)
    names = {name.lower() for name in headers}
    chunks: Iterable[bytes] = _passed_on(context, answer)
    if "content-length" not in names:  # to the client its end would look the same if it broke off
        try:
            chunks = list(answer.chunks())
        except (OSError, HTTPException):
            answer.close()
            return _refusal(context, _no_answer(context, NoAnswer(timed_out=False)))
    found = StreamingHttpResponse(chunks, status=answer.status, headers=headers)
    if "content-type" not in names:
        del found["Content-Type"]  # Django's own guess
    found._resource_closers.append(answer.close)  # type: ignore[attr-defined]  # whoever goes away ends it
    return found


def _passed_on(context: str, answer: Streamed) -> Iterator[bytes]:
    """Its body, as it comes. One that breaks off is shorter than was said, and so the server ends the connection."""
    try:
        yield from answer.chunks()
    except (OSError, HTTPException) as error:
        log.warning("answer_broke_off", of=context, error=type(error).__name__)


def _asked(context: str, url: str, request: HttpRequest, note: str) -> Streamed:
    """The answer's beginning, where there is nothing against asking.

    Raises:
        UnavailableError: The context can't be asked, or does not answer.
        NotFoundError: The address leads out of the context's.
        RequestDataTooBig, UnreadablePostError, ValueError: The client's fault; nobody was asked.
    """
    if DOTS & set(request.path_info.split("/")):  # whoever stands behind might take them for a way up
        raise NotFoundError(detail="there is nothing at this address")
    len(request.body)  # read now, or refused
    target = target_of(context, url)
    target.budget.earn()
    with target.place():
        return _sent(target, request, note)


def _refusal(context: str, error: Exception) -> HttpResponseBase:
    if isinstance(error, UnavailableError):
        log.warning("context_away", of=context, reason=error.code)
        return problem(503, UnavailableError.code, error.detail)  # the one code that every operation documents
    if isinstance(error, UnreadablePostError):
        return problem(400, "malformed_json", "the body broke off")
    if isinstance(error, ValueError):
        return problem(400, "bad_request", "a header or the address can't be sent on")
    return problem_of(error)


def _sent(target: Target, request: HttpRequest, note: str) -> Streamed:
    """The answer's beginning.

    Raises:
        ServiceUnavailable: Nobody is there.
        CircuitOpen: It failed too often just now.
        DeadlineExceeded: No answer came in time.
    """
    try:
        answer = _attempt(target, request, note)
        if answer.status not in AGAIN or not _may_repeat(target, request):
            return answer
        answer.close()
    except NotSent:
        if not target.budget.spend():
            raise ServiceUnavailable(detail=f"{target.context} can't be reached") from None
    except NoAnswer as failed:
        if failed.timed_out or not _may_repeat(target, request):
            raise _no_answer(target.context, failed) from None
    time.sleep(PAUSE_SECONDS)
    try:
        return _attempt(target, request, note)
    except NotSent:
        raise ServiceUnavailable(detail=f"{target.context} can't be reached") from None
    except NoAnswer as failed:
        raise _no_answer(target.context, failed) from None


def _may_repeat(target: Target, request: HttpRequest) -> bool:
    return is_harmless(target.context, request) and target.budget.spend()


def _no_answer(context: str, failed: NoAnswer) -> ServiceUnavailable | DeadlineExceeded:
    if failed.timed_out:
        return DeadlineExceeded(detail=f"{context} did not answer in time")
    return ServiceUnavailable(detail=f"the connection to {context} ended")


def _attempt(target: Target, request: HttpRequest, note: str) -> Streamed:
    """Told to the breaker. What a context itself can't do now is an answer."""
    headers = towards_context(request.headers)
    headers["X-Forwarded-Proto"] = request.scheme or "http"
    headers[HEADER] = note
    with target.breaker.watch():
        method = request.method or "GET"
        return target.connections.stream(method, _address(request), request.body, headers, seconds=WAIT_SECONDS)


def _address(request: HttpRequest) -> str:
    """As it came; a query holds what bytes the client has sent, and servers hand them on as Latin-1."""
    query = quote(request.META.get("QUERY_STRING", ""), safe=WRITABLE, encoding="latin-1")
    path = request.get_full_path().partition("?")[0]
    return f"{path}?{query}" if query else path
