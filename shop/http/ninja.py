"""django-ninja as our APIs speak it: bodies that refuse unknown fields, faults as problems."""

from datetime import datetime
from typing import Annotated, Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError
from ninja.operation import Operation
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, WithJsonSchema

from shop.contract import ContextError, Fault
from shop.http.countries import COUNTRIES
from shop.http.currencies import CURRENCIES
from shop.http.ids import id_schema
from shop.http.problems import invalid, problem, problem_of
from shop.http.texts import REFUSAL, is_clean

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


class Body(BaseModel):
    """A request body: what it does not declare is refused, nothing is guessed from another type.

    No `Schema` of ninja's: that looks at each value for what Django's models have, and doubles the work.
    """

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("not an ISO 3166-1 alpha-2 code")
    return code


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("not an ISO 4217 code")
    return code


def _one_line(text: str) -> str:
    if not is_clean(text):
        raise ValueError(REFUSAL)
    return text


def _lines(text: str) -> str:
    if not is_clean(text, lines=True):
        raise ValueError(REFUSAL)
    return text


# Says `strip` itself: `Body` says it for its own fields, not for those of what it holds.
_TEXT: Final = StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
_AS_IT_IS: Final = StringConstraints(strip_whitespace=False)
Text = Annotated[str, _TEXT, AfterValidator(_one_line)]
Note = Annotated[str, _TEXT, AfterValidator(_lines)]
PublicId = Annotated[str, _AS_IT_IS]
type Country = Annotated[
    str, _AS_IT_IS, AfterValidator(_country), WithJsonSchema({"type": "string", "enum": sorted(COUNTRIES)})
]
type Currency = Annotated[
    str, _AS_IT_IS, AfterValidator(_currency), WithJsonSchema({"type": "string", "enum": sorted(CURRENCIES)})
]
Moment = Annotated[datetime, WithJsonSchema({"type": "string", "format": "date-time"})]


def public_id_of(prefix: str) -> WithJsonSchema:
    """What a text that is a public ID looks like in the API's document."""
    return WithJsonSchema(id_schema(prefix))


def one_of(*values: str) -> WithJsonSchema:
    """What a text that is one of ``values`` looks like in the API's document."""
    return WithJsonSchema({"type": "string", "enum": [str(value) for value in values]})


class MoneyOut(Schema):
    """Integer minor units and an ISO 4217 code."""

    amount: int
    currency: Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "pattern": "^[A-Z]{3}$"})]


class DescribedAPI(NinjaAPI):
    """An API whose operations have the names of their functions."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """``place_order``."""
        return str(operation.view_func.__name__)


_apis: dict[str, NinjaAPI] = {}


def api_of(context: str) -> NinjaAPI | None:
    """The API that a context has made; None where it speaks another dialect."""
    return _apis.get(context)


def make_api(context: str) -> NinjaAPI:
    """A context's API: no pages of its own, every error a problem."""
    api = DescribedAPI(title=context, urls_namespace=context, docs_url=None, openapi_url=None)
    _apis[context] = api
    api.add_exception_handler(ContextError, _problem)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(HttpError, _http_error)
    return api


def _problem(request: HttpRequest, error: Any) -> HttpResponse:
    return problem_of(error)


def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    return invalid([_fault(item) for item in error.errors])


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(error.status_code, "malformed_json", "the body is not JSON")


def _fault(item: dict[str, Any]) -> Fault:
    """Pydantic's fault in our words: its place without ninja's prefix, its type as a stable code."""
    place = [str(part) for part in item["loc"][2:]] if item["loc"][0] == "body" else [str(item["loc"][-1])]
    code = _CODES.get(item["type"], "invalid")
    return Fault(field=".".join(place), code=code, detail=item["msg"])
