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
MOST_DIGITS: Final = 18


def check_body(request: HttpRequest, route: Route) -> None:
    """Read and check the body.

    Raises:
        MalformedRequest: 413 ``body_too_large``, 415 ``unsupported_media_type``, 400 ``malformed_json``.
    """
    body = _read(request, route.body_limit)
    if not route.has_body:
        return
    if request.content_type != "application/json":
        raise MalformedRequest(415, "unsupported_media_type", "the body must be application/json")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise MalformedRequest(415, "unsupported_media_type", "the body must be sent as it is, not packed")
    _check_json(body)
    request.encoding = "utf-8"  # what was checked is what is parsed: JSON knows no charset, whatever the header says


def _read(request: HttpRequest, limit: int) -> bytes:
    told = told_length(request.META.get("CONTENT_LENGTH", ""))
    if not told:
        return b""
    too_large = MalformedRequest(413, "body_too_large", f"at most {limit} bytes")
    if told > limit:
        raise too_large
    try:
        body = request.body
    except RequestDataTooBig:
        raise too_large from None
    except UnreadablePostError:
        raise MalformedRequest(400, "malformed_json", "the body broke off") from None
    if len(body) > limit:
        raise too_large
    if len(body) < told:  # what came may be whole JSON all the same, but it is not what was sent
        raise MalformedRequest(400, "malformed_json", "the body broke off")
    return body


def told_length(header: str) -> int:
    """What Content-Length says; 0 if that is no number."""
    told = header.lstrip("0")
    if not (told.isascii() and told.isdigit()):
        return 0
    return int(told[:MOST_DIGITS])  # enough to be too much


def _check_json(body: bytes) -> None:
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two equal names one would be lost, and which one is up to the reader."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


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
