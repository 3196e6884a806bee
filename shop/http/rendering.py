"""Answers as bytes: rendered once, without spaces, kept and sent as they are. The contexts' `api` comes in here."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpResponse
from pydantic_core import to_json

JSON: Final = "application/json"


def answer(body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """``body`` as JSON. It holds what JSON knows: texts, numbers, lists, objects."""
    return HttpResponse(to_json(body), status=status, content_type=JSON, headers=headers)


def money(amount: int, currency: str) -> dict[str, Any]:
    """Money as the API shows it."""
    return {"amount": amount, "currency": currency}


def moment(at: datetime) -> str:
    """A time as the API shows it: RFC 3339 in UTC with ``Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
