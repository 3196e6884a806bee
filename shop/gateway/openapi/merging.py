"""The document of contexts that live elsewhere, as they say it, put together with that of those hosted here."""

import json
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from django.conf import settings

from shop.contract import ServiceUnavailable
from shop.gateway.openapi.components import SHARED
from shop.gateway.openapi.document import Clash, Json, as_json, framed
from shop.services.transport.http.connections import NoAnswer, NotSent
from shop.services.transport.http.targets import target_of

KEPT_SECONDS: Final = 60.0
WAIT_SECONDS: Final = 5.0
OK: Final = 200

_kept: Final[dict[str, tuple[float, bytes]]] = {}


def whole_document(context: str = "") -> bytes:
    """OpenAPI of one context, or of all of the shop, whoever hosts them.

    Raises:
        ServiceUnavailable: One that lives elsewhere does not answer, and was not asked before.
        Clash: The parts do not fit together.
    """
    if context or not settings.CONTEXT_URLS:
        return part_of(context)
    told = {*settings.CONTEXTS, *settings.CONTEXT_URLS}
    here: tuple[str, ...] = tuple(name for name in settings.KNOWN_CONTEXTS if name in told)
    return _joined(here, tuple(part_of(name) for name in here))


def part_of(context: str) -> bytes:
    """What a context says of itself, whoever hosts it.

    Raises:
        ServiceUnavailable: It lives elsewhere, does not answer, and was not asked before.
    """
    return _asked(context) if context in settings.CONTEXT_URLS else as_json(context)


@lru_cache(maxsize=2)
def _joined(contexts: tuple[str, ...], parts: tuple[bytes, ...]) -> bytes:
    return json.dumps(merged(list(contexts), [json.loads(part) for part in parts]), ensure_ascii=False).encode()


def merged(contexts: list[str], parts: list[Json]) -> Json:
    """One document of the documents of ``contexts``."""
    paths: dict[str, Json] = {}
    schemas: dict[str, Json] = dict(SHARED["schemas"])
    responses: dict[str, Json] = {}
    for part in parts:
        _add(paths, part["paths"])
        _add(schemas, part["components"]["schemas"])
        _add(responses, part["components"]["responses"])
    return framed(contexts, paths, schemas, responses)


def _add(known: dict[str, Json], more: Mapping[str, Json]) -> None:
    for name, shape in more.items():
        if known.setdefault(name, shape) != shape:
            raise Clash(f"two contexts mean different things by {name}")


def _asked(context: str) -> bytes:
    """What a context says, at most a minute ago; what it said before, where it does not answer."""
    at, known = _kept.get(context, (0.0, b""))
    if known and time.monotonic() < at + KEPT_SECONDS:
        return known
    target, address = target_of(context, settings.CONTEXT_URLS[context]), f"/api/v1/{context}/openapi.json"
    scheme = {"X-Forwarded-Proto": "https"} if settings.SECURE_SSL_REDIRECT else {}  # or it would send us outside
    try:
        answer = target.connections.send("GET", address, b"", scheme, seconds=WAIT_SECONDS)
        found = answer.body if answer.status == OK and _is_document(answer.body) else known
    except (NotSent, NoAnswer):
        found = known
    if not found:
        raise ServiceUnavailable(detail=f"{context} does not say its part of the document")
    _kept[context] = time.monotonic(), found
    return found


def _is_document(body: bytes) -> bool:
    """Whether it can be put together with others; what somebody in between says with 200 can't."""
    try:
        said = json.loads(body)
        parts = [said["paths"], said["components"]["schemas"], said["components"]["responses"]]
    except (ValueError, LookupError, TypeError):
        return False
    return all(isinstance(part, dict) for part in parts)
