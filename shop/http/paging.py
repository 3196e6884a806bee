"""Lists: `?limit=` and an opaque `?cursor=` that names the last row seen, never an offset."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.core import signing

from shop.contract import Fault, InvalidError
from shop.http.parameters import Parameter

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
PAGE: Final = (
    Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        description="How many at most.",
    ),
    Parameter(name="cursor", schema={"type": "string"}, description="`next_cursor` of the page before."),
)


def limit_of(query: Mapping[str, str]) -> int:
    """`?limit=`, 1-100.

    Raises:
        InvalidError: It is something else.
    """
    given = query.get("limit", str(DEFAULT_LIMIT))
    if not (given.isascii() and given.isdigit() and len(given) <= len(str(MAX_LIMIT)) and 1 <= int(given) <= MAX_LIMIT):
        detail = f"must be a whole number from 1 to {MAX_LIMIT}"
        raise InvalidError(detail=detail, faults=(Fault(field="limit", code="out_of_range", detail=detail),))
    return int(given)


def cursor(list_name: str, values: Sequence[Any]) -> str:
    """Where a page ended, for the next one.

    Args:
        list_name: Which list in which order: a cursor of another one is refused.
        values: The order fields of the page's last row.
    """
    shown = [{"at": value.isoformat()} if isinstance(value, datetime) else value for value in values]
    return signing.Signer(salt=f"cursor:{list_name}").sign_object(shown)


def position(list_name: str, query: Mapping[str, str]) -> list[Any] | None:
    """What `?cursor=` says; None for the first page.

    Raises:
        InvalidError: ``invalid_cursor``: damaged, or of another list.
    """
    given = query.get("cursor")
    if given is None:
        return None
    try:
        values = signing.Signer(salt=f"cursor:{list_name}").unsign_object(given)
    except (signing.BadSignature, ValueError, UnicodeError):
        fault = Fault(field="cursor", code="invalid_cursor", detail="not a cursor of this list")
        raise InvalidCursorError(detail=fault.detail, faults=(fault,)) from None
    return [datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value for value in values]


class InvalidCursorError(InvalidError):
    """The cursor is damaged, or another list's."""

    code = "invalid_cursor"
