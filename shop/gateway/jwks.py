"""The public keys of access tokens, at `/.well-known/jwks.json`, and how the API's document shows them.

`config.urls` and the document come in.
"""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from shop.contract import ServiceUnavailable
from shop.gateway.reading import read_only
from shop.http.problems import problem_of
from shop.services.public_keys import published

CACHE_SECONDS: Final = 300
PATH: Final = "/.well-known/jwks.json"
OPERATION: Final[dict[str, Any]] = {
    "operationId": "show_keys",
    "summary": "The public keys of access tokens",
    "description": "A token names its key by `kid`. A new key is published before its first use.",
    "security": [],
    "x-roles": [],
    "parameters": [],
    "responses": {
        "200": {
            "description": "OK",
            "headers": {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Keys"}}},
        }
    },
}
SCHEMAS: Final[dict[str, Any]] = {
    "Key": {
        "type": "object",
        "description": "A JSON Web Key (RFC 7517).",
        "required": ["kty", "crv", "x", "y", "kid", "use", "alg"],
        "properties": {
            **{name: {"type": "string"} for name in ("x", "y", "kid")},
            "kty": {"const": "EC"},
            "crv": {"const": "P-256"},
            "use": {"const": "sig"},
            "alg": {"const": "ES256"},
        },
    },
    "Keys": {
        "type": "object",
        "required": ["keys"],
        "properties": {"keys": {"type": "array", "items": {"$ref": "#/components/schemas/Key"}}},
    },
}


@read_only
def jwks(_request: HttpRequest) -> HttpResponse:
    """The public half of auth's ring, wherever it is; kept no longer than a new key is published before it is used."""
    found = published(settings.STAFF_CONTEXT)
    if not found["keys"]:
        return problem_of(ServiceUnavailable(detail="auth does not say its keys"))
    return JsonResponse(dict(found), headers={"Cache-Control": f"public, max-age={CACHE_SECONDS}"})
