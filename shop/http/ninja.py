"""django-ninja as our APIs speak it: bodies that refuse unknown fields, faults as problems, ready bytes out."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError
from pydantic import AfterValidator, ConfigDict, PlainSerializer, StringConstraints

from shop.contract import ContextError, Fault
from shop.http.countries import COUNTRIES
from shop.http.problems import problem, problem_of

_CODES: Final = {
    "extra_forbidden": "unknown_field",
    "missing": "required",
    "json_invalid": "malformed_json",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "too_short": "out_of_range",
    "too_long": "out_of_range",
    "string_too_short": "out_of_range",
    "string_too_long": "out_of_range",
}


class Body(Schema):
    """A request body: what it does not declare is refused, nothing is guessed from another type."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("not an ISO 3166-1 alpha-2 code")
    return code


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Says `strip` itself: a named type takes its settings from the outermost model, which is not always a `Body`.
type Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
type Country = Annotated[str, AfterValidator(_country)]
type Moment = Annotated[datetime, PlainSerializer(_moment, return_type=str)]


class MoneyOut(Schema):
    """Integer minor units and an ISO 4217 code."""

    amount: int
    currency: str


def make_api(context: str) -> NinjaAPI:
    """A context's API: no pages of its own, every error a problem."""
    api = NinjaAPI(title=context, urls_namespace=context, docs_url=None, openapi_url=None)
    api.add_exception_handler(ContextError, _problem)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(HttpError, _http_error)
    return api


def answer(status: int, body: Schema) -> HttpResponse:
    """``body`` as bytes: rendered once, kept and sent as it is."""
    return HttpResponse(body.model_dump_json().encode(), status=status, content_type="application/json")


def _problem(request: HttpRequest, error: Any) -> HttpResponse:
    return problem_of(error)


def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(422, "invalid", "the request is not valid", [_fault(item) for item in error.errors])


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(error.status_code, "malformed_json", "the body is not JSON")


def _fault(item: dict[str, Any]) -> Fault:
    """Pydantic's fault in our words: its place without ninja's prefix, its type as a stable code."""
    place = [str(part) for part in item["loc"][2:]] if item["loc"][0] == "body" else [str(item["loc"][-1])]
    code = _CODES.get(item["type"], "invalid")
    return Fault(field=".".join(place), code=code, detail=item["msg"])
