"""Holds answers against the API's document: status, problem code, headers and body of each must stand in it."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

type Json = dict[str, Any]

METHOD_NOT_ALLOWED = 405
CONFLICT = 409  # only one of its codes asks for another try


@cache
def document() -> Json:
    """The document of all contexts that this run hosts."""
    from django.utils.module_loading import import_string

    from shop.gateway.openapi import as_json

    import_string("config.urls.urlpatterns")  # fills the route table
    found: Json = json.loads(as_json())
    return found


def undocumented(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
    """What of an answer the document does not know; nothing where ``path`` is no operation's."""
    operations = _operations_at(path)
    if operations is None or method == "OPTIONS":
        return []
    operation = operations.get("get" if method == "HEAD" else method.lower())
    if operation is None:
        return [] if status == METHOD_NOT_ALLOWED else [f"{method} {path}: {status} where nothing is documented"]
    found = _faults(operation, status, headers, None if method == "HEAD" else body)
    return [f"{method} {path} → {status}: {fault}" for fault in found]


def _operations_at(path: str) -> Json | None:
    exact: Json | None = document()["paths"].get(path)
    if exact is not None:
        return exact
    return next((operations for pattern, operations in _templates() if pattern.fullmatch(path)), None)


@cache
def _templates() -> list[tuple[re.Pattern[str], Json]]:
    paths = document()["paths"].items()
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), operations)
        for path, operations in paths
        if "{" in path
    ]


def _faults(operation: Json, status: int, headers: Mapping[str, str], body: bytes | None) -> Iterator[str]:
    answer = operation["responses"].get(str(status))
    if answer is None:
        yield f"the status is not documented; the body says {(body or b'')[:200]!r}"
        return
    name = operation["operationId"]
    if "$ref" in answer:
        name = answer["$ref"].rpartition("/")[2]
        answer = document()["components"]["responses"][name]
    given = {header.lower(): value for header, value in headers.items()}
    yield from _faults_of_headers(status, answer["headers"], given)
    if "content" in answer:
        [(media_type, content)] = answer["content"].items()
        if given.get("content-type") != media_type:
            yield f"the media type is {given.get('content-type')!r}, not {media_type!r}"
        if body is not None:
            yield from _faults_of_body(name, str(status), content["schema"], body)
    elif body:
        yield f"there is a body where none is documented: {body[:200]!r}"


def _faults_of_headers(status: int, documented: Json, given: Mapping[str, str]) -> Iterator[str]:
    for header in ("ETag", "WWW-Authenticate"):
        if header in documented and header.lower() not in given:
            yield f"{header} is not there"
        if header not in documented and header.lower() in given:
            yield f"{header} is there, and not documented"
    if "Retry-After" in documented and status != CONFLICT and "retry-after" not in given:
        yield "Retry-After is missing"


def _faults_of_body(name: str, status: str, schema: Json, body: bytes) -> Iterator[str]:
    try:
        value = json.loads(body)
    except ValueError:
        yield f"the body is not JSON: {body[:200]!r}"
        return
    for error in _validator(name, status, schema).iter_errors(value):
        yield f"{error.json_path}: {error.message[:300]}"


_validators: dict[tuple[str, str], Draft202012Validator] = {}


def _validator(name: str, status: str, schema: Json) -> Draft202012Validator:
    if (name, status) not in _validators:
        closed = {**schema, "components": {"schemas": _closed_schemas()}}
        _validators[name, status] = Draft202012Validator(closed, format_checker=FormatChecker(["date-time"]))
    return _validators[name, status]


@cache
def _closed_schemas() -> Json:
    """All components; here nothing may be there that they do not name, which clients must be ready for."""
    schemas: Json = document()["components"]["schemas"]
    return {
        name: {"additionalProperties": False, **shape} if "properties" in shape else shape
        for name, shape in schemas.items()
    }
