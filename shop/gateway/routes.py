"""The route table: one typed entry per public operation. What is not in it does not exist for the outside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

BODY_LIMIT: Final = 1 << 20


class Who(Enum):
    """Who may call an operation."""

    ANYONE = "anyone"
    """No token is asked for, one that comes is not looked at."""
    READER = "reader"
    """Everybody; a token that comes must be good."""
    CUSTOMER = "customer"
    STAFF = "staff"
    CUSTOMER_OR_STAFF = "customer or staff"


class Key(Enum):
    """What an operation makes of the Idempotency-Key header."""

    IGNORED = "ignored"
    ACCEPTED = "accepted"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation.

    Attributes:
        method: HTTP method.
        path: As in Django's `path`, behind the context's prefix.
        who: Who may call it.
        role: Staff role it takes; empty: any.
        key: What it makes of an Idempotency-Key.
        has_body: Whether it takes a JSON body.
        body_limit: Largest body in bytes.
        timeout_seconds: The request's deadline.
    """

    method: str
    path: str
    who: Who
    role: str = ""
    key: Key = Key.IGNORED
    has_body: bool = False
    body_limit: int = BODY_LIMIT
    timeout_seconds: float = 15.0


_table: dict[str, dict[str, Route]] = {}
_contexts: dict[str, str] = {}


def register(context: str, prefix: str, routes: Iterable[Route]) -> None:
    """Enter the operations of a context under ``prefix``.

    Raises:
        ValueError: One is there already.
    """
    for route in routes:
        template = prefix + route.path
        methods = _table.setdefault(template, {})
        if route.method in methods and methods[route.method] != route:
            raise ValueError(f"{route.method} {template} is in the route table twice")
        methods[route.method] = route
        _contexts[template] = context


def methods_of(template: str) -> Mapping[str, Route]:
    """Operations at a path template, by method; empty where there is none."""
    return _table.get(template, {})


def context_at(template: str) -> str:
    """Context that answers at a path template."""
    return _contexts[template]
