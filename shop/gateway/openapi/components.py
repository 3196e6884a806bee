"""What all contexts' documents share: the problem's shape, headers, the token."""

from typing import Any, Final

type Json = dict[str, Any]

FAULT: Final[Json] = {
    "type": "object",
    "description": "One part of the request that is at fault.",
    "required": ["field", "code", "detail"],
    "properties": {
        "field": {"type": "string", "description": "A dotted path into the request: `lines.0.quantity`."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "For people."},
        "available": {"type": "integer", "description": "Pieces left, where stock is short."},
    },
}
PROBLEM: Final[Json] = {
    "type": "object",
    "description": "Every answer that is not 2xx (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail", "trace_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "For people."},
        "trace_id": {"type": "string", "description": "Names the request in our logs, as X-Request-ID does."},
        "errors": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Fault"}},
    },
}
_KEY: Final[Json] = {"type": "string", "pattern": "^[ -~]{1,255}$"}
_KEY_MEANING: Final = "Makes a repetition harmless: the same key and body get the first answer again."
SHARED: Final[Json] = {
    "securitySchemes": {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token, good for five minutes. `x-roles` of an operation says whose.",
        }
    },
    "parameters": {
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": _KEY_MEANING,
            "schema": _KEY,
        },
        "RequiredIdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "description": _KEY_MEANING,
            "schema": _KEY,
        },
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "description": "The ETag that was seen; another version is not touched (412).",
            "schema": {"type": "string"},
        },
    },
    "headers": {
        "X-Request-ID": {"description": "Names the request in our logs.", "schema": {"type": "string"}},
        "ETag": {"description": "The thing's version.", "schema": {"type": "string"}},
        "Idempotent-Replay": {
            "description": "`true`: the answer of the first request with this key.",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
        "WWW-Authenticate": {"description": "What is asked for (RFC 6750).", "schema": {"type": "string"}},
    },
    "schemas": {"Fault": FAULT, "Problem": PROBLEM},
}
