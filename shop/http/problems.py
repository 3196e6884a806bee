"""Every answer that is not 2xx: RFC 9457 problems. The one place that knows which error is which HTTP status."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db.utils import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse

from shop.contract import (
    ConflictError,
    ContextError,
    DeclinedError,
    Fault,
    ForbiddenError,
    InvalidError,
    MalformedError,
    NotAuthorized,
    NotFoundError,
    PreconditionError,
    RemoteFault,
    UnauthenticatedError,
    UnavailableError,
)
from shop.http.limits import RateLimitedError
from shop.observability.trace import trace_id

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 1
IN_PROGRESS: Final = "idempotency_in_progress"

_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (RemoteFault, 500),
    (NotAuthorized, 500),
    (MalformedError, 400),
    (InvalidError, 422),
    (UnauthenticatedError, 401),
    (DeclinedError, 402),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (PreconditionError, 412),
    (UnavailableError, 503),
)

_FOREIGN: Final[tuple[tuple[type[Exception], int, str, str], ...]] = (
    (RequestDataTooBig, 413, "body_too_large", "the body is larger than 1 MiB"),
    (Http404, 404, "not_found", "there is nothing here"),
    (SuspiciousOperation, 400, "bad_request", "the request was refused"),
    (OperationalError, 503, "unavailable", "a database is busy or does not answer; try again"),
    (InterfaceError, 503, "unavailable", "a database is busy or does not answer; try again"),
)


def status_of(kind: type[Exception]) -> int:
    """The HTTP status of an error; 500 for one that no client is told of."""
    return next((status for known, status in _STATUS if issubclass(kind, known)), 500)


class MalformedRequest(ContextError):
    """The request can't be read at all: ``status`` 400, 405, 413 or 415."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail=detail)
        self.status = status
        self.code = code  # type: ignore[misc]  # one class for the few codes of the edge


class UnknownFieldError(InvalidError):
    """The body has a field that this operation does not know."""

    code = "unknown_field"


class InvalidIdError(InvalidError):
    """An ID in the request is damaged or of another type."""

    code = "invalid_id"


_NAMED: Final = (UnknownFieldError.code, InvalidIdError.code)


def invalid(faults: Sequence[Fault]) -> HttpResponse:
    """The problem that a body with ``faults`` is; it has the code of a fault where the API promises that."""
    found = {fault.code for fault in faults}
    code = next((named for named in _NAMED if named in found), InvalidError.code)
    return problem(422, code, "the request is not valid", faults)


def problem(
    status: int,
    code: str,
    detail: str = "",
    faults: Iterable[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A problem as an HTTP answer."""
    body: dict[str, Any] = {
        "type": f"urn:shop:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "trace_id": trace_id(),
    }
    if errors := [_fault(fault) for fault in faults]:
        body["errors"] = errors
    answer = HttpResponse(json.dumps(body).encode(), status=status, content_type=MEDIA_TYPE, headers=headers)
    answer["Cache-Control"] = "no-store"
    if status == HTTPStatus.SERVICE_UNAVAILABLE or code == IN_PROGRESS:
        answer.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    if status == HTTPStatus.UNAUTHORIZED:
        answer.setdefault("WWW-Authenticate", f'Bearer realm="shop", error="{code}"')
    return answer


def _fault(fault: Fault) -> dict[str, Any]:
    shown = {"field": fault.field, "code": fault.code, "detail": fault.detail}
    return shown if fault.available is None else {**shown, "available": fault.available}


def problem_of(error: Exception) -> HttpResponse:
    """The problem that an exception is to a client; what nobody expected is logged and told as 500 without detail."""
    if isinstance(error, MalformedRequest):
        return problem(error.status, error.code, error.detail)
    if isinstance(error, RateLimitedError):
        later = {"Retry-After": str(error.standing.reset_seconds), **error.standing.headers()}
        return problem(429, error.code, error.detail, headers=later)
    if isinstance(error, ContextError):
        status = status_of(type(error))
        if status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return problem(status, error.code, error.detail, error.faults)
    for kind, status, code, detail in _FOREIGN:
        if isinstance(error, kind):
            if status == HTTPStatus.SERVICE_UNAVAILABLE:
                log.warning("database_unavailable", error=type(error).__name__)
            return problem(status, code, detail)
    log.error("unhandled_error", error=type(error).__name__, exc_info=error)
    return problem(500, "internal_error", "the error is ours and has been logged")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    return problem_of(exception if isinstance(exception, RequestDataTooBig) else SuspiciousOperation())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    return problem(404, "not_found", "there is nothing at this address")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    return problem(403, "forbidden", "this is not allowed")


def no_csrf_token(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: a form without its token, or a method that no page here takes."""
    return problem(403, "forbidden", "this is not allowed")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, called while the error is being handled: of a page, the API's are told by `problem_of`."""
    error = sys.exception()
    log.error("unhandled_error", error=type(error).__name__, exc_info=error)
    return problem(500, "internal_error", "the error is ours and has been logged")
