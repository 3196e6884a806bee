"""Which problems an operation may answer, by status: its own, and what the pipeline refuses before its view runs."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from shop.contract import (
    ContextError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from shop.gateway.routes import Key, Route, Who
from shop.gateway.tokens import TokenExpiredError, TokenInvalidError
from shop.http.idempotency import InProgressError, KeyReusedError
from shop.http.paging import InvalidCursorError
from shop.http.problems import IN_PROGRESS, MEDIA_TYPE, UnknownFieldError, status_of
from shop.sharding import ShardUnavailable

type Json = dict[str, Any]
type Codes = Mapping[str, str]

_ALWAYS: Final = (
    (400, "bad_request", "The request was refused before anybody looked at what it asks."),
    (413, "body_too_large", "The body is larger than 1 MiB."),
    (429, "rate_limited", "Too many requests; Retry-After says when to come again."),
    (500, "internal_error", "The error is ours and has been logged."),
)
_WITH_BODY: Final = (
    (400, "malformed_json", "The body is not JSON in UTF-8, or nested too deeply."),
    (415, "unsupported_media_type", "The body is not application/json."),
)
_WITH_KEY: Final = ((400, "idempotency_key_required", "The Idempotency-Key is missing, empty or too long."),)


def refusals(route: Route) -> Mapping[int, Codes]:
    """Meanings of the problem codes of an operation, by status."""
    found: dict[int, dict[str, str]] = {}
    for status, code, meaning in sorted(_refusals(route)):
        found.setdefault(status, {})[code] = meaning
    return found


def _refusals(route: Route) -> Iterator[tuple[int, str, str]]:
    yield from _ALWAYS
    yield from _WITH_BODY if route.has_body else ()
    yield from _WITH_KEY if route.key is not Key.IGNORED else ()
    for error in {*_of_pipeline(route), *route.errors}:
        yield status_of(error), error.code, _meaning(error)


def _meaning(error: type[ContextError]) -> str:
    return (error.__doc__ or "").strip().partition("\n")[0].replace("``", "`")


def _of_pipeline(route: Route) -> Iterator[type[ContextError]]:
    yield from (UnavailableError, ShardUnavailable)
    if route.who is not Who.ANYONE:
        yield from (UnauthenticatedError, TokenInvalidError, TokenExpiredError)
    if route.who not in (Who.ANYONE, Who.READER):
        yield ForbiddenError
    if "<" in route.path:
        yield NotFoundError
    if route.has_body or route.query:
        yield InvalidError
    if route.has_body:
        yield UnknownFieldError
    if any(parameter.name == "cursor" for parameter in route.query):
        yield InvalidCursorError
    if route.key is not Key.IGNORED:
        yield from (InProgressError, KeyReusedError)


def problem_answer(status: int, codes: Codes) -> Json:
    """The answer with this status: a problem with one of ``codes``."""
    shape = {"properties": {"status": {"const": status}, "code": {"enum": list(codes)}}}
    meanings = "\n".join(f"- `{code}`: {meaning}" for code, meaning in codes.items())
    return {
        "description": f"{HTTPStatus(status).phrase}\n\n{meanings}",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _headers(status, codes)},
        "content": {MEDIA_TYPE: {"schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, shape]}}},
    }


def problem_codes(answer: Json) -> list[str]:
    """The codes that a described answer names; none where it is no problem."""
    if MEDIA_TYPE not in answer.get("content", {}):
        return []
    [_, shape] = answer["content"][MEDIA_TYPE]["schema"]["allOf"]
    codes: list[str] = shape["properties"]["code"]["enum"]
    return codes


def _headers(status: int, codes: Codes) -> Iterator[str]:
    yield "X-Request-ID"
    if status == HTTPStatus.UNAUTHORIZED:
        yield "WWW-Authenticate"
    if IN_PROGRESS in codes or status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        yield "Retry-After"
