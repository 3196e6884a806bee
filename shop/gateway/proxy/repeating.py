"""Which requests do no harm when they are sent on twice: reads, and what the context keeps under the client's own key.

A header alone does not say so. Clients send a key with everything, and some operations do not look at it.
"""

import json
import re
from functools import lru_cache
from typing import Final

from django.http import HttpRequest

from shop.contract import ServiceUnavailable
from shop.gateway.openapi.merging import part_of

SAFE: Final = frozenset({"GET", "HEAD"})
KEYS: Final = frozenset({"#/components/parameters/IdempotencyKey", "#/components/parameters/RequiredIdempotencyKey"})
IN_BRACES: Final = re.compile(r"\\{\w+\\}")


def is_harmless(context: str, request: HttpRequest) -> bool:
    """Whether it may be sent on again, when nobody knows what became of it.

    The context's document says what it makes of a key; asked for only where something went wrong, and kept.
    """
    if request.method in SAFE:
        return True
    if "HTTP_IDEMPOTENCY_KEY" not in request.META:
        return False
    try:
        kept = _kept_by_key(part_of(context))
    except ServiceUnavailable:
        return False
    return any(method == request.method and place.fullmatch(request.path_info) for method, place in kept)


@lru_cache(maxsize=8)
def _kept_by_key(document: bytes) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Method and address of every operation that keeps its answer under a key."""
    return tuple(
        (method.upper(), re.compile(IN_BRACES.sub("[^/]+", re.escape(address))))
        for address, operations in json.loads(document)["paths"].items()
        for method, operation in operations.items()
        if KEYS & {parameter.get("$ref") for parameter in operation.get("parameters", ())}
    )
