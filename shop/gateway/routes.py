"""The route table: one typed entry per public operation. What is not in it does not exist for the outside."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from shop.contract import ContextError
from shop.http.parameters import Parameter

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
        query: What may stand behind the `?`.
        versioned: Whether its thing has a version: in ETag, to be named in If-Match.
        errors: What it refuses for reasons of its own. What the pipeline refuses follows from the rest of the entry.
        body_limit: Largest body in bytes.
        timeout_seconds: The request's deadline.
        limit: Rate limit it counts for; empty: ``read`` or ``write``, by its method. ``auth`` counts by address and
            operation, whoever calls; the others by caller.
    """

    method: str
    path: str
    who: Who
    role: str = ""
    key: Key = Key.IGNORED
    has_body: bool = False
    query: tuple[Parameter, ...] = ()
    versioned: bool = False
    errors: tuple[type[ContextError], ...] = ()
    body_limit: int = BODY_LIMIT
    timeout_seconds: float = 15.0
    limit: str = ""

    @property
    def policy(self) -> str:
        """Name of the rate limit."""
        return self.limit or ("read" if self.method == "GET" else "write")


_table: dict[str, dict[str, Route]] = {}
_contexts: dict[str, str] = {}
_ids: dict[str, dict[str, str]] = {}


def register(context: str, prefix: str, routes: Iterable[Route], ids: Mapping[str, str] | None = None) -> None:
    """Enter the operations of a context under ``prefix``.

    Args:
        context: Who answers.
        prefix: What all its paths begin with.
        routes: Its operations.
        ids: Type prefix of the public ID that a part of a path is, by the part's name.

    Raises:
        ValueError: One is there already.
    """
    _ids.setdefault(context, {}).update(ids or {})
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
    """Context that answers at a path template; empty where none does."""
    return _contexts.get(template, "")


def operations_of(context: str) -> Iterator[tuple[str, Route]]:
    """Every operation of a context with its path template."""
    for template, methods in _table.items():
        if _contexts[template] == context:
            yield from ((template, route) for route in methods.values())


def ids_of(context: str) -> Mapping[str, str]:
    """Type prefixes of the public IDs in a context's paths, by the name of the part."""
    return _ids[context]
