"""What a request's body must be before anybody looks at who sent it: small enough, JSON, storable."""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from shop.gateway.routes import Route
from shop.http.problems import MalformedRequest

MAX_DEPTH: Final = 100


def check_body(request: HttpRequest, route: Route) -> None:
    """Read and check the body.

    Raises:
        MalformedRequest: 413 ``body_too_large``, 415 ``unsupported_media_type``, 400 ``malformed_json``.
    """
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > route.body_limit:
        raise MalformedRequest(413, "body_too_large", f"at most {route.body_limit} bytes")
    try:
        body = request.body
    except RequestDataTooBig:
        raise MalformedRequest(413, "body_too_large", f"at most {route.body_limit} bytes") from None
    except UnreadablePostError:
        raise MalformedRequest(400, "malformed_json", "the body broke off") from None
    if not route.has_body:
        return
    if len(body) > route.body_limit:
        raise MalformedRequest(413, "body_too_large", f"at most {route.body_limit} bytes")
    if request.content_type != "application/json":
        raise MalformedRequest(415, "unsupported_media_type", "the body must be application/json")
    _check_json(body)
    request.encoding = "utf-8"  # what was checked is what is parsed: JSON knows no charset, whatever the header says


def _check_json(body: bytes) -> None:
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError:
        raise MalformedRequest(400, "malformed_json", "the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise MalformedRequest(400, "malformed_json", "the body is not JSON") from None
    if _depth(value) > MAX_DEPTH:
        raise MalformedRequest(400, "malformed_json", f"nested deeper than {MAX_DEPTH} levels")
    for text in _texts(value):
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise MalformedRequest(400, "malformed_json", "a text holds a NUL or half a character")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text)


def _depth(value: Any) -> int:
    """How deep ``value`` is nested, counted level by level."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _texts(value: Any) -> Iterator[str]:
    """Every text in ``value``, without recursion: its depth is the sender's choice."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if not item.isascii() or "\0" in item:
                yield item
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
